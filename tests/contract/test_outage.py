"""Eight hours without an archive, on a clock that is turned by hand, with 5,000 deliveries owed to it."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from relais.blocking import Blocking
from relais.configuration import load
from relais.database import Database
from relais.database.configuration_tables import version
from relais.database.tables import attempt, decision, delivery, instance, lane, series, study, task
from relais.deliver import Deliver
from relais.domain.priority import Priority
from relais.journal import Journal
from relais.lanes import Lanes
from relais.orthanc import Orthanc
from relais.outcomes import Outcomes
from relais.protect import Protect
from relais.residency import Residency
from relais.tasks import Tasks
from relais.transports.opening import open_transport
from relais.transports.probes import Ourselves
from relais.turns import Turns
from tests.servers.clock import FakeClock
from tests.servers.dicom import make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.ports import free_port
from tests.servers.router import QUEBEC
from tests.servers.rows import add_study
from tests.servers.scp import StorageScp

OWED = 5_000
HOURS = 8
LANE = "destination:vna"
FIRST, MAXIMUM = 2.0, 900.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


def owe(database: Database, tasks: Tasks, clock: FakeClock, digest: str, orthanc_id: str) -> None:
    """5,000 studies of one image each, which is the same file in Orthanc."""
    now = clock.now()
    with database.write() as connection:
        connection.execute(
            insert(version).values(
                number=1,
                document={},
                digest=digest,
                state="Active",
                author="file",
                comment="",
                created_at=now,
                changed_at=now,
                editors=["file"],
            )
        )
        first = add_study(connection, decision_id=1)
        row = dict(connection.execute(select(study).where(study.c.id == first)).mappings().one())
        numbers = range(first + 1, first + OWED)
        connection.execute(insert(study), [{**row, "id": n, "study_instance_uid": f"1.2.3.{n}"} for n in numbers])
        everyone = [first, *numbers]
        connection.execute(
            insert(decision).values(id=1, study_id=first, configuration=digest, decided_at=now, facts={}, document={})
        )
        connection.execute(
            insert(series),
            [
                {
                    "id": n,
                    "study_id": n,
                    "series_instance_uid": f"1.2.4.{n}",
                    "orthanc_id": "",
                    "modality": "PX",
                    "number": "1",
                    "description": "",
                    "instances": 1,
                }
                for n in everyone
            ],
        )
        connection.execute(
            insert(instance),
            [
                {
                    "study_id": n,
                    "series_id": n,
                    "sop_instance_uid": f"1.2.5.{n}",
                    "orthanc_id": orthanc_id,
                    "sequence": 1,
                    "file": "f",
                    "bytes": 5000,
                }
                for n in everyone
            ],
        )
        connection.execute(
            insert(delivery),
            [
                {
                    "id": n,
                    "study_id": n,
                    "destination": "vna",
                    "state": "Scheduled",
                    "priority": Priority.Routine,
                    "purpose": "Care",
                    "mark": 0,
                    "delivered": 0,
                    "attempts": 0,
                    "created_at": now,
                    "owed_since": now,
                    "reasons": [],
                }
                for n in everyone
            ],
        )
        for n in everyone:
            tasks.schedule(
                connection, kind="deliver", lane=LANE, key=f"deliver:{n}", run_at=now, payload={"Delivery": n}
            )


def expected_attempts() -> float:
    """Each wait lies between half the bound and the bound, which doubles up to its maximum: three quarters of it."""
    seconds, bound, count = 0.0, FIRST, 1
    while seconds < HOURS * 3600:
        seconds += 0.75 * bound
        bound = min(2 * bound, MAXIMUM)
        count += 1
    return count


def test_an_archive_that_is_away_for_hours_is_tried_as_the_schedule_says_and_then_gets_everything_at_once(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, server: OrthancServer
) -> None:
    image = make_study(size=2000)
    send(image, server.dicom_port)
    orthanc_id = server.rest.get("/instances")[0]
    port = free_port()
    settings = load(
        {
            "Destinations": {
                "vna": {
                    "Kind": "Dicom",
                    "Jurisdiction": QUEBEC,
                    "Aet": "VNA",
                    "Host": "127.0.0.1",
                    "Port": port,
                    "Retry": {"FirstDelaySeconds": FIRST, "MaximumDelaySeconds": MAXIMUM},
                }
            }
        },
        directory=Path(),
    )
    orthanc = Orthanc(server.url)
    lanes = Lanes(database=database, clock=clock, tasks=tasks, journal=journal, limits={LANE: 2})
    protect = Protect(database=database, orthanc=orthanc, clock=clock, tasks=tasks, needed=False)
    outcomes = Outcomes(
        clock=clock,
        tasks=tasks,
        journal=journal,
        lanes=lanes,
        protect=protect,
        blocking=Blocking(clock=clock, tasks=tasks, journal=journal),
        destinations=settings.destinations,
    )
    deliver = Deliver(
        database=database,
        clock=clock,
        tasks=tasks,
        lanes=lanes,
        outcomes=outcomes,
        residency=Residency(configuration=settings, clock=clock),
        configuration=settings,
        transports={"vna": open_transport(orthanc, "vna", settings.destinations["vna"], {}, Ourselves.of({}), clock)},
        turns=Turns({LANE: 2}, threading.Event()),
        stopping=threading.Event(),
    )
    owe(database, tasks, clock, settings.digest, orthanc_id)
    back_at = clock.now() + timedelta(hours=HOURS)
    while clock.now() < back_at:
        for claim in tasks.claim(tasks.due({LANE: 2})):
            deliver(claim)
        with database.read() as connection:
            probe_at = connection.execute(select(lane.c.probe_at).where(lane.c.name == LANE)).scalar_one()
        clock.advance(max(timedelta(seconds=1), probe_at - clock.now()))
    with database.read() as connection:
        attempts = connection.execute(select(func.count()).select_from(attempt)).scalar_one()
        still_owed = connection.execute(
            select(func.count()).select_from(delivery).where(delivery.c.state == "Scheduled")
        ).scalar_one()
    assert still_owed == OWED
    assert expected_attempts() * 0.8 <= attempts <= expected_attempts() * 1.2

    with StorageScp("VNA", port=port) as scp:
        clock.advance(timedelta(seconds=MAXIMUM))
        (probe,) = tasks.claim(tasks.due({LANE: 2}))  # half open: one tries
        deliver(probe)
        assert len(scp.receptions) == 1
        assert len(tasks.due({LANE: OWED})) == OWED - 1
        with database.read() as connection:
            waiting = connection.execute(select(func.count()).select_from(task).where(task.c.attempts > 0)).scalar_one()
            late = connection.execute(
                select(func.count()).select_from(task).where(task.c.run_at > clock.now())
            ).scalar_one()
    assert waiting > 0  # they had been tried, and wait no longer for a delay of their own
    assert late == 0
    orthanc.close()
