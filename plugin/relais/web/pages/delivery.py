"""One delivery: what became of it so far, attempt by attempt, and what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import render_template

from relais.database import queries
from relais.domain.states import DeliveryState
from relais.web.answers_delivery import AttemptAnswer
from relais.web.api import deliveries as api
from relais.web.composition import current_call
from relais.web.errors import not_found
from relais.web.pages.ledger import choices, shown
from relais.web.pages.moments import tell
from relais.web.pages.reasons import PROOFS, WANTED
from relais.web.pages.shell import pages
from relais.web.pages.study import with_pauses
from relais.web.permissions import Permission, requires

MOVING, RESTING = 1, 4
"""Seconds between two looks."""


@pages.get("/deliveries/<id:Id>")
@requires(Permission.ViewDeliveries)
def delivery(Id: int) -> str:  # noqa: N803
    """The page."""
    return render_template("delivery.html", **_now(Id))


@pages.get("/deliveries/<id:Id>/live")
@requires(Permission.ViewDeliveries)
def delivery_live(Id: int) -> str:  # noqa: N803
    """Everything but the frame."""
    return render_template("delivery-live.html", **_now(Id))


def _now(delivery_id: int) -> dict[str, Any]:
    call = current_call()
    with call.relais.database.read() as connection:
        row = queries.deliveries.one(connection, delivery_id, call.caller.clinics)
        if row is None:
            raise not_found("delivery", delivery_id)
        (delivery,) = shown(connection, [row])
        moments = queries.timeline.of_delivery(connection, delivery_id, row["study_instance_uid"])
    destination = call.relais.configuration.destinations.get(row["destination"])
    detail = api.one(call, delivery_id)
    return {
        "delivery": delivery,
        "detail": detail,
        "attempts": _grouped(detail.history),
        "proofs": PROOFS,
        "wanted": WANTED.get(destination.proof) if destination else None,
        "known": destination is not None,
        "transforms": destination is not None and destination.transforms,
        "choices": choices(row["destination"]),
        "story": with_pauses(tell(moments)),
        "seconds": MOVING if row["state"] == DeliveryState.InProgress else RESTING,
    }


def _grouped(history: Sequence[AttemptAnswer]) -> list[tuple[AttemptAnswer, list[AttemptAnswer]]]:
    """The attempts, each with those before it that failed alike."""
    found: list[tuple[AttemptAnswer, list[AttemptAnswer]]] = []
    for each in history:
        if found and each.error is not None and each.error == found[-1][0].error:
            found[-1][1].append(each)
        else:
            found.append((each, []))
    return found
