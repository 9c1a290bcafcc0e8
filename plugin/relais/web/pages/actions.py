"""What a person may do from a page: each button posts to a route of the API, with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relais.domain.states import DeliveryState, StudyState
from relais.texts import _


@dataclass(frozen=True, kw_only=True)
class Action:
    """`route` is the API's; `undo` names the action that takes it back, for some seconds."""

    route: str
    word: str
    ask: str
    done: str
    undo: str | None = None


STUDY: Mapping[str, Action] = {
    "hold": Action(
        route="studies/<uid:StudyInstanceUID>/hold",
        word=_("Hold"),
        ask=_("Keep the study and its deliveries back?"),
        done=_("The study is held"),
        undo="release",
    ),
    "release": Action(
        route="studies/<uid:StudyInstanceUID>/release",
        word=_("Release"),
        ask=_("Release the study, and let the rules decide again?"),
        done=_("The study is released"),
        undo="hold",
    ),
    "route": Action(
        route="studies/<uid:StudyInstanceUID>/route",
        word=_("Decide again"),
        ask=_("Ask the rules again where the study goes?"),
        done=_("The rules are asked again"),
    ),
}

DELIVERY: Mapping[str, Action] = {
    "retry": Action(
        route="deliveries/<id:Id>/retry",
        word=_("Retry"),
        ask=_("Try this delivery now?"),
        done=_("The delivery is tried now"),
    ),
    "hold": Action(
        route="deliveries/<id:Id>/hold",
        word=_("Hold"),
        ask=_("Send no more of this delivery until it is released?"),
        done=_("The delivery is held"),
        undo="release",
    ),
    "release": Action(
        route="deliveries/<id:Id>/release",
        word=_("Release"),
        ask=_("Let this delivery go on?"),
        done=_("The delivery goes on"),
        undo="hold",
    ),
    "cancel": Action(
        route="deliveries/<id:Id>/cancel",
        word=_("Cancel"),
        ask=_("Owe this destination the study no longer?"),
        done=_("The delivery is canceled"),
        undo="retry",
    ),
}

DESTINATION: Mapping[str, Action] = {
    "pause": Action(
        route="destinations/<name:Name>/pause",
        word=_("Pause"),
        ask=_("Start no more deliveries to this destination?"),
        done=_("The destination is paused"),
        undo="resume",
    ),
    "resume": Action(
        route="destinations/<name:Name>/resume",
        word=_("Resume"),
        ask=_("Deliver to this destination again?"),
        done=_("The destination is open"),
        undo="pause",
    ),
    "probe": Action(
        route="destinations/<name:Name>/resume",
        word=_("Try now"),
        ask=_("Try to reach this destination now?"),
        done=_("The destination is tried now"),
    ),
}

SUBSCRIBER: Mapping[str, Action] = {
    "enable": Action(
        route="subscribers/<name:Name>/enable",
        word=_("Enable"),
        ask=_("Tell this subscriber again, and what it has missed?"),
        done=_("The subscriber is enabled"),
    ),
}

NOTIFICATION: Mapping[str, Action] = {
    "redeliver": Action(
        route="notifications/<id:Id>/redeliver",
        word=_("Send again"),
        ask=_("Send this event to its subscriber once more?"),
        done=_("The event is sent again"),
    ),
}

TASK: Mapping[str, Action] = {
    "restart": Action(
        route="tasks/<id:Id>/restart",
        word=_("Restart"),
        ask=_("Try this task afresh?"),
        done=_("The task is tried afresh"),
    ),
}

KINDS = {
    "study": STUDY,
    "delivery": DELIVERY,
    "destination": DESTINATION,
    "subscriber": SUBSCRIBER,
    "notification": NOTIFICATION,
    "task": TASK,
}

D = DeliveryState

OF_DELIVERY: Mapping[DeliveryState, tuple[str, ...]] = {
    D.Scheduled: ("retry", "hold", "cancel"),
    D.InProgress: ("hold", "cancel"),
    D.Completed: (),
    D.Failed: ("retry", "cancel"),
    D.Held: ("release", "cancel"),
    D.Blocked: ("retry", "cancel"),
    D.Canceled: ("retry",),
}
"""What a person may do to a delivery in each state."""

OF_LANE = {"Open": ("pause",), "Waiting": ("probe", "pause"), "Down": ("probe", "pause"), "Paused": ("resume",)}
"""What a person may do to a destination in each state."""


def of_study(state: StudyState, held_by: str | None) -> tuple[str, ...]:
    """What a person may do to a study: only a person's own hold is released; a rule's hold is decided again."""
    if held_by is not None:
        return ("release",)
    return ("hold",) if state is StudyState.Receiving else ("route", "hold")
