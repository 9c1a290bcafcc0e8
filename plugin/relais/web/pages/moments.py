"""A study's story in words: what the tables remember, one sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relais.database.queries.timeline import Moment
from relais.texts import _
from relais.texts_matching import say_reason
from relais.web.pages.shell import count, language, number, say

Detail = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Story:
    """One sentence of the story; `tone` is that of its dot, and `reason` is a person's own words."""

    at: datetime
    text: str
    tone: str
    reason: str | None = None


def tell(moments: Iterable[Moment]) -> list[Story]:
    """The moments as sentences, in their order; what others say better is left out."""
    return [story for moment in moments if (story := _story(moment)) is not None]


def _story(moment: Moment) -> Story | None:
    if moment.kind in _TELLERS:
        text, tone = _TELLERS[moment.kind](moment.detail)
    elif moment.kind in ACTIONS:
        message, tone = ACTIONS[moment.kind]
        text = _by(moment.detail, say(message, **_names(moment.detail)))
    else:
        return None
    reason = moment.detail.get("Reason")
    if moment.kind == "study.review" and reason:
        reason = say_reason(reason, language())
    return Story(at=moment.at, text=text, tone=tone, reason=reason) if text else None


ACTIONS = {
    "study.received": (_("The first image arrived"), "waiting"),
    "study.reopened": (_("A further image arrived"), "waiting"),
    "study.held": (_("Held"), "person"),
    "study.released": (_("Released"), "done"),
    "study.route-asked": (_("The rules were asked again"), "moving"),
    "study.retrieved": (_("Another system fetched it"), "done"),
    "worklist.completed": (_("It completed its order"), "done"),
    "study.tied": (_("A person said of which order it is"), "person"),
    "study.untied": (_("It was taken back of which order it is"), "person"),
    "order.reopened": (_("Its order waits again: the study is another's"), "person"),
    "study.matched": (_("It was found whose images these are"), "done"),
    "study.review": (_("A person must say whose images these are"), "person"),
    "study.unmatched": (_("They belong to nobody whom the CRM knows"), "ended"),
    "match.undone": (_("It was taken back whose images these are"), "person"),
    "patient.requested": (_("The CRM was asked to create the patient"), "moving"),
    "review.sampled": (_("The match is looked at once more"), "ended"),
    "retrieval.completed": (_("Imported from {source}: every image that it has is here"), "done"),
    "retrieval.failed": (_("The import from {source} failed for good"), "failed"),
    "delivery.started": (_("The delivery to {destination} began"), "moving"),
    "delivery.completed": (_("{destination} has everything"), "done"),
    "delivery.failed": (_("The delivery to {destination} failed for good"), "failed"),
    "delivery.blocked": (_("The law does not allow the delivery to {destination}"), "blocked"),
    "delivery.permitted": (_("The delivery to {destination} is allowed now"), "done"),
    "restriction.set": (_("A restriction was set"), "blocked"),
    "restriction.lifted": (_("A restriction was lifted"), "done"),
    "delivery.retried": (_("The delivery to {destination} was asked for again"), "moving"),
    "delivery.held": (_("The delivery to {destination} was held"), "person"),
    "delivery.released": (_("The delivery to {destination} was released"), "done"),
    "delivery.redirected": (_("The delivery to {destination} was redirected to {to}"), "moving"),
    "delivery.failed-over": (_("{destination} was down or too slow: {to} receives the study as well"), "person"),
    "study.compared": (_("What {destination} would receive was looked at"), "ended"),
    "delivery.canceled": (_("The delivery to {destination} was canceled"), "ended"),
}
"""What is said of an audited action, and the tone of its dot."""


def _names(detail: Detail) -> dict[str, str]:
    keys = {"destination": "Destination", "to": "To", "source": "Source"}
    return {name: str(detail.get(key, "")) for name, key in keys.items()}


def _by(detail: Detail, text: str) -> str:
    actor = detail.get("Actor")
    return text if actor in (None, "relais") else say("{what}, by {name}", what=text, name=actor)


def _complete(detail: Detail) -> tuple[str, str]:
    amount = int(detail.get("Instances", 0))
    return count("Complete with {count} image", "Complete with {count} images", amount), "moving"


def _routed(detail: Detail) -> tuple[str, str]:
    names = ", ".join(detail.get("Destinations", ()))
    return (say("Routed to {names}", names=names) if names else say("Routed: it is owed to nobody")), "done"


def _attempt(detail: Detail) -> tuple[str, str]:
    """A batch that failed; those that went through show as progress."""
    if detail["Error"] is None:
        return "", ""
    values = {"destination": detail["Destination"], "code": detail["Error"]["Code"]}
    return say("An attempt to reach {destination} failed ({code})", **values), "failed"


def _notice(detail: Detail) -> tuple[str, str]:
    values = {
        "subscriber": detail["Subscriber"],
        "event": detail["Event"],
        "milliseconds": number(detail["Milliseconds"]),
        "status": detail["Status"] or detail["Error"],
    }
    if detail["Error"] is None and 200 <= (detail["Status"] or 0) < 300:  # noqa: PLR2004 - RFC 9110: success
        return say("{subscriber} was told {event} ({status}, {milliseconds} ms)", **values), "done"
    return say("{subscriber} did not take {event} ({status})", **values), "failed"


_TELLERS: Mapping[str, Callable[[Detail], tuple[str, str]]] = {
    "study.complete": _complete,
    "study.routed": _routed,
    "delivery.attempt": _attempt,
    "notification.attempt": _notice,
}
