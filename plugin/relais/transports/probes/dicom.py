"""DICOM: what an association offers, C-ECHO, and a test object stored and found again.

Orthanc does not tell what a peer accepted, so we associate ourselves (PS3.8). pynetdicom is imported when the first
test needs it.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
)

from relais.domain.connectivity import Advice, Found, of_rejection
from relais.transports.probes.network import Endpoint, TlsOptions, context_of
from relais.transports.probes.sample import make_sample

if TYPE_CHECKING:
    from pynetdicom import evt
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

VERIFICATION = "1.2.840.10008.1.1"
COMMITMENT = "1.2.840.10008.1.20.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
SERVICES = {FIND: Advice.QueriedImpossible, COMMITMENT: Advice.CommitmentNotAccepted, MOVE: Advice.MoveNotAccepted}
"""What is missing where one of these SOP classes is not accepted."""

STORAGE = tuple(
    f"1.2.840.10008.5.1.4.1.1.{suffix}"
    for suffix in (
        *("1", "1.1", "1.2", "1.3", "2", "2.1", "3.1", "4", "4.1", "6.1", "7", "7.2", "7.4", "11.1", "12.1", "12.2"),
        *("13.1.3", "20", "77.1.4", "77.1.5.1", "88.11", "88.22", "88.59", "88.67", "104.1", "128"),
    )
)
"""The storage classes of clinics (PS3.4 table B.5-1): X-ray, mammography, dental, CT, MR, ultrasound, captures,
presentation states, angiography, breast tomosynthesis, nuclear medicine, photographs, reports, key objects, dose, PDF
and PET.
"""
SYNTAXES: tuple[Sequence[str], ...] = (
    (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
    (JPEGBaseline8Bit,),
    (JPEGLosslessSV1,),
    (JPEG2000Lossless,),
)
"""Each is proposed on its own, because a peer names only one syntax of a context (PS3.8 section 7.1.1.14)."""

_LOOKS = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each look for the test object: archives index what they have stored."""
_PENDING = (0xFF00, 0xFF01)
_RELEASE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Who is called, who calls, and which services it must offer besides; `images` where images are sent to it."""

    aet: str
    local_aet: str
    tls: TlsOptions | None = None
    needs: Sequence[str] = ()
    images: bool = True


class DicomSteps:
    """The steps that speak DICOM with one peer."""

    def __init__(self, endpoint: Endpoint, peer: Peer) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._association: Association | None = None
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = False
        self._sample = make_sample()

    def associate(self, seconds: float) -> Found:
        """Propose verification, storage and queries; tell what is accepted, or who rejects it and why."""
        began = time.monotonic()
        from pynetdicom.presentation import build_context

        classes = STORAGE if self._peer.images else ()
        services = (VERIFICATION, *SERVICES)
        contexts = [build_context(each) for each in services]
        contexts += [build_context(each, list(syntaxes)) for each in classes for syntaxes in SYNTAXES]
        found = self._open(contexts, seconds - (time.monotonic() - began))  # the first test pays for the import
        if self._association is None:
            return found
        accepted = _accepted(self._association.accepted_contexts)
        images = {_name(each): accepted[each] for each in classes if each in accepted}
        rejected = [_name(each) for each in classes if each not in accepted]
        facts = {
            **found.facts,
            "Accepted": images,
            "Rejected": rejected,
            "Services": [_name(each) for each in services if each in accepted],
            "ImplementationVersionName": self._association.acceptor.implementation_version_name,
        }
        advice = [SERVICES[each] for each in self._peer.needs if each not in accepted]
        if classes and not images:
            advice.append(Advice.NoStorage)
        elif rejected:
            advice.append(Advice.ClassesRejected)
        return Found(facts=facts, advice=tuple(advice))

    def echo(self, seconds: float) -> Found:
        """C-ECHO (PS3.7 section 9.1.5) in the association that is open."""
        facts = self._titles()
        association = self._association
        if association is None or not association.is_established:
            return Found(facts=facts, advice=(Advice.Broken,))
        if VERIFICATION not in _accepted(association.accepted_contexts):
            return Found(facts=facts, advice=(Advice.EchoNotAccepted,))
        began = time.monotonic()
        status = _status(association.send_c_echo())
        self._release()
        if status is None:
            return Found(facts=facts, advice=(_silence(began, seconds),))
        facts |= {"Status": f"{status:04X}", "RoundTripMilliseconds": round((time.monotonic() - began) * 1000, 1)}
        return Found(facts=facts, advice=(Advice.EchoRefused,) if status else ())

    def store(self, seconds: float) -> Found:
        """C-STORE of the test object (PS3.7 section 9.1.1), in an association of its own."""
        from pynetdicom.presentation import build_context

        sample = self._sample
        contexts = [
            build_context(sample.SOPClassUID, syntax) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
        ]
        found = self._open(contexts, seconds)
        if self._association is None:
            nothing = Advice.NothingAccepted in found.advice
            return Found(facts=found.facts, advice=(Advice.StoreNotAccepted,)) if nothing else found
        began = time.monotonic()
        status = _status(self._association.send_c_store(sample))
        self._release()
        facts = self._titles() | {"StudyInstanceUID": sample.StudyInstanceUID}
        if status is None:
            return Found(facts=facts, advice=(_silence(began, seconds),))
        facts["Status"] = f"{status:04X}"
        if status == 0:
            return Found(facts=facts)
        warned = status & 0xF000 == 0xB000  # noqa: PLR2004 - PS3.7 annex C.4
        return Found(facts=facts, advice=(Advice.StoreWarned if warned else Advice.StoreRefused,))

    def find(self, seconds: float) -> Found:
        """C-FIND of the test object, by its UIDs at the level of images (PS3.4 annex C)."""
        from pynetdicom.presentation import build_context

        deadline = time.monotonic() + seconds
        needed = (Advice.QueriedImpossible,) if FIND in self._peer.needs else ()
        found = self._open([build_context(FIND)], seconds)
        if self._association is None:
            nothing = Advice.NothingAccepted in found.advice
            return Found(facts=found.facts, advice=(Advice.FindNotAccepted, *needed)) if nothing else found
        facts = self._titles() | {"StudyInstanceUID": self._sample.StudyInstanceUID}
        advice: tuple[Advice, ...] = (Advice.NotFound,)
        for wait in _LOOKS:
            if time.monotonic() + wait > deadline:
                break
            time.sleep(wait)
            seen, status = self._look()
            if seen:
                self._release()
                return Found(facts=facts)
            if status != 0:
                facts |= {} if status is None else {"Status": f"{status:04X}"}
                advice = (Advice.FindBroken if status is None else Advice.FindRefused, *needed)
                break
        self._release()
        return Found(facts=facts, advice=advice)

    def close(self) -> None:
        """Let go of the connection, whatever another thread still waits for in it."""
        with self._lock:
            self._closed = True
            association, sockets = self._association, list(self._sockets)
        if association is not None:
            association.dul.kill_dul()
        for each in sockets:
            _shut(each)

    def _open(self, contexts: list[PresentationContext], seconds: float) -> Found:
        """Associate; on success the association stays open for the caller."""
        from pynetdicom import AE, evt

        self._release()
        facts = self._titles()
        tls = None
        if self._peer.tls is not None:
            try:
                tls = (context_of(self._peer.tls), self._endpoint.host)
            except OSError:
                return Found(facts=facts, advice=(Advice.CertificateFile,))
        entity = AE(ae_title=self._peer.local_aet)
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = seconds
        began = time.monotonic()
        association = entity.associate(
            self._endpoint.address or self._endpoint.host,
            self._endpoint.port,
            contexts=contexts,
            ae_title=self._peer.aet,
            tls_args=tls,
            evt_handlers=[(evt.EVT_CONN_OPEN, self._opened, [seconds])],
        )
        if association.is_established:
            self._association = association
            return Found(facts=facts)
        self._shut_all()
        return Found(facts=facts, advice=(_why_not(association, time.monotonic() - began >= seconds),))

    def _opened(self, event: evt.Event, seconds: float) -> None:
        """Small messages go at once, no read waits for ever, and a close from elsewhere is heard."""
        connection: socket.socket = event.assoc.dul.socket.socket  # type: ignore[union-attr,assignment]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(seconds)
        with self._lock:
            self._sockets.append(connection)
            closed = self._closed
        if closed:
            _shut(connection)

    def _look(self) -> tuple[bool, int | None]:
        """Ask once; whether it has the object, and the status of the answer."""
        if self._association is None or not self._association.is_established:
            return False, None
        wanted = Dataset()
        wanted.QueryRetrieveLevel = "IMAGE"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(wanted, keyword, self._sample[keyword].value)
        seen, last = False, None
        for answer, identifier in self._association.send_c_find(wanted, FIND):
            last = _status(answer)
            if last in _PENDING and identifier is not None:
                seen = seen or identifier.get("SOPInstanceUID") == self._sample.SOPInstanceUID
        return seen, last

    def _titles(self) -> dict[str, Any]:
        return {
            "Host": self._endpoint.host,
            "Port": self._endpoint.port,
            "Aet": self._peer.aet,
            "LocalAet": self._peer.local_aet,
        }

    def _release(self) -> None:
        """End the association that is open, politely."""
        association, self._association = self._association, None
        if association is not None and association.is_established:
            association.acse_timeout = _RELEASE_SECONDS
            association.release()
        self._shut_all()

    def _shut_all(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _shut(each)


def _why_not(association: Association, late: bool) -> Advice:  # noqa: FBT001 - one caller, beside it
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return of_rejection(int(answer.result_source or 0), int(answer.diagnostic or 0))
    if answer is not None and answer.result == 0:
        return Advice.NothingAccepted
    return Advice.AssociationSilent if late else Advice.AssociationAborted


def _silence(began: float, seconds: float) -> Advice:
    """Why there is no status: the time was over, or the peer broke off before."""
    return Advice.NoAnswer if time.monotonic() - began >= seconds else Advice.Broken


def _accepted(contexts: Sequence[PresentationContext]) -> Mapping[str, list[str]]:
    """The transfer syntaxes that were accepted of each SOP class, by keyword."""
    found: dict[str, list[str]] = {}
    for context in contexts:
        found.setdefault(str(context.abstract_syntax), []).extend(_name(each) for each in context.transfer_syntax)
    return found


def _status(answer: Dataset) -> int | None:
    """The status of an answer; None when there was none in time."""
    return int(answer.Status) if "Status" in answer else None


def _name(uid: str) -> str:
    """The keyword of a UID (PS3.6 annex A)."""
    return UID(uid).keyword or uid


def _shut(connection: socket.socket) -> None:
    """Close, and wake whoever waits in it."""
    with suppress(OSError, ssl.SSLError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
