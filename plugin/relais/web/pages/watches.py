"""Watches over other PACS, and what is fetched before appointments."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from relais.texts import _
from relais.web.api import watches as api
from relais.web.composition import current_call
from relais.web.pages.shell import pages
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing
from relais.web.questions_import import PrefetchQuery
from relais.web.requests import read_query

SHOWN = 20
"""Prefetches on the page."""

THEN = {"Import": _("imports what is new"), "Announce": _("announces what is new")}
CAN = {"Waiting": ("poll", "pause"), "Polling": ("pause",), "Failing": ("poll", "pause"), "Paused": ("resume",)}
"""What a person may do to a watch in each state."""


@pages.get("/watches")
@requires(Permission.ViewImports)
def watches() -> str:
    """The page."""
    return render_template("watches.html", **_now())


@pages.get("/watches-live")
@requires(Permission.ViewImports)
def watches_live() -> str:
    """Where they stand."""
    return render_template("watches-live.html", **_now())


@pages.get("/prefetches/rows")
@requires(Permission.ViewImports)
def prefetches_rows() -> str:
    """What was fetched before earlier appointments."""
    return render_template("prefetches-rows.html", **_prefetches(read_query(request, PrefetchQuery)))


@pages.get("/watches/<name:Name>")
@requires(Permission.ViewImports)
def watch(Name: str) -> str:  # noqa: N803
    """One watch, with its last polls."""
    read_query(request, Nothing)
    return render_template("watch.html", **_one(Name))


@pages.get("/watches/<name:Name>/live")
@requires(Permission.ViewImports)
def watch_live(Name: str) -> str:  # noqa: N803
    """The same, as it is now."""
    read_query(request, Nothing)
    return render_template("watch-live.html", **_one(Name))


def _one(name: str) -> dict[str, Any]:
    call = current_call()
    found = api.one(call, name)
    return {"watch": found, "known": call.relais.configuration.watches[name], "then": THEN, "can": CAN}


def _now() -> dict[str, Any]:
    call = current_call()
    configuration = call.relais.configuration
    return {
        "watches": api.find(call).items,
        "known": configuration.watches,
        "then": THEN,
        "can": CAN,
        "prefetch": configuration.prefetch,
        **_prefetches(PrefetchQuery(limit=SHOWN)),
    }


def _prefetches(query: PrefetchQuery) -> dict[str, Any]:
    found = api.prefetches(current_call(), query)
    return {"prefetches": found.items, "next": found.next}
