"""Destinations and the state of their lanes."""

from __future__ import annotations

from datetime import timedelta

from relais.configuration import Destination
from relais.database import queries
from relais.database.queries.lanes import LaneState, lane_of
from relais.web.answers import DestinationAnswer, Done, Page
from relais.web.composition import Call
from relais.web.errors import not_found
from relais.web.permissions import Permission
from relais.web.questions import Command
from relais.web.routes import Routes

routes = Routes("/relais/v1/destinations")

ONE = "/<name:Name>"
DAY = timedelta(days=1)


@routes.get("", Permission.ViewDestinations, Page[DestinationAnswer])
def find(call: Call) -> Page[DestinationAnswer]:
    """Every destination with the state of its lane."""
    return Page(items=_answers(call, list(call.relais.configuration.destinations)), next=None)


@routes.get(ONE, Permission.ViewDestinations, DestinationAnswer)
def one(call: Call, Name: str) -> DestinationAnswer:  # noqa: N803
    """One destination with the state of its lane."""
    if Name not in call.relais.configuration.destinations:
        raise not_found("destination", Name)
    return _answers(call, [Name])[0]


@routes.post(ONE + "/pause", Permission.ChangeDestinations, Done, body=Command, statuses={409: "It is paused already."})
def pause(call: Call, Name: str, body: Command) -> Done:  # noqa: N803
    """Start no more deliveries there; what is under way ends."""
    call.relais.lanes.pause(lane_of(Name), actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/resume", Permission.ChangeDestinations, Done, body=Command, statuses={409: "It is open already."})
def resume(call: Call, Name: str, body: Command) -> Done:  # noqa: N803
    """Deliver there again; a destination that waits for its probe is probed now."""
    call.relais.lanes.resume(lane_of(Name), actor=call.caller.name, reason=body.reason)
    return Done()


def _answers(call: Call, names: list[str]) -> list[DestinationAnswer]:
    with call.relais.database.read() as connection:
        found = queries.lanes.of_destinations(connection, names, call.relais.clock.now() - DAY)
    destinations = call.relais.configuration.destinations
    return [_answer(lane, destinations[lane.destination]) for lane in found]


def _answer(lane: LaneState, destination: Destination) -> DestinationAnswer:
    return DestinationAnswer(
        name=lane.destination,
        kind=destination.kind,
        aet=destination.aet,
        host=destination.host,
        port=destination.port,
        concurrency=destination.concurrency,
        state=lane.state,
        backlog=lane.backlog,
        counts=lane.counts,
        oldest=lane.oldest,
        completed_last_day=lane.completed,
        failures=lane.failures,
        down_since=lane.down_since,
        next_probe=lane.probe_at,
        paused_at=lane.paused_at,
        paused_reason=lane.paused_reason,
        last_error=lane.last_error,
    )
