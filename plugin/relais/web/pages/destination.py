"""One destination: is it well, what is it like, how did its last hours go, and what do tests of it say?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_skeleton
from flask import render_template, request
from pydantic import Field

from relais.configuration import Destination
from relais.domain.windows import next_open
from relais.texts import _
from relais.web.answers_destination import DestinationAnswer, HourAnswer
from relais.web.api import connectivity
from relais.web.api import destinations as api
from relais.web.composition import current_call
from relais.web.errors import not_found
from relais.web.pages import charts, reasons
from relais.web.pages.actions import OF_LANE
from relais.web.pages.shell import language, pages, zone_of
from relais.web.permissions import Permission, requires
from relais.web.questions import Comparison, HistoryQuery, Nothing, Paging, Uid
from relais.web.requests import read_body, read_query

TESTS_SHOWN = 10
SPANS = ((24, _("24 hours")), (72, _("3 days")), (168, _("7 days")))
"""Hours that the charts can show."""


class DestinationQuery(HistoryQuery):
    """What the page shows."""

    study: Uid | None = Field(None, description="The study to compare before and after.")


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart: geometry for each series of values, and what its axes say."""

    bars: Sequence[charts.Bar] = ()
    area: str = ""
    lines: Sequence[str] = ()
    top: float = 1
    most: float = 0


@pages.get("/destinations/<name:Name>")
@requires(Permission.ViewDestinations)
def destination(Name: str) -> str:  # noqa: N803
    """The page."""
    query = read_query(request, DestinationQuery)
    known = _known(Name)
    return render_template(
        "destination.html",
        **_now(Name, known),
        **_history(Name, query.hours),
        tests=_tests(Name),
        study=query.study,
        kinds=reasons.KINDS,
        proofs=reasons.WANTED,
        starts=reasons.STARTS,
        windows=reasons.windows(known.windows),
        changes=reasons.changes(known),
        failover=reasons.failover(known),
        speed=reasons.bandwidth(known.bandwidth) if known.bandwidth else None,
        known=known,
    )


@pages.get("/destinations/<name:Name>/live")
@requires(Permission.ViewDestinations)
def destination_live(Name: str) -> str:  # noqa: N803
    """Its health."""
    return render_template("destination-live.html", **_now(Name, _known(Name)))


@pages.get("/destinations/<name:Name>/charts")
@requires(Permission.ViewDestinations)
def destination_charts(Name: str) -> str:  # noqa: N803
    """Its last hours."""
    query = read_query(request, HistoryQuery)
    _known(Name)
    return render_template("destination-charts.html", lane={"name": Name}, **_history(Name, query.hours))


@pages.get("/destinations/<name:Name>/tests")
@requires(Permission.ViewDestinations)
def destination_tests(Name: str) -> str:  # noqa: N803
    """The latest tests of its connection."""
    read_query(request, Nothing)
    _known(Name)
    return render_template("destination-tests.html", lane={"name": Name}, tests=_tests(Name))


@pages.post("/destinations/<name:Name>/compare")
@requires(Permission.EvaluateRules)
def destination_compare(Name: str) -> str:  # noqa: N803
    """An image before and after; a POST, because looking at it is audited."""
    _known(Name)
    found = api.compare(current_call(), Name, read_body(request, Comparison))
    return render_template("destination-compare.html", comparison=found)


def _known(name: str) -> Destination:
    found = current_call().relais.configuration.destinations.get(name)
    if found is None:
        raise not_found("destination", name)
    return found


def _now(name: str, known: Destination) -> dict[str, Any]:
    call = current_call()
    lane = api.one(call, name)
    now = call.relais.clock.now()
    opens = next_open(known.windows, str(zone_of(None)), now)
    return {
        "lane": lane,
        "actions": OF_LANE[lane.state],
        "breaker": _breaker(lane, now),
        "opens": opens if opens > now else None,
        "limited": lane.bandwidth_free_at if lane.bandwidth_free_at and lane.bandwidth_free_at > now else None,
    }


BREAKER = {
    "closed": _("closed: it is sent to"),
    "half": _("half open: one delivery may try it"),
    "open": _("open: nothing is sent until the next try"),
}
"""What the breaker of a lane does."""


def _breaker(lane: DestinationAnswer, now: datetime) -> str:
    if not lane.failures:
        return BREAKER["closed"]
    return BREAKER["half"] if lane.next_probe is None or lane.next_probe <= now else BREAKER["open"]


def _tests(name: str) -> list[connectivity.ConnectivityTest]:
    found: list[connectivity.ConnectivityTest] = connectivity.tests(
        current_call(), name, Paging(limit=TESTS_SHOWN)
    ).items
    return found


def _history(name: str, hours: int) -> dict[str, Any]:
    """The charts, with the hours that they show for a table behind them."""
    items = api.history(current_call(), name, HistoryQuery(hours=hours)).items
    zone = zone_of(None)
    pattern = "Hm" if hours <= SPANS[0][0] else "EEEHm"
    ticks = [items[0].at, items[len(items) // 2].at, items[-1].at]
    return {
        "hours": hours,
        "spans": SPANS,
        "items": items,
        "quiet": not any(each.instances or each.failures or each.backlog or each.completed for each in items),
        "rate": _bars([each.instances for each in items]),
        "failed": _bars([each.failures for each in items]),
        "backlog": _area([each.backlog for each in items]),
        "latency": _latency(items),
        "ticks": [_tick(each, zone, pattern) for each in ticks],
        "tick_of": lambda moment: _tick(moment, zone, "EEEHm"),
    }


def _tick(moment: datetime, zone: Any, pattern: str) -> str:
    return str(format_skeleton(pattern, moment, tzinfo=zone, locale=language()))


def _bars(values: Sequence[float]) -> Chart:
    scale = charts.scale_of(values)
    return Chart(bars=charts.bars(values, scale), top=scale.top, most=max(values))


def _area(values: Sequence[float]) -> Chart:
    scale = charts.scale_of(values)
    return Chart(area=charts.steps(values, scale), top=scale.top, most=max(values))


def _latency(items: Sequence[HourAnswer]) -> Chart:
    slow = [each.latency_p95 for each in items]
    scale = charts.scale_of(slow)
    lines = [charts.line([each.latency_median for each in items], scale), charts.line(slow, scale)]
    return Chart(lines=lines, top=scale.top, most=max((each for each in slow if each is not None), default=0))
