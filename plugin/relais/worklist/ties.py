"""Studies that a person ties to their order, where the images do not say it: what they said outlives new decisions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from relais.database import Database
from relais.database.tables import study
from relais.database.worklist_tables import worklist_item
from relais.decide import Studies
from relais.domain.states import OrderState
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.links import find, subject
from relais.patient_index import is_hidden


class Ties:
    """Keeps what persons say; the decision that follows completes the order and asks again whose the study is."""

    def __init__(self, *, database: Database, journal: Journal, studies: Studies) -> None:
        self._database = database
        self._journal = journal
        self._studies = studies

    def tie(
        self, study_instance_uid: str, accession_number: str, *, actor: str, reason: str, scope: Collection[str] | None
    ) -> None:
        """This study was made for that order.

        Raises UnknownError where there is no such study or order, and StateError where the order is another clinic's
        or was canceled.
        """
        with self._database.write() as connection:
            row = find(connection, study_instance_uid)
            order = connection.execute(_ORDER, {"number": accession_number}).one_or_none()
            if order is None or is_hidden(order.clinic, scope):
                raise UnknownError("order", accession_number)
            if row.clinic not in (None, order.clinic):
                raise StateError("order-not-of-its-clinic")
            if order.state == OrderState.Canceled:
                raise StateError("order-state", state=order.state)
            if row.tied_order_id != order.id:
                self._set(connection, row, order.id)
                self._record(connection, "study.tied", row, order.id, actor=actor, reason=reason)

    def untie(self, study_instance_uid: str, *, actor: str, reason: str) -> None:
        """What a person said of its order no longer counts; raises UnknownError, and StateError where nobody did."""
        with self._database.write() as connection:
            row = find(connection, study_instance_uid)
            if row.tied_order_id is None:
                raise StateError("study-not-tied")
            self._set(connection, row, None)
            self._record(connection, "study.untied", row, row.tied_order_id, actor=actor, reason=reason)

    def _set(self, connection: Connection, row: Row[Any], tied: int | None) -> None:
        connection.execute(_TIE, {"study": row.id, "order": tied})
        self._studies.ask(connection, row)

    def _record(
        self, connection: Connection, action: str, row: Row[Any], order: int, *, actor: str, reason: str
    ) -> None:
        self._journal.record(connection, action, actor=actor, subject=subject(row), Order=order, Reason=reason)


_ORDER = select(worklist_item).where(worklist_item.c.accession_number == bindparam("number"))
_TIE = update(study).where(study.c.id == bindparam("study")).values(tied_order_id=bindparam("order"))
