"""Relais inside the test process: its steps are run by hand against a real Orthanc's REST API, on a clock of ours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relais.bootstrap import Relais, settle
from relais.clock import Clock
from relais.drafts import Seat
from relais.house import Ground
from relais.orthanc.capabilities import Surroundings
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually


@contextmanager
def composed(
    orthanc: OrthancServer, folder: Path, section: Mapping[str, Any], clock: Clock | None = None
) -> Iterator[Relais]:
    """Compose Relais over this Orthanc, its database in `folder` unless `section` names one; nothing runs by itself."""
    seat = Seat.of({"Database": f"sqlite:///{folder / 'relais.db'}", **section}, directory=folder)
    surroundings = Surroundings.of({**orthanc.configuration, "StorageDirectory": str(folder)})
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None, clock=clock)
    relais = settle(ground)
    try:
        yield relais
    finally:
        relais.stop()
        ground.close()


def work(relais: Relais, *, timeout: float = 30.0) -> None:
    """Read the feed to its end and run whatever is due, until nothing is due any more; no time passes by itself."""
    while not relais.feed.step().done:
        pass
    while relais.worker.turn():
        eventually(lambda: not relais.worker.running(), timeout, "what was claimed has ended")
        while not relais.feed.step().done:
            pass
