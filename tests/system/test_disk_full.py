"""The disk of Orthanc and of Relais is full: the sender is told, nothing that was taken is lost, and it recovers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.dicom import SendError, Study, make_study, send
from tests.servers.router import destination, section
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory

SMALL, LARGE = "24m", "96m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk, where the router lives."""
    folder = tmp_path / "router"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "relais-test", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a disk needs rights that this user has not")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def taken(study: Study, port: int) -> list[str]:
    """Send image after image; answers the SOPInstanceUIDs of those that the router said it had."""
    acknowledged = []
    for instance in study.instances:
        try:
            send(Study((instance,)), port)
        except SendError:
            continue
        acknowledged.append(str(instance.SOPInstanceUID))
    return acknowledged


def test_a_full_disk_loses_nothing_that_was_taken(
    router_factory: RouterFactory, archives: Archives, disk: Path
) -> None:
    vna = archives[0]
    before, during, after = (make_study(instances=count, size=1_000_000) for count in (4, 30, 3))
    with router_factory(section({"vna": destination(vna.aet, vna.dicom_port)})) as router:
        send(before, router.dicom_port)
        router.wait_for_delivery(before.uid, "vna", "Completed")
        acknowledged = taken(during, router.dicom_port)
        assert 0 < len(acknowledged) < len(during.instances), "the sender is told"
        free = os.statvfs(disk)
        assert free.f_bavail * free.f_frsize < 2_000_000
        subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(disk)], check=True)
        eventually(
            lambda: set(vna.sop_instance_uids(during.uid)) >= set(acknowledged), 60, "what was taken is delivered"
        )
        send(after, router.dicom_port)
        router.wait_for_delivery(after.uid, "vna", "Completed", timeout=60)
    assert vna.sop_instance_uids(after.uid) == after.sop_instance_uids
