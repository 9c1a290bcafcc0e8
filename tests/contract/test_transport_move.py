"""C-MOVE, where the source or its destination is difficult."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.transports import Item, SendingError
from tests.contract.transport_dicom import AskedMovePeer, MovePeer
from tests.contract.transport_suite import Servers, items_of, lost, sending, uids
from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.permits import permit
from tests.servers.proxy import Fault, Proxy
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually


class TestMove(Servers):
    """A source with two series of three instances, and what of them arrives where it moves them to."""

    @pytest.fixture
    def peer(self, orthanc: Orthanc, study: Study, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MovePeer]:
        with MovePeer(orthanc, tmp_path_factory.mktemp("peer")) as peer:
            peer.prepare(study)
            yield peer

    def levels(self, peer: MovePeer) -> list[str]:
        return [each.QueryRetrieveLevel for each in peer.source.moves]

    def test_a_whole_series_is_one_request(self, peer: MovePeer, items: list[Item]) -> None:
        assert sending(peer.transport(), items) == {}
        assert self.levels(peer) == ["SERIES", "SERIES"]

    @pytest.mark.parametrize("counts", [True, False])
    def test_nothing_is_moved_that_is_not_owed(self, peer: MovePeer, items: list[Item], *, counts: bool) -> None:
        peer.source.counts = counts
        assert sending(peer.transport(), items[:5]) == {}
        assert peer.kept() == uids(items[:5])
        assert self.levels(peer) == ["SERIES", "IMAGE", "IMAGE"]

    def test_nothing_is_moved_that_is_not_owed_though_the_answers_were_cut(
        self, peer: MovePeer, items: list[Item]
    ) -> None:
        peer.source.row_limit = 2
        assert sending(peer.transport(), items[:2]) == {}
        assert peer.kept() == uids(items[:2])
        assert sending(peer.transport(), items) == {}
        assert peer.kept() == uids(items)

    def test_a_series_that_may_have_been_cut_goes_instance_by_instance_where_the_source_does_not_count(
        self, peer: MovePeer, server: OrthancServer, orthanc: Orthanc
    ) -> None:
        study = make_study(instances=11)
        send(study, server.dicom_port)
        peer.prepare(study)
        peer.source.row_limit, peer.source.counts = 10, False
        items = items_of(orthanc, study)[:10]
        assert sending(peer.transport(), items) == {}
        assert peer.kept() == uids(items)

    def test_what_the_source_has_not_was_not_sent_whatever_it_says(self, peer: MovePeer, items: list[Item]) -> None:
        peer.lose(items[1].sop_instance_uid)
        refused = sending(peer.transport(), items)
        assert {key: (error.error_class, error.code) for key, error in refused.items()} == {
            items[1].orthanc_id: (ErrorClass.Transient, "not-at-source")
        }
        assert peer.kept() == uids([items[0], *items[2:]])
        assert lost(peer.transport(), items) == uids([items[1]])

    def test_an_archive_that_is_asked_itself_shows_what_the_sources_word_does_not(
        self, orthanc: Orthanc, items: list[Item], study: Study, tmp_path: Path
    ) -> None:
        with AskedMovePeer(orthanc, tmp_path) as peer:
            peer.prepare(study)
            peer.vna.forgets = {items[1].sop_instance_uid, items[4].sop_instance_uid}
            way = peer.transport()
            assert sending(way, items) == {}
            assert lost(way, items) == uids([items[1], items[4]])
            peer.vna.forgets = set()
            assert sending(way, [items[1], items[4]]) == {}
            assert lost(way, items) == []
            assert peer.kept() == uids(items)

    def test_a_source_that_has_nothing_of_it_yet_is_asked_again_later(self, peer: MovePeer, items: list[Item]) -> None:
        peer.source.forget(*uids(items))
        with pytest.raises(SendingError) as raised:
            sending(peer.transport(), items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Transient, "not-at-source")
        assert not peer.source.moves

    def test_the_sub_operation_that_failed_is_found(self, peer: MovePeer, items: list[Item]) -> None:
        peer.source.unmoved = {items[4].sop_instance_uid}
        refused = sending(peer.transport(), items)
        assert refused.keys() == {items[4].orthanc_id}
        assert refused[items[4].orthanc_id].error_class is ErrorClass.Transient
        assert peer.kept() == uids(items[:4] + items[5:])
        assert self.levels(peer) == ["SERIES", "SERIES", "IMAGE", "IMAGE", "IMAGE"]

    def test_a_destination_that_takes_nothing_is_left_alone_for_now(self, peer: MovePeer, items: list[Item]) -> None:
        peer.vna.answer = 0xA700
        with pytest.raises(SendingError) as raised:
            sending(peer.transport(), items)
        assert raised.value.error_class is ErrorClass.Transient
        assert self.levels(peer) == ["SERIES", "IMAGE", "IMAGE", "IMAGE"]

    def test_a_destination_that_the_source_does_not_know_is_a_matter_of_configuration(
        self, peer: MovePeer, items: list[Item]
    ) -> None:
        with pytest.raises(SendingError) as raised:
            sending(peer.transport(Aet="NOBODY"), items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "A801")

    @pytest.mark.parametrize("status", [0xC801, 0xA900, 0x0122, 0x0124])
    def test_a_request_that_the_source_never_grants_is_a_matter_of_configuration(
        self, peer: MovePeer, items: list[Item], status: int
    ) -> None:
        peer.source.move_answers.append(status)
        with pytest.raises(SendingError) as raised:
            sending(peer.transport(), items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, f"{status:04X}")
        assert len(peer.source.moves) == 1

    @pytest.mark.parametrize("status", [0xA701, 0xA702, 0xB000, 0xC000])
    def test_what_passes_is_tried_instance_by_instance(self, peer: MovePeer, items: list[Item], status: int) -> None:
        peer.source.move_answers.extend([status, status])
        refused = sending(peer.transport(), items)
        assert {key: (error.error_class, error.code) for key, error in refused.items()} == {
            items[0].orthanc_id: (ErrorClass.Transient, f"{status:04X}")
        }
        assert peer.kept() == uids(items[1:])

    def test_a_live_definition_that_somebody_changed_is_set_right(
        self, peer: MovePeer, orthanc: Orthanc, items: list[Item]
    ) -> None:
        way = peer.transport()
        sending(way, items)
        orthanc.put("/modalities/relais-source-pacs", {"AET": "THIEF", "Host": "127.0.0.1", "Port": 1})
        assert sending(way, items) == {}

    @pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.RESET, Fault.BLACK_HOLE])
    def test_a_broken_network_passes(self, peer: MovePeer, items: list[Item], fault: Fault) -> None:
        with Proxy(peer.source.port) as proxy:
            way = peer.transport(port=proxy.port)
            proxy.fault = fault
            with pytest.raises(SendingError) as raised:
                sending(way, items)
            assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Transient, True)
            proxy.fault = Fault.NONE
            assert sending(way, items) == {}
        assert peer.kept() == uids(items)

    def test_a_series_that_takes_too_long_goes_instance_by_instance_the_next_time(
        self, peer: MovePeer, items: list[Item]
    ) -> None:
        way, stopping = peer.transport(TimeoutSeconds=30), Event()

        def stop_once_it_moves() -> None:
            eventually(lambda: peer.source.moves)
            stopping.set()

        peer.vna.released.clear()
        impatient = Thread(target=stop_once_it_moves)
        impatient.start()
        with pytest.raises(InterruptedError):
            way.send(items, permit=permit(items), progress=lambda _: None, stopping=stopping)
        impatient.join()
        peer.vna.released.set()
        assert sending(way, items) == {}
        assert self.levels(peer) == ["SERIES", *["IMAGE"] * len(items)]

    def test_a_source_without_queries_is_a_matter_of_configuration(self, peer: MovePeer, items: list[Item]) -> None:
        with StorageScp("PACS") as mute, pytest.raises(SendingError) as raised:
            sending(peer.transport(port=mute.port), items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "no-query")
