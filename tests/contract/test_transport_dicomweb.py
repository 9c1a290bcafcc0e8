"""What STOW-RS and QIDO-RS promise: over a real Orthanc, and over an archive that answers as it is told."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.transports import Item, SendingError, Transport
from relais.transports.dicomweb import failure, outcomes
from tests.contract.transport_suite import Peer, Renamed, Servers, items_of, lost, sending, uids
from tests.contract.transport_web import DicomWebArchive, DicomWebOrthanc, WebSuite, dicomweb
from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.permits import permit
from tests.servers.proxy import Proxy
from tests.servers.stow import Answer, StowServer
from tests.servers.tls import Authority, serving


class TestDicomWebOrthanc(WebSuite):
    """Over a real Orthanc with its DICOMweb plugin."""

    kind = DicomWebOrthanc

    def test_a_refused_instance_does_not_keep_the_others(
        self, peer: Peer, way: Transport, study: Study, items: list[Item]
    ) -> None:
        """Orthanc's plugin (1.7) says success of what its filter keeps out: the query tells."""
        peer.refuse(study.instances[1])
        sending(way, items)
        assert lost(way, items) == uids([items[1]])


class TestDicomWebArchive(WebSuite):
    """Over an archive that refuses a whole request for one instance."""

    kind = DicomWebArchive


class TestAnswers(Servers):
    """What is understood of an answer."""

    @pytest.fixture
    def archive(self) -> Iterator[StowServer]:
        with StowServer() as archive:
            yield archive

    @pytest.fixture
    def way(self, orthanc: Orthanc, archive: StowServer) -> Iterator[Transport]:
        way = dicomweb(orthanc, archive.url)
        yield way
        way.close()

    @pytest.mark.parametrize("status", [200, 202, 409])
    def test_each_instance_has_its_own_answer(
        self, archive: StowServer, way: Transport, items: list[Item], status: int
    ) -> None:
        reasons = [0xA700, 0x0110, 0xC000, 0x0122, None]
        archive.answer = Answer(
            status=status,
            reasons={item.sop_instance_uid: reason for item, reason in zip(items, reasons, strict=False)},
            warnings={items[5].sop_instance_uid: 0xB000},
        )
        refused = sending(way, items)
        assert [(refused[item.orthanc_id].error_class, refused[item.orthanc_id].code) for item in items[:5]] == [
            (ErrorClass.Transient, "A700"),
            (ErrorClass.Transient, "0110"),
            (ErrorClass.Permanent, "C000"),
            (ErrorClass.Permanent, "0122"),
            (ErrorClass.Transient, "0110"),
        ]
        assert refused.keys() == {item.orthanc_id for item in items[:5]}
        assert not any(error.unreachable for error in refused.values())
        assert archive.stores == [tuple(item.sop_instance_uid for item in items)]

    def test_a_server_that_asks_to_be_left_alone_is(
        self, archive: StowServer, way: Transport, items: list[Item]
    ) -> None:
        archive.answer = Answer(status=503, headers={"Retry-After": "120"})
        with pytest.raises(SendingError) as caught:
            sending(way, items)
        error = caught.value
        assert (error.code, error.unreachable, error.wait) == ("503", True, timedelta(seconds=120))

    def test_what_is_there_already_is_a_success(self, archive: StowServer, way: Transport, items: list[Item]) -> None:
        archive.answer = Answer(status=409, reasons={item.sop_instance_uid: 0x0111 for item in items})
        assert sending(way, items) == {}
        assert len(archive.stores) == 1

    @pytest.mark.parametrize("answer", [Answer(status=409, body=b"<html>"), Answer(body=b""), Answer(body=b"[[1]]")])
    def test_an_answer_that_says_nothing_is_asked_back(
        self, archive: StowServer, way: Transport, items: list[Item], answer: Answer
    ) -> None:
        archive.answer = answer
        assert sending(way, items) == {}
        assert len(archive.stores) == 1
        assert any(each.method == "GET" for each in archive.requests)

    def test_what_an_answer_leaves_out_is_asked_for(
        self, archive: StowServer, way: Transport, items: list[Item]
    ) -> None:
        archive.answer_next(Answer(status=202, speaks_of={items[0].sop_instance_uid}))
        assert sending(way, items) == {}
        archive.lose(items[2].sop_instance_uid)
        archive.answer_next(Answer(status=202, speaks_of={items[0].sop_instance_uid}, keeps=False))
        refused = sending(way, items)
        assert {key: (error.error_class, error.code) for key, error in refused.items()} == {
            items[2].orthanc_id: (ErrorClass.Transient, "not-confirmed")
        }

    def test_an_archive_that_answers_no_queries_is_believed(
        self, archive: StowServer, way: Transport, items: list[Item]
    ) -> None:
        archive.queries = False
        archive.answer = Answer(body=b"thank you")
        assert sending(way, items) == {}
        archive.answer = Answer(status=202, body=b"thank you")
        asks: tuple[Callable[[], object], ...] = (lambda: sending(way, items), lambda: way.missing(items))
        for ask in asks:
            with pytest.raises(SendingError) as raised:
                ask()
            assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "404")

    @pytest.mark.parametrize(
        ("status", "error_class", "unreachable"),
        [
            (401, ErrorClass.Configuration, True),
            (403, ErrorClass.Configuration, False),
            (404, ErrorClass.Configuration, True),
            (405, ErrorClass.Configuration, True),
            (407, ErrorClass.Configuration, True),
            (415, ErrorClass.Configuration, False),
            (301, ErrorClass.Configuration, True),
            (408, ErrorClass.Transient, False),
            (429, ErrorClass.Transient, True),
            (503, ErrorClass.Transient, True),
            (507, ErrorClass.Transient, True),
        ],
    )
    def test_a_status_that_concerns_the_whole_batch(
        self,
        archive: StowServer,
        way: Transport,
        items: list[Item],
        status: int,
        error_class: ErrorClass,
        *,
        unreachable: bool,
    ) -> None:
        archive.answer = Answer(status=status, headers={"Retry-After": "60", "Location": archive.url})
        with pytest.raises(SendingError) as raised:
            sending(way, items)
        assert (raised.value.error_class, raised.value.code, raised.value.unreachable) == (
            error_class,
            str(status),
            unreachable,
        )
        assert len(archive.stores) == 1
        archive.answer = Answer()
        assert sending(way, items) == {}

    @pytest.mark.parametrize("status", [500, 502])
    def test_one_over_which_the_server_fails_keeps_no_other_back(
        self, archive: StowServer, way: Transport, items: list[Item], status: int
    ) -> None:
        archive.refuses, archive.refuses_with = [items[2].sop_instance_uid], status
        refused = sending(way, items)
        assert {key: (error.error_class, error.code) for key, error in refused.items()} == {
            items[2].orthanc_id: (ErrorClass.Transient, str(status))
        }
        assert sorted(archive.stored) == uids([*items[:2], *items[3:]])

    @pytest.mark.parametrize("status", [500, 502])
    def test_a_server_that_fails_over_everything_is_soon_left_alone(
        self, archive: StowServer, way: Transport, items: list[Item], status: int
    ) -> None:
        archive.answer = Answer(status=status)
        with pytest.raises(SendingError) as raised:
            sending(way, items)
        assert (raised.value.error_class, raised.value.code) == (ErrorClass.Transient, str(status))
        assert sum(len(each) == 1 for each in archive.stores) <= 3 + 1  # two are sent at once
        archive.answer = Answer()
        assert sending(way, items) == {}

    @pytest.mark.parametrize("status", [400, 422])
    def test_all_are_refused_one_by_one_where_none_is_wanted(
        self, archive: StowServer, way: Transport, items: list[Item], status: int
    ) -> None:
        archive.answer = Answer(status=status)
        refused = sending(way, items)
        assert {(error.error_class, error.code) for error in refused.values()} == {(ErrorClass.Permanent, str(status))}
        assert refused.keys() == {item.orthanc_id for item in items}

    def test_what_got_through_before_a_failure_is_not_forgotten(
        self, archive: StowServer, way: Transport, items: list[Item]
    ) -> None:
        archive.answer_next(Answer(status=413), Answer(), Answer(status=503))
        seen: list[int] = []
        refused = sending(way, items, seen.append)
        assert {key: (error.code, error.unreachable) for key, error in refused.items()} == {
            item.orthanc_id: ("503", True) for item in items[3:]
        }
        assert sorted(archive.stored) == uids(items[:3])
        assert seen[-1] == 3

    def test_a_batch_that_is_too_large_goes_in_smaller_ones_from_then_on(
        self, archive: StowServer, way: Transport, server: OrthancServer, orthanc: Orthanc, items: list[Item]
    ) -> None:
        larger = make_study(instances=3, size=4500)
        send(larger, server.dicom_port)
        items = items[:3] + [
            replace(each, study_instance_uid=items[0].study_instance_uid) for each in items_of(orthanc, larger)
        ]
        assert sum(each.bytes for each in items[:3]) < sum(each.bytes for each in items[3:])
        archive.largest = int(items[0].bytes * 2.5)
        assert sending(way, items) == {}
        assert sorted(archive.stored) == uids(items)
        assert all(len(each) <= 2 for each in archive.stores)
        before = archive.connections
        assert sending(way, items) == {}
        assert len(archive.stores) == 8
        assert archive.connections - before <= 1  # each refusal cuts one, and no more than two go at once

    def test_one_that_is_too_large_alone_is_refused(
        self, archive: StowServer, way: Transport, items: list[Item]
    ) -> None:
        archive.largest = 10
        refused = sending(way, items[:1])
        assert {(error.error_class, error.code) for error in refused.values()} == {(ErrorClass.Permanent, "413")}

    def test_a_connection_that_is_cut_by_what_is_sent_is_not_the_archives_fault(
        self, archive: StowServer, way: Transport, items: list[Item]
    ) -> None:
        archive.answer_next(Answer(cuts=1000))
        with pytest.raises(SendingError) as raised:
            sending(way, items)
        assert (raised.value.error_class, raised.value.code, raised.value.unreachable) == (
            ErrorClass.Transient,
            "interrupted",
            False,
        )

    def test_an_archive_that_never_answers_is_left_in_time(
        self, archive: StowServer, way: Transport, items: list[Item]
    ) -> None:
        archive.answer_next(Answer(hangs=True))
        began = time.monotonic()
        with pytest.raises(SendingError) as raised:
            sending(way, items)
        assert time.monotonic() - began < 5
        assert (raised.value.code, raised.value.unreachable) == ("timeout", True)

    def test_a_slow_archive_is_not_a_silent_one(
        self, server: OrthancServer, orthanc: Orthanc, archive: StowServer
    ) -> None:
        study = make_study(instances=3, size=5_000_000)
        send(study, server.dicom_port)
        with Proxy(archive.port) as proxy:
            proxy.bytes_per_second = 2_000_000
            way = dicomweb(orthanc, f"http://127.0.0.1:{proxy.port}/dicomweb", TimeoutSeconds=4)
            began = time.monotonic()
            assert sending(way, items_of(orthanc, study)) == {}
            assert time.monotonic() - began > 5

    def test_an_archive_asks_for_a_token(self, orthanc: Orthanc, archive: StowServer, items: list[Item]) -> None:
        archive.authorization = "Bearer abc.def"
        assert sending(dicomweb(orthanc, archive.url, Token="abc.def"), items) == {}
        with pytest.raises(SendingError) as raised:
            sending(dicomweb(orthanc, archive.url, Token="secret"), items)
        assert raised.value.code == "401"
        assert "secret" not in str(raised.value)

    def test_what_is_stored_goes_with_its_length_and_the_rest_in_chunks(
        self, orthanc: Orthanc, archive: StowServer, items: list[Item]
    ) -> None:
        sending(dicomweb(orthanc, archive.url), items)
        sending(dicomweb(orthanc, archive.url, Renamed(orthanc)), items)
        stored, made = (each.headers for each in archive.requests)
        assert "content-length" in stored
        assert made["transfer-encoding"] == "chunked"
        assert stored["accept"] == "application/dicom+json"

    def test_nothing_is_whole_in_memory(self, orthanc: Orthanc, archive: StowServer, items: list[Item]) -> None:
        """An instance is only read when those before it but one are on their way."""
        reading: list[int] = []
        sent: list[int] = []

        class Watched(Renamed):
            as_stored = True

            def read(self, item: Item) -> Iterator[bytes]:
                reading.append(len(sent))
                return self._stored.read(item)

            def named(self, item: Item) -> Item:
                return item

        sending(dicomweb(orthanc, archive.url, Watched(orthanc)), items, sent.append)
        assert all(through >= place - 1 for place, through in enumerate(reading))


class TestQueries(Servers):
    """What QIDO-RS is asked, and how far it is believed."""

    @pytest.fixture
    def archive(self, orthanc: Orthanc, items: list[Item]) -> Iterator[StowServer]:
        with StowServer() as archive:
            sending(dicomweb(orthanc, archive.url), items)
            yield archive

    def asked(self, archive: StowServer) -> list[str]:
        return [each.path for each in archive.requests if each.method == "GET"]

    @pytest.mark.parametrize(("rows", "pages"), [(1000, True), (1, True), (2, True), (2, False), (1, False)])
    def test_lists_are_read_to_their_end_or_asked_for_one_by_one(
        self, orthanc: Orthanc, archive: StowServer, items: list[Item], rows: int, *, pages: bool
    ) -> None:
        archive.rows, archive.pages = rows, pages
        way = dicomweb(orthanc, archive.url)
        assert lost(way, items) == []
        archive.lose(items[1].sop_instance_uid)
        assert lost(way, items) == uids([items[1]])
        for item in items[3:]:
            archive.lose(item.sop_instance_uid)
        assert lost(way, items) == uids([items[1], *items[3:]])

    def test_an_archive_that_has_nothing_has_nothing(
        self, orthanc: Orthanc, archive: StowServer, items: list[Item]
    ) -> None:
        archive.stored.clear()
        before = len(archive.requests)
        assert lost(dicomweb(orthanc, archive.url), items) == uids(items)
        assert len(archive.requests) - before <= 4  # not one by one

    def test_the_question_names_the_series(self, orthanc: Orthanc, archive: StowServer, items: list[Item]) -> None:
        dicomweb(orthanc, archive.url).missing(items[:1])
        root = f"/dicomweb/studies/{items[0].study_instance_uid}/series/{items[0].series_instance_uid}/instances"
        assert self.asked(archive)[0] == f"{root}?includefield=00080018&limit=500&offset=0"


class TestTls:
    """Whom we trust, and who trusts us; the classes' servers need no Orthanc."""

    @pytest.fixture(scope="class")
    @classmethod
    def authority(cls, tmp_path_factory: pytest.TempPathFactory) -> Authority:
        return Authority(tmp_path_factory.mktemp("tls"))

    def probe(self, context: ssl.SSLContext, **options: Any) -> None:
        with StowServer(context) as archive:
            way = dicomweb(Orthanc("http://127.0.0.1:1"), archive.url, **options)
            try:
                way.probe()
                way.missing([NOBODY])
            finally:
                way.close()

    def test_a_certificate_of_its_authority_is_trusted(self, authority: Authority) -> None:
        self.probe(serving(authority.issue("good")), CertificateAuthority=str(authority.certificate))

    def test_client_certificates(self, authority: Authority, tmp_path: Path) -> None:
        trusted = {"CertificateAuthority": str(authority.certificate)}
        context = serving(authority.issue("server"), asks=authority)
        other = Authority(tmp_path, "other")
        for options in (trusted, {**trusted, "ClientCertificate": str(other.issue("stranger"))}):
            with pytest.raises(SendingError) as raised:
                self.probe(context, **options)
            assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "tls")
        self.probe(context, **trusted, ClientCertificate=str(authority.issue("us")))

    @pytest.mark.parametrize(
        "issued",
        [
            lambda authority: authority.self_signed("lone"),
            lambda authority: authority.issue("stranger", names=("DNS:elsewhere",)),
            lambda authority: authority.issue("old", starts=timedelta(days=-9), ends=timedelta(days=-1)),
        ],
        ids=["self-signed", "other name", "expired"],
    )
    def test_a_certificate_that_is_not_good_is_a_matter_of_configuration(
        self, authority: Authority, issued: Callable[[Authority], Path]
    ) -> None:
        with pytest.raises(SendingError) as raised:
            self.probe(serving(issued(authority)), CertificateAuthority=str(authority.certificate))
        assert (raised.value.error_class, raised.value.code, raised.value.unreachable) == (
            ErrorClass.Configuration,
            "tls",
            True,
        )
        assert "TLS failed: " in raised.value.text

    def test_without_an_authority_the_systems_are_trusted(self, authority: Authority) -> None:
        with pytest.raises(SendingError) as raised:
            self.probe(serving(authority.issue("private")))
        assert raised.value.code == "tls"

    def test_a_file_that_cannot_be_read_is_a_matter_of_configuration(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        bad = tmp_path / "bad.pem"
        bad.write_text("nothing")
        good = str(authority.certificate)
        for options in (
            {"CertificateAuthority": str(bad)},
            {"CertificateAuthority": "/nowhere.pem"},
            {"CertificateAuthority": good, "ClientCertificate": str(bad)},
        ):
            with pytest.raises(SendingError) as raised:
                self.probe(serving(authority.issue("fine")), **options)
            assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "certificate")

    def test_an_early_refusal_is_heard_over_tls(self, authority: Authority) -> None:
        with StowServer(serving(authority.issue("early"))) as archive:
            archive.authorization = "Bearer token"
            way = dicomweb(
                Orthanc("http://127.0.0.1:1"), archive.url, Bytes(), CertificateAuthority=str(authority.certificate)
            )
            with pytest.raises(SendingError) as raised:
                sending(way, [NOBODY])
            assert raised.value.code == "401"
            way.close()

    def test_a_stop_ends_a_wait_over_tls(self, authority: Authority) -> None:
        with StowServer(serving(authority.issue("slow"))) as archive:
            archive.answer = Answer(hangs=True)
            way = dicomweb(
                Orthanc("http://127.0.0.1:1"),
                archive.url,
                Bytes(),
                CertificateAuthority=str(authority.certificate),
                TimeoutSeconds=60,
            )
            stopping = threading.Event()
            timer = threading.Timer(0.5, stopping.set)
            timer.start()
            began = time.monotonic()
            with pytest.raises(InterruptedError):
                way.send([NOBODY], permit=permit([NOBODY]), progress=lambda _: None, stopping=stopping)
            assert time.monotonic() - began < 3
            timer.join()


NOBODY = Item(
    orthanc_id="1", study_instance_uid="1.2", series_instance_uid="1.2.3", sop_instance_uid="1.2.3.4", bytes=0
)


class Bytes:
    """Content that is made here."""

    as_stored = False

    def read(self, item: Item) -> Iterator[bytes]:
        instance = Dataset()
        instance.SOPInstanceUID = item.sop_instance_uid
        instance.StudyInstanceUID, instance.SeriesInstanceUID = item.study_instance_uid, item.series_instance_uid
        instance.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        instance.PixelData = bytes(20_000_000)
        instance["PixelData"].VR = "OB"
        instance.file_meta = FileMetaDataset()
        instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = BytesIO()
        instance.save_as(file, enforce_file_format=True)
        yield file.getvalue()

    def named(self, item: Item) -> Item:
        return item


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b"[1, null]", b'{"00081199": 5}', b'{"00081198": {"Value": [1, {}]}}']
)
def test_an_answer_that_is_no_answer_says_nothing(body: bytes) -> None:
    assert outcomes(body) == {}


@pytest.mark.parametrize("reason", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007, 0x0107, 0x0116])
def test_a_reason_that_is_none(reason: int) -> None:
    assert failure(reason) is None


@pytest.mark.parametrize(
    ("reason", "error_class"),
    [
        (0xA700, ErrorClass.Transient),
        (0xA7FF, ErrorClass.Transient),
        (0x0110, ErrorClass.Transient),
        (0x0213, ErrorClass.Transient),
        (0xA900, ErrorClass.Permanent),
        (0xC000, ErrorClass.Permanent),
        (0xC122, ErrorClass.Permanent),
        (0x0122, ErrorClass.Permanent),
        (0x0124, ErrorClass.Permanent),
        (0xFFFF, ErrorClass.Permanent),
    ],
)
def test_a_reason_has_a_class(reason: int, error_class: ErrorClass) -> None:
    error = failure(reason)
    assert error is not None
    assert (error.error_class, error.code) == (error_class, f"{reason:04X}")
