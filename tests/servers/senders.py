"""Eight X-ray senders, in the style of what is in the field: their headers, their gaps, and their quirks.

No claim about any product. Shapes are those of the field, pixels are small: what breaks routers is in the headers.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ImplicitVRLittleEndian, JPEGLosslessSV1, generate_uid

from tests.servers.dicom import Image, Study, make_study

STORAGE = "1.2.840.10008.5.1.4.1.1."
_PIXELS = Image(rows=8, columns=8, pixels=bytes(range(64)))

PATIENTS: tuple[Mapping[str, str], ...] = (
    {"PatientName": "Tremblay^Émilie", "PatientID": "12345", "PatientBirthDate": "19840517", "PatientSex": "F"},
    {"PatientName": "Gagné^Éloïse", "PatientID": "123", "PatientBirthDate": "19910203", "PatientSex": "F"},
    {"PatientName": "O'Neil^Seán", "PatientID": "00042", "PatientBirthDate": "19720229", "PatientSex": "M"},
    {"PatientName": "DE LA CRUZ^MARIA", "PatientID": "DELA01", "PatientBirthDate": "19650811", "PatientSex": "F"},
    {"PatientName": "Côté^Jean", "PatientID": "7/2026 b", "PatientBirthDate": "19840517", "PatientSex": "M"},
    {"PatientName": "Côté^Jean", "PatientID": "7/2026 c", "PatientBirthDate": "19840517", "PatientSex": "M"},
    {"PatientName": "Roy^", "PatientID": "NB-2026-07", "PatientBirthDate": "20260701", "PatientSex": ""},
    {"PatientName": "Roy^Léa", "PatientID": "551", "PatientBirthDate": "20120606", "PatientSex": "F"},
    {"PatientName": "Roy^Léo", "PatientID": "552", "PatientBirthDate": "20120606", "PatientSex": "M"},
    {"PatientName": "Nguyễn^Thị Hà", "PatientID": "N 17", "PatientBirthDate": "19990909", "PatientSex": "F"},
    {"PatientName": "Lévesque-Öztürk^Ana", "PatientID": "123", "PatientBirthDate": "19550130", "PatientSex": "F"},
    {"PatientName": "Smith^John", "PatientID": "000777", "PatientBirthDate": "19840517", "PatientSex": "M"},
)
"""Twelve people: accents, homonyms of one birth date, a newborn without a name, twins, strange ids, one id twice."""


def studies(sender: str, patient: int = 0) -> list[Study]:
    """What one visit leaves behind, from the sender of this name (P1 to P8); two calls never share a UID."""
    return SENDERS[sender](PATIENTS[patient])


def _panoramic(patient: Mapping[str, str]) -> list[Study]:
    """P1: a name of one word, no PatientID, and a birth date that means that there is none."""
    tags = {
        "PatientName": patient["PatientName"].replace("^", " "),
        "PatientBirthDate": "18991230",
        "OtherPatientIDs": "9f2d8b52-6d0e-4c6f-9a77-0a4b0d1ce2aa",
        "PatientID": "",
        "AccessionNumber": "",
        "StudyID": "0",
        "StudyTime": "101531",
        "SeriesTime": "101530",
        "Manufacturer": "Imaging Software",
        **_deep(16, 12),
    }
    return [make_study(modality="PX", image=_PIXELS, tags=tags)]


def _scheduled(patient: Mapping[str, str]) -> list[Study]:
    """P2: a panoramic and a cephalometric image of one order, day and month of birth swapped."""
    birth = patient["PatientBirthDate"]
    swapped = f"{birth[:4]}{birth[6:]}{birth[4:6]}"
    request = Dataset()
    request.ScheduledProcedureStepID, request.RequestedProcedureID = "S1", "R1"
    tags = {**patient, "PatientBirthDate": swapped, "RequestAttributesSequence": [request]}
    tags |= {"SpecificCharacterSet": "ISO_IR 192", "AccessionNumber": "ORD2026-0001"}
    parts = [
        make_study(modality=each, image=_PIXELS, tags=tags, transfer_syntax=JPEGLosslessSV1) for each in ("PX", "DX")
    ]
    return [_compressed(_joined(parts))]


def _intra_oral(patient: Mapping[str, str]) -> list[Study]:
    """P3: every image a study of its own, within four minutes."""
    return [
        make_study(
            modality="IO",
            image=_PIXELS,
            tags={
                **patient,
                "PatientSex": "M",
                "StudyTime": f"10{15 + number // 5:02d}{number % 5 * 12:02d}",
                "ImageLaterality": "LR"[number % 2],
                "AcquisitionNumber": number,
            },
            missing=["AccessionNumber", "StudyID"],
        )
        for number in range(18)
    ]


def _undeclared(patient: Mapping[str, str]) -> list[Study]:
    """P4: cp1252 bytes that no character set declares, a name with a comma, and an id that is somebody else's too."""
    family, _, given = patient["PatientName"].partition("^")
    common = {"PatientID": "123", "PatientBirthDate": patient["PatientBirthDate"]}
    parts = [
        make_study(
            modality=modality,
            instances=instances,
            image=_PIXELS,
            tags=common,
            raw={"PatientName": f"{family}, {given}".encode("cp1252", "replace")},
            missing=["SpecificCharacterSet", "ReferringPhysicianName"],
            transfer_syntax=ImplicitVRLittleEndian,
        )
        for modality, instances in (("DX", 1), ("IO", 3))
    ]
    return [_joined(parts)]


def _cone_beam(patient: Mapping[str, str]) -> list[Study]:
    """P5: many slices in one place and a scout; the id cut at fifteen characters, and an IS that is none."""
    name = patient["PatientName"].replace(" ", "").upper()
    short = patient["PatientID"].replace(" ", "")[:15]
    tags = {"PatientName": name, "PatientID": short, "ImagePositionPatient": [0, 0, 0]}
    missing = ["AccessionNumber", "PatientBirthDate", "PatientSex"]
    slices = make_study(modality="CT", instances=40, image=_PIXELS, tags=tags, raw=_EXPOSURE, missing=missing)
    scout = make_study(modality="CT", image=_PIXELS, tags={**tags, "SeriesNumber": 99}, missing=missing)
    return [_joined([slices, scout])]


def _packed(patient: Mapping[str, str]) -> list[Study]:
    """P6: all frames in one image, UTF-8 declared as Latin-1, private data without a creator."""
    raw = {
        "PatientName": patient["PatientName"].encode(),
        "PatientAddress": "12, rue Éloi, Montréal".encode(),
    }
    tags = {"PatientID": patient["PatientID"], "NumberOfFrames": 16}
    study = make_study(
        modality="CT",
        image=_PIXELS,
        tags=tags,
        raw=raw,
        character_set="ISO_IR 100",
        transfer_syntax=JPEGLosslessSV1,
    )
    study.instances[0].add_new(0x00091001, "UN", b"left by nobody")
    return [_compressed(study, 16)]


def _gateway(patient: Mapping[str, str]) -> list[Study]:
    """P7: a secondary capture, a photograph, a report and a surface; the id has the shape of a social number."""
    tags = {**patient, "PatientID": "046 454 286", "BurnedInAnnotation": "YES"}
    classes = {"SC": "7", "XC": "77.1.4", "DOC": "104.1", "M3D": "104.3"}
    parts = [
        make_study(tags={**tags, "Modality": modality, "SOPClassUID": UID(STORAGE + suffix), **_document(suffix)})
        for modality, suffix in classes.items()
    ]
    return [_joined(parts)]


def _general(patient: Mapping[str, str]) -> list[Study]:
    """P8: an empty character set, a dashed birth date, an accession number in base64, and often no StudyDate."""
    accession = count()
    return [
        make_study(
            modality=modality,
            image=_PIXELS,
            tags={
                "PatientID": patient["PatientID"],
                "SpecificCharacterSet": "",
                "AccessionNumber": f"Zm9v_YmFy{next(accession):02d}",
                "PhotometricInterpretation": "MONOCHROME1",
            },
            raw={
                "PatientName": patient["PatientName"].encode("ascii", "replace"),
                "PatientBirthDate": _dashed(patient["PatientBirthDate"]),
                "SeriesNumber": b" 3 ",
            },
            missing=["StudyDate", "ReferringPhysicianName"],
            transfer_syntax=ImplicitVRLittleEndian,
        )
        for modality in ("CR", "DX")
    ]


SENDERS: Mapping[str, Callable[[Mapping[str, str]], list[Study]]] = {
    "P1": _panoramic,
    "P2": _scheduled,
    "P3": _intra_oral,
    "P4": _undeclared,
    "P5": _cone_beam,
    "P6": _packed,
    "P7": _gateway,
    "P8": _general,
}

_EXPOSURE = {"ExposureTime": b"161.3"}


def _dashed(date: str) -> bytes:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}".encode()


def _deep(allocated: int, stored: int) -> dict[str, Any]:
    return {"BitsAllocated": allocated, "BitsStored": stored, "HighBit": stored - 1}


def _compressed(study: Study, frames: int = 1) -> Study:
    """The study with frames that say that they are JPEG; nobody here decodes them."""
    for instance in study.instances:
        instance.PixelData = encapsulate([b"\xff\xd8\xff\xd9"] * frames)
        instance["PixelData"].VR = "OB"
        instance["PixelData"].is_undefined_length = True
    return study


def _document(suffix: str) -> dict[str, Any]:
    content = b"%PDF-1.4 invented " if suffix == "104.1" else b"solid invented\nend"
    return {"EncapsulatedDocument": content} if suffix.startswith("104") else {}


def _joined(parts: list[Study]) -> Study:
    """The parts as the series of one study."""
    uid = generate_uid()
    for number, instance in enumerate(_instances(parts)):
        instance.StudyInstanceUID = uid
        instance.InstanceNumber = number + 1
    return Study(tuple(_instances(parts)))


def _instances(parts: list[Study]) -> Iterator[Dataset]:
    for part in parts:
        yield from part.instances
