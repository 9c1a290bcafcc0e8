"""The keys by which patients are found, made anew when another version of the program would make others.

The old ones serve until all of the new ones are there; then the new ones take their place, in one transaction. Until
then what a study may find is not everybody, so that nothing is decided automatically, and all that waits is asked
again at the end.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, text, update

from relais.apart import Apart, serve, side_by_side
from relais.clock import Clock
from relais.database import Database
from relais.database.patient_tables import patient, patient_import, patient_index, patient_next_key
from relais.domain.matching.compact import VERSION, compact, expanded
from relais.domain.matching.identity import Identity
from relais.domain.matching.keys import keys_of
from relais.domain.patients import Patient, identity_of, parts_of
from relais.domain.states import ImportKind, ImportState
from relais.matching_models import ask_waiting
from relais.patient_imports import INDEX, PROCESSES, Imports
from relais.patient_index import WRITTEN, hashed
from relais.patient_store import PatientStore, add_keys
from relais.patients import LANE
from relais.tasks import Claim, Tasks

PATIENTS = 20_000
"""Patients of one transaction."""
NAME = "keys"
"""The one row of `patient_index`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anew:
    """A patient as this version reads them; `line` is None where it stays as it is. `active`: may be a candidate."""

    keys: Sequence[int]
    line: str | None
    active: bool
    family: Sequence[str]
    given: Sequence[str]
    family_before: Sequence[str]
    given_before: Sequence[str]


class Rebuild:
    """The task `index-patients`."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        imports: Imports,
        store: PatientStore,
        interpreter: str | None,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._imports = imports
        self._store = store
        self._interpreter = interpreter
        self._stopping = stopping

    def schedule(self) -> None:
        """Have the keys made anew if another version made them; what was begun of it goes on."""
        with self._database.read() as connection:
            if connection.execute(_CURRENT).scalar() == WRITTEN:
                return
        with self._database.write() as connection:
            self._store.lock(connection)
            row = connection.execute(_INDEX).one_or_none()
            if row is None:  # patients came under this version, if any
                connection.execute(insert(patient_index).values(name=NAME, version=WRITTEN))
            elif row.version != WRITTEN:
                self._begin(connection, row.import_id)

    def __call__(self, claim: Claim) -> None:
        """Make the keys of all patients, from where it was left, and put them in the place of the old ones."""
        with self._database.read() as connection:
            row = connection.execute(_IMPORT, {"import": claim.payload["Import"]}).one()
        here = _begin(self._begun())
        with closing(
            side_by_side(
                self._pages(row.position["After"]),
                lambda: KeysApart(self._interpreter, self._begun(), self._stopping),
                lambda apart, page: apart.read(page),
                lambda page: _ready(here(_written(page))),
                PROCESSES,
            )
        ) as pages:
            for page, ready in pages:
                with self._database.write() as connection:
                    if not self._goes_on(connection, claim, row.id):
                        return
                    self._take(connection, row.id, page, ready)
        with self._database.write() as connection:
            if self._goes_on(connection, claim, row.id):
                self._swap(connection)
                self._imports.end(connection, row.id, ImportState.Completed)
                ask_waiting(connection, self._tasks, self._clock.now())
                self._tasks.finish(connection, claim)

    def _begin(self, connection: Connection, before: int | None) -> None:
        begun = connection.execute(_IMPORT, {"import": before}).one_or_none()
        if begun is not None and begun.state == ImportState.Running:
            if begun.source == WRITTEN:
                return
            self._imports.end(connection, begun.id, ImportState.Canceled)
        connection.execute(delete(patient_next_key))
        total = connection.execute(select(func.count()).select_from(patient)).scalar_one()
        import_id = self._imports.add(connection, ImportKind.Index, WRITTEN, {"After": 0}, actor="relais", total=total)
        connection.execute(update(patient_index).values(import_id=import_id))
        self._tasks.schedule(
            connection,
            kind=INDEX,
            lane=LANE,
            key=f"{INDEX}:{import_id}",
            run_at=self._clock.now(),
            payload={"Import": import_id},
        )

    def _begun(self) -> dict[str, str]:
        """What patients are read by."""
        return {"Today": self._clock.now().date().isoformat()}

    def _pages(self, after: int) -> Iterator[Sequence[Any]]:
        while True:
            with self._database.read() as connection:
                page = connection.execute(_PAGE, {"after": after}).all()
            if not page:
                return
            yield page
            after = page[-1].id

    def _goes_on(self, connection: Connection, claim: Claim, import_id: int) -> bool:
        """Whether nobody ended it; whoever changes patients waits from here on."""
        self._tasks.check(connection, claim)
        self._store.lock(connection)
        if connection.execute(_IMPORT, {"import": import_id}).one().state == ImportState.Running:
            return True
        connection.execute(update(patient_index).where(patient_index.c.import_id == import_id).values(import_id=None))
        self._tasks.finish(connection, claim)
        return False

    def _take(self, connection: Connection, import_id: int, page: Sequence[Any], ready: Mapping[int, Anew]) -> None:
        """Keep what was made of these patients; those who changed since are read once more."""
        now = {row.id: row for row in connection.execute(_NOW, {"first": page[0].id, "last": page[-1].id})}
        changed = [row.id for row in page if row.id in now and now[row.id].changed_at != row.changed_at]
        if changed:
            again = connection.execute(_AGAIN, {"ids": changed}).all()
            ready = {**ready, **_ready(_begin(self._begun())(_written(again)))}
        there = [row.id for row in page if row.id in now]
        add_keys(connection, [(key, each) for each in there for key in ready[each].keys], patient_next_key)
        lines = [
            {
                "row": each,
                "compact": line,
                "compact_version": VERSION if ready[each].active and not now[each].joined else None,
            }
            for each in there
            if (line := ready[each].line) is not None
        ]
        if lines:
            connection.execute(_LINE, lines)
        alone = [ready[each] for each in there if now[each].merged_into is None]
        self._store.count_parts(
            connection,
            added=[(each.family, each.given) for each in alone],
            removed=[(each.family_before, each.given_before) for each in alone],
        )
        values = {"position": {"After": page[-1].id}, "done": patient_import.c.done + len(page)}
        connection.execute(update(patient_import).where(patient_import.c.id == import_id).values(values))

    def _swap(self, connection: Connection) -> None:
        """The new keys are the keys from now on."""
        for statement in _SWAP[connection.dialect.name]:
            connection.execute(statement)
        connection.execute(update(patient_index).values(version=WRITTEN, import_id=None))


class KeysApart(Apart):
    """Reads patients in another process, for one block."""

    MODULE = "relais.patient_rebuild"

    def read(self, page: Iterable[Any]) -> Mapping[int, Anew]:
        """What becomes of each; raises StoppingError when Relais ends meanwhile, ApartError when the process did."""
        return _ready(json.loads(self.ask(_written(page).encode())))


def main() -> None:
    """The process's own side."""
    serve(_begin)


_OTHER = patient.alias("other")
_INDEX = select(patient_index)
_CURRENT = select(patient_index.c.version)
_IMPORT = select(patient_import).where(patient_import.c.id == bindparam("import"))
_READ = select(patient.c.id, patient.c.document, patient.c.compact, patient.c.compact_version, patient.c.changed_at)
_PAGE = _READ.where(patient.c.id > bindparam("after")).order_by(patient.c.id).limit(PATIENTS)
_AGAIN = _READ.where(patient.c.id.in_(bindparam("ids", expanding=True)))
_NOW = select(
    patient.c.id,
    patient.c.changed_at,
    patient.c.merged_into,
    exists().where(_OTHER.c.merged_into == patient.c.crm_id).label("joined"),
).where(patient.c.id.between(bindparam("first"), bindparam("last")))
_LINE = (
    update(patient)
    .where(patient.c.id == bindparam("row"))
    .values(compact=bindparam("compact"), compact_version=bindparam("compact_version"))
)
_RENAMED = (
    text("ALTER TABLE patient_key RENAME TO patient_key_before"),
    text("ALTER TABLE patient_next_key RENAME TO patient_key"),
    text("ALTER TABLE patient_key_before RENAME TO patient_next_key"),
)
_SWAP = {
    "sqlite": (*_RENAMED, text("DELETE FROM patient_next_key")),
    "postgresql": (*_RENAMED, text("TRUNCATE patient_next_key")),
}


def _written(page: Iterable[Any]) -> str:
    """Patients for another process: as a line where this version wrote it, else as a document."""
    return json.dumps([(row.id, row.compact, None if row.compact_version == VERSION else row.document) for row in page])


def _ready(answered: Iterable[tuple[int, Any]]) -> Mapping[int, Anew]:
    return {each: Anew(**values) for each, values in answered}


def _begin(begun: Mapping[str, Any]) -> Callable[[str], Any]:
    today = date.fromisoformat(begun["Today"])

    def answer(page: str) -> list[tuple[int, dict[str, Any]]]:
        return [(each, _anew(line, document, today)) for each, line, document in json.loads(page)]

    return answer


def _anew(line: str | None, document: Mapping[str, Any] | None, today: date) -> dict[str, Any]:
    """The values of `Anew`; without a document the line is of this version."""
    if document is None:
        identity = before = expanded(line or "")
    else:
        identity = identity_of(Patient.model_validate(document), today)
        before = identity if line is None else _as_written(line, identity)
    family, given = parts_of(identity)
    family_before, given_before = parts_of(before)
    return {
        "keys": sorted(hashed(keys_of(identity))),
        "line": None if document is None else compact(identity),
        "active": document is None or document.get("Active", True),
        "family": sorted(family - family_before),
        "given": sorted(given - given_before),
        "family_before": sorted(family_before - family),
        "given_before": sorted(given_before - given),
    }


def _as_written(line: str, identity: Identity) -> Identity:
    """Whom another version wrote; where this one cannot tell, their names are taken to be read as before."""
    try:
        return expanded(line)
    except ValueError:
        return identity
