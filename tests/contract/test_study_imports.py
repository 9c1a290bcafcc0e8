"""Imports as rows, on both databases: begun, canceled, begun again, ended; and what the feed notes of them."""

from typing import Any

import pytest
from sqlalchemy import select, update

from relais.database import Database
from relais.database.retrieval_tables import expected_instance, retrieval, study_import
from relais.database.tables import event, task
from relais.domain.priority import Priority
from relais.domain.states import ImportState, RetrievalState
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.retrieval import arrivals
from relais.retrieval.imports import Order, StudyImports, Wanted
from relais.retrieval.rounds import expect
from relais.tasks import Tasks
from tests.contract.test_watch import Archive
from tests.servers.clock import FakeClock

WHY: dict[str, str] = {"actor": "alice", "reason": "a test"}


@pytest.fixture
def imports(database: Database, clock: FakeClock, tasks: Tasks, journal: Journal) -> StudyImports:
    sources = {"pacs": Archive()}
    return StudyImports(database=database, clock=clock, tasks=tasks, journal=journal, sources=sources)


def order(*studies: str, **options: Any) -> Order:
    return Order(source="pacs", wanted=[Wanted(study=each) for each in studies], actor="alice", **options)


def states(database: Database) -> tuple[list[str], list[str]]:
    with database.read() as connection:
        several = connection.execute(select(study_import.c.state).order_by(study_import.c.id)).scalars().all()
        pieces = connection.execute(select(retrieval.c.state).order_by(retrieval.c.id)).scalars().all()
    return list(several), list(pieces)


def end(database: Database, imports: StudyImports, import_id: int, piece: int, state: RetrievalState) -> None:
    with database.write() as connection:
        row = imports.lock(connection, import_id)
        connection.execute(update(retrieval).where(retrieval.c.id == piece).values(state=state))
        imports.settle(connection, row)


def test_a_study_that_is_named_twice_is_fetched_once(database: Database, imports: StudyImports) -> None:
    imports.begin(order("1.2.1", "1.2.2", "1.2.1"))
    assert states(database) == (["Running"], ["Scheduled", "Scheduled"])
    with database.read() as connection:
        assert set(connection.execute(select(task.c.lane)).scalars()) == {"source:pacs"}


def test_it_ends_with_its_last_piece_and_tells_of_it_once(database: Database, imports: StudyImports) -> None:
    number = imports.begin(order("1.2.1", "1.2.2"))
    end(database, imports, number, 1, RetrievalState.Completed)
    assert states(database)[0] == ["Running"]
    end(database, imports, number, 2, RetrievalState.Failed)
    assert states(database)[0] == ["Failed"]
    with database.write() as connection:
        imports.settle(connection, imports.lock(connection, number))
    with database.read() as connection:
        (told,) = connection.execute(select(event.c.data)).scalars()
    assert (told["Import"], told["State"], told["Studies"]) == (number, "Failed", 2)


def test_what_was_canceled_or_failed_is_begun_again_and_what_is_complete_is_not(
    database: Database, imports: StudyImports
) -> None:
    number = imports.begin(order("1.2.1", "1.2.2"))
    end(database, imports, number, 1, RetrievalState.Completed)
    imports.cancel(number, **WHY)
    assert states(database) == (["Canceled"], ["Completed", "Canceled"])
    assert number in imports.canceled
    with pytest.raises(StateError, match="import-over"):
        imports.cancel(number, **WHY)
    imports.retry(number, **WHY)
    assert states(database) == (["Running"], ["Completed", "Scheduled"])
    assert number not in imports.canceled
    end(database, imports, number, 2, RetrievalState.Completed)
    assert states(database)[0] == [ImportState.Completed]
    with pytest.raises(StateError, match="import-complete"):
        imports.retry(number, **WHY)
    with pytest.raises(UnknownError):
        imports.retry(number + 1, **WHY)


def test_the_feed_knows_what_is_fetched_and_notes_what_came(
    database: Database, imports: StudyImports, clock: FakeClock
) -> None:
    imports.begin(order("1.2.1", route=False, priority=Priority.Background))
    with database.write() as connection:
        expect(connection, 1, {"1.2.1.1.1": "1.2.1.1", "1.2.1.1.2": "1.2.1.1"}, clock.now())
        found = arrivals.fetched(connection, ["1.2.1", "1.2.9"], clock.now())
        assert set(found) == {"1.2.1"}
        assert found["1.2.1"].origin == {"Source": "pacs", "Route": False, "Urgency": "Background"}
        assert found["1.2.1"].expected == 2
        for _ in range(2):
            arrivals.note(connection, found["1.2.1"], ["1.2.1.1.2", "1.2.1.1.9"], clock.now())
    with database.read() as connection:
        row = connection.execute(select(retrieval.c.expected, retrieval.c.received)).one()
        came = expected_instance.c.received_at.is_not(None)
        uids = connection.execute(select(expected_instance.c.sop_instance_uid).where(came)).scalars().all()
    assert (tuple(row), uids) == ((2, 1), ["1.2.1.1.2"])


def test_a_list_that_changed_forgets_what_the_source_no_longer_has(
    database: Database, imports: StudyImports, clock: FakeClock
) -> None:
    imports.begin(order("1.2.1"))
    with database.write() as connection:
        expect(connection, 1, {"1.1": "1", "1.2": "1"}, clock.now())
        arrivals.note(connection, arrivals.fetched(connection, ["1.2.1"], clock.now())["1.2.1"], ["1.2"], clock.now())
        expect(connection, 1, {"1.2": "1", "1.3": "1"}, clock.now())
        rows = connection.execute(
            select(expected_instance.c.sop_instance_uid, expected_instance.c.received_at.is_not(None)).order_by(
                expected_instance.c.sop_instance_uid
            )
        ).all()
    assert [tuple(row) for row in rows] == [("1.2", True), ("1.3", False)]
