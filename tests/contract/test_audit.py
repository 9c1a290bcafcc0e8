"""The hash chain, on both databases."""

from typing import Any

import pytest
from sqlalchemy import delete, update

from relais.audit import Audit, verify
from relais.database import Database
from relais.database.tables import audit
from tests.servers.clock import FakeClock


def append(database: Database, clock: FakeClock, count: int, node: str = "here") -> None:
    chain = Audit(clock, node)
    for number in range(count):
        with database.write() as connection:
            detail = {"Number": number, "Name": "Élise"}
            chain.append(connection, actor="alice", action="test", study_instance_uid="1.2", detail=detail)


def test_a_chain_is_whole(database: Database, clock: FakeClock) -> None:
    append(database, clock, 5)
    append(database, clock, 3, node="there")
    assert [(each.node, each.events, each.broken_at) for each in verify(database)] == [
        ("here", 5, None),
        ("there", 3, None),
    ]


@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        ({"actor": "mallory"}, 3),
        ({"detail": {"Number": 9}}, 3),
        ({"study_instance_uid": "1.3"}, 3),
        ({"hash": "0" * 64}, 3),
    ],
)
def test_a_changed_event_is_found(database: Database, clock: FakeClock, change: dict[str, Any], broken_at: int) -> None:
    append(database, clock, 5)
    with database.write() as connection:
        connection.execute(update(audit).where(audit.c.number == 3).values(change))
    assert verify(database)[0].broken_at == broken_at


@pytest.mark.parametrize(("number", "broken_at"), [(1, 1), (3, 3), (5, 5)])
def test_a_missing_event_is_found(database: Database, clock: FakeClock, number: int, broken_at: int) -> None:
    append(database, clock, 5)
    with database.write() as connection:
        connection.execute(delete(audit).where(audit.c.number == number))
    assert verify(database)[0].broken_at == broken_at


def test_an_event_of_a_rolled_back_transaction_leaves_no_gap(database: Database, clock: FakeClock) -> None:
    append(database, clock, 1)
    chain = Audit(clock, "here")
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        chain.append(connection, actor="alice", action="test", study_instance_uid=None, detail={})
        _ = 1 / 0
    append(database, clock, 1)
    assert verify(database)[0].broken_at is None
