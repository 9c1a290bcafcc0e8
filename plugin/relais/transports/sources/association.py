"""One association with a peer, on which it is asked, told to send, or sent to (PS3.8; PS3.4 annexes B and C).

pynetdicom is imported when the first question needs it. Whatever it waits for ends when the house stops or the time is
over: its socket is shut then.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from relais.domain.connectivity import Advice, of_rejection
from relais.domain.querying import SourceState
from relais.domain.retry import ErrorClass
from relais.transports.probes.network import TlsOptions, context_of
from relais.transports.sources.port import AskingError, Until

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom import evt
    from pynetdicom.association import Association

CONNECT_SECONDS = 5.0
"""The longest wait for a connection: a source that is there answers sooner, however slow it is afterwards."""
LOOK = 0.1
"""Seconds between looks at whether to stop."""
REST = 0.005
"""Seconds between pynetdicom's looks for the next image's answer; its own millisecond takes a tenth of a core."""
DRAIN_SECONDS = 1.0
"""How long the end of a cancelled question is waited for."""
PENDING = (0xFF00, 0xFF01)
SUCCESS = 0x0000
CANCELED = 0xFE00
_NO_RESOURCES = 0xA700
_TRANSIENT_REJECTION = 2  # PS3.8 table 9-21, result
_BUSY_WAITS = (0.2, 0.5, 1.0)
"""Seconds before an association is tried again that was rejected for there being too many."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Whom we call, and as whom."""

    aet: str
    host: str
    port: int
    local_aet: str
    tls: TlsOptions | None = None
    answered: threading.Event = field(default_factory=threading.Event, compare=False)
    """Whether its last association came about: if not, a plain connection is tried first."""


class Line:
    """An association, open inside `with`; every failure is an AskingError, a stop InterruptedError."""

    def __init__(
        self,
        peer: Peer,
        services: Sequence[str | tuple[str, str]],
        *,
        silence: float,
        until: Until,
        keep: Callable[[bytes], int] | None = None,
    ) -> None:
        """`services`: SOP classes, or such with a transfer syntax. `keep`: takes the images that come by C-GET.

        It is given each as a file, and answers the status.
        """
        self._peer = peer
        self._services = services
        self._keep = keep
        self._silence = silence
        self._until = until
        self._association: Association | None = None
        self._connection: socket.socket | None = None
        self._over = threading.Event()
        self._messages = 0
        self._asked_at = time.monotonic()

    def __enter__(self) -> Self:
        self._check()
        watcher = threading.Thread(target=self._watch, name="relais-source-watch", daemon=True)
        watcher.start()
        try:
            self._association = self._associate_patiently()
        except BaseException:
            self._over.set()
            self._peer.answered.clear()
            self._close()
            raise
        self._peer.answered.set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        association, self._association = self._association, None
        if association is not None and association.is_established:
            association.acse_timeout = DRAIN_SECONDS
            if error is None:
                association.release()
            else:
                association.abort()
        self._over.set()
        self._close()

    def find(self, model: str, keys: Dataset, enough: Callable[[], bool]) -> Iterator[Dataset | int]:
        """Ask; yields the answers, and at last the status. When there are `enough`, the question is cancelled."""
        association, message = self._next()
        cancelled = False
        for status, answer in association.send_c_find(keys, model, msg_id=message):
            code = self._status(status)
            if code not in PENDING:
                self._check_order(association)
                yield code
                return
            if cancelled:
                continue
            if answer is not None:
                yield answer
            if enough():
                cancelled = True
                association.send_c_cancel(message, query_model=model)
                association.dimse_timeout = DRAIN_SECONDS
        raise self._broken()

    def move(self, model: str, keys: Dataset, to: str) -> Iterator[Dataset]:
        """Have it sent to the AE title; yields each answer, the last one with a status that is not pending."""
        association, message = self._next()
        reactor = association.dul
        usual, reactor._run_loop_delay = reactor._run_loop_delay, REST  # noqa: SLF001 - it has no other name
        try:
            for status, _ in association.send_c_move(keys, to, model, msg_id=message):
                code = self._status(status)
                yield status
                if code not in PENDING:
                    return
        finally:
            reactor._run_loop_delay = usual  # noqa: SLF001
        raise self._broken()

    def get(self, model: str, keys: Dataset) -> Iterator[Dataset]:
        """Have it sent on this association; yields as `move` does."""
        association, message = self._next()
        for status, _ in association.send_c_get(keys, model, msg_id=message):
            code = self._status(status)
            yield status
            if code not in PENDING:
                return
        raise self._broken()

    def takes(self, sop_class: str, syntax: str) -> bool:
        """Whether the peer accepted images of this class in this transfer syntax."""
        accepted = () if self._association is None else self._association.accepted_contexts
        return any(each.abstract_syntax == sop_class and syntax in each.transfer_syntax for each in accepted)

    def store(self, file: Path | Dataset) -> int:
        """C-STORE; answers the status. A file goes as it is, a data set in a syntax that was accepted of it."""
        association, message = self._next()
        return self._status(association.send_c_store(file, msg_id=message))

    def echo(self) -> None:
        """C-ECHO."""
        association, message = self._next()
        self._status(association.send_c_echo(msg_id=message))

    def _next(self) -> tuple[Association, int]:
        self._check()
        if self._association is None or not self._association.is_established:
            raise self._broken()
        self._association.dimse_timeout = min(self._silence, self._until.left)
        self._messages = self._messages % 0xFFFF + 1
        self._asked_at = time.monotonic()
        return self._association, self._messages

    def _status(self, answer: Dataset) -> int:
        """The status of an answer; raises where there was none."""
        if "Status" not in answer:
            raise self._broken()
        if self._association is not None:
            self._association.dimse_timeout = min(self._silence, max(LOOK, self._until.left))
        self._asked_at = time.monotonic()
        return int(answer.Status)

    def _associate_patiently(self) -> Association:
        """Archives take so many associations at once, and need a moment to notice that one has ended."""
        for wait in _BUSY_WAITS:
            try:
                return self._associate()
            except AskingError as error:
                if error.code != Advice.RejectedBusy.value or self._until.wait(wait):
                    raise
        return self._associate()

    def _associate(self) -> Association:
        from pynetdicom import AE, _config, build_role, evt

        _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False  # names of patients, and slow
        _config.LOG_HANDLER_LEVEL = "none"  # it words each message for a log that nobody keeps
        _config.STORE_SEND_CHUNKED_DATASET = True  # files go as they are, and piece by piece
        patience = min(self._silence, max(LOOK, self._until.left))
        if not self._peer.answered.is_set():
            reach(self._peer, min(CONNECT_SECONDS, patience))
        entity = AE(ae_title=self._peer.local_aet)
        entity.connection_timeout = min(CONNECT_SECONDS, patience)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = patience
        for each in self._services:
            entity.add_requested_context(*([each] if isinstance(each, str) else each))
        handlers: list[Any] = [(evt.EVT_CONN_OPEN, self._opened)]
        images = {each[0] for each in self._services if not isinstance(each, str)} if self._keep else set()
        if images:
            handlers.append((evt.EVT_C_STORE, self._kept))
        began = time.monotonic()
        association = entity.associate(
            self._peer.host,
            self._peer.port,
            ae_title=self._peer.aet,
            tls_args=tls_of(self._peer),
            evt_handlers=handlers,
            ext_neg=[build_role(each, scp_role=True) for each in sorted(images)] or None,
        )
        if not association.is_established:
            self._check()
            raise self._refusal(association, time.monotonic() - began)
        association.network_timeout = None  # between two questions on one line nothing needs to come
        association._serve_request = _putting_back(association)  # type: ignore[method-assign, assignment]  # noqa: SLF001
        return association

    def _check_order(self, association: Association) -> None:
        """See that nothing came before the last answer that was read after it."""
        if any(message is not None for _, message in list(association.dimse.msg_queue.queue)):
            raise AskingError(SourceState.Refused, ErrorClass.Transient, "disordered", "its answers were mixed up")

    def _opened(self, event: evt.Event) -> None:
        connection: socket.socket = event.assoc.dul.socket.socket  # type: ignore[union-attr,assignment]
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection

    def _kept(self, event: evt.Event) -> int:
        return 0 if self._keep is None else self._keep(event.encoded_dataset())

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            if self._until.is_set():
                self._shut()

    def _shut(self) -> None:
        connection = self._connection
        if connection is not None:
            with suppress(OSError, ssl.SSLError):
                connection.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        """Let go of the socket, which pynetdicom leaves open where the peer stays silent."""
        self._shut()
        if self._connection is not None:
            self._connection.close()

    def _check(self) -> None:
        if self._until.is_set():
            if self._until.left == 0.0:
                raise late()
            raise InterruptedError

    def _refusal(self, association: Association, seconds: float) -> AskingError:
        """Why there is no association."""
        answer = association.acceptor.primitive
        if association.is_rejected and answer is not None:
            advice = of_rejection(int(answer.result_source or 0), int(answer.diagnostic or 0))
            passes = answer.result == _TRANSIENT_REJECTION or advice is Advice.RejectedBusy
            error_class = ErrorClass.Transient if passes else ErrorClass.Configuration
            text = "it rejects the association"
            return AskingError(SourceState.Refused, error_class, advice.value, text, busy=passes)
        if answer is not None and answer.result == 0:
            return AskingError(SourceState.Refused, ErrorClass.Configuration, "no-query", "it accepts no questions")
        if self._connection is not None:
            if seconds >= self._silence - LOOK:
                return late()
            text = "it breaks off before it accepts us"
            return AskingError(SourceState.Unreachable, ErrorClass.Transient, "aborted", text)
        return AskingError(SourceState.Unreachable, ErrorClass.Transient, "unreachable", "it takes no connection")

    def _broken(self) -> AskingError:
        """No answer came: it broke off, or stayed silent."""
        self._check()
        patience = None if self._association is None else self._association.dimse_timeout
        if patience is not None and time.monotonic() - self._asked_at >= patience - LOOK:
            return late()
        return AskingError(SourceState.Unreachable, ErrorClass.Transient, "aborted", "it broke off")


def _putting_back(association: Association) -> Callable[[Any, int], None]:
    """Give back an answer that pynetdicom 3.0.4 takes from whoever waits for it.

    Its own thread serves what the peer asks, and is told to rest while we wait for answers. When it has just been told
    to go on after the last question, it can take the first answer to the next one, and drops it [measured].
    """
    waiting = association.dimse.msg_queue

    def put_back(message: Any, context: int) -> None:
        with waiting.mutex:
            waiting.queue.appendleft((context, message))
            waiting.not_empty.notify()

    return put_back


def late() -> AskingError:
    """It did not answer in time."""
    return AskingError(SourceState.TimedOut, ErrorClass.Transient, "timeout", "no answer in time")


def reach(peer: Peer, seconds: float) -> None:
    """Open and close a connection: that fails with its reason, and pynetdicom would leave a socket behind.

    That the peer does not accept our certificate, TLS 1.3 tells only later (RFC 8446 section 4.4.2).
    """
    tls = tls_of(peer)
    try:
        with socket.create_connection((peer.host, peer.port), seconds) as connection:
            if tls is not None:
                context, name = tls
                context.wrap_socket(connection, server_hostname=name).close()
    except (OSError, UnicodeError) as error:
        code = next((code for kind, code in _NETWORK if isinstance(error, kind)), "unreachable")
        error_class = ErrorClass.Configuration if code == "tls" else ErrorClass.Transient
        text = f"{peer.host} port {peer.port} cannot be reached"
        raise AskingError(SourceState.Unreachable, error_class, code, text) from error


def tls_of(peer: Peer) -> tuple[ssl.SSLContext, str] | None:
    """How the connection is secured, and the host's name, if it is."""
    if peer.tls is None:
        return None
    try:
        return context_of(peer.tls), peer.host
    except OSError as error:
        text = "Orthanc's DICOM certificates"
        raise AskingError(SourceState.Unreachable, ErrorClass.Configuration, "certificate", text) from error


_NETWORK: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLError, "tls"),
    (socket.gaierror, "name-not-resolved"),
    (UnicodeError, "name-not-resolved"),
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "refused"),
)


def refused(status: int) -> AskingError:
    """A status that is no success (PS3.4 tables C.4-1 and C.4-2; PS3.7 annex C).

    Out of resources, failed sub-operations and C0xx pass: archives answer them while their database is away. Anything
    else (A801, C801, A900, 0122, 0120) is refused for how we ask, or for whom.
    """
    code = f"{status:04X}"
    passes = re.fullmatch("A7..|B...|C0..|FE00|0110|0213", code) is not None
    error_class = ErrorClass.Transient if passes else ErrorClass.Configuration
    return AskingError(SourceState.Refused, error_class, code, f"it answered with status {code}")


def out_of_resources(status: int) -> bool:
    """Whether the status can mean that there were too many answers (A700)."""
    return status & 0xFF00 == _NO_RESOURCES


def counts(answer: Dataset) -> Mapping[str, int]:
    """The sub-operations of an answer to a C-MOVE (PS3.7 section 9.1.4.1); what it does not tell is left out."""
    keywords = {
        "remaining": "NumberOfRemainingSuboperations",
        "completed": "NumberOfCompletedSuboperations",
        "failed": "NumberOfFailedSuboperations",
        "warnings": "NumberOfWarningSuboperations",
    }
    return {name: int(value) for name, keyword in keywords.items() if (value := _of(answer, keyword)) is not None}


def _of(answer: Dataset, keyword: str) -> Any:
    return answer.get(keyword)
