"""Patients in bulk: lines of JSON that a caller sends in pieces, or from a file of this server.

Each piece or batch is one transaction with the place to go on from, so that whatever is cut goes on there, and nothing
is there by half. A bad line is told with its number, and stops no other.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from relais.apart import side_by_side
from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database, inserted_id
from relais.database.patient_tables import patient_import
from relais.domain.document import Problem
from relais.domain.states import ImportKind, ImportState
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.patient_lines import LONGEST_LINE, LinesApart, Ready, Terms, Trouble, read_lines
from relais.patient_store import Outcome, PatientStore, Scope
from relais.patients import LANE
from relais.tasks import Claim, Tasks

KIND = "import-patients"
INDEX = "index-patients"
LINES = 20_000
"""Lines of a file in one transaction."""
BYTES = 1 << 23
"""Bytes of a file in one transaction, about."""
PROCESSES = 2
"""How many read lines of a file at the same time."""
MOST_TOLD = 100
"""Problems that are kept of an import: the first ones."""
NEW: Mapping[str, Any] = {"total": None, "done": 0, "accepted": 0, "unchanged": 0, "refused": 0, "problems": []}


class FileChangedError(Exception):
    """The file is not what it was when its import began."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Lines of a file, and where it goes on after them."""

    lines: Sequence[tuple[int, str]]
    position: Mapping[str, Any]
    last: bool


class Imports:
    """Takes patients in bulk; the task `import-patients` reads a file."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        store: PatientStore,
        interpreter: str | None,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._configuration = configuration
        self._store = store
        self._interpreter = interpreter
        self._stopping = stopping

    def terms(self, scope: Scope) -> Terms:
        """What lines of a sender with this scope are read by."""
        return Terms(
            clinics=frozenset(self._configuration.clinics),
            scope=None if scope is None else frozenset(scope),
            today=self._clock.now().date(),
        )

    def begin(self, *, actor: str) -> int:
        """Begin an import whose lines come in pieces; answers its id."""
        with self._database.write() as connection:
            return self.add(connection, ImportKind.Upload, "", {"Line": 0}, actor=actor)

    def begin_file(self, name: str, *, actor: str) -> int:
        """Begin to read a file of the folder; answers the import's id. Raises UnknownError where there is none."""
        size, modified = _stamp(self._path(name))
        with self._database.write() as connection:
            position = {"Offset": 0, "Line": 0, "Size": size, "Modified": modified}
            import_id = self.add(connection, ImportKind.File, name, position, actor=actor, total=size)
            self._tasks.schedule(
                connection,
                kind=KIND,
                lane=LANE,
                key=f"{KIND}:{import_id}",
                run_at=self._clock.now(),
                payload={"Import": import_id},
            )
            return import_id

    def piece(self, import_id: int, first: int, body: bytes, *, scope: Scope) -> int:
        """Take the lines of a piece, the first of which has the number `first`; answers the next line's number.

        What was taken before is skipped, so that a piece may be sent again. Raises StateError where lines are missing
        before it, or the import is over.
        """
        lines = [*_numbered(body, first)]
        ready = read_lines(lines, self.terms(scope))
        with self._database.write() as connection:
            row = self.running(connection, import_id)
            done = int(row.position["Line"])
            if first > done + 1:
                raise StateError("import-gap", line=str(done + 1))
            last = max(done, first + len(lines) - 1)
            new = _after(ready, done)
            self.take(connection, row, new, {"Line": last}, done=last - done, scope=scope)
            return last + 1

    def whole(self, body: bytes, *, actor: str, scope: Scope) -> int:
        """Take all lines at once, as an import of its own; answers its id."""
        lines = [*_numbered(body, 1)]
        ready = read_lines(lines, self.terms(scope))
        with self._database.write() as connection:
            import_id = self.add(connection, ImportKind.Upload, "", {"Line": 0}, actor=actor)
            row = self.running(connection, import_id)
            self.take(connection, row, ready, {"Line": len(lines)}, done=len(lines), scope=scope)
            self.end(connection, import_id, ImportState.Completed)
        return import_id

    def complete(self, import_id: int) -> None:
        """There are no more pieces; raises StateError where it was over before."""
        self._end_by_hand(import_id, ImportState.Completed)

    def cancel(self, import_id: int) -> None:
        """Take no more of it; what was taken stays. Raises StateError where it was over before."""
        self._end_by_hand(import_id, ImportState.Canceled)

    def __call__(self, claim: Claim) -> None:
        """The task: read the file to its end, from where it was left."""
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"import": claim.payload["Import"]}).one_or_none()
        if row is None or row.state != ImportState.Running:
            with self._database.write() as connection:
                self._tasks.finish(connection, claim)
            return
        try:
            with (
                self._unchanged(row).open("rb") as stream,
                closing(self._read(_batches(stream, row.position))) as batches,
            ):
                for batch, ready in batches:
                    if not self._take_batch(claim, row.id, batch, ready):
                        return
        except (UnknownError, StateError, OSError, FileChangedError) as error:
            code = "file-changed" if isinstance(error, FileChangedError) else "file-unreadable"
            with self._database.write() as connection:
                if self._state(connection, row.id) == ImportState.Running:
                    self.end(connection, row.id, ImportState.Failed, error=code)
                self._tasks.finish(connection, claim)

    # --- rows, also for other ways ------------------------------------------------------------------------------------

    def add(
        self,
        connection: Connection,
        kind: ImportKind,
        source: str,
        position: Mapping[str, Any],
        *,
        actor: str,
        total: int | None = None,
    ) -> int:
        """A new import that runs; answers its id."""
        values = {
            **NEW,
            "kind": kind,
            "source": source,
            "state": ImportState.Running,
            "actor": actor,
            "started_at": self._clock.now(),
            "position": dict(position),
            "total": total,
        }
        import_id = inserted_id(connection.execute(insert(patient_import).values(values)))
        self._journal.record(connection, "patients.import-started", actor=actor, Import=import_id, Kind=kind.value)
        return import_id

    def running(self, connection: Connection, import_id: int) -> Row[Any]:
        """The import, locked; raises UnknownError, and StateError where it is over."""
        row = connection.execute(_ONE.with_for_update(), {"import": import_id}).one_or_none()
        if row is None:
            raise UnknownError("import", import_id)
        if row.state != ImportState.Running:
            raise StateError("import-over")
        return row

    def take(
        self,
        connection: Connection,
        row: Row[Any],
        ready: Ready,
        position: Mapping[str, Any],
        *,
        done: int,
        total: int | None = None,
        scope: Scope = None,
    ) -> None:
        """Store what was read, count it, and remember where to go on; `row` is locked and of `patient_import`."""
        stored = self._store.store(connection, [each for _, each in ready.patients], scope=scope)
        foreign = Problem("CrmId", "patient-of-another-clinic")
        troubles = [Trouble(line=ready.patients[place][0], problem=foreign).to_json() for place in stored.refused]
        counts = stored.outcomes
        refused = ready.refused + len(stored.refused)
        told = sorted([*ready.troubles, *troubles], key=lambda each: int(each["Line"]))
        values = {
            "position": dict(position),
            "done": row.done + done,
            "total": row.total if total is None else total,
            "accepted": row.accepted + counts[Outcome.Added] + counts[Outcome.Changed],
            "unchanged": row.unchanged + counts[Outcome.Unchanged],
            "refused": row.refused + refused,
            "problems": [*row.problems, *told][:MOST_TOLD],
        }
        connection.execute(update(patient_import).where(patient_import.c.id == row.id).values(values))
        detail: dict[str, Any] = {str(outcome): amount for outcome, amount in sorted(counts.items()) if amount}
        self._journal.record(connection, "patients.stored", actor=row.actor, Import=row.id, **detail, Refused=refused)

    def end(self, connection: Connection, import_id: int, state: ImportState, *, error: str | None = None) -> None:
        """The import is over."""
        row = connection.execute(_ONE, {"import": import_id}).one()
        values: dict[str, Any] = {"state": state, "finished_at": self._clock.now()}
        if error is not None:
            values["error"] = {"Code": error}
        connection.execute(update(patient_import).where(patient_import.c.id == import_id).values(values))
        self._journal.record(
            connection,
            "patients.import-ended",
            actor=row.actor,
            Import=import_id,
            State=state.value,
            Accepted=row.accepted,
            Unchanged=row.unchanged,
            Refused=row.refused,
        )

    # --- a file -------------------------------------------------------------------------------------------------------

    def _take_batch(self, claim: Claim, import_id: int, batch: Batch, ready: Ready) -> bool:
        """Store a batch; says whether there is more to do."""
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            if self._state(connection, import_id) != ImportState.Running:
                self._tasks.finish(connection, claim)
                return False
            row = self.running(connection, import_id)
            self.take(connection, row, ready, batch.position, done=batch.position["Offset"] - row.position["Offset"])
            if batch.last:
                self.end(connection, import_id, ImportState.Completed)
                self._tasks.finish(connection, claim)
        return not batch.last

    def _read(self, batches: Iterator[Batch]) -> Generator[tuple[Batch, Ready], None, None]:
        """Each batch as it was read, in their order, while the next ones are read in other processes."""
        terms = self.terms(None)
        return side_by_side(
            batches,
            lambda: LinesApart(self._interpreter, terms, self._stopping),
            lambda apart, batch: apart.read(batch.lines),
            lambda batch: read_lines(batch.lines, terms),
            PROCESSES,
        )

    def _unchanged(self, row: Row[Any]) -> Path:
        """The file, if it is still what it was when the import began."""
        path = self._path(row.source)
        if list(_stamp(path)) != [row.position["Size"], row.position["Modified"]]:
            raise FileChangedError
        return path

    def _path(self, name: str) -> Path:
        """A file in the folder itself, and no way out of it."""
        folder = self._configuration.patient_folder
        if folder is None:
            raise StateError("no-patient-folder")
        path = Path(folder) / name
        if Path(name).name != name or name.startswith(".") or not path.is_file() or path.is_symlink():
            raise UnknownError("file", name)
        return path

    def _state(self, connection: Connection, import_id: int) -> str | None:
        return connection.execute(
            select(patient_import.c.state).where(patient_import.c.id == import_id).with_for_update()
        ).scalar()

    def _end_by_hand(self, import_id: int, state: ImportState) -> None:
        with self._database.write() as connection:
            row = self.running(connection, import_id)
            self.end(connection, row.id, state)


_ONE = select(patient_import).where(patient_import.c.id == bindparam("import"))


def _numbered(body: bytes, first: int) -> Iterator[tuple[int, str]]:
    for place, line in enumerate(body.removesuffix(b"\n").split(b"\n") if body else ()):
        yield first + place, line.decode("utf-8", "surrogateescape")


def _after(ready: Ready, done: int) -> Ready:
    """Without the lines up to that number."""
    patients = [(number, each) for number, each in ready.patients if number > done]
    troubles = [each for each in ready.troubles if each["Line"] > done]
    refused = len({each["Line"] for each in troubles})
    return Ready(patients=patients, troubles=troubles, refused=refused)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _batches(stream: IO[bytes], position: Mapping[str, Any]) -> Iterator[Batch]:
    """The rest of a file, so many lines at a time; the last batch may be empty."""
    offset, number = position["Offset"], position["Line"]
    stream.seek(offset)
    while True:
        lines: list[tuple[int, str]] = []
        begun = offset
        while len(lines) < LINES and offset - begun < BYTES and (line := _line(stream)):
            number += 1
            offset = stream.tell()
            lines.append((number, line.decode("utf-8", "surrogateescape")))
        last = offset >= position["Size"]
        if not (lines or last):
            raise FileChangedError
        yield Batch(lines=lines, position={**position, "Offset": offset, "Line": number}, last=last)
        if last:
            return


def _line(stream: IO[bytes]) -> bytes:
    """The next line; of one that is too long, only so much that it is known to be."""
    line = stream.readline(LONGEST_LINE + 2)
    rest = line
    while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
        rest = stream.readline(LONGEST_LINE + 2)
    return line
