"""Lanes: what three dead archives cost the healthy one, and how soon they are left in peace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from statistics import median
from time import monotonic, sleep
from typing import Any

from sqlalchemy import select

from relais.database import Database
from relais.database.tables import attempt, delivery, lane
from relais.lanes import DESTINATION
from tests.bench.figures import Figure, Target, number, percentile, ratio
from tests.bench.images import send_folder, write_studies
from tests.bench.processes import resident_mebibytes
from tests.bench.scale import Scale
from tests.bench.servers import LANE, SMALL_CACHE, Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.proxy import Fault, Proxy
from tests.servers.waiting import eventually

HOLE, REFUSED, SLOW = DEAD = ("hole", "refused", "slow")
SLOW_BYTES_PER_SECOND = 1000
TIMEOUT_SECONDS = 5
LIVING, LOST = "MR", "CT"
"""The modality of what the healthy archive gets, and of what the dead ones are owed."""

STUDIES, OWED, INSTANCES, SIZE = 250, 500, 2, 32_000
"""How many the healthy archive gets, and how many each dead one is owed."""
GROUP, EVERY_SECONDS = 2, 0.4
"""Slow enough that a queue never forms by itself: what is measured is a delivery and not a backlog."""
PAIRS = 3
WINDOW_SECONDS = 60
PATIENCE = 180.0


@dataclass(kw_only=True)
class Beset:
    """What was seen beside the healthy lane's latencies."""

    failed: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in DEAD})
    opened: dict[str, list[bool]] = field(default_factory=lambda: {name: [] for name in DEAD})
    grown: list[float] = field(default_factory=list)


def run(scale: Scale) -> list[Figure]:
    """One router whose only archive is healthy, and one with dead archives besides, in turn."""
    studies, owed = scale.of(STUDIES, step=GROUP), scale.of(OWED)
    alone: list[float] = []
    among: list[float] = []
    beset = Beset()
    for alone_first in islice(scale.orders(), PAIRS):
        for is_alone in (alone_first, not alone_first):
            if is_alone:
                alone.append(_alone(studies))
            else:
                among.append(_among(studies, owed, beset, scale.of(WINDOW_SECONDS, step=8)))
    opened = {name: "" if all(beset.opened[name]) else ", where none opened" for name in DEAD}
    lost = f"{owed} studies owed to each of three dead ones"
    return [
        Figure(
            name=f"A healthy lane's latency, 95th percentile of {studies} studies, with {lost} / alone",
            unit="",
            samples=ratio(among, alone),
            target=Target(value=1.2, at_most=True),
            beside=f"{number(median(among))} ms against {number(median(alone))} ms",
        ),
        *(
            Figure(
                name=f"Failed attempts before the breaker opens: {what}",
                unit="",
                samples=beset.failed[name],
                target=Target(value=5, at_most=True),
                beside=f"{owed} studies owed{opened[name]}",
            )
            for name, what in ((HOLE, "a black hole"), (REFUSED, "refused"), (SLOW, "1 kB/s"))
        ),
        Figure(
            name=f"Memory that {lost} add",
            unit="MB",
            samples=beset.grown,
            target=Target(value=50, at_most=True),
        ),
    ]


def _alone(studies: int) -> float:
    """The 95th percentile of the latency, in milliseconds, where there is no other lane."""
    with Bench() as bench:
        vna = bench.bare("VNA")
        url = f"sqlite:///{bench.new_folder()}.db"
        router = bench.relais(vna, Database=url, configuration=SMALL_CACHE, Completeness={"QuietSeconds": 0.5})
        _trickle(bench, router, studies)
        return _latency(url, studies)


def _among(studies: int, owed: int, beset: Beset, window: float) -> float:
    """The same beside three dead lanes, each owed so many other studies; what happened to those goes into `beset`."""
    # Behind the dead ones stands another archive: their idle connections take the few threads of the one they reach.
    with Bench() as bench, _dead(bench.bare("VNA")) as ports:
        vna = bench.bare("VNA")
        url = f"sqlite:///{bench.new_folder()}.db"
        dead = {name: _destination(port) | {"TimeoutSeconds": TIMEOUT_SECONDS} for name, port in ports.items()}
        router = bench.relais(
            vna,
            Database=url,
            configuration=SMALL_CACHE,
            Completeness={"QuietSeconds": 0.5},
            Destinations={LANE: _destination(vna.dicom_port), **dead},
            Rules=[
                {"Name": name, "When": {"Field": "Modality", "Equals": modality}, "DeliverTo": names}
                for name, modality, names in (("living", LIVING, [LANE]), ("lost", LOST, list(DEAD)))
            ],
        )
        _command(router, "pause")
        folder = bench.new_folder()
        send_folder(write_studies(folder, studies=owed, instances=INSTANCES, size=SIZE, modality=LOST), router)
        eventually(lambda: all(_backlog(router, name) == owed for name in DEAD), PATIENCE, "everything is owed")
        before = resident_mebibytes(router.pid)
        began = monotonic()
        _command(router, "resume")
        _trickle(bench, router, studies)
        latency = _latency(url, studies)
        eventually(lambda: monotonic() - began > window, window + 1, "the dead lanes had their time")
        beset.grown.append(resident_mebibytes(router.pid) - before)
        _failures(url, beset)
    return latency


@contextmanager
def _dead(behind: OrthancServer) -> Iterator[dict[str, int]]:
    """The port of each of the dead archives."""
    with Proxy(behind.dicom_port) as hole, Proxy(behind.dicom_port) as refused, Proxy(behind.dicom_port) as slow:
        hole.fault, refused.fault, slow.bytes_per_second = Fault.BLACK_HOLE, Fault.REFUSE, SLOW_BYTES_PER_SECOND
        yield {HOLE: hole.port, REFUSED: refused.port, SLOW: slow.port}


def _destination(port: int) -> dict[str, Any]:
    return {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": port}


def _command(router: OrthancServer, verb: str) -> None:
    for name in DEAD:
        router.rest.post(f"/relais/v1/destinations/{name}/{verb}", {"Reason": "benchmark"})


def _backlog(router: OrthancServer, name: str) -> int:
    return int(router.rest.get(f"/relais/v1/destinations/{name}")["Backlog"])


def _trickle(bench: Bench, router: OrthancServer, studies: int) -> None:
    """Send studies for the healthy archive at an even pace, and return once all are there."""
    groups = [
        write_studies(bench.new_folder(), studies=GROUP, instances=INSTANCES, size=SIZE, modality=LIVING)
        for _ in range(studies // GROUP)
    ]
    began = monotonic()
    for index, group in enumerate(groups):
        sleep(max(0.0, began + index * EVERY_SECONDS - monotonic()))
        send_folder(group, router)
    done = f"/relais/v1/deliveries?Destination={LANE}&State=Completed&Limit=500"
    eventually(lambda: len(router.rest.get(done)["Items"]) == studies, PATIENCE, "all is delivered", pause=0.2)


def _latency(url: str, studies: int) -> float:
    """The 95th percentile, in milliseconds, from a delivery's being owed to its being there."""
    database = Database(url)
    with database.read() as connection:
        statement = select(delivery.c.owed_since, delivery.c.finished_at).where(delivery.c.destination == LANE)
        spans = [(ended - owed).total_seconds() * 1000 for owed, ended in connection.execute(statement)]
    database.close()
    if len(spans) != studies:
        raise AssertionError(f"{len(spans)} of {studies} studies were delivered")
    return percentile(spans, 95)


def _failures(url: str, beset: Beset) -> None:
    """How many attempts had failed in each dead lane when it was found to be down."""
    database = Database(url)
    with database.read() as connection:
        for name in DEAD:
            down = connection.execute(select(lane.c.down_since).where(lane.c.name == DESTINATION + name)).scalar()
            tried = connection.execute(
                select(attempt.c.finished_at, attempt.c.error)
                .join(delivery, delivery.c.id == attempt.c.delivery_id)
                .where(delivery.c.destination == name)
            )
            failed = [ended for ended, error in tried if error is not None]
            beset.failed[name].append(len([ended for ended in failed if down is None or ended <= down]))
            beset.opened[name].append(down is not None)
    database.close()
