"""One replay: how far it is, what would change in a sentence each, a picture of before and after, every change."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, render_template, request, url_for
from pydantic import Field
from sqlalchemy import RowMapping

from relais.database import queries
from relais.database.queries.replays import ChangeFilter
from relais.domain.comparison import Fate, Kind, ReplayState, Tally, summary
from relais.domain.document import Document, DocumentError, OneOf
from relais.replay import Span
from relais.texts import _
from relais.texts_replay import sentence
from relais.texts_residency import say_refusal
from relais.web.composition import current_call
from relais.web.errors import invalid, not_found
from relais.web.pages import replays_flow as flow
from relais.web.pages.chips import Chip
from relais.web.pages.shell import clinic_name, pages, say
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing
from relais.web.requests import read_body, read_query

SHOWN = 50
MOST_STUDIES, MOST_DAYS = 1_000_000, 3_650

STATES = {
    ReplayState.Waiting: Chip(_("Waiting"), "waiting"),
    ReplayState.Running: Chip(_("In progress"), "moving"),
    ReplayState.Completed: Chip(_("Completed"), "done"),
    ReplayState.Canceled: Chip(_("Canceled"), "ended"),
    ReplayState.Failed: Chip(_("Failed"), "failed"),
}

KINDS = {
    Kind.Added: Chip(_("also goes there"), "done"),
    Kind.Removed: Chip(_("no longer goes there"), "ended"),
    Kind.Refused: Chip(_("refused by law"), "blocked"),
    Kind.Permitted: Chip(_("no longer refused"), "done"),
    Kind.Dropped: Chip(_("no longer asked for"), "ended"),
    Kind.Held: Chip(_("held"), "person"),
    Kind.Released: Chip(_("no longer held"), "done"),
    Kind.Clinic: Chip(_("another clinic"), "moving"),
    Kind.Priority: Chip(_("another priority"), "moving"),
    Kind.Purpose: Chip(_("another purpose"), "moving"),
}

FATES = {Fate.Sent: _("sent"), Fate.Refused: _("refused by law"), Fate.Held: _("held")}


class Range(Document):
    """Over which past studies, as a form says it."""

    amount: Annotated[int, Field(ge=1, le=MOST_STUDIES)] = Field(description="How many.")
    unit: str = Field("Studies", pattern="^(Studies|Days)$", description="Studies or Days.")


class Looking(Document):
    """Which changes are shown, and by what the picture counts."""

    kind: Annotated[Kind, OneOf(Kind)] | None = Field(None, description="What changes.")
    destination: str | None = Field(None, max_length=64, description="At which destination.")
    by: str = Field("Clinic", pattern="^(Clinic|Machine)$", description="Clinic or Machine.")
    since: Annotated[int, Field(ge=0, le=2**31)] | None = Field(None, description="The last change of the page before.")


@pages.post("/network/versions/<id:Number>/replay")
@requires(Permission.ChangeConfiguration)
def replay_start(Number: int) -> Response:  # noqa: N803
    """Begin, and show how it goes."""
    body = read_body(request, Range)
    call = current_call()
    days = min(body.amount, MOST_DAYS)
    span = Span(studies=body.amount) if body.unit == "Studies" else Span(days=days)
    try:
        replay = call.relais.replay.start(Number, span, actor=call.caller.name)
    except DocumentError as error:
        raise invalid(error.problems) from None
    return Response(status=204, headers={"HX-Redirect": url_for("pages.replay", Id=replay)})


@pages.post("/network/replays/<id:Id>/cancel")
@requires(Permission.ChangeConfiguration)
def replay_cancel(Id: int) -> Response:  # noqa: N803
    """End it; what it found so far stays."""
    read_body(request, Nothing)
    call = current_call()
    call.relais.replay.cancel(Id, actor=call.caller.name)
    return Response(status=204, headers={"HX-Redirect": url_for("pages.replay", Id=Id)})


@pages.get("/network/replays/<id:Id>")
@requires(Permission.ViewReplays)
def replay(Id: int) -> str:  # noqa: N803
    """The page."""
    return render_template("replays-one.html", **_shown(Id, read_query(request, Looking)))


@pages.get("/network/replays/<id:Id>/live")
@requires(Permission.ViewReplays)
def replay_live(Id: int) -> str:  # noqa: N803
    """What changes while it runs."""
    return render_template("replays-live.html", **_shown(Id, read_query(request, Looking)))


@pages.get("/network/replays/<id:Id>/changes")
@requires(Permission.ViewReplays)
def replay_changes(Id: int) -> str:  # noqa: N803
    """Further changes."""
    return render_template("replays-rows.html", **_changes(_row(Id), read_query(request, Looking)))


def _row(replay_id: int) -> RowMapping:
    with current_call().relais.database.read() as connection:
        row = queries.replays.one(connection, replay_id)
    if row is None:
        raise not_found("replay", replay_id)
    return row


def _shown(replay_id: int, looking: Looking) -> dict[str, Any]:
    row = _row(replay_id)
    tally = Tally.from_json(row["tally"])
    language = current_call().texts.language
    state = ReplayState(row["state"])
    keyed = flow.by_machine if looking.by == "Machine" else flow.by_clinic
    lines = [(line, sentence(line, language)) for line in summary(tally)]
    picture = flow.draw(keyed(tally.before), keyed(tally.after)) if tally.studies else None
    return {
        "replay": row,
        "state": STATES[state],
        "running": state in (ReplayState.Waiting, ReplayState.Running),
        "tally": tally,
        "rate": _rate(row),
        "lines": lines,
        "picture": picture,
        "fates": FATES,
        "source_name": _source,
        "destination_name": _destination,
        **_changes(row, looking),
    }


def _rate(row: RowMapping) -> int:
    """Studies a second; 0 where that is not known yet."""
    left, seconds = (row["total"] or 0) - row["done"], row["seconds_left"]
    return round(left / seconds) if seconds and left > 0 else 0


def _source(name: str) -> str:
    if name == flow.UNKNOWN:
        return say(_("unknown sender"))
    if name == flow.OTHERS:
        return say(_("all others"))
    return clinic_name(name)


def _destination(name: str) -> str:
    return name or say(_("held"))


def _changes(row: RowMapping, looking: Looking) -> dict[str, Any]:
    call = current_call()
    wanted = ChangeFilter(kind=looking.kind, destination=looking.destination)
    with call.relais.database.read() as connection:
        found = queries.replays.changes(connection, row["id"], wanted, call.caller.clinics, looking.since, SHOWN)
    tally = Tally.from_json(row["tally"])
    by = None if looking.by == "Clinic" else looking.by
    kept = {"Kind": looking.kind, "Destination": looking.destination, "By": by}
    return {
        "replay": row,
        "changes": [{**each, "told": _told(each)} for each in found],
        "kinds": KINDS,
        "kept": {name: str(value) for name, value in kept.items() if value},
        "by": looking.by,
        "choices": {
            "Kind": [(kind.value, say(KINDS[kind].word)) for kind in Kind if tally.kinds[kind]],
            "Destination": [(name, name) for name in sorted({name for _kind, name in tally.ways})],
        },
        "following": found[-1]["number"] if len(found) == SHOWN else None,
    }


def _told(change: RowMapping) -> list[str]:
    """What it was and would be: the reasons of a refusal, of a hold, or the two values."""
    before, after = change["before"] or {}, change["after"] or {}
    language = current_call().texts.language
    if after.get("Reasons"):
        return [say_refusal(each, language) for each in after["Reasons"]]
    kind = Kind(change["kind"])
    if kind is Kind.Held:
        return [str(after.get("Hold", ""))]
    key = {Kind.Clinic: "Clinic", Kind.Priority: "Priority", Kind.Purpose: "Purpose"}.get(kind)
    if key is None:
        return []
    return [f"{_value(key, before)} → {_value(key, after)}"]


def _value(key: str, side: Any) -> str:
    value = side.get(key)
    if value is None:
        return say(_("none"))
    return clinic_name(value) if key == "Clinic" else say(str(value))
