"""C-STORE (PS3.4 annex B) through Orthanc's store jobs.

An Orthanc job is the executor of one batch, never the queue: jobs do not survive a kill and are never retried by
Orthanc.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from relais.configuration import Destination
from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports.port import OrthancApi, SendingError

FIRST_LOOK = 0.005
SLOWEST_LOOK = 0.25
PROBE_SECONDS = 5.0
MISSING = 404

_DIMSE_STATUS = re.compile(r"DIMSE status 0x([0-9A-Fa-f]{4})")

# Orthanc's words for what is not a status, in the order in which they are looked for: the class of the failure, its
# code, and whether it is the peer's rather than the batch's.
_CAUSES = (
    ("presentation context", ErrorClass.Permanent, "no-presentation-context", False),
    ("association rejected|ae title not recognized", ErrorClass.Configuration, "association-rejected", True),
    (
        "connecting to aet|tcp initialization error|connection refused|timed out",
        ErrorClass.Transient,
        "unreachable",
        True,
    ),
    ("", ErrorClass.Transient, "interrupted", False),
)


class DicomTransport:
    """One destination of kind `Dicom`."""

    def __init__(self, orthanc: OrthancApi, name: str, destination: Destination) -> None:
        self._orthanc = orthanc
        self._modality = f"relais-{name}"
        self._destination = destination
        self._defined = False

    def probe(self) -> None:
        """Open and close a TCP connection: an unreachable peer must not occupy one of Orthanc's few job threads."""
        address = (self._destination.host, self._destination.port)
        try:
            socket.create_connection(address, PROBE_SECONDS).close()
        except OSError as error:
            raise SendingError(
                ErrorClass.Transient,
                _network_code(error),
                f"{address[0]} port {address[1]}: {error.strerror or error}",
                unreachable=True,
            ) from error

    def send(self, instances: Sequence[str], *, progress: Callable[[int], None], stopping: threading.Event) -> None:
        """Send one batch in one association."""
        self._define()
        request: dict[str, Any] = {
            "Resources": list(instances),
            "Synchronous": False,
            "Permissive": False,  # true would report a dead network as success
            "Timeout": self._destination.timeout,
        }
        if self._destination.local_aet is not None:
            request["LocalAet"] = self._destination.local_aet
        try:
            job = self._orthanc.post(f"/modalities/{self._modality}/store", request)["ID"]
        except OrthancError as error:
            raise _refused_by_orthanc(error) from error
        self._follow(job, len(instances), progress, stopping)

    def _define(self) -> None:
        """See to it that Orthanc's live definition of the peer is the configured one."""
        wanted: dict[str, Any] = {
            "AET": self._destination.aet,
            "Host": self._destination.host,
            "Port": self._destination.port,
            "Timeout": self._destination.timeout,
        }
        if self._destination.local_aet is not None:
            wanted["LocalAet"] = self._destination.local_aet
        path = f"/modalities/{self._modality}"
        live: dict[str, Any] = {}
        if self._defined:
            try:
                live = self._orthanc.get(f"{path}/configuration")
            except OrthancError as error:
                if error.status != MISSING:  # somebody deleted it
                    raise
        if any(live.get(key) != value for key, value in wanted.items()):
            self._orthanc.put(path, wanted)
            self._defined = True

    def _follow(self, job: str, count: int, progress: Callable[[int], None], stopping: threading.Event) -> None:
        pause = FIRST_LOOK
        while True:
            if stopping.wait(pause):
                self._orthanc.post(f"/jobs/{job}/cancel", {})
                raise InterruptedError(job)
            pause = min(pause * 1.5, SLOWEST_LOOK)
            try:
                state = self._orthanc.get(f"/jobs/{job}")
            except OrthancError as error:
                if error.status != MISSING:
                    raise
                raise SendingError(
                    ErrorClass.Transient, "job-forgotten", "Orthanc forgot the job before its end was seen"
                ) from error
            if state["State"] == "Success":
                progress(count)
                return
            if state["State"] == "Failure":
                raise classify(state.get("ErrorDetails") or state.get("ErrorDescription") or "")
            progress(count * int(state.get("Progress", 0)) // 100)


def classify(details: str) -> SendingError:
    """The class of a failed store job, from Orthanc's words for it (`ErrorDetails`).

    Statuses: PS3.4 table B.2-1 and PS3.7 annex C. A7xx (out of resources) passes; a status that says the object itself
    is not wanted does not.
    """
    text = details.strip() or "the store job failed without a word"
    status = _DIMSE_STATUS.search(text)
    if status is None:
        cause = next(each for each in _CAUSES if re.search(each[0], text, re.IGNORECASE))
        return SendingError(cause[1], cause[2], text, unreachable=cause[3])
    code = status.group(1).upper()
    if code.startswith("A7"):
        return SendingError(ErrorClass.Transient, code, text)
    return SendingError(ErrorClass.Configuration if code == "0124" else ErrorClass.Permanent, code, text)


def _refused_by_orthanc(error: OrthancError) -> Exception:
    """Orthanc did not take the job: an instance is gone from it, or something passes."""
    if error.status == MISSING:
        return SendingError(ErrorClass.Permanent, "not-in-orthanc", "an instance is no longer in Orthanc")
    return SendingError(ErrorClass.Transient, f"orthanc-{error.status}", "Orthanc did not take the store job")


def _network_code(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, socket.gaierror):
        return "name-not-resolved"
    return "unreachable"
