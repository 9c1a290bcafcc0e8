"""Delivery, whole: proof, what is refused, when it begins and may go, who steps in, over real servers."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from relais.transports.modality import LOOK
from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.receiver import Receiver
from tests.servers.router import Router, destination, section
from tests.servers.scp import ArchiveScp
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory


@pytest.fixture
def scp() -> Iterator[ArchiveScp]:
    with ArchiveScp("SCP") as scp:
        yield scp


def to(scp: ArchiveScp, **options: Any) -> dict[str, Any]:
    return destination("SCP", scp.port, TimeoutSeconds=5, **options)


def wait_for(router: Router, study: Study, name: str, condition: Callable[[Any], object], what: str) -> Any:
    """The study's delivery to this destination, once it fulfills the condition."""

    def look() -> Any:
        found = router.delivery(study.uid, name)
        return found if found is not None and condition(found) else None

    return eventually(look, 20, what)


def has(vna: OrthancServer, study: Study, count: int) -> bool:
    return len(vna.sop_instance_uids(study.uid)) == count


def kept(scp: ArchiveScp, study: Study) -> bool:
    return scp.kept == study.sop_instance_uids


def test_the_end_of_a_job_is_heard_of_and_not_only_looked_for(router_factory: RouterFactory, scp: ArchiveScp) -> None:
    with router_factory(section({"scp": to(scp)})) as router:

        def lasts(state: str) -> float:
            study = make_study()
            send(study, router.dicom_port)
            ended = router.wait_for_delivery(study.uid, "scp", state)
            (attempt,) = router.ask(f"deliveries/{ended['Id']}")["History"]
            began, over = (datetime.fromisoformat(attempt[key]) for key in ("StartedAt", "FinishedAt"))
            return (over - began).total_seconds()

        for scp.answer, state in ((0x0000, "Completed"), (0xC000, "Failed")):
            assert min(lasts(state) for _ in range(4)) < LOOK  # whoever only looks sees no end sooner


def test_what_somebody_made_of_the_destination_in_orthanc_is_put_right_before_the_next_study(
    router_factory: RouterFactory, scp: ArchiveScp
) -> None:
    first, second, third = (make_study() for _ in range(3))
    with router_factory(section({"scp": to(scp)})) as router:
        for study in (first, second, third):
            send(study, router.dicom_port)
            router.wait_for_delivery(study.uid, "scp", "Completed")
            if study is first:
                router.rest.put("/modalities/relais-scp", {"AET": "THIEF", "Host": "127.0.0.1", "Port": 1})
            elif study is second:
                router.rest.delete("/modalities/relais-scp")
    assert len(scp.receptions) == 3


# --- proof ------------------------------------------------------------------------------------------------------------


def test_a_lying_success_is_found_out_by_asking_and_only_what_is_missing_is_sent_again(
    router_factory: RouterFactory, scp: ArchiveScp
) -> None:
    study = make_study(series=2, instances=4)
    lost = study.sop_instance_uids[2]
    scp.forgets = {lost}
    with router_factory(section({"scp": to(scp, Proof="Queried")})) as router:
        send(study, router.dicom_port)
        found = wait_for(router, study, "scp", lambda each: each["LastError"], "it is found out")
        assert (found["LastError"]["Code"], found["LastError"]["Refused"]) == ("missing", 1)
        assert found["Proof"] is None
        scp.forgets = set()
        proven = router.wait_for_delivery(study.uid, "scp", "Completed")
    assert kept(scp, study)
    assert (proven["Proof"]["Kind"], proven["Proof"]["Instances"]) == ("Queried", 8)
    sent = [each.sop_instance_uid for each in scp.receptions]
    assert {each for each in sent if sent.count(each) > 1} == {lost}


def test_a_commitment_is_awaited_over_a_restart_and_asked_for_again(
    router_factory: RouterFactory, scp: ArchiveScp
) -> None:
    study = make_study(instances=3)
    relais = section({"scp": to(scp, Proof="Committed")})
    with router_factory(relais, modalities={"scp": ("SCP", scp.port)}) as router:
        send(study, router.dicom_port)
        eventually(lambda: len(scp.commitments) == 1, 20, "a commitment is asked for")
        awaited = wait_for(router, study, "scp", lambda each: each["Proof"], "its report is awaited")
        assert (awaited["State"], awaited["Proof"]["Kind"]) == ("InProgress", "Committed")
        router.kill()
        router.start()
        eventually(lambda: len(scp.commitments) == 2, 30, "it is asked for again")
        refused = study.sop_instance_uids[0]
        scp.report(scp.commitments[1], router.dicom_port, aet=router.aet, failures={refused: 0x0112})
        eventually(lambda: len(scp.commitments) == 3, 30, "it is asked for once more")
        third = scp.commitments[2]
        scp.report(third, router.dicom_port, aet=router.aet)
        proven = router.wait_for_delivery(study.uid, "scp", "Completed")
        assert (proven["Proof"]["Kind"], proven["Proof"]["Transaction"]) == ("Committed", third.transaction)
    sent = [each.sop_instance_uid for each in scp.receptions]
    assert {each for each in sent if sent.count(each) > 1} == {refused}


# --- what is refused --------------------------------------------------------------------------------------------------


def test_one_image_that_is_refused_keeps_none_of_the_others_back(
    router_factory: RouterFactory, scp: ArchiveScp, receiver: Receiver
) -> None:
    study = make_study(instances=7)
    refused = study.sop_instance_uids[3]
    scp.refuses = {refused: 0xC000}
    relais = section({"scp": to(scp)}, subscribers={"crm": receiver.url})
    with router_factory(relais) as router:
        send(study, router.dicom_port)
        failed = router.wait_for_delivery(study.uid, "scp", "Failed")
        assert (failed["Delivered"], failed["LastError"]["Code"], failed["LastError"]["Refused"]) == (6, "C000", 1)
        assert scp.kept == [each for each in study.sop_instance_uids if each != refused]
        eventually(lambda: "delivery.failed" in {each["type"] for each in receiver.events()}, 20, "the CRM is told")
        scp.refuses = {}
        router.command(f"deliveries/{failed['Id']}/retry")
        done = router.wait_for_delivery(study.uid, "scp", "Completed")
        assert done["Delivered"] == 7
    assert kept(scp, study)


def test_what_passes_is_tried_again_by_itself(router_factory: RouterFactory, scp: ArchiveScp) -> None:
    study = make_study(instances=5)
    scp.answer_next(0x0000, 0xA700)
    with router_factory(section({"scp": to(scp)})) as router:
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "scp", "Completed")
    assert kept(scp, study)


# --- completeness -----------------------------------------------------------------------------------------------------


def test_a_study_that_says_how_many_images_it_has_is_complete_with_the_last(
    router_factory: RouterFactory, archives: Archives
) -> None:
    study = make_study(instances=4, tags={"NumberOfStudyRelatedInstances": "4"})
    relais = section({"vna": destination(archives[0].aet, archives[0].dicom_port)}, quiet=600)
    with router_factory(relais) as router:
        send(Study(study.instances[:3]), router.dicom_port)
        eventually(lambda: router.studies().get(study.uid), 20, "it is known")
        send(Study(study.instances[3:]), router.dicom_port)
        router.wait_for_delivery(study.uid, "vna", "Completed")
    assert archives[0].sop_instance_uids(study.uid) == study.sop_instance_uids


def test_one_that_lacks_images_waits_for_them_and_is_then_sent_as_it_is(
    router_factory: RouterFactory, archives: Archives, receiver: Receiver
) -> None:
    study = make_study(instances=3, tags={"NumberOfStudyRelatedInstances": "5"})
    relais = section(
        {"vna": destination(archives[0].aet, archives[0].dicom_port)},
        subscribers={"crm": receiver.url},
        Completeness={"QuietSeconds": 0.2, "IncompleteSeconds": 3},
    )
    with router_factory(relais) as router:
        began = datetime.now(UTC)
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "vna", "Completed")
        assert datetime.now(UTC) - began > timedelta(seconds=3)
        (told,) = eventually(
            lambda: [each for each in receiver.events() if each["type"] == "study.complete"], 20, "the CRM is told"
        )
    assert (told["data"]["By"], told["data"]["Expected"], told["data"]["Instances"]) == ("Incomplete", 5, 3)


def test_images_that_lack_are_waited_for_no_shorter_than_their_clinic_says(router_factory: RouterFactory) -> None:
    study = make_study(instances=3, tags={"NumberOfStudyRelatedInstances": "5"})
    relais = section(
        {"vna": destination("VNA", free_port())},
        Clinics={"laval": {"CalledAets": ["RELAIS"], "Defaults": {"QuietSeconds": 600}}},
        Completeness={"QuietSeconds": 0.2, "IncompleteSeconds": 0.2},
    )
    with router_factory(relais) as router:
        send(study, router.dicom_port, called_aet="RELAIS")

        def known() -> Any:
            found = router.studies().get(study.uid)
            return found if found and found["Expected"] == 5 else None

        seen = eventually(known, 20, "how many it has is known")
        assert seen["State"] == "Receiving"
        assert datetime.fromisoformat(seen["QuietUntil"]) - datetime.now(UTC) > timedelta(seconds=300)


def test_a_study_that_grows_for_ever_is_cut_and_goes_on_to_grow_at_its_destination(
    router_factory: RouterFactory, archives: Archives
) -> None:
    study = make_study(instances=12)
    relais = section(
        {"vna": destination(archives[0].aet, archives[0].dicom_port)},
        Completeness={"QuietSeconds": 600, "LongestSeconds": 1},
    )
    with router_factory(relais) as router:
        for instance in study.instances:
            send(Study((instance,)), router.dicom_port)
        eventually(lambda: archives[0].sop_instance_uids(study.uid) == study.sop_instance_uids, 30, "all are there")


def test_an_image_sent_again_unchanged_costs_nothing(router_factory: RouterFactory, scp: ArchiveScp) -> None:
    study = make_study(instances=3)
    options = {"configuration": {"OverwriteInstances": True}}
    with router_factory(section({"scp": to(scp)}), **options) as router:
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "scp", "Completed")
        eventually(lambda: not [each for each in router.ask("tasks")["Items"] if each["Kind"] == "digest"], 20, "known")
        send(study, router.dicom_port)
        changed = deepcopy(study.instances[0])
        changed.StudyDescription = "corrected"
        send(Study((changed,)), router.dicom_port)
        eventually(lambda: len(scp.receptions) == 4, 20, "the corrected image is sent")
        router.wait_for_delivery(study.uid, "scp", "Completed")
    assert len(scp.receptions) == 4


# --- when -------------------------------------------------------------------------------------------------------------


def test_images_flow_on_while_others_still_arrive(router_factory: RouterFactory, archives: Archives) -> None:
    study = make_study(instances=6)
    vna = archives[0]
    options = {"Start": "WhileReceiving"}
    with router_factory(section({"vna": destination(vna.aet, vna.dicom_port, **options)}, quiet=2)) as router:
        for count in range(1, 7):
            send(Study((study.instances[count - 1],)), router.dicom_port)
            eventually(partial(has, vna, study, count), 10, f"{count} are there")
        assert router.studies()[study.uid]["State"] == "Receiving"
        done = router.wait_for_delivery(study.uid, "vna", "Completed")
        assert done["Delivered"] == 6


def test_nothing_is_sent_outside_the_window(router_factory: RouterFactory, archives: Archives) -> None:
    study = make_study()
    vna = archives[0]
    opens = (datetime.now(UTC) + timedelta(hours=2)).strftime("%H:%M")
    closes = (datetime.now(UTC) + timedelta(hours=3)).strftime("%H:%M")
    windows = [{"From": opens, "To": closes}]
    relais = section(
        {
            "night": destination(vna.aet, vna.dicom_port, Windows=windows),
            "day": destination(archives[1].aet, archives[1].dicom_port),
        }
    )
    with router_factory(relais) as router:
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "day", "Completed")
        night = wait_for(router, study, "night", lambda each: each["NextAttempt"], "it waits")
        assert night["State"] == "Scheduled"
        assert night["NextAttempt"].split("T")[1].startswith(opens)
        assert night["LastError"] is None
        assert vna.sop_instance_uids(study.uid) == []


def test_a_limited_bandwidth_is_honoured(router_factory: RouterFactory, scp: ArchiveScp) -> None:
    study = make_study(instances=40, size=50_000)
    with router_factory(section({"scp": to(scp, Bandwidth=4)})) as router:  # half a megabyte a second
        send(study, router.dicom_port)
        done = router.wait_for_delivery(study.uid, "scp", "Completed", timeout=40)
        history = router.ask(f"deliveries/{done['Id']}")["History"]
    assert kept(scp, study)
    began = min(datetime.fromisoformat(each["StartedAt"]) for each in history)
    last = max(datetime.fromisoformat(each["StartedAt"]) for each in history)
    before_the_last = sum(each["Bytes"] for each in history) - history[0]["Bytes"]
    assert len(history) >= 3
    assert before_the_last * 8 / 4e6 * 0.9 <= (last - began).total_seconds()


# --- who --------------------------------------------------------------------------------------------------------------


def test_another_archive_steps_in_and_the_first_gets_its_own_when_it_is_back(
    router_factory: RouterFactory, archives: Archives
) -> None:
    first, second = archives
    study = make_study()
    with Proxy(first.dicom_port) as proxy:
        proxy.fault = Fault.REFUSE
        relais = section(
            {
                "first": destination(first.aet, proxy.port, FailoverTo="second", FailoverAfterSeconds=3600),
                "second": destination(second.aet, second.dicom_port),
            },
            Rules=[{"Name": "all", "DeliverTo": ["first"]}],
        )
        with router_factory(relais) as router:
            send(study, router.dicom_port)
            stood_in = router.wait_for_delivery(study.uid, "second", "Completed", timeout=40)
            assert {"FailoverOf": "first"} in stood_in["Reasons"]
            assert router.wait_for_delivery(study.uid, "first", "Scheduled")["LastError"]["Code"] == "refused"
            proxy.fault = Fault.NONE
            router.wait_for_delivery(study.uid, "first", "Completed", timeout=40)
    for archive in archives:
        assert archive.sop_instance_uids(study.uid) == study.sop_instance_uids


def test_a_pool_keeps_a_patient_together(router_factory: RouterFactory, archives: Archives) -> None:
    relais = section(
        {
            "vna1": destination(archives[0].aet, archives[0].dicom_port),
            "vna2": destination(archives[1].aet, archives[1].dicom_port),
            "either": {"Kind": "Pool", "Of": {"vna1": 1, "vna2": 1}},
        },
        Rules=[{"Name": "all", "DeliverTo": ["either"]}],
    )
    studies = [make_study(tags={"PatientID": f"POOL-{number // 2}"}) for number in range(12)]
    with router_factory(relais) as router:
        for study in studies:
            send(study, router.dicom_port)
        chosen = [_only_delivery(router, study) for study in studies]
    assert chosen[0::2] == chosen[1::2]
    assert set(chosen) == {"vna1", "vna2"}


def _only_delivery(router: Router, study: Study) -> str:
    (found,) = eventually(lambda: router.deliveries(study.uid), 20, "it is owed")
    router.wait_for_delivery(study.uid, found["Destination"], "Completed")
    assert {"Pool": "either"} in found["Reasons"]
    return str(found["Destination"])


def test_only_what_a_destination_receives_is_sent(router_factory: RouterFactory, scp: ArchiveScp) -> None:
    panoramic, scan = make_study(modality="PX", instances=2), make_study(modality="CT", instances=3)
    for instance in scan.instances:
        instance.StudyInstanceUID = panoramic.uid
    both = Study((*panoramic.instances, *scan.instances))
    with router_factory(section({"scp": to(scp, Proof="Queried", Only={"Modalities": ["CT"]})})) as router:
        send(both, router.dicom_port)
        done = router.wait_for_delivery(panoramic.uid, "scp", "Completed")
    assert scp.kept == scan.sop_instance_uids
    assert (done["Delivered"], done["Proof"]["Instances"]) == (3, 3)


def test_a_destination_that_refuses_every_connection_does_not_hold_a_place(
    router_factory: RouterFactory, archives: Archives
) -> None:
    """A dead destination with a backlog is tried by one attempt at a time; a breaker opens after three."""
    vna = archives[0]
    relais = section({"dead": destination("DEAD", free_port()), "vna": destination(vna.aet, vna.dicom_port)})
    studies = [make_study() for _ in range(10)]
    with router_factory(relais) as router:
        for study in studies:
            send(study, router.dicom_port)
        for study in studies:
            router.wait_for_delivery(study.uid, "vna", "Completed")
        dead = eventually(
            lambda: (each := router.ask("destinations/dead")) and each["State"] == "Down" and each, 20, "it is down"
        )
        assert dead["Backlog"] == 10
        attempts = sum(each["Attempts"] for each in router.deliveries() if each["Destination"] == "dead")
        assert attempts >= dead["Failures"] >= 3
