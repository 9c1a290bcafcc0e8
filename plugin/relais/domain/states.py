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


class VersionState(StrEnum):
    """Where one version of the configuration stands."""

    Draft = "Draft"
    Scheduled = "Scheduled"
    Active = "Active"
    Past = "Past"
    Discarded = "Discarded"


class MatchState(StrEnum):
    """Whose images a study has, as far as that is known."""

    Pending = "Pending"
    Matched = "Matched"
    Review = "Review"
    Unmatched = "Unmatched"


class MatchKind(StrEnum):
    """What one answer to "whose study is this" is; all but the first are a person's."""

    Automatic = "Automatic"
    Linked = "Linked"
    Nobody = "Nobody"
    Rejected = "Rejected"
    Undone = "Undone"
    Doubted = "Doubted"


class ReviewKind(StrEnum):
    """What a person is asked."""

    Match = "Match"
    SecondLook = "SecondLook"


class ReviewState(StrEnum):
    """Where a review stands."""

    Open = "Open"
    Resolved = "Resolved"
    Withdrawn = "Withdrawn"


class ReviewDecision(StrEnum):
    """What a person says in a review."""

    Link = "Link"
    NoMatch = "NoMatch"


class ReviewReason(StrEnum):
    """Why a person is asked, beside the reasons of matching itself (domain.matching.decision.Reason)."""

    NoClinic = "NoClinic"
    SeriesDiffer = "SeriesDiffer"
    Breaker = "Breaker"
    Changed = "Changed"
    SecondLook = "SecondLook"
    Doubted = "Doubted"
    Undone = "Undone"
    ByHand = "ByHand"


class BreakerReason(StrEnum):
    """Why automatic matching stopped."""

    Vetoes = "Vetoes"
    Errors = "Errors"


class ImportKind(StrEnum):
    """How patients come in bulk."""

    Upload = "Upload"
    File = "File"
    Fhir = "Fhir"
    Index = "Index"


class ImportState(StrEnum):
    """Where a bulk import of patients stands."""

    Running = "Running"
    Completed = "Completed"
    Failed = "Failed"
    Canceled = "Canceled"


class OrderState(StrEnum):
    """Where an order stands."""

    Scheduled = "Scheduled"
    InProgress = "InProgress"
    Completed = "Completed"
    Canceled = "Canceled"
    Expired = "Expired"


class StrayReason(StrEnum):
    """Why a study has no order, where there is a worklist."""

    NoAccessionNumber = "NoAccessionNumber"
    UnknownAccessionNumber = "UnknownAccessionNumber"
    AnotherClinic = "AnotherClinic"
    AnotherPatient = "AnotherPatient"
    Canceled = "Canceled"


class Cause(StrEnum):
    """Why studies are imported."""

    Person = "Person"
    Watch = "Watch"
    Prefetch = "Prefetch"


class RetrievalState(StrEnum):
    """Where the fetching of one study from a source stands."""

    Scheduled = "Scheduled"
    InProgress = "InProgress"
    Completed = "Completed"
    Failed = "Failed"
    Canceled = "Canceled"


class PrefetchState(StrEnum):
    """Where the search for an order's priors stands."""

    Scheduled = "Scheduled"
    Completed = "Completed"
    Failed = "Failed"
    Canceled = "Canceled"


S, D, N, T, V = StudyState, DeliveryState, NotificationState, TaskState, VersionState
R, I, O = ReviewState, ImportState, OrderState  # noqa: E741 - one letter each
Q, P = RetrievalState, PrefetchState

STUDY: dict[StudyState, frozenset[StudyState]] = {
    S.Receiving: frozenset({S.Receiving, S.Complete}),  # another image · quiet long enough
    S.Complete: frozenset({S.Receiving, S.Held, S.Routed}),  # a late image · decided
    S.Held: frozenset({S.Receiving, S.Held, S.Complete, S.Routed}),  # a late image · decided again
    S.Routed: frozenset({S.Receiving, S.Complete, S.Held, S.Routed}),
}

DELIVERY: dict[DeliveryState, frozenset[DeliveryState]] = {
    D.Scheduled: frozenset({D.Scheduled, D.InProgress, D.Completed, D.Failed, D.Held, D.Blocked, D.Canceled}),
    D.InProgress: frozenset({D.InProgress, D.Scheduled, D.Completed, D.Failed, D.Held, D.Blocked, D.Canceled}),
    D.Completed: frozenset({D.Scheduled, D.Blocked}),  # a late or corrected image, which may go there or not
    D.Failed: frozenset({D.Scheduled, D.Blocked, D.Canceled}),  # a person, or a new image
    D.Held: frozenset({D.Scheduled, D.Blocked, D.Canceled}),  # a person
    D.Blocked: frozenset({D.Scheduled, D.Blocked, D.Canceled}),  # it is permitted now, or refused for another reason
    D.Canceled: frozenset({D.Scheduled, D.Blocked}),  # a person, or a rule asks for it again
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

VERSION: dict[VersionState, frozenset[VersionState]] = {
    V.Draft: frozenset({V.Draft, V.Scheduled, V.Active, V.Discarded}),
    V.Scheduled: frozenset({V.Draft, V.Active, V.Discarded}),  # its gates closed, or a person withdrew it
    V.Active: frozenset({V.Past}),  # exactly one
    V.Past: frozenset(),  # rolling back makes a new version of it
    V.Discarded: frozenset(),
}

REVIEW: dict[ReviewState, frozenset[ReviewState]] = {
    R.Open: frozenset({R.Open, R.Resolved, R.Withdrawn}),  # the first of four eyes · decided · no longer asked
    R.Resolved: frozenset({R.Open}),  # undone
    R.Withdrawn: frozenset(),
}

IMPORT: dict[ImportState, frozenset[ImportState]] = {
    I.Running: frozenset({I.Running, I.Completed, I.Failed, I.Canceled}),
    I.Completed: frozenset(),
    I.Failed: frozenset({I.Running}),  # a person, or the next time of a schedule
    I.Canceled: frozenset({I.Running}),  # a person, of studies
}

ORDER: dict[OrderState, frozenset[OrderState]] = {
    # changed · the modality began · its study is here · a person or the CRM · not begun in time
    O.Scheduled: frozenset({O.Scheduled, O.InProgress, O.Completed, O.Canceled, O.Expired}),
    O.InProgress: frozenset({O.InProgress, O.Completed, O.Canceled, O.Expired}),
    O.Completed: frozenset({O.Scheduled}),  # its study turned out to be another's
    O.Canceled: frozenset({O.Scheduled}),  # scheduled again
    O.Expired: frozenset({O.Scheduled, O.InProgress, O.Completed, O.Canceled}),  # scheduled again · begun late
}

RETRIEVAL: dict[RetrievalState, frozenset[RetrievalState]] = {
    Q.Scheduled: frozenset({Q.Scheduled, Q.InProgress, Q.Canceled}),
    Q.InProgress: frozenset({Q.InProgress, Q.Scheduled, Q.Completed, Q.Failed, Q.Canceled}),
    Q.Completed: frozenset({Q.Scheduled}),  # a person asks for it again
    Q.Failed: frozenset({Q.Scheduled}),
    Q.Canceled: frozenset({Q.Scheduled}),
}

PREFETCH: dict[PrefetchState, frozenset[PrefetchState]] = {
    P.Scheduled: frozenset({P.Scheduled, P.Completed, P.Failed, P.Canceled}),
    P.Completed: frozenset({P.Scheduled, P.Canceled}),  # the order is for somebody else, or another day
    P.Failed: frozenset({P.Scheduled, P.Canceled}),
    P.Canceled: frozenset({P.Scheduled}),  # the order is back
}

FETCHING = frozenset({Q.Scheduled, Q.InProgress})
"""What comes of a study while one of its retrievals is in one of these comes from its source."""

OWED = frozenset({D.Scheduled, D.InProgress, D.Failed, D.Held, D.Blocked})
"""A study with a delivery in one of these must not be deleted."""


def sources_of(table: Mapping[State, frozenset[State]], state: State) -> frozenset[State]:
    """The states from which `state` may be entered."""
    return frozenset(start for start, ends in table.items() if state in ends)
