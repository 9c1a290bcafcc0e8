"""Why things are as they are, in words: a delivery's reasons, its proof, a study's completion, a destination's ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_time, get_day_names
from sqlalchemy import RowMapping

from relais.configuration import Destination
from relais.domain.completeness import Completion
from relais.domain.windows import Day, Window
from relais.texts import _
from relais.texts_residency import say_refusal
from relais.web.pages.shell import count, language, number, say, stored


@dataclass(frozen=True, kw_only=True)
class Why:
    """One reason, and what a person said besides."""

    text: str
    words: str | None = None


PROOFS = {
    "Stored": _("It confirmed each image as it was sent"),
    "Queried": _("Asked afterwards, it has every image"),
    "Committed": _("It took responsibility for every image (storage commitment)"),
}
"""What a proof says."""

WANTED = {
    "Stored": _("it has confirmed each image"),
    "Queried": _("it was asked, and has every image"),
    "Committed": _("it has taken responsibility for every image (storage commitment)"),
}
"""What completes a delivery, as the end of a sentence."""

STARTS = {
    "OnComplete": _("when the study is complete"),
    "WhileReceiving": _("image by image, while the study arrives"),
}

KINDS = {
    "Dicom": _("DICOM (C-STORE)"),
    "DicomMove": _("DICOM (C-MOVE from a source)"),
    "DicomWeb": _("DICOMweb (STOW-RS)"),
    "OrthancPeer": _("Another Orthanc"),
    "Files": _("Files"),
}

PRIORITIES = {
    "Stat": _("Stat"),
    "Urgent": _("Urgent"),
    "Routine": _("Routine"),
    "Background": _("Background"),
}


def reasons(several: Sequence[Mapping[str, Any]], *, canceled: bool) -> list[Why]:
    """A delivery's reasons; what was canceled once and is owed again says nothing of it."""
    return [why for each in several if (canceled or "Canceled" not in each) and (why := _reason(each)) is not None]


_ASKED = {
    "Rule": _("The rule “{name}” asks for it"),
    "Pool": _("Chosen from the pool {name}"),
    "FailoverOf": _("It stands in for {name}, which was down or took too long"),
}


def _reason(each: Mapping[str, Any]) -> Why | None:
    for key, message in _ASKED.items():
        if key in each:
            return Why(text=say(message, name=each[key]))
    if "Refused" in each:
        return Why(text=say("Refused: {reason}", reason=say_refusal(each, language())))
    by = each.get("By", "?")
    if "RedirectedFrom" in each:
        text = say("Redirected from {name}, by {person}", name=each["RedirectedFrom"], person=by)
        return Why(text=text, words=each.get("Reason"))
    if "Hold" in each:
        return Why(text=say("A person holds it"), words=each["Hold"])
    if "Canceled" in each:
        text = say("Canceled") if by == "relais" else say("Canceled by {person}", person=by)
        return Why(text=text, words=stored(each["Canceled"]))
    return None


def completion(row: RowMapping) -> str | None:
    """Why a study counts as complete; nothing while it arrives, or where nobody knows."""
    values = {"count": number(row["instances"]), "expected": number(row["expected"] or 0)}
    match row["completed_by"]:
        case Completion.Expected:
            return say("Complete: all {expected} images that were announced are there", **values)
        case Completion.Incomplete:
            return say("Incomplete: {count} of {expected} images that were announced came in time", **values)
        case Completion.Cap:
            return say("Taken as complete: it had been growing for too long", **values)
        case Completion.Quiet:
            return say("Complete: its source was quiet for long enough", **values)
    return None


def windows(given: Sequence[Window]) -> list[str]:
    """When something may be done, a line for each window."""
    return [_window(each) for each in given]


def _window(window: Window) -> str:
    names = get_day_names("abbreviated", locale=language())
    every = list(Day)
    chosen = sorted(every.index(each) for each in window.days)
    in_a_row = len(chosen) > 2 and chosen == list(range(chosen[0], chosen[-1] + 1))  # noqa: PLR2004 - from Mon to Wed
    several = [names[each] for each in chosen]
    days = say("{begin} to {end}", begin=several[0], end=several[-1]) if in_a_row else ", ".join(several)
    begin, end = _clock(window.from_), _clock(window.to)
    if (window.from_, window.to) == ("00:00", "00:00"):
        return say("{days}, the whole day", days=days)
    if len(chosen) == len(every):
        return say("{begin} to {end}", begin=begin, end=end)
    return say("{days}, {begin} to {end}", days=days, begin=begin, end=end)


def _clock(text: str) -> str:
    moment = datetime.strptime(text, "%H:%M")  # noqa: DTZ007 - a time of the day, in the clinic's zone
    return str(format_time(moment, "short", locale=language()))


def changes(destination: Destination) -> list[str]:
    """What a destination changes in images on their way, or leaves out."""
    found = []
    if destination.only is not None:
        found.append(say("only some series or images"))
    if destination.deidentify is not None:
        found.append(say("de-identified"))
    if destination.coerce is not None:
        found.append(say("attributes changed"))
    if destination.transcode is not None:
        found.append(say("another transfer syntax"))
    if destination.zero_preamble:
        found.append(say("preamble zeroed"))
    return found


def bandwidth(megabits: float) -> str:
    """Megabits a second."""
    return say("{amount} Mbit/s", amount=number(megabits))


def failover(destination: Destination) -> str | None:
    """Who steps in, and after what time."""
    if destination.failover_to is None:
        return None
    minutes = round(destination.failover_after.total_seconds() / 60)
    return count(
        "{name} gets a study too after {count} minute, or at once when this one is down",
        "{name} gets a study too after {count} minutes, or at once when this one is down",
        minutes,
        name=destination.failover_to,
    )
