"""A DICOM peer as Orthanc knows it: its live definition, requests through it, and the jobs that they start."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports.dimse import MISSING
from relais.transports.port import OrthancApi, SendingError, Stop

LOOK = 0.2
"""Seconds between two looks at how far a job is; its end is heard of."""
PROBE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a job ended: how many of its instances are through, in order, and what stopped it at the next one."""

    through: int
    details: str | None = None


class Modality:
    """One peer; safe to share between threads."""

    def __init__(
        self,
        orthanc: OrthancApi,
        name: str,
        *,
        aet: str,
        host: str,
        port: int,
        timeout: int,
        local_aet: str | None = None,
        tls: bool = False,
    ) -> None:
        self._orthanc = orthanc
        self._path = f"/modalities/{name}"
        self._address = (host, port)
        self._timeout = timeout
        # Whoever calls themselves by the peer's title may fetch nothing by that: an AE title proves nothing.
        self._definition: dict[str, Any] = {
            "AET": aet,
            "Host": host,
            "Port": port,
            "UseDicomTls": tls,
            "AllowFind": False,
            "AllowGet": False,
            "AllowMove": False,
        }
        self._caller: dict[str, Any] = {} if local_aet is None else {"LocalAet": local_aet}
        self._defined = False
        self._compared: int | None = None  # what Orthanc's modalities were when they were last seen to be right
        self.tls = tls

    def probe(self) -> None:
        """Open and close a connection: an unreachable peer must not occupy one of Orthanc's few job threads.

        Orthanc waits a whole minute for a TLS handshake. Whether the certificates please is seen at the first send.
        """
        try:
            with socket.create_connection(self._address, PROBE_SECONDS) as connection:
                if self.tls:
                    _shake_hands(connection)
        except OSError as error:
            raise SendingError(
                ErrorClass.Transient,
                _network_code(error),
                f"{self._address[0]} port {self._address[1]}: {error.strerror or error}",
                unreachable=True,
            ) from error

    def define(self) -> None:
        """See to it that Orthanc's live definition of the peer is the configured one."""
        modalities = self._orthanc.modalities
        if modalities is not None and modalities == self._compared:
            return
        wanted = {**self._definition, **self._caller, "Timeout": self._timeout}
        live: dict[str, Any] = {}
        if self._defined:
            try:
                live = self._orthanc.get(f"{self._path}/configuration")
            except OrthancError as error:
                if error.status != MISSING:  # somebody deleted it
                    raise
        if any(live.get(key) != value for key, value in wanted.items()):
            self._orthanc.put(self._path, wanted)
            self._defined = True
        self._compared = modalities

    def ask(self, route: str, request: Mapping[str, Any]) -> Any:
        """POST a request about the peer, and read the answer; raises OrthancError, and SendingError as `probe` does."""
        if self.tls and request.get("Synchronous", True):  # a job can be left to itself, this answer is waited for
            self.probe()
        self.define()
        return self._orthanc.post(f"{self._path}/{route}", {**request, **self._caller, "Timeout": self._timeout})

    def answers(self, query: str) -> list[dict[str, Any]]:
        """What the peer answered to this query."""
        answers: list[dict[str, Any]] = self._orthanc.get(f"/queries/{query}/answers?expand&simplify")
        return answers

    def forget(self, query: str) -> None:
        """Give a query up: Orthanc keeps the last hundred of everybody's."""
        try:
            self._orthanc.delete(f"/queries/{query}")
        except OrthancError as error:
            if error.status != MISSING:
                raise

    def retrieve(self, query: str, index: int, aet: str) -> str:
        """Have the peer move what it answered to another; answers the job. Raises OrthancError."""
        request = {"TargetAet": aet, "Synchronous": False, "Timeout": self._timeout}
        job: str = self._orthanc.post(f"/queries/{query}/answers/{index}/retrieve", request)["ID"]
        return job

    def follow(self, job: str, count: int, progress: Callable[[int], None], stopping: Stop) -> Ending:
        """Wait for a job of at most 100 operations; a stop cancels it and raises InterruptedError."""
        while True:
            if self._orthanc.await_job(job, LOOK):
                return Ending(through=count)
            if stopping.is_set():
                self._orthanc.post(f"/jobs/{job}/cancel", {})
                raise InterruptedError(job)
            try:
                state = self._orthanc.get(f"/jobs/{job}")
            except OrthancError as error:
                if error.status != MISSING:
                    raise
                raise SendingError(
                    ErrorClass.Transient, "job-forgotten", "Orthanc forgot the job before its end was seen"
                ) from error
            if state["State"] == "Success":
                return Ending(through=count)
            # Per cent of whole operations: with at most 100 of them, it counts them.
            through = round(count * int(state.get("Progress", 0)) / 100)
            if state["State"] == "Failure":
                return Ending(
                    through=min(through, count - 1), details=state.get("ErrorDetails") or state["ErrorDescription"]
                )
            progress(through)


def _shake_hands(connection: socket.socket) -> None:
    """See that the peer speaks TLS at all."""
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE  # nothing is sent
    with suppress(ssl.SSLError):  # it answers
        anyone.wrap_socket(connection).close()


def _network_code(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, socket.gaierror):
        return "name-not-resolved"
    return "unreachable"
