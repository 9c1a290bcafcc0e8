"""Transactions over SQLite or PostgreSQL, and the schema's upgrade at start."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    Column,
    Connection,
    CursorResult,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from relais.database import configuration_tables, patient_tables, retrieval_tables, tables, worklist_tables

_VERSION = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True)
)  # as Alembic has it
MIGRATIONS = Path(__file__).parent / "migrations"
LONG_WAIT, SHORT_WAIT = 60_000, 500
"""Milliseconds that SQLite waits for others: who writes, and who empties the log of writes."""


class SchemaTooNewError(Exception):
    """The database was made by a newer Relais; this one refuses to touch it."""


class Database:
    """One database: `write` for transactions that change it, `read` for those that look.

    SQLite runs in WAL mode with synchronous=FULL: a commit that returned survives a power cut. Its one writer is a lock
    of ours, so that threads queue instead of finding the database busy.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self.sqlite = self._url.get_backend_name() == "sqlite"
        if self.sqlite and self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _engine(url, sqlite=self.sqlite)
        self._writer: threading.Lock | None = threading.Lock() if self.sqlite else None
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[], None] = lambda: None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may change rows; committed at the end of the block, rolled back by an exception."""
        if self._writer is None:
            with self.engine.begin() as connection:
                yield connection
                self.before_commit()
            self.after_commit()
            return
        with self._writer:
            with self.engine.connect().execution_options(relais_write=True) as connection, connection.begin():
                yield connection
                self.before_commit()
            self.after_commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only looks, at one state of the database."""
        with self.engine.connect() as connection:
            yield connection

    def empty_log(self) -> bool:
        """Leave nothing in SQLite's log of writes of what was deleted since; False while somebody reads older rows."""
        if self._writer is None:
            return True
        with self._writer, closing(self.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {SHORT_WAIT}")
            try:
                busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {LONG_WAIT}")
            return not busy

    def now(self) -> datetime:
        """The database's own clock (PostgreSQL), which all nodes share."""
        with self.read() as connection:
            moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            return moment

    def upgrade(self) -> bool:
        """Bring the schema to this program's version; says whether anything was done.

        Raises SchemaTooNewError when a newer program made it. An empty database is given the tables as they are;
        Alembic is only imported for one that an older program made: it costs a start half a second.
        """
        newest = _newest_revision()
        with self.read() as connection:
            if _revision(connection) == newest:
                return False
        with self.write() as connection:
            if not self.sqlite:  # two nodes that start together upgrade one after the other
                connection.execute(text("SELECT pg_advisory_xact_lock(7363001)"))
            current = _revision(connection)
            if current == newest:
                return False
            if current is None:
                _create(connection, newest)
            elif current in _revisions():
                _migrate(connection)
            else:
                message = f"the database's schema is {current}, this Relais knows {newest} at most"
                raise SchemaTooNewError(message)
        return True

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def upsert(dialect: str, table: Table) -> sqlite.Insert:
    """An INSERT that knows ON CONFLICT, for a database of this dialect; both spell it alike."""
    if dialect == "sqlite":
        return sqlite.insert(table)
    return cast("sqlite.Insert", postgresql.insert(table))


def inserted_id(result: CursorResult[Any]) -> int:
    """The id that the database gave to the one row just inserted."""
    key = result.inserted_primary_key
    if key is None:
        raise LookupError("nothing was inserted")
    return int(key[0])


def is_unavailable(error: BaseException) -> bool:
    """Whether the database could not be reached or was busy, so that trying again makes sense."""
    return isinstance(error, OperationalError)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def _create(connection: Connection, revision: str) -> None:
    for each in {
        tables.study.metadata,
        configuration_tables.version.metadata,
        patient_tables.patient.metadata,
        retrieval_tables.study_import.metadata,
        worklist_tables.worklist_item.metadata,
        _VERSION.metadata,
    }:
        each.create_all(connection, checkfirst=False)
    connection.execute(insert(_VERSION).values(version_num=revision))


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revisions() -> list[str]:
    """The schema's versions, oldest first: each migration's file is named by its revision."""
    return sorted(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _newest_revision() -> str:
    return _revisions()[-1]


def _engine(url: str, *, sqlite: bool) -> Engine:
    if not sqlite:
        return create_engine(url, pool_size=10, max_overflow=30, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=30,
        hide_parameters=True,  # an error's text must not carry patient data into a log
        connect_args={"timeout": LONG_WAIT // 1000, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what was deleted is overwritten
        connection.execute("PRAGMA cache_size = -4000")  # KB a connection, and each thread has one

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("relais_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
