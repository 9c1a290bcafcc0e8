"""Destinations: the state of their lanes, their last hours, and what they change in images."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import RowMapping

from relais.configuration import Destination
from relais.database import queries
from relais.database.queries.lanes import LaneState, lane_of
from relais.domain.retry import ErrorClass
from relais.journal import Subject
from relais.texts import _
from relais.transports import SendingError
from relais.transports.port import Item
from relais.transports.transformed import Transformed
from relais.web.answers import Done, Page
from relais.web.answers_delivery import ErrorWords, error_values
from relais.web.answers_destination import (
    ChangeAnswer,
    ComparisonAnswer,
    DestinationAnswer,
    HistoryAnswer,
    HourAnswer,
    WindowAnswer,
)
from relais.web.api.studies import visible_study
from relais.web.composition import Call
from relais.web.errors import RefusedError, not_found
from relais.web.permissions import Permission
from relais.web.questions import Command, Comparison, HistoryQuery
from relais.web.routes import Routes
from relais.web.troubles import tell

routes = Routes("/relais/v1/destinations")

ONE = "/<name:Name>"
DAY = timedelta(days=1)
NOT_NOW = _("The image cannot be read at the moment; try again")


@routes.get("", Permission.ViewDestinations, Page[DestinationAnswer])
def find(call: Call) -> Page[DestinationAnswer]:
    """Every destination with the state of its lane."""
    return Page(items=_answers(call, list(call.relais.configuration.destinations)), next=None)


@routes.get(ONE, Permission.ViewDestinations, DestinationAnswer)
def one(call: Call, Name: str) -> DestinationAnswer:  # noqa: N803
    """One destination with the state of its lane."""
    _known(call, Name)
    return _answers(call, [Name])[0]


@routes.get(ONE + "/history", Permission.ViewDestinations, HistoryAnswer, query=HistoryQuery)
def history(call: Call, Name: str, query: HistoryQuery) -> HistoryAnswer:  # noqa: N803
    """A destination hour by hour: what got through, how long that took, what failed and what waited."""
    _known(call, Name)
    with call.relais.database.read() as connection:
        hours = queries.history.of_destination(connection, Name, call.relais.clock.now(), query.hours)
    return HistoryAnswer(name=Name, items=[HourAnswer.model_validate(each) for each in hours])


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


@routes.post(ONE + "/compare", Permission.EvaluateRules, ComparisonAnswer, body=Comparison)
def compare(call: Call, Name: str, body: Comparison) -> ComparisonAnswer:  # noqa: N803
    """An image as it is stored, and as this destination would receive it; nothing is sent.

    Both name the patient, so that looking is audited; whoever may do this may see patients.
    """
    destination = _known(call, Name)
    with call.relais.database.read() as connection:
        study = visible_study(connection, call, body.study_instance_uid)
        image = queries.studies.image(connection, study["id"], body.sop_instance_uid)
    if image is None:
        raise not_found("instance", body.sop_instance_uid or "")
    with call.relais.database.write() as connection:
        call.relais.journal.record(
            connection,
            "study.compared",
            actor=call.caller.name,
            subject=Subject(id=study["id"], study_instance_uid=study["study_instance_uid"]),
            Destination=Name,
            SOPInstanceUID=image["sop_instance_uid"],
            Reason=body.reason,
        )
    changes, refused = _compared(call, Name, destination, image, study["study_instance_uid"])
    return ComparisonAnswer(
        study_instance_uid=study["study_instance_uid"],
        sop_instance_uid=image["sop_instance_uid"],
        changes=changes,
        refused=refused,
    )


def _compared(
    call: Call, name: str, destination: Destination, image: RowMapping, study_instance_uid: str
) -> tuple[list[ChangeAnswer], ErrorWords | None]:
    """What is changed in the image, or why it would be refused."""
    if not destination.transforms:
        return [], None
    item = Item(
        orthanc_id=image["orthanc_id"],
        study_instance_uid=study_instance_uid,
        series_instance_uid=image["series_instance_uid"],
        sop_instance_uid=image["sop_instance_uid"],
        bytes=image["bytes"],
    )
    try:
        changes = Transformed(call.relais.orthanc, destination).changes(item)
    except SendingError as error:
        if error.error_class is ErrorClass.Transient:
            raise RefusedError(503, NOT_NOW) from error
        stored = {"Class": error.error_class.value, "Code": error.code, "Text": error.text}
        words = tell(stored, name, call.relais.configuration, call.texts)
        return [], ErrorWords.model_validate(error_values(stored, words))
    return [ChangeAnswer.model_validate(each) for each in changes], None


def _known(call: Call, name: str) -> Destination:
    found = call.relais.configuration.destinations.get(name)
    if found is None:
        raise not_found("destination", name)
    return found


def _answers(call: Call, names: list[str]) -> list[DestinationAnswer]:
    with call.relais.database.read() as connection:
        found = queries.lanes.of_destinations(connection, names, call.relais.clock.now() - DAY)
    destinations = call.relais.configuration.destinations
    return [_answer(lane, destinations[lane.destination]) for lane in found]


def _answer(lane: LaneState, destination: Destination) -> DestinationAnswer:
    return DestinationAnswer(
        name=lane.destination,
        kind=destination.kind,
        address=destination.address,
        concurrency=destination.concurrency,
        bandwidth=destination.bandwidth,
        windows=[WindowAnswer(days=list(each.days), from_=each.from_, to=each.to) for each in destination.windows],
        proof=destination.proof,
        start=destination.start,
        failover_to=destination.failover_to,
        transforms=destination.transforms,
        state=lane.state,
        backlog=lane.backlog,
        counts=lane.counts,
        oldest=lane.oldest,
        completed_last_day=lane.completed,
        failures=lane.failures,
        down_since=lane.down_since,
        next_probe=lane.probe_at,
        bandwidth_free_at=lane.bandwidth_free_at,
        paused_at=lane.paused_at,
        paused_reason=lane.paused_reason,
        last_error=lane.last_error,
    )
