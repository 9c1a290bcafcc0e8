"""Tells of what the doorkeeper refused: an audit event and the webhook `security.alert`, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from relais.configuration import Configuration
from relais.database import Database
from relais.journal import Journal
from relais.orthanc.doorkeeper import Doorkeeper, Refused
from relais.web.permissions import Gate
from relais.web.ways_out import admission

log = logging.getLogger(__name__)


class Parts(Protocol):
    """What it asks, and writes with."""

    @property
    def database(self) -> Database:
        """Where events are."""

    @property
    def journal(self) -> Journal:
        """That of the active version."""

    @property
    def configuration(self) -> Configuration:
        """Who may do what."""

    @property
    def gate(self) -> Gate:
        """How Orthanc guards its HTTP server."""


class Guard:
    """Writes down what it is handed, in that order; whoever hands something over never waits.

    `parts` is called each time: another version of the configuration brings others.
    """

    def __init__(self, parts: Callable[[], Parts]) -> None:
        self._parts = parts
        self._queue: SimpleQueue[Refused | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def stand(self, orthanc: Any, token: str) -> None:
        """Have Orthanc ask about each request, where its plugin can; whoever has the token is let through."""
        if not hasattr(orthanc, "RegisterIncomingHttpRequestFilter"):
            return

        def admits(authorization: str | None) -> tuple[bool, str]:
            parts = self._parts()
            return admission(parts.gate, parts.configuration, authorization)

        orthanc.RegisterIncomingHttpRequestFilter(Doorkeeper(admits=admits, report=self.report, token=token))

    def report(self, refused: Refused) -> None:
        """Take it, to be written soon."""
        self._queue.put(refused)

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="relais-guard", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Write what is there, and end; at most so long."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(seconds)

    def _run(self) -> None:
        while (refused := self._queue.get()) is not None:
            log.warning("%s was refused %s %s", refused.caller, refused.method, refused.route)
            parts = self._parts()
            try:
                with parts.database.write() as connection:
                    parts.journal.record(
                        connection,
                        "security.alert",
                        actor=refused.caller,
                        Kind="way-out-refused",
                        Method=refused.method,
                        Route=refused.route,
                        RemoteIp=refused.remote_ip,
                        Times=refused.times,
                    )
            except SQLAlchemyError as error:
                log.error("an alert could not be written: %s", type(error).__name__)  # noqa: TRY400 - no message: it can hold values
