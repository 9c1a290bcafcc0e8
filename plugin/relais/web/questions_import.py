"""What the API is asked about imports, watches and prefetches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from relais.domain.document import Document, Flag, Name, OneOf, fault
from relais.domain.priority import Priority
from relais.domain.states import Cause, ImportState, PrefetchState
from relais.web.questions import Paging, Uid

MOST_STUDIES = 1_000


class ImportQuery(Paging):
    """Which imports."""

    state: Annotated[ImportState, OneOf(ImportState)] | None = Field(
        None, description="Where they stand.", examples=["Failed"]
    )
    source: str | None = Field(None, description="From where.", examples=["hospital"])
    cause: Annotated[Cause, OneOf(Cause)] | None = Field(None, description="Why they began.", examples=["Watch"])
    cause_id: str | None = Field(None, description="Name of the watch, or id of the prefetch.", examples=["new-ct"])


class SeriesWanted(Document):
    """One series of a study."""

    study_instance_uid: Uid = Field(
        alias="StudyInstanceUID", description="Its study.", examples=["1.2.826.0.1.3680043.8.498.1"]
    )
    series_instance_uid: Uid = Field(
        alias="SeriesInstanceUID", description="The series.", examples=["1.2.826.0.1.3680043.8.498.1.1"]
    )


class ImportOrder(Document):
    """What to fetch from which source."""

    source: Name = Field(description="The name of a source that you may ask.", examples=["hospital"])
    studies: tuple[Uid, ...] = Field(
        (), description="StudyInstanceUIDs of whole studies.", examples=[["1.2.826.0.1.3680043.8.498.1"]]
    )
    series: tuple[SeriesWanted, ...] = Field(
        (),
        description="Single series, where not all of a study is wanted.",
        examples=[
            [
                {
                    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.2",
                    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.2.1",
                }
            ]
        ],
    )
    route: Flag = Field(
        default=True,
        description="Whether what comes is delivered as the rules say; else it is only kept.",
        examples=[False],
    )
    priority: Annotated[Priority, OneOf(Priority)] = Field(
        Priority.Routine,
        description="How urgent it is.",
        examples=["Urgent"],
        json_schema_extra={"default": Priority.Routine.name},
    )
    reason: Annotated[str, StringConstraints(max_length=500)] = Field(
        "", description="Why, in a person's words; the audit keeps it.", examples=["second opinion"]
    )

    @model_validator(mode="after")
    def _some(self) -> ImportOrder:
        several = len(self.studies) + len(self.series)
        if several == 0:
            raise fault("nothing-to-import")
        if several > MOST_STUDIES:
            raise fault("too-many", limit=MOST_STUDIES)
        return self


class PrefetchQuery(Paging):
    """Which searches for priors."""

    state: Annotated[PrefetchState, OneOf(PrefetchState)] | None = Field(
        None, description="Where they stand.", examples=["Completed"]
    )
    accession_number: str | None = Field(None, description="Of their order.", examples=["A1001"])
