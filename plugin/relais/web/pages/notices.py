"""Notices: did the webhook arrive?"""

from __future__ import annotations

import json
from typing import Any

from flask import render_template, request
from pydantic import Field

from relais.database import queries
from relais.domain.states import NotificationState
from relais.texts import _
from relais.web.api import notifications as api
from relais.web.composition import current_call
from relais.web.pages.shell import pages
from relais.web.pages.studies import Ids
from relais.web.permissions import Permission, requires
from relais.web.questions import NotificationQuery
from relais.web.requests import read_query

N = NotificationState

TABS = (
    (None, _("All")),
    (N.Scheduled, _("Scheduled")),
    (N.Completed, _("Delivered")),
    (N.Failed, _("Failed")),
    (N.Canceled, _("Canceled")),
)


class LiveNotices(NotificationQuery):
    """Which rows a browser shows."""

    ids: Ids = Field("", description="Ids of the rows, with commas.")


@pages.get("/notices")
@requires(Permission.ViewNotifications)
def notices() -> str:
    """The page, with its first rows."""
    query = read_query(request, NotificationQuery)
    subscribers = api.find_subscribers(current_call()).items
    return render_template("notices.html", tabs=TABS, subscribers=subscribers, **_rows(query))


@pages.get("/notices/rows")
@requires(Permission.ViewNotifications)
def notices_rows() -> str:
    """Further rows."""
    return render_template("notices-rows.html", **_rows(read_query(request, NotificationQuery)))


@pages.get("/notices/live")
@requires(Permission.ViewNotifications)
def notices_live() -> str:
    """The subscribers, and the rows that are shown, as they are now."""
    query = read_query(request, LiveNotices)
    call = current_call()
    ids = [int(each) for each in query.ids.split(",") if each]
    with call.relais.database.read() as connection:
        rows = queries.notifications.of_ids(connection, ids, call.caller.clinics)
    subscribers = api.find_subscribers(call).items
    return render_template("notices-live.html", rows=rows, subscribers=subscribers)


@pages.get("/notices/<id:Id>")
@requires(Permission.ViewNotifications)
def notice(Id: int) -> str:  # noqa: N803
    """One notification: what was said, and every attempt with its answer."""
    found = api.one(current_call(), Id)
    body = json.dumps(found.data, indent=2, ensure_ascii=False)
    return render_template("notice.html", notice=found, body=body)


def _rows(query: NotificationQuery) -> dict[str, Any]:
    page = api.find(current_call(), query)
    return {"rows": page.items, "next": page.next, "first": query.before is None, "query": query}
