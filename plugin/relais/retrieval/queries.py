"""One question to many sources at once: each has its thread and its time, and no one waits for another.

Answers are kept in memory only, for the person who asked and for some minutes: they name patients who may be nobody's
business here. Who asked whom, and by which keys, is audited; what the keys said is not.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import import_module
from typing import Any

from relais.clock import Clock
from relais.configuration import Configuration, DicomSource
from relais.configuration import Source as Configured
from relais.database import Database
from relais.domain.document import DocumentError, Problem
from relais.domain.merging import Merged, merged
from relais.domain.querying import Answer, Level, SourceState, faults, is_bounded, range_text, read_range
from relais.domain.retry import ErrorClass
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.transports.sources.port import AskingError, Ended, Source
from relais.transports.sources.windows import find_all

log = logging.getLogger(__name__)

RECENT_DAYS = 7
"""A question that tells nothing apart is asked of so many days."""
LIMIT, MOST_ANSWERS = 200, 2000
MOST_SECONDS = 300
MOST_THREADS = 128
"""Sources that are being asked at once, over all questions; one question alone may have more."""
RUNNING_EACH, KEPT_EACH = 4, 8
"""Questions of one person that are under way, and that are kept."""
APART, FARTHEST = 0.02, 0.4
"""Seconds by which one source is asked after the other, and at most: all at once, none would answer early."""
KEPT_SECONDS = 900.0
"""How long answers are kept after they were last looked at."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, and whom; None is every source that the person may ask, and each source's own patience."""

    level: Level = Level.Study
    keys: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] | None = None
    limit: int = LIMIT
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How one source took it; `code` says why it did not answer."""

    name: str
    state: SourceState = SourceState.Waiting
    milliseconds: int | None = None
    count: int = 0
    dropped: int = 0
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What there is so far. `state` is Running, Completed, or Ended where a person ended it.

    `truncated` where there is more than the limit; `notes` are codes with values, of what the person should know.
    """

    state: str
    sources: tuple[Asked, ...]
    answers: tuple[Merged, ...]
    truncated: bool
    notes: tuple[Problem, ...]


class Query:
    """One question under way, or over; safe to read from any thread."""

    def __init__(self, question: Question, actor: str, sources: tuple[str, ...], notes: tuple[Problem, ...]) -> None:
        self.id = secrets.token_hex(12)
        self.actor = actor
        self.question = question
        self.stopping = threading.Event()
        self.looked_at = time.monotonic()
        self._notes = notes
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._asked = {name: Asked(name=name) for name in sources}
        self._answers: list[tuple[str, Answer]] = []

    def take(self, source: str, answer: Answer) -> None:
        """An answer arrived."""
        with self._changed:
            self._answers.append((source, answer))
            known = self._asked[source]
            self._asked[source] = Asked(name=source, count=known.count + 1)

    def settle(self, source: str, state: SourceState, *, code: str | None = None, dropped: int = 0) -> None:
        """The source is through, or failed."""
        with self._changed:
            self._asked[source] = Asked(
                name=source,
                state=state,
                milliseconds=round((time.monotonic() - self._began) * 1000),
                count=self._asked[source].count,
                dropped=dropped,
                code=code,
            )
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many sources are being asked."""
        with self._changed:
            return sum(each.state is SourceState.Waiting for each in self._asked.values())

    def wait(self, seconds: float) -> bool:
        """Wait until every source is through, or so many seconds; whether all are."""
        with self._changed:
            return self._changed.wait_for(self._is_over, seconds)

    def snapshot(self) -> Snapshot:
        """What there is so far."""
        self.looked_at = time.monotonic()
        with self._changed:
            asked, answers = tuple(self._asked.values()), list(self._answers)
        found = merged(self.question.level, answers)
        shown = found[: self.question.limit]
        running = any(each.state is SourceState.Waiting for each in asked)
        torn = sum(each.several_patients for each in shown) if self.question.level is not Level.Patient else 0
        return Snapshot(
            state="Ended" if self.stopping.is_set() else "Running" if running else "Completed",
            sources=asked,
            answers=tuple(shown),
            truncated=len(found) > len(shown),
            notes=(*self._notes, *([Problem("", "several-patients", {"count": torn})] if torn else [])),
        )

    def _is_over(self) -> bool:
        return self.stopping.is_set() or all(each.state is not SourceState.Waiting for each in self._asked.values())


class Queries:
    """Asks sources for people."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
        configuration: Configuration,
        sources: Mapping[str, Source],
    ) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._configured = configuration.sources
        self._sources = sources
        self._lock = threading.Lock()
        self._kept: dict[str, Query] = {}

    def warm(self) -> None:
        """Load what speaks DICOM before the first question waits for it."""
        if any(isinstance(each, DicomSource) for each in self._configured.values()):
            threading.Thread(target=import_module, args=("pynetdicom",), name="relais-warm", daemon=True).start()

    def permitted(self, clinics: frozenset[str] | None) -> list[str]:
        """The sources that people of these clinics may ask; None is all clinics."""
        return [name for name, each in self._configured.items() if _may_ask(each, clinics)]

    def ask(self, question: Question, *, actor: str, clinics: frozenset[str] | None) -> Query:
        """Begin to ask; answers come in by themselves.

        Raises DocumentError where the keys cannot be meant, UnknownError for a source that the person may not ask, and
        StateError where there is none, or too much is being asked.
        """
        problems = tuple(faults(question.level, question.keys))
        if problems:
            raise DocumentError(problems)
        names = self._named(question.sources, clinics)
        question, level, notes = self._bounded(question)
        query = Query(question, actor, names, notes)
        self._admit(query)
        try:
            with self._database.write() as connection:
                self._journal.record(
                    connection,
                    "source.asked",
                    actor=actor,
                    Sources=list(names),
                    Level=question.level.value,
                    Keys=sorted(keyword for keyword, value in question.keys.items() if value.strip()),
                )
        except BaseException:
            self._forget(query)
            raise
        for place, name in enumerate(names):
            arguments = (query, name, level, min(place * APART, FARTHEST))
            threading.Thread(target=self._run, args=arguments, name=f"relais-ask-{name}", daemon=True).start()
        return query

    def get(self, query_id: str, actor: str) -> Query:
        """The person's question of this id; raises UnknownError."""
        with self._lock:
            self._clear()
            query = self._kept.get(query_id)
        if query is None or query.actor != actor:
            raise UnknownError("query", query_id)
        return query

    def end(self, query_id: str, actor: str) -> None:
        """Ask no further, and forget the answers; raises UnknownError."""
        query = self.get(query_id, actor)
        query.stopping.set()
        self._forget(query)

    def close(self) -> None:
        """Ask no further."""
        with self._lock:
            for query in self._kept.values():
                query.stopping.set()
            self._kept.clear()

    def _named(self, names: tuple[str, ...] | None, clinics: frozenset[str] | None) -> tuple[str, ...]:
        permitted = self.permitted(clinics)
        for name in names or ():
            if name not in permitted:
                raise UnknownError("source", name)
        found = tuple(dict.fromkeys(permitted if names is None else names))
        if not found:
            raise StateError("no-source")
        return found

    def _bounded(self, question: Question) -> tuple[Question, Level, tuple[Problem, ...]]:
        """The question, its level, and what is told of it: one for everything is for recent days."""
        if question.level in (Level.Series, Level.Instance) or is_bounded(question.keys):
            return question, question.level, ()
        today = self._clock.now().date()
        span = range_text(today - timedelta(days=RECENT_DAYS), today + timedelta(days=1))
        keys = {**question.keys, "StudyDate": span}
        return replace(question, keys=keys), Level.Study, (Problem("", "recent-only", {"days": RECENT_DAYS}),)

    def _admit(self, query: Query) -> None:
        with self._lock:
            self._clear()
            running = [each for each in self._kept.values() if each.waiting and not each.stopping.is_set()]
            own = [each for each in running if each.actor == query.actor]
            if len(own) >= RUNNING_EACH or (running and sum(each.waiting for each in running) >= MOST_THREADS):
                raise StateError("queries-running", limit=str(RUNNING_EACH))
            mine = [each for each in self._kept.values() if each.actor == query.actor and each not in own]
            for each in sorted(mine, key=lambda one: one.looked_at)[: max(0, len(mine) - KEPT_EACH + 1)]:
                del self._kept[each.id]
            self._kept[query.id] = query

    def _clear(self) -> None:
        """Forget what nobody looked at for a while; called with the lock held."""
        old = time.monotonic() - KEPT_SECONDS
        for each in [each for each in self._kept.values() if each.looked_at < old]:
            each.stopping.set()
            del self._kept[each.id]

    def _forget(self, query: Query) -> None:
        with self._lock:
            self._kept.pop(query.id, None)

    def _run(self, query: Query, name: str, level: Level, wait: float) -> None:
        """Ask one source after so many seconds; whatever goes wrong is its state."""
        try:
            query.stopping.wait(wait)
            ended = self._ask(query, name, level)
        except AskingError as error:
            query.settle(name, error.state, code=error.code)
        except InterruptedError:
            query.settle(name, SourceState.TimedOut, code="ended")
        except Exception:  # a boundary: this thread has nobody above it
            log.exception("source %s could not be asked", name)
            query.settle(name, SourceState.Refused, code="broken")
        else:
            state = SourceState.Truncated if ended.truncated else SourceState.Answered
            query.settle(name, state, dropped=ended.dropped)

    def _ask(self, query: Query, name: str, level: Level) -> Ended:
        question, configured = query.question, self._configured[name]
        manners = configured.manners
        if level not in manners.levels:
            if level is not Level.Patient:
                raise AskingError(SourceState.Refused, ErrorClass.Configuration, "level-not-asked", level.value)
            level = Level.Study  # whose studies there are says which patients
        seconds = manners.timeout if question.seconds is None else question.seconds

        def take(answer: Answer) -> None:
            query.take(name, answer)

        common: dict[str, Any] = {
            "limit": question.limit,
            "seconds": float(seconds),
            "stopping": query.stopping,
            "take": take,
        }
        source = self._sources[name]
        span = read_range(question.keys.get("StudyDate", "") or "-") if level is Level.Study else None
        if span is None or span[0] is None:
            return source.find(level, question.keys, **common)
        last = span[1] or self._clock.now().date() + timedelta(days=1)
        return find_all(source, question.keys, span[0], max(span[0], last), **common)


def _may_ask(source: Configured, clinics: frozenset[str] | None) -> bool:
    return clinics is None or "*" in source.clinics or not clinics.isdisjoint(source.clinics)
