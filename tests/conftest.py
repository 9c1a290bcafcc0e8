"""Fixtures that every test may ask for: real servers, each in a folder of its own, always ended."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from relais.database import Database
from tests.servers.orthanc import OrthancServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.receiver import Receiver

OrthancFactory = Callable[..., OrthancServer]

settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("untimed")


@pytest.fixture
def orthanc_factory(tmp_path: Path) -> Iterator[OrthancFactory]:
    """Make Orthanc servers by name, not yet started, that end with the test.

    The AE title is the name in capitals; the other options are `OrthancServer`'s.
    """
    with ExitStack() as ending:

        def make(name: str = "orthanc", **options: Any) -> OrthancServer:
            server = OrthancServer(tmp_path / name, **{"aet": name.upper(), **options})
            ending.callback(server.kill)
            return server

        yield make


@pytest.fixture
def vna(orthanc_factory: OrthancFactory) -> OrthancServer:
    """A running Orthanc without plugins, AE title `VNA`."""
    return orthanc_factory("vna").start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running webhook receiver that answers 204."""
    with Receiver() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL cluster, one for each test process; a test that kills it makes its own."""
    with PostgresqlServer(in_memory=True) as server:
        yield server


@pytest.fixture(scope="session")
def template(postgresql: PostgresqlServer) -> str:
    """A database of it with nothing but the tables: to copy it takes less time than to make them."""
    url = postgresql.database()
    database = Database(url)
    database.upgrade()
    database.close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The SQLAlchemy URL of a database without rows: the test runs once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'relais.db'}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    url = server.database(like=request.getfixturevalue("template"))
    yield url
    if server.in_memory:
        server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'relais.db'}"
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.database()
