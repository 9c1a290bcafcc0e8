"""Deliveries: the ledger, and what a person may do to an entry, or to many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relais import bulk as bulk_step
from relais.bulk import Act, Order
from relais.database import queries
from relais.database.queries.deliveries import DeliveryFilter
from relais.domain.document import Problem, nearest
from relais.errors import RefusedByLawError, StateError, UnknownError
from relais.texts_residency import say_refusal
from relais.web.answers import DeliveryAnswer, Done, Page, page_of
from relais.web.answers_delivery import (
    AttemptAnswer,
    BulkAnswer,
    DeliveryDetail,
    ErrorWords,
    GapAnswer,
    Redirected,
    Refused,
    error_values,
)
from relais.web.composition import Call
from relais.web.errors import CONFLICTS, KINDS, invalid, not_found
from relais.web.permissions import Permission
from relais.web.questions import BulkCommand, Command, DeliveryQuery, Redirection
from relais.web.routes import Routes
from relais.web.troubles import tell
from relais.web.waits import Waiting

routes = Routes("/relais/v1/deliveries")

ONE = "/<id:Id>"
CONFLICT = {409: "The state of the delivery does not allow it."}


@routes.get("", Permission.ViewDeliveries, Page[DeliveryAnswer], query=DeliveryQuery)
def find(call: Call, query: DeliveryQuery) -> Page[DeliveryAnswer]:
    """Deliveries with filters, the one planned last first."""
    wanted = query.wanted(call.relais.clock.now())
    with call.relais.database.read() as connection:
        rows = queries.deliveries.find(connection, wanted, call.caller.clinics, query.before, query.limit)
    return page_of(rows, query.limit, DeliveryAnswer.of)


@routes.get(ONE, Permission.ViewDeliveries, DeliveryDetail)
def one(call: Call, Id: int) -> DeliveryDetail:  # noqa: N803
    """One delivery: what it waits for, what its destination has not, its attempts, and its proof."""
    with call.relais.database.read() as connection:
        row = queries.deliveries.one(connection, Id, call.caller.clinics)
        if row is None:
            raise not_found("delivery", Id)
        waits = Waiting(connection, call.relais.configuration, call.relais.clock.now()).of(row)
        gaps = queries.deliveries.gaps_of(connection, Id)
        gaps_in_all = queries.deliveries.count_gaps(connection, Id)
        attempts = queries.deliveries.attempts_of(connection, Id)

    def words(error: Mapping[str, Any]) -> ErrorWords:
        told = tell(error, row["destination"], call.relais.configuration, call.texts)
        return ErrorWords.model_validate(error_values(error, told))

    return DeliveryDetail.model_validate(
        {
            **DeliveryAnswer.of(row).model_dump(),
            "owed_since": row["owed_since"],
            "waits": waits,
            "gaps": [GapAnswer.model_validate({**each, "error": words(each["error"])}) for each in gaps],
            "gaps_in_all": gaps_in_all,
            "history": [
                AttemptAnswer.model_validate({**each, "error": words(each["error"]) if each["error"] else None})
                for each in attempts
            ],
        }
    )


@routes.post(ONE + "/retry", Permission.ChangeDeliveries, Done, body=Command, statuses=CONFLICT)
def retry(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """Try a delivery now that has failed, waits or was canceled."""
    _check_visible(call, Id)
    call.relais.ledger.retry(Id, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/hold", Permission.ChangeDeliveries, Done, body=Command, statuses=CONFLICT)
def hold(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """Send no more of a delivery until it is released; a batch under way ends."""
    _check_visible(call, Id)
    call.relais.ledger.hold(Id, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/release", Permission.ChangeDeliveries, Done, body=Command, statuses=CONFLICT)
def release(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """End the hold of a delivery."""
    _check_visible(call, Id)
    call.relais.ledger.release(Id, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/cancel", Permission.ChangeDeliveries, Done, body=Command, statuses=CONFLICT)
def cancel(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """Owe it no longer; a retry undoes that."""
    _check_visible(call, Id)
    call.relais.ledger.cancel(Id, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/redirect", Permission.ChangeDeliveries, Redirected, body=Redirection, statuses=CONFLICT)
def redirect(call: Call, Id: int, body: Redirection) -> Redirected:  # noqa: N803
    """Owe the study to another destination instead; what this one has stays there."""
    _check_visible(call, Id)
    _check_destination(call, body.destination)
    there = call.relais.ledger.redirect(Id, body.destination, actor=call.caller.name, reason=body.reason)
    return Redirected(delivery=there)


@routes.post("/bulk", Permission.ChangeDeliveries, BulkAnswer, body=BulkCommand)
def bulk(call: Call, body: BulkCommand) -> BulkAnswer:
    """Do something to many deliveries, a piece at a time; each has its own transaction and its own audit event.

    A piece takes some two seconds at most. What the caller may not see is left alone.
    """
    if (body.ids is None) is (body.filter is None):
        raise invalid([Problem("Ids", "ids-or-filter")])
    if (body.destination is None) is (body.action is Act.Redirect):
        raise invalid([Problem("Destination", "destination-with-redirect")])
    if body.destination is not None:
        _check_destination(call, body.destination)
    wanted = DeliveryFilter(ids=body.ids) if body.filter is None else body.filter.wanted(call.relais.clock.now())
    order = Order(
        act=body.action,
        wanted=wanted,
        scope=call.caller.clinics,
        actor=call.caller.name,
        reason=body.reason,
        destination=body.destination or "",
    )
    since = None if body.since is None else int(body.since)
    piece = bulk_step.work(call.relais.database, call.relais.ledger, order, since=since, limit=body.limit)
    return BulkAnswer(
        done=len(piece.changed),
        changed=list(piece.changed),
        refused=[Refused(id=each.id, error=_refusal(call, each.error)) for each in piece.refused],
        left=piece.left,
        next=str(piece.last) if piece.left else None,
    )


def _refusal(call: Call, error: StateError | UnknownError) -> str:
    if isinstance(error, UnknownError):
        return call.texts.say(KINDS[error.kind], name=error.name)
    refusal = call.texts.say(CONFLICTS[error.code], **error.values)
    if not isinstance(error, RefusedByLawError):
        return refusal
    return ": ".join([refusal, "; ".join(say_refusal(each, call.texts.language) for each in error.reasons)])


def _check_destination(call: Call, name: str) -> None:
    known = call.relais.configuration.destinations
    if name not in known:
        raise invalid([Problem("Destination", "unknown-destination", {"name": name, "nearest": nearest(name, known)})])


def _check_visible(call: Call, delivery_id: int) -> None:
    with call.relais.database.read() as connection:
        if queries.deliveries.one(connection, delivery_id, call.caller.clinics) is None:
            raise not_found("delivery", delivery_id)
