"""Studies made to measure, and ways to send them by C-STORE."""

import os
import socket
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt

from tests.servers.ports import is_listening
from tests.servers.waiting import eventually

# Storage SOP classes of PS3.4, B.5, by the modality that makes them.
SOP_CLASSES = {
    "IO": UID("1.2.840.10008.5.1.4.1.1.1.3"),
    "PX": UID("1.2.840.10008.5.1.4.1.1.1.1"),
    "DX": UID("1.2.840.10008.5.1.4.1.1.1.1"),
    "CR": UID("1.2.840.10008.5.1.4.1.1.1"),
    "CT": UID("1.2.840.10008.5.1.4.1.1.2"),
    "MR": UID("1.2.840.10008.5.1.4.1.1.4"),
}
_SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
_COLUMNS = 128
_END_SECONDS = 5.0


class SendError(Exception):
    """A server did not take what was sent to it."""


@dataclass(frozen=True)
class Study:
    """The instances of one study."""

    instances: tuple[Dataset, ...]

    @property
    def uid(self) -> str:
        """Its StudyInstanceUID."""
        return str(self.instances[0].StudyInstanceUID)

    @cached_property
    def sop_instance_uids(self) -> list[str]:
        """The SOPInstanceUID of each instance, sorted."""
        return sorted(str(instance.SOPInstanceUID) for instance in self.instances)


@dataclass(frozen=True, kw_only=True)
class Image:
    """Grey pixels, 8 bits each, row by row."""

    rows: int
    columns: int
    pixels: bytes

    @classmethod
    def of_size(cls, size: int) -> "Image":
        """An image of about `size` bytes that does not compress to nothing."""
        rows = max(1, size // _COLUMNS)
        return cls(rows=rows, columns=_COLUMNS, pixels=bytes(range(256)) * (rows * _COLUMNS // 256 + 1))


def make_study(
    *,
    modality: str = "IO",
    series: int = 1,
    instances: int = 1,
    size: int = 4096,
    image: Image | None = None,
    tags: Mapping[str, Any] | None = None,
    raw: Mapping[str, bytes] | None = None,
    missing: Collection[str] = (),
    character_set: str = "ISO_IR 192",
    transfer_syntax: UID = ExplicitVRLittleEndian,
) -> Study:
    """Make a study of `series` times `instances`, each of `size` bytes of pixels or showing `image`.

    `tags` overrides values by DICOM keyword, `raw` puts bytes on the wire as they are, whatever the character
    set says, and `missing` leaves keywords out. Two studies never share a UID.
    """
    study_instance_uid = generate_uid()
    made = [
        _make_instance(
            {
                "SpecificCharacterSet": character_set,
                "StudyInstanceUID": study_instance_uid,
                "SeriesInstanceUID": series_instance_uid,
                "SeriesNumber": series_number,
                "InstanceNumber": instance_number,
                "Modality": modality,
                "SOPClassUID": SOP_CLASSES.get(modality, _SECONDARY_CAPTURE),
                **(tags or {}),
            },
            image or Image.of_size(size),
            raw or {},
            missing,
            transfer_syntax,
        )
        for series_number in range(1, series + 1)
        for series_instance_uid in [generate_uid()]
        for instance_number in range(1, instances + 1)
    ]
    return Study(tuple(made))


def send(
    study: Study | Iterable[Dataset],
    port: int,
    *,
    calling_aet: str = "MODALITY",
    called_aet: str = "ORTHANC",
    acknowledged: Callable[[Dataset], None] = lambda _instance: None,
) -> None:
    """Send everything in one association, and return once each instance is acknowledged.

    `acknowledged` hears of each one. Raises `SendError` if the association or any instance is refused.
    """
    instances = list(study.instances if isinstance(study, Study) else study)
    entity = AE(ae_title=calling_aet)
    for context in {(each.SOPClassUID, each.file_meta.TransferSyntaxUID) for each in instances}:
        entity.add_requested_context(*context)
    if not is_listening(port):  # pynetdicom would leave its socket open
        raise SendError(f"nobody listens on port {port}")
    connections: list[socket.socket] = []
    association = entity.associate(
        "127.0.0.1", port, ae_title=called_aet, evt_handlers=[(evt.EVT_CONN_OPEN, _without_nagle, [connections])]
    )
    try:
        if not association.is_established:
            raise SendError(f"no association with {called_aet} on port {port}")
        for instance in instances:
            status = association.send_c_store(instance)
            if "Status" not in status or status.Status != 0:
                raise SendError(f"C-STORE of {instance.SOPInstanceUID} to {called_aet}: {status or 'no answer'}")
            acknowledged(instance)
            # pynetdicom 3.0.4 takes a reactor that still wakes for one that rests, and loses the next answer to it.
            eventually(
                lambda: not association._is_paused or not association.is_established,
                what="the reactor runs",
                pause=0.0005,
            )
    finally:
        association.release()
        association.join(_END_SECONDS)
        for connection in connections:  # pynetdicom forgets to, where the peer was killed
            connection.close()


def save(study: Study | Iterable[Dataset], folder: Path) -> Path:
    """Write each instance as a file of `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for instance in study.instances if isinstance(study, Study) else study:
        instance.save_as(folder / f"{instance.SOPInstanceUID}.dcm", enforce_file_format=True)
    return folder


def send_files(
    folder: Path,
    port: int,
    *,
    calling_aet: str = "MODALITY",
    called_aet: str = "ORTHANC",
    timeout: float = 600,
) -> None:
    """Send all files below `folder` in one association with dcmtk's `storescu`: the fast way, for benchmarks.

    Raises `SendError` with what `storescu` said.
    """
    command = ["storescu", "--required", "--scan-directories", "--recurse"]
    titles = ["--aetitle", calling_aet, "--call", called_aet]
    done = subprocess.run(
        [*command, *titles, "127.0.0.1", str(port), str(folder)],
        env=os.environ | {"TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        raise SendError(f"storescu to {called_aet} on port {port} failed: {done.stderr}")


def _make_instance(
    tags: Mapping[str, Any],
    image: Image,
    raw: Mapping[str, bytes],
    missing: Collection[str],
    transfer_syntax: UID,
) -> Dataset:
    instance = Dataset()
    values = {**_DEFAULTS, "SOPInstanceUID": generate_uid(), **tags}
    for keyword, value in values.items():
        if keyword not in missing:
            setattr(instance, keyword, value)
    instance.Rows, instance.Columns = image.rows, image.columns
    instance.PixelData = image.pixels[: image.rows * image.columns].ljust(image.rows * image.columns, b"\0")
    instance["PixelData"].VR = "OB" if not transfer_syntax.is_implicit_VR else "OW"
    if raw:  # pydicom decodes what was not encoded so, and would stumble over these bytes
        written = convert_encodings(instance.get("SpecificCharacterSet"))
        instance.set_original_encoding(transfer_syntax.is_implicit_VR, True, written)
    for keyword, content in raw.items():
        tag = Tag(tag_for_keyword(keyword) or keyword)
        padded = content + b" " * (len(content) % 2)
        instance[tag] = RawDataElement(
            tag, dictionary_VR(tag), len(padded), padded, 0, transfer_syntax.is_implicit_VR, True
        )
    instance.file_meta = FileMetaDataset()
    instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    instance.file_meta.TransferSyntaxUID = transfer_syntax
    return instance


def _without_nagle(event: evt.Event, opened: list[socket.socket]) -> None:
    """Send small messages at once: with Nagle's algorithm an association moves some 11 instances a second."""
    connection: socket.socket = event.assoc.dul.socket.socket  # type: ignore[union-attr,assignment]
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.append(connection)


_DEFAULTS: Mapping[str, Any] = {
    "PatientName": "Tremblay^Émilie",
    "PatientID": "12345",
    "PatientBirthDate": "19840517",
    "PatientSex": "F",
    "StudyDate": "20260702",
    "StudyTime": "101530",
    "StudyID": "1",
    "StudyDescription": "Examen dentaire",
    "AccessionNumber": "A0001",
    "ReferringPhysicianName": "Gagnon^Luc",
    "InstitutionName": "Clinique Outremont",
    "Manufacturer": "Relais",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
}
