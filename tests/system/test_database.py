"""The database's server dies in the midst of the flow: Relais comes back by itself when it does."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from relais.clock import SharedClock
from relais.database import Database
from tests.servers.dicom import make_study, send
from tests.servers.postgresql import PostgresqlServer
from tests.servers.receiver import Receiver
from tests.servers.router import destination, section
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory
from tests.system.invariants import NOTHING_WRONG, examine, settle


@pytest.fixture
def postgresql_of_ones_own() -> Iterator[PostgresqlServer]:
    """A cluster that a test may kill."""
    with PostgresqlServer() as server:
        yield server


def test_the_shared_clock_goes_on_while_the_database_is_away(postgresql_of_ones_own: PostgresqlServer) -> None:
    database = Database(postgresql_of_ones_own.database())
    clock = SharedClock(database.now)
    clock.EVERY = 0.0  # ask the database each time
    moments = [clock.now()]
    postgresql_of_ones_own.kill()
    moments.append(clock.now())
    postgresql_of_ones_own.start()
    moments.append(clock.now())
    assert moments == sorted(moments)
    assert moments[-1] - moments[0] < timedelta(minutes=1)
    database.close()


def test_no_transaction_of_ours_waits_for_one_that_waits_for_it(
    router_factory: RouterFactory, archives: Archives, postgresql_of_ones_own: PostgresqlServer
) -> None:
    """Many studies at once, late images among deliveries: transactions that lock in different orders would meet."""
    destinations = {
        f"vna{number}": destination(each.aet, each.dicom_port, BatchInstances=1) for number, each in enumerate(archives)
    }
    relais = section(destinations, quiet=0.05, Database=postgresql_of_ones_own.database())
    with router_factory(relais) as router:
        studies = [make_study(instances=4, size=256) for _ in range(12)]
        for number in range(4):
            for study in studies:
                send(study.instances[number : number + 1], router.dicom_port)
        settle(router, {study.uid for study in studies}, 24)
        eventually(lambda: all(each["Delivered"] == 4 for each in router.deliveries()), 20, "late images are there")
    assert "deadlock detected" not in postgresql_of_ones_own.log_text
    assert "Traceback" not in router.log_text


@pytest.mark.timeout(180)
def test_a_database_that_dies_and_comes_back_loses_nothing(
    router_factory: RouterFactory,
    archives: Archives,
    receiver: Receiver,
    postgresql_of_ones_own: PostgresqlServer,
) -> None:
    owed = {f"vna{number}": archive for number, archive in enumerate(archives, 1)}
    destinations = {name: destination(each.aet, each.dicom_port, BatchInstances=2) for name, each in owed.items()}
    relais = section(destinations, subscribers={"crm": receiver.url}, Database=postgresql_of_ones_own.database())
    with router_factory(relais) as router:
        studies = [make_study(instances=6) for _ in range(9)]
        for number, study in enumerate(studies):
            send(study, router.dicom_port)
            if number in {2, 5}:
                receiver.wait_for(lambda request: request.json["type"] == "study.routed")
                postgresql_of_ones_own.kill()
            elif number in {3, 6}:
                postgresql_of_ones_own.start()
        uids = {study.uid: study.sop_instance_uids for study in studies}
        settle(router, uids.keys(), len(uids) * len(owed))
        assert examine(router, owed, receiver, uids) == NOTHING_WRONG
        assert router.ask("health")["Healthy"]
