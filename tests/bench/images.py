"""Many images, made fast: one is encoded, the others are copies of it with other UIDs."""

import os
import subprocess
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from pydicom.dataset import Dataset

from tests.servers.dicom import SendError, make_study
from tests.servers.orthanc import OrthancServer

_ROOT = "1.2.826.0.1.3680043.8.498."
_PATIENT = b"P0000000"
_PLACES = 36  # a UUID's digits: every UID has the same length, so that copies need no new lengths


def write_studies(folder: Path, *, studies: int, instances: int, size: int, modality: str = "CT") -> Path:
    """Write so many studies of one series, each of so many instances of about `size` bytes, and return the folder.

    Two calls never share a UID.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study, series, image = (_uid() for _ in range(3))
    content = _encoded(modality, size, study, series, image)
    for number in range(studies):
        ours = content.replace(study.encode(), _uid().encode()).replace(series.encode(), _uid().encode())
        ours = ours.replace(_PATIENT, b"P%07d" % number)
        for index in range(instances):
            name = f"{number:05d}-{index:05d}.dcm"
            (folder / name).write_bytes(ours.replace(image.encode(), _uid().encode()))
    return folder


@dataclass(frozen=True, kw_only=True)
class Sent:
    """When the association was asked for, when the last image was acknowledged, and when all was over (monotonic)."""

    began: float
    acknowledged: float
    ended: float


def send_folder(folder: Path, server: OrthancServer) -> float:
    """Send as `send_timed` does; answers how many seconds it took."""
    sent = send_timed(folder, server)
    return sent.ended - sent.began


def send_timed(folder: Path, server: OrthancServer) -> Sent:
    """Send all files, study after study, in one association of dcmtk's `storescu`.

    `storescu` first reads every file's header; that is not the server's time, and not counted. Raises SendError.
    """
    command = ["storescu", "--verbose", "--required", "--call", server.aet, "127.0.0.1", str(server.dicom_port)]
    sender = subprocess.Popen(
        [*command, *sorted(path.name for path in folder.iterdir())],
        cwd=folder,
        env=os.environ | {"TCP_NODELAY": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    began = acknowledged = None
    last = ""
    with sender:
        for line in sender.stdout or ():
            if began is None and "Requesting Association" in line:
                began = monotonic()
            elif "Received Store Response" in line:
                acknowledged = monotonic()
            last = line
    if began is None or acknowledged is None or sender.returncode != 0:
        raise SendError(f"storescu to {server.aet}: {last}")
    return Sent(began=began, acknowledged=acknowledged, ended=monotonic())


def count(server: OrthancServer) -> int:
    """How many instances a server keeps."""
    statistics: dict[str, Any] = server.rest.get("/statistics")
    return int(statistics["CountInstances"])


def _encoded(modality: str, size: int, study: str, series: str, image: str) -> bytes:
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": image}
    tags = {**uids, "PatientID": _PATIENT.decode()}
    made: Dataset = make_study(modality=modality, size=size, tags=tags).instances[0]
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _uid() -> str:
    return _ROOT + str(uuid4().int % 10 ** (_PLACES - 1) + 10 ** (_PLACES - 1))
