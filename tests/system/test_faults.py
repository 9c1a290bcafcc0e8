"""Archives and networks that fail: nothing is lost, what can pass is tried again, and the others never notice."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.dicom import SendError, Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.proxy import Fault, Proxy
from tests.servers.receiver import Receiver
from tests.servers.router import Router, destination, section
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory

REFUSED, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0122, 0xA700, 0xC000
"""Statuses of C-STORE: PS3.7 annex C.5.5, PS3.4 table B.2-1."""

SECOND = 1 / 3600
"""In hours."""


@pytest.fixture
def network(archives: Archives) -> Iterator[Proxy]:
    """The network before the first archive."""
    with Proxy(archives[0].dicom_port) as proxy:
        yield proxy


def arrived(archive: OrthancServer, study: Study) -> bool:
    return archive.sop_instance_uids(study.uid) == study.sop_instance_uids


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.BLACK_HOLE, Fault.RESET])
def test_a_broken_archive_gets_everything_once_it_is_back(
    router_factory: RouterFactory,
    archives: Archives,
    network: Proxy,
    receiver: Receiver,
    fault: Fault,
) -> None:
    destinations = {
        "broken": destination("VNA1", network.port, TimeoutSeconds=1),
        "well": destination("VNA2", archives[1].dicom_port),
    }
    network.fault = fault
    with router_factory(section(destinations, subscribers={"crm": receiver.url})) as router:
        studies = [make_study(instances=3) for _ in range(3)]
        for study in studies:
            send(study, router.dicom_port)
        for study in studies:
            router.wait_for_delivery(study.uid, "well", "Completed")
        down = receiver.wait_for(lambda request: request.json["type"] == "destination.down", 30)
        assert down.json["data"]["Destination"] == "broken"
        assert router.ask("destinations/broken")["State"] == "Down"
        assert router.ask("destinations/well")["State"] == "Open"
        waiting = [router.delivery(study.uid, "broken") for study in studies]
        assert {each["State"] for each in waiting if each} <= {"Scheduled", "InProgress"}
        assert any(each["LastError"]["Class"] == "Transient" for each in waiting if each and each["LastError"])
        network.fault = Fault.NONE
        for study in studies:
            router.wait_for_delivery(study.uid, "broken", "Completed", timeout=30)
            assert arrived(archives[0], study)
        receiver.wait_for(lambda request: request.json["type"] == "destination.up")
        assert router.ask("destinations/broken")["State"] == "Open"
    assert [each["type"] for each in receiver.events() if each["type"].startswith("destination")] == [
        "destination.down",
        "destination.up",
    ]


def test_a_transfer_that_is_cut_in_its_middle_goes_on_where_its_mark_stands(
    router_factory: RouterFactory, archives: Archives, network: Proxy
) -> None:
    network.bytes_per_second = 400_000
    far = destination("VNA1", network.port, BatchInstances=2)
    with router_factory(section({"far": far})) as router:
        study = make_study(instances=10, size=64_000)
        send(study, router.dicom_port)
        eventually(lambda: (row := router.delivery(study.uid, "far")) and row["Delivered"] >= 2, 20, "a batch is there")
        network.fault = Fault.RESET
        eventually(lambda: (row := router.delivery(study.uid, "far")) and row["Attempts"] > 0, 20, "the cut was seen")
        through = router.delivery(study.uid, "far")
        assert through is not None
        assert 2 <= through["Delivered"] < 10
        network.bytes_per_second = None
        before = network.bytes_forwarded
        network.fault = Fault.NONE
        router.wait_for_delivery(study.uid, "far", "Completed")
        assert arrived(archives[0], study)
        assert network.bytes_forwarded - before < (12 - through["Delivered"]) * 64_000, "it did not begin anew"


def test_a_throttled_archive_does_not_slow_another(
    router_factory: RouterFactory, archives: Archives, network: Proxy
) -> None:
    network.bytes_per_second = 20_000
    destinations = {
        "slow": destination("VNA1", network.port),
        "well": destination("VNA2", archives[1].dicom_port),
    }
    with router_factory(section(destinations)) as router:
        studies = [make_study(instances=2, size=64_000) for _ in range(4)]
        for study in studies:
            send(study, router.dicom_port)
        for study in studies:
            router.wait_for_delivery(study.uid, "well", "Completed")
        assert all(row["State"] != "Completed" for row in router.deliveries() if row["Destination"] == "slow")
        network.bytes_per_second = None
        for study in studies:
            router.wait_for_delivery(study.uid, "slow", "Completed", timeout=30)


def test_with_two_of_three_archives_dead_the_third_gets_everything(
    router_factory: RouterFactory, archives: Archives, network: Proxy
) -> None:
    with Proxy(archives[0].dicom_port) as other:
        network.fault, other.fault = Fault.REFUSE, Fault.BLACK_HOLE
        destinations = {
            "refused": destination("VNA1", network.port),
            "swallowed": destination("VNA1", other.port, TimeoutSeconds=300),
            "well": destination("VNA2", archives[1].dicom_port),
        }
        with router_factory(section(destinations, quiet=0.1)) as router:
            studies = [make_study(instances=2) for _ in range(12)]
            for study in studies:
                send(study, router.dicom_port)
            for study in studies:
                router.wait_for_delivery(study.uid, "well", "Completed")
            states = {row["Destination"]: row["State"] for row in router.deliveries() if row["Destination"] != "well"}
            assert "Completed" not in states.values()
            router.kill()
    assert all(arrived(archives[1], study) for study in studies)


def test_out_of_resources_is_tried_again(router_factory: RouterFactory) -> None:
    with StorageScp("PACS") as pacs, router_factory(section({"pacs": destination("PACS", pacs.port)})) as router:
        pacs.answer_next(OUT_OF_RESOURCES, OUT_OF_RESOURCES)
        study = make_study()
        send(study, router.dicom_port)
        delivery = router.wait_for_delivery(study.uid, "pacs", "Completed")
        assert [each.status for each in pacs.receptions] == [OUT_OF_RESOURCES, OUT_OF_RESOURCES, 0]
        history = router.ask(f"deliveries/{delivery['Id']}")["History"]
        errors = [each["Error"] and (each["Error"]["Class"], each["Error"]["Code"]) for each in history]
        assert errors == [None, ("Transient", "A700"), ("Transient", "A700")]


@pytest.mark.parametrize("status", [REFUSED, CANNOT_UNDERSTAND])
def test_a_refused_object_fails_at_once_and_a_person_tries_it_again(
    router_factory: RouterFactory, receiver: Receiver, status: int
) -> None:
    with StorageScp("PACS") as pacs:
        relais = section({"pacs": destination("PACS", pacs.port)}, subscribers={"crm": receiver.url})
        with router_factory(relais) as router:
            pacs.answer = status
            refused = make_study()
            send(refused, router.dicom_port)
            failed = router.wait_for_delivery(refused.uid, "pacs", "Failed")
            assert (failed["LastError"]["Class"], failed["LastError"]["Code"]) == ("Permanent", f"{status:04X}")
            assert len(pacs.receptions) == 1
            told = receiver.wait_for(lambda request: request.json["type"] == "delivery.failed")
            assert told.json["data"]["Code"] == f"{status:04X}"
            assert router.ask("destinations/pacs")["State"] == "Open", "it is not the archive that is ill"
            pacs.answer = 0
            router.command(f"deliveries/{failed['Id']}/retry")
            router.wait_for_delivery(refused.uid, "pacs", "Completed")
            assert pacs.sop_instance_uids() == refused.sop_instance_uids


def test_a_rejected_association_is_a_matter_of_configuration(router_factory: RouterFactory) -> None:
    with StorageScp("PACS", check_called_aet=True) as pacs:
        wrong = destination("WRONG", pacs.port, Retry={"FirstDelaySeconds": 0.1, "MaximumDelaySeconds": 0.2})
        router = router_factory(section({"pacs": wrong})).start()
        study = make_study()
        send(study, router.dicom_port)
        eventually(lambda: (row := router.delivery(study.uid, "pacs")) and row["LastError"], what="it was rejected")
        delivery = router.delivery(study.uid, "pacs")
        assert delivery is not None
        assert delivery["LastError"]["Class"] == "Configuration"
        router.stop()
        router.configuration["Relais"] = section({"pacs": destination("PACS", pacs.port)})
        router.start()
        router.wait_for_delivery(study.uid, "pacs", "Completed")


def test_a_delivery_is_given_up_after_its_time(router_factory: RouterFactory, network: Proxy) -> None:
    network.fault = Fault.REFUSE
    retry = {"FirstDelaySeconds": 0.1, "MaximumDelaySeconds": 0.3, "GiveUpAfterHours": SECOND}
    with router_factory(section({"dead": destination("VNA1", network.port, Retry=retry)})) as router:
        study = make_study()
        send(study, router.dicom_port)
        failed = router.wait_for_delivery(study.uid, "dead", "Failed")
        assert failed["LastError"]["Class"] == "Transient"
        network.fault = Fault.NONE
        router.command(f"deliveries/{failed['Id']}/retry")
        router.wait_for_delivery(study.uid, "dead", "Completed")


def test_what_is_owed_is_not_recycled(router_factory: RouterFactory, archives: Archives, network: Proxy) -> None:
    network.fault = Fault.REFUSE
    relais = section({"vna1": destination("VNA1", network.port)})
    with router_factory(relais, configuration={"MaximumStorageSize": 1}) as router:  # megabytes
        owed = [make_study(size=400_000, tags={"PatientID": f"OWED{number}"}) for number in range(2)]
        for study in owed:
            send(study, router.dicom_port)
            router.wait_for_study(study.uid, "Routed")
        too_much = make_study(size=400_000, tags={"PatientID": "ONE TOO MANY"})
        with pytest.raises(SendError):
            send(too_much, router.dicom_port)  # the sender is told, and keeps it
        assert all(arrived(router, study) for study in owed)
        network.fault = Fault.NONE
        for study in owed:
            router.wait_for_delivery(study.uid, "vna1", "Completed")
        assert all(arrived(archives[0], study) for study in owed)
        eventually(lambda: protected_patients(router) == [], what="the patients were let go")
        send(too_much, router.dicom_port)
        router.wait_for_delivery(too_much.uid, "vna1", "Completed")
        assert sum(arrived(router, study) for study in owed) == 1, "what is not owed any more made room"


def test_a_patient_whose_study_moved_to_another_is_let_go(router_factory: RouterFactory, network: Proxy) -> None:
    network.fault = Fault.REFUSE
    relais = section({"vna1": destination("VNA1", network.port)})
    with router_factory(relais, configuration={"MaximumPatientCount": 5}) as router:
        study = make_study(tags={"PatientID": "WRONG"})
        send(study, router.dicom_port)
        router.wait_for_study(study.uid, "Routed")
        assert len(protected_patients(router)) == 1
        study.instances[0].PatientID = "RIGHT"
        send(study, router.dicom_port)
        eventually(lambda: router.studies()[study.uid]["PatientID"] == "RIGHT", what="the correction was read")
        network.fault = Fault.NONE
        router.wait_for_delivery(study.uid, "vna1", "Completed")
        eventually(lambda: protected_patients(router) == [], what="both patients were let go")


def protected_patients(router: Router) -> list[str]:
    return [each for each in router.rest.get("/patients") if router.rest.get(f"/patients/{each}/protected") == b"1"]


def test_a_destination_that_is_paused_gets_nothing_until_it_is_resumed(
    router_factory: RouterFactory, archives: Archives
) -> None:
    destinations = {f"vna{number}": destination(each.aet, each.dicom_port) for number, each in enumerate(archives, 1)}
    with router_factory(section(destinations)) as router:
        router.command("destinations/vna1/pause")
        study = make_study()
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "vna2", "Completed")
        assert _state(router, study, "vna1") == "Scheduled"
        router.command("destinations/vna1/resume")
        router.wait_for_delivery(study.uid, "vna1", "Completed")


def _state(router: Router, study: Study, name: str) -> Any:
    row = router.delivery(study.uid, name)
    return row and row["State"]
