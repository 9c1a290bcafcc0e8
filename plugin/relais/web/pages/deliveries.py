"""The queue: what moves, what waits, what failed, by destination."""

from __future__ import annotations

from typing import Any

from flask import render_template, request
from pydantic import Field

from relais.database import queries
from relais.database.queries.deliveries import DeliveryFilter
from relais.domain.states import DeliveryState
from relais.texts import _
from relais.web.composition import current_call
from relais.web.pages.shell import pages
from relais.web.pages.studies import Ids
from relais.web.pages.study import shown
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


class LiveDeliveries(DeliveryQuery):
    """Which rows a browser shows."""

    ids: Ids = Field("", description="Ids of the rows, with commas.")


@pages.get("/deliveries")
@requires(Permission.ViewDeliveries)
def deliveries() -> str:
    """The page, with its first rows."""
    query = read_query(request, DeliveryQuery)
    return render_template("deliveries.html", **_frame(query), **_rows(query))


@pages.get("/deliveries/rows")
@requires(Permission.ViewDeliveries)
def deliveries_rows() -> str:
    """Further rows."""
    return render_template("deliveries-rows.html", **_rows(read_query(request, DeliveryQuery)))


@pages.get("/deliveries/live")
@requires(Permission.ViewDeliveries)
def deliveries_live() -> str:
    """The rows that are shown, as they are now, and how many stand in each state."""
    query = read_query(request, LiveDeliveries)
    call = current_call()
    with call.relais.database.read() as connection:
        ids = [int(each) for each in query.ids.split(",") if each]
        rows = queries.deliveries.of_ids(connection, ids, call.caller.clinics)
    return render_template("deliveries-live.html", query=query, **_frame(query), rows=[shown(row) for row in rows])


def _frame(query: DeliveryQuery) -> dict[str, Any]:
    call = current_call()
    with call.relais.database.read() as connection:
        counts = queries.deliveries.count_owed(connection, query.destination, call.caller.clinics)
    return {
        "tabs": TABS,
        "counts": counts,
        "owed": sum(counts.values()),
        "destinations": list(call.relais.configuration.destinations),
    }


def _rows(query: DeliveryQuery) -> dict[str, Any]:
    call = current_call()
    wanted = DeliveryFilter(state=query.state, destination=query.destination, owed=query.state is None)
    with call.relais.database.read() as connection:
        rows = queries.deliveries.find(connection, wanted, call.caller.clinics, query.before, query.limit)
    return {
        "rows": [shown(row) for row in rows],
        "next": rows[-1]["id"] if len(rows) == query.limit else None,
        "first": query.before is None,
        "query": query,
    }
