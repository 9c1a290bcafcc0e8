"""States and the transitions that are allowed between them, as tables.

Each table is the only place that says what may follow what: the guards in SQL, the tests and the manual read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)


class StudyState(StrEnum):
    """Where a study stands."""

    Receiving = "Receiving"
    Complete = "Complete"
    Held = "Held"
    Routed = "Routed"


class DeliveryState(StrEnum):
    """Where one study's delivery to one destination stands."""

    Scheduled = "Scheduled"
    InProgress = "InProgress"
    Completed = "Completed"
    Failed = "Failed"
    Held = "Held"
    Blocked = "Blocked"
    Canceled = "Canceled"


class NotificationState(StrEnum):
    """Where one event's notification of one subscriber stands."""

    Scheduled = "Scheduled"
    Completed = "Completed"
    Failed = "Failed"
    Canceled = "Canceled"


class TaskState(StrEnum):
    """Where a durable task stands; a finished task is deleted."""

    Waiting = "Waiting"
    Running = "Running"
    Dead = "Dead"


S, D, N, T = StudyState, DeliveryState, NotificationState, TaskState

STUDY: dict[StudyState, frozenset[StudyState]] = {
    S.Receiving: frozenset({S.Receiving, S.Complete}),  # another image · quiet long enough
    S.Complete: frozenset({S.Receiving, S.Held, S.Routed}),  # a late image · decided
    S.Held: frozenset({S.Receiving, S.Held, S.Complete, S.Routed}),  # a late image · decided again
    S.Routed: frozenset({S.Receiving, S.Complete, S.Held, S.Routed}),
}

DELIVERY: dict[DeliveryState, frozenset[DeliveryState]] = {
    D.Scheduled: frozenset({D.Scheduled, D.InProgress, D.Completed, D.Failed, D.Held, D.Blocked, D.Canceled}),
    D.InProgress: frozenset({D.InProgress, D.Scheduled, D.Completed, D.Failed, D.Held, D.Blocked, D.Canceled}),
    D.Completed: frozenset({D.Scheduled}),  # a late or corrected image
    D.Failed: frozenset({D.Scheduled, D.Canceled}),  # a person, or a new image
    D.Held: frozenset({D.Scheduled, D.Canceled}),  # a person
    D.Blocked: frozenset({D.Scheduled, D.Canceled}),  # the configuration permits it now
    D.Canceled: frozenset({D.Scheduled}),  # a person
}

NOTIFICATION: dict[NotificationState, frozenset[NotificationState]] = {
    N.Scheduled: frozenset({N.Scheduled, N.Completed, N.Failed, N.Canceled}),
    N.Completed: frozenset({N.Scheduled}),  # a person asks for it again
    N.Failed: frozenset({N.Scheduled}),
    N.Canceled: frozenset({N.Scheduled}),
}

TASK: dict[TaskState, frozenset[TaskState]] = {
    T.Waiting: frozenset({T.Waiting, T.Running}),
    T.Running: frozenset({T.Waiting, T.Dead}),  # retried, or asked for again · given up
    T.Dead: frozenset({T.Waiting}),  # a person
}

OWED = frozenset({D.Scheduled, D.InProgress, D.Failed, D.Held, D.Blocked})
"""A study with a delivery in one of these must not be deleted."""


def sources_of(table: Mapping[State, frozenset[State]], state: State) -> frozenset[State]:
    """The states from which `state` may be entered."""
    return frozenset(start for start, ends in table.items() if state in ends)
