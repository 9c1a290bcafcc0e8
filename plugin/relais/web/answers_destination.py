"""What the API answers about a destination: its lane now and over the last hours, and what it changes in images."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from relais.web.answers import Answer
from relais.web.answers_delivery import ErrorWords


class WindowAnswer(Answer):
    """A span of the day in which a destination may be sent to."""

    days: list[str]
    from_: str = Field(alias="From")
    to: str = Field(description="00:00 is the end of the day.")


class DestinationAnswer(Answer):
    """A destination and the state of its lane."""

    name: str
    kind: str
    address: str = Field(description="Where it is, as a person reads it, such as VNA@10.0.0.9:104 or a URL.")
    concurrency: int
    bandwidth: float | None = Field(description="Megabits a second.")
    windows: list[WindowAnswer] = Field(
        description="When it may be sent to, in the clinic's time zone; always if none."
    )
    proof: str = Field(description="What completes a delivery: Stored, Queried or Committed.")
    start: str = Field(description="OnComplete or WhileReceiving.")
    failover_to: str | None
    transforms: bool = Field(description="Whether it receives anything else than what is stored.")
    state: str = Field(description="Open, Waiting (its last attempt failed), Down or Paused.")
    backlog: int = Field(description="Deliveries that wait or are under way.")
    counts: dict[str, int] = Field(description="What is owed, by state of the delivery.")
    oldest: datetime | None = Field(description="Since when the oldest of the backlog is owed.")
    completed_last_day: int
    failures: int = Field(description="Failed attempts in a row.")
    down_since: datetime | None
    next_probe: datetime | None
    bandwidth_free_at: datetime | None = Field(description="Until when what was sent uses the bandwidth up.")
    paused_at: datetime | None
    paused_reason: str | None
    last_error: dict[str, Any] | None


class HourAnswer(Answer):
    """One hour of a destination."""

    at: datetime = Field(description="Its beginning.")
    instances: int = Field(description="Images that got through.")
    bytes: int
    failures: int = Field(description="Attempts that failed.")
    completed: int = Field(description="Deliveries that were completed.")
    latency_median: float | None = Field(description="Seconds from being owed to being there.")
    latency_p95: float | None = Field(alias="LatencyP95", description="The 95th percentile of it.")
    backlog: int = Field(description="Deliveries that waited at its end.")


class HistoryAnswer(Answer):
    """A destination over the last hours, the oldest first; the last one still runs."""

    name: str
    items: list[HourAnswer]


class ChangeAnswer(Answer):
    """An attribute that the destination receives otherwise than it is stored."""

    path: str = Field(description="Its keyword, such as RequestAttributesSequence[0].AccessionNumber.")
    before: str | None = Field(description="Null where it is added.")
    after: str | None = Field(description="Null where it is taken out.")


class ComparisonAnswer(Answer):
    """An image before and after the transformation of a destination; nothing was sent."""

    study_instance_uid: str = Field(alias="StudyInstanceUID")
    sop_instance_uid: str = Field(alias="SOPInstanceUID")
    changes: list[ChangeAnswer]
    refused: ErrorWords | None = Field(description="Why the destination would not receive it at all.")
