"""An hour passes, or the clock says so: waits keep their length, and an archive gets what it is owed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from relais.bootstrap import Relais
from relais.database.tables import delivery, lane, study
from tests.servers.clock import FakeClock
from tests.servers.dicom import make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.proxy import Fault, Proxy
from tests.servers.receiver import Receiver
from tests.servers.router import destination, section
from tests.system.conftest import Archives
from tests.system.inside import composed, work

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def states(relais: Relais, column: Any) -> list[str]:
    with relais.database.read() as connection:
        return list(connection.execute(select(column).order_by(column)).scalars())


def test_an_archive_that_was_down_for_an_hour_gets_what_it_is_owed(
    vna: OrthancServer, archives: Archives, tmp_path: Path, receiver: Receiver
) -> None:
    clock = FakeClock()
    with Proxy(archives[0].dicom_port) as network:
        network.fault = Fault.REFUSE
        default = {"FirstDelaySeconds": 2, "MaximumDelaySeconds": 900}
        far = destination("VNA1", network.port, Retry=default)
        near = destination("VNA2", archives[1].dicom_port)
        relais_section = section({"far": far, "near": near}, subscribers={"crm": receiver.url}, quiet=2)
        with composed(vna, tmp_path, relais_section, clock) as relais:
            studies = [make_study(instances=2) for _ in range(3)]
            for each in studies:
                send(each, vna.dicom_port)
            work(relais)
            for _ in range(60):
                clock.advance(MINUTE)
                work(relais)
            assert states(relais, delivery.c.state) == ["Completed"] * 3 + ["Scheduled"] * 3
            assert receiver.events("destination.down")[0]["data"]["Destination"] == "far"
            attempts = sum(_attempts(relais))
            assert attempts < 40, "it is probed ever more seldom"
            network.fault = Fault.NONE
            clock.advance(15 * MINUTE)
            work(relais)
            assert states(relais, delivery.c.state) == ["Completed"] * 6
            assert len(receiver.events("destination.down")) == len(receiver.events("destination.up")) == 1
    for each in studies:
        assert archives[0].sop_instance_uids(each.uid) == each.sop_instance_uids


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_quiet_time_stays_as_long_when_the_clock_jumps(vna: OrthancServer, tmp_path: Path, jump: timedelta) -> None:
    clock = FakeClock()
    with composed(vna, tmp_path, section({}, quiet=30), clock) as relais:
        send(make_study(), vna.dicom_port)
        work(relais)
        clock.advance(20 * SECOND)
        work(relais)
        clock.jump(jump)
        work(relais)
        assert states(relais, study.c.state) == ["Receiving"]
        clock.advance(9 * SECOND)
        work(relais)
        assert states(relais, study.c.state) == ["Receiving"]
        clock.advance(2 * SECOND)
        work(relais)
        assert states(relais, study.c.state) == ["Held"]


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_probe_stays_as_far_away_when_the_clock_jumps(
    vna: OrthancServer, archives: Archives, tmp_path: Path, jump: timedelta
) -> None:
    clock = FakeClock()
    with Proxy(archives[0].dicom_port) as network:
        network.fault = Fault.REFUSE
        slow = {"FirstDelaySeconds": 600, "MaximumDelaySeconds": 600}
        far = destination("VNA1", network.port, Retry=slow)
        with composed(vna, tmp_path, section({"far": far}, quiet=1), clock) as relais:
            send(make_study(), vna.dicom_port)
            work(relais)
            clock.advance(2 * SECOND)
            work(relais)
            with relais.database.read() as connection:
                probe_at = connection.execute(select(lane.c.probe_at)).scalar_one()
            wait = probe_at - clock.now()
            network.fault = Fault.NONE
            clock.jump(jump)
            work(relais)
            clock.advance(wait - SECOND)
            work(relais)
            assert states(relais, delivery.c.state) == ["Scheduled"]
            clock.advance(2 * SECOND)
            work(relais)
            assert states(relais, delivery.c.state) == ["Completed"]


def _attempts(relais: Relais) -> list[int]:
    with relais.database.read() as connection:
        return list(connection.execute(select(delivery.c.attempts)).scalars())
