"""Modalities that ask for their worklist: dcmtk's `findscu -W`, pynetdicom, and an Orthanc."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]

from tests.servers.dicom import make_study, send
from tests.servers.orthanc import OrthancServer, RestError
from tests.servers.receiver import Receiver
from tests.servers.router import API, Router, section

DAY = "20270305"
CLINICS = {
    "outremont": {
        "Name": "Outremont",
        "TimeZone": "America/Toronto",
        "CalledAets": ["OUTREMONT"],
        "CallingAets": ["CS8100"],
    },
    "verdun": {"Name": "Verdun", "TimeZone": "America/Toronto", "CalledAets": ["VERDUN"], "CallingAets": ["PAX"]},
}


def order(number: int, **more: str) -> dict[str, str]:
    """An order of Outremont, half an hour after the one before."""
    return {
        "AccessionNumber": f"W{number:04d}",
        "Clinic": "outremont",
        "CrmId": f"C-{number}",
        "PatientName": f"Gagné^Éloïse {number}",
        "PatientID": f"{number}",
        "PatientBirthDate": "19910203",
        "PatientSex": "F",
        "ScheduledProcedureStepStartDate": DAY,
        "ScheduledProcedureStepStartTime": f"{8 + number // 2:02d}{number % 2 * 30:02d}",
        "ScheduledStationAETitle": "CS8100",
        "Modality": "PX",
        "RequestedProcedureDescription": "Panoramique",
        **more,
    }


@pytest.fixture(scope="module")
def events() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory, events: Receiver) -> Iterator[Router]:
    """A router with the orders of one day: six of Outremont, and two of Verdun."""
    relais = section({}, subscribers={"crm": events.url}, Clinics=CLINICS)
    modalities = {name: (name.upper(), 104) for name in ("cs8100", "pax")}
    with ExitStack() as running:
        made = Router(tmp_path_factory.mktemp("worklist"), aet="RELAIS", relais=relais, modalities=modalities)
        running.enter_context(made)
        orders = [order(number) for number in range(6)]
        orders += [
            order(
                number, Clinic="verdun", ScheduledStationAETitle="PAX", PatientName=f"Roy^Léo {number}", Modality="CT"
            )
            for number in (6, 7)
        ]
        for each in orders:
            made.rest.post(f"{API}/worklist", each)
        yield made


def asked(step: dict[str, str] | None = None, **keys: str) -> Dataset:
    """A request for the worklist, with the return keys that modalities have."""
    scheduled = Dataset()
    for keyword in (
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "Modality",
        "ScheduledProcedureStepID",
    ):
        setattr(scheduled, keyword, (step or {}).get(keyword, ""))
    request = Dataset()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyInstanceUID"):
        setattr(request, keyword, keys.pop(keyword, ""))
    for keyword, value in keys.items():
        setattr(request, keyword, value)
    request.ScheduledProcedureStepSequence = [scheduled]
    return request


def ask(router: Router, request: Dataset, calling: str = "CS8100", called: str = "OUTREMONT") -> list[Dataset]:
    """What pynetdicom is answered."""
    entity = AE(ae_title=calling)
    entity.add_requested_context(ModalityWorklistInformationFind)
    association = entity.associate("127.0.0.1", router.dicom_port, ae_title=called)
    assert association.is_established
    try:
        answers = list(association.send_c_find(request, ModalityWorklistInformationFind))
    finally:
        association.release()
    assert answers[-1][0].Status == 0
    return [row for _, row in answers if row is not None]


def accessions(rows: list[Dataset]) -> list[str]:
    return [str(row.AccessionNumber) for row in rows]


def test_pynetdicom_is_answered_by_every_kind_of_key(router: Router) -> None:
    day = {"ScheduledProcedureStepStartDate": DAY}
    rows = ask(router, asked(day, SpecificCharacterSet="ISO_IR 100"))
    assert accessions(rows) == [f"W{number:04d}" for number in range(6)], "its clinic's, in order of time"
    assert rows[1].PatientName == "Gagné^Éloïse 1"
    assert rows[1].SpecificCharacterSet == "ISO_IR 100"
    (step,) = rows[1].ScheduledProcedureStepSequence
    assert (step.ScheduledProcedureStepStartTime[:4], step.Modality) == ("0830", "PX")
    assert rows[1].StudyInstanceUID
    assert accessions(ask(router, asked(PatientName="gagn?*", AccessionNumber="W0003"))) == ["W0003"]
    assert accessions(ask(router, asked({**day, "ScheduledProcedureStepStartTime": "0900-0930"}))) == ["W0002", "W0003"]
    assert accessions(ask(router, asked({"ScheduledProcedureStepStartDate": "20270301-20270304"}))) == []
    assert accessions(ask(router, asked({**day, "Modality": "CT"}))) == []
    assert accessions(ask(router, asked({**day, "Modality": "CT"}), "PAX", "VERDUN")) == ["W0006", "W0007"]
    utf8 = asked(day, SpecificCharacterSet="ISO_IR 192", PatientName="Gagné^Éloïse 4")
    assert accessions(ask(router, utf8)) == ["W0004"]


def test_ten_modalities_ask_at_once(router: Router) -> None:
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: accessions(ask(router, asked({"Modality": "PX"}))), range(10)))
    assert found == [[f"W{number:04d}" for number in range(6)]] * 10


def test_findscu_is_answered(router: Router, tmp_path: Path) -> None:
    keys = [
        f"ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate={DAY}",
        "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=CS8100",
        "PatientName=Gagn*",
        "AccessionNumber",
    ]
    subprocess.run(
        ["findscu", "-W", "--extract", "--aetitle", "CS8100", "--call", "OUTREMONT"]
        + [part for key in keys for part in ("-k", key)]
        + ["127.0.0.1", str(router.dicom_port)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=30,
    )
    assert len(list(tmp_path.glob("rsp*.dcm"))) == 6


def test_an_orthanc_is_answered(router: Router, tmp_path: Path) -> None:
    server = OrthancServer(tmp_path / "modality", aet="CS8100", modalities={"router": ("OUTREMONT", router.dicom_port)})
    with server as modality:
        steps = [{"ScheduledProcedureStepStartDate": DAY, "Modality": ""}]
        query = {"PatientName": "", "AccessionNumber": "", "ScheduledProcedureStepSequence": steps}
        rows: list[Any] = modality.rest.post("/modalities/router/find-worklist", query)
    assert sorted(each["AccessionNumber"] for each in rows) == [f"W{number:04d}" for number in range(6)]
    assert {each["PatientName"].split(" ")[0] for each in rows} == {"Gagné^Éloïse"}


def test_a_study_completes_its_order(router: Router, events: Receiver) -> None:
    router.rest.post(f"{API}/worklist", order(20, ScheduledProcedureStepStartTime="1900"))
    tags = {
        "AccessionNumber": "W0020",
        "PatientID": "20",
        "PatientName": "Gagné^Éloïse 20",
        "PatientBirthDate": "19910203",
    }
    study = make_study(modality="PX", tags=tags)
    stray = make_study(modality="PX", tags={"AccessionNumber": "NEVER"})
    for each in (study, stray):
        send(each, router.dicom_port, calling_aet="CS8100", called_aet="OUTREMONT")
    told = events.wait_for(lambda request: request.json["type"] == "worklist.completed")
    assert told.json["data"]["StudyInstanceUID"] == study.uid
    item = router.ask("worklist/W0020")
    assert (item["State"], item["Study"]) == ("Completed", study.uid)
    assert accessions(ask(router, asked(AccessionNumber="W0020"))) == []
    router.wait_for_study(stray.uid, "Complete", "Held", "Routed")
    assert stray.uid in {each["StudyInstanceUID"] for each in router.everything("worklist/strays")}
    assert study.uid not in {each["StudyInstanceUID"] for each in router.everything("worklist/strays")}


def test_orders_that_cannot_be_are_refused(router: Router) -> None:
    def status(body: Any, path: str = "worklist") -> int:
        with pytest.raises(RestError) as caught:
            router.rest.post(f"{API}/{path}", body)
        return caught.value.status

    before = router.ask("worklist/W0001")
    assert status(order(1, Clinic="verdun")) == 409, "the accession number of another clinic"
    assert status(order(30, Clinic="nowhere")) == 422
    assert status(order(30, ScheduledProcedureStepStartDate="20270230")) == 422
    assert status(order(30, AccessionNumber="A" * 17)) == 422
    assert status(order(30, ScheduledProcedureStepStartDate="20270314", ScheduledProcedureStepStartTime="0230")) == 422
    assert status({**order(30), "NoSuchKeyword": "1"}) == 422
    assert router.ask("worklist/W0001") == before


def test_an_appointment_moves_over_midnight_and_the_change_of_clocks(router: Router) -> None:
    """Half past eleven at night, then half past midnight; then the second half past one of the day clocks go back."""
    late = {"ScheduledProcedureStepStartDate": "20271106", "ScheduledProcedureStepStartTime": "2330"}
    router.rest.post(f"{API}/worklist", order(40, **late))
    assert router.ask("worklist/W0040")["ScheduledAt"].startswith("2027-11-07T03:30:00")
    early = {"ScheduledProcedureStepStartDate": "20271107", "ScheduledProcedureStepStartTime": "0030"}
    router.rest.put(f"{API}/worklist/W0040", order(40, **early))
    assert router.ask("worklist/W0040")["ScheduledAt"].startswith("2027-11-07T04:30:00")
    at = {"ScheduledProcedureStepStartDate": "20271106"}
    assert accessions(ask(router, asked(at))) == []
    at = {"ScheduledProcedureStepStartDate": "20271107"}
    assert accessions(ask(router, asked(at))) == ["W0040"]
    noon = {"ScheduledProcedureStepStartDate": "20271107", "ScheduledProcedureStepStartTime": "1200"}
    router.rest.put(f"{API}/worklist/W0040", order(40, **noon))
    assert router.ask("worklist/W0040")["ScheduledAt"].startswith("2027-11-07T17:00:00"), "an hour later than in summer"
    router.rest.delete(f"{API}/worklist/W0040")
    assert accessions(ask(router, asked(at))) == []
    assert router.ask("worklist/W0040")["State"] == "Canceled"
