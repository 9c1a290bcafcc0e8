"""C-STORE, C-FIND and storage commitment, where a peer is difficult."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.transports import Item, SendingError
from relais.transports.dimse import of_store
from tests.contract.transport_dicom import dicom_transport
from tests.contract.transport_suite import Renamed, Servers, items_of, lost, renamed, sending, uids
from tests.servers.dicom import make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.permits import permit
from tests.servers.ports import free_port, is_listening
from tests.servers.proxy import Fault, Proxy
from tests.servers.scp import ArchiveScp, StorageScp
from tests.servers.waiting import eventually

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def scp() -> Iterator[ArchiveScp]:
    with ArchiveScp("VNA", check_called_aet=True) as scp:
        yield scp


class TestStore(Servers):
    """C-STORE of what is stored."""

    def test_both_sides_have_the_configured_titles(self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]) -> None:
        way = dicom_transport(orthanc, scp.port, LocalAet="RELAIS")
        sending(way, items)
        assert {(each.calling_aet, each.called_aet) for each in scp.receptions} == {("RELAIS", "VNA")}

    def test_a_live_definition_that_somebody_changed_is_set_right_before_sending(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]
    ) -> None:
        way = dicom_transport(orthanc, scp.port)
        sending(way, items)
        orthanc.put("/modalities/relais-vna", {"AET": "THIEF", "Host": "127.0.0.1", "Port": free_port()})
        sending(way, items)
        assert len(scp.receptions) == 2 * len(items)

    @pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0xB123, 0x0111, 0x0001, 0x0107, 0x0116])
    @pytest.mark.parametrize("transformed", [False, True])
    def test_a_warning_or_a_duplicate_is_a_success_and_never_sent_again(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item], status: int, *, transformed: bool
    ) -> None:
        scp.answer = status
        way = dicom_transport(orthanc, scp.port, Renamed(orthanc) if transformed else None)
        assert sending(way, items) == {}
        assert len(scp.receptions) == len(items)

    @pytest.mark.parametrize("status", [0xC000, 0xA900, 0x0122, 0xC123])
    @pytest.mark.parametrize("transformed", [False, True])
    def test_what_the_peer_does_not_want_is_refused_and_asked_once(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item], status: int, *, transformed: bool
    ) -> None:
        scp.answer_next(status, 0, status, status, 0, status)
        way = dicom_transport(orthanc, scp.port, Renamed(orthanc) if transformed else None)
        refused = sending(way, items)
        assert {key: (error.error_class, error.code) for key, error in refused.items()} == {
            items[each].orthanc_id: (ErrorClass.Permanent, f"{status:04X}") for each in (0, 2, 3, 5)
        }
        assert len(scp.receptions) == len(items)

    def test_a_batch_of_which_nothing_is_wanted_is_refused_one_by_one(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]
    ) -> None:
        scp.answer = 0xC000
        assert len(sending(dicom_transport(orthanc, scp.port), items)) == len(items)

    @pytest.mark.parametrize("transformed", [False, True])
    def test_one_that_passes_does_not_keep_the_others(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item], *, transformed: bool
    ) -> None:
        scp.answer_next(0xA700, 0, 0xA700, 0, 0xA700, 0)
        way = dicom_transport(orthanc, scp.port, Renamed(orthanc) if transformed else None)
        refused = sending(way, items)
        assert {key: (error.error_class, error.code) for key, error in refused.items()} == {
            items[each].orthanc_id: (ErrorClass.Transient, "A700") for each in (0, 2, 4)
        }
        assert sending(way, items[::2]) == {}
        assert len(scp.kept) == len(items)

    def test_a_peer_that_is_full_is_left_alone_for_now(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]
    ) -> None:
        way = dicom_transport(orthanc, scp.port)
        scp.answer_next(0, 0)
        scp.answer = 0xA700
        assert sending(way, items).keys() == {each.orthanc_id for each in items[2:]}
        assert len(scp.receptions) == 5
        with pytest.raises(SendingError) as raised:
            sending(way, items[2:])
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Transient, "A700")
        assert not raised.value.unreachable

    @pytest.mark.parametrize("transformed", [False, True])
    def test_a_caller_without_rights_is_a_matter_of_configuration(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item], *, transformed: bool
    ) -> None:
        scp.answer = 0x0124
        way = dicom_transport(orthanc, scp.port, Renamed(orthanc) if transformed else None)
        with pytest.raises(SendingError) as raised:
            sending(way, items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "0124")

    def test_a_title_that_the_peer_does_not_know_is_a_matter_of_configuration(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]
    ) -> None:
        with pytest.raises(SendingError) as raised:
            sending(dicom_transport(orthanc, scp.port, Aet="NOBODY"), items)
        assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Configuration, True)

    @pytest.mark.parametrize("transformed", [False, True])
    def test_a_class_that_the_peer_does_not_take_is_refused_and_the_rest_sent(
        self, orthanc: Orthanc, server: OrthancServer, items: list[Item], *, transformed: bool
    ) -> None:
        ct = make_study(modality="CT", instances=2)
        send(ct, server.dicom_port)
        wanted = [replace(each, study_instance_uid=items[0].study_instance_uid) for each in items_of(orthanc, ct)]
        with StorageScp("VNA", takes=[CT]) as narrow:
            way = dicom_transport(orthanc, narrow.port, Renamed(orthanc) if transformed else None)
            refused = sending(way, [wanted[0], *items[:4], wanted[1]])
            assert len(narrow.sop_instance_uids()) == 2
        assert refused.keys() == {each.orthanc_id for each in items[:4]}
        assert {(error.error_class, error.code) for error in refused.values()} == {
            (ErrorClass.Permanent, "no-presentation-context")
        }

    def test_the_refused_ones_of_a_large_batch_are_found(
        self, orthanc: Orthanc, server: OrthancServer, scp: ArchiveScp
    ) -> None:
        large = make_study(instances=130, size=128)
        send(large, server.dicom_port)
        items = items_of(orthanc, large)
        for position in (0, 57, 58, 99, 100, 129):
            scp.refuses[items[position].sop_instance_uid] = 0xC000
        seen: list[int] = []
        refused = sending(dicom_transport(orthanc, scp.port), items, seen.append)
        assert refused.keys() == {items[each].orthanc_id for each in (0, 57, 58, 99, 100, 129)}
        assert len(scp.kept) == 124
        assert len(scp.receptions) == 130
        assert seen[-1] == 124

    @pytest.mark.parametrize("transformed", [False, True])
    @pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.RESET, Fault.BLACK_HOLE])
    def test_a_broken_network_passes(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item], fault: Fault, *, transformed: bool
    ) -> None:
        with Proxy(scp.port) as proxy:
            content = Renamed(orthanc) if transformed else None
            way = dicom_transport(orthanc, proxy.port, content)
            proxy.fault = fault
            with pytest.raises(SendingError) as raised:
                sending(way, items)
            assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Transient, True)
            proxy.fault = Fault.NONE
            patient = dicom_transport(orthanc, proxy.port, content, TimeoutSeconds=30)
            assert sending(patient, items) == {}
        assert len(scp.kept) == len(items)

    @pytest.mark.parametrize(
        ("behaviour", "error_class", "code"),
        [
            (["--refuse"], ErrorClass.Configuration, "association-rejected"),
            (["--abort-after"], ErrorClass.Transient, "interrupted"),
            (["--abort-during"], ErrorClass.Transient, "interrupted"),
            (["--sleep-after", "60"], ErrorClass.Transient, "timeout"),
            (["--sleep-during", "60"], ErrorClass.Transient, "timeout"),
        ],
    )
    def test_a_difficult_storescp_is_understood_and_gets_everything_later(
        self,
        orthanc: Orthanc,
        tmp_path: Path,
        items: list[Item],
        behaviour: list[str],
        error_class: ErrorClass,
        code: str,
    ) -> None:
        port = free_port()
        way = dicom_transport(orthanc, port)
        with storescp(port, tmp_path, *behaviour), pytest.raises(SendingError) as raised:
            sending(way, items)
        assert (raised.value.error_class, raised.value.code) == (error_class, code)
        with storescp(port, tmp_path):
            assert sending(way, items) == {}
        assert len(list(tmp_path.iterdir())) == len(items)

    def test_what_is_made_on_the_way_goes_on_one_association_whatever_becomes_of_each(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]
    ) -> None:
        with Proxy(scp.port) as proxy:
            way = dicom_transport(orthanc, proxy.port, Renamed(orthanc), LocalAet="RELAIS")
            assert sending(way, items[:1]) == {}
            before = proxy.connections
            scp.answer_next(0, 0xC000, 0xA700, 0xB000, 0x0111, 0)
            seen: list[int] = []
            refused = sending(way, items, seen.append)
            assert proxy.connections - before == 1
        assert {key: error.code for key, error in refused.items()} == {
            items[1].orthanc_id: "C000",
            items[2].orthanc_id: "A700",
        }
        assert seen[-1] == 4
        assert {each.calling_aet for each in scp.receptions} == {"RELAIS"}

    def test_what_is_made_is_sent_byte_for_byte_or_in_the_syntax_that_the_peer_takes(
        self, orthanc: Orthanc, tmp_path: Path, items: list[Item]
    ) -> None:
        made = {renamed(each.sop_instance_uid): b"".join(Renamed(orthanc).read(each)) for each in items[:2]}
        for takes in ("+xe", "+xi"):
            folder, port = tmp_path / takes, free_port()
            folder.mkdir()
            with storescp(port, folder, takes, "--bit-preserving"):
                assert sending(dicom_transport(orthanc, port, Renamed(orthanc)), items[:2]) == {}
            received = {str(dcmread(each).SOPInstanceUID): each.read_bytes() for each in folder.iterdir()}
            assert received.keys() == made.keys()
            for uid, content in made.items():
                there, sent = dcmread(BytesIO(received[uid])), dcmread(BytesIO(content))
                assert {each.tag: each.value for each in there} == {each.tag: each.value for each in sent}
                is_same = there.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
                assert is_same == (takes == "+xe")
                assert received[uid].endswith(content[_start(content) :]) == is_same

    @pytest.mark.parametrize("transformed", [False, True])
    def test_a_stop_in_the_middle_ends_the_batch(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item], *, transformed: bool
    ) -> None:
        stopping = threading.Event()
        with Proxy(scp.port) as slow:
            slow.bytes_per_second = 4000
            seconds = threading.Timer(0.5, stopping.set)
            seconds.start()
            with pytest.raises(InterruptedError):
                content = Renamed(orthanc) if transformed else None
                dicom_transport(orthanc, slow.port, content, TimeoutSeconds=30).send(
                    items, permit=permit(items), progress=lambda _: None, stopping=stopping
                )
        assert len(scp.kept) < len(items)


class TestQuery(Servers):
    """IMAGE-level C-FIND."""

    def test_lying_success_is_found_out(self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]) -> None:
        scp.forgets = {items[1].sop_instance_uid, items[4].sop_instance_uid}
        way = dicom_transport(orthanc, scp.port)
        assert sending(way, items) == {}
        assert lost(way, items) == uids([items[1], items[4]])

    def test_a_peer_that_forgets_everything_is_not_asked_for_each(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]
    ) -> None:
        scp.forgets = {"*"}
        way = dicom_transport(orthanc, scp.port)
        sending(way, items)
        assert lost(way, items) == uids(items)
        assert len(scp.finds) == 4  # two series, and one instance of each

    def test_unique_keys_stand_on_every_level_and_nothing_else_is_asked_for(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]
    ) -> None:
        way = dicom_transport(orthanc, scp.port)
        sending(way, items)
        way.missing(items)
        assert [(each.StudyInstanceUID, each.SeriesInstanceUID, each.SOPInstanceUID) for each in scp.finds] == [
            (item.study_instance_uid, item.series_instance_uid, "") for item in (items[0], items[3])
        ]

    @pytest.mark.parametrize("limit", [1, 2])
    def test_answers_that_were_cut_make_nothing_missing(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item], limit: int
    ) -> None:
        scp.row_limit = limit
        scp.forgets = {items[2].sop_instance_uid}
        way = dicom_transport(orthanc, scp.port)
        sending(way, items)
        assert lost(way, items) == uids([items[2]])

    @pytest.mark.parametrize(
        ("status", "error_class"),
        [
            (0xA700, ErrorClass.Transient),
            (0xC000, ErrorClass.Transient),
            (0xA900, ErrorClass.Configuration),
            (0x0122, ErrorClass.Configuration),
        ],
    )
    def test_a_query_that_fails_says_nothing_of_the_instances(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item], status: int, error_class: ErrorClass
    ) -> None:
        scp.find_answers.append(status)
        with pytest.raises(SendingError) as raised:
            dicom_transport(orthanc, scp.port).missing(items)
        assert (raised.value.error_class, raised.value.code) == (error_class, f"{status:04X}"), raised.value

    def test_a_peer_without_queries_is_a_matter_of_configuration(self, orthanc: Orthanc, items: list[Item]) -> None:
        with StorageScp("VNA") as mute, pytest.raises(SendingError) as raised:
            dicom_transport(orthanc, mute.port).missing(items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "no-query")


class TestCommitment(Servers):
    """Storage commitment."""

    @pytest.mark.parametrize("transformed", [False, True])
    def test_what_the_peer_took_responsibility_for_is_committed(
        self, orthanc: Orthanc, server: OrthancServer, scp: ArchiveScp, items: list[Item], *, transformed: bool
    ) -> None:
        way = dicom_transport(orthanc, scp.port, Renamed(orthanc) if transformed else None, LocalAet="RELAIS")
        transaction = way.commit(items)
        assert way.committed(transaction, items) is None
        [asked] = scp.commitments
        assert (asked.transaction, asked.calling_aet) == (transaction, "RELAIS")
        there = [renamed(each) if transformed else each for each in (item.sop_instance_uid for item in items)]
        assert [uid for _, uid in asked.instances] == there
        scp.report(asked, server.dicom_port)
        assert way.committed(transaction, items) == {}

    def test_each_reason_has_its_class(
        self, orthanc: Orthanc, server: OrthancServer, scp: ArchiveScp, items: list[Item]
    ) -> None:
        way = dicom_transport(orthanc, scp.port)
        transaction = way.commit(items)
        reasons = [0x0112, 0x0110, 0x0213, 0x0131, 0x0122, 0x0119]
        failures = {item.sop_instance_uid: reason for item, reason in zip(items, reasons, strict=True)}
        scp.report(scp.commitments[0], server.dicom_port, failures=failures)
        refused = way.committed(transaction, items)
        assert refused is not None
        assert [(refused[item.orthanc_id].error_class, refused[item.orthanc_id].code) for item in items] == [
            (ErrorClass.Transient, "0112"),
            (ErrorClass.Transient, "0110"),
            (ErrorClass.Transient, "0213"),
            (ErrorClass.Transient, "0131"),
            (ErrorClass.Permanent, "0122"),
            (ErrorClass.Permanent, "0119"),
        ]

    def test_what_the_report_does_not_speak_of_is_not_committed(
        self, orthanc: Orthanc, server: OrthancServer, scp: ArchiveScp, items: list[Item]
    ) -> None:
        way = dicom_transport(orthanc, scp.port)
        transaction = way.commit(items[:4])
        scp.report(scp.commitments[0], server.dicom_port)
        refused = way.committed(transaction, items)
        assert refused is not None
        assert {key: error.code for key, error in refused.items()} == {
            each.orthanc_id: "not-reported" for each in items[4:]
        }

    def test_a_report_that_orthanc_forgot_is_said_to_be_forgotten(
        self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]
    ) -> None:
        with pytest.raises(LookupError):
            dicom_transport(orthanc, scp.port).committed("1.2.3", items)

    def test_a_peer_that_refuses_to_be_asked_passes(self, orthanc: Orthanc, scp: ArchiveScp, items: list[Item]) -> None:
        scp.commit_answers.append(0x0110)
        with pytest.raises(SendingError) as raised:
            dicom_transport(orthanc, scp.port).commit(items)
        assert raised.value.error_class is ErrorClass.Transient

    def test_a_peer_without_storage_commitment_is_a_matter_of_configuration(
        self, orthanc: Orthanc, items: list[Item]
    ) -> None:
        with StorageScp("VNA") as mute, pytest.raises(SendingError) as raised:
            dicom_transport(orthanc, mute.port).commit(items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "no-commitment")


@pytest.mark.parametrize(
    ("details", "code"),
    [
        ("", "interrupted"),
        ("Peer aborted Association (or never connected)", "interrupted"),
        ('DicomAssociation - connecting to AET "VNA": TCP Initialization Error: Connection refused', "unreachable"),
        ('DicomAssociation - C-STORE to AET "VNA": DIMSE No data available (timeout in non-blocking mode)', "timeout"),
        ("No valid presentation context was negotiated", "no-presentation-context"),
        ("Cannot transcode from 1.2.840.10008.1.2.1 to one of [ ]", "no-presentation-context"),
        ("Cannot transcode from 1.2.840.10008.1.2.1 to one of [ 1.2.840.10008.1.2.4.70 ]", "cannot-transcode"),
        ("C-STORE SCU to AET has failed with DIMSE status 0xa702", "A702"),
    ],
)
def test_orthancs_words_are_classified(details: str, code: str) -> None:
    assert of_store(details).code == code


def _start(file: bytes) -> int:
    """Where the data set begins: after 128 bytes, DICM, and the group length's own twelve (PS3.10 section 7.1)."""
    return 144 + int.from_bytes(file[140:144], "little")


@contextmanager
def storescp(port: int, folder: Path, *behaviour: str) -> Iterator[None]:
    """DCMTK's storage SCP, which keeps files in a folder."""
    process = subprocess.Popen(
        ["storescp", "--aetitle", "VNA", "--output-directory", str(folder), *behaviour, str(port)],
        env=os.environ | {"TCP_NODELAY": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: is_listening(port), what="storescp listens")
        yield
    finally:
        process.kill()
        process.wait()
