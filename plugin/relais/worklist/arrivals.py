"""Studies that arrive with an order: whose they are by it, what rules may ask of it, and the order is done.

An order is a study's where the study has its accession number, or none and the UID that the worklist told; where the
clinic is the order's, and where the images do not name somebody else. What is unclear stays without an order: a stray,
until a person ties it to its order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database.tables import study
from relais.database.worklist_tables import worklist_item
from relais.domain.asked import Demographics, asked_of, born_apart, named_apart
from relais.domain.facts import Values
from relais.domain.orders import values_of
from relais.domain.states import ORDER, OrderState, StrayReason, sources_of
from relais.journal import Journal, Subject

IMPORTED = "Source"
"""What a study's origin has where it was fetched from another archive: such a study needs no order of ours."""
MOST_DIFFERENCES = 1
"""Of name, birth date and PatientID, how many may differ between an order and the images made for it."""


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """A study's order, or why it has none: `stray` is None where nobody expects one."""

    item: Row[Any] | None = None
    stray: StrayReason | None = None

    @property
    def crm_id(self) -> str | None:
        """Whose study it is, as the order says."""
        return None if self.item is None else self.item.crm_id

    @property
    def facts(self) -> Mapping[str, Values]:
        """What rules may ask of the order."""
        return {} if self.item is None else values_of(self.item.document)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What is known of a study that may have an order."""

    accession_number: str
    study_instance_uid: str = ""
    clinic: str | None
    said: Demographics = field(default_factory=lambda: Demographics(tags={}))
    imported: bool = False
    tied: int | None = None
    """The order that a person says it is of."""


NONE = Ordered()


class Arrivals:
    """Finds the orders of studies, and completes them."""

    def __init__(self, *, clock: Clock, journal: Journal, configuration: Configuration) -> None:
        self._clock = clock
        self._journal = journal
        self._configuration = configuration

    def find(self, connection: Connection, arrival: Arrival) -> Ordered:
        """The order of a study; nothing is written."""
        found = self._named(connection, arrival)
        if found is None:
            if arrival.imported or not self._expects(connection, arrival.clinic):
                return NONE
            unknown = StrayReason.UnknownAccessionNumber if arrival.accession_number else StrayReason.NoAccessionNumber
            return Ordered(stray=unknown)
        said_by_person = arrival.tied is not None
        if found.clinic != arrival.clinic and not said_by_person:
            told = arrival.clinic is None and found.study_instance_uid == arrival.study_instance_uid
            if not told:
                return Ordered(stray=None if arrival.imported else StrayReason.AnotherClinic)
        if found.state == OrderState.Canceled and found.mpps_uid is None:  # else it was begun, and then discontinued
            return Ordered(stray=StrayReason.Canceled)
        apart = _differences(found.document, arrival.said, self._clock.now().date())
        if apart > MOST_DIFFERENCES and not said_by_person:
            return Ordered(stray=StrayReason.AnotherPatient)
        return Ordered(item=found)

    def whose(self, connection: Connection, item_id: int | None) -> str | None:
        """The CRM's patient of an order."""
        if item_id is None:
            return None
        found: str | None = connection.execute(_WHOSE, {"item": item_id}).scalar()
        return found

    def write(self, connection: Connection, row: Row[Any], ordered: Ordered) -> bool:
        """The study (a row of `study`, locked) has this order; False where the order changed since it was found.

        The first study of an order completes it. Where a study turns out to be of another order, or of none, the one
        that it completed waits again.
        """
        item = None
        if ordered.item is not None:
            item = connection.execute(_LOCKED, {"item": ordered.item.id}).one()
            if item.changed_at != ordered.item.changed_at and item.study_id != row.id:
                return False
        item_id = None if item is None else item.id
        if row.order_id != item_id or row.stray != ordered.stray:
            connection.execute(_ORDERED, {"study": row.id, "order": item_id, "why": ordered.stray})
        if row.order_id not in (None, item_id):
            self._wait_again(connection, row)
        if item is not None and item.study_id is None:
            self._complete(connection, row, item)
        return True

    def _named(self, connection: Connection, arrival: Arrival) -> Row[Any] | None:
        """The order that a person, the accession number or the UID names."""
        number = arrival.accession_number
        if arrival.tied is not None:
            return connection.execute(_BY_ID, {"item": arrival.tied}).one_or_none()
        if number:
            return connection.execute(_BY_NUMBER, {"number": number}).one_or_none()
        return connection.execute(_BY_UID, {"uid": arrival.study_instance_uid}).one_or_none()

    def _complete(self, connection: Connection, row: Row[Any], item: Row[Any]) -> None:
        performed = item.state == OrderState.Completed  # as the machine said, before its images were here
        if not performed and item.state not in sources_of(ORDER, OrderState.Completed):
            return
        now = self._clock.now()
        values = {"state": OrderState.Completed, "study_id": row.id, "completed_at": now, "changed_at": now}
        connection.execute(update(worklist_item).where(worklist_item.c.id == item.id).values(values))
        self._journal.record(
            connection,
            "worklist.completed",
            subject=Subject(id=row.id, study_instance_uid=row.study_instance_uid),
            Order=item.id,
            AccessionNumber=item.accession_number,
            **{key: value for key, value in (("Clinic", item.clinic), ("CrmId", item.crm_id)) if value},
        )

    def _wait_again(self, connection: Connection, row: Row[Any]) -> None:
        now = self._clock.now()
        values = {"state": OrderState.Scheduled, "study_id": None, "completed_at": None, "changed_at": now}
        undone = connection.execute(
            update(worklist_item)
            .where(worklist_item.c.id == row.order_id, worklist_item.c.study_id == row.id)
            .values(values)
        )
        if undone.rowcount:
            subject = Subject(id=row.id, study_instance_uid=row.study_instance_uid)
            self._journal.record(connection, "order.reopened", subject=subject, Order=row.order_id)

    def _expects(self, connection: Connection, clinic: str | None) -> bool:
        """Whether that clinic's studies have orders: it sends us some."""
        if not self._configuration.worklist.enabled:
            return False
        statement = _ANY if clinic is None else _ANY_OF_CLINIC
        return bool(connection.execute(statement, {} if clinic is None else {"clinic": clinic}).scalar())


def _differences(document: Mapping[str, Any], said: Demographics, today: date) -> int:
    """In how many of name, birth date and PatientID an order and the images name two people."""
    tags = {keyword: value for keyword, value in document.items() if isinstance(value, str)}
    ordered, seen = asked_of(Demographics(tags=tags), today), asked_of(said, today)
    ids = {each.get("PatientID", "").strip() for each in (tags, said.tags)}
    return sum([born_apart(ordered, seen), named_apart(ordered, seen), len(ids - {""}) > 1])


_BY_ID = select(worklist_item).where(worklist_item.c.id == bindparam("item"))
_BY_NUMBER = select(worklist_item).where(worklist_item.c.accession_number == bindparam("number"))
_BY_UID = select(worklist_item).where(worklist_item.c.study_instance_uid == bindparam("uid")).limit(1)
_WHOSE = select(worklist_item.c.crm_id).where(worklist_item.c.id == bindparam("item"))
_LOCKED = _BY_ID.with_for_update()
_ORDERED = (
    update(study).where(study.c.id == bindparam("study")).values(order_id=bindparam("order"), stray=bindparam("why"))
)
_ANY = select(exists(select(worklist_item.c.id)))
_ANY_OF_CLINIC = select(exists(select(worklist_item.c.id).where(worklist_item.c.clinic == bindparam("clinic"))))
