"""What the law refuses: the delivery is blocked with its reasons, told once, and judged again when its time comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, update

from relais.clock import Clock
from relais.database.tables import delivery
from relais.domain.residency import Refusal
from relais.domain.states import DELIVERY, DeliveryState, sources_of
from relais.journal import Journal, Subject
from relais.tasks import Tasks


class Blocking:
    """Moves deliveries into the state Blocked."""

    def __init__(self, *, clock: Clock, tasks: Tasks, journal: Journal) -> None:
        self._clock = clock
        self._tasks = tasks
        self._journal = journal

    def block(
        self,
        connection: Connection,
        row: Row[Any],
        subject: Subject,
        refusal: Refusal,
        kept: Sequence[Mapping[str, Any]],
    ) -> bool:
        """Nothing more of the delivery (a row of it) is sent; False where its state does not allow that.

        `kept` are its other reasons. The event and the alert are not repeated while the reasons stay the same.
        """
        refused = [each.to_json() for each in refusal.reasons]
        known = [each for each in row.reasons if "Refused" in each] if row.state == DeliveryState.Blocked else None
        moved = connection.execute(
            update(delivery)
            .where(delivery.c.id == row.id, delivery.c.state.in_(sources_of(DELIVERY, DeliveryState.Blocked)))
            .values(
                state=DeliveryState.Blocked,
                reasons=[*others(kept), *refused],
                next_attempt=refusal.until,
                finished_at=None,
            )
        )
        if moved.rowcount == 0:
            return False
        if refusal.until is not None:
            self._tasks.schedule(
                connection,
                kind="judge",
                lane="studies",
                key=f"judge:{row.id}",
                run_at=refusal.until,
                payload={"Delivery": row.id},
            )
        if known != refused:
            codes = [each.code for each in refusal.reasons]
            detail = {"Delivery": row.id, "Destination": row.destination, "Purpose": row.purpose, "Reasons": codes}
            self._journal.record(connection, "delivery.blocked", subject=subject, **detail)
            self._journal.record(connection, "security.alert", subject=subject, Kind="delivery-refused", **detail)
        return True


def others(reasons: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The reasons of a delivery without those of a refusal."""
    return [each for each in reasons if "Refused" not in each]
