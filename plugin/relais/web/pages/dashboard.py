"""Is everything flowing?"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from flask import render_template
from sqlalchemy import Connection

from relais.database import queries
from relais.database.queries.lanes import LaneState
from relais.database.queries.studies import StudyFilter
from relais.domain.states import DeliveryState, NotificationState, StudyState
from relais.retrieval.imports import LANE as FETCHED
from relais.web.answers_destination import DestinationAnswer
from relais.web.api import destinations
from relais.web.composition import current_call
from relais.web.pages.display import midnight
from relais.web.pages.flow import Health, draw
from relais.web.pages.shell import count, pages, say, zone_of
from relais.web.permissions import Permission, requires

OLD = timedelta(minutes=10)
"""A delivery that waits so long behind an open lane deserves a look."""

DAY = timedelta(days=1)
"""So long a failed import is told of."""

HELD_SHOWN = 8

HEALTH: dict[str, Health] = {"Open": "well", "Waiting": "unsure", "Down": "down", "Paused": "unsure"}


@pages.get("/")
@requires(Permission.Enter)
def dashboard() -> str:
    """The page."""
    return render_template("dashboard.html", **_now())


@pages.get("/dashboard/live")
@requires(Permission.Enter)
def dashboard_live() -> str:
    """The part that changes."""
    return render_template("dashboard-live.html", **_now())


def _now() -> dict[str, object]:
    call = current_call()
    now, scope = call.relais.clock.now(), call.caller.clinics
    lanes = destinations.find(call).items
    reviewed = call.caller.may(Permission.ViewReviews)
    with call.relais.database.read() as connection:
        today = midnight(now, zone_of(None))
        sources = queries.studies.sources_since(connection, today, scope)
        owed = Counter[str]()
        for flow in queries.studies.flows_since(connection, today, scope):
            owed[flow["destination"]] += flow["studies"]
        held = queries.studies.find(connection, StudyFilter(state=StudyState.Held), scope, None, HELD_SHOWN)
        counts = {
            "held": queries.studies.count_in_state(connection, StudyState.Held, scope),
            "failed": sum(
                each.get(DeliveryState.Failed, 0) for each in queries.deliveries.count_owed(connection, scope).values()
            ),
            "notices": queries.notifications.count_in_state(connection, NotificationState.Failed),
            "dead": queries.tasks.dead(connection),
            "imports": queries.fetching.failed_since(connection, now - DAY, _visible_sources()),
            "studies": sum(sources.values()),
        }
        off = _disabled_subscribers(connection)
        pacs = _pacs(connection)
        waiting = queries.reviews.waiting(connection, scope) if reviewed else ()
        stopped = reviewed and call.relais.matching.safety_net.tripped(connection) is not None
    counts["reviews"] = sum(each["amount"] for each in waiting)
    return {
        "lanes": lanes,
        "held": held,
        "reviewed": reviewed,
        "oldest_review": min((each["oldest"] for each in waiting), default=None),
        "counts": counts,
        "wrong": _wrong(lanes, counts, off, now, stopped=stopped)
        + [
            say("nothing can be fetched from {source}", source=name)
            for name, health in pacs.items()
            if health == "down"
        ],
        "picture": draw(sources, owed, {lane.name: HEALTH[lane.state] for lane in lanes}, pacs),
        "pacs": pacs,
        "configured": bool(call.relais.configuration.destinations),
    }


def _pacs(connection: Connection) -> dict[str, Health]:
    """How well each source is from which studies are fetched."""
    gates = queries.lanes.gates(connection)
    known = current_call().relais.configuration.sources
    return {name: HEALTH[LaneState.of(name, {}, gates.get(f"{FETCHED}{name}")).state] for name in known}


def _visible_sources() -> list[str]:
    """The sources of whose imports the caller is told."""
    call = current_call()
    return (
        call.relais.retrieval.queries.permitted(call.caller.clinics) if call.caller.may(Permission.ViewImports) else []
    )


def _disabled_subscribers(connection: Connection) -> list[str]:
    known = current_call().relais.configuration.subscribers
    return sorted(name for name in queries.lanes.disabled_subscribers(connection) if name in known)


def _wrong(
    lanes: list[DestinationAnswer],
    counts: dict[str, int],
    disabled_subscribers: list[str],
    now: datetime,
    *,
    stopped: bool,
) -> list[str]:
    """What keeps studies from flowing, worst first; nothing when all flow."""
    sentences = []
    for lane in lanes:
        if lane.state == "Down":
            waiting = count("{count} study waits", "{count} studies wait", lane.backlog)
            sentences.append(say("{destination} is down: {waiting}", destination=lane.name, waiting=waiting))
        elif lane.state == "Paused":
            sentences.append(say("{destination} is paused", destination=lane.name))
        elif lane.state == "Waiting":
            sentences.append(say("{destination} does not take images at the moment", destination=lane.name))
        elif lane.oldest is not None and now - lane.oldest > OLD:
            sentences.append(say("{destination} is slow", destination=lane.name))
    if not current_call().relais.feed.alive() or not current_call().relais.worker.alive():
        sentences.insert(0, say("Relais does not work: see System"))
    if stopped:
        sentences.append(say("Nothing is matched automatically"))
    amounts = {
        "failed": count("{count} delivery failed", "{count} deliveries failed", counts["failed"]),
        "held": count("{count} study is held", "{count} studies are held", counts["held"]),
        "reviews": count("{count} study waits for a person", "{count} studies wait for a person", counts["reviews"]),
        "notices": count("{count} notice failed", "{count} notices failed", counts["notices"]),
        "imports": count("{count} import failed", "{count} imports failed", counts["imports"]),
        "dead": count("{count} task was given up", "{count} tasks were given up", counts["dead"]),
    }
    sentences += [sentence for name, sentence in amounts.items() if counts[name]]
    sentences += [say("the subscriber {name} is disabled", name=name) for name in disabled_subscribers]
    return sentences
