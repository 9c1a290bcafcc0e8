"""C-STORE over TLS, where the peer asks for our certificate."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from threading import Event, Timer
from time import monotonic
from typing import Any

import pytest

from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.transports import Item, SendingError
from tests.contract.transport_dicom import dicom_transport
from tests.contract.transport_suite import Renamed, Servers, lost, sending, uids
from tests.servers.dicom import Study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.permits import permit
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.scp import ArchiveScp
from tests.servers.tls import Authority, serving
from tests.servers.waiting import eventually


@dataclass(frozen=True)
class Authorities:
    """Who vouches for us and for the peer, and somebody else."""

    ours: Authority
    other: Authority

    def peer(self, *, known: bool = True, knows_us: bool = True) -> SSLContext:
        """The TLS of a peer that asks for our certificate."""
        certificate = (self.ours if known else self.other).issue(f"vna-{known}-{knows_us}")
        return serving(certificate, asks=self.ours if knows_us else self.other)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    folder = tmp_path_factory.mktemp("certificates")
    return Authorities(Authority(folder, "ours"), Authority(folder, "other"))


class TestTls(Servers):
    """Our Orthanc has a certificate, and trusts one authority."""

    def ours(self, authorities: Authorities) -> dict[str, str]:
        certificate = str(authorities.ours.issue("relais"))
        return {
            "DicomTlsCertificate": certificate,
            "DicomTlsPrivateKey": certificate,
            "DicomTlsTrustedCertificates": str(authorities.ours.certificate),
        }

    @pytest.fixture
    def secured(self, authorities: Authorities, study: Study, tmp_path: Path) -> Iterator[Orthanc]:
        """An Orthanc with the study and with a certificate."""
        with OrthancServer(tmp_path / "secured", configuration=self.ours(authorities)) as server:
            send(study, server.dicom_port)
            client = Orthanc(server.url)
            yield client
            client.close()

    def failure(self, orthanc: Orthanc, port: int, items: list[Item], **options: Any) -> SendingError:
        way = dicom_transport(orthanc, port, **options)
        with pytest.raises(SendingError) as raised:
            sending(way, items)
        return raised.value

    def test_everything_is_sent_asked_for_and_committed_over_tls(
        self, secured: Orthanc, authorities: Authorities, items: list[Item]
    ) -> None:
        with ArchiveScp("VNA", tls=authorities.peer()) as vna:
            way = dicom_transport(secured, vna.port, Tls=True)
            assert sending(way, items) == {}
            assert vna.kept == uids(items)
            vna.forget(items[0].sop_instance_uid)
            assert lost(way, items) == uids(items[:1])
            way.commit(items)
            assert len(vna.commitments) == 1
            transformed = dicom_transport(secured, vna.port, Renamed(secured), self.ours(authorities), Tls=True)
            assert sending(transformed, items) == {}
            assert {each.calling_aet for each in vna.receptions[-len(items) :]} == {"ORTHANC"}

    @pytest.mark.parametrize(
        ("known", "knows_us"), [(False, True), (True, False)], ids=["a stranger", "does not trust us"]
    )
    def test_a_wrong_certificate_on_either_side_is_a_matter_of_configuration(
        self, secured: Orthanc, authorities: Authorities, items: list[Item], *, known: bool, knows_us: bool
    ) -> None:
        with ArchiveScp("VNA", tls=authorities.peer(known=known, knows_us=knows_us)) as vna:
            error = self.failure(secured, vna.port, items, Tls=True)
            made = dicom_transport(secured, vna.port, Renamed(secured), self.ours(authorities), Tls=True)
            with pytest.raises(SendingError) as transformed:
                sending(made, items)
            assert not vna.kept
            with pytest.raises(SendingError) as asked:
                made.missing(items)
        for each in (error, transformed.value, asked.value):
            assert (each.error_class, each.code, each.unreachable) == (ErrorClass.Configuration, "tls", True)

    def test_an_orthanc_without_a_certificate_is_a_matter_of_configuration(
        self, orthanc: Orthanc, authorities: Authorities, items: list[Item]
    ) -> None:
        with ArchiveScp("VNA", tls=authorities.peer()) as vna:
            error = self.failure(orthanc, vna.port, items, Tls=True)
        assert (error.error_class, error.code) == (ErrorClass.Configuration, "tls")

    def test_a_peer_that_speaks_no_tls_is_a_matter_of_configuration(self, secured: Orthanc, items: list[Item]) -> None:
        with ArchiveScp("VNA") as vna:
            error = self.failure(secured, vna.port, items, Tls=True)
            assert not vna.kept
        assert (error.error_class, error.code) == (ErrorClass.Configuration, "tls")

    def test_nothing_goes_in_the_clear_once_somebody_turned_tls_off(
        self, secured: Orthanc, authorities: Authorities, items: list[Item]
    ) -> None:
        with ArchiveScp("VNA", tls=authorities.peer()) as vna, ArchiveScp("VNA") as clear:
            way = dicom_transport(secured, vna.port, Tls=True)
            sending(way, items[:1])
            secured.put("/modalities/relais-vna", {"AET": "VNA", "Host": "127.0.0.1", "Port": clear.port})
            sending(way, items)
            assert vna.kept == uids(items)
            assert not clear.kept

    def test_a_black_hole_holds_nobody_and_no_study_is_sent_twice_at_once(
        self, secured: Orthanc, authorities: Authorities, items: list[Item]
    ) -> None:
        stopping = Event()
        with ArchiveScp("VNA", tls=authorities.peer()) as vna:
            with Proxy(vna.port) as proxy:
                proxy.fault = Fault.BLACK_HOLE
                way = dicom_transport(secured, proxy.port, Tls=True)
                timer = Timer(0.5, stopping.set)
                timer.start()
                began = monotonic()
                with pytest.raises(InterruptedError):
                    way.send(items, permit=permit(items), progress=lambda _: None, stopping=stopping)
                assert monotonic() - began < 5
                with pytest.raises(SendingError) as raised:
                    sending(way, items)
                assert (raised.value.code, raised.value.unreachable) == ("still-sending", True)

            def ended() -> bool:
                with pytest.raises(SendingError) as refused:
                    sending(way, items)
                return refused.value.code != "still-sending"

            eventually(ended, what="the job that was given up ends")

    def test_a_peer_that_is_not_there_passes(self, secured: Orthanc, items: list[Item]) -> None:
        error = self.failure(secured, free_port(), items, Tls=True)
        assert (error.error_class, error.unreachable) == (ErrorClass.Transient, True)

    def test_a_probe_finds_out_who_accepts_connections_and_nothing_else(
        self, secured: Orthanc, authorities: Authorities
    ) -> None:
        with ArchiveScp("VNA", tls=authorities.peer()) as vna, Proxy(vna.port) as proxy:
            way = dicom_transport(secured, proxy.port, Tls=True)
            way.probe()
            proxy.fault = Fault.BLACK_HOLE
            with pytest.raises(SendingError) as raised:
                way.probe()
        assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Transient, True)

    def test_no_question_waits_a_minute_for_a_handshake(
        self, secured: Orthanc, authorities: Authorities, items: list[Item]
    ) -> None:
        with ArchiveScp("VNA", tls=authorities.peer()) as vna, Proxy(vna.port) as proxy:
            way = dicom_transport(secured, proxy.port, Tls=True)
            assert lost(way, items) == uids(items)
            proxy.fault = Fault.BLACK_HOLE
            for ask in (way.missing, way.commit):
                began = monotonic()
                with pytest.raises(SendingError) as raised:
                    ask(items)
                assert raised.value.unreachable
                assert monotonic() - began < 30, "Orthanc alone would wait 60 seconds"
