"""The loop that claims tasks and runs them, a thread each, so many a lane.

One of the four boundaries: whatever a task raises ends here, once, with its traceback, as a retry or a dead letter.
"""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from relais.clock import Clock
from relais.database import Database
from relais.domain.retry import Backoff
from relais.tasks import LEASE, Claim, StaleClaimError, Tasks

log = logging.getLogger(__name__)

POLL = 1.0
"""Seconds between looks at every lane, for the work that other nodes scheduled."""
JUMP = timedelta(seconds=5)
"""A step of the wall clock against the monotonic one that is more than drift."""
AGEING = 60.0
"""Seconds between looks for what has waited too long for its priority."""
ATTEMPTS = 12
BACKOFF = Backoff(first=timedelta(seconds=1), maximum=timedelta(minutes=5))


class StoppingError(Exception):
    """The worker stops: the task goes back untouched."""


class Handler(Protocol):
    """Runs one claimed task and finishes, retries or buries it in its own transaction."""

    def __call__(self, claim: Claim) -> None:
        """Run it."""
        ...


class Worker:
    """Claims due tasks for the free places of each lane and runs them."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        handlers: Mapping[str, Handler],
        lanes: Mapping[str, int],
        shared: Mapping[str, int] | None = None,
        observe: Callable[[str, float], None] = lambda _kind, _seconds: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._handlers = handlers
        self._lanes = lanes
        self._shared = shared
        self._observe = observe
        self._wake = threading.Event()
        self._running: dict[Claim, threading.Thread] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._anchor = (clock.now(), clock.monotonic())
        self._beaten = self._aged = clock.monotonic()
        self.stopping = threading.Event()

    def start(self, node: str) -> None:
        """Take over what this node's earlier process left, and begin."""
        self._tasks.reclaim(also_of=node)
        self._thread = threading.Thread(target=self._loop, name="relais-worker", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Stop within so many seconds; what still runs then goes back to the table."""
        self.stopping.set()
        self._wake.set()
        deadline = self._clock.monotonic() + seconds
        with self._lock:
            running = dict(self._running)
        for thread in [self._thread, *running.values()]:
            if thread is not None:
                thread.join(max(0.0, deadline - self._clock.monotonic()))
        for claim in self.running():
            self._tasks.release(claim)

    def wake(self) -> None:
        """Look at the table now: something was scheduled."""
        self._wake.set()

    def running(self) -> list[Claim]:
        """What runs at this moment."""
        with self._lock:
            return list(self._running)

    def alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread is not None and self._thread.is_alive()

    def turn(self) -> int:
        """One turn of the loop: claim what is due and start it; says how many."""
        self._follow_clock()
        due = self._tasks.due(self._lanes, Counter(claim.lane for claim in self.running()))
        claims = self._tasks.claim(due, self._shared) if due else []
        for claim in claims:
            thread = threading.Thread(target=self._run, args=(claim,), name=f"relais-{claim.kind}", daemon=True)
            with self._lock:
                self._running[claim] = thread
            thread.start()
        return len(claims)

    def _loop(self) -> None:
        while not self.stopping.is_set():
            self._wake.clear()
            try:
                looked_at = self._clock.now()
                started = self.turn()
                wait = 0.0 if started and self._has_free_place() else self._pause(looked_at)
                self._beat()
            except Exception:
                log.exception("the worker could not look at its tasks; trying again")
                wait = POLL
            if wait:
                self._wake.wait(wait)

    def _has_free_place(self) -> bool:
        busy = Counter(claim.lane for claim in self.running())
        return any(busy[name] < limit for name, limit in self._lanes.items() if busy[name])

    def _pause(self, looked_at: datetime) -> float:
        moment = self._tasks.next_at(looked_at)
        if moment is None:
            return POLL
        return min(POLL, max(0.001, (moment - self._clock.now()).total_seconds()))

    def _beat(self) -> None:
        """Keep our own leases, and free the tasks of those who could not keep theirs."""
        now = self._clock.monotonic()
        if now - self._beaten > LEASE.total_seconds() / 6:
            self._beaten = now
            self._tasks.reclaim()
            running = self.running()
            if running:
                self._tasks.heartbeat(running)
        if now - self._aged > AGEING:
            self._aged = now
            self._tasks.age()

    def _follow_clock(self) -> None:
        wall, steady = self._clock.now(), self._clock.monotonic()
        jump = (wall - self._anchor[0]) - timedelta(seconds=steady - self._anchor[1])
        self._anchor = (wall, steady)
        if abs(jump) > JUMP:
            log.warning("the clock jumped by %.0f s; whatever waits moves with it", jump.total_seconds())
            self._tasks.shift(jump)

    def _run(self, claim: Claim) -> None:
        started = self._clock.monotonic()
        try:
            self._handlers[claim.kind](claim)
        except StaleClaimError:
            log.warning("task %s: its lease was lost to another owner; nothing was changed", claim.key)
        except StoppingError:
            self._tasks.release(claim)
        except Exception as error:
            log.exception("task %s failed", claim.key)
            self._fail(claim, error)
        finally:
            with self._lock:
                self._running.pop(claim, None)
            self._observe(claim.kind, self._clock.monotonic() - started)
            self._wake.set()

    def _fail(self, claim: Claim, error: Exception) -> None:
        text = "".join(traceback.format_exception_only(error)).strip()[:500]
        try:
            with self._database.write() as connection:
                if claim.attempts + 1 >= ATTEMPTS:
                    self._tasks.bury(connection, claim, text)
                else:
                    delay = BACKOFF.delay(claim.attempts + 1, random.random())
                    self._tasks.retry(connection, claim, self._clock.now() + delay, text)
        except Exception:  # the lease will run out, and the task is claimed again
            log.exception("task %s: its failure could not be written down", claim.key)
