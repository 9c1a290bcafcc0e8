"""The house: Relais as the active version composes it, and composed anew when another version becomes active.

Every part is given one configuration and keeps it. So nothing has to notice a change: what runs is stopped as at any
stop (what was under way goes back to the task table), and the parts of the next version start on the same ground.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from relais.clock import Clock, SharedClock, SystemClock
from relais.configuration import Configuration
from relais.database import Database
from relais.drafts import FROM_FILE, Seat
from relais.orthanc import Orthanc
from relais.orthanc.capabilities import Surroundings
from relais.web.metrics import Metrics

if TYPE_CHECKING:
    from relais.bootstrap import Relais

log = logging.getLogger(__name__)

STOP_SECONDS = 4.0
"""Less than the five that are promised, and than the ten that Docker grants."""
SENDING = 24
"""Connections to Orthanc for what is sent; with the others, fewer than its HttpThreadsCount (50)."""
LOOK = 1.0
"""Seconds between looks for another active version: any node may have activated it."""
AGAIN = 30.0
"""Seconds until a version is tried again that could not be followed, such as for want of a secret's file."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What stays when another version becomes active: the database, the clock, the ways to Orthanc."""

    surroundings: Surroundings
    seat: Seat
    database: Database
    clock: Clock
    orthanc: Orthanc
    sending: Orthanc
    metrics: Metrics

    @classmethod
    def lay(
        cls, seat: Seat, *, surroundings: Surroundings, authorization: str | None, clock: Clock | None = None
    ) -> Ground:
        """Open the database, and bring its schema up to date; raises SchemaTooNewError."""
        database = Database(seat.database)
        database.upgrade()
        _crash_on_demand(database)
        return cls(
            surroundings=surroundings,
            seat=seat,
            database=database,
            clock=clock or (SystemClock() if database.sqlite else SharedClock(database.now)),
            orthanc=Orthanc(surroundings.url, authorization),
            # What is read for a slow archive holds its connections for long: the feed must not wait for one of those.
            sending=Orthanc(surroundings.url, authorization, connections=SENDING),
            metrics=Metrics(),
        )

    def close(self) -> None:
        """Let go of every connection."""
        self.database.close()
        self.orthanc.close()
        self.sending.close()


def _crash_on_demand(database: Database) -> None:
    """For the crash tests: RELAIS_CRASH_AT_COMMIT=7 ends the process right before its 7th commit, 7+ right after."""
    wanted = os.environ.get("RELAIS_CRASH_AT_COMMIT")
    if wanted is None:
        return
    number, after = int(wanted.rstrip("+")), wanted.endswith("+")
    commits = iter(range(1, number + 1))

    def count() -> None:
        if next(commits, None) == number:
            os._exit(77)

    if after:
        database.after_commit = count
    else:
        database.before_commit = count


class House:
    """What runs now, behind one address; safe to ask from any thread."""

    def __init__(
        self,
        relais: Relais,
        *,
        compose: Callable[[Configuration], Relais],
        application: Callable[[Relais], WSGIApplication],
    ) -> None:
        self.relais = relais
        self._compose = compose
        self._make_application = application
        self._application = application(relais)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._runs = False
        self._failed: tuple[str, float] | None = None  # the version that could not be followed, and when that was
        self._watch = threading.Thread(target=self._look, name="relais-versions", daemon=True)

    def __call__(self, environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request as the version that is active now does."""
        return self._application(environment, start_response)

    def start(self) -> None:
        """Begin to work, from where the last process ended."""
        self._watch.start()
        with self._lock:
            self.relais.start()
            self._runs = True

    def stop(self) -> None:
        """End within the five seconds that are promised."""
        self._ended.set()
        with self._lock:
            self.relais.stop()
            self.relais.ground.close()

    def ring(self) -> None:
        """Orthanc stored something."""
        self.relais.feed.ring()

    def hear(self, job: str, *, succeeded: bool) -> None:
        """A job of Orthanc ended."""
        self.relais.sending.hear(job, succeeded=succeeded)

    def listen_to_modalities(self) -> None:
        """From now on `hear_modalities` is called, which tells all where no other node changes them."""
        if not self.relais.surroundings.document.get("DicomModalitiesInDatabase", False):
            self.relais.sending.modalities = 0

    def hear_modalities(self) -> None:
        """Somebody changed Orthanc's modalities, perhaps we."""
        sending = self.relais.sending
        if sending.modalities is not None:
            sending.modalities += 1

    def _look(self) -> None:
        while not self._ended.wait(LOOK):
            try:
                self._follow()
            except Exception:  # one of the boundaries
                log.exception("the active version cannot be followed yet: until then nothing is decided or sent here")

    def _follow(self) -> None:
        """Build the house of the active version, if that is another one, or if it did not come to work."""
        with self._lock:
            former, runs = self.relais, self._runs
        if runs and (self._is_file or former.versions.active_digest() == former.configuration.digest):
            return
        digest = former.versions.active_digest()
        if self._failed is not None and self._failed[0] == digest and time.monotonic() < self._failed[1] + AGAIN:
            return
        self._failed = (digest, time.monotonic())
        following = self._compose(former.versions.active_configuration())
        application = self._make_application(following)
        with self._lock:
            if self._ended.is_set():
                return
            former.stop()
            self.relais, self._application, self._runs = following, application, False
            following.start()
            self._runs, self._failed = True, None

    @property
    def _is_file(self) -> bool:
        return self.relais.ground.seat.source == FROM_FILE
