"""What tests of destinations find on real servers, good and bad ones, over a network that can be broken."""

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from relais.configuration import load
from relais.connectivity import run
from relais.domain.connectivity import Advice, Grade, Step, StepName, grade_of_test
from relais.transports.probes import Ourselves, plan_of
from tests.conftest import OrthancFactory
from tests.servers.orthanc import OrthancServer
from tests.servers.ports import free_port, is_listening
from tests.servers.proxy import Fault, Proxy
from tests.servers.receiver import Answer, Receiver
from tests.servers.s3 import S3Server
from tests.servers.scp import ArchiveScp, StorageScp
from tests.servers.sftp import SftpServer
from tests.servers.tls import Authority, serving
from tests.servers.waiting import eventually

LIMIT = 2
"""Seconds of TimeoutSeconds."""
SLACK = 10.0
"""What a test may take besides."""


def examine(folder: Path, *, store: bool = False, orthanc: Mapping[str, Any] | None = None, **given: Any) -> list[Step]:
    """The steps of a test of this destination, by `Ourselves` of Orthanc's configuration."""
    section: dict[str, Any] = {"Destinations": {"one": {"TimeoutSeconds": LIMIT, **given}}}
    if given["Kind"] == "DicomMove":
        section["Sources"] = {"pacs": given.pop("Pacs")}
        section["Destinations"]["one"].pop("Pacs")
    configuration = load(section, directory=folder)
    ourselves = Ourselves.of({"DicomAet": "RELAIS", **(orthanc or {})})
    plan = plan_of(configuration.destinations["one"], sources=configuration.sources, ourselves=ourselves, store=store)
    began = time.monotonic()
    steps = run(plan, LIMIT, threading.Event())
    assert time.monotonic() - began < LIMIT + SLACK
    return steps


def dicom(port: int, **given: Any) -> dict[str, Any]:
    return {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": port, **given}


def grades(steps: list[Step]) -> dict[str, str]:
    return {step.name: step.grade for step in steps}


def of(steps: list[Step], name: StepName) -> Step:
    (found,) = [step for step in steps if step.name == name]
    return found


def first_failure(steps: list[Step]) -> tuple[StepName, tuple[Advice, ...]]:
    failed = [step for step in steps if step.grade is Grade.Failed]
    assert failed, grades(steps)
    after = steps[steps.index(failed[0]) + 1 :]
    assert all(step.grade is Grade.Skipped for step in after)
    return failed[0].name, failed[0].advice


@pytest.fixture
def archive() -> Iterator[ArchiveScp]:
    with ArchiveScp("VNA", check_called_aet=True) as server:
        yield server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# Network


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    steps = examine(tmp_path, **dicom(104, Host="nobody.invalid"))
    assert first_failure(steps)[0] is StepName.Name
    assert set(of(steps, StepName.Name).advice) <= {Advice.NameUnknown, Advice.NameServerSilent}


def test_refused_is_told_from_silence(tmp_path: Path) -> None:
    assert first_failure(examine(tmp_path, **dicom(free_port()))) == (StepName.Connection, (Advice.Refused,))
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        try:
            for each in waiting:  # they fill the queue, and the next one is not answered
                each.setblocking(False)
                each.connect_ex(address)
            steps = examine(tmp_path, **dicom(address[1]))
        finally:
            for each in waiting:
                each.close()
    assert first_failure(steps) == (StepName.Connection, (Advice.ConnectionTimeout,))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves reset sockets open
@pytest.mark.parametrize("fault", [Fault.BLACK_HOLE, Fault.RESET])
def test_a_port_that_takes_connections_and_does_nothing(tmp_path: Path, archive: ArchiveScp, fault: Fault) -> None:
    with Proxy(archive.port) as proxy:
        proxy.fault = fault
        steps = examine(tmp_path, **dicom(proxy.port))
    wanted = Advice.AssociationSilent if fault is Fault.BLACK_HOLE else Advice.AssociationAborted
    assert first_failure(steps) == (StepName.Association, (wanted,))


def test_a_line_that_drips_ends_in_time(tmp_path: Path, archive: ArchiveScp) -> None:
    with Proxy(archive.port) as proxy:
        proxy.bytes_per_second = 20
        failure = first_failure(examine(tmp_path, **dicom(proxy.port)))
    assert failure == (StepName.Association, (Advice.AssociationSilent,))
    assert not [each.name for each in threading.enumerate() if each.name.startswith("relais-test-Association")]


# DICOM


def test_an_archive_that_takes_and_finds_it_all(tmp_path: Path, archive: ArchiveScp) -> None:
    steps = examine(tmp_path, store=True, **dicom(archive.port, Proof="Committed"))
    assert set(grades(steps).values()) == {Grade.Passed}, steps
    association = of(steps, StepName.Association).facts
    assert association["Accepted"]["CTImageStorage"]
    assert "StorageCommitmentPushModel" in association["Services"]
    assert of(steps, StepName.Echo).facts["RoundTripMilliseconds"] > 0
    (reception,) = archive.receptions
    assert (reception.calling_aet, reception.called_aet) == ("RELAIS", "VNA")
    assert archive.kept == [reception.sop_instance_uid]


def test_nothing_is_stored_unless_it_is_asked_for(tmp_path: Path, archive: ArchiveScp) -> None:
    steps = examine(tmp_path, **dicom(archive.port))
    assert of(steps, StepName.Store).advice == (Advice.NotAskedFor,)
    assert grade_of_test(steps) is Grade.Passed
    assert archive.receptions == ()


def test_a_wrong_title_is_told_by_whose_it_is(tmp_path: Path, archive: ArchiveScp) -> None:
    steps = examine(tmp_path, **dicom(archive.port, Aet="OTHER"))
    assert first_failure(steps) == (StepName.Association, (Advice.RejectedCalledAet,))
    archive._entity.require_calling_aet = ["SOMEBODY"]
    steps = examine(tmp_path, **dicom(archive.port))
    assert first_failure(steps) == (StepName.Association, (Advice.RejectedCallingAet,))
    steps = examine(tmp_path, **dicom(archive.port, LocalAet="SOMEBODY"))
    assert grade_of_test(steps) is Grade.Passed


def test_a_peer_that_takes_few_classes_is_told_which(tmp_path: Path) -> None:
    with StorageScp("VNA", takes=["1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"]) as server:
        steps = examine(tmp_path, store=True, **dicom(server.port))
        unprovable = examine(tmp_path, **dicom(server.port, Proof="Queried"))
    assert first_failure(unprovable)[0] is StepName.Association
    assert set(of(unprovable, StepName.Association).advice) == {Advice.ClassesRejected, Advice.QueriedImpossible}
    association = of(steps, StepName.Association)
    assert (association.grade, association.advice) == (Grade.Passed, (Advice.ClassesRejected,))
    assert list(association.facts["Accepted"]) == ["CTImageStorage"]
    assert "SecondaryCaptureImageStorage" in association.facts["Rejected"]
    assert of(steps, StepName.Store).advice == (Advice.StoreNotAccepted,)
    assert of(steps, StepName.Find).grade is Grade.Skipped


def test_a_peer_without_any_storage_is_no_archive(tmp_path: Path) -> None:
    with StorageScp("VNA", takes=["1.2.840.10008.1.1"]) as server:
        assert first_failure(examine(tmp_path, **dicom(server.port))) == (StepName.Association, (Advice.NoStorage,))


@pytest.mark.parametrize(
    ("status", "grade", "advice"),
    [(0xA700, Grade.Failed, Advice.StoreRefused), (0xB000, Grade.Passed, Advice.StoreWarned)],
)
def test_the_status_of_a_store_is_told(
    tmp_path: Path, archive: ArchiveScp, status: int, grade: Grade, advice: Advice
) -> None:
    archive.answer = status
    store = of(examine(tmp_path, store=True, **dicom(archive.port)), StepName.Store)
    assert (store.grade, store.advice, store.facts["Status"]) == (grade, (advice,), f"{status:04X}")


def test_an_archive_that_lies_is_found_out(tmp_path: Path, archive: ArchiveScp) -> None:
    archive.forgets = {"*"}
    steps = examine(tmp_path, store=True, **dicom(archive.port))
    assert of(steps, StepName.Store).grade is Grade.Passed
    assert first_failure(steps) == (StepName.Find, (Advice.NotFound,))


def test_a_query_that_is_refused_fails_only_where_it_is_the_proof(tmp_path: Path, archive: ArchiveScp) -> None:
    archive.find_answers.extend([0xA700, 0xA700])
    found = of(examine(tmp_path, store=True, **dicom(archive.port)), StepName.Find)
    assert (found.grade, found.advice, found.facts["Status"]) == (Grade.Warning, (Advice.FindRefused,), "A700")
    found = of(examine(tmp_path, store=True, **dicom(archive.port, Proof="Queried")), StepName.Find)
    assert (found.grade, found.advice) == (Grade.Failed, (Advice.FindRefused, Advice.QueriedImpossible))


def test_a_source_that_moves_is_asked_by_its_own_titles(tmp_path: Path) -> None:
    with ArchiveScp("PACS", check_called_aet=True) as source:
        pacs = {"Kind": "Dicom", "Aet": "PACS", "Host": "127.0.0.1", "Port": source.port}
        steps = examine(tmp_path, store=True, Kind="DicomMove", Source="pacs", Aet="VNA", Pacs=pacs)
        assert grades(steps) == dict.fromkeys(("Name", "Connection", "Association", "Echo"), "Passed")
    with StorageScp("PACS", takes=["1.2.840.10008.1.1"]) as source:
        pacs["Port"] = source.port
        steps = examine(tmp_path, Kind="DicomMove", Source="pacs", Aet="VNA", Pacs=pacs)
        assert of(steps, StepName.Association).advice == (Advice.MoveNotAccepted,)


def test_what_is_no_dicom_port_is_told(tmp_path: Path) -> None:
    with Receiver() as server:
        steps = examine(tmp_path, **dicom(server.port))
    assert first_failure(steps) == (StepName.Association, (Advice.AssociationSilent,))


# TLS


@contextmanager
def https(certificate: Path, **options: Any) -> Iterator[Receiver]:
    """A web server that shows this certificate."""
    with tls_receiver(serving(certificate, **options)) as server:
        yield server


@contextmanager
def tls_receiver(context: ssl.SSLContext) -> Iterator[Receiver]:
    server = Receiver()
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True, do_handshake_on_connect=False)
    server._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are the point
    server.answer = Answer(status=204)
    with server:
        yield server


def web(server: Receiver, authority: Authority | None, *, host: str = "localhost", **given: Any) -> dict[str, Any]:
    trusted = {} if authority is None else {"CertificateAuthority": str(authority.certificate)}
    return {"Kind": "DicomWeb", "Url": f"https://{host}:{server.port}/dicom-web", **trusted, **given}


def test_a_good_certificate_is_described(tmp_path: Path, authority: Authority) -> None:
    with https(authority.issue("archive")) as server:
        steps = examine(tmp_path, **web(server, authority))
    tls = of(steps, StepName.Tls)
    assert (tls.grade, tls.advice) == (Grade.Passed, ())
    assert tls.facts["Protocol"] == "TLSv1.3"
    assert (tls.facts["Subject"], tls.facts["Issuer"]) == ("commonName=archive", "commonName=authority")
    assert tls.facts["Names"] == ["localhost", "127.0.0.1"]
    assert tls.facts["DaysLeft"] == 364
    assert tls.facts["ClientCertificateAsked"] is False
    assert of(steps, StepName.Http).grade is Grade.Passed


@pytest.mark.parametrize(
    ("options", "grade", "advice"),
    [
        ({"ends": timedelta(days=10)}, Grade.Warning, {Advice.CertificateEnds}),
        ({"starts": timedelta(days=-9), "ends": timedelta(days=-2)}, Grade.Failed, {Advice.CertificateExpired}),
        ({"starts": timedelta(days=2)}, Grade.Failed, {Advice.CertificateNotYet}),
        ({"names": ["DNS:vna.example"]}, Grade.Failed, {Advice.CertificateName}),
        (
            {"names": ["DNS:vna.example"], "starts": timedelta(days=-9), "ends": timedelta(days=-2)},
            Grade.Failed,
            {Advice.CertificateName, Advice.CertificateExpired},
        ),
    ],
)
def test_a_bad_certificate_is_described_all_the_same(
    tmp_path: Path, authority: Authority, options: dict[str, Any], grade: Grade, advice: set[Advice]
) -> None:
    with https(authority.issue("archive", **options)) as server:
        steps = examine(tmp_path, **web(server, authority))
    tls = of(steps, StepName.Tls)
    assert (tls.grade, set(tls.advice)) == (grade, advice)
    assert tls.facts["Subject"] == "commonName=archive"
    assert of(steps, StepName.Http).grade is (Grade.Passed if grade is Grade.Warning else Grade.Skipped)


def test_an_issuer_that_nobody_trusts(tmp_path: Path, authority: Authority) -> None:
    with https(authority.issue("archive")) as server:
        steps = examine(tmp_path, **web(server, Authority(tmp_path, "another")))
    assert first_failure(steps) == (StepName.Tls, (Advice.CertificateIssuer,))
    assert of(steps, StepName.Tls).facts["Issuer"] == "commonName=authority"
    with https(authority.self_signed("alone")) as server:
        steps = examine(tmp_path, **web(server, None))
    assert first_failure(steps) == (StepName.Tls, (Advice.CertificateSelfSigned,))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("requires", [True, False])
def test_a_server_that_wants_our_certificate(
    tmp_path: Path, authority: Authority, version: ssl.TLSVersion, requires: bool
) -> None:
    context = serving(authority.issue("archive"), asks=authority, requires=requires)
    context.minimum_version = context.maximum_version = version
    with tls_receiver(context) as server:
        without = of(examine(tmp_path, **web(server, authority)), StepName.Tls)
        ours = str(authority.issue("relais"))
        with_ours = examine(tmp_path, **web(server, authority, ClientCertificate=ours))
    wanted = Advice.ClientCertificateRequired if requires else Advice.ClientCertificateAsked
    assert without.advice == (wanted,)
    assert without.facts["ClientCertificateAsked"] is True
    assert grades(with_ours)["Tls"] == grades(with_ours)["Http"] == Grade.Passed


def test_what_does_not_speak_tls(tmp_path: Path, authority: Authority, archive: ArchiveScp) -> None:
    with Receiver() as server:
        steps = examine(tmp_path, **web(server, authority))
    assert first_failure(steps) == (StepName.Tls, (Advice.TlsNotSpoken,))
    with Proxy(archive.port) as proxy:
        proxy.fault = Fault.BLACK_HOLE
        url = f"https://127.0.0.1:{proxy.port}"
        steps = examine(tmp_path, Kind="DicomWeb", Url=url)
    assert first_failure(steps) == (StepName.Tls, (Advice.NoAnswer,))


def test_a_file_of_certificates_that_is_not_there(tmp_path: Path, authority: Authority) -> None:
    with https(authority.issue("archive")) as server:
        steps = examine(tmp_path, **web(server, None, CertificateAuthority=str(tmp_path / "missing.pem")))
    assert first_failure(steps) == (StepName.Tls, (Advice.CertificateFile,))


def test_dicom_over_tls_shows_orthancs_certificate(tmp_path: Path, authority: Authority) -> None:
    context = serving(authority.issue("archive", names=["DNS:vna.example"]), asks=authority)
    orthanc = {
        "DicomTlsCertificate": str(authority.issue("relais")),
        "DicomTlsPrivateKey": str(authority.certificate.parent / "relais.key"),
        "DicomTlsTrustedCertificates": str(authority.certificate),
    }
    with ArchiveScp("VNA", tls=context) as server:
        steps = examine(tmp_path, store=True, orthanc=orthanc, **dicom(server.port, Tls=True))
        plain = examine(tmp_path, **dicom(server.port))
    assert of(steps, StepName.Tls).advice == (Advice.CertificateNameUnchecked,)
    assert {each for name, each in grades(steps).items() if name != "Tls"} == {Grade.Passed}
    assert first_failure(plain)[0] is StepName.Association


# DICOMweb and peers


@pytest.fixture
def orthanc(orthanc_factory: OrthancFactory) -> OrthancServer:
    users = {"AuthenticationEnabled": True, "RegisteredUsers": {"relais": "sécret"}}
    server = orthanc_factory("web", plugins=("DicomWeb",), configuration=users)
    server.start(wait=False)
    eventually(lambda: is_listening(server.http_port), 30, "it listens")
    return server


def kept(server: OrthancServer, path: str) -> Any:
    login = {"Authorization": "Basic " + base64.b64encode("relais:sécret".encode()).decode()}
    return json.loads(server.rest.request("GET", path, headers=login).data)


def login(server: OrthancServer, **given: Any) -> dict[str, Any]:
    return {"User": "relais", "Password": "sécret", **given}


def test_dicomweb_is_asked_and_stored_to(tmp_path: Path, orthanc: OrthancServer) -> None:
    given = login(orthanc, Kind="DicomWeb", Url=f"{orthanc.url}/dicom-web")
    steps = examine(tmp_path, store=True, **given)
    assert grades(steps) == {
        **dict.fromkeys(("Name", "Connection", "Http", "Query", "Store", "Find"), "Passed"),
        "Clock": of(steps, StepName.Clock).grade,
    }
    assert of(steps, StepName.Clock).grade in (Grade.Passed, Grade.Skipped)
    (study,) = kept(orthanc, "/studies?expand")
    assert study["MainDicomTags"]["StudyInstanceUID"] == of(steps, StepName.Store).facts["StudyInstanceUID"]
    assert study["PatientMainDicomTags"]["PatientName"] == "RELAIS^TEST"
    wrong = examine(tmp_path, **{**given, "Password": "wrong"})
    assert of(wrong, StepName.Http).advice == (Advice.Unauthorized,)
    assert "wrong" not in repr(wrong)
    elsewhere = examine(tmp_path, **{**given, "Url": f"{orthanc.url}/nowhere"})
    assert of(elsewhere, StepName.Http).advice == (Advice.NoSuchPath,)


def test_a_peer_is_asked_and_left_as_it_was(tmp_path: Path, orthanc: OrthancServer) -> None:
    given = login(orthanc, Kind="OrthancPeer", Url=orthanc.url)
    steps = examine(tmp_path, store=True, **given)
    assert set(grades(steps).values()) == {Grade.Passed}, steps
    assert of(steps, StepName.Http).facts["Version"]
    assert abs(of(steps, StepName.Clock).facts["SecondsAhead"]) < 2
    assert kept(orthanc, "/instances") == kept(orthanc, "/patients") == []
    no_orthanc = examine(tmp_path, **{**given, "Url": f"{orthanc.url}/dicom-web"})
    assert grade_of_test(no_orthanc) is Grade.Failed


@pytest.mark.parametrize(
    ("answer", "step", "advice"),
    [
        (Answer(status=302, headers={"Location": "/"}), StepName.Http, Advice.Redirected),
        (Answer(status=403), StepName.Http, Advice.Forbidden),
        (Answer(status=500), StepName.Http, Advice.ServerError),
        (Answer(hang_up=True), StepName.Http, Advice.Broken),
        (Answer(delay=LIMIT + 2), StepName.Http, Advice.NoAnswer),
        (Answer(status=200, body=b"<html>"), StepName.Query, Advice.NotDicomWeb),
        (Answer(status=200, body=b"[1]"), StepName.Query, Advice.NotDicomWeb),
    ],
)
def test_answers_that_are_none(
    tmp_path: Path, receiver: Receiver, answer: Answer, step: StepName, advice: Advice
) -> None:
    receiver.answer = answer
    steps = examine(tmp_path, Kind="DicomWeb", Url=receiver.url)
    assert of(steps, step).advice == (advice,)
    assert of(steps, step).grade is Grade.Failed


@pytest.mark.parametrize(
    ("ahead", "grade"), [(0, Grade.Passed), (-30, Grade.Warning), (30, Grade.Warning), (3600, Grade.Failed)]
)
def test_a_clock_that_differs(tmp_path: Path, ahead: int, grade: Grade) -> None:
    """The receiver sends its own Date first; here it must not."""
    said = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    with dated(said) as port:
        steps = examine(tmp_path, Kind="DicomWeb", Url=f"http://127.0.0.1:{port}")
    clock = of(steps, StepName.Clock)
    assert clock.grade is grade
    assert abs(clock.facts["SecondsAhead"] - ahead) < 3
    assert of(steps, StepName.Query).grade is Grade.Passed


@contextmanager
def dated(date: str) -> Iterator[int]:
    """A server that gives one answer of this Date."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            for _ in range(2):  # the first connection is the test's own look at the port
                with closing(listener.accept()[0]) as connection:
                    if connection.recv(65536):
                        connection.sendall(f"HTTP/1.1 204 No Content\r\nDate: {date}\r\n\r\n".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'{"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [290]}}]}}', "0122"),
        (b'{"00081198": {"vr": "SQ", "Value": [{}]}}', "?"),
        (b'{"00081199": {"vr": "SQ", "Value": [{}]}}', None),
    ],
)
def test_stow_says_200_and_may_have_failed(
    tmp_path: Path, receiver: Receiver, document: bytes, reason: str | None
) -> None:
    receiver.answer_next(Answer(status=204), Answer(status=200, body=document))
    steps = examine(tmp_path, store=True, Kind="DicomWeb", Url=receiver.url, Token="abc")
    store = of(steps, StepName.Store)
    assert (store.facts.get("FailureReason"), store.grade) == (reason, Grade.Failed if reason else Grade.Passed)
    assert {each.headers["authorization"] for each in receiver.requests} == {"Bearer abc"}
    if reason is None:  # and it does not find what it says it has
        assert of(steps, StepName.Find).advice == (Advice.NotFound,)


# Files


WRITTEN = dict.fromkeys(("Write", "Read", "Delete"), "Passed")
NETWORK = dict.fromkeys(("Name", "Connection"), "Passed")


def test_files_are_written_read_and_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    steps = examine(tmp_path, Kind="Files", Url=f"file://{folder}")
    space = of(steps, StepName.Space)
    assert space.facts["FreeMegabytes"] > 0
    assert grades(steps) == {**WRITTEN, "Space": space.grade}
    assert list(folder.iterdir()) == []


def test_a_bucket_is_tested_with_the_keys_of_its_user(tmp_path: Path) -> None:
    with S3Server("images") as server:
        given: dict[str, Any] = {"Kind": "Files", "Url": "s3://images/prefix", "Endpoint": server.url}
        steps = examine(tmp_path, User=server.user, Password=server.password, **given)
        assert grades(steps) == {**NETWORK, **WRITTEN, "Space": "Skipped"}
        assert [path for method, path in server.requests if method == "DELETE"]
        given["Url"] = "s3://elsewhere/prefix"
        steps = examine(tmp_path, User=server.user, Password=server.password, **given)
        assert of(steps, StepName.Write).advice == (Advice.FolderMissing,)


def test_an_sftp_server_is_tested_with_its_host_key(tmp_path: Path) -> None:
    with SftpServer(tmp_path / "server") as server:
        given: dict[str, Any] = {
            "Kind": "Files",
            "Url": f"sftp://127.0.0.1:{server.port}/archive",
            "User": server.user,
            "KnownHosts": str(server.known_hosts),
        }
        steps = examine(tmp_path, Password=server.password, **given)
        assert grades(steps) == {**NETWORK, **WRITTEN, "Space": "Skipped"}
        assert list((server.folder / "archive").iterdir()) == []
        steps = examine(tmp_path, Password="wrong", **given)
        assert of(steps, StepName.Write).advice == (Advice.Unauthorized,)
        assert "wrong" not in repr(steps)
        server.known_hosts.write_text("")
        steps = examine(tmp_path, Password=server.password, **given)
        assert of(steps, StepName.Write).advice == (Advice.HostKeyUnknown,)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    steps = examine(tmp_path, Kind="Files", Url=f"file://{tmp_path}/file")
    assert first_failure(steps[:-1]) == (StepName.Write, (Advice.FolderMissing,))
    with Proxy(free_port()) as proxy:
        proxy.fault = Fault.REFUSE
        steps = examine(tmp_path, Kind="Files", Url=f"sftp://127.0.0.1:{proxy.port}/archive", User="relais")
    assert first_failure(steps) == (StepName.Connection, (Advice.Refused,))


def test_the_layers_below_log_nothing(tmp_path: Path, archive: ArchiveScp, caplog: pytest.LogCaptureFixture) -> None:
    examine(tmp_path, **dicom(archive.port, Aet="OTHER"))
    assert [each for each in caplog.records if each.name.startswith("relais")] == []
