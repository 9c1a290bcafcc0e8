"""Starting and stopping: what a stop interrupts goes on after it, and what must not start says why."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from relais.bootstrap import Relais
from tests.servers.dicom import make_study, send
from tests.servers.orthanc import ENTRY_POINT, OrthancDiedError, OrthancServer
from tests.servers.proxy import Fault, Proxy
from tests.servers.router import Router, destination, section
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory
from tests.system.inside import composed

LIMIT = 5.0
"""Seconds from Orthanc's ORTHANC_STOPPED to the end of our work."""


def test_a_study_that_a_stop_found_in_its_quiet_time_is_routed_after_the_start(
    router_factory: RouterFactory, archives: Archives
) -> None:
    relais = section({"vna1": destination("VNA1", archives[0].dicom_port)}, quiet=1.5)
    router = router_factory(relais).start()
    study = make_study(instances=3)
    send(study, router.dicom_port)
    router.wait_for_study(study.uid, "Receiving")
    router.stop()
    assert archives[0].sop_instance_uids(study.uid) == []
    router.start()
    assert router.wait_for_delivery(study.uid, "vna1", "Completed")["Delivered"] == 3
    assert archives[0].sop_instance_uids(study.uid) == study.sop_instance_uids


def test_images_that_nobody_had_read_when_the_router_died_are_routed(
    router_factory: RouterFactory, archives: Archives
) -> None:
    """Stored while Relais was not even loaded: the change feed has them all the same."""
    router = router_factory(section({"vna1": destination("VNA1", archives[0].dicom_port)})).start()
    router.kill()
    study = make_study(instances=3)
    bare = OrthancServer(router.folder, http_port=router.http_port, dicom_port=router.dicom_port)
    with bare:
        send(study, bare.dicom_port)
        bare.kill()
    with router:
        router.wait_for_delivery(study.uid, "vna1", "Completed")
    assert archives[0].sop_instance_uids(study.uid) == study.sop_instance_uids


def test_a_stop_does_not_wait_for_a_backlog(router_factory: RouterFactory, archives: Archives) -> None:
    with Proxy(archives[0].dicom_port) as network:
        network.fault = Fault.BLACK_HOLE
        hole = destination("VNA1", network.port, TimeoutSeconds=300, Concurrency=4)
        router = router_factory(section({"hole": hole}, quiet=0.1)).start()
        studies = [make_study(instances=2) for _ in range(25)]
        for study in studies:
            send(study, router.dicom_port)
        eventually(
            lambda: sum(each["State"] == "InProgress" for each in router.deliveries()) >= 4, 20, "the lane is full"
        )
        eventually(lambda: len(router.deliveries()) == 25, 20, "there is a backlog")
        router.terminate()
        eventually(lambda: "HTTP server has stopped" in router.log_text, 30, "our handler of the stop is through")
        router.kill()  # Orthanc itself waits for its blocked associations, and a supervisor does not wait so long
        assert stopping_seconds(router.log_text) < LIMIT
        network.fault = Fault.NONE
        router.start()
        for study in studies:
            router.wait_for_delivery(study.uid, "hole", "Completed", timeout=40)


def stopping_seconds(log: str) -> float:
    """From Orthanc's word that it stops to its first deed after all plugins were told."""
    moments = [
        datetime.strptime(line.split()[1], "%H:%M:%S.%f").replace(tzinfo=UTC)
        for line in log.splitlines()
        if line.endswith(("Orthanc is stopping", "HTTP server has stopped"))
    ]
    return (moments[-1] - moments[-2]).total_seconds() % 86_400


def test_every_thread_of_ours_ends_with_the_stop(tmp_path: Path, vna: OrthancServer) -> None:
    with Proxy(vna.dicom_port) as network:
        network.fault = Fault.BLACK_HOLE
        hole = destination("VNA", network.port, TimeoutSeconds=300)
        with composed(vna, tmp_path, section({"hole": hole}, quiet=0.1)) as relais:
            relais.start()
            send(make_study(), vna.dicom_port)
            eventually(lambda: {"relais-feed", "relais-worker", "relais-deliver"} <= ours(), 15, "a delivery runs")
            waited = stop(relais)
            eventually(lambda: not ours(), LIMIT - waited, "no thread is left")


def ours() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("relais-")}


def stop(relais: Relais) -> float:
    began = relais.clock.monotonic()
    relais.stop()
    waited = relais.clock.monotonic() - began
    assert waited < LIMIT
    return waited


def test_a_bad_section_stops_orthanc_and_names_every_error_by_its_path(router_factory: RouterFactory) -> None:
    relais = {
        "Destinations": {"vna1": {"Kind": "Dicom", "Aet": "VNA1", "Host": "127.0.0.1", "Port": 70000}},
        "Rules": [
            {"Name": "all", "DeliverTo": ["vna2"]},
            {"Name": "odd", "When": {"Field": "Modalitty", "Equals": "CT"}, "DeliverTo": ["vna1"]},
        ],
        "Completeness": {"QuietSeconds": "long"},
        "Subscribers": {"crm": {"Url": "https://crm.example/", "Secret": {"Env": "RELAIS_NO_SUCH_SECRET"}}},
    }
    router = router_factory(relais)
    with pytest.raises(OrthancDiedError):
        router.start()
    assert not router.is_running
    for path in (
        "Destinations.vna1.Port",
        "Rules[0].DeliverTo[0]",
        "Rules[1].When",
        "Completeness.QuietSeconds",
        "Subscribers.crm.Secret",
    ):
        assert f"{path}" in router.log_text, path


def test_an_older_program_refuses_a_newer_schema(router_factory: RouterFactory, database_url: str) -> None:
    router = router_factory(section({}, Database=database_url)).start()
    router.stop()
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(OrthancDiedError, match="the database's schema is 9999"):
        router.start()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()


def test_relais_can_be_imported_by_a_script_of_ones_own(archives: Archives, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        f"""
import sys
sys.path.insert(0, {str(ENTRY_POINT.parent)!r})
import orthanc
import main

def greet(output, uri, **request):
    output.AnswerBuffer("hello from mine", "text/plain")

orthanc.RegisterRestCallback("/mine", greet)
"""
    )
    relais = section({"vna1": destination("VNA1", archives[0].dicom_port)})
    with Router(tmp_path / "router", relais=relais, script=script) as router:
        study = make_study()
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "vna1", "Completed")
        assert router.rest.get("/mine") == b"hello from mine"
