"""A crash at every durable step in turn, before its commit and right after it."""

import shutil
from pathlib import Path

import psycopg
import pytest
import urllib3
from psycopg import sql

from tests.servers.dicom import make_study
from tests.servers.orthanc import OrthancServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.receiver import Receiver
from tests.servers.router import Router, destination, section
from tests.servers.waiting import eventually
from tests.system.conftest import Archives
from tests.system.invariants import NOTHING_WRONG, examine, settle
from tests.system.sender import LEFT_OPEN, Sender

pytestmark = pytest.mark.filterwarnings(LEFT_OPEN)

CRASHED = 77
FEWEST_STEPS = 15
MOST_STEPS = 80
"""More commits than a study's way takes: a flow that still crashes here never ends."""


class Beginning:
    """A router that was started once, so that its database is made: each crash begins with a copy of it."""

    def __init__(self, folder: Path, relais: dict[str, object], server: PostgresqlServer | None) -> None:
        self._folder = folder
        self._server = server
        self._origin = None if server is None else server.database()
        self._relais = relais | ({} if self._origin is None else {"Database": self._origin})
        router = Router(folder / "origin", relais=self._relais)
        router.start()
        router.stop()
        self._ports = router.http_port, router.dicom_port

    def routers(self, number: int, step: str) -> tuple[Router, Router]:
        """A copy that will crash at this step, and the same without the crash; neither is started."""
        folder = self._folder / f"copy{number}"
        shutil.copytree(self._folder / "origin" / "storage", folder / "storage")
        relais = self._relais | self._copied(folder.name)
        http_port, dicom_port = self._ports
        again = Router(folder, relais=relais, http_port=http_port, dicom_port=dicom_port)
        crash = {"RELAIS_CRASH_AT_COMMIT": step}
        armed = Router(folder, relais=relais, http_port=http_port, dicom_port=dicom_port, environment=crash)
        return armed, again

    def _copied(self, name: str) -> dict[str, object]:
        if self._origin is None:
            return {}
        url = self._origin.replace("+psycopg", "")
        server, _, origin = url.rpartition("/")
        copy = f"{origin}_{name}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(statement.format(sql.Identifier(copy), sql.Identifier(origin)))
        return {"Database": f"{self._origin.rpartition('/')[0]}/{copy}"}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.chaos)])
def server(request: pytest.FixtureRequest) -> PostgresqlServer | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgresql")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("moment", "first", "stride"),
    [  # some commits in `make test`, in two halves that run side by side; each, at both moments, in `make chaos`
        pytest.param("before", 1, 9, id="before every ninth"),
        pytest.param("after", 5, 9, id="after every ninth"),
        pytest.param("before", 1, 1, id="before each", marks=pytest.mark.chaos),
        pytest.param("after", 1, 1, id="after each", marks=pytest.mark.chaos),
    ],
)
def test_a_crash_at_any_commit_loses_and_doubles_nothing(
    tmp_path: Path,
    archives: Archives,
    server: PostgresqlServer | None,
    moment: str,
    first: int,
    stride: int,
) -> None:
    owed = {f"vna{number}": archive for number, archive in enumerate(archives, 1)}
    destinations = {name: destination(each.aet, each.dicom_port, BatchInstances=2) for name, each in owed.items()}
    with Receiver() as doorway:
        beginning = Beginning(tmp_path, section(destinations, subscribers={"crm": doorway.url}, quiet=0.1), server)
        port = doorway.port
    step = first
    while _crashes(beginning, owed, port, step, moment):
        step += stride
        assert step < MOST_STEPS
    assert step > FEWEST_STEPS


def _crashes(beginning: Beginning, owed: dict[str, OrthancServer], port: int, number: int, moment: str) -> bool:
    """Run one study's flow with a crash at this commit, and recover; says whether the flow got that far."""
    armed, again = beginning.routers(number, f"{number}{'+' if moment == 'after' else ''}")
    sender, study = Sender(armed.dicom_port), make_study(instances=3)
    with Receiver(port=port) as receiver:
        try:
            armed.start(wait=False)
            sender.begin(study)
            eventually(lambda: _ended(armed, receiver), 40, "the router crashed, or nothing was left to do")
            if armed.is_running:
                sender.end(5)
                return False
            assert armed.wait_ended() == CRASHED
            again.start()
            sender.end(20)
            settle(again, {study.uid}, len(owed), timeout=40)
            assert examine(again, owed, receiver, sender.acknowledged) == NOTHING_WRONG, f"step {number} {moment}"
        finally:
            armed.kill()
            again.kill()
    return True


def _ended(router: Router, receiver: Receiver) -> bool:
    if not router.is_running:
        return True
    if len(receiver.events("delivery.completed")) < 2:
        return False
    try:
        return not router.everything("tasks")
    except urllib3.exceptions.HTTPError:  # it crashed this very moment
        return False
