"""What the API answers about imports, watches and prefetches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import RowMapping

from relais.domain.priority import Priority
from relais.domain.states import Cause, ImportState, PrefetchState, RetrievalState
from relais.web.answers import Answer


class ImportBegun(Answer):
    """The import runs."""

    id: int


class RetrievalError(Answer):
    """Why something did not come, as data and in words."""

    error_class: str = Field(alias="Class", description="Transient, Permanent or Configuration.")
    code: str = Field(description="The protocol's own, such as A801, or a word such as timeout.")
    text: str = Field(description="What was said, in technical words.")
    what: str = Field(description="What happened and what helps, in the caller's language.")


class MissingAnswer(Answer):
    """An instance that the source has, and that is not here."""

    sop_instance_uid: str = Field(alias="SOPInstanceUID")
    series_instance_uid: str = Field(alias="SeriesInstanceUID")
    error: RetrievalError | None = Field(description="What was said when it was last asked for by itself.")


class WarningAnswer(Answer):
    """Something that a person may want to look at."""

    code: str
    text: str = Field(description="In the caller's language.")
    study_instance_uid: str | None = Field(None, alias="StudyInstanceUID", description="The study that it is about.")


class StudyImportAnswer(Answer):
    """An import: how much of what its source has is here."""

    id: int
    source: str
    cause: Cause
    cause_id: str | None = Field(description="Name of the watch, or id of the prefetch.")
    state: ImportState
    route: bool = Field(description="Whether what comes is delivered as the rules say; else it is only kept.")
    priority: str
    actor: str
    reason: str
    created_at: datetime
    finished_at: datetime | None
    studies: int
    expected: int = Field(description="Instances that the source has, as far as it was asked.")
    received: int = Field(description="Of these, the ones that are here.")
    missing: int

    @classmethod
    def values_of(cls, row: RowMapping) -> dict[str, Any]:
        """The values, from a row of the list."""
        return {
            **row,
            "priority": Priority(row["priority"]).name,
            "missing": row["expected"] - row["received"],
        }


class RetrievalAnswer(Answer):
    """The fetching of one study, or of one series of it."""

    id: int
    study_instance_uid: str = Field(alias="StudyInstanceUID")
    series_instance_uid: str | None = Field(alias="SeriesInstanceUID", description="Null for the whole study.")
    state: RetrievalState
    expected: int | None = Field(description="Null until the source was asked what it has.")
    received: int
    missing: int
    attempts: int = Field(description="In a row that brought nothing.")
    rounds: int = Field(description="How often the source was told to send.")
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt: datetime | None
    last_error: RetrievalError | None
    warnings: list[WarningAnswer]
    missing_instances: list[MissingAnswer] = Field(description="The first 100.")


class StudyImportDetail(StudyImportAnswer):
    """An import with each study that it fetches."""

    retrievals: list[RetrievalAnswer]


class WatchAnswer(Answer):
    """A watch, and how it stands."""

    name: str
    source: str
    then: str = Field(description="Import or Announce.")
    state: str = Field(description="Waiting, Polling, Failing or Paused.")
    every_seconds: float
    polled_at: datetime | None
    succeeded_at: datetime | None = Field(description="Everything that the source had until then was seen.")
    next_poll: datetime | None
    failures: int = Field(description="Polls in a row that did not see everything.")
    last_error: RetrievalError | None
    seen: int = Field(description="Studies that it has seen and still remembers.")


class PollAnswer(Answer):
    """What one poll found."""

    at: datetime
    milliseconds: int
    answered: int = Field(description="Studies that the source named.")
    fresh: int = Field(description="Of these, the ones that were never seen.")
    changed: int = Field(description="Those that are otherwise than when they were seen.")
    skipped: int = Field(description="New or changed, but none that the watch looks for.")
    unclear: int = Field(description="New or changed, and the source does not tell whether the watch looks for them.")
    import_id: int | None = Field(alias="Import", description="The last import that it began.")
    error: RetrievalError | None


class WatchDetail(WatchAnswer):
    """A watch with its last polls that found something, or failed."""

    polls: list[PollAnswer]


class PrefetchAnswer(Answer):
    """The search for the priors of an order."""

    id: int
    order: str = Field(description="Its accession number.")
    clinic: str | None
    state: PrefetchState
    appointment_at: datetime | None
    run_at: datetime
    finished_at: datetime | None
    found: int = Field(description="Studies of the patient, in all sources that answered.")
    relevant: int = Field(description="Of these, the ones that are imported.")
    notes: list[str] = Field(description="What was left out, and who did not answer, in the caller's language.")
    imports: list[int]
