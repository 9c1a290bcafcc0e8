"""Images that no standard allows: each is routed, or held with a reason, and the API tells of it in valid JSON."""

import struct
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.filewriter import dcmwrite
from pydicom.uid import generate_uid

from tests.servers.dicom import Study, make_study, send
from tests.servers.receiver import Receiver
from tests.servers.router import Router, destination, section
from tests.servers.scp import StorageScp

HTML = '<script>alert(1)</script><img src=x onerror="alert(2)">&amp;'
SQL = "'; DROP TABLE study; --"
TEXTS = {
    "html": HTML,
    "sql": SQL,
    "template": "{{ 7 * 7 }} {% raise %} ${7*7} %s %(x)s {0}",
    "as long as Orthanc keeps": "x" * 250,
    "emoji": "🦷👩‍⚕️ é",
    "right to left": "\u202egnp.exe\u202c",
    "control characters": "a\x01b\x08c\x1bd\x7f",
    "line breaks": "first\r\nsecond\nX-Header: injected",
    "backslashes": "A\\B\\\\C\\",
    "quotes": "\"'`",
    "only spaces": "   ",
    "carets": "^^^^=^^=",
}
TAGS = (
    *("PatientName", "PatientID", "StudyDescription", "AccessionNumber", "StudyID", "InstitutionName"),
    *("ReferringPhysicianName", "Manufacturer", "SeriesDescription"),
)
"""Every tag of an image that is text and that lists, rules, facts or words read."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def router(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """One router on each database for all hostile images: what one of them leaves behind, the next one meets."""
    folder = tmp_path_factory.mktemp("hostile")
    url = f"sqlite:///{folder / 'relais.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").database()
    with Receiver() as receiver, StorageScp("PACS") as pacs:
        rule = {"Name": "all but the held", "When": {"Field": "Modality", "Exists": True}, "DeliverTo": ["pacs"]}
        relais = section(
            {"pacs": destination("PACS", pacs.port)},
            subscribers={"crm": receiver.url},
            quiet=0.1,
            Rules=[rule],
            Otherwise={"Hold": "no modality"},
            Database=url,
        )
        with Router(folder / "router", relais=relais) as running:
            yield running


def settled(router: Router, study: Study) -> Any:
    """Send the study and read every answer about it."""
    send(study, router.dicom_port)
    return read(router, study)


def read(router: Router, study: Study) -> Any:
    """Wait until the study is delivered or held, and read every answer about it."""
    row = router.wait_for_study(study.uid, "Routed", "Held")
    if row["State"] == "Routed":
        router.wait_for_delivery(study.uid, "pacs", "Completed")
    else:
        assert row["HoldReason"]
    for path in ("", "/timeline", "/explanation"):
        router.ask(f"studies/{study.uid}{path}")  # raises where the answer is no JSON
    return row


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_hostile_text_in_every_tag_passes(router: Router, text: str) -> None:
    row = settled(router, make_study(raw={keyword: text.encode() for keyword in TAGS}))
    assert row["State"] == "Routed"
    assert router.ask("health")["Healthy"]


def test_very_long_text_passes(router: Router) -> None:
    tags = set(TAGS) - {"PatientID"}  # Orthanc refuses a long one itself
    row = settled(router, make_study(raw=dict.fromkeys(tags, (b"W" * 5000 + b" ") * 2)))
    assert row["State"] == "Routed"


@pytest.mark.parametrize(
    "raw",
    [b"nul\x00inside", b"\xff\xfe\xfd", "Gagné".encode("latin-1"), b"\x1b$B", b"\xed\xa0\x80", b"\xc3"],
    ids=["nul", "no text at all", "latin-1 said to be UTF-8", "half an escape", "half a surrogate", "half a letter"],
)
def test_bytes_of_another_character_set_pass(router: Router, raw: bytes) -> None:
    assert settled(router, make_study(raw=dict.fromkeys(TAGS, raw)))["State"] == "Routed"


@pytest.mark.parametrize("character_set", ["ISO_IR 6", "NO SUCH SET", "ISO 2022 IR 87\\ISO 2022 IR 58", ""])
def test_a_wrong_character_set_passes(router: Router, character_set: str) -> None:
    study = make_study()
    name = "Gagné^Ève".encode()
    post(router, study, {"SpecificCharacterSet": character_set.encode(), "PatientName": name})
    assert read(router, study)["State"] == "Routed"


@pytest.mark.parametrize(
    "missing",
    [
        ["StudyDate"],
        ["PatientID"],
        ["PatientName", "PatientID", "PatientBirthDate", "PatientSex"],
        ["StudyDate", "StudyTime", "StudyID", "AccessionNumber", "StudyDescription"],
        ["SeriesNumber", "InstanceNumber"],
    ],
    ids=["date", "patient id", "the whole patient", "everything of the study", "numbers"],
)
def test_missing_tags_pass(router: Router, missing: list[str]) -> None:
    row = settled(router, make_study(missing=missing, tags={"PatientID": generate_uid()}))
    assert row["State"] == "Routed"


def test_a_study_without_a_modality_is_held_with_the_reason(router: Router) -> None:
    row = settled(router, make_study(missing=["Modality"]))
    assert (row["State"], row["HoldReason"]) == ("Held", "no modality")


@pytest.mark.parametrize("modality", ["", "io", "A" * 3_000, "CT\\MR", HTML, "\x00"])
def test_a_modality_that_is_none_passes_or_is_held(router: Router, modality: str) -> None:
    settled(router, make_study(raw={"Modality": modality.encode()}))


@pytest.mark.parametrize(
    "tags", [{"StudyDate": "not a date"}, {"StudyDate": "99999999"}, {"PatientBirthDate": "x" * 99}]
)
def test_a_date_that_is_none_passes(router: Router, tags: dict[str, str]) -> None:
    settled(router, make_study(raw={keyword: value.encode() for keyword, value in tags.items()}))


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("uid", ["1.2.3 OR 1=1", "1." + "2" * 250, "é"])
def test_a_uid_that_is_none_does_not_stop_the_others(router: Router, keyword: str, uid: str) -> None:
    post(router, make_study(), {keyword: uid.encode()})
    assert settled(router, make_study())["State"] == "Routed"
    assert router.ask("health")["Healthy"]


def post(router: Router, study: Study, raw: Mapping[str, bytes]) -> None:
    """Give the study's only instance to Orthanc with these values on the wire, which no DICOM library would send."""
    [instance] = study.instances
    buffer = BytesIO()
    dcmwrite(buffer, instance, enforce_file_format=True)
    content = buffer.getvalue()
    for keyword, value in raw.items():
        before = element(keyword, str(instance[keyword].value).encode(written(instance)))
        assert content.count(before) == 1
        content = content.replace(before, element(keyword, value))
    router.rest.post("/instances", content)


def element(keyword: str, value: bytes) -> bytes:
    """A data element in Explicit VR Little Endian, with a two-byte length (PS3.5 section 7.1.2)."""
    tag, vr = tag_for_keyword(keyword) or 0, dictionary_VR(keyword)
    padded = value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(padded)) + padded


def written(instance: Dataset) -> str:
    """Python's name of the character set in which `make_study` writes."""
    assert instance.SpecificCharacterSet == "ISO_IR 192"
    return "utf-8"
