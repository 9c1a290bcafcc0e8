"""Orders as they are read, and as a request for the worklist finds them."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from relais.domain.document import DocumentError
from relais.domain.fhir_orders import accession_for, read_appointment, read_request
from relais.domain.orders import Order, read_order, values_of

from relais.domain.worklist import Asked, answer, codecs_for, matches, read_request as read_question  # isort: skip

ORDER: dict[str, Any] = {
    "AccessionNumber": "A1",
    "Clinic": "outremont",
    "CrmId": "C-1",
    "PatientName": "Gagné^Zoé=ガニェ^ゾエ",
    "PatientID": "0123",
    "PatientBirthDate": "1984-05-17",
    "ScheduledProcedureStepStartDate": "2026-11-23",
    "ScheduledProcedureStepStartTime": "09:30",
    "ScheduledStationAETitle": "CS8100",
    "Modality": "PX",
    "RequestedProcedureCodeSequence": [{"CodeValue": "PAN", "CodeMeaning": "Panoramique de l\u2019œil"}],
    "MedicalAlerts": ["latex", "iode"],
}


def question(*, implicit: bool = False, **keys: Any) -> Asked:
    """A request with these keys; those of the step as a dictionary."""
    asked = Dataset()
    asked.file_meta = FileMetaDataset()
    asked.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.31")
    asked.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    asked.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    for keyword, value in keys.items():
        if isinstance(value, dict):
            item = Dataset()
            item.update({})
            for inner, each in value.items():
                setattr(item, inner, each)
            setattr(asked, keyword, [item])
        else:
            setattr(asked, keyword, value)
    written = BytesIO()
    asked.save_as(written, enforce_file_format=True)
    return read_question(written.getvalue())


def step(**keys: str) -> dict[str, Any]:
    return {"ScheduledProcedureStepSequence": keys}


def faults(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        read_order(document)
    return {problem.path: problem.code for problem in caught.value.problems}


def test_an_order_is_read() -> None:
    read = read_order(ORDER)
    assert (read.clinic, read.crm_id, read.start) == ("outremont", "C-1", datetime.fromisoformat("2026-11-23T09:30"))
    assert read.document["PatientBirthDate"] == "19840517"
    assert values_of(read.document)["RequestedProcedureCodeSequence.CodeValue"] == ("PAN",)
    assert values_of(read.document)["MedicalAlerts"] == ("latex", "iode")
    nested = {key: value for key, value in ORDER.items() if key != "Modality"}
    assert read_order({**nested, "ScheduledProcedureStepSequence": [{"Modality": "PX"}]}) == read


def test_everything_that_is_wrong_is_said() -> None:
    wrong = {
        **ORDER,
        "AccessionNumber": "A" * 17,
        "ScheduledProcedureStepStartDate": "2026-02-30",
        "Modality": "px",
        "PatientName": None,
        "StudyInstanceUID": "1.02",
        "RequestedProcedureCodeSequence": [{"Meaning": "x"}],
        "PatientNam": "x",
        "ScheduledProcedureStepSequence": [{}, {}],
    }
    assert faults(wrong) == {
        "AccessionNumber": "too-long",
        "ScheduledProcedureStepStartDate": "bad-value",
        "Modality": "bad-value",
        "PatientName": "missing",
        "StudyInstanceUID": "bad-value",
        "RequestedProcedureCodeSequence[0].Meaning": "unknown-key",
        "PatientNam": "unknown-key",
        "ScheduledProcedureStepSequence": "one-step",
    }


def test_a_start_is_that_of_the_clinics_clocks() -> None:
    def at(day: str, time: str) -> str:
        keys = {"ScheduledProcedureStepStartDate": day, "ScheduledProcedureStepStartTime": time}
        return f"{read_order({**ORDER, **keys}).at(ZoneInfo('America/Toronto')):%d %H:%M}"

    assert at("2026-10-31", "23:30") == "01 03:30"
    assert at("2026-11-01", "01:30") == "01 05:30", "there twice: the first time"
    assert at("2026-11-01", "02:30") == "01 07:30"
    with pytest.raises(DocumentError):
        at("2026-03-08", "02:30")


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"PatientName": "gagne^zoe"}, True),
        ({"PatientName": "GAGN?^Z*"}, True),
        ({"PatientName": "ガニェ*"}, True),
        ({"PatientName": "Gagné"}, False),
        ({"PatientID": "0123"}, True),
        ({"PatientID": "123"}, False),
        ({"PatientID": "*12*"}, True),
        ({"PatientBirthDate": "19840101-19841231"}, True),
        ({"PatientBirthDate": "-19840516"}, False),
        ({"AccessionNumber": ""}, True),
        ({"RequestedProcedureCodeSequence": {"CodeValue": "PAN"}}, True),
        ({"RequestedProcedureCodeSequence": {"CodeValue": "CEPH"}}, False),
        ({"MedicalAlerts": "iode"}, True),
        ({"PatientWeight": "70"}, False),
        (step(Modality="PX", ScheduledStationAETitle="CS8100"), True),
        (step(Modality="CT"), False),
        (step(ScheduledStationAETitle="CS9"), False),
        (step(ScheduledProcedureStepStartDate="20261123", ScheduledProcedureStepStartTime="0900-093000"), True),
        (step(ScheduledProcedureStepStartTime="0931-"), False),
        (step(ScheduledProcedureStepStatus="SCHEDULED"), True),
        (step(ScheduledProcedureStepStatus="STARTED"), False),
    ],
)
@pytest.mark.parametrize("implicit", [False, True])
def test_keys_match_as_the_standard_says(keys: dict[str, Any], *, found: bool, implicit: bool) -> None:
    asked = question(implicit=implicit, SpecificCharacterSet="ISO_IR 192", **keys)
    assert matches(asked, read_order(ORDER).document) is found


def test_what_was_asked_is_answered_and_nothing_else() -> None:
    asked = question(PatientName="", PatientWeight="", RequestedProcedureCodeSequence=[], **step(Modality=""))
    codecs, term = codecs_for(("ISO_IR 100",), "ISO_IR 192")
    row = dcmread(BytesIO(answer(asked, read_order(ORDER).document, "CS8100", codecs, term)))
    assert row.dir() == [
        *("PatientName", "PatientWeight", "RequestedProcedureCodeSequence", "ScheduledProcedureStepSequence"),
        "SpecificCharacterSet",
    ]
    assert str(row.PatientName).startswith("Gagné^Zoé=")
    assert row.RequestedProcedureCodeSequence[0].CodeMeaning == "Panoramique de l'oeil", "as far as Latin 1 goes"
    assert row.ScheduledProcedureStepSequence[0].Modality == "PX"


def test_an_order_without_a_station_is_for_whoever_asks() -> None:
    order = read_order({key: value for key, value in ORDER.items() if key != "ScheduledStationAETitle"})
    asked = question(**step(ScheduledStationAETitle="PAX"))
    assert matches(asked, order.document)
    row = dcmread(BytesIO(answer(asked, order.document, "PAX", ("ascii",), "")))
    assert row.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "PAX"


@given(text=st.text(max_size=40), keyword=st.sampled_from(["PatientName", "PatientID", "PatientComments", "Modality"]))
def test_no_text_breaks_an_order(text: str, keyword: str) -> None:
    try:
        order: Order = read_order({**ORDER, keyword: text})
    except DocumentError:
        return
    asked = question(PatientName="", PatientID="", PatientComments="", **step(Modality=""))
    file = answer(asked, order.document, "X", *codecs_for(("ISO_IR 192",), ""))
    row = dcmread(BytesIO(file))
    found = row.ScheduledProcedureStepSequence[0] if keyword == "Modality" else row
    assert str(found[keyword].value).rstrip(" \0") == order.text(keyword)


REQUEST: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "id": "sr-17",
    "status": "active",
    "priority": "urgent",
    "identifier": [{"type": {"coding": [{"code": "PLAC"}]}, "value": "P-9"}],
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "39714003", "display": "Panorex"}]},
    "orderDetail": [{"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "PX"}]}],
    "subject": {"reference": "Patient/C-1"},
    "occurrenceDateTime": "2026-11-23T14:30:00Z",
    "performer": [{"reference": "Device/CS8100"}],
    "locationReference": [{"reference": "Location/outremont"}],
}


def test_a_service_request_is_an_order() -> None:
    asked = read_request(REQUEST)
    document = asked.with_start(ZoneInfo("America/Toronto"))
    assert document == {
        "AccessionNumber": accession_for("ServiceRequest", "sr-17"),
        "PlacerOrderNumberImagingServiceRequest": "P-9",
        "CrmId": "C-1",
        "Modality": "PX",
        "RequestedProcedureDescription": "Panorex",
        "RequestedProcedureCodeSequence": [
            {"CodeValue": "39714003", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Panorex"}
        ],
        "RequestedProcedurePriority": "HIGH",
        "ScheduledStationAETitle": ["CS8100"],
        "ScheduledProcedureStepStartDate": "20261123",
        "ScheduledProcedureStepStartTime": "093000",
    }
    assert asked.places == ("outremont",)
    assert len(accession_for("ServiceRequest", "sr-17")) == 16
    with pytest.raises(DocumentError):
        read_request({**REQUEST, "status": "draft"})


def test_an_appointment_may_contain_its_request() -> None:
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "Roy", "given": ["Léo"]}], "gender": "male"}
    inner = {**REQUEST, "id": "r", "subject": {"reference": "#p"}}
    asked = read_appointment(
        {
            "resourceType": "Appointment",
            "id": "ap-1",
            "status": "booked",
            "contained": [inner, patient],
            "basedOn": [{"reference": "#r"}],
            "start": "2026-11-01T01:30:00-05:00",
            "participant": [{"actor": {"reference": "Device/PAX"}}],
        }
    )
    document = asked.with_start(ZoneInfo("America/Toronto"))
    assert asked.start == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert (document["ScheduledProcedureStepStartTime"], document["Modality"]) == ("013000", "PX")
    assert (document["ScheduledStationAETitle"], document["PatientName"]) == (["PAX"], "Roy^Léo")
