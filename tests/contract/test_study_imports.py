"""Imports as rows, on both databases: begun, canceled, begun again, ended; and what the feed notes of them."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from relais.configuration import load
from relais.database import Database
from relais.database.retrieval_tables import expected_instance, retrieval, study_import
from relais.database.tables import event, task
from relais.domain.priority import Priority
from relais.domain.querying import SourceState
from relais.domain.retry import ErrorClass
from relais.domain.states import ImportState, RetrievalState
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.lanes import Lanes
from relais.orthanc import Orthanc
from relais.retrieval import arrivals
from relais.retrieval.imports import LANE, REMEMBERED, Order, StudyImports, Wanted
from relais.retrieval.proof import Proof
from relais.retrieval.retrieve import ATTEMPTS, GIVE_UP, Retrieve
from relais.retrieval.rounds import expect
from relais.tasks import Tasks
from relais.transports.port import Stop
from relais.transports.sources.port import AskingError, Listed
from relais.turns import Turns
from tests.contract.test_receive import make_feed
from tests.contract.test_watch import Archive
from tests.servers.clock import FakeClock

WHY: dict[str, str] = {"actor": "alice", "reason": "a test"}


class Refusing(Archive):
    """A source that lists nothing."""

    def __init__(self, *, busy: bool) -> None:
        super().__init__()
        self.busy = busy

    def instances(self, study: str, series: str | None = None, *, stopping: Stop) -> Listed:  # noqa: ARG002
        raise AskingError(SourceState.Refused, ErrorClass.Transient, "refused", "not now", busy=self.busy)


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


def test_old_lists_are_forgotten_and_what_is_missing_stays_named(
    database: Database, imports: StudyImports, clock: FakeClock
) -> None:
    for number, state in enumerate((RetrievalState.Completed, RetrievalState.Failed, RetrievalState.Completed), 1):
        study = f"1.2.{number}"
        imports.begin(order(study))
        with database.write() as connection:
            expect(connection, number, {f"{study}.1.1": f"{study}.1", f"{study}.1.2": f"{study}.1"}, clock.now())
            came = [f"{study}.1.1", f"{study}.1.2"][: 1 if state is RetrievalState.Failed else 2]
            arrivals.note(connection, arrivals.fetched(connection, [study], clock.now())[study], came, clock.now())
            connection.execute(
                update(retrieval).where(retrieval.c.id == number).values(finished_at=clock.now(), state=state)
            )
            imports.settle(connection, imports.lock(connection, number))
        clock.advance(REMEMBERED / 2 + timedelta(days=1))
    imports.begin(order("1.2.4"))
    end(database, imports, 4, 4, RetrievalState.Completed)
    with database.read() as connection:
        named = connection.execute(select(expected_instance.c.sop_instance_uid).order_by("sop_instance_uid"))
        assert named.scalars().all() == ["1.2.2.1.2", "1.2.3.1.1", "1.2.3.1.2"]
        counts = connection.execute(select(retrieval.c.expected, retrieval.c.received).order_by(retrieval.c.id)).all()
    assert [tuple(each) for each in counts[:3]] == [(2, 2), (2, 1), (2, 2)]
    imports.retry(2, **WHY)
    with database.write() as connection:
        expect(connection, 2, {"1.2.2.1.1": "1.2.2.1", "1.2.2.1.2": "1.2.2.1"}, clock.now())
        found = connection.execute(select(expected_instance.c.retrieval_id)).scalars().all()
    assert found.count(2) == 2, "begun again, the list is whole"


@pytest.mark.parametrize("busy", [True, False], ids=["it takes nobody", "it refuses this study"])
def test_a_busy_source_is_waited_for_as_one_out_of_reach(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, busy: bool
) -> None:
    nowhere, lane, sources = Orthanc("http://127.0.0.1:9", ""), f"{LANE}pacs", {"pacs": Refusing(busy=busy)}
    imports = StudyImports(database=database, clock=clock, tasks=tasks, journal=journal, sources=sources)
    section = {"Sources": {"pacs": {"Kind": "Dicom", "Aet": "PACS", "Host": "127.0.0.1", "Port": 104}}}
    retrieve = Retrieve(
        database=database,
        clock=clock,
        tasks=tasks,
        lanes=Lanes(database=database, clock=clock, tasks=tasks, journal=journal, limits={lane: 1}),
        feed=make_feed(database, nowhere, clock),
        configuration=load(section, directory=Path()),
        imports=imports,
        proof=Proof(database=database, orthanc=nowhere, clock=clock),
        turns=Turns({lane: 1}, threading.Event()),
        stopping=threading.Event(),
    )
    begun, tries = clock.now(), 0
    imports.begin(order("1.2.1"))
    while states(database) == (["Running"], ["Scheduled"]):
        clock.advance(timedelta(minutes=10))
        for claim in tasks.claim(tasks.due({lane: 1})):
            retrieve(claim)
            tries += 1
    assert states(database) == (["Failed"], ["Failed"])
    if busy:
        assert clock.now() - begun > GIVE_UP
        assert tries > 100
    else:
        assert tries == ATTEMPTS
