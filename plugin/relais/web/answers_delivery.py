"""What the API answers about one delivery, and about what was done to many."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from relais.web.answers import Answer, DeliveryAnswer
from relais.web.waits import Waits


class ErrorWords(Answer):
    """Why something did not get through, as data and in words."""

    error_class: str = Field(alias="Class", description="Transient, Permanent or Configuration.")
    code: str = Field(description="The protocol's own, such as A700, or a word such as refused.")
    text: str = Field(description="What was said, in technical words.")
    what: str = Field(description="What happened, in the caller's language.")
    advice: str = Field(description="What helps, in the caller's language.")
    refused: int | None = Field(None, description="How many instances it is about, where not all.")


class AttemptAnswer(Answer):
    """One batch that was sent, or not."""

    started_at: datetime
    finished_at: datetime
    instances: int
    bytes: int
    error: ErrorWords | None


class GapAnswer(Answer):
    """An instance that was sent, or meant to be, and that the destination has not."""

    sop_instance_uid: str = Field(alias="SOPInstanceUID")
    wanted: bool = Field(description="Whether it is sent again by itself; else it waits for a person.")
    error: ErrorWords


class DeliveryDetail(DeliveryAnswer):
    """A delivery with what it waits for, its gaps and its latest attempts, newest first."""

    owed_since: datetime = Field(description="Since when the oldest of what is not there is owed.")
    waits: Waits | None = Field(description="Null while it moves, and when it is over.")
    gaps: list[GapAnswer] = Field(description="The first 200.")
    gaps_in_all: int
    history: list[AttemptAnswer]


class Redirected(Answer):
    """The study is owed to another destination."""

    done: bool = True
    delivery: int = Field(description="The delivery there.")


class Refused(Answer):
    """A delivery to which it could not be done."""

    id: int
    error: str = Field(description="Why, in the caller's language.")


class BulkAnswer(Answer):
    """What became of one piece; repeat with Next as Since until nothing is left."""

    done: int
    changed: list[int] = Field(description="The deliveries to which it was done.")
    refused: list[Refused]
    left: int = Field(description="How many more there are; counted up to 100,000.")
    next: str | None = Field(description="What to give as Since for the next piece; null when nothing is left.")


def error_values(error: Mapping[str, Any], words: tuple[str, str]) -> dict[str, Any]:
    """The values of ErrorWords, from an error as it is stored and its words."""
    what, advice = words
    return {
        "Class": error.get("Class", ""),
        "code": error.get("Code", ""),
        "text": error.get("Text", ""),
        "refused": error.get("Refused"),
        "what": what,
        "advice": advice,
    }
