"""The network: clinics, sources, destinations, rules, people, and the draft in which they change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import render_template, request

from relais.configuration.differences import differences
from relais.domain.document import Document
from relais.domain.states import VersionState
from relais.web.composition import current_call
from relais.web.pages import network_draft as draft
from relais.web.pages.network_editing import entries, generals, tops, worded
from relais.web.pages.network_rows import Card, card_of, facts_of
from relais.web.pages.network_values import several
from relais.web.pages.network_words import GENERAL, PARTS, label
from relais.web.pages.shell import pages
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing
from relais.web.requests import read_body, read_query

SHOWN = 12
"""Problems, warnings and differences that the overview lists; the version's own page has all."""


class Discarding(Document):
    """Why a draft goes."""

    reason: str


@pages.get("/network")
@requires(Permission.ViewConfiguration)
def network() -> str:
    """The page."""
    read_query(request, Nothing)
    return render_template("network.html", **_now())


@pages.get("/network/live")
@requires(Permission.ViewConfiguration)
def network_live() -> str:
    """What it lists."""
    return render_template("network-live.html", **_now())


@pages.get("/network/standing")
@requires(Permission.ViewConfiguration)
def network_standing() -> str:
    """What a check says of the draft, or of the active version where there is none."""
    version = draft.shown()
    check = current_call().relais.versions.check(dict(version.document))
    return render_template(
        "network-standing.html",
        version=version,
        problems=worded(check.problems),
        warnings=worded(check.warnings),
        shown=SHOWN,
    )


@pages.post("/network/discard/<id:Number>")
@requires(Permission.ChangeConfiguration)
def network_discard(Number: int) -> dict[str, Any]:  # noqa: N803
    """Give a draft up."""
    body = read_body(request, Discarding)
    call = current_call()
    call.relais.versions.discard(Number, actor=call.caller.name, comment=body.reason)
    return {}


def _now() -> dict[str, Any]:
    versions = current_call().relais.versions
    active, version = draft.active(), draft.shown()
    is_draft = version.state is VersionState.Draft
    changes = differences(active.document, version.document) if is_draft else ()
    document = dict(version.document)
    return {
        "active": active,
        "version": version,
        "is_draft": is_draft,
        "outdated": is_draft and version.based_on != active.number,
        "changes": changes,
        "shown": SHOWN,
        "may_edit": draft.may_edit(),
        "from_file": not versions.may_change,
        "cards": list(_cards(document, active.document)),
        "rules": list(_rules(document)),
        "general": [(top, label(top), top in document, facts_of(top, document)) for top in generals()],
        "general_slug": GENERAL,
    }


def _rules(document: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rules with their places, as far as they are rules."""
    for place, rule in enumerate(several(document.get("Rules"))):
        if isinstance(rule, Mapping):
            yield place, rule


def _cards(document: Mapping[str, Any], active: Mapping[str, Any]) -> Iterator[Card]:
    today = current_call().relais.clock.now().date()
    for part in PARTS.values():
        if part.top in tops():
            yield card_of(part, entries(document, part.top), entries(active, part.top), today)
