"""What X-ray senders of the field send, through a running router to a PACS: all arrives, and nobody is mixed up."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.servers.dicom import Study, send
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.receiver import Receiver
from tests.servers.router import API, Router, destination, section
from tests.servers.senders import PATIENTS, SENDERS, studies
from tests.servers.waiting import eventually

CLINICS = {
    "outremont": {"CalledAets": ["OUTREMONT"], "CallingAets": ["P*"]},
    "verdun": {"CalledAets": ["VERDUN"]},
}
PHOTOGRAPHS = {"Field": "Modality", "In": ["XC", "M3D", "DOC"]}


@pytest.fixture(scope="module")
def events() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def pacs() -> Iterator[IntelePacs]:
    with IntelePacs(behaviour=replace(SETTINGS["A"], seconds_to_first_row=0.0)) as server:
        yield server


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory, pacs: IntelePacs, events: Receiver) -> Iterator[Router]:
    with ExitStack() as running:
        narrow = running.enter_context(IntelePacs("NARROW", SETTINGS["G"]))
        relais = section(
            {"pacs": destination("INTELEPACS", pacs.port), "narrow": destination("NARROW", narrow.port)},
            subscribers={"crm": events.url},
            Clinics=CLINICS,
            Rules=[
                {"Name": "everything", "DeliverTo": ["pacs"]},
                {"Name": "pictures", "When": PHOTOGRAPHS, "DeliverTo": ["narrow"]},
            ],
        )
        made = Router(tmp_path_factory.mktemp("senders"), aet="RELAIS", relais=relais)
        running.enter_context(made)
        yield made


def sent(router: Router, several: list[Study], calling: str, called: str = "OUTREMONT") -> list[Any]:
    """Send, and return the studies when each is at the PACS."""
    for each in several:
        send(each, router.dicom_port, calling_aet=calling, called_aet=called)
    for each in several:
        router.wait_for_delivery(each.uid, "pacs", "Completed")
    return [router.ask(f"studies/{each.uid}") for each in several]


def test_all_that_is_sent_arrives_once(router: Router, pacs: IntelePacs) -> None:
    several = {name: studies(name, patient=3) for name in SENDERS}
    for name, each in several.items():
        for study in each:
            send(study, router.dicom_port, calling_aet=name, called_aet="OUTREMONT")
    everything = [study for each in several.values() for study in each]
    for study in everything:
        router.wait_for_delivery(study.uid, "pacs", "Completed")
    known = router.studies()
    assert {study.uid: known[study.uid]["Instances"] for study in everything} == {
        study.uid: len(study.instances) for study in everything
    }
    assert {known[study.uid]["Clinic"] for study in everything} == {"outremont"}
    assert {uid for study in everything for uid in study.sop_instance_uids} <= set(pacs.kept)


def test_what_is_sent_again_is_not_delivered_again_and_a_refusal_is_told_once(
    router: Router, pacs: IntelePacs, events: Receiver
) -> None:
    (study,) = several = studies("P7")
    sent(router, several, "P7")
    refused = router.wait_for_delivery(study.uid, "narrow", "Failed")
    receptions = len(pacs.receptions)
    eventually(lambda: all(each["Kind"] != "digest" for each in router.everything("tasks")), 60, "its images are known")
    sent(router, several, "P7")
    router.wait_for_study(study.uid, "Routed")
    assert len(router.deliveries(study.uid)) == 2
    assert len(pacs.receptions) == receptions, "the PACS has it all already"
    assert router.wait_for_delivery(study.uid, "narrow", "Failed")["LastError"] == refused["LastError"]
    told = [each for each in events.events() if each["type"] == "delivery.failed"]
    assert [each["data"]["StudyInstanceUID"] for each in told].count(study.uid) == 1


def test_one_id_at_two_clinics_is_two_people(router: Router) -> None:
    one, two = studies("P4", patient=1), studies("P4", patient=10)
    for crm_id, place, clinic in (("C-1", 1, "outremont"), ("C-10", 10, "verdun")):
        family, _, given = PATIENTS[place]["PatientName"].partition("^")
        person = {"FamilyName": family, "GivenNames": given, "BirthDate": PATIENTS[place]["PatientBirthDate"]}
        identifiers = [{"System": clinic, "Value": "123"}]
        body = {"CrmId": crm_id, **person, "Clinic": clinic, "Identifiers": identifiers}
        body["BirthDate"] = f"{body['BirthDate'][:4]}-{body['BirthDate'][4:6]}-{body['BirthDate'][6:]}"
        router.rest.put(f"{API}/patients/{crm_id}", body)
    (first,) = sent(router, one, "P4")
    (second,) = sent(router, two, "P4B", "VERDUN")
    assert (first["Clinic"], second["Clinic"]) == ("outremont", "verdun")
    assert (first["Match"]["CrmId"], second["Match"]["CrmId"]) in [("C-1", "C-10"), ("C-1", None), (None, "C-10")]


def test_a_swapped_birth_date_is_no_new_patient(router: Router, events: Receiver) -> None:
    """The machine's study has its order's accession number, its name and id, and day and month of birth swapped."""
    body = {"CrmId": "C-3", "FamilyName": "Roy", "GivenNames": "Léa", "BirthDate": "1970-11-05", "Clinic": "outremont"}
    router.rest.put(f"{API}/patients/C-3", {**body, "Identifiers": [{"System": "outremont", "Value": "R-77"}]})
    person = {"PatientName": "Roy^Léa", "PatientID": "R-77", "PatientBirthDate": "19701105", "PatientSex": "F"}
    order = {
        **person,
        "AccessionNumber": "ORD2026-0001",
        "Clinic": "outremont",
        "CrmId": "C-3",
        "ScheduledProcedureStepStartDate": "20270305",
        "ScheduledProcedureStepStartTime": "1030",
        "ScheduledStationAETitle": "P2",
        "Modality": "PX",
    }
    router.rest.post(f"{API}/worklist", order)
    study, *_ = several = SENDERS["P2"](person)
    sent(router, several, "P2")
    assert study.instances[0].PatientBirthDate == "19700511"
    match = router.ask(f"studies/{study.uid}")["Match"]
    assert match["State"] in {"Review", "Matched"}, "somebody decides, but it is nobody new"
    assert match["CrmId"] in {"C-3", None}
    eventually(
        lambda: any(each["type"] == "worklist.completed" for each in events.events()), what="its order is completed"
    )
    assert router.ask("worklist/ORD2026-0001")["Study"] == study.uid
