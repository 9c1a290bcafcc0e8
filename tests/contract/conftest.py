"""A fresh database, on SQLite and on PostgreSQL, and what stands directly on it."""

from collections.abc import Iterator

import pytest

from relais.audit import Audit
from relais.database import Database
from relais.journal import Journal
from relais.tasks import Tasks
from tests.servers.clock import FakeClock


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tasks(database: Database, clock: FakeClock) -> Tasks:
    return Tasks(database, clock, owner="here/1")


@pytest.fixture
def journal(clock: FakeClock, tasks: Tasks) -> Journal:
    return Journal(audit=Audit(clock, "here"), clock=clock, tasks=tasks, subscribers={})
