"""The peers of the HTTP kinds, and what these promise besides: of the network, of who we are, of large files."""

import base64
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

import pytest
from pydicom.dataset import Dataset

from relais.configuration.destinations import DicomWebDestination, PeerDestination
from relais.domain.retry import ErrorClass
from relais.errors import OrthancUnavailableError
from relais.orthanc import Orthanc
from relais.transports import Content, Item, SendingError, Transport
from relais.transports.content import Stored
from relais.transports.dicomweb import DicomWebTransport
from relais.transports.peer import PeerTransport
from tests.contract.transport_suite import Peer, TransportSuite, destination, items_of, lost, sending, uids
from tests.servers.dicom import Image, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.permits import permit
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.stow import StowServer
from tests.servers.waiting import eventually

TIMEOUT = 2
_LARGE = Image(rows=3000, columns=3000, pixels=bytes(range(250)) * 36_000)
_FILTER = """
function ReceivedInstanceFilter(dicom, origin, info)
  for refused in io.lines("{list}") do
    if refused == dicom.SOPInstanceUID then return false end
  end
  return true
end
"""


def dicomweb(orthanc: Orthanc, url: str, content: Content | None = None, **options: Any) -> DicomWebTransport:
    """Make a transport to the DICOMweb server at an address."""
    configured = destination({"Kind": "DicomWeb", "Url": url, **options})
    assert isinstance(configured, DicomWebDestination)
    return DicomWebTransport(orthanc, "vna", configured, content or Stored(orthanc))


def orthanc_peer(orthanc: Orthanc, url: str, content: Content | None = None, **options: Any) -> PeerTransport:
    """Make a transport to the Orthanc at an address."""
    configured = destination({"Kind": "OrthancPeer", "Url": url, **options})
    assert isinstance(configured, PeerDestination)
    return PeerTransport(orthanc, "vna", configured, content or Stored(orthanc))


class WebPeer(Peer):
    """A peer with an address."""

    url: str
    kind: ClassVar[Any]

    def transport(self, content: Content | None = None, *, url: str | None = None, **options: Any) -> Transport:
        return cast("Transport", type(self).kind(self.orthanc, url or self.url, content, **options))

    def unreachable(self) -> Transport:
        return self.transport(url=f"http://127.0.0.1:{free_port()}")

    def through(self, proxy: Proxy, **options: Any) -> Transport:
        """Make a transport that goes through a proxy."""
        return self.transport(url=f"http://127.0.0.1:{proxy.port}{urlsplit(self.url).path}", **options)

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def protect(self) -> None:
        """Ask for the user `relais` with the password `sésame` from now on."""
        raise NotImplementedError


class OrthancPeer(WebPeer):
    """An Orthanc; its REST API is the address."""

    kind = staticmethod(orthanc_peer)
    plugins: ClassVar[tuple[str, ...]] = ()
    root = ""

    def start(self) -> None:
        self.refused = self.folder / "refused"
        self.refused.touch()
        self._serve()

    def kept(self) -> list[str]:
        return self.server.sop_instance_uids()

    def refuse(self, instance: Dataset) -> None:
        with self.refused.open("a") as refused:
            refused.write(f"{instance.SOPInstanceUID}\n")

    def lose(self, sop_instance_uid: str) -> None:
        found = self.server.rest.post(
            "/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}}
        )
        self.server.rest.delete(f"/instances/{found[0]}")

    def protect(self) -> None:
        self.server.kill()
        self._serve(AuthenticationEnabled=True, RegisteredUsers={"relais": "sésame"})

    def _serve(self, **options: Any) -> None:
        script = self.folder / "filter.lua"
        script.write_text(_FILTER.format(list=self.refused))
        settings = {"LuaScripts": [str(script)], **options}
        server = OrthancServer(self.folder / "peer", plugins=self.plugins, configuration=settings)
        self.server = self.running.enter_context(server)
        self.url = f"{server.url}{self.root}"


class DicomWebOrthanc(OrthancPeer):
    """An Orthanc; its DICOMweb plugin is the address."""

    kind = staticmethod(dicomweb)
    plugins = ("DicomWeb",)
    root = "/dicom-web/"


class DicomWebArchive(WebPeer):
    """The archive that answers as it is told."""

    kind = staticmethod(dicomweb)

    def start(self) -> None:
        self.archive = self.running.enter_context(StowServer())
        self.url = self.archive.url

    def kept(self) -> list[str]:
        return sorted(self.archive.stored)

    def refuse(self, instance: Dataset) -> None:
        self.archive.refuses = {*self.archive.refuses, str(instance.SOPInstanceUID)}

    def lose(self, sop_instance_uid: str) -> None:
        self.archive.lose(sop_instance_uid)

    def protect(self) -> None:
        self.archive.authorization = "Basic " + base64.b64encode("relais:sésame".encode()).decode()


def fails(way: Transport) -> bool:
    """Whether a probe does."""
    try:
        way.probe()
    except SendingError:
        return True
    return False


class Halves:
    """Content that breaks off."""

    as_stored = True

    def __init__(self, orthanc: Orthanc) -> None:
        self._stored = Stored(orthanc)

    def read(self, item: Item) -> Iterator[bytes]:
        whole = b"".join(self._stored.read(item))
        yield whole[: len(whole) // 2]
        raise OrthancUnavailableError("it stopped")

    def named(self, item: Item) -> Item:
        return item


class WebSuite(TransportSuite):
    """What HTTP kinds promise."""

    @pytest.fixture
    def proxy(self, peer: WebPeer) -> Iterator[Proxy]:
        with Proxy(peer.port) as proxy:
            yield proxy

    @pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.RESET, Fault.BLACK_HOLE])
    def test_a_broken_network_passes_and_holds_nobody(
        self, peer: WebPeer, proxy: Proxy, items: list[Item], fault: Fault
    ) -> None:
        way = peer.through(proxy)
        sending(way, items[:1])  # a connection is kept
        proxy.fault = fault
        eventually(lambda: fails(way), what="the network is broken")
        for ask in (way.probe, lambda: sending(way, items), lambda: way.missing(items)):
            began = time.monotonic()
            with pytest.raises(SendingError) as raised:
                ask()
            assert time.monotonic() - began < TIMEOUT + 10
            assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Transient, True)
        proxy.fault = Fault.NONE
        assert sending(way, items) == {}
        assert peer.kept() == uids(items)
        way.close()

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.BLACK_HOLE])
    def test_a_network_that_breaks_in_the_middle_loses_nothing(
        self, peer: WebPeer, proxy: Proxy, server: OrthancServer, orthanc: Orthanc, fault: Fault
    ) -> None:
        study = make_study(instances=8, size=1 << 20)
        send(study, server.dicom_port)
        items = items_of(orthanc, study)
        way = peer.through(proxy)

        def fail(through: int) -> None:
            if through >= 3:
                proxy.fault = fault

        try:
            refused = sending(way, items, fail)
        except SendingError as error:  # where a batch is one request
            refused = {item.orthanc_id: error for item in items}
        assert {(each.error_class, each.unreachable) for each in refused.values()} == {(ErrorClass.Transient, True)}
        assert {item.sop_instance_uid for item in items if item.orthanc_id not in refused} <= set(peer.kept())
        proxy.fault = Fault.NONE
        assert sending(way, [item for item in items if item.orthanc_id in refused]) == {}
        assert peer.kept() == uids(items)
        way.close()

    @pytest.mark.parametrize("fault", [Fault.BLACK_HOLE])
    def test_a_stop_does_not_wait_for_a_silent_peer(
        self, peer: WebPeer, proxy: Proxy, items: list[Item], fault: Fault
    ) -> None:
        way = peer.through(proxy, TimeoutSeconds=60)
        sending(way, items[:1])
        proxy.fault = fault
        stopping = threading.Event()
        timer = threading.Timer(0.5, stopping.set)
        timer.start()
        began = time.monotonic()
        with pytest.raises(InterruptedError):
            way.send(items, permit=permit(items), progress=lambda _: None, stopping=stopping)
        assert time.monotonic() - began < 3
        timer.join()
        way.close()

    def test_a_stop_of_one_batch_does_not_end_another(self, peer: WebPeer, proxy: Proxy, items: list[Item]) -> None:
        way = peer.through(proxy, TimeoutSeconds=60)
        proxy.fault = Fault.BLACK_HOLE
        endings: list[type[BaseException]] = []

        def run(stopping: threading.Event) -> None:
            try:
                way.send(items, permit=permit(items), progress=lambda _: None, stopping=stopping)
            except (InterruptedError, SendingError) as error:
                endings.append(type(error))

        first, second = threading.Event(), threading.Event()
        threads = [threading.Thread(target=run, args=(each,)) for each in (first, second)]
        for thread in threads:
            thread.start()
        eventually(lambda: proxy.connections >= 2)
        second.set()
        threads[1].join(5)
        assert endings == [InterruptedError]
        assert threads[0].is_alive()
        first.set()
        threads[0].join(5)
        assert endings == [InterruptedError] * 2
        way.close()

    def test_we_say_who_we_are_and_are_told_where_that_is_wrong(self, peer: WebPeer, items: list[Item]) -> None:
        peer.protect()
        wrong: tuple[dict[str, Any], ...] = ({}, {"User": "relais", "Password": "wrong"})
        for options in wrong:
            with pytest.raises(SendingError) as raised:
                sending(peer.transport(**options), items)
            assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "401")
            assert "wrong" not in str(raised.value)
        way = peer.transport(User="relais", Password="sésame")
        assert sending(way, items) == {}
        assert lost(way, items) == []
        way.close()

    def test_an_address_where_nothing_receives_is_a_matter_of_configuration(
        self, peer: WebPeer, items: list[Item]
    ) -> None:
        with pytest.raises(SendingError) as raised:
            sending(peer.transport(url=f"http://127.0.0.1:{peer.port}/elsewhere"), items)
        assert raised.value.error_class is ErrorClass.Configuration

    def test_large_files_arrive_as_they_are(
        self, peer: WebPeer, server: OrthancServer, orthanc: Orthanc, way: Transport
    ) -> None:
        study = make_study(instances=2, image=_LARGE)
        send(study, server.dicom_port)
        items = items_of(orthanc, study)
        assert sending(way, items) == {}
        assert self.content_of(peer, items[1]) == b"".join(Stored(orthanc).read(items[1]))

    @pytest.mark.parametrize("image", [_LARGE, Image.of_size(4096)], ids=["large", "small"])
    @pytest.mark.parametrize("factor", [0.5, 0.9999, 1.5])
    def test_a_file_that_is_not_as_long_as_it_was_still_arrives_whole(
        self, peer: WebPeer, server: OrthancServer, orthanc: Orthanc, way: Transport, image: Image, factor: float
    ) -> None:
        study = make_study(instances=2, image=image)
        send(study, server.dicom_port)
        items = items_of(orthanc, study)
        planned = [replace(items[0], bytes=int(items[0].bytes * factor)), items[1]]
        assert sending(way, planned) == {}
        for item in items:
            assert self.content_of(peer, item) == b"".join(Stored(orthanc).read(item))

    def test_a_peer_is_not_sent_what_orthanc_broke_off(self, peer: WebPeer, items: list[Item]) -> None:
        way = peer.transport(Halves(peer.orthanc))
        with pytest.raises(OrthancUnavailableError):
            sending(way, items)
        assert peer.kept() == []
        way.close()

    def content_of(self, peer: WebPeer, item: Item) -> bytes:
        """The file as the peer has it."""
        if isinstance(peer, DicomWebArchive):
            return peer.archive.stored[item.sop_instance_uid]
        assert isinstance(peer, OrthancPeer)
        content: bytes = peer.server.rest.get(f"/instances/{item.orthanc_id}/file")
        return content
