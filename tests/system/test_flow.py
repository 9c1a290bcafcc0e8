"""The way of a study, from a modality to its archives and to the subscriber's ear, over real servers."""

from copy import deepcopy
from datetime import datetime
from typing import Any

import pytest
from pydicom import Dataset
from standardwebhooks import Webhook

from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.proxy import Fault, Proxy
from tests.servers.receiver import Receiver
from tests.servers.router import SECRET, destination, section
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory


def two_archives(archives: Archives) -> dict[str, dict[str, Any]]:
    return {f"vna{number}": destination(each.aet, each.dicom_port) for number, each in enumerate(archives, 1)}


def has(archive: OrthancServer, study: Study) -> bool:
    return archive.sop_instance_uids(study.uid) == study.sop_instance_uids


def events_of(receiver: Receiver, study: Study) -> list[str]:
    return [each["type"] for each in receiver.events() if each["data"].get("StudyInstanceUID") == study.uid]


def corrected(study: Study, **tags: str) -> list[Dataset]:
    """The same instances, by their SOPInstanceUIDs, with other values in these tags."""
    instances = deepcopy(study.instances)
    for instance in instances:
        for keyword, value in tags.items():
            setattr(instance, keyword, value)
    return list(instances)


def test_a_study_reaches_the_archives_that_its_rules_name_and_no_other(
    router_factory: RouterFactory, archives: Archives
) -> None:
    rules = [
        {
            "Name": "dental",
            "When": {
                "All": [{"Field": "Modality", "In": ["IO", "PX"]}, {"Field": "Clinic", "Equals": "outremont"}],
            },
            "DeliverTo": ["vna1", "vna2"],
        },
        {"Name": "scanner", "When": {"Field": "Modality", "Equals": "CT"}, "DeliverTo": ["vna2"]},
    ]
    clinics = {"outremont": {"CallingAets": ["CS8100"]}}
    relais = section(two_archives(archives), Rules=rules, Clinics=clinics)
    with router_factory(relais) as router:
        dental, scanner = make_study(series=2, instances=3), make_study(modality="CT", instances=4)
        send(dental, router.dicom_port, calling_aet="CS8100")
        send(scanner, router.dicom_port)
        for name in ("vna1", "vna2"):
            delivery = router.wait_for_delivery(dental.uid, name, "Completed")
            assert delivery["Delivered"] == 6
            assert delivery["Reasons"] == [{"Rule": "dental"}]
        router.wait_for_delivery(scanner.uid, "vna2", "Completed")
        assert router.delivery(scanner.uid, "vna1") is None
        assert router.wait_for_study(dental.uid, "Routed")["Clinic"] == "outremont"
    assert has(archives[0], dental)
    assert has(archives[1], dental)
    assert has(archives[1], scanner)
    assert archives[0].sop_instance_uids(scanner.uid) == []


def test_the_subscriber_hears_each_step_once_and_can_prove_who_told_it(
    router_factory: RouterFactory, archives: Archives, receiver: Receiver
) -> None:
    relais = section({"vna1": two_archives(archives)["vna1"]}, subscribers={"crm": receiver.url})
    with router_factory(relais) as router:
        study = make_study(instances=3, tags={"PatientName": "Secret^Identity", "PatientID": "S3CRET"})
        send(study, router.dicom_port)
        receiver.wait_for(lambda request: request.json["type"] == "delivery.completed")
        heard = ["study.received", "study.complete", "study.routed", "delivery.completed"]
        eventually(lambda: sorted(events_of(receiver, study)) == sorted(heard), what="each event was told, once")
    signer = Webhook(SECRET)
    for request in receiver.requests:
        signer.verify(request.body, dict(request.headers))  # raises where the signature is not ours
        assert set(request.json) == {"type", "timestamp", "data"}
        assert b"Secret" not in request.body
        assert b"S3CRET" not in request.body
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == len(heard)


def test_a_destination_is_called_by_its_own_local_title(router_factory: RouterFactory) -> None:
    with StorageScp("PACS1") as one, StorageScp("PACS2") as two:
        relais = section(
            {
                "named": destination("PACS1", one.port, LocalAet="MONTREAL"),
                "unnamed": destination("PACS2", two.port),
            }
        )
        with router_factory(relais, aet="RELAIS") as router:
            study = make_study(instances=2)
            send(study, router.dicom_port)
            router.wait_for_delivery(study.uid, "named", "Completed")
            router.wait_for_delivery(study.uid, "unnamed", "Completed")
        assert {(each.calling_aet, each.called_aet) for each in one.receptions} == {("MONTREAL", "PACS1")}
        assert {(each.calling_aet, each.called_aet) for each in two.receptions} == {("RELAIS", "PACS2")}


def test_a_late_image_tops_the_archive_up(router_factory: RouterFactory) -> None:
    with StorageScp("PACS") as pacs, router_factory(section({"pacs": destination("PACS", pacs.port)})) as router:
        study = make_study(instances=5)
        send(study.instances[:4], router.dicom_port)
        assert router.wait_for_delivery(study.uid, "pacs", "Completed")["Delivered"] == 4
        send(study.instances[4:], router.dicom_port)
        eventually(lambda: pacs.sop_instance_uids() == study.sop_instance_uids, what="the late image arrived")
        eventually(
            lambda: (row := router.delivery(study.uid, "pacs")) and (row["State"], row["Delivered"]) == ("Completed", 5)
        )
        assert len(pacs.receptions) == 5, "only the late image was sent the second time"


def test_a_corrected_image_replaces_the_one_at_the_archive(router_factory: RouterFactory, archives: Archives) -> None:
    archive = archives[0]
    with router_factory(section({"vna1": two_archives(archives)["vna1"]})) as router:
        study = make_study(instances=3, tags={"StudyDescription": "Wrong side"})
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "vna1", "Completed")
        send(corrected(study, StudyDescription="Right side"), router.dicom_port)
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": study.uid}}

        def descriptions() -> set[str]:
            ids = archive.rest.post("/tools/find", query)
            return {archive.rest.get(f"/instances/{each}/tags?short")["0008,1030"] for each in ids}

        eventually(lambda: descriptions() == {"Right side"}, what="the archive has the corrected images")
        router.wait_for_delivery(study.uid, "vna1", "Completed")
        assert has(archive, study), "and no others besides"
        assert router.studies()[study.uid]["StudyDescription"] == "Right side"


def test_images_with_a_corrected_patient_id_reach_the_archive(
    router_factory: RouterFactory, archives: Archives
) -> None:
    """Orthanc makes another patient, study, series and instance of them; their UIDs are those it had before."""
    archive = archives[0]
    with router_factory(section({"vna1": two_archives(archives)["vna1"]})) as router:
        study = make_study(instances=2, tags={"PatientID": "WRONG"})
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "vna1", "Completed")
        send(corrected(study, PatientID="RIGHT"), router.dicom_port)
        query = {"Level": "Study", "Expand": True, "Query": {"StudyInstanceUID": study.uid, "PatientID": "RIGHT"}}
        eventually(lambda: len(archive.rest.post("/tools/find", query)) == 1, what="the archive has the new patient")
        router.wait_for_delivery(study.uid, "vna1", "Completed")
        shown = router.studies()[study.uid]
        assert (shown["PatientID"], shown["Instances"]) == ("RIGHT", 2)


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_identical_image_sent_again_does_no_harm(
    router_factory: RouterFactory, archives: Archives, *, overwrite: bool
) -> None:
    relais = section({"vna1": two_archives(archives)["vna1"]})
    with router_factory(relais, configuration={"OverwriteInstances": overwrite}) as router:
        study, marker = make_study(instances=3), make_study()
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "vna1", "Completed")
        for _ in range(3):
            send(study, router.dicom_port)
        send(marker, router.dicom_port)  # once this one is through, the feed has read the others
        router.wait_for_delivery(marker.uid, "vna1", "Completed")
        delivery = router.wait_for_delivery(study.uid, "vna1", "Completed")
        assert (delivery["Instances"], delivery["Delivered"]) == (3, 3)
        assert router.ask("audit/verify")["Items"][0]["Intact"]
    assert has(archives[0], study)


def test_one_study_over_two_associations_is_routed_once(router_factory: RouterFactory, receiver: Receiver) -> None:
    with StorageScp("PACS") as pacs:
        relais = section({"pacs": destination("PACS", pacs.port)}, quiet=1.5, subscribers={"crm": receiver.url})
        with router_factory(relais) as router:
            study = make_study(series=2, instances=3)
            send(study.instances[:3], router.dicom_port)
            assert router.wait_for_study(study.uid, "Receiving")["Instances"] >= 1
            send(study.instances[3:], router.dicom_port)
            router.wait_for_delivery(study.uid, "pacs", "Completed")
            receiver.wait_for(lambda request: request.json["type"] == "delivery.completed")
        assert events_of(receiver, study).count("study.complete") == 1
        assert events_of(receiver, study).count("delivery.completed") == 1
        assert pacs.sop_instance_uids() == study.sop_instance_uids


def test_the_longest_quiet_time_of_a_studys_modalities_counts(router_factory: RouterFactory) -> None:
    completeness = {"QuietSeconds": 5, "ByModality": {"IO": 0.2, "PX": 1.5}}
    with router_factory(section({}, Completeness=completeness)) as router:
        quick, slow, mixed = make_study(), make_study(modality="PX"), make_study()
        panoramic = make_study(modality="PX", tags={"StudyInstanceUID": mixed.uid})
        for study in (mixed, slow, panoramic, quick):
            send(study, router.dicom_port)
        quiet = {each.uid: router.wait_for_study(each.uid, "Held", timeout=10) for each in (quick, slow, mixed)}

    def seconds(study: Study) -> float:
        row = quiet[study.uid]
        return float(_moment(row["QuietUntil"]) - _moment(row["ChangedAt"]))

    assert seconds(quick) == pytest.approx(0.2)
    assert seconds(slow) == pytest.approx(1.5)
    assert seconds(mixed) == pytest.approx(1.5)
    assert quiet[mixed.uid]["Modalities"] == ["IO", "PX"]
    assert all(_moment(row["CompletedAt"]) >= _moment(row["QuietUntil"]) for row in quiet.values())


def test_a_study_of_an_unknown_sender_is_held_and_says_why(
    router_factory: RouterFactory, archives: Archives, receiver: Receiver
) -> None:
    rule = {"Name": "ours", "When": {"Field": "Clinic", "Exists": True}, "DeliverTo": ["vna1"]}
    relais = section(
        {"vna1": two_archives(archives)["vna1"]},
        subscribers={"crm": receiver.url},
        Rules=[rule],
        Clinics={"outremont": {"CallingAets": ["CS8100"]}},
        Otherwise={"Hold": "the sender is no clinic of ours"},
    )
    with router_factory(relais) as router:
        study = make_study()
        send(study, router.dicom_port, calling_aet="STRANGER")
        held = router.wait_for_study(study.uid, "Held")
        assert held["HoldReason"] == "the sender is no clinic of ours"
        assert held["Origin"]["CallingAet"] == "STRANGER"
        told = receiver.wait_for(lambda request: request.json["type"] == "study.held")
        assert told.json["data"]["Reason"] == "the sender is no clinic of ours"
        assert router.deliveries(study.uid) == []


def test_another_configuration_routes_what_was_held_and_cancels_what_nobody_asks_for(
    router_factory: RouterFactory, archives: Archives
) -> None:
    one, two = two_archives(archives).values()
    with Proxy(archives[0].dicom_port) as dead:
        dead.fault = Fault.REFUSE
        destinations = {"dead": {**one, "Port": dead.port}, "vna2": two}
        scanner = {"Name": "scanner", "When": {"Field": "Modality", "Equals": "CT"}, "DeliverTo": ["dead"]}
        dental = {"Name": "dental", "When": {"Field": "Modality", "Equals": "IO"}, "DeliverTo": ["vna2"]}
        router = router_factory(section(destinations, Rules=[scanner])).start()
        planned, held = make_study(modality="CT"), make_study(modality="IO")
        send(planned, router.dicom_port)
        send(held, router.dicom_port)
        router.wait_for_study(held.uid, "Held")
        eventually(lambda: (row := router.delivery(planned.uid, "dead")) and row["Attempts"] > 0, what="it was tried")
        router.stop()
        router.configuration["Relais"] = section(destinations, Rules=[{**scanner, "DeliverTo": ["vna2"]}, dental])
        router.start()
        router.wait_for_delivery(held.uid, "vna2", "Completed")
        router.wait_for_delivery(planned.uid, "vna2", "Completed")
        canceled = router.wait_for_delivery(planned.uid, "dead", "Canceled")
        assert canceled["Reasons"][-1] == {"Canceled": "no rule asks for it any more", "By": "relais"}
        assert router.studies()[held.uid]["State"] == "Routed"
    assert has(archives[1], held)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
