"""What a person may do from a page: each button posts to a route of the API, with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relais.bulk import APPLIES
from relais.domain.states import DeliveryState, StudyState
from relais.texts import _


@dataclass(frozen=True)
class Action:
    """A button's word, the question it asks and what is said when it is done; `route` is the API's.

    `undo` names the action that takes it back, for some seconds. `chooses` names what is chosen
    as well, `flag` and `flag_word` what may be ticked, and `meanwhile` what is said while it takes long.
    """

    word: str
    ask: str
    done: str
    route: str = ""
    undo: str | None = None
    chooses: str = ""
    flag: str | None = None
    flag_word: str = ""
    meanwhile: str = ""


HOLD, RELEASE, RETRY = _("Hold"), _("Release"), _("Retry")

KINDS: Mapping[str, tuple[str, Mapping[str, Action]]] = {
    "study": (
        "studies/<uid:StudyInstanceUID>",
        {
            "hold": Action(HOLD, _("Keep the study and its deliveries back?"), _("The study is held"), undo="release"),
            "release": Action(
                RELEASE,
                _("Release the study, and let the rules decide again?"),
                _("The study is released"),
                undo="hold",
            ),
            "route": Action(
                _("Decide again"), _("Ask the rules again where the study goes?"), _("The rules are asked again")
            ),
            "tie": Action(
                _("Choose its order"),
                _("Which order was this study made for?"),
                _("The study has its order"),
                route="order",
                undo="untie",
                chooses="AccessionNumber",
            ),
            "untie": Action(
                _("Take the order back"),
                _("Let the images alone say of which order the study is?"),
                _("It was taken back of which order the study is"),
                route="order/undo",
            ),
        },
    ),
    "delivery": (
        "deliveries/<id:Id>",
        {
            "retry": Action(RETRY, _("Try this delivery now?"), _("The delivery is tried now")),
            "hold": Action(
                HOLD,
                _("Send no more of this delivery until it is released?"),
                _("The delivery is held"),
                undo="release",
            ),
            "release": Action(RELEASE, _("Let this delivery go on?"), _("The delivery goes on"), undo="hold"),
            "cancel": Action(
                _("Cancel"), _("Owe this destination the study no longer?"), _("The delivery is canceled"), undo="retry"
            ),
            "redirect": Action(
                _("Redirect"),
                _("Owe the study to another destination instead?"),
                _("The study is owed to the other destination"),
                chooses="Destination",
            ),
        },
    ),
    "deliveries": (
        "deliveries",
        {
            "retry": Action(RETRY, _("Try these deliveries now?"), _("They are tried now")),
            "hold": Action(
                HOLD, _("Send no more of these until they are released?"), _("They are held"), undo="release"
            ),
            "release": Action(RELEASE, _("Let these deliveries go on?"), _("They go on"), undo="hold"),
            "cancel": Action(_("Cancel"), _("Owe these studies no longer?"), _("They are canceled")),
            "redirect": Action(
                _("Redirect"),
                _("Owe these studies to another destination instead?"),
                _("They are owed to the other destination"),
                chooses="Destination",
            ),
        },
    ),
    "destination": (
        "destinations/<name:Name>",
        {
            "pause": Action(
                _("Pause"),
                _("Start no more deliveries to this destination?"),
                _("The destination is paused"),
                undo="resume",
            ),
            "resume": Action(
                _("Resume"), _("Deliver to this destination again?"), _("The destination is open"), undo="pause"
            ),
            "probe": Action(
                _("Try now"), _("Try to reach this destination now?"), _("The destination is tried now"), route="resume"
            ),
            "test": Action(
                _("Test now"),
                _("Test the connection to this destination?"),
                _("The connection is tested"),
                flag="Store",
                flag_word=_("Store a test image too, and look for it (most archives cannot delete it)"),
                meanwhile=_("The connection is being tested …"),
            ),
        },
    ),
    "source": (
        "sources/<name:Name>",
        {
            "test": Action(
                _("Test now"),
                _("Test the connection to this PACS?"),
                _("The connection is tested"),
                meanwhile=_("The connection is being tested …"),
            ),
        },
    ),
    "import": (
        "imports/<id:Id>",
        {
            "cancel": Action(
                _("Cancel"), _("Fetch no more of this import?"), _("The import is canceled"), undo="retry"
            ),
            "retry": Action(RETRY, _("Ask again for what is missing?"), _("What is missing is asked for again")),
        },
    ),
    "watch": (
        "watches/<name:Name>",
        {
            "poll": Action(_("Ask now"), _("Ask this PACS now what is new?"), _("The PACS is asked now")),
            "pause": Action(
                _("Pause"), _("Ask this PACS no more until it is resumed?"), _("The watch is paused"), undo="resume"
            ),
            "resume": Action(_("Resume"), _("Ask this PACS again?"), _("The watch goes on"), undo="pause"),
        },
    ),
    "order": (
        "worklist/<accession:AccessionNumber>",
        {
            "cancel": Action(_("Cancel"), _("Give this order to no machine any more?"), _("The order is canceled")),
        },
    ),
    "subscriber": (
        "subscribers/<name:Name>",
        {
            "enable": Action(
                _("Enable"), _("Tell this subscriber again, and what it has missed?"), _("The subscriber is enabled")
            ),
        },
    ),
    "notification": (
        "notifications/<id:Id>",
        {
            "redeliver": Action(
                _("Send again"), _("Send this event to its subscriber once more?"), _("The event is sent again")
            ),
        },
    ),
    "task": (
        "tasks/<id:Id>",
        {"restart": Action(_("Restart"), _("Try this task afresh?"), _("The task is tried afresh"))},
    ),
}
"""For each kind of thing where its routes begin, and its actions by name."""


def action_of(kind: str, name: str) -> Action:
    """One action."""
    return KINDS[kind][1][name]


def route_of(kind: str, name: str) -> str:
    """The route that it posts to."""
    prefix, several = KINDS[kind]
    return f"{prefix}/{several[name].route or name}"


D = DeliveryState

OF_DELIVERY: Mapping[DeliveryState, tuple[str, ...]] = {
    D.Scheduled: ("retry", "hold", "redirect", "cancel"),
    D.InProgress: ("hold", "redirect", "cancel"),
    D.Completed: ("redirect",),
    D.Failed: ("retry", "redirect", "cancel"),
    D.Held: ("release", "redirect", "cancel"),
    D.Blocked: ("retry", "redirect", "cancel"),
    D.Canceled: ("retry", "redirect"),
}
"""What a person may do to a delivery in each state."""

OF_LANE = {"Open": ("pause",), "Waiting": ("probe", "pause"), "Down": ("probe", "pause"), "Paused": ("resume",)}
"""What a person may do to a destination in each state."""


def of_study(state: StudyState, held_by: str | None) -> tuple[str, ...]:
    """What a person may do to a study: only a person's own hold is released; a rule's hold is decided again."""
    if held_by is not None:
        return ("release",)
    return ("hold",) if state is StudyState.Receiving else ("route", "hold")


def of_many(state: DeliveryState | None) -> tuple[str, ...]:
    """What a person may do to all deliveries in a state, or to all that are owed."""
    return tuple(act.value for act, states in APPLIES.items() if state is None or state in states)
