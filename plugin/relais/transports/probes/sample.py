"""The test object: an image of a patient who does not exist, with UIDs that nobody has used."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

PATIENT_NAME = "RELAIS^TEST"
PATIENT_ID = "RELAIS-TEST"
_SIDE = 8


def make_sample() -> Dataset:
    """A secondary capture of 8 by 8 grey pixels (PS3.3 section A.8.1)."""
    now = datetime.now(UTC)
    made = Dataset()
    made.SOPClassUID = SecondaryCaptureImageStorage
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(made, keyword, generate_uid(prefix=None))
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName = PATIENT_NAME
    made.PatientID = PATIENT_ID
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName"):
        setattr(made, keyword, "")
    made.StudyDate, made.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.StudyID = "TEST"
    made.StudyDescription = "Relais: test of the connection"
    made.Modality = "OT"
    made.ConversionType = "SYN"
    made.Manufacturer = "Relais"
    made.SeriesNumber = made.InstanceNumber = 1
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows = made.Columns = _SIDE
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.PixelRepresentation = 0
    made.PixelData = bytes(range(0, 256, 4))
    made["PixelData"].VR = "OB"
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def encode(sample: Dataset) -> bytes:
    """The object as a file (PS3.10)."""
    file = BytesIO()
    sample.save_as(file, enforce_file_format=True)
    return file.getvalue()
