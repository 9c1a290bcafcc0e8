"""Work that can hang inside the kernel, where nothing reaches it: in a thread that can be left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from relais.domain.retry import ErrorClass
from relais.transports.port import SendingError, Stop

LOOK = 0.2
"""Seconds between looks whether the work is to be given up."""
GRACE = 2.0
"""Seconds that it has then to end by itself."""

Made = TypeVar("Made")


class Silence:
    """A Stop that is set where nothing was heard for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def heard(self) -> None:
        """Begin anew."""
        self._until = time.monotonic() + self._seconds

    def is_set(self) -> bool:
        """Whether it lasted too long."""
        return time.monotonic() > self._until

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds at most; whether it lasted too long."""
        time.sleep(max(0.0, min(timeout, self._until - time.monotonic())))
        return self.is_set()


class Hand:
    """The Stop of one piece of work: it stays set once the work was left behind, which is never taken back."""

    def __init__(self, stopping: Stop) -> None:
        self._stopping = stopping
        self._left = threading.Event()

    @property
    def left(self) -> bool:
        """Whether nobody waits for the work any more."""
        return self._left.is_set()

    def leave(self) -> None:
        """Wait no longer."""
        self._left.set()

    def is_set(self) -> bool:
        """Whether the work is to be given up."""
        return self._left.is_set() or self._stopping.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds at most; whether the work is to be given up."""
        return self._left.is_set() or self._stopping.wait(timeout)


class Aside:
    """Runs the work of one destination, each piece in a thread of its own; safe to share between threads.

    While one that was left behind still hangs, nothing else begins: so nothing old is done after something newer, and
    never more threads hang than worked at once.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._behind: list[threading.Thread] = []
        self._lock = threading.Lock()

    def run(self, work: Callable[[Hand], Made], stopping: Stop) -> Made:
        """What the work makes or raises; InterruptedError where it goes on for GRACE after `stopping` was set.

        Raises SendingError where what was left behind still hangs.
        """
        with self._lock:
            self._behind = [each for each in self._behind if each.is_alive()]
            if self._behind:
                raise self.hung()
        hand, made = Hand(stopping), Future[Made]()

        def run() -> None:
            try:
                made.set_result(work(hand))
            except BaseException as error:  # noqa: BLE001 - it is raised where the work is waited for
                made.set_exception(error)

        thread = threading.Thread(target=run, name="relais-aside", daemon=True)
        thread.start()
        while not wait([made], LOOK).done:
            if stopping.is_set() and not wait([made], GRACE).done:
                with self._lock:
                    hand.leave()
                    self._behind.append(thread)
                raise InterruptedError
        return made.result()

    def hung(self) -> SendingError:
        """Nothing is heard of what was begun there."""
        text = f"{self._where}: the file system does not answer"
        return SendingError(ErrorClass.Transient, "hung", text, unreachable=True)
