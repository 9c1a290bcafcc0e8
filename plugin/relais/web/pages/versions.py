"""The versions of the configuration: their history, what each changes, and what a person may do to one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from flask import Response, render_template, request, url_for
from pydantic import Field, StringConstraints

from relais.configuration.documents import read_text
from relais.database import queries
from relais.domain.document import Document, DocumentError, Problem
from relais.domain.states import VersionState
from relais.errors import ConflictError, StateError, UnknownError
from relais.texts import _
from relais.versions import Version
from relais.web.api.replays import answer_of
from relais.web.composition import current_call
from relais.web.errors import CONFLICTS, RefusedError
from relais.web.pages.network_words import label
from relais.web.pages.rules_session import check
from relais.web.pages.rules_words import unmet
from relais.web.pages.shell import pages, say, zone_of
from relais.web.pages.versions_differences import Group, grouped
from relais.web.pages.versions_rebase import rebased
from relais.web.pages.versions_words import STATES, Standing, author, changes_of, from_file
from relais.web.permissions import Permission, requires
from relais.web.requests import read_body, read_query

SHOWN = 50
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Listing(Document):
    """Which part of the history."""

    since: Number | None = Field(None, description="The last version of the page before.")


class Comparing(Document):
    """With what a version is compared."""

    against: Number | None = Field(None, description="Another version; the active one, or its base, if not given.")


class Act(Document):
    """What a person says when they do something to a version."""

    comment: Annotated[str, StringConstraints(max_length=500)] = Field("", description="Why.")
    digest: Annotated[str, StringConstraints(max_length=64)] = Field("", description="The version as they saw it.")
    at: Annotated[str, StringConstraints(max_length=20)] = Field("", description="When, in the clinics' zone.")


class Import(Document):
    """A document as one text."""

    text: str = Field(max_length=4_000_000, description="JSON.")
    comment: Annotated[str, StringConstraints(max_length=500)] = Field("", description="Why.")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the history."""

    version: Version
    author: str
    differences: int
    based_on: int | None


@pages.get("/network/versions")
@requires(Permission.ViewConfiguration)
def versions() -> str:
    """The history, newest first."""
    query = read_query(request, Listing)
    store = current_call().relais.versions
    found = store.listing(since=query.since, limit=SHOWN + 1)
    known = {each.number: each for each in found}
    entries = [
        Entry(
            version=each,
            author=author(each.author),
            differences=len(changes_of(_base(each, known), each)),
            based_on=each.based_on,
        )
        for each in found[:SHOWN]
    ]
    return render_template(
        "versions.html",
        entries=entries,
        next=entries[-1].version.number if len(found) > SHOWN else None,
        states=STATES,
        from_file=from_file(),
        zone=zone_of(None),
    )


@pages.get("/network/versions/<id:Number>")
@requires(Permission.ViewConfiguration)
def version(Number: int) -> str:  # noqa: N803
    """One version: what differs, what is wrong, who agreed, what past studies would say."""
    query = read_query(request, Comparing)
    return render_template("versions-one.html", **_shown(Number, query.against))


@pages.post("/network/versions/import")
@requires(Permission.ChangeConfiguration)
def version_import() -> Response:
    """A file as a new draft, based on the active version."""
    body = read_body(request, Import)
    call = current_call()
    try:
        made = call.relais.versions.draft(
            read_text(body.text), actor=call.caller.name, comment=body.comment or say(_("imported from a file"))
        )
    except DocumentError as error:
        return _refusal(say(_("The file cannot become a draft")), error.problems)
    return _go(made.number)


@pages.post("/network/versions/<id:Number>/approve")
@requires(Permission.ApproveConfiguration)
def version_approve(Number: int) -> Response:  # noqa: N803
    """Agree to a draft as a second person."""
    return _act(Number, lambda act: _approve(Number, act))


@pages.post("/network/versions/<id:Number>/activate")
@requires(Permission.ChangeConfiguration)
def version_activate(Number: int) -> Response:  # noqa: N803
    """Make it the active version, now or at a time."""
    return _act(
        Number,
        lambda act: current_call().relais.versions.activate(
            Number, actor=current_call().caller.name, comment=act.comment, at=_moment(act.at)
        ),
    )


@pages.post("/network/versions/<id:Number>/withdraw")
@requires(Permission.ChangeConfiguration)
def version_withdraw(Number: int) -> Response:  # noqa: N803
    """Make a scheduled version a draft again."""
    store, name = current_call().relais.versions, current_call().caller.name
    return _act(Number, lambda act: store.withdraw(Number, actor=name, comment=act.comment))


@pages.post("/network/versions/<id:Number>/roll-back")
@requires(Permission.ChangeConfiguration)
def version_roll_back(Number: int) -> Response:  # noqa: N803
    """Make a past version's document active again, as a new version."""
    store, name = current_call().relais.versions, current_call().caller.name
    return _act(Number, lambda act: store.roll_back(Number, actor=name, comment=act.comment))


@pages.post("/network/versions/<id:Number>/discard")
@requires(Permission.ChangeConfiguration)
def version_discard(Number: int) -> Response:  # noqa: N803
    """Put a draft away."""
    store, name = current_call().relais.versions, current_call().caller.name
    return _act(Number, lambda act: store.discard(Number, actor=name, comment=act.comment))


@pages.post("/network/versions/<id:Number>/rebase")
@requires(Permission.ChangeConfiguration)
def version_rebase(Number: int) -> Response:  # noqa: N803
    """Take what became active meanwhile into the draft."""
    store, name = current_call().relais.versions, current_call().caller.name

    def take(act: Act) -> Version:
        draft, active = store.get(Number), store.active()
        base = store.get(draft.based_on).document if draft.based_on else {}
        merged = rebased(base, active.document, draft.document).document
        return store.revise(Number, merged, digest=act.digest, actor=name, based_on=active.number)

    return _act(Number, take)


def _approve(number: int, act: Act) -> None:
    call = current_call()
    call.relais.versions.approve(number, actor=call.caller.name, comment=act.comment, digest=act.digest or None)


def _act(number: int, do: Callable[[Act], Version | None]) -> Response:
    """Do it and show where it led; a refusal says why, with what changed meanwhile."""
    act = read_body(request, Act)
    try:
        made = do(act)
    except ConflictError as error:
        return _refusal(_conflict(error), error.problems)
    except StateError as error:
        return _refusal(_conflict(error), ())
    except DocumentError as error:
        return _refusal(say(_("The version has problems")), error.problems)
    return _go(made.number if made else number)


def _conflict(error: StateError) -> str:
    return say(CONFLICTS[error.code], **error.values)


def _refusal(message: str, problems: Sequence[Problem]) -> Response:
    texts = current_call().texts
    told = [(each.path, texts.problem(each)) for each in problems]
    return Response(render_template("versions-refused.html", message=message, told=told), status=409)


def _go(number: int) -> Response:
    return Response(status=204, headers={"HX-Redirect": url_for("pages.version", Number=number)})


def _moment(text: str) -> datetime | None:
    """What a browser's control says, in the clinics' zone; raises RefusedError."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone_of(None))
    except ValueError:
        raise RefusedError(422, _("This is not a time")) from None


def _base(each: Version, known: dict[int, Version]) -> Version | None:
    if each.based_on is None:
        return None
    return known.get(each.based_on) or _get(each.based_on)


def _get(number: int) -> Version | None:
    try:
        return current_call().relais.versions.get(number)
    except UnknownError:
        return None


def _shown(number: int, against: int | None) -> dict[str, Any]:
    call = current_call()
    store = call.relais.versions
    shown, active = store.get(number), store.active()
    open_ = shown.state in (VersionState.Draft, VersionState.Scheduled)
    base = _get(shown.based_on) if shown.based_on else None
    other = store.get(against) if against else active if open_ else base
    found = check(shown.document, shown.digest) if shown.state is not VersionState.Discarded else None
    failing = [each for each in found.examples if not each.passed] if found else []
    outdated = open_ and shown.based_on != active.number
    merging = rebased(base.document if base else {}, active.document, shown.document) if outdated else None
    standing = Standing(
        from_file=from_file(),
        outdated=outdated,
        needs_approval=open_ and store.needs_approval(shown),
        approved=shown.approved_by is not None,
        own=call.caller.name in shown.editors,
        problems=len(found.problems) if found else 0,
        failing=len(failing),
    )
    return {
        "version": shown,
        "state": STATES[shown.state],
        "author": author,
        "active": active,
        "other": other,
        "groups": _groups(other, shown),
        "meanwhile": _groups(base, active) if outdated else [],
        "both": merging.both if merging else (),
        "found": found,
        "problems": [(each.path, call.texts.problem(each)) for each in found.problems] if found else [],
        "warnings": [(each.path, call.texts.problem(each)) for each in found.warnings] if found else [],
        "failing": [(each, unmet(each)) for each in failing],
        "standing": standing,
        "replay": _replay(number),
        "zone": zone_of(None),
        "document": json.dumps(shown.document, ensure_ascii=False, indent=2),
        "label": label,
    }


def _groups(before: Version | None, after: Version) -> list[Group]:
    return grouped(changes_of(before, after), before.document if before else {}, after.document)


def _replay(number: int) -> Any:
    call = current_call()
    if not call.caller.may(Permission.ViewReplays):
        return None
    with call.relais.database.read() as connection:
        row = queries.replays.latest(connection, number)
    return None if row is None else answer_of(row, call.texts.language)
