"""SIGKILL at random moments: nothing that was acknowledged is lost, and nothing is told twice as if it were new.

The moments come from a seed that is printed; `RELAIS_CHAOS_SEED` repeats a campaign. `make test` runs a short one on
each database, `make chaos` the long one.
"""

import os
import random
import threading
import time
from collections.abc import Callable

import pytest

from tests.servers.dicom import make_study
from tests.servers.receiver import Receiver
from tests.servers.router import destination, section
from tests.system.conftest import Archives, RouterFactory
from tests.system.invariants import NOTHING_WRONG, examine, settle
from tests.system.sender import LEFT_OPEN, Sender

pytestmark = pytest.mark.filterwarnings(LEFT_OPEN)

INSTANCES = 8
LATEST_KILL = 1.4
"""Seconds from a round's first C-STORE: long enough for receive, quiet time, decision, delivery and notification."""

RecordProperty = Callable[[str, object], None]


def campaign(
    router_factory: RouterFactory,
    archives: Archives,
    receiver: Receiver,
    database_url: str,
    record_property: RecordProperty,
    *,
    kills: int,
    studies: int,
) -> None:
    """Kill the router so often while so many studies flow to two archives, then see that nothing is wrong."""
    seed = int(os.environ.get("RELAIS_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"RELAIS_CHAOS_SEED={seed}")  # noqa: T201 - shown with a failure, to repeat it
    chance = random.Random(seed)
    began = time.monotonic()
    owed = {f"vna{number}": archive for number, archive in enumerate(archives, 1)}
    destinations = {name: destination(each.aet, each.dicom_port, BatchInstances=3) for name, each in owed.items()}
    relais = section(destinations, subscribers={"crm": receiver.url}, Database=database_url)
    router = router_factory(relais).start()
    sender = Sender(router.dicom_port)
    left = studies
    for each in range(kills):
        share = round(left / (kills - each))
        left -= share
        for _ in range(share):
            sender.begin(make_study(instances=INSTANCES))
        threading.Event().wait(chance.uniform(0.02, LATEST_KILL))  # the random moment
        router.kill()
        router.start()
    started = time.monotonic()
    sender.end(60)
    settle(router, sender.acknowledged.keys(), studies * len(owed))
    settled = time.monotonic()
    findings = examine(router, owed, receiver, sender.acknowledged)
    record_property(
        "chaos",
        {
            "campaign": "SIGKILL",
            "database": database_url.partition(":")[0].partition("+")[0],
            "seed": seed,
            "kills": kills,
            "studies": studies,
            "acknowledged": sum(map(len, sender.acknowledged.values())),
            "missing": len(findings.missing),
            "unfinished": len(findings.unfinished),
            "doubled": len(findings.doubled),
            "unheard": len(findings.unheard),
            "audit chain": "intact" if findings.intact else "BROKEN",
            "last start to settled": f"{settled - started:.1f} s",
            "in all": f"{settled - began:.0f} s",
        },
    )
    assert findings == NOTHING_WRONG
    assert sum(map(len, sender.acknowledged.values())) == studies * INSTANCES


def test_nothing_is_lost_over_a_few_kills(
    router_factory: RouterFactory,
    archives: Archives,
    receiver: Receiver,
    database_url: str,
    record_property: RecordProperty,
) -> None:
    campaign(router_factory, archives, receiver, database_url, record_property, kills=6, studies=20)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_nothing_is_lost_over_thirty_kills(
    router_factory: RouterFactory,
    archives: Archives,
    receiver: Receiver,
    database_url: str,
    record_property: RecordProperty,
) -> None:
    campaign(router_factory, archives, receiver, database_url, record_property, kills=30, studies=60)
