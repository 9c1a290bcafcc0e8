"""What every way of sending promises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from relais.domain.retry import ErrorClass


class SendingError(Exception):
    """A batch did not get through.

    `code` is the protocol's own (a DIMSE status such as `A700`, or a word such as `refused`), `text` says it in words,
    and `unreachable` tells that it is the peer's and not the batch's fault, so that the whole lane waits.
    """

    def __init__(self, error_class: ErrorClass, code: str, text: str, *, unreachable: bool = False) -> None:
        super().__init__(f"{code}: {text}")
        self.error_class = error_class
        self.code = code
        self.text = text
        self.unreachable = unreachable


class OrthancApi(Protocol):
    """What a way of sending needs of Orthanc's REST API; the calls raise OrthancError and OrthancUnavailableError."""

    def get(self, path: str) -> Any:
        """GET a JSON document."""
        ...

    def post(self, path: str, document: object) -> Any:
        """POST a JSON document and read the JSON answer."""
        ...

    def put(self, path: str, document: object) -> None:
        """PUT a JSON document."""
        ...


class Transport(Protocol):
    """Sends batches of instances to one destination."""

    def probe(self) -> None:
        """See cheaply whether the peer can be reached at all; raises SendingError when not."""
        ...

    def send(self, instances: Sequence[str], *, progress: Callable[[int], None], stopping: threading.Event) -> None:
        """Send these instances (Orthanc ids), in this order; returns when the peer confirmed each one.

        Calls `progress` with how many of them are through. Raises SendingError; when `stopping` is set it gives up the
        batch with InterruptedError.
        """
        ...
