"""What every way of sending promises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from relais.clock import Clock, SystemClock
from relais.domain.residency import Permit
from relais.domain.retry import ErrorClass

WALL: Clock = SystemClock()
"""This machine's clock, for transports that are given no other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One instance: Orthanc's id of it, its UIDs, and the size of its file in bytes."""

    orthanc_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    bytes: int


class SendingError(Exception):
    """A batch, or one instance of it, did not get through.

    `code` is the protocol's own (a DIMSE status such as `A700`, or a word such as `refused`), `text` says it in words,
    `unreachable` tells that it is the peer's and not the batch's fault, so that the whole lane waits, and `wait` how
    long the peer asks to be left alone.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        code: str,
        text: str,
        *,
        unreachable: bool = False,
        wait: timedelta | None = None,
    ) -> None:
        super().__init__(f"{code}: {text}")
        self.error_class = error_class
        self.code = code
        self.text = text
        self.unreachable = unreachable
        self.wait = wait


class OrthancApi(Protocol):
    """What a way of sending needs of Orthanc's REST API; the calls raise OrthancError and OrthancUnavailableError."""

    modalities: int | None
    """Another number once somebody changed Orthanc's modalities; None where that is not heard of."""

    def get(self, path: str) -> Any:
        """GET a JSON document."""
        ...

    def read(self, path: str, accept: str = "*/*") -> bytes:
        """GET bytes."""
        ...

    def stream(self, path: str) -> Iterator[bytes]:
        """GET bytes, chunk by chunk."""
        ...

    def post(self, path: str, document: object) -> Any:
        """POST a JSON document and read the JSON answer."""
        ...

    def post_bytes(self, path: str, content: bytes, kind: str = "application/dicom") -> Any:
        """POST bytes and read the JSON answer."""
        ...

    def read_answer(self, path: str, document: object) -> bytes:
        """POST a JSON document and read an answer of bytes."""
        ...

    def put(self, path: str, document: object) -> None:
        """PUT a JSON document."""
        ...

    def delete(self, path: str) -> None:
        """DELETE a resource."""
        ...

    def await_job(self, job: str, seconds: float) -> bool:
        """Wait until it is heard that the job ended, or so many seconds; whether it is heard that it succeeded."""
        ...


class Stop(Protocol):
    """Says that a batch is to be given up, as `threading.Event` does."""

    def is_set(self) -> bool:
        """Whether it is."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds at most; whether it is."""
        ...


class Content(Protocol):
    """What a destination receives of an instance: the stored file, or what its transformation makes of it."""

    as_stored: bool
    """Whether it is the stored file, byte for byte."""

    def read(self, item: Item) -> Iterator[bytes]:
        """The file (PS3.10), in chunks; raises SendingError where it may or can not be made."""
        ...

    def named(self, item: Item) -> Item:
        """The item under the UIDs that it has at the destination."""
        ...


class Transport(Protocol):
    """Sends batches of instances to one destination."""

    def probe(self) -> None:
        """See cheaply whether the peer can be reached at all; raises SendingError when not."""
        ...

    def send(
        self, items: Sequence[Item], *, permit: Permit, progress: Callable[[int], None], stopping: Stop
    ) -> Mapping[str, SendingError]:
        """Send these instances, in this order; returns when the peer has answered for each one.

        Nothing leaves without a permit for this destination and this study that holds now (see `admit`).
        Answers those that the peer refused by their Orthanc id; it has all others. Calls `progress` with how many are
        through. Raises SendingError where nothing can be said of the batch, or nothing of it got through; when
        `stopping` is set it gives the batch up with InterruptedError.
        """
        ...

    def missing(self, items: Sequence[Item]) -> Collection[str]:
        """The Orthanc ids of those that the peer, asked, has not; raises SendingError where it cannot be asked."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def admit(permit: Permit, destination: str, items: Sequence[Item], clock: Clock) -> None:
    """The first thing that every `send` does; raises SendingError where the permit is not for this, or has expired."""
    if not isinstance(permit, Permit) or not permit.covers(destination, {each.study_instance_uid for each in items}):
        raise SendingError(ErrorClass.Permanent, "no-permit", "the permit is for another study or destination")
    if not permit.holds(clock.now()):
        raise SendingError(ErrorClass.Transient, "permit-expired", "the permit expired before anything was sent")


@runtime_checkable
class Commits(Protocol):
    """A transport whose peer can be asked to take responsibility for what it holds."""

    def commit(self, items: Sequence[Item]) -> str:
        """Ask the peer to take responsibility (PS3.4 annex J); answers the transaction. Raises SendingError."""
        ...

    def committed(self, transaction: str, items: Sequence[Item]) -> Mapping[str, SendingError] | None:
        """What the peer answered: those it refuses by Orthanc id; None while it has not, LookupError if forgotten."""
        ...
