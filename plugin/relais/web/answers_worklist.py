"""What the API answers about orders."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from relais.domain.states import OrderState, StrayReason
from relais.patient_store import Outcome
from relais.texts import word
from relais.web.answers import Answer
from relais.web.errors import CONFLICTS, Detail
from relais.web.language import Texts
from relais.worklist.orders import Bulk, Stored

SHOWN = 100
"""Problems that are answered of a list; the first."""


class OrderAnswer(Answer):
    """One order."""

    id: int
    accession_number: str
    clinic: str | None
    crm_id: str | None
    state: OrderState
    scheduled_at: datetime
    day: str = Field(description="As the clinic's calendar has it, YYYYMMDD.")
    time: str = Field(description="As the clinic's clocks have it, HHMMSS.")
    station_aet: str = Field(alias="ScheduledStationAETitle", description="Empty: for any machine of the clinic.")
    modality: str
    study_instance_uid: str = Field(alias="StudyInstanceUID", description="The UID that machines are told to use.")
    study: str | None = Field(None, description="The StudyInstanceUID of the study that completed it.")
    expires_at: datetime
    completed_at: datetime | None
    order: dict[str, Any] = Field(description="Every DICOM keyword of it, those of the patient too.")

    @classmethod
    def of(cls, row: Any) -> OrderAnswer:
        """From a row of `queries.worklist`."""
        return cls.model_validate({**row, "study": row["arrived"], "order": row["document"]}, by_name=True)


class OrderPut(Answer):
    """The order is stored."""

    done: bool = True
    accession_number: str
    outcome: Outcome = Field(description="Added, Changed or Unchanged.")
    study_instance_uid: str = Field(alias="StudyInstanceUID", description="The UID that machines are told to use.")


class OrderTaken(Answer):
    """What came of a FHIR resource; without an accession number there was nothing to do."""

    done: bool = True
    accession_number: str | None
    outcome: str = Field(description="Added, Changed, Unchanged, Canceled or Nothing.")

    @classmethod
    def of(cls, found: Stored | str | None) -> OrderTaken:
        """What was stored, the number of what was canceled, or nothing."""
        if isinstance(found, Stored):
            return cls(accession_number=found.accession_number, outcome=found.outcome)
        return cls(accession_number=found, outcome="Nothing" if found is None else "Canceled")


class LineDetail(Detail):
    """What is wrong with a line."""

    line: int


class OrdersPut(Answer):
    """What came of the lines: how many of each outcome, how many were refused, and why the first of them."""

    added: int
    changed: int
    unchanged: int
    refused: int
    problems: list[LineDetail]

    @classmethod
    def of(cls, bulk: Bulk, texts: Texts) -> OrdersPut:
        """In the caller's language."""
        problems = [(line, each.path, _worded(each, texts)) for line, each in bulk.problems]
        problems += [
            (line, "AccessionNumber", texts.say(CONFLICTS[each.code], **each.values)) for line, each in bulk.conflicts
        ]
        return cls(
            added=bulk.outcomes[Outcome.Added],
            changed=bulk.outcomes[Outcome.Changed],
            unchanged=bulk.outcomes[Outcome.Unchanged],
            refused=bulk.refused,
            problems=[
                LineDetail(line=line, path=path, message=message) for line, path, message in sorted(problems)[:SHOWN]
            ],
        )


def _worded(problem: Any, texts: Texts) -> str:
    return word(problem, texts.language).removeprefix(f"{problem.path}: ")


class StrayAnswer(Answer):
    """A study without an order."""

    id: int
    study_instance_uid: str = Field(alias="StudyInstanceUID")
    received_at: datetime
    clinic: str | None
    modalities: list[str]
    accession_number: str
    stray: StrayReason = Field(
        description="NoAccessionNumber, UnknownAccessionNumber, AnotherClinic (the order is of another), "
        "AnotherPatient (the images name somebody else than the order) or Canceled (the order was)."
    )
    patient_name: str | None = Field(description="Null for callers who may not see patients.")
    crm_id: str | None

    @classmethod
    def of(cls, row: Any, *, patient: bool) -> StrayAnswer:
        """From a row of `study`."""
        shown = {
            "modalities": [each for each in row["modalities"].split("\\") if each],
            "patient_name": row["patient_name"] if patient else None,
            "crm_id": row["crm_id"] if patient else None,
        }
        return cls.model_validate({**row, **shown}, by_name=True)
