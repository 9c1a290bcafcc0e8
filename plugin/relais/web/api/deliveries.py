"""Deliveries: the ledger, and what a person may do to an entry."""

from __future__ import annotations

from relais.database import queries
from relais.database.queries.deliveries import DeliveryFilter
from relais.web.answers import AttemptAnswer, DeliveryAnswer, DeliveryDetail, Done, Page
from relais.web.composition import Call
from relais.web.errors import not_found
from relais.web.permissions import Permission
from relais.web.questions import Command, DeliveryQuery
from relais.web.routes import Routes

routes = Routes("/relais/v1/deliveries")

ONE = "/<id:Id>"
CONFLICT = {409: "The state of the delivery does not allow it."}


@routes.get("", Permission.ViewDeliveries, Page[DeliveryAnswer], query=DeliveryQuery)
def find(call: Call, query: DeliveryQuery) -> Page[DeliveryAnswer]:
    """Deliveries with filters, the one planned last first."""
    wanted = DeliveryFilter(
        state=query.state, destination=query.destination, study_instance_uid=query.study_instance_uid
    )
    with call.relais.database.read() as connection:
        rows = queries.deliveries.find(connection, wanted, call.caller.clinics, query.before, query.limit)
    following = str(rows[-1]["id"]) if len(rows) == query.limit else None
    return Page(items=[DeliveryAnswer.of(row) for row in rows], next=following)


@routes.get(ONE, Permission.ViewDeliveries, DeliveryDetail)
def one(call: Call, Id: int) -> DeliveryDetail:  # noqa: N803
    """One delivery with its attempts."""
    with call.relais.database.read() as connection:
        row = queries.deliveries.one(connection, Id, call.caller.clinics)
        if row is None:
            raise not_found("delivery", Id)
        attempts = queries.deliveries.attempts_of(connection, Id)
    history = [AttemptAnswer.model_validate(each) for each in attempts]
    return DeliveryDetail.model_validate({**DeliveryAnswer.of(row).model_dump(), "history": history})


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


def _check_visible(call: Call, delivery_id: int) -> None:
    with call.relais.database.read() as connection:
        if queries.deliveries.one(connection, delivery_id, call.caller.clinics) is None:
            raise not_found("delivery", delivery_id)
