"""Several clinics behind one Orthanc: told apart by the AE title that is called, each with its defaults."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.servers.dicom import make_study, send
from tests.servers.router import Router, destination, section
from tests.system.conftest import Archives

PATIENCE = 4.0
CLINICS = {
    "outremont": {
        "CalledAets": ["OUTREMONT*"],
        "Defaults": {"Priority": "Urgent", "Purpose": "Care", "Otherwise": {"DeliverTo": ["vna2"]}},
    },
    "laval": {"CalledAets": ["LAVAL", "*ANNEX"], "Defaults": {"QuietSeconds": PATIENCE}},
}
DENTAL = {"Name": "dental", "When": {"Field": "Modality", "Equals": "IO"}, "DeliverTo": ["vna1"]}


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory, archives: Archives) -> Iterator[Router]:
    """One Orthanc, whose own AE title nobody calls (DicomCheckCalledAet is false)."""
    vnas = {name: destination(each.aet, each.dicom_port) for name, each in zip(("vna1", "vna2"), archives, strict=True)}
    relais = section(vnas, quiet=0.3, Clinics=CLINICS, Rules=[DENTAL], UnknownSender={"Hold": "which machine is this?"})
    with Router(tmp_path_factory.mktemp("clinics"), relais=relais) as running:
        yield running


def test_two_called_titles_are_two_clinics_with_defaults_of_their_own(router: Router) -> None:
    dental, other, distant = make_study(), make_study(modality="CT"), make_study()
    send(dental, router.dicom_port, called_aet="OUTREMONT")
    send(other, router.dicom_port, called_aet="OUTREMONT2")
    send(distant, router.dicom_port, called_aet="LAVAL")
    for study, clinic, name, priority in (
        (dental, "outremont", "vna1", "Urgent"),
        (other, "outremont", "vna2", "Urgent"),
        (distant, "laval", "vna1", "Routine"),
    ):
        assert router.wait_for_delivery(study.uid, name, "Completed")["Priority"] == priority
        assert len(router.deliveries(study.uid)) == 1
        assert router.studies()[study.uid]["Clinic"] == clinic
        reason = router.ask(f"studies/{study.uid}/explanation")["ClinicReason"]
        assert (reason["Level"], reason["Evidence"][0]["Clinic"]) == ("CalledAet", clinic)


def test_a_clinics_own_quiet_time_counts(router: Router) -> None:
    quick, slow = make_study(), make_study()
    send(slow, router.dicom_port, called_aet="LAVAL")
    send(quick, router.dicom_port, called_aet="OUTREMONT")
    assert _waited(router, slow.uid) >= timedelta(seconds=PATIENCE)
    assert _waited(router, quick.uid) < timedelta(seconds=PATIENCE)


def test_a_stranger_waits(router: Router) -> None:
    study = make_study()
    send(study, router.dicom_port, called_aet="ORTHANC")
    router.wait_for_study(study.uid, "Held")
    explanation = router.ask(f"studies/{study.uid}/explanation")
    assert explanation["HoldReason"] == "which machine is this?"
    assert explanation["Clinic"] is None
    assert explanation["Decision"]["HeldBack"][0]["Destination"] == "vna1"
    assert router.deliveries(study.uid) == []


def test_a_study_that_two_clinics_claim_waits(router: Router) -> None:
    study = make_study()
    send(study, router.dicom_port, called_aet="OUTREMONT_ANNEX")
    router.wait_for_study(study.uid, "Held")
    explanation = router.ask(f"studies/{study.uid}/explanation")
    assert explanation["HoldReason"] == "several clinics claim the study"
    assert {each["Clinic"] for each in explanation["ClinicReason"]["Evidence"]} == {"outremont", "laval"}
    page = router.rest.get(f"/relais/app/studies/{study.uid}").decode()
    assert "several clinics claim the study" in page


def test_a_strangers_study_can_be_a_clinics(router: Router, archives: Archives) -> None:
    router.stop()
    router.configuration["Relais"]["UnknownSender"] = {"Clinic": "outremont"}
    router.start()
    study = make_study()
    send(study, router.dicom_port, called_aet="ORTHANC")
    assert router.wait_for_delivery(study.uid, "vna1", "Completed")["Priority"] == "Urgent"
    explanation = router.ask(f"studies/{study.uid}/explanation")
    assert explanation["Clinic"] == "outremont"
    assert explanation["ClinicReason"]["ByDefault"] is True
    page = router.rest.get(f"/relais/app/studies/{study.uid}").decode()
    assert "UnknownSender makes it that of outremont" in page


def _waited(router: Router, uid: str) -> timedelta:
    """Between the first image and its completion."""
    router.wait_for_study(uid, "Routed")
    at = {each["Kind"]: datetime.fromisoformat(each["At"]) for each in router.ask(f"studies/{uid}/timeline")["Items"]}
    return at["study.complete"] - at["study.received"]
