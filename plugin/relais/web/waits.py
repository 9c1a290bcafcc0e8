"""Why a delivery waits, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, RowMapping

from relais.configuration import Configuration, Destination
from relais.database import queries
from relais.domain.states import DeliveryState, StudyState
from relais.domain.windows import next_open
from relais.texts import _
from relais.web.answers import Answer


class WaitsFor(StrEnum):
    """What stands between a delivery and its next image."""

    Person = "Person"  # it is held or given up
    Law = "Law"  # it may not go there: it is judged again then, or when something changes
    Paused = "Paused"  # somebody paused its lane
    Down = "Down"  # its lane's peer could not be reached: it is tried again then
    Window = "Window"  # the destination takes nothing at this time of the day
    Bandwidth = "Bandwidth"  # what was sent before uses it up
    Backoff = "Backoff"  # its last attempt failed
    Proof = "Proof"  # everything is sent; the destination's word is awaited
    Images = "Images"  # the study still arrives
    Turn = "Turn"  # others are before it


WORDS: Mapping[WaitsFor, str] = {
    WaitsFor.Person: _("a person to decide"),
    WaitsFor.Law: _("the law to allow it"),
    WaitsFor.Paused: _("its lane to be resumed"),
    WaitsFor.Down: _("the destination to be reached"),
    WaitsFor.Window: _("the window to open"),
    WaitsFor.Bandwidth: _("bandwidth"),
    WaitsFor.Backoff: _("its next attempt"),
    WaitsFor.Proof: _("the destination's proof"),
    WaitsFor.Images: _("further images"),
    WaitsFor.Turn: _("its turn"),
}
"""What it waits for, as the end of a sentence."""


class Waits(Answer):
    """Why a delivery waits."""

    for_: WaitsFor = Field(
        alias="For",
        description="Person, Law, Paused, Down (its lane's peer), Window, Bandwidth, Backoff, Proof, Images or Turn.",
    )
    until: datetime | None = Field(description="Null where nobody knows.")


class Waiting:
    """Tells of the deliveries of one request what they wait for: lanes and windows are looked up once."""

    def __init__(self, connection: Connection, configuration: Configuration, now: datetime) -> None:
        self._configuration = configuration
        self._now = now
        self._lanes = queries.lanes.gates(connection)
        self._opens: dict[tuple[str, str | None], datetime] = {}

    def of(self, row: RowMapping) -> Waits | None:
        """Why this row of `queries.deliveries` waits; None when it moves, or is over."""
        state = row["state"]
        if state in (DeliveryState.Completed, DeliveryState.Canceled):
            return None
        if state == DeliveryState.Blocked:
            return Waits(for_=WaitsFor.Law, until=row["next_attempt"])
        if state in (DeliveryState.Held, DeliveryState.Failed) or row["held_by"]:
            return Waits(for_=WaitsFor.Person, until=None)
        if state == DeliveryState.InProgress:
            return self._under_way(row)
        destination = self._configuration.destinations.get(row["destination"])
        lane = self._lanes.get(queries.lanes.lane_of(row["destination"]))
        return (
            self._lane_is_shut(lane)
            or self._window_is_shut(row, destination)
            or self._not_yet(row, destination, lane)
            or Waits(for_=WaitsFor.Images if _is_through(row) else WaitsFor.Turn, until=None)
        )

    def _under_way(self, row: RowMapping) -> Waits | None:
        if (row["proof"] or {}).get("AskedAt"):
            return Waits(for_=WaitsFor.Proof, until=row["next_attempt"])
        return Waits(for_=WaitsFor.Images, until=None) if _is_through(row) else None

    def _lane_is_shut(self, lane: Any) -> Waits | None:
        if lane is None:
            return None
        if lane.paused_at is not None:
            return Waits(for_=WaitsFor.Paused, until=None)
        if lane.failures and lane.probe_at is not None and lane.probe_at > self._now:
            return Waits(for_=WaitsFor.Down, until=lane.probe_at)
        return None

    def _window_is_shut(self, row: RowMapping, destination: Destination | None) -> Waits | None:
        if destination is None or not destination.windows:
            return None
        key = (row["destination"], row["clinic"])
        if key not in self._opens:
            clinic = self._configuration.clinics.get(row["clinic"] or "")
            zone = clinic.time_zone if clinic else "UTC"
            self._opens[key] = next_open(destination.windows, zone, self._now)
        opens = self._opens[key]
        return Waits(for_=WaitsFor.Window, until=opens) if opens > self._now else None

    def _not_yet(self, row: RowMapping, destination: Destination | None, lane: Any) -> Waits | None:
        due = row["next_attempt"]
        if due is None or due <= self._now:
            return None
        if row["last_error"]:
            return Waits(for_=WaitsFor.Backoff, until=due)
        if destination is not None and destination.bandwidth and lane is not None and lane.bandwidth_free_at:
            return Waits(for_=WaitsFor.Bandwidth, until=due)
        return Waits(for_=WaitsFor.Turn, until=due)


def _is_through(row: RowMapping) -> bool:
    """Whether everything that has come is sent, and more may come."""
    return bool(row["study_state"] == StudyState.Receiving and row["mark"] >= row["sequence"])
