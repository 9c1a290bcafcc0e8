"""Orders: what modalities get as their worklist, and the studies that came without one."""

from __future__ import annotations

from typing import Any

from relais.database import queries
from relais.domain.document import DocumentError, Problem
from relais.domain.orders import Order
from relais.patient_lines import document_of
from relais.web.answers import Done, Page, page_of
from relais.web.answers_worklist import OrderAnswer, OrderPut, OrdersPut, StrayAnswer
from relais.web.composition import Call
from relais.web.errors import invalid, not_found
from relais.web.permissions import Permission
from relais.web.questions import Command
from relais.web.questions_worklist import OrderBody, OrderLines, OrderQuery, StrayQuery
from relais.web.routes import Routes
from relais.worklist.orders import Bulk, Stored

routes = Routes("/relais/v1/worklist")

ONE = "/<accession:AccessionNumber>"
MISSING = {404: "No such order that the caller may see."}
CONFLICT = {409: "Another clinic has an order of this accession number, or the order is over."}


@routes.get("", Permission.ViewOrders, Page[OrderAnswer], query=OrderQuery)
def find(call: Call, query: OrderQuery) -> Page[OrderAnswer]:
    """Orders, the one that was given last first; looking at them is audited."""
    with call.relais.database.read() as connection:
        rows = queries.worklist.find(connection, query.wanted, call.caller.clinics, query.before, query.limit)
    if rows:
        record(call, "orders.listed", Orders=[row["id"] for row in rows])
    return page_of(rows, query.limit, OrderAnswer.of)


@routes.get("/strays", Permission.ViewStudies, Page[StrayAnswer], query=StrayQuery)
def strays(call: Call, query: StrayQuery) -> Page[StrayAnswer]:
    """Studies without an order, the last to arrive first; only of clinics that have orders."""
    with call.relais.database.read() as connection:
        rows = queries.worklist.strays(connection, query.clinic, call.caller.clinics, query.before, query.limit)
    patient = call.caller.may(Permission.ViewPatients)
    return page_of(rows, query.limit, lambda row: StrayAnswer.of(row, patient=patient))


@routes.post("", Permission.ChangeOrders, OrderPut, body=OrderBody, statuses=CONFLICT)
def add(call: Call, body: OrderBody) -> OrderPut:
    """Add an order, or change the one of its accession number; one that was canceled stays so."""
    return _put(call, call.relais.worklist.orders.read(body.given(), scope=call.caller.clinics))


@routes.post("/bulk", Permission.ChangeOrders, OrdersPut, body=OrderLines)
def bulk(call: Call, body: OrderLines) -> OrdersPut:
    """Add or change many orders, one a line, of 4 MB at most; bad lines are reported, and the others are stored."""
    orders = call.relais.worklist.orders
    given: list[tuple[int, Order]] = []
    found = Bulk()
    for number, line in enumerate(body.text.decode(errors="surrogateescape").split("\n"), 1):
        if not line.strip():
            continue
        try:
            document = document_of(line)
            if not isinstance(document, dict):
                raise DocumentError([Problem("", "not-an-object")])  # noqa: TRY301 - as what reads it raises
            given.append((number, orders.read(document, scope=call.caller.clinics)))
        except DocumentError as error:
            found.refused += 1
            found.problems += [(number, each) for each in error.problems]
    orders.put_many(given, actor=call.caller.name, scope=call.caller.clinics, bulk=found)
    return OrdersPut.of(found, call.texts)


@routes.get(ONE, Permission.ViewOrders, OrderAnswer, statuses=MISSING)
def one(call: Call, AccessionNumber: str) -> OrderAnswer:  # noqa: N803
    """One order; looking at it is audited."""
    with call.relais.database.read() as connection:
        row = queries.worklist.one(connection, AccessionNumber, call.caller.clinics)
    if row is None:
        raise not_found("order", AccessionNumber)
    record(call, "order.viewed", Order=row["id"])
    return OrderAnswer.of(row)


@routes.put(ONE, Permission.ChangeOrders, OrderPut, body=OrderBody, statuses=CONFLICT)
def put(call: Call, AccessionNumber: str, body: OrderBody) -> OrderPut:  # noqa: N803
    """Add an order, or make it say this; one that was canceled or expired is scheduled again."""
    given = body.given()
    if given.get("AccessionNumber") not in (None, AccessionNumber):
        raise invalid([Problem("AccessionNumber", "accession-differs")])
    document = {**given, "AccessionNumber": AccessionNumber}
    return _put(call, call.relais.worklist.orders.read(document, scope=call.caller.clinics), revive=True)


@routes.delete(ONE, Permission.ChangeOrders, Done, statuses=MISSING | {409: "It is over."})
def delete(call: Call, AccessionNumber: str) -> Done:  # noqa: N803
    """Cancel an order: no machine gets it any more, and its prefetch is dropped. What is known of it stays."""
    call.relais.worklist.orders.cancel(AccessionNumber, actor=call.caller.name, reason="", scope=call.caller.clinics)
    return Done()


@routes.post(ONE + "/cancel", Permission.ChangeOrders, Done, body=Command, statuses=MISSING | {409: "It is over."})
def cancel(call: Call, AccessionNumber: str, body: Command) -> Done:  # noqa: N803
    """The same, with the reason."""
    call.relais.worklist.orders.cancel(
        AccessionNumber, actor=call.caller.name, reason=body.reason, scope=call.caller.clinics
    )
    return Done()


def record(call: Call, action: str, **detail: Any) -> None:
    """What somebody saw of patients is audited."""
    with call.relais.database.write() as connection:
        call.relais.journal.record(connection, action, actor=call.caller.name, **detail)


def _put(call: Call, order: Order, *, revive: bool = False) -> OrderPut:
    stored: Stored = call.relais.worklist.orders.put(
        order, actor=call.caller.name, scope=call.caller.clinics, revive=revive
    )
    return OrderPut(
        accession_number=stored.accession_number,
        outcome=stored.outcome,
        study_instance_uid=stored.study_instance_uid,
    )
