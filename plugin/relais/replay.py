"""Replay: what past studies would have become under another configuration, before anybody activates it.

The durable task `replay` takes the facts of the newest decision of each study, the newest study first, and compares
what the active and the proposed configuration would do with them at the moment the study was decided. The cursor, the
counts and the changes of a page are one transaction: after a kill it goes on from there, and counts each study once.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, insert, select, update

from relais.apart import ApartError, NoInterpreterError
from relais.clock import Clock
from relais.configuration import Configuration, load
from relais.database import Database, inserted_id, queries
from relais.database.configuration_tables import replay, replay_change
from relais.database.tables import decision, task
from relais.domain.comparison import ReplayState, Tally
from relais.domain.priority import Priority
from relais.domain.states import TaskState
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.replay_judge import Answer, Judge, bare, load_bare
from relais.replay_process import JudgeApart
from relais.residency import in_force
from relais.tasks import Claim, Tasks
from relais.worker import StoppingError

log = logging.getLogger(__name__)

KIND = LANE = "replay"
PAGE = 200
"""Studies in one transaction."""
KEPT = 10
"""How many replays that are over are kept; the oldest go first, with their changes."""
WAITING = 5
"""How many may wait or run at once."""
MOST_CHANGES = 50_000
"""How many changes of one replay can be listed; those beyond are counted alone."""
PIECE = 2_000
"""How many old changes are deleted in one transaction."""
ATTEMPTS = 3
"""How often a process that ended is started again."""
REST = 4.0
"""Where there is no other process, each second of judging is followed by so many seconds of rest."""
REST_APART, REST_BESIDE = 0.1, 1.0
"""The same where there is one, which takes memory, caches and perhaps the processor: more rest beside live routing."""
SOON = timedelta(seconds=10)
"""Routing is live while anything is due within this time: a study that arrives has its quiet time as a task."""
UNFINISHED = (ReplayState.Waiting, ReplayState.Running)

_LIVE = select(
    exists().where(
        task.c.lane != LANE,
        (task.c.state == TaskState.Running)
        | ((task.c.state == TaskState.Waiting) & (task.c.run_at <= bindparam("soon"))),
    )
)

Judging = Callable[[str], Answer]


class Proposal(Protocol):
    """A version, as far as a replay asks for it."""

    @property
    def document(self) -> Mapping[str, Any]:
        """The section without Database and ConfigurationSource."""
        ...

    @property
    def digest(self) -> str:
        """What tells versions apart."""
        ...


class Proposals(Protocol):
    """Where versions are."""

    def get(self, number: int, /) -> Proposal:
        """The version; raises UnknownError."""
        ...


@dataclass(frozen=True, kw_only=True)
class Span:
    """Which past studies: the newest so many, or all that were decided in the last so many days."""

    studies: int | None = None
    days: int | None = None

    def __post_init__(self) -> None:
        if (self.studies is None) is (self.days is None):
            raise ValueError("a span has either studies or days")


class Replay:
    """Starts, runs and cancels replays.

    `interpreter` is a Python to judge with in a process of its own; without one it is done here, with long rests.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        versions: Proposals,
        directory: Path,
        stopping: threading.Event,
        interpreter: str | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._configuration = configuration
        self._versions = versions
        self._directory = directory
        self._stopping = stopping
        self._interpreter = interpreter

    def start(self, proposed: int | Mapping[str, Any], span: Span, *, actor: str) -> int:
        """Compare the active configuration with a version, or with a whole section that a file may become.

        Answers the replay's id. Raises UnknownError, StateError when too many wait, and ConfigurationErrors with every
        problem of a document that could not be replayed; then nothing is started.
        """
        if isinstance(proposed, int):
            version = self._versions.get(proposed)
            after, digest = load_bare(version.document, self._directory), version.digest
        else:
            after = load(proposed, directory=self._directory)
            digest = after.digest
        now = self._clock.now()
        with self._database.write() as connection:
            waiting = select(func.count()).select_from(replay).where(replay.c.state.in_(UNFINISHED))
            if connection.execute(waiting).scalar_one() >= WAITING:
                raise StateError("replays-waiting", limit=str(WAITING))
            values = {
                "state": ReplayState.Waiting,
                "version": proposed if isinstance(proposed, int) else None,
                "before_digest": self._configuration.digest,
                "after_digest": digest,
                "before": bare(self._configuration.document),
                "after": bare(after.document),
                "studies": span.studies,
                "days": span.days,
                "ceiling": connection.execute(select(func.coalesce(func.max(decision.c.id), 0))).scalar_one(),
                "done": 0,
                "changes": 0,
                "tally": Tally().to_json(),
                "actor": actor,
                "created_at": now,
            }
            replay_id = inserted_id(connection.execute(insert(replay).values(values)))
            self._tasks.schedule(
                connection,
                kind=KIND,
                lane=LANE,
                key=f"{KIND}:{replay_id}",
                run_at=now,
                priority=Priority.Background,
                payload={"Replay": replay_id},
            )
            detail = {"Replay": replay_id, "Version": values["version"], "Digest": digest}
            asked = {"Studies": span.studies, "Days": span.days}
            detail |= {name: value for name, value in asked.items() if value is not None}
            self._journal.record(connection, "replay.started", actor=actor, **detail)
        return replay_id

    def cancel(self, replay_id: int, *, actor: str) -> None:
        """End a replay that waits or runs; what it found so far stays. Raises UnknownError, StateError."""
        with self._database.write() as connection:
            if not self._end(connection, replay_id, ReplayState.Canceled):
                known = connection.execute(select(replay.c.id).where(replay.c.id == replay_id)).first()
                raise UnknownError("replay", replay_id) if known is None else StateError("replay-over")
            self._journal.record(connection, "replay.canceled", actor=actor, Replay=replay_id)

    def __call__(self, claim: Claim) -> None:
        """The task: page after page to the end, or until somebody cancels it."""
        row = self._begin(claim)
        self._forget_old()
        if row is None:
            return
        try:
            with self._judging(row.before, row.after) as judge:
                self._follow(claim, row, judge)
        except ApartError as error:
            if claim.attempts + 1 < ATTEMPTS:
                raise
            log.error("replay %d: %s", row.id, error)  # noqa: TRY400 - the other process's trace is in its words
            with self._database.write() as connection:
                failed = self._end(connection, row.id, ReplayState.Failed, error=str(error))
                self._tasks.finish(connection, claim)
                if failed:
                    self._journal.record(connection, "replay.failed", Replay=row.id)

    def _begin(self, claim: Claim) -> Row[Any] | None:
        """The replay's row, counted; None when there is nothing to do any more, and the task is finished."""
        mine = replay.c.id == claim.payload["Replay"]
        with self._database.read() as connection:
            row = connection.execute(select(replay).where(mine)).one_or_none()
            values: dict[str, Any] = {}
            if row is not None and row.state == ReplayState.Waiting:
                values = {
                    "state": ReplayState.Running,
                    "started_at": self._clock.now(),
                    **queries.replays.extent(connection, row),
                }
        with self._database.write() as connection:
            begun = None
            if row is not None and row.state in UNFINISHED:
                changed = update(replay).where(mine, replay.c.state == row.state)
                if not values or connection.execute(changed.values(values)).rowcount:
                    begun = connection.execute(select(replay).where(mine)).one()
            if begun is None:
                self._tasks.finish(connection, claim)
            else:
                self._tasks.check(connection, claim)
            return begun

    def _follow(self, claim: Claim, row: Row[Any], judge: Judging) -> None:
        """Page after page from the cursor on; raises StoppingError when Relais ends before."""
        progress, began = _Progress.of(row), time.monotonic()
        while not self._stopping.is_set():
            limit = PAGE if row.studies is None else min(PAGE, row.studies - progress.done)
            with self._database.read() as connection:
                page = queries.replays.facts(connection, row, progress.cursor, limit)
            if not page:
                self._complete(claim, row.id, progress)
                return
            answer = judge(_text(page))
            changes = progress.count(page, answer)
            pace = (time.monotonic() - began) / (progress.done - row.done)
            seconds_left = round(pace * max(0, row.total - progress.done))
            with self._database.write() as connection:
                running = update(replay).where(replay.c.id == row.id, replay.c.state == ReplayState.Running)
                values = {**progress.to_row(), "seconds_left": seconds_left}
                if connection.execute(running.values(values)).rowcount == 0:  # canceled
                    self._tasks.finish(connection, claim)
                    return
                self._tasks.check(connection, claim)
                if changes:
                    connection.execute(insert(replay_change), [{"replay_id": row.id, **each} for each in changes])
        raise StoppingError

    def _complete(self, claim: Claim, replay_id: int, progress: _Progress) -> None:
        with self._database.write() as connection:
            over = self._end(connection, replay_id, ReplayState.Completed, total=progress.done)
            self._tasks.finish(connection, claim)
            if over:
                counts: dict[str, Any] = {"Studies": progress.tally.studies, "Changed": progress.tally.changed}
                self._journal.record(connection, "replay.completed", Replay=replay_id, **counts)

    @contextmanager
    def _judging(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Judging]:
        with self._database.read() as connection:
            restrictions = in_force(connection, self._clock.now())
        apart = JudgeApart(
            self._interpreter,
            before,
            after,
            restrictions=restrictions,
            directory=self._directory,
            stopping=self._stopping,
        )
        with ExitStack() as ending:
            try:
                judging: Judging = partial(self._ask, ending.enter_context(apart))
            except NoInterpreterError:
                log.warning("there is no other Python on this machine: the replay goes slowly, not to be in the way")
                here = Judge(load_bare(before, self._directory), load_bare(after, self._directory), restrictions)
                judging = partial(here.page, pause=self._rest)
            yield judging

    def _ask(self, apart: JudgeApart, page: str) -> Answer:
        began = time.monotonic()
        answer = apart.page(page)
        self._rest(time.monotonic() - began, REST_BESIDE if self._is_routing() else REST_APART)
        return answer

    def _is_routing(self) -> bool:
        with self._database.read() as connection:
            return bool(connection.execute(_LIVE, {"soon": self._clock.now() + SOON}).scalar())

    def _rest(self, seconds: float, share: float = REST) -> None:
        if self._stopping.wait(seconds * share):
            raise StoppingError

    def _end(self, connection: Connection, replay_id: int, state: ReplayState, **values: Any) -> bool:
        """The replay is over, unless it was already."""
        over = {"state": state, "finished_at": self._clock.now(), "seconds_left": None, "before": None, "after": None}
        ended = update(replay).where(replay.c.id == replay_id, replay.c.state.in_(UNFINISHED))
        return connection.execute(ended.values(over | values)).rowcount == 1

    def _forget_old(self) -> None:
        """Delete what is beyond KEPT, in pieces that hold nobody up."""
        finished = select(replay.c.id).where(replay.c.state.not_in(UNFINISHED))
        with self._database.read() as connection:
            old = connection.execute(finished.order_by(replay.c.id.desc()).offset(KEPT)).scalars().all()
        for replay_id in old:
            piece = delete(replay_change).where(
                replay_change.c.replay_id == replay_id,
                replay_change.c.number
                < select(func.min(replay_change.c.number) + PIECE)
                .where(replay_change.c.replay_id == replay_id)
                .scalar_subquery(),
            )
            deleted = PIECE
            while deleted:
                with self._database.write() as connection:
                    deleted = connection.execute(piece).rowcount
                    if not deleted:
                        connection.execute(delete(replay).where(replay.c.id == replay_id))


@dataclass(kw_only=True)
class _Progress:
    """How far one claim of the task has come, from its row on."""

    cursor: int
    done: int
    changes: int
    tally: Tally

    @classmethod
    def of(cls, row: Row[Any]) -> _Progress:
        """Where the row stands."""
        return cls(cursor=row.cursor, done=row.done, changes=row.changes, tally=Tally.from_json(row.tally))

    def count(self, page: Sequence[Row[Any]], answer: Answer) -> list[dict[str, Any]]:
        """Move on by a page; answers its changes, numbered, as far as they can be listed."""
        self.cursor = page[-1].id
        self.done += len(page)
        self.tally.merge(Tally.from_json(answer["Tally"]))
        first, listed = self.changes + 1, answer["Changes"][: MOST_CHANGES - self.changes]
        self.changes += len(listed)
        return [
            {"number": number, **dict(zip(_CHANGE, change, strict=True))}
            for number, change in enumerate(listed, start=first)
        ]

    def to_row(self) -> dict[str, Any]:
        """As the table keeps it."""
        return {"cursor": self.cursor, "done": self.done, "changes": self.changes, "tally": self.tally.to_json()}


_CHANGE = ("study_id", "kind", "destination", "before", "after")


def _text(page: Sequence[Row[Any]]) -> str:
    """A page as the judge reads it; the facts go from the database to it as they are."""
    return f"[{','.join(_line(row) for row in page)}]"


def _line(row: Row[Any]) -> str:
    patient = json.dumps(row.patient_id or row.study_instance_uid)
    return f'[{row.study_id},"{row.decided_at.isoformat()}",{patient},{row.facts}]'
