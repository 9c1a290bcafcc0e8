"""Who asked Orthanc by DICOM, written down after the answer: callbacks must not wait for the database.

What was asked is audited within moments; what nobody has written when the process is killed was read by nobody who
could not have read it before.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relais.database import Database
from relais.journal import Journal

log = logging.getLogger(__name__)

MOST = 10_000
"""Events that wait at most; who asks more often than the database writes is slowed down."""
AT_ONCE = 100
REST = 0.2
"""Seconds before what was told is written: the answer comes first, and with it what others tell meanwhile."""
PATIENCE = 1.0
"""Seconds that a callback waits for its event to be taken."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Something that happened: for the audit trail, without patient data."""

    action: str
    actor: str
    detail: Mapping[str, Any]


class Witness:
    """Writes what it is told, from a thread of its own."""

    def __init__(self, *, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal
        self._waiting: queue.Queue[Seen | None] = queue.Queue(MOST)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="relais-witness", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Write what waits, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(seconds)

    def tell(self, action: str, actor: str, **detail: Any) -> None:
        """It happened; the actor is an AE title."""
        try:
            self._waiting.put(Seen(action=action, actor=actor, detail=detail), timeout=PATIENCE)
        except queue.Full:
            log.error("%s of %s could not be written to the audit trail: the database is too slow", action, actor)  # noqa: TRY400 - the traceback says nothing more

    def _work(self) -> None:
        ended = False
        while not ended:
            found = [self._waiting.get()]
            self._stopping.wait(REST)
            while len(found) < AT_ONCE and not self._waiting.empty():
                found.append(self._waiting.get())
            ended = None in found
            self._write([each for each in found if each is not None])

    def _write(self, several: list[Seen]) -> None:
        try:
            with self._database.write() as connection:
                for each in several:
                    self._journal.record(connection, each.action, actor=each.actor, **each.detail)
        except Exception:  # one of the boundaries: this thread must go on
            log.exception("%d events of DICOM peers could not be written to the audit trail", len(several))
