"""A bad network before an archive of every kind: nothing is lost, and no worker is held for long."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.servers.dicom import Study, make_study, send
from tests.servers.hung import HungFolder
from tests.servers.orthanc import OrthancServer
from tests.servers.proxy import Fault, Proxy
from tests.servers.router import SOON, Router, section, source
from tests.servers.s3 import S3Server
from tests.servers.scp import ArchiveScp
from tests.servers.sftp import SftpServer
from tests.servers.waiting import eventually
from tests.system.conftest import RouterFactory

TIMEOUT = 3
LONGEST = TIMEOUT + 10.0
"""Seconds after which no attempt may still run."""


class Archive(ABC):
    """A destination of one kind behind a proxy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running = ExitStack()
        port = self.start()
        self.proxy = self.running.enter_context(Proxy(port))

    @abstractmethod
    def start(self) -> int:
        """Start it; answers its port."""

    def prepare(self, study: Study) -> None:  # noqa: B027 - most need nothing
        """Before the study is sent to the router."""

    @property
    def sources(self) -> dict[str, Any]:
        """The section `Sources`."""
        return {}

    @abstractmethod
    def section(self) -> dict[str, Any]:
        """Its section of `Destinations`, through the proxy."""

    @abstractmethod
    def kept(self, study: Study) -> list[str]:
        """What it has of the study, sorted."""


class ByStore(Archive):
    """A C-STORE SCP that answers C-FIND."""

    def start(self) -> int:
        self.scp = self.running.enter_context(ArchiveScp("VNA"))
        return self.scp.port

    def section(self) -> dict[str, Any]:
        return {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": self.proxy.port, "Proof": "Queried"}

    def kept(self, study: Study) -> list[str]:  # noqa: ARG002 - there is no other
        return self.scp.kept


class ByMove(ByStore):
    """The same, to which a source that has the study moves it, through the proxy."""

    def start(self) -> int:
        self.pacs = self.running.enter_context(ArchiveScp("PACS"))
        return super().start()

    def prepare(self, study: Study) -> None:
        self.pacs.destinations["VNA"] = self.proxy.port
        self.pacs.hold(study.instances)

    @property
    def sources(self) -> dict[str, Any]:
        return {"pacs": source("PACS", self.pacs.port)}

    def section(self) -> dict[str, Any]:
        return {**super().section(), "Kind": "DicomMove", "Source": "pacs"}


class ByPeer(Archive):
    """Another Orthanc."""

    def start(self) -> int:
        self.server = self.running.enter_context(OrthancServer(self.folder / "peer"))
        return self.server.http_port

    def section(self) -> dict[str, Any]:
        return {"Kind": "OrthancPeer", "Url": f"http://127.0.0.1:{self.proxy.port}", "Proof": "Queried"}

    def kept(self, study: Study) -> list[str]:
        return self.server.sop_instance_uids(study.uid)


class ByStow(ByPeer):
    """Orthanc's DICOMweb plugin."""

    def start(self) -> int:
        self.server = self.running.enter_context(OrthancServer(self.folder / "web", plugins=("DicomWeb",)))
        return self.server.http_port

    def section(self) -> dict[str, Any]:
        return {"Kind": "DicomWeb", "Url": f"http://127.0.0.1:{self.proxy.port}/dicom-web", "Proof": "Queried"}


class ByS3(Archive):
    """An S3 bucket."""

    def start(self) -> int:
        self.server = self.running.enter_context(S3Server(f"bucket-{uuid4().hex}"))
        return self.server.port

    def section(self) -> dict[str, Any]:
        return {
            "Kind": "Files",
            "Url": f"s3://{self.server.bucket}/prefix",
            "Endpoint": f"http://127.0.0.1:{self.proxy.port}",
            "User": self.server.user,
            "Password": self.server.password,
            "Proof": "Queried",
        }

    def kept(self, study: Study) -> list[str]:  # noqa: ARG002 - there is no other
        return sorted(Path(key).stem for key in self.server.objects() if key.endswith(".dcm"))


class BySftp(Archive):
    """An SFTP server."""

    def start(self) -> int:
        self.server = self.running.enter_context(SftpServer(self.folder / "sftp"))
        return self.server.port

    def section(self) -> dict[str, Any]:
        self.server.trust(self.proxy.port)
        return {
            "Kind": "Files",
            "Url": f"sftp://127.0.0.1:{self.proxy.port}/",
            "User": self.server.user,
            "Password": self.server.password,
            "KnownHosts": str(self.server.known_hosts),
            "Proof": "Queried",
        }

    def kept(self, study: Study) -> list[str]:  # noqa: ARG002 - there is no other
        return sorted(path.stem for path in self.server.folder.rglob("*.dcm"))


KINDS: dict[str, type[Archive]] = {
    "Dicom": ByStore,
    "DicomMove": ByMove,
    "DicomWeb": ByStow,
    "OrthancPeer": ByPeer,
    "S3": ByS3,
    "SFTP": BySftp,
}
# pynetdicom, which is the source, lets go of a socket without closing it where nobody takes the connection.
_UNCLOSED = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
EVERY_KIND = [pytest.param(name, marks=_UNCLOSED if made is ByMove else ()) for name, made in KINDS.items()]
FAULTS = [Fault.BLACK_HOLE, Fault.RESET, Fault.REFUSE, Fault.CUT, Fault.HALF_CLOSE, Fault.CORRUPT]


@pytest.fixture
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    made = KINDS[request.param](tmp_path)
    yield made
    made.running.close()


def attempts(router: Router, study: Study) -> list[Any]:
    (found,) = router.deliveries(study.uid)
    history: list[Any] = router.ask(f"deliveries/{found['Id']}")["History"]
    return history


def seconds(each: dict[str, str]) -> float:
    return (datetime.fromisoformat(each["FinishedAt"]) - datetime.fromisoformat(each["StartedAt"])).total_seconds()


def run(router_factory: RouterFactory, archive: Archive, study: Study, fault: Fault) -> None:
    """Send the study while the fault lasts; once it was felt the network is well again, and everything arrives."""
    options = {"TimeoutSeconds": TIMEOUT, "Retry": SOON, "BatchInstances": 4}
    archive.proxy.fault = fault
    archive.prepare(study)
    relais = section({"vna": {**archive.section(), **options}}, Sources=archive.sources)
    with router_factory(relais) as router:
        send(study, router.dicom_port)
        eventually(
            lambda: router.deliveries(study.uid) and any(each["Error"] for each in attempts(router, study)),
            LONGEST + 15,
            "the fault is felt",
        )
        archive.proxy.fault = Fault.NONE
        ended = router.wait_for_delivery(study.uid, "vna", "Completed", "Failed", timeout=60)
        if ended["State"] == "Failed":  # what is spoiled or cut short may be refused for what it is: a person retries
            assert fault in {Fault.CORRUPT, Fault.HALF_CLOSE}
            router.command(f"deliveries/{ended['Id']}/retry")
            router.wait_for_delivery(study.uid, "vna", "Completed", timeout=60)
        assert archive.kept(study) == study.sop_instance_uids
        assert max(seconds(each) for each in attempts(router, study)) <= LONGEST


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("archive", EVERY_KIND, indirect=True)
def test_a_fault_in_the_network_loses_nothing_and_holds_nobody(
    router_factory: RouterFactory, archive: Archive, fault: Fault
) -> None:
    run(router_factory, archive, make_study(instances=10, size=30_000), fault)


@pytest.mark.parametrize("archive", EVERY_KIND, indirect=True)
def test_a_peer_that_takes_a_kilobyte_a_second_is_given_up_and_tried_again(
    router_factory: RouterFactory, archive: Archive
) -> None:
    archive.proxy.bytes_per_second = 1000
    study = make_study(instances=3, size=200_000)
    archive.prepare(study)
    vna = {**archive.section(), "TimeoutSeconds": TIMEOUT, "Retry": SOON}
    relais = section({"vna": vna}, Sources=archive.sources)
    with router_factory(relais) as router:
        send(study, router.dicom_port)
        eventually(
            lambda: router.deliveries(study.uid) and any(each["Error"] for each in attempts(router, study)),
            LONGEST + 15,
            "it is given up",
        )
        archive.proxy.bytes_per_second = None
        router.wait_for_delivery(study.uid, "vna", "Completed", timeout=90)
        assert archive.kept(study) == study.sop_instance_uids
        assert max(seconds(each) for each in attempts(router, study)) <= LONGEST


@pytest.mark.parametrize("archive", EVERY_KIND, indirect=True)
def test_a_long_way_is_no_fault(router_factory: RouterFactory, archive: Archive) -> None:
    archive.proxy.latency = 0.05
    study = make_study(instances=6, size=30_000)
    archive.prepare(study)
    vna = {**archive.section(), "TimeoutSeconds": TIMEOUT, "Retry": SOON}
    relais = section({"vna": vna}, Sources=archive.sources)
    with router_factory(relais) as router:
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "vna", "Completed", timeout=60)
        assert archive.kept(study) == study.sop_instance_uids
        assert not [each for each in attempts(router, study) if each["Error"]]


def test_a_file_system_that_hangs_is_given_up_and_tried_again(router_factory: RouterFactory, tmp_path: Path) -> None:
    folder, study = tmp_path / "archive", make_study(instances=3)
    folder.mkdir()
    vna = {"Kind": "Files", "Url": f"file://{folder}", "Proof": "Queried", "TimeoutSeconds": TIMEOUT, "Retry": SOON}
    with router_factory(section({"vna": vna})) as router:
        with ExitStack() as hanging:
            try:
                hanging.enter_context(HungFolder(folder))
            except OSError as error:
                pytest.skip(f"no file system can hang here: {error}")
            send(study, router.dicom_port)
            eventually(
                lambda: router.deliveries(study.uid) and len(attempts(router, study)) > 1,
                LONGEST + 15,
                "it is given up",
            )
        router.wait_for_delivery(study.uid, "vna", "Completed", timeout=60)
        assert sorted(path.stem for path in folder.rglob("*.dcm")) == study.sop_instance_uids
        history = attempts(router, study)
        assert {"too-slow", "hung"} <= {each["Error"]["Code"] for each in history if each["Error"]}
        assert max(seconds(each) for each in history) <= LONGEST
