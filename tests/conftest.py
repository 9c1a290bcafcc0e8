"""Fixtures that every test may ask for: real servers, each in a folder of its own, always ended."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.servers.orthanc import OrthancServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.receiver import Receiver

OrthancFactory = Callable[..., OrthancServer]


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
    with PostgresqlServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy URL of an empty database: the test runs once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'relais.db'}"
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.database()
