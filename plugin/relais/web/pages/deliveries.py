"""The queue: what moves, what waits and for what, what failed, lane by lane."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from flask import render_template, request
from pydantic import Field

from relais.database import queries
from relais.database.queries.lanes import LaneState, lane_of
from relais.domain.states import OWED, DeliveryState
from relais.texts import _
from relais.web.composition import current_call
from relais.web.pages import actions
from relais.web.pages.ledger import choices, shown
from relais.web.pages.reasons import PRIORITIES
from relais.web.pages.shell import number, pages, say
from relais.web.pages.studies import Ids
from relais.web.permissions import Permission, requires
from relais.web.questions import DeliveryQuery
from relais.web.requests import read_query

D = DeliveryState

TABS = (
    (None, _("Owed")),
    (D.InProgress, _("In progress")),
    (D.Scheduled, _("Scheduled")),
    (D.Failed, _("Failed")),
    (D.Held, _("Held")),
    (D.Completed, _("Completed")),
    (D.Canceled, _("Canceled")),
)

FILTERS = (("Priority", _("Priority"), _("Any priority")), ("OlderThanMinutes", _("Waiting"), _("However long")))

AGES = (
    (60, _("longer than an hour")),
    (240, _("longer than 4 hours")),
    (1440, _("longer than a day")),
    (10080, _("longer than a week")),
)
"""Minutes that a filter offers."""


class LiveDeliveries(DeliveryQuery):
    """Which rows a browser shows."""

    ids: Ids = Field("", description="Ids of the rows, with commas.")


@pages.get("/deliveries")
@requires(Permission.ViewDeliveries)
def deliveries() -> str:
    """The page, with its first rows."""
    query = read_query(request, DeliveryQuery)
    kept: dict[str, Any] = kept_filters(query)
    if query.older_than is not None:
        kept["OlderThanMinutes"] = query.older_than  # a number, as the API takes it
    ages = {str(minutes): say(word) for minutes, word in AGES}
    return render_template(
        "deliveries.html",
        **(_frame(query, counted=current_call().caller.clinics is None) | _rows(query)),
        filters=FILTERS,
        options={
            "Priority": {name: say(word) for name, word in PRIORITIES.items()},
            "OlderThanMinutes": ages
            if query.older_than is None
            else {str(query.older_than): _odd(query.older_than)} | ages,
        },
        many=actions.of_many(query.state),
        everything=json.dumps(kept),
        choices=choices(),
    )


@pages.get("/deliveries/rows")
@requires(Permission.ViewDeliveries)
def deliveries_rows() -> str:
    """Further rows."""
    return render_template("deliveries-rows.html", **_rows(read_query(request, DeliveryQuery)))


@pages.get("/deliveries/live")
@requires(Permission.ViewDeliveries)
def deliveries_live() -> str:
    """The rows that are shown, as they are now."""
    query = read_query(request, LiveDeliveries)
    call = current_call()
    with call.relais.database.read() as connection:
        ids = [int(each) for each in query.ids.split(",") if each]
        rows = shown(connection, queries.deliveries.of_ids(connection, ids, call.caller.clinics))
    return render_template("deliveries-live.html", query=query, rows=rows)


@pages.get("/deliveries/counts")
@requires(Permission.ViewDeliveries)
def deliveries_counts() -> str:
    """The lanes, and how many deliveries stand in each state."""
    query = read_query(request, DeliveryQuery)
    return render_template("deliveries-counts.html", query=query, **_frame(query, counted=True))


def kept_filters(query: DeliveryQuery) -> dict[str, str]:
    """The filters as parameters of an address."""
    given = {
        "State": query.state,
        "Destination": query.destination,
        "Priority": None if query.priority is None else query.priority.name,
        "OlderThanMinutes": query.older_than,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def _odd(minutes: int) -> str:
    """An age that no filter offers."""
    return say("longer than {count} min", count=number(minutes))


def _frame(query: DeliveryQuery, *, counted: bool) -> dict[str, Any]:
    """The lanes and the tabs; what a caller of some clinics sees takes long to count, so that it comes afterwards."""
    call = current_call()
    with call.relais.database.read() as connection:
        owed = queries.deliveries.count_owed(connection, call.caller.clinics) if counted else {}
        gates = queries.lanes.gates(connection)
    names = list(dict.fromkeys([*call.relais.configuration.destinations, *owed]))
    lanes = [LaneState.of(name, owed.get(name, {}), gates.get(lane_of(name))) for name in names]
    chosen = [each.counts for each in lanes if query.destination in (None, each.destination)]
    counts = {state: sum(each.get(state, 0) for each in chosen) for state in OWED}
    return {
        "tabs": TABS,
        "counted": counted,
        "counts": counts,
        "owed": sum(counts.values()),
        "lanes": lanes,
        "all": sum(sum(each.counts.values()) for each in lanes),
        "kept": kept_filters(query),
    }


def _rows(query: DeliveryQuery) -> dict[str, Any]:
    call = current_call()
    wanted = query.wanted(call.relais.clock.now())
    if query.state is None:
        wanted = replace(wanted, states=sorted(OWED))
    with call.relais.database.read() as connection:
        rows = queries.deliveries.find(connection, wanted, call.caller.clinics, query.before, query.limit)
        shown_rows = shown(connection, rows)
    return {
        "rows": shown_rows,
        "next": rows[-1]["id"] if len(rows) == query.limit else None,
        "first": query.before is None,
        "query": query,
        "kept": kept_filters(query),
    }
