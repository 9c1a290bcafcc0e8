"""What every way of asking a source, and of fetching from it, promises."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from relais.domain.querying import Answer, Level, SourceState
from relais.domain.retry import ErrorClass
from relais.transports.port import Stop

Take = Callable[[Answer], None]
"""Is handed each answer as it arrives."""
Progress = Callable[[int, int], None]
"""Is told how many of how many are through."""
PROBE_SECONDS = 5.0


class AskingError(Exception):
    """A question, or a retrieval, came to nothing.

    `code` is the protocol's own (a DIMSE status such as `A900`, an HTTP status) or a word such as `refused`, `text`
    says it in words for the log. Transient passes, Configuration waits for an administrator, Permanent for a person.
    `busy`: it takes nobody at the moment, whatever is asked.
    """

    def __init__(
        self, state: SourceState, error_class: ErrorClass, code: str, text: str, *, busy: bool = False
    ) -> None:
        super().__init__(f"{code}: {text}")
        self.state = state
        self.error_class = error_class
        self.code = code
        self.text = text
        self.busy = busy

    @property
    def unreachable(self) -> bool:
        """Whether it is the source that fails, and not this one question."""
        return self.state in (SourceState.Unreachable, SourceState.TimedOut)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a question ended.

    `truncated`: there is, or may be, more than was answered; with `only_untimed` that can only be studies without a
    StudyTime. `dropped`: answers left out for want of a sound UID.
    """

    truncated: bool = False
    dropped: int = 0
    only_untimed: bool = False


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """What the source says that it sent, -1 where it does not; `status` is the protocol's. Never a proof."""

    completed: int
    failed: int
    warnings: int
    status: str


@dataclass(frozen=True, kw_only=True)
class SeriesListed:
    """The SOPInstanceUIDs of a series; `expected` is how many it counts, where it does."""

    uids: tuple[str, ...]
    expected: int | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What a source has of a study; `certain` where nothing of it can be missing from this list."""

    series: Mapping[str, SeriesListed] = field(default_factory=dict)
    certain: bool = True

    @property
    def uids(self) -> tuple[str, ...]:
        """Every SOPInstanceUID."""
        return tuple(uid for each in self.series.values() for uid in each.uids)


class Source(Protocol):
    """One source; safe to share between threads. Calls raise AskingError, InterruptedError when `stopping` is set."""

    @property
    def name(self) -> str:
        """As the configuration has it."""
        ...

    def find(
        self, level: Level, keys: Mapping[str, str], *, limit: int, seconds: float, stopping: Stop, take: Take
    ) -> Ended:
        """Ask for what matches the keys; an empty value is only wanted back.

        Hands each answer that matches to `take` as it arrives, `limit` of them at most, each once by its unique key.
        Nothing is asked any more after so many seconds.
        """
        ...

    def instances(self, study: str, series: str | None = None, *, stopping: Stop) -> Listed:
        """What it has of a study, or of one of its series; an empty list where it has nothing."""
        ...

    def retrieve(
        self,
        study: str,
        series: str | None = None,
        instances: Sequence[str] = (),
        *,
        progress: Progress,
        stopping: Stop,
    ) -> Retrieved:
        """Have it sent to our Orthanc: a study, one of its series, or some instances of that series.

        Returns when the source says that it is done.
        """
        ...

    def probe(self, seconds: float = PROBE_SECONDS) -> None:
        """See cheaply whether it can be reached at all."""
        ...

    def close(self) -> None:
        """Let go of idle connections."""
        ...


class Until:
    """Stops when another does, or when the time is over (seconds from now)."""

    def __init__(self, stopping: Stop, seconds: float) -> None:
        self._stopping = stopping
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left; 0 when the time is over."""
        return max(0.0, self._end - time.monotonic())

    def is_set(self) -> bool:
        """Whether it is time to stop."""
        return self.left == 0.0 or self._stopping.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds at most."""
        return self._stopping.wait(min(timeout, self.left)) or self.left == 0.0
