"""What every way of sending promises, whatever its kind: real Orthanc on our side, a real peer on the other.

A kind joins with a `Peer` of its own and two lines:

    class TestFiles(TransportSuite):
        kind = FilesPeer
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Self

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from relais.configuration import Destination, load
from relais.domain.residency import LIFE
from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.transports import Content, Item, SendingError, Transport
from relais.transports.content import Stored
from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.permits import permit, permit_of

NOWHERE = "-".join(["0" * 8] * 5)
"""An Orthanc id of nothing."""


class Peer(ABC):
    """One destination that works, and what it can be made to do; a context in which it runs."""

    transforms: ClassVar[bool] = True
    """Whether the kind sends what a transformation made."""
    reads_orthanc: ClassVar[bool] = True
    """Whether what it sends comes from Orthanc; otherwise from a source, and what is lost is lost there."""

    def __init__(self, orthanc: Orthanc, folder: Path) -> None:
        self.orthanc = orthanc
        self.folder = folder
        self.running = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.running.close()

    @abstractmethod
    def start(self) -> None:
        """Start it; what is entered into `running` ends with it."""

    @abstractmethod
    def transport(self, content: Content | None = None, **options: Any) -> Transport:
        """Make a transport to it; `options` override its section of `Destinations`."""

    @abstractmethod
    def unreachable(self) -> Transport:
        """Make a transport to where nobody listens."""

    @abstractmethod
    def kept(self) -> list[str]:
        """The SOPInstanceUID of each instance that it has, sorted."""

    @abstractmethod
    def refuse(self, instance: Dataset) -> None:
        """From now on have it refuse this instance."""

    @abstractmethod
    def lose(self, sop_instance_uid: str) -> None:
        """Have it lose this instance, though it said that it had it."""

    def prepare(self, study: Study) -> None:  # noqa: B027 - most kinds need nothing
        """Hear of a study before it is sent."""


class Renamed:
    """Content under another patient and other UIDs, as a transformation makes it."""

    as_stored = False

    def __init__(self, orthanc: Orthanc) -> None:
        self._stored = Stored(orthanc)

    def read(self, item: Item) -> Iterator[bytes]:
        instance = pydicom.dcmread(BytesIO(b"".join(self._stored.read(item))))
        there = self.named(item)
        instance.PatientID = "ANONYMOUS"
        instance.StudyInstanceUID, instance.SeriesInstanceUID = there.study_instance_uid, there.series_instance_uid
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = UID(there.sop_instance_uid)
        file = BytesIO()
        instance.save_as(file, enforce_file_format=True)
        yield file.getvalue()

    def named(self, item: Item) -> Item:
        return replace(
            item,
            study_instance_uid=renamed(item.study_instance_uid),
            series_instance_uid=renamed(item.series_instance_uid),
            sop_instance_uid=renamed(item.sop_instance_uid),
        )


def renamed(uid: str) -> str:
    """The UID under which `Renamed` sends."""
    return f"2.25.{sum(ord(character) * 31**place for place, character in enumerate(uid)) % 10**38}"


def destination(section: Mapping[str, Any], sources: Mapping[str, Any] | None = None) -> Destination:
    """The destination of this section, with a short patience."""
    document = {"Destinations": {"vna": {"TimeoutSeconds": 2, **section}}, "Sources": sources or {}}
    return load(document, directory=Path()).destinations["vna"]


def items_of(orthanc: Orthanc, study: Study) -> list[Item]:
    """The study's instances as they are sent, by series and number."""
    found = orthanc.post("/tools/find", {"Level": "Instance", "Expand": True, "Query": {"StudyInstanceUID": study.uid}})
    ids = {each["MainDicomTags"]["SOPInstanceUID"]: (each["ID"], each["FileSize"]) for each in found}
    return [
        Item(
            orthanc_id=ids[instance.SOPInstanceUID][0],
            study_instance_uid=str(instance.StudyInstanceUID),
            series_instance_uid=str(instance.SeriesInstanceUID),
            sop_instance_uid=str(instance.SOPInstanceUID),
            bytes=ids[instance.SOPInstanceUID][1],
        )
        for instance in study.instances
    ]


def sending(
    transport: Transport, items: Sequence[Item], progress: Callable[[int], None] = lambda _: None
) -> Mapping[str, SendingError]:
    """Send, without being stopped."""
    return transport.send(items, permit=permit(items), progress=progress, stopping=threading.Event())


def uids(items: Iterable[Item]) -> list[str]:
    """Their SOPInstanceUIDs, sorted."""
    return sorted(item.sop_instance_uid for item in items)


def lost(transport: Transport, items: Sequence[Item]) -> list[str]:
    """The SOPInstanceUIDs of those that are missing, sorted."""
    missing: Collection[str] = transport.missing(items)
    return uids(item for item in items if item.orthanc_id in missing)


class Servers:
    """An Orthanc for all tests of a class, a client of it, and studies stored there."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
        with OrthancServer(tmp_path_factory.mktemp("orthanc")) as server:
            yield server

    @pytest.fixture
    def orthanc(self, server: OrthancServer) -> Iterator[Orthanc]:
        client = Orthanc(server.url)
        yield client
        client.close()

    @pytest.fixture
    def study(self, server: OrthancServer) -> Study:
        """Two series of three instances."""
        study = make_study(series=2, instances=3)
        send(study, server.dicom_port)
        return study

    @pytest.fixture
    def items(self, orthanc: Orthanc, study: Study) -> list[Item]:
        return items_of(orthanc, study)


class TransportSuite(Servers):
    """The promises; `kind` is the peer of the class that inherits them."""

    kind: type[Peer]

    @pytest.fixture
    def peer(self, orthanc: Orthanc, study: Study, tmp_path: Path) -> Iterator[Peer]:
        with self.kind(orthanc, tmp_path) as peer:
            peer.prepare(study)
            yield peer

    @pytest.fixture
    def way(self, peer: Peer) -> Iterator[Transport]:
        way = peer.transport()
        yield way
        way.close()

    def test_everything_arrives(self, peer: Peer, way: Transport, items: list[Item]) -> None:
        seen: list[int] = []
        assert sending(way, items, seen.append) == {}
        assert peer.kept() == uids(items)
        assert seen == sorted(seen)
        assert seen[-1] == len(items)

    def test_what_is_there_already_is_no_failure(self, peer: Peer, way: Transport, items: list[Item]) -> None:
        sending(way, items)
        assert sending(way, items) == {}
        assert peer.kept() == uids(items)

    def test_a_refused_instance_does_not_keep_the_others(
        self, peer: Peer, way: Transport, study: Study, items: list[Item]
    ) -> None:
        seen: list[int] = []
        peer.refuse(study.instances[1])
        peer.refuse(study.instances[4])
        refused = sending(way, items, seen.append)
        assert refused.keys() == {items[1].orthanc_id, items[4].orthanc_id}
        assert all(error.code and error.text and not error.unreachable for error in refused.values())
        assert peer.kept() == uids(items[:1] + items[2:4] + items[5:])
        assert seen[-1] == 4

    def test_a_peer_that_is_not_there_passes_and_is_its_own_fault(self, peer: Peer, items: list[Item]) -> None:
        gone = peer.unreachable()
        for ask in (gone.probe, lambda: sending(gone, items), lambda: gone.missing(items)):
            with pytest.raises(SendingError) as raised:
                ask()
            assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Transient, True)
        gone.close()

    def test_a_probe_of_a_peer_that_is_there_says_nothing(self, way: Transport) -> None:
        way.probe()

    def test_nothing_is_missing_of_what_arrived(self, way: Transport, items: list[Item]) -> None:
        sending(way, items)
        assert lost(way, items) == []

    def test_what_the_peer_lost_is_missing_until_it_is_sent_again(
        self, peer: Peer, way: Transport, items: list[Item]
    ) -> None:
        sending(way, items)
        peer.lose(items[2].sop_instance_uid)
        assert lost(way, items) == uids([items[2]])
        if peer.reads_orthanc:
            assert sending(way, [items[2]]) == {}
            assert lost(way, items) == []

    def test_an_instance_that_is_gone_from_orthanc_does_not_keep_the_others(
        self, peer: Peer, way: Transport, items: list[Item]
    ) -> None:
        if not peer.reads_orthanc:
            pytest.skip("what it sends does not come from Orthanc")
        gone = replace(items[0], orthanc_id=NOWHERE, sop_instance_uid="1.2.3")
        refused = sending(way, [items[0], gone, *items[1:]])
        assert {key: (error.error_class, error.code) for key, error in refused.items()} == {
            NOWHERE: (ErrorClass.Permanent, "not-in-orthanc")
        }
        assert peer.kept() == uids(items)

    def test_a_stop_ends_a_batch(self, way: Transport, items: list[Item]) -> None:
        stopping = threading.Event()
        stopping.set()
        with pytest.raises(InterruptedError):
            way.send(items, permit=permit(items), progress=lambda _: None, stopping=stopping)

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            (lambda items: permit(items, "another"), "no-permit"),
            (lambda _: permit_of("1.2.3"), "no-permit"),
            (lambda items: permit(items, now=datetime.now(UTC) - LIFE), "permit-expired"),
            (lambda _: None, "no-permit"),
        ],
        ids=["of another destination", "of another study", "expired", "none"],
    )
    def test_nothing_leaves_without_a_permit_that_holds(
        self, peer: Peer, way: Transport, items: list[Item], given: Callable[[list[Item]], Any], code: str
    ) -> None:
        with pytest.raises(SendingError) as raised:
            way.send(items, permit=given(items), progress=lambda _: None, stopping=threading.Event())
        assert raised.value.code == code
        assert peer.kept() == []

    def test_what_was_transformed_has_its_other_names(self, peer: Peer, orthanc: Orthanc, items: list[Item]) -> None:
        if not peer.transforms:
            pytest.skip("sends nothing but what is stored")
        way = peer.transport(Renamed(orthanc))
        assert sending(way, items) == {}
        assert peer.kept() == sorted(renamed(item.sop_instance_uid) for item in items)
        assert lost(way, items) == []
        peer.lose(renamed(items[5].sop_instance_uid))
        assert lost(way, items) == uids([items[5]])
        way.close()
