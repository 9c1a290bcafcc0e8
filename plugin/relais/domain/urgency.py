"""How urgent a study is, from what its images and its order say."""

from __future__ import annotations

from relais.domain.facts import Facts
from relais.domain.priority import Priority

REQUESTED_PROCEDURE_PRIORITY = "RequestedProcedurePriority"
STUDY_PRIORITY_ID = "StudyPriorityID"
URGENCIES: dict[str, Priority] = {
    "STAT": Priority.Stat,
    "HIGH": Priority.Urgent,
    "ROUTINE": Priority.Routine,
    "MEDIUM": Priority.Routine,
    "MED": Priority.Routine,
    "LOW": Priority.Background,
}
"""RequestedProcedurePriority (0040,1003), PS3.3 section C.4.11, and the retired StudyPriorityID (0032,000C)."""


def urgency(facts: Facts) -> Priority | None:
    """The study's urgency: the one that was given, else the most urgent that its order or its images ask for.

    RequestedProcedurePriority counts in every sequence too; words that DICOM does not define count for nothing.
    """
    if facts.urgency is not None and facts.urgency in Priority.__members__:
        return Priority[facts.urgency]
    said = [
        URGENCIES[word]
        for attributes in (facts.order, facts.study, *facts.series)
        for keyword, values in attributes.items()
        if keyword.endswith(REQUESTED_PROCEDURE_PRIORITY) or keyword == STUDY_PRIORITY_ID
        for value in values
        if (word := value.upper()) in URGENCIES
    ]
    return min(said, default=None)
