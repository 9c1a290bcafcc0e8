"""The change feed over a real Orthanc, on both databases."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from relais.audit import Audit
from relais.configuration import Completeness
from relais.database import Database
from relais.database.tables import event, feed, instance, series, study, study_word, task
from relais.domain.states import StudyState
from relais.intake import Intake
from relais.journal import Journal
from relais.orthanc import Orthanc
from relais.receive import Feed
from relais.tasks import Tasks
from tests.servers.clock import FakeClock
from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def orthanc(server: OrthancServer) -> Iterator[Orthanc]:
    client = Orthanc(server.url)
    yield client
    client.close()
    for each in server.rest.get("/studies"):
        server.rest.delete(f"/studies/{each}")


def make_feed(database: Database, orthanc: Orthanc, clock: FakeClock) -> Feed:
    tasks = Tasks(database, clock, owner="here/1")
    return Feed(
        database=database,
        orthanc=orthanc,
        clock=clock,
        tasks=tasks,
        intake=Intake(
            clock=clock,
            tasks=tasks,
            journal=Journal(audit=Audit(clock, "here"), clock=clock, tasks=tasks, subscribers={}),
            completeness=Completeness.model_validate({"QuietSeconds": 30, "ByModality": {"IO": 2}}),
        ),
        protect=lambda _patients: None,
    )


@pytest.fixture
def reader(database: Database, orthanc: Orthanc, clock: FakeClock) -> Feed:
    """A feed that begins at the end of what earlier tests stored."""
    reader = make_feed(database, orthanc, clock)
    read_all(reader)
    return reader


def read_all(reader: Feed) -> None:
    while not reader.step().done:
        pass


def rows(database: Database, table: Any) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(table)))


def sequences(database: Database, made: Study) -> list[int]:
    with database.read() as connection:
        found = connection.execute(
            select(instance.c.sequence)
            .join(study, study.c.id == instance.c.study_id)
            .where(study.c.study_instance_uid == made.uid)
            .order_by(instance.c.sequence)
        )
        return list(found.scalars())


def only(database: Database, made: Study) -> Any:
    (row,) = [each for each in rows(database, study) if each.study_instance_uid == made.uid]
    return row


def test_a_study_becomes_rows_with_its_origin(
    server: OrthancServer, reader: Feed, database: Database, clock: FakeClock
) -> None:
    made = make_study(series=2, instances=3, tags={"PatientName": "Gagné^Éloïse"})
    send(made, server.dicom_port, calling_aet="CS8100", called_aet="OUTREMONT")
    read_all(reader)
    row = only(database, made)
    assert (row.state, row.instances, row.modalities, row.patient_name) == (
        StudyState.Receiving,
        6,
        "IO",
        "Gagné^Éloïse",
    )
    assert row.origin == {
        "CallingAet": "CS8100",
        "CalledAet": "OUTREMONT",
        "RemoteIp": "127.0.0.1",
        "Kind": "DicomProtocol",
    }
    assert row.quiet_until == clock.now() + timedelta(seconds=2)
    assert sequences(database, made) == [1, 2, 3, 4, 5, 6]
    assert sorted(each.instances for each in rows(database, series)) == [3, 3]
    assert {"gagne", "eloise"} <= {each.word for each in rows(database, study_word)}
    (waiting,) = [each for each in rows(database, task) if each.key == f"route:{row.id}"]
    assert waiting.run_at == row.quiet_until


def test_a_late_instance_goes_on_counting_and_moves_the_deadline(
    server: OrthancServer, reader: Feed, database: Database, clock: FakeClock
) -> None:
    made = make_study(instances=3)
    send(made.instances[:2], server.dicom_port)
    read_all(reader)
    clock.advance(timedelta(seconds=1))
    send(made.instances[2:], server.dicom_port)
    read_all(reader)
    assert sequences(database, made) == [1, 2, 3]
    assert only(database, made).quiet_until == clock.now() + timedelta(seconds=2)
    assert [each.type for each in rows(database, event)].count("study.received") == 1


def test_the_same_batch_read_twice_changes_nothing(
    server: OrthancServer, reader: Feed, database: Database, clock: FakeClock, orthanc: Orthanc
) -> None:
    made = make_study(series=2, instances=2)
    send(made, server.dicom_port)
    read_all(reader)
    with database.write() as connection:
        connection.execute(feed.update().values(cursor=0))
    before = [rows(database, table) for table in (study, series, instance, event)]
    clock.advance(timedelta(seconds=9))
    read_all(make_feed(database, orthanc, clock))
    assert [rows(database, table) for table in (study, series, instance, event)] == before


def test_two_nodes_store_a_batch_once(
    server: OrthancServer, reader: Feed, database: Database, clock: FakeClock, orthanc: Orthanc
) -> None:
    other = make_feed(database, orthanc, clock)
    made = make_study(instances=2)
    send(made, server.dicom_port)
    batches = [reader._read(), other._read()]
    for each in batches:
        with database.write() as connection:
            reader._store(connection, each)
    assert sequences(database, made) == [1, 2]


def test_other_content_gets_a_new_number_and_a_known_duplicate_does_not(
    server: OrthancServer, reader: Feed, database: Database
) -> None:
    made = make_study(instances=3)
    send(made, server.dicom_port)
    read_all(reader)
    changed = made.instances[0]
    changed.StudyDescription = "corrected"
    send([changed], server.dicom_port)
    read_all(reader)
    assert sequences(database, made) == [2, 3, 4]
    send([changed], server.dicom_port)
    read_all(reader)
    assert sequences(database, made) == [2, 3, 4]


def test_an_instance_deleted_before_it_was_read_is_left_out(
    server: OrthancServer, reader: Feed, database: Database
) -> None:
    made = make_study(instances=2)
    send(made, server.dicom_port)
    server.rest.delete(f"/instances/{server.rest.get('/instances')[0]}")
    read_all(reader)
    assert len(sequences(database, made)) == 1


def test_another_orthanc_database_is_read_from_its_start(
    server: OrthancServer, reader: Feed, database: Database
) -> None:
    made = make_study(instances=1)
    send(made, server.dicom_port)
    with database.write() as connection:
        connection.execute(feed.update().values(cursor=10**9))
    read_all(reader)
    assert sequences(database, made) == [1]


def test_a_log_that_a_power_cut_shortened_and_that_grew_again_is_read_from_its_start(
    server: OrthancServer, reader: Feed, database: Database, clock: FakeClock, orthanc: Orthanc
) -> None:
    made = make_study(instances=1)
    send(made, server.dicom_port)
    # Before the cut the feed had read as many changes as there are now, but others.
    last = server.rest.get("/changes?last")["Last"]
    with database.write() as connection:
        connection.execute(feed.update().values(cursor=last, anchor="another resource"))
    read_all(make_feed(database, orthanc, clock))
    assert sequences(database, made) == [1]


def test_a_study_that_the_database_refuses_is_set_apart_and_the_others_go_on(
    server: OrthancServer, reader: Feed, database: Database, clock: FakeClock
) -> None:
    bad, good = make_study(instances=2), make_study(instances=1)
    with database.write() as connection:  # stands for whatever a database may refuse
        if database.sqlite:
            connection.execute(
                text(
                    "CREATE TRIGGER refuse BEFORE INSERT ON instance "
                    f"WHEN new.sop_instance_uid = '{bad.sop_instance_uids[0]}' BEGIN SELECT RAISE(ABORT, 'no'); END"
                )
            )
        else:
            rule = f"CHECK (sop_instance_uid <> '{bad.sop_instance_uids[0]}')"
            connection.execute(text(f"ALTER TABLE instance ADD CONSTRAINT refuse {rule}"))
    send(bad, server.dicom_port)
    send(good, server.dicom_port)
    read_all(reader)
    assert (sequences(database, bad), sequences(database, good)) == ([], [1])
    (apart,) = [each for each in rows(database, task) if each.kind == "receive"]
    with database.write() as connection:
        connection.execute(
            text("DROP TRIGGER refuse" if database.sqlite else "ALTER TABLE instance DROP CONSTRAINT refuse")
        )
    tasks = Tasks(database, clock, owner="here/1")
    (claim,) = [each for each in tasks.claim(tasks.due({"studies": 10})) if each.key == apart.key]
    reader(claim)
    assert sequences(database, bad) == [1, 2]
    assert [each.kind for each in rows(database, task)].count("receive") == 0


def test_a_large_flow_is_read_in_batches_of_a_constant_number_of_requests(
    server: OrthancServer, database: Database, clock: FakeClock
) -> None:
    class Counting(Orthanc):
        requests = 0

        def _request(self, *arguments: Any, **options: Any) -> bytes:
            self.requests += 1
            return super()._request(*arguments, **options)

    orthanc = Counting(server.url)
    reader = make_feed(database, orthanc, clock)
    read_all(reader)
    for count in (1, 40):
        send(make_study(instances=count, size=256), server.dicom_port)
        orthanc.requests = 0
        assert len(reader.step().instances) == count
        assert orthanc.requests == 4
    orthanc.close()
