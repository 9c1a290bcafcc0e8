"""Two Orthancs on one PostgreSQL and one storage: they share the work, and one carries on without the other."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.servers.dicom import make_study, send
from tests.servers.postgresql import PostgresqlServer
from tests.servers.router import Router, destination, section
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually
from tests.system.test_house import activate, everything, follows, kept

Nodes = tuple[Router, Router]


@pytest.fixture
def archive() -> Iterator[StorageScp]:
    with StorageScp("VNA") as archive:
        yield archive


@pytest.fixture
def nodes(tmp_path: Path, archive: StorageScp, postgresql: PostgresqlServer) -> Iterator[Nodes]:
    with ExitStack() as ending:
        index = make_url(postgresql.database())
        lane = destination("VNA", archive.port, Concurrency=1, BatchInstances=2)
        relais = kept(section({"vna": lane}), Database=postgresql.database())
        started = [
            Router(
                tmp_path / name,
                aet=name,
                relais=relais,
                plugins=("PostgreSQLIndex",),
                configuration={
                    "StorageDirectory": str(tmp_path / "storage"),
                    "DatabaseServerIdentifier": name,
                    "PostgreSQL": {
                        "EnableIndex": True,
                        "EnableStorage": False,
                        "Host": index.host,
                        "Port": index.port,
                        "Database": index.database,
                        "Username": index.username,
                        "Password": index.password or "",
                        "Lock": False,
                        "IndexConnectionsCount": 5,
                    },
                },
            )
            for name in ("NODE1", "NODE2")
        ]
        for node in started:
            ending.callback(node.kill)
            node.start()
        yield started[0], started[1]


def test_the_limit_of_a_lane_holds_over_all_nodes(nodes: Nodes, archive: StorageScp) -> None:
    studies = [make_study(instances=6) for _ in range(10)]
    for number, study in enumerate(studies):
        send(study, nodes[number % 2].dicom_port)
    for study in studies:
        delivered = nodes[0].wait_for_delivery(study.uid, "vna", "Completed", timeout=60)
        assert delivered["Delivered"] == 6
    wanted = sorted(uid for study in studies for uid in study.sop_instance_uids)
    assert archive.sop_instance_uids() == wanted
    assert len(archive.receptions) == len(wanted), "nothing was sent twice"
    assert archive.most_at_once == 1


def test_a_node_carries_on_what_a_killed_one_leaves(nodes: Nodes, archive: StorageScp) -> None:
    studies = [make_study(instances=6) for _ in range(6)]
    archive.released.clear()
    for study in studies:
        send(study, nodes[0].dicom_port)
    (busy,) = eventually(lambda: archive.callers, 30, "an image is being sent")
    dying, other = nodes if busy == "NODE1" else (nodes[1], nodes[0])
    dying.kill()
    archive.released.set()
    for study in studies:
        assert other.wait_for_delivery(study.uid, "vna", "Completed", timeout=90)["Delivered"] == 6
    assert archive.sop_instance_uids() == sorted(uid for study in studies for uid in study.sop_instance_uids)


def test_a_version_is_followed_by_every_node(nodes: Nodes, archive: StorageScp) -> None:
    document: dict[str, Any] = nodes[0].ask("configuration")["Document"]
    activate(nodes[0], {**document, "Rules": [], "Otherwise": {"Hold": "nobody knows"}})
    follows(nodes[1], nodes[0].ask("system")["Configuration"])
    study = make_study()
    send(study, nodes[1].dicom_port)
    nodes[1].wait_for_study(study.uid, "Held")
    activate(nodes[1], {**document, "Rules": [everything("vna")]})
    nodes[0].wait_for_delivery(study.uid, "vna", "Completed")
    assert archive.sop_instance_uids() == sorted(study.sop_instance_uids)
