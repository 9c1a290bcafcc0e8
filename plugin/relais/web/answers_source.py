"""What the API answers about sources, and of what they answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from relais.domain.querying import SourceState
from relais.web.answers import Answer
from relais.web.answers_destination import WindowAnswer


class LastTest(Answer):
    """The newest test of a connection."""

    id: int
    at: datetime
    grade: str = Field(description="Passed, Warning or Failed.")


class SourceAnswer(Answer):
    """A PACS that can be asked."""

    name: str
    kind: str = Field(description="Dicom or DicomWeb.")
    profile: str
    address: str = Field(description="Where it is, as a person reads it, such as PACS@10.0.0.5:104 or a URL.")
    calling_aet: str | None = Field(description="Our AE title towards it; null for DicomWeb.")
    retrieve: str = Field(description="C-MOVE, C-GET or WADO-RS.")
    move_to: str | None = Field(description="The AE title to which a C-MOVE sends.")
    levels: list[str]
    limit: int | None = Field(description="The number of answers at which it cuts; 0 if never, null if nobody knows.")
    timeout_seconds: int
    clinics: list[str] = Field(description="The clinics whose people may ask it; * is all.")
    clinic: str | None = Field(description="To which its imports belong.")
    concurrency: int
    windows: list[WindowAnswer]
    studies_per_hour: int | None
    same_as: list[str] = Field(description="Destinations that are the same system: nothing is sent back to them.")
    may_ask: bool = Field(description="Whether the caller may ask it.")
    last_test: LastTest | None


class AskedAnswer(Answer):
    """How one source took the question."""

    name: str
    state: SourceState = Field(description="Waiting, Answered, Truncated, TimedOut, Refused or Unreachable.")
    milliseconds: int | None = Field(description="Null while it is being asked.")
    count: int = Field(description="Answers so far.")
    error: str | None = Field(description="Why it did not answer, in the caller's language.")


class QueryAnswer(Answer):
    """What there is so far of one question."""

    id: str
    state: str = Field(description="Running, Completed or Ended.")
    sources: list[AskedAnswer]
    answers: list[dict[str, Any]] = Field(
        description="DICOM keywords as texts, the newest first; Sources has everyone who has it, Differs each "
        "attribute about which they do not agree, with every Source and Value."
    )
    truncated: bool = Field(description="Whether more was found than Limit.")
    notes: list[str] = Field(description="What to know of the answers, in the caller's language.")
