"""What a destination receives when something is changed on the way: real Orthancs, and dcmtk's opinion."""

import subprocess
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from relais.configuration import load
from relais.domain.elements import MalformedError
from relais.domain.retry import ErrorClass
from relais.exchange import CHUNK
from relais.orthanc import Orthanc
from relais.transports import SendingError
from relais.transports.opened import OpenedFile
from relais.transports.port import Item
from relais.transports.transformed import IN_MEMORY, Transformed
from tests.domain.files import file_of
from tests.servers.dicom import Image, make_study
from tests.servers.orthanc import OrthancServer

KEY = {"Key": "a key of sixteen characters"}
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("other"), aet="OTHER") as server:
        yield server


@pytest.fixture
def orthanc(server: OrthancServer) -> Iterator[Orthanc]:
    client = Orthanc(server.url)
    yield client
    client.close()


def transformed(orthanc: Orthanc, **options: Any) -> Transformed:
    section = {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 104, **options}
    return Transformed(orthanc, load({"Destinations": {"vna": section}}, directory=Path()).destinations["vna"])


def stored(orthanc: Orthanc, instance: Dataset | bytes) -> Item:
    file = instance if isinstance(instance, bytes) else file_of(instance)
    read = pydicom.dcmread(BytesIO(file), stop_before_pixels=True)
    return Item(
        orthanc_id=orthanc.post_bytes("/instances", file)["ID"],
        study_instance_uid=read.StudyInstanceUID,
        series_instance_uid=read.SeriesInstanceUID,
        sop_instance_uid=read.SOPInstanceUID,
        bytes=len(file),
    )


def rich(**options: Any) -> Dataset:
    """An image of a patient who is named wherever a name can stand."""
    study = make_study(**{"modality": "CT", "size": 1 << 16, "image": None, **options}).instances[0]
    past, old, item, request = Dataset(), Dataset(), Dataset(), Dataset()
    old.PatientName, old.PatientID = "Tremblay^Ancienne", "OLD-7654"
    past.ModifiedAttributesSequence, past.SourceOfPreviousValues = Sequence([old]), "Clinique"
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = study.SOPClassUID, study.SOPInstanceUID
    request.AccessionNumber, request.RequestedProcedureDescription = "A0001", "pour Mme Tremblay"
    study.OriginalAttributesSequence = Sequence([past])
    study.ReferencedImageSequence = Sequence([item])
    study.RequestAttributesSequence = Sequence([request])
    study.PatientID, study.OtherPatientIDs = "TREM84051718", ["B-998877", "C-112233"]
    study.PatientAddress, study.PatientTelephoneNumbers = "12 rue Bloomfield, Outremont", "514-555-1234"
    study.FrameOfReferenceUID, study.ImageType = "1.2.3.4.5", ["ORIGINAL", "PRIMARY", "AXIAL"]
    study.ImageComments, study.Manufacturer = "Émilie Tremblay, née 1984-05-17", "Sender"
    block = study.private_block(0x0011, "VENDOR", create=True)
    block.add_new(1, "LO", "Tremblay")
    block.add_new(2, "SQ", Sequence([old]))
    study.DataSetTrailingPadding = b"Tremblay"
    study.preamble = b"Tremblay".ljust(128, b"\0")
    return study


def receive(content: Transformed, item: Item) -> bytes:
    return b"".join(content.read(item))


def refusal(content: Transformed, item: Item) -> SendingError:
    with pytest.raises(SendingError) as refused:
        receive(content, item)
    assert refused.value.error_class is ErrorClass.Permanent
    return refused.value


def pixels(file: bytes) -> bytes:
    return bytes(pydicom.dcmread(BytesIO(file)).PixelData)


def is_taken(other: OrthancServer, file: bytes, folder: Path) -> dict[str, Any]:
    """Whether dcmtk and another Orthanc read the file; answers the tags that Orthanc found."""
    path = folder / "made.dcm"
    path.write_bytes(file)
    assert subprocess.run(["dcmftest", path], check=True, capture_output=True, text=True).stdout.startswith("yes")
    dumped = subprocess.run(["dcmdump", "--quiet", path], check=True, capture_output=True)
    assert dumped.stderr == b""
    identity = other.rest.post("/instances", file)["ID"]
    tags: dict[str, Any] = other.rest.get(f"/instances/{identity}/simplified-tags")
    return tags


NAMED = (
    "tremblay",
    "milie",
    "gagnon",
    "trem84051718",
    "a0001",
    "998877",
    "112233",
    "old-7654",
    "bloomfield",
    "19840517",
)


def names_in(file: bytes, original: Dataset) -> list[str]:
    """Our own plain look at every byte."""
    uids = [original.StudyInstanceUID, original.SeriesInstanceUID, original.SOPInstanceUID, "1.2.3.4.5"]
    text = file.decode("latin-1").lower()
    return [word for word in [*NAMED, *uids] if word in text or word.encode("utf-16-le").decode("latin-1") in text]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_coerced_the_rest_stays_to_the_byte(
    orthanc: Orthanc, other: OrthancServer, tmp_path: Path, syntax: UID
) -> None:
    original = file_of(rich(transfer_syntax=syntax))
    item = stored(orthanc, original)
    content = transformed(orthanc, Coerce={"Set": {"InstitutionName": "Clinique d'à côté"}, "AccessionPrefix": "OUT-"})
    made = receive(content, item)
    before, after = OpenedFile.read([original]), OpenedFile.read([made])
    assert (before.preamble, before.meta) == (after.preamble, after.meta)
    assert {each.keyword for each in set(after.elements) - set(before.elements)} == {
        *("InstitutionName", "AccessionNumber", "RequestAttributesSequence")
    }
    assert b"".join([*before.pixels(), *before.tail()]) == b"".join([*after.pixels(), *after.tail()])
    assert is_taken(other, made, tmp_path)["AccessionNumber"] == "OUT-A0001"
    assert content.named(item) == item
    assert orthanc.read(f"/instances/{item.orthanc_id}/file") == original


@pytest.mark.parametrize("options", [{"Coerce": {}}, {"Coerce": {"AccessionPrefix": "A"}}, {"Transcode": "stored"}])
def test_where_nothing_changes_the_file_is_the_stored_one(orthanc: Orthanc, options: dict[str, Any]) -> None:
    original = file_of(rich())
    item = stored(orthanc, original)
    told = {"Transcode": str(ExplicitVRLittleEndian)} if "Transcode" in options else options
    assert receive(transformed(orthanc, **told), item) == original


def test_a_deflated_file_is_changed_and_deflated_again(orthanc: Orthanc, other: OrthancServer, tmp_path: Path) -> None:
    study = rich()
    study.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    item = stored(orthanc, study)
    told: tuple[dict[str, Any], ...] = ({"Coerce": {"Set": {"StudyID": "42"}}}, {"Deidentify": KEY})
    for options in told:
        made = receive(transformed(orthanc, **options), item)
        read = pydicom.dcmread(BytesIO(made))
        assert read.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
        assert read.PixelData == study.PixelData
        assert len(made) < 1 << 14
        assert is_taken(other, made, tmp_path)["Modality"] == "CT"


def test_the_preamble_is_zeroed(orthanc: Orthanc) -> None:
    original = file_of(rich())
    made = receive(transformed(orthanc, ZeroPreamble=True), stored(orthanc, original))
    assert original[:8] == b"Tremblay"
    assert made == bytes(128) + original[128:]


def test_what_stands_after_the_pixels_can_be_removed(orthanc: Orthanc) -> None:
    item = stored(orthanc, rich())
    made = receive(transformed(orthanc, Coerce={"Remove": ["DataSetTrailingPadding"]}), item)
    assert "DataSetTrailingPadding" not in pydicom.dcmread(BytesIO(made))
    assert "DataSetTrailingPadding" in pydicom.dcmread(BytesIO(receive(transformed(orthanc, Coerce={}), item)))


def test_an_accession_number_that_would_be_too_long_is_refused(orthanc: Orthanc) -> None:
    item = stored(orthanc, make_study(tags={"AccessionNumber": "1234567890123456"}).instances[0])
    refused = refusal(transformed(orthanc, Coerce={"AccessionPrefix": "OUT-"}), item)
    assert refused.code == "accession-too-long"
    assert "1234567890123456" not in str(refused)


@pytest.mark.parametrize("options", [{"Coerce": {}}, {"Transcode": str(JPEGLSLossless)}, {"Deidentify": KEY}])
def test_an_instance_that_is_gone_is_refused(orthanc: Orthanc, server: OrthancServer, options: dict[str, Any]) -> None:
    item = stored(orthanc, rich())
    server.rest.delete(f"/instances/{item.orthanc_id}")
    assert refusal(transformed(orthanc, **options), item).code == "not-in-orthanc"


def test_lossless_transcoding_keeps_the_image(orthanc: Orthanc, other: OrthancServer, tmp_path: Path) -> None:
    item = stored(orthanc, rich(raw={"StudyComments": b"Gagn\xe9"}))
    content = transformed(orthanc, Transcode=str(JPEGLSLossless))
    made = receive(content, item)
    read = pydicom.dcmread(BytesIO(made))
    assert read.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert content.named(item) == item
    assert (read.SOPInstanceUID, read.get("LossyImageCompression")) == (item.sop_instance_uid, None)
    assert b"Gagn\xe9" in made
    assert is_taken(other, made, tmp_path)["SOPInstanceUID"] == item.sop_instance_uid


def test_a_lossy_image_is_another_and_always_the_same(orthanc: Orthanc, other: OrthancServer, tmp_path: Path) -> None:
    item = stored(orthanc, rich())
    content = transformed(orthanc, Transcode=str(JPEGBaseline8Bit))
    made = receive(content, item)
    read = pydicom.dcmread(BytesIO(made))
    named = content.named(item)
    assert named == content.named(item) != item
    assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID == named.sop_instance_uid
    assert (named.study_instance_uid, named.series_instance_uid) == (item.study_instance_uid, item.series_instance_uid)
    assert read.ImageType[0] == "DERIVED"
    assert (read.LossyImageCompression, read.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert read.SourceImageSequence[0].ReferencedSOPInstanceUID == item.sop_instance_uid
    assert is_taken(other, made, tmp_path)["ImageType"].startswith("DERIVED")
    already = stored(orthanc, made)
    assert content.named(already) == already
    assert receive(content, already) == made


def test_what_orthanc_cannot_transcode_is_refused(orthanc: Orthanc) -> None:
    item = stored(orthanc, rich())
    assert refusal(transformed(orthanc, Transcode=str(JPEG2000Lossless)), item).code == "cannot-transcode"


def test_what_has_no_pixels_is_not_compressed(orthanc: Orthanc) -> None:
    report = make_study(tags={"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}).instances[0]
    del report.PixelData
    original = file_of(report)
    item = stored(orthanc, original)
    content = transformed(orthanc, Transcode=str(JPEGBaseline8Bit))
    assert receive(content, item) == original
    assert content.named(item) == item


@pytest.mark.parametrize("profile", ["Keyed", "Orthanc"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_deidentified_no_byte_names_the_patient(
    orthanc: Orthanc, other: OrthancServer, tmp_path: Path, syntax: UID, profile: str
) -> None:
    study = rich(transfer_syntax=syntax)
    item = stored(orthanc, study)
    content = transformed(orthanc, Deidentify={**KEY, "Profile": profile})
    made = receive(content, item)
    assert names_in(file_of(study), study)
    assert names_in(made, study) == []
    assert pixels(made) == pixels(file_of(study))
    named, tags = content.named(item), is_taken(other, made, tmp_path)
    assert (tags["StudyInstanceUID"], tags["SeriesInstanceUID"], tags["SOPInstanceUID"]) == (
        *(named.study_instance_uid, named.series_instance_uid, named.sop_instance_uid),
    )
    assert tags["PatientName"] == tags["PatientID"] != study.PatientID
    assert tags["PatientIdentityRemoved"] == "YES"
    assert tags["ReferencedImageSequence"][0]["ReferencedSOPInstanceUID"] == named.sop_instance_uid


def test_what_is_sent_again_is_the_same(orthanc: Orthanc) -> None:
    item = stored(orthanc, rich())
    for options in (KEY, {**KEY, "Profile": "Orthanc"}):
        first, second = (receive(transformed(orthanc, Deidentify=options), item) for _ in range(2))
        assert first == second
    other_key = receive(transformed(orthanc, Deidentify={"Key": "another key, as long"}), item)
    assert pydicom.dcmread(BytesIO(other_key)).PatientID != pydicom.dcmread(BytesIO(first)).PatientID


def test_deidentified_and_transcoded(orthanc: Orthanc, other: OrthancServer, tmp_path: Path) -> None:
    study = rich()
    item = stored(orthanc, study)
    content = transformed(orthanc, Deidentify=KEY, Transcode=str(JPEGBaseline8Bit), Coerce={"Set": {"StudyID": "7"}})
    made = receive(content, item)
    assert names_in(made, study) == []
    tags = is_taken(other, made, tmp_path)
    assert (tags["SOPInstanceUID"], tags["StudyID"]) == (content.named(item).sop_instance_uid, "7")
    assert (tags["LossyImageCompression"], "SourceImageSequence" in tags) == ("01", False)


def test_orthancs_anonymization_does_not_transcode(orthanc: Orthanc) -> None:
    content = transformed(orthanc, Deidentify={**KEY, "Profile": "Orthanc"}, Transcode=str(JPEGLSLossless))
    assert refusal(content, stored(orthanc, rich())).code == "cannot-transcode"


@pytest.mark.parametrize(
    ("tags", "keyword"),
    [
        ({"Manufacturer": "for TREMBLAY only"}, "PatientName"),
        ({"ManufacturerModelName": "Model of Luc"}, "ReferringPhysicianName"),
        ({"SoftwareVersions": ["1", "TREM 8405 1718"]}, "PatientID"),
        ({"BodyPartExamined": "A0001"}, "AccessionNumber"),
        ({"ContrastBolusRoute": "19840517"}, "PatientBirthDate"),
    ],
)
def test_an_identifier_that_is_left_is_refused_and_not_told(
    orthanc: Orthanc, tags: dict[str, Any], keyword: str
) -> None:
    study = rich()
    for name, value in tags.items():
        setattr(study, name, value)
    refused = refusal(transformed(orthanc, Deidentify=KEY), stored(orthanc, study))
    assert refused.code == "identifier-left"
    assert refused.text.endswith(keyword)
    assert not [word for word in (*NAMED, "luc") if word in str(refused).lower()]


@pytest.mark.parametrize("at", [0, 100_000, (5 << 20) - 40])
def test_a_name_in_the_pixels_is_refused_before_anything_is_sent(orthanc: Orthanc, at: int) -> None:
    grey = bytearray(5 << 20)
    grey[at : at + 16] = "Tremblay".encode("utf-16-le")
    study = rich(image=Image(rows=(5 << 20) // 128, columns=128, pixels=bytes(grey)))
    chunks = transformed(orthanc, Deidentify=KEY).read(stored(orthanc, study))
    with pytest.raises(SendingError) as refused:
        next(chunks)
    assert refused.value.code == "identifier-left"


def test_a_name_across_two_pieces_of_the_pixels_is_found(orthanc: Orthanc) -> None:
    name, size = "Tremblay".encode("utf-16-le"), 3 * CHUNK
    study = rich(image=Image(rows=size // 128, columns=128, pixels=b"@" * size))
    begin = file_of(study).index(b"@" * 64)
    study.PixelData = (b"@" * (2 * CHUNK - begin - 8) + name).ljust(size, b"@")
    assert refusal(transformed(orthanc, Deidentify=KEY), stored(orthanc, study)).code == "identifier-left"


def test_burned_in_names_are_refused_unless_allowed(orthanc: Orthanc) -> None:
    study = rich(modality="OT", tags={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"})
    item = stored(orthanc, study)
    assert refusal(transformed(orthanc, Deidentify=KEY), item).code == "secondary-capture"
    assert receive(transformed(orthanc, Deidentify={**KEY, "Allow": ["SecondaryCapture"]}), item)


def test_a_preview_shows_before_and_after(orthanc: Orthanc) -> None:
    content = transformed(orthanc, Coerce={"AccessionPrefix": "OUT-"}, Transcode=str(ImplicitVRLittleEndian))
    shown = {each.path: (each.before, each.after) for each in content.changes(stored(orthanc, rich()))}
    assert shown["AccessionNumber"] == ("A0001", "OUT-A0001")
    assert shown["TransferSyntaxUID"] == (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
    assert "PatientName" not in shown


@pytest.mark.parametrize("options", [{"Coerce": {"AccessionPrefix": "OUT-"}}, {"Deidentify": KEY}])
def test_a_large_file_is_never_whole_in_memory(orthanc: Orthanc, options: dict[str, Any]) -> None:
    size = 48 << 20
    item = stored(orthanc, rich(image=Image(rows=size // 4096, columns=4096, pixels=bytes(size))))
    content = transformed(orthanc, **options)
    tracemalloc.start()
    try:
        assert sum(len(chunk) for chunk in content.read(item)) > size
        assert tracemalloc.get_traced_memory()[1] < 2 * IN_MEMORY
    finally:
        tracemalloc.stop()


def test_a_file_that_ends_too_early_is_refused() -> None:
    whole = file_of(rich())
    for end in (100, 140, 400, len(whole) - 40):
        with pytest.raises(MalformedError):
            b"".join(OpenedFile.read([whole[:end]]).pixels())
