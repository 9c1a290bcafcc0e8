"""Durable tasks: how many a second the worker claims and finishes."""

from itertools import cycle, islice
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, process_time

from relais.clock import Clock, SharedClock, SystemClock
from relais.database import Database
from relais.tasks import Claim, Tasks
from relais.worker import Worker
from tests.bench.figures import Figure, Target, number
from tests.bench.processes import Use
from tests.bench.scale import Scale
from tests.servers.postgresql import PostgresqlServer
from tests.servers.waiting import eventually

LANES = {"studies": 4, "storage": 1, "destination:a": 2, "destination:b": 2, "subscriber:crm": 4}
"""As in production: a router with two archives and a CRM."""
BUSY = [name for name in LANES if name != "storage"]
TARGETS = {"SQLite": 700, "PostgreSQL": 300}
PATIENCE = 120.0


def run(scale: Scale) -> list[Figure]:
    """Both databases in turn, each time an empty one."""
    uses: dict[str, list[Use]] = {name: [] for name in TARGETS}
    total = scale.of(2000, step=20)
    with PostgresqlServer() as postgresql, TemporaryDirectory(prefix="relais-bench-") as folder:
        for pair, sqlite_first in enumerate(scale.orders()):
            urls = {"SQLite": f"sqlite:///{folder}/{pair}.db", "PostgreSQL": postgresql.database()}
            for name in sorted(urls, reverse=sqlite_first):
                uses[name].append(_finish_all(urls[name], total))
    return [
        Figure(
            name=f"Tasks claimed and finished a second, of {total:,}, on {name}",
            unit="/s",
            samples=[total / use.seconds for use in uses[name]],
            target=Target(value=target),
            beside=f"CPU {number(median(use.cpu_seconds for use in uses[name]) / total * 1000)} ms a task",
        )
        for name, target in TARGETS.items()
    ]


def _finish_all(url: str, total: int) -> Use:
    """From the worker's start to the last task's end."""
    database = Database(url)
    database.upgrade()
    clock: Clock = SystemClock() if database.sqlite else SharedClock(database.now)
    tasks = Tasks(database, clock, owner="bench/1")
    finished: list[int] = []

    def finish(claim: Claim) -> None:
        with database.write() as connection:
            tasks.finish(connection, claim)
        finished.append(claim.id)

    with database.write() as connection:
        for index, lane in enumerate(islice(cycle(BUSY), total)):
            key = f"finish:{index}"
            tasks.schedule(connection, kind="finish", lane=lane, key=key, run_at=clock.now(), payload={})
    worker = Worker(database=database, clock=clock, tasks=tasks, handlers={"finish": finish}, lanes=LANES)
    cpu, began = process_time(), monotonic()
    worker.start("bench")
    eventually(lambda: len(finished) == total, PATIENCE, f"{total} tasks are finished")
    use = Use(seconds=monotonic() - began, cpu_seconds=process_time() - cpu)
    worker.stop(10)
    database.close()
    return use
