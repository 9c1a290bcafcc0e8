"""The way a study's patient is found in production: the database's keys, then the kernel, one question at a time."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import text

from relais.clock import SystemClock
from relais.configuration import load
from relais.database import Database
from relais.domain.matching.decision import Question
from relais.domain.matching.identity import Identity
from relais.domain.matching.model import FIRST, Model
from relais.domain.patients import Patient
from relais.patient_index import Index
from relais.patient_store import PatientStore, prepare
from relais.tasks import Tasks
from tests.matching.quebec import TODAY

BATCH = 20_000


class Online:
    """A database of Relais with patients, asked as production does."""

    def __init__(self, url: str, folder: Path) -> None:
        """The database is made; `folder` is where the configuration would look for files."""
        self._database = Database(url)
        self._database.upgrade()
        clock = SystemClock()
        self._index = Index(clock=clock, configuration=load({"Database": url}, directory=folder))
        tasks = Tasks(self._database, clock, owner="bench/1")
        self._store = PatientStore(database=self._database, clock=clock, tasks=tasks)
        self.prepared_seconds = 0.0
        self.stored_seconds = 0.0

    def load(self, documents: Iterable[Mapping[str, Any]]) -> int:
        """Store patients in batches; answers how many. Their making does not count as preparing."""
        several = iter(documents)
        stored = 0
        while batch := list(islice(several, BATCH)):
            began = perf_counter()
            prepared = [prepare(Patient.model_validate(document), TODAY) for document in batch]
            ready = perf_counter()
            with self._database.write() as connection:
                self._store.store(connection, prepared)
            self.prepared_seconds += ready - began
            self.stored_seconds += perf_counter() - ready
            stored += len(batch)
        if not self._database.sqlite:
            with self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("ANALYZE"))
        return stored

    def ask(self, asked: Identity, model: Model = FIRST) -> Question:
        """What the kernel is asked of that person."""
        with self._database.read() as connection:
            return self._index.question(connection, asked, None, model)

    def index_bytes(self) -> int | None:
        """What the keys take on SQLite; None elsewhere, and where SQLite was built without its table of pages."""
        if not self._database.sqlite:
            return None
        with self._database.read() as connection:
            return connection.execute(text("SELECT sum(pgsize) FROM dbstat WHERE name = 'patient_key'")).scalar()

    def close(self) -> None:
        """Let the database go."""
        self._database.close()
