"""How much two dead archives cost the third: a ratio, measured in pairs in one run (`make chaos`)."""

from collections.abc import Callable
from datetime import datetime
from statistics import median

import pytest

from tests.servers.dicom import make_study, send
from tests.servers.proxy import Fault, Proxy
from tests.servers.router import Router, destination, section
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory

PAIRS = 7
STUDIES = 8
INSTANCES = 10
BYTES = 32_000
LIMIT = 1.2


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_two_dead_archives_do_not_slow_the_third(
    router_factory: RouterFactory, archives: Archives, record_property: Callable[[str, object], None]
) -> None:
    with Proxy(archives[0].dicom_port) as one, Proxy(archives[0].dicom_port) as two:
        destinations = {
            "one": destination("VNA1", one.port),
            "two": destination("VNA1", two.port, TimeoutSeconds=2),
            "third": destination("VNA2", archives[1].dicom_port),
        }
        with router_factory(section(destinations)) as router:
            _seconds(router)  # the first round warms up
            alive, dead = [], []
            for _ in range(PAIRS):
                alive.append(_seconds(router))
                _wait_until_all_is_there(router)
                one.fault, two.fault = Fault.REFUSE, Fault.BLACK_HOLE
                dead.append(_seconds(router))
                one.fault = two.fault = Fault.NONE
                _wait_until_all_is_there(router)
    ratio = median(slow / fast for slow, fast in zip(dead, alive, strict=True))
    record_property(
        "chaos",
        {
            "campaign": "two of three archives dead",
            "pairs": PAIRS,
            "images a round": STUDIES * INSTANCES,
            "third, all alive": f"{median(alive):.2f} s (median)",
            "third, two dead": f"{median(dead):.2f} s (median)",
            "ratio": f"{ratio:.2f} (limit {LIMIT})",
        },
    )
    assert ratio <= LIMIT


def _seconds(router: Router) -> float:
    """Send studies, and say how long it took from the first image to the last delivery to the third archive."""
    studies = [make_study(instances=INSTANCES, size=BYTES) for _ in range(STUDIES)]
    for study in studies:
        send(study, router.dicom_port)
    ends = [router.wait_for_delivery(study.uid, "third", "Completed", timeout=60)["FinishedAt"] for study in studies]
    rows = router.studies()
    begin = min(datetime.fromisoformat(rows[study.uid]["ReceivedAt"]) for study in studies)
    return (max(map(datetime.fromisoformat, ends)) - begin).total_seconds()


def _wait_until_all_is_there(router: Router) -> None:
    eventually(
        lambda: all(each["State"] == "Completed" for each in router.deliveries()),
        120,
        "the dead ones caught up",
        pause=0.2,
    )
