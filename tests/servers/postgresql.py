"""A temporary PostgreSQL cluster, made with Debian's server tools."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from tests.servers.ports import free_port
from tests.servers.waiting import eventually

_HOMES = Path("/usr/lib/postgresql")
_START_SECONDS = 30.0
MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made in it is nobody else's
ROOM = 4_000_000_000
"""Bytes that must be free there: three clusters at a time have some databases each."""


class PostgresqlServer:
    """One PostgreSQL cluster on a free port of the loopback, with as many databases as asked for.

    It refuses to run as root, and then runs as Debian's user `postgres`; so its folder is one of its own in
    /tmp, not in pytest's, which nobody else may enter. `with` starts it, and kills and removes it at the end.
    `in_memory` keeps it in memory where there is room: it survives kills as it would on a disk, but costs no fsync.
    """

    def __init__(self, *, in_memory: bool = False) -> None:
        self.in_memory = in_memory and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
        place = MEMORY if self.in_memory else None
        self._folder = tempfile.TemporaryDirectory(prefix="relais-postgresql-", dir=place)
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self._tools = max(_HOMES.glob("*/bin"), key=lambda path: int(path.parent.name))
        self._as_user: list[str | Path] = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def log_text(self) -> str:
        """All that this cluster wrote to its log."""
        return (self.folder / "postgresql.log").read_text(errors="replace")

    def database(self, like: str = "template1") -> str:
        """Create a database, empty or like that of a name or URL, and return its SQLAlchemy URL."""
        name = f"relais_{os.getpid()}_{next(self._numbers)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(like.rpartition("/")[2])))
        return self._url("postgresql+psycopg", name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(url.rpartition("/")[2])))

    def start(self) -> Self:
        """Start the server, on first use in a new cluster, and return once it takes connections."""
        data = self.folder / "data"
        if not data.exists():
            self._create(data)
        with (self.folder / "postgresql.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, self._tools / "postgres", "-D", data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(self._ready, _START_SECONDS, f"PostgreSQL answers; see {self.folder}/postgresql.log")
        return self

    def stop(self) -> None:
        """End it at once but cleanly (a fast shutdown), if it runs."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would, if it runs: no checkpoint, and recovery at the next start."""
        self._end(signal.SIGQUIT)

    def _create(self, data: Path) -> None:
        if self._as_user:
            shutil.chown(self.folder, "postgres")
        subprocess.run(
            [
                *(*self._as_user, self._tools / "initdb", "-D", data),
                *("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        # Durable as in production (fsync stays on), so that a test of a crash tests something.
        options = {
            "port": self.port,
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": "''",
            "max_connections": 200,
        }
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = {value}\n" for name, value in options.items())

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._url("postgresql", "postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _ready(self) -> bool:
        try:
            psycopg.connect(self._url("postgresql", "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        # `runuser` stands between us and the server, so the signal goes to the id that the server itself
        # wrote.
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, how)
        self._process.wait(_START_SECONDS)

    def _url(self, scheme: str, database: str) -> str:
        return f"{scheme}://postgres@127.0.0.1:{self.port}/{database}"
