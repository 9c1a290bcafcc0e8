"""The ledger: claiming, and the page of deliveries, with a million deliveries of which fifty thousand are owed."""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import String, cast, delete, insert, literal, null, select, update

from relais.clock import Clock, SharedClock, SystemClock
from relais.database import Database
from relais.database.tables import attempt, delivery, lane, study, task
from relais.domain.priority import Priority
from relais.domain.states import DeliveryState, TaskState
from relais.lanes import DESTINATION
from relais.tasks import Claim, Tasks
from tests.bench.figures import Figure, Target, number, percentile
from tests.bench.pages import Request, milliseconds
from tests.bench.scale import Scale
from tests.bench.seed import insert_rows, seed, settle
from tests.bench.servers import Bench
from tests.servers.postgresql import PostgresqlServer

STUDIES = 100_000
"""Each is owed, or was, to each destination."""
DESTINATIONS = tuple(f"archive-{letter}" for letter in "abcdefghij")
DEAD = DESTINATIONS[-1]
"""Its peer has been away for long: each of its tasks waits for its next try."""
OWED = 20
"""One delivery in so many is owed still."""
SHARED = {DESTINATION + name: 2 for name in DESTINATIONS}
LANES = {"studies": 4, "storage": 1, "subscriber:crm": 4} | SHARED
"""As in production: ten archives and a CRM."""
AWAY = timedelta(hours=8)
RECENT = timedelta(minutes=50)
"""So that nothing has waited for so long that it gets another priority."""

CLAIMS = 2_000
CLAIM_MILLISECONDS = 10.0
ROUNDS = 30
PAGE_MILLISECONDS = 150.0

_PAGE, _LIST, _LANES = "/relais/app/deliveries", "/relais/v1/deliveries", "/relais/v1/destinations"
REQUESTS: Mapping[str, Request] = {
    "the page of deliveries": ("GET", _PAGE, None),
    "the page of deliveries scheduled": ("GET", f"{_PAGE}?State=Scheduled", None),
    "the page of deliveries failed at one destination": (
        "GET",
        f"{_PAGE}?State=Failed&Destination={DESTINATIONS[1]}",
        None,
    ),
    "the page of destinations": ("GET", "/relais/app/destinations", None),
    "list of deliveries": ("GET", _LIST, None),
    "list of deliveries scheduled": ("GET", f"{_LIST}?State=Scheduled", None),
    "list of deliveries completed": ("GET", f"{_LIST}?State=Completed", None),
    "list of deliveries held": ("GET", f"{_LIST}?State=Held", None),
    "list of deliveries to one destination": ("GET", f"{_LIST}?Destination={DESTINATIONS[2]}", None),
    "list of deliveries, its middle": ("GET", f"{_LIST}?Since={{middle}}", None),
    "list of destinations": ("GET", _LANES, None),
}


def run(scale: Scale) -> list[Figure]:
    """Both databases in one run, their requests and claims taking turns."""
    studies = scale.of(STUDIES)
    with PostgresqlServer() as postgresql, Bench() as bench:
        urls = {"SQLite": f"sqlite:///{bench.new_folder()}.db", "PostgreSQL": postgresql.database()}
        times = _pages(bench, urls, studies, scale.of(ROUNDS, step=2))
        bench.kill()
        claims = _claims(urls, scale.of(CLAIMS))
    total = f"{studies * len(DESTINATIONS):,} deliveries"
    return [
        *(
            Figure(
                name=f"A claim, 99th percentile of {len(samples):,}, {total}, {name}",
                unit="ms",
                samples=[percentile(samples, 99)],
                target=Target(value=CLAIM_MILLISECONDS, at_most=True),
                beside=f"median {number(median(samples))} ms, longest {number(max(samples))} ms",
            )
            for name, samples in claims.items()
        ),
        *(
            Figure(
                name=f"{what[0].upper()}{what[1:]}, {total}, {name}",
                unit="ms",
                samples=samples,
                target=Target(value=PAGE_MILLISECONDS, at_most=True),
                beside=f"95th percentile {number(percentile(samples, 95))} ms",
            )
            for (what, name), samples in times.items()
        ),
    ]


def _pages(bench: Bench, urls: Mapping[str, str], studies: int, rounds: int) -> dict[tuple[str, str], list[float]]:
    """Milliseconds of each request; the lanes are paused, so that what is owed stays so."""
    configured = {name: {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 11112} for name in DESTINATIONS}
    servers = {name: bench.relais(Database=url, Destinations=configured, Rules=[]) for name, url in urls.items()}
    for url in urls.values():
        owe(url, studies=studies)
    times: dict[tuple[str, str], list[float]] = {}
    middle = str(studies * len(DESTINATIONS) // 2)
    for _ in range(rounds):
        for what, (method, path, body) in REQUESTS.items():
            for name, server in servers.items():
                request = (method, path.replace("{middle}", middle), body)
                times.setdefault((what, name), []).append(milliseconds(server, *request))
    return times


def _claims(urls: Mapping[str, str], claims: int) -> dict[str, list[float]]:
    """Milliseconds of each claim that a turn of the worker makes."""
    turns = {name: _turns(url) for name, url in urls.items()}
    return {name: [next(turns[name]) for _ in range(claims)] for name in sorted(turns)}


def _turns(url: str) -> Iterator[float]:
    """Turn after turn as the worker takes them when every lane is busy: one task ends, and the next is claimed.

    Answers the milliseconds of looking for what is due and of claiming it; the first turn fills every place.
    """
    database = Database(url)
    with database.write() as connection:
        connection.execute(delete(lane))  # which opens them
    clock: Clock = SystemClock() if database.sqlite else SharedClock(database.now)
    tasks = Tasks(database, clock, owner="bench/1")
    running: deque[Claim] = deque()
    try:
        while True:
            busy = Counter(claim.lane for claim in running)
            began = perf_counter()
            due = tasks.due(LANES, busy)
            claims = tasks.claim(due, SHARED)
            elapsed = perf_counter() - began
            if not claims:
                raise AssertionError(f"nothing was left to claim after {len(running)} that run")
            yield elapsed * 1000
            running.extend(claims)
            with database.write() as connection:
                tasks.finish(connection, running.popleft())
    finally:
        database.close()


def owe(url: str, *, studies: int, now: datetime | None = None) -> None:
    """Fill an empty database of Relais with so many studies, and a delivery of each to each destination.

    Most are completed, with an attempt each. One in `OWED` is scheduled, with its task: of all priorities, a quarter
    due in the future; to `DEAD` all of them, as its peer is away. Some failed, and some are held. Every lane is paused.
    """
    now = now or datetime.now(UTC)
    database = Database(url)
    with database.write() as connection:
        connection.execute(insert(lane), [_paused(name, now) for name in DESTINATIONS])
    seed(url, studies=studies, now=now, deliveries=False)
    for index, name in enumerate(DESTINATIONS):
        with database.write() as connection:
            _deliver(connection.execute, index, name)
    scheduled = (
        select(delivery.c.id, delivery.c.destination, delivery.c.priority)
        .where(delivery.c.state == DeliveryState.Scheduled)
        .order_by(delivery.c.id)
    )
    with database.write() as connection:
        rows = connection.execute(scheduled).all()
        insert_rows(connection, task, [_task(*row, now) for row in rows])
        waits = delivery.c.state == DeliveryState.Scheduled
        soon = select(task.c.run_at).where(task.c.key == "deliver:" + cast(delivery.c.id, String)).scalar_subquery()
        connection.execute(update(delivery).where(waits).values(next_attempt=soon))
    settle(database)
    database.close()


def _deliver(execute: Callable[..., Any], index: int, name: str) -> None:
    """The deliveries of every study to one destination, and their attempts; the database makes the rows itself."""
    chance = (study.c.id * 7 + index) % (OWED * 50)
    state = DeliveryState.Completed.value
    error = {"Class": "Permanent", "Code": "A900", "Text": "DIMSE status 0xA900"}
    is_owed, failed, held = chance % OWED == 0, chance == 1, chance == 2
    for these, values in (
        (is_owed, {"state": DeliveryState.Scheduled.value, "finished_at": None, "last_error": None, "proof": None}),
        (failed, {"state": DeliveryState.Failed.value, "last_error": error, "proof": None}),
        (held, {"state": DeliveryState.Held.value, "finished_at": None, "last_error": None, "proof": None}),
        (~is_owed & ~failed & ~held, {"state": state, "last_error": None, "proof": {"Kind": "Stored"}}),
    ):
        done = values["state"] == state
        columns: dict[str, Any] = {
            "id": study.c.id * len(DESTINATIONS) + index,
            "study_id": study.c.id,
            "destination": name,
            "priority": study.c.id // 200 % len(Priority),
            "purpose": "Care",
            "mark": study.c.sequence if done else 0,
            "delivered": study.c.instances if done else 0,
            "attempts": 0,
            "created_at": study.c.completed_at,
            "owed_since": study.c.completed_at,
            "finished_at": study.c.completed_at,
            "next_attempt": None,
            "reasons": [{"Rule": "dental"}],
            **values,
        }
        chosen = select(*(_column(key, value) for key, value in columns.items())).where(these)
        execute(insert(delivery).from_select(list(columns), chosen))
    tried = (DeliveryState.Completed, DeliveryState.Failed)
    past = (
        select(
            delivery.c.id,
            delivery.c.owed_since,
            delivery.c.finished_at,
            literal(2),
            literal(16_000_000),
            delivery.c.last_error,
        )
        .where(delivery.c.destination == name, delivery.c.state.in_(tried))
        .order_by(delivery.c.id)
    )
    columns_of_attempt = ["delivery_id", "started_at", "finished_at", "instances", "bytes", "error"]
    execute(insert(attempt).from_select(columns_of_attempt, past))


def _column(key: str, value: Any) -> Any:
    """The value as a column of its table's type."""
    if value is None:
        return null()
    return value if hasattr(value, "label") else literal(value, delivery.c[key].type)


def _paused(name: str, now: datetime) -> dict[str, Any]:
    return {"name": DESTINATION + name, "failures": 0, "paused_at": now, "paused_reason": "benchmark"}


def _task(delivery_id: int, destination: str, priority: int, now: datetime) -> dict[str, Any]:
    chance = random.Random(delivery_id)
    waits = destination == DEAD or chance.random() < 0.25
    return {
        "kind": "deliver",
        "lane": DESTINATION + destination,
        "key": f"deliver:{delivery_id}",
        "priority": priority,
        "state": TaskState.Waiting.value,
        "run_at": now + AWAY * (1 + chance.random()) if waits else now - RECENT * chance.random(),
        "attempts": int(waits),
        "claims": int(waits),
        "crashes": 0,
        "payload": {"Delivery": delivery_id},
    }
