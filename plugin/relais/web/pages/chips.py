"""State, the same everywhere: a word, a shape and a colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relais.domain.querying import SourceState
from relais.domain.states import (
    DeliveryState,
    ImportState,
    MatchState,
    NotificationState,
    OrderState,
    PrefetchState,
    RetrievalState,
    ReviewState,
    StudyState,
    TaskState,
)
from relais.texts import _


@dataclass(frozen=True)
class Chip:
    """`tone` names both shape and colour: waiting, moving, done, person, failed, blocked or ended."""

    word: str
    tone: str


S, D, N, T = StudyState, DeliveryState, NotificationState, TaskState

STUDY = {
    S.Receiving: Chip(_("Receiving"), "waiting"),
    S.Complete: Chip(_("Complete"), "moving"),
    S.Held: Chip(_("Held"), "person"),
    S.Routed: Chip(_("Routed"), "done"),
}

DELIVERY = {
    D.Scheduled: Chip(_("Scheduled"), "waiting"),
    D.InProgress: Chip(_("In progress"), "moving"),
    D.Completed: Chip(_("Completed"), "done"),
    D.Failed: Chip(_("Failed"), "failed"),
    D.Held: Chip(_("Held"), "person"),
    D.Blocked: Chip(_("Blocked"), "blocked"),
    D.Canceled: Chip(_("Canceled"), "ended"),
}

NOTIFICATION = {
    N.Scheduled: Chip(_("Scheduled"), "waiting"),
    N.Completed: Chip(_("Delivered"), "done"),
    N.Failed: Chip(_("Failed"), "failed"),
    N.Canceled: Chip(_("Canceled"), "ended"),
}

TASK = {
    T.Waiting: Chip(_("Waiting"), "waiting"),
    T.Running: Chip(_("In progress"), "moving"),
    T.Dead: Chip(_("Given up"), "failed"),
}

LANE = {
    "Open": Chip(_("Open"), "done"),
    "Waiting": Chip(_("Trying again"), "waiting"),
    "Down": Chip(_("Down"), "failed"),
    "Paused": Chip(_("Paused"), "person"),
}

SUBSCRIBER = {True: Chip(_("Enabled"), "done"), False: Chip(_("Disabled"), "person")}

CHECK = {True: Chip(_("Well"), "done"), False: Chip(_("Not well"), "failed")}

RULE = {
    "Held": Chip(_("Applied"), "done"),
    "Failed": Chip(_("Did not apply"), "ended"),
    "NotAsked": Chip(_("Not asked"), "ended"),
    "Disabled": Chip(_("Switched off"), "ended"),
    "NotInForce": Chip(_("Not in force"), "ended"),
}

GRADE = {
    "Passed": Chip(_("Passed"), "done"),
    "Warning": Chip(_("Warning"), "person"),
    "Failed": Chip(_("Failed"), "failed"),
    "Skipped": Chip(_("Not tried"), "ended"),
}

MATCH = {
    MatchState.Pending: Chip(_("Not asked yet"), "waiting"),
    MatchState.Matched: Chip(_("Matched"), "done"),
    MatchState.Review: Chip(_("A person must say"), "person"),
    MatchState.Unmatched: Chip(_("Nobody of the CRM"), "ended"),
}

REVIEW = {
    ReviewState.Open: Chip(_("Waiting"), "person"),
    ReviewState.Resolved: Chip(_("Decided"), "done"),
    ReviewState.Withdrawn: Chip(_("Withdrawn"), "ended"),
}

IMPORT = {
    ImportState.Running: Chip(_("In progress"), "moving"),
    ImportState.Completed: Chip(_("Completed"), "done"),
    ImportState.Failed: Chip(_("Failed"), "failed"),
    ImportState.Canceled: Chip(_("Canceled"), "ended"),
}

ASKED = {
    SourceState.Waiting: Chip(_("Asking"), "moving"),
    SourceState.Answered: Chip(_("Answered"), "done"),
    SourceState.Truncated: Chip(_("Has more"), "person"),
    SourceState.TimedOut: Chip(_("No answer"), "failed"),
    SourceState.Refused: Chip(_("Refused"), "failed"),
    SourceState.Unreachable: Chip(_("Not reached"), "failed"),
}

RETRIEVAL = {
    RetrievalState.Scheduled: Chip(_("Scheduled"), "waiting"),
    RetrievalState.InProgress: Chip(_("In progress"), "moving"),
    RetrievalState.Completed: Chip(_("Completed"), "done"),
    RetrievalState.Failed: Chip(_("Failed"), "failed"),
    RetrievalState.Canceled: Chip(_("Canceled"), "ended"),
}

WATCH = {
    "Waiting": Chip(_("Well"), "done"),
    "Polling": Chip(_("Asking"), "moving"),
    "Failing": Chip(_("Trying again"), "failed"),
    "Paused": Chip(_("Paused"), "person"),
}

PREFETCH = {
    PrefetchState.Scheduled: Chip(_("Scheduled"), "waiting"),
    PrefetchState.Completed: Chip(_("Completed"), "done"),
    PrefetchState.Failed: Chip(_("Failed"), "failed"),
    PrefetchState.Canceled: Chip(_("Canceled"), "ended"),
}

ORDER = {
    OrderState.Scheduled: Chip(_("Scheduled"), "waiting"),
    OrderState.InProgress: Chip(_("In progress"), "moving"),
    OrderState.Completed: Chip(_("Completed"), "done"),
    OrderState.Canceled: Chip(_("Canceled"), "ended"),
    OrderState.Expired: Chip(_("Expired"), "person"),
}

KINDS: Mapping[str, Mapping[Any, Chip]] = {
    "study": STUDY,
    "delivery": DELIVERY,
    "notification": NOTIFICATION,
    "task": TASK,
    "lane": LANE,
    "subscriber": SUBSCRIBER,
    "check": CHECK,
    "rule": RULE,
    "grade": GRADE,
    "match": MATCH,
    "import": IMPORT,
    "review": REVIEW,
    "asked": ASKED,
    "retrieval": RETRIEVAL,
    "watch": WATCH,
    "prefetch": PREFETCH,
    "order": ORDER,
}
"""Every chip, by what it stands for and the state."""


def chip_of(kind: str, state: Any) -> Chip:
    """The chip of a state; one that is not known stays readable."""
    return KINDS[kind].get(state) or Chip(str(state), "ended")
