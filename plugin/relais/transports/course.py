"""A batch that several threads send, part by part."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from relais.transports.outcome import Outcome
from relais.transports.port import Item, SendingError

Part = Sequence[Item]


class Course:
    """What is left of a batch, and what became of the rest; safe to share between the threads that send it."""

    def __init__(self, parts: Iterable[Part], progress: Callable[[int], None]) -> None:
        self._left = deque(parts)
        self._outcome = Outcome(progress)
        self._sending: dict[int, int] = {}
        self._broken: list[tuple[Part, SendingError]] = []
        self._over = False
        self._lock = threading.Lock()

    def run(
        self, send: Callable[[Part], None], *, at_once: int, around: Callable[[], AbstractContextManager[None]]
    ) -> Mapping[str, SendingError]:
        """`send` every part, so many at once, each thread's work `around` it; answers what was refused.

        A SendingError of `send` ends the course: it is raised if nothing got through, else whatever is left shares it.
        """

        def work() -> None:
            try:
                with around():
                    while (part := self._next()) is not None:
                        self._send(send, part)
            except BaseException:
                self._over = True
                raise

        with ThreadPoolExecutor(at_once, "relais-send") as others:
            running = [others.submit(work) for _ in range(min(at_once, len(self._left)) - 1)]
            work()
        for each in running:
            each.result()
        return self._end()

    def again(self, parts: Sequence[Part]) -> None:
        """These are to be sent next."""
        with self._lock:
            self._left.extendleft(reversed(parts))

    def takes(self, count: int) -> None:
        """The peer has so many of those that this thread sends it now."""
        with self._lock:
            self._sending[threading.get_ident()] = count
            self._outcome.takes(sum(self._sending.values()))

    def took(self, count: int) -> None:
        """The peer has so many more."""
        with self._lock:
            self._sending.pop(threading.get_ident(), None)
            self._outcome.took(count)

    def refuse(self, items: Iterable[Item], error: SendingError) -> None:
        """The peer has not these."""
        with self._lock:
            self._outcome.refuse(items, error)

    def failed(self, item: Item, error: SendingError) -> None:
        """This one was refused; raises what concerns more than this one."""
        with self._lock:
            self._outcome.failed(item, error)

    def _next(self) -> Part | None:
        with self._lock:
            ended = self._over or self._broken or not self._left or not self._outcome.goes_on
            return None if ended else self._left.popleft()

    def _send(self, send: Callable[[Part], None], part: Part) -> None:
        try:
            send(part)
        except SendingError as error:
            with self._lock:
                self._broken.append((part, error))

    def _end(self) -> Mapping[str, SendingError]:
        left = [item for part in self._left for item in part]
        if self._broken:
            error = self._broken[0][1]
            if not self._outcome.through:
                raise error
            self._outcome.refuse([*(item for part, _ in self._broken for item in part), *left], error)
        else:
            self._outcome.leave(left)
        self._outcome.takes(0)
        return self._outcome.end()
