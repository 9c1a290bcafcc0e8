"""What the API answers about the CRM's patients."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import Field

from relais.domain.document import Problem
from relais.domain.states import ImportKind, ImportState
from relais.patient_store import Outcome
from relais.web.answers import Answer
from relais.web.language import Texts


class IdentifierAnswer(Answer):
    """An identifier, and who gave it."""

    system: str = ""
    value: str


class NameAnswer(Answer):
    """Another name."""

    use: str = "Usual"
    family_name: str = ""
    given_names: str = ""
    name: str = ""


class CrmPatientAnswer(Answer):
    """A patient as the CRM gave it; what it did not say is empty."""

    crm_id: str
    identifiers: list[IdentifierAnswer] = Field([])
    family_name: str = ""
    given_names: str = ""
    name: str = ""
    birth_name: str = ""
    names: list[NameAnswer] = Field([])
    birth_date: date | None = None
    sex: str = ""
    phones: list[str] = Field([])
    emails: list[str] = Field([])
    address: str = ""
    postal_code: str = ""
    region: str | None = None
    clinic: str | None = None
    labels: list[str] = Field([])
    active: bool = Field(True, description="Whether new studies may be this patient's.")
    merged_into: str | None = Field(None, description="The CrmId of the patient whose this record is.")
    changed_at: datetime

    @classmethod
    def of(cls, row: Any) -> CrmPatientAnswer:
        """From a row of `patient`."""
        return cls.model_validate({**row["document"], "MergedInto": row["merged_into"], "ChangedAt": row["changed_at"]})


class PatientPut(Answer):
    """The patient is stored."""

    done: bool = True
    outcome: Outcome = Field(description="Added, Changed or Unchanged.")


class PatientForgotten(Answer):
    """Nothing is left of the patient."""

    done: bool = True
    forgotten: list[str] = Field(description="The CrmId, and those of the records that were merged into it.")


class TroubleAnswer(Answer):
    """What is wrong with a line."""

    line: int
    path: str
    message: str


class ImportAnswer(Answer):
    """Where an import of patients stands."""

    id: int
    kind: ImportKind
    source: str = Field(description="The name of a file or of a FHIR server.")
    state: ImportState
    actor: str
    started_at: datetime
    finished_at: datetime | None
    next_line: int | None = Field(description="The number of the line that is awaited next, where lines are sent.")
    total: int | None = Field(description="Bytes of a file, patients of a server; null where it is not known.")
    done: int = Field(description="Bytes of a file, otherwise lines or patients, that were looked at.")
    accepted: int = Field(description="Patients that were added or changed.")
    unchanged: int
    refused: int
    problems: list[TroubleAnswer] = Field(description="The first hundred.")
    error: str | None = Field(description="Why it failed.")

    @classmethod
    def of(cls, row: Any, texts: Texts) -> ImportAnswer:
        """From a row of `patient_import`."""
        uploads = row["kind"] == ImportKind.Upload and row["state"] == ImportState.Running
        problems = [
            TroubleAnswer(
                line=each["Line"],
                path=each["Path"],
                message=texts.problem(Problem(each["Path"], each["Code"], {"name": "…", **each["Values"]})),
            )
            for each in row["problems"]
        ]
        return cls.model_validate(
            {
                **row,
                "next_line": row["position"]["Line"] + 1 if uploads else None,
                "problems": problems,
                "error": None if row["error"] is None else texts.problem(Problem("", row["error"]["Code"])),
            }
        )


class ImportBegun(Answer):
    """The import runs."""

    done: bool = True
    import_: int = Field(alias="Import", description="Its id.")


class PieceTaken(Answer):
    """The lines of a piece were taken."""

    done: bool = True
    next_line: int = Field(description="The number of the next line.")
