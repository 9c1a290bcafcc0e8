"""While a lane sends, its next delivery is prepared: it is not sent before its turn, nor where it lost it meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.dicom import Study, make_study, send
from tests.servers.router import Router, destination, section
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually
from tests.system.conftest import RouterFactory


@pytest.fixture
def archive() -> Iterator[StorageScp]:
    with StorageScp("VNA") as archive:
        archive.released.clear()
        yield archive
        archive.released.set()


def one_at_a_time(archive: StorageScp) -> dict[str, Any]:
    rules = [
        {"Name": "urgent", "When": {"Field": "Modality", "Equals": "CT"}, "DeliverTo": ["vna"], "Priority": "Stat"},
        {"Name": "others", "When": {"Field": "Modality", "Equals": "IO"}, "DeliverTo": ["vna"]},
    ]
    return section({"vna": destination("VNA", archive.port, Concurrency=1)}, Rules=rules)


def prepared(router: Router, archive: StorageScp) -> tuple[Study, Study]:
    """A study that is being sent, and one that waits for its turn."""
    sent, waiting = make_study(), make_study()
    send(sent, router.dicom_port)
    eventually(lambda: archive.callers, 20, "the first is being sent")
    send(waiting, router.dicom_port)
    router.wait_for_delivery(waiting.uid, "vna", "InProgress")
    return sent, waiting


def order(archive: StorageScp) -> list[str]:
    return [each.sop_instance_uid for each in archive.receptions]


def test_a_prepared_delivery_goes_back_where_its_lane_was_paused(
    router_factory: RouterFactory, archive: StorageScp
) -> None:
    with router_factory(one_at_a_time(archive)) as router:
        sent, waiting = prepared(router, archive)
        router.command("destinations/vna/pause")
        archive.released.set()
        router.wait_for_delivery(sent.uid, "vna", "Completed")
        router.wait_for_delivery(waiting.uid, "vna", "Scheduled")
        assert order(archive) == sent.sop_instance_uids
        router.command("destinations/vna/resume")
        router.wait_for_delivery(waiting.uid, "vna", "Completed")
    assert archive.most_at_once == 1


def test_a_prepared_delivery_gives_way_to_a_more_urgent_one(router_factory: RouterFactory, archive: StorageScp) -> None:
    with router_factory(one_at_a_time(archive)) as router:
        sent, waiting = prepared(router, archive)
        urgent = make_study(modality="CT")
        send(urgent, router.dicom_port)
        router.wait_for_delivery(urgent.uid, "vna", "Scheduled")
        archive.released.set()
        for study in (sent, urgent, waiting):
            router.wait_for_delivery(study.uid, "vna", "Completed")
    assert order(archive) == [uid for study in (sent, urgent, waiting) for uid in study.sop_instance_uids]
    assert archive.most_at_once == 1


def test_a_prepared_delivery_that_was_held_meanwhile_is_not_sent(
    router_factory: RouterFactory, archive: StorageScp
) -> None:
    with router_factory(one_at_a_time(archive)) as router:
        sent, waiting = prepared(router, archive)
        router.command(f"studies/{waiting.uid}/hold")
        archive.released.set()
        router.wait_for_delivery(sent.uid, "vna", "Completed")
        eventually(
            lambda: all(each["Lane"] != "destination:vna" for each in router.everything("tasks")), 20, "it ended"
        )
        assert order(archive) == sent.sop_instance_uids
