"""The peers of the DICOM kinds: an archive that receives C-STORE, and a source that moves to one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from relais.configuration import DicomSource, load
from relais.configuration.destinations import DicomDestination, MoveDestination
from relais.orthanc import Orthanc
from relais.transports import Content
from relais.transports.content import Stored
from relais.transports.dicom import DicomTransport
from relais.transports.move import MoveTransport
from relais.transports.probes import Ourselves
from tests.contract.transport_suite import Peer, destination
from tests.servers.dicom import Study
from tests.servers.ports import free_port
from tests.servers.scp import ArchiveScp


def dicom_transport(
    orthanc: Orthanc, port: int, content: Content | None = None, ours: Mapping[str, Any] | None = None, **options: Any
) -> DicomTransport:
    """Make a transport to the title `VNA` on a port of this machine; `ours` is our Orthanc's configuration."""
    section = {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": port, **options}
    configured = destination(section)
    assert isinstance(configured, DicomDestination)
    return DicomTransport(orthanc, "vna", configured, content or Stored(orthanc), Ourselves.of(ours or {}))


def move_transport(orthanc: Orthanc, port: int, **options: Any) -> MoveTransport:
    """Make a transport through the source `PACS` on a port of this machine."""
    pacs = {"Kind": "Dicom", "Aet": "PACS", "Host": "127.0.0.1", "Port": port}
    section = {"Kind": "DicomMove", "Source": "pacs", "Aet": "VNA", **options}
    configured = destination(section, {"pacs": pacs})
    assert isinstance(configured, MoveDestination)
    source = load({"Sources": {"pacs": pacs}}, directory=Path()).sources["pacs"]
    assert isinstance(source, DicomSource)
    return MoveTransport(orthanc, "vna", configured, Stored(orthanc), source)


class DicomPeer(Peer):
    """An archive of the title `VNA`."""

    def start(self) -> None:
        self.scp = self.running.enter_context(ArchiveScp("VNA", check_called_aet=True))

    def transport(self, content: Content | None = None, **options: Any) -> DicomTransport:
        return dicom_transport(self.orthanc, self.scp.port, content, **options)

    def unreachable(self) -> DicomTransport:
        return dicom_transport(self.orthanc, free_port())

    def kept(self) -> list[str]:
        return self.scp.kept

    def refuse(self, instance: Dataset) -> None:
        self.scp.refuses[str(instance.SOPInstanceUID)] = 0xC000

    def lose(self, sop_instance_uid: str) -> None:
        self.scp.forget(sop_instance_uid)


class MovePeer(Peer):
    """A source of the title `PACS` that has what we have, and an archive `VNA` that it knows."""

    transforms = False
    reads_orthanc = False

    def start(self) -> None:
        self.vna = self.running.enter_context(ArchiveScp("VNA"))
        self.source = self.running.enter_context(ArchiveScp("PACS", check_called_aet=True))
        self.source.destinations["VNA"] = self.vna.port

    def prepare(self, study: Study) -> None:
        self.source.hold(study.instances)

    def transport(self, content: Content | None = None, *, port: int | None = None, **options: Any) -> MoveTransport:
        """Make a transport, with `port` for another way to the source."""
        assert content is None
        return move_transport(self.orthanc, port or self.source.port, **options)

    def unreachable(self) -> MoveTransport:
        return move_transport(self.orthanc, free_port())

    def kept(self) -> list[str]:
        return self.vna.kept

    def refuse(self, instance: Dataset) -> None:
        self.vna.refuses[str(instance.SOPInstanceUID)] = 0xC000

    def lose(self, sop_instance_uid: str) -> None:
        self.source.forget(sop_instance_uid)


class AskedMovePeer(MovePeer):
    """The same, where the archive's own address is known."""

    def transport(self, content: Content | None = None, *, port: int | None = None, **options: Any) -> MoveTransport:
        return super().transport(content, port=port, Host="127.0.0.1", Port=self.vna.port, Proof="Queried", **options)

    def unreachable(self) -> MoveTransport:
        return move_transport(self.orthanc, free_port(), Host="127.0.0.1", Port=free_port())

    def lose(self, sop_instance_uid: str) -> None:
        self.vna.forget(sop_instance_uid)
