"""What every way of sending promises, over each of them: real Orthanc on our side, real peers on the other."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from relais.configuration import load
from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.transports import SendingError
from relais.transports.dicom import DicomTransport, classify
from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.scp import StorageScp


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def orthanc(server: OrthancServer) -> Iterator[Orthanc]:
    client = Orthanc(server.url)
    yield client
    client.close()


@pytest.fixture
def scp() -> Iterator[StorageScp]:
    with StorageScp("VNA", check_called_aet=True) as scp:
        yield scp


@pytest.fixture
def study(server: OrthancServer) -> Study:
    study = make_study(instances=3)
    send(study, server.dicom_port)
    return study


def transport(orthanc: Orthanc, port: int, **options: object) -> DicomTransport:
    section = {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": port, "TimeoutSeconds": 2, **options}
    configuration = load({"Destinations": {"vna": section}}, directory=Path())
    return DicomTransport(orthanc, "vna", configuration.destinations["vna"])


def ids(orthanc: Orthanc, study: Study) -> list[str]:
    found = orthanc.post("/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": study.uid}})
    assert len(found) == 3
    return [str(each) for each in found]


def deliver(way: DicomTransport, instances: list[str]) -> list[int]:
    seen: list[int] = []
    way.send(instances, progress=seen.append, stopping=threading.Event())
    return seen


def test_everything_arrives_under_the_configured_titles(orthanc: Orthanc, scp: StorageScp, study: Study) -> None:
    progress = deliver(transport(orthanc, scp.port, LocalAet="RELAIS"), ids(orthanc, study))
    assert scp.sop_instance_uids() == study.sop_instance_uids
    assert {(each.calling_aet, each.called_aet) for each in scp.receptions} == {("RELAIS", "VNA")}
    assert progress[-1] == 3
    assert progress == sorted(progress)


def test_a_live_definition_that_somebody_changed_is_set_right_before_sending(
    orthanc: Orthanc, scp: StorageScp, study: Study
) -> None:
    way = transport(orthanc, scp.port)
    deliver(way, ids(orthanc, study))
    elsewhere = {"AET": "THIEF", "Host": "127.0.0.1", "Port": free_port()}
    orthanc.put("/modalities/relais-vna", elsewhere)
    deliver(way, ids(orthanc, study))
    assert len(scp.receptions) == 6


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (0xA700, ErrorClass.Transient),
        (0xC000, ErrorClass.Permanent),
        (0xA900, ErrorClass.Permanent),
        (0x0122, ErrorClass.Permanent),
        (0x0124, ErrorClass.Configuration),
    ],
)
def test_a_refused_instance_fails_with_the_class_of_its_status(
    orthanc: Orthanc, scp: StorageScp, study: Study, status: int, error_class: ErrorClass
) -> None:
    scp.answer = status
    with pytest.raises(SendingError) as raised:
        deliver(transport(orthanc, scp.port), ids(orthanc, study))
    assert (raised.value.error_class, raised.value.code, raised.value.unreachable) == (
        error_class,
        f"{status:04X}",
        False,
    )


def test_a_title_that_the_peer_does_not_know_is_a_matter_of_configuration(
    orthanc: Orthanc, scp: StorageScp, study: Study
) -> None:
    with pytest.raises(SendingError) as raised:
        deliver(transport(orthanc, scp.port, Aet="NOBODY"), ids(orthanc, study))
    assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Configuration, True)


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.RESET, Fault.BLACK_HOLE])
def test_a_peer_that_does_not_answer_passes(orthanc: Orthanc, scp: StorageScp, study: Study, fault: Fault) -> None:
    with Proxy(scp.port) as proxy:
        proxy.fault = fault
        with pytest.raises(SendingError) as raised:
            deliver(transport(orthanc, proxy.port), ids(orthanc, study))
        assert raised.value.error_class is ErrorClass.Transient
        proxy.fault = Fault.NONE
        deliver(transport(orthanc, proxy.port), ids(orthanc, study))
    assert scp.sop_instance_uids() == study.sop_instance_uids


def test_a_probe_tells_whether_somebody_listens(orthanc: Orthanc, scp: StorageScp) -> None:
    transport(orthanc, scp.port).probe()
    with pytest.raises(SendingError) as raised:
        transport(orthanc, free_port()).probe()
    assert (raised.value.code, raised.value.unreachable) == ("refused", True)


def test_an_instance_that_is_gone_is_said_to_be_gone(orthanc: Orthanc, scp: StorageScp) -> None:
    gone = "-".join(["0" * 8] * 5)
    with pytest.raises(SendingError) as raised:
        deliver(transport(orthanc, scp.port), [gone])
    assert (raised.value.error_class, raised.value.code) == (ErrorClass.Permanent, "not-in-orthanc")


def test_a_stop_ends_a_batch_at_once(orthanc: Orthanc, scp: StorageScp, study: Study) -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(InterruptedError):
        transport(orthanc, scp.port).send(ids(orthanc, study), progress=lambda _: None, stopping=stopping)


@pytest.mark.parametrize(
    ("details", "code"),
    [
        ("", "interrupted"),
        ("Peer aborted Association (or never connected)", "interrupted"),
        ('DicomAssociation - connecting to AET "VNA": TCP Initialization Error: Connection refused', "unreachable"),
        ("No valid presentation context was negotiated", "no-presentation-context"),
        ("C-STORE SCU to AET has failed with DIMSE status 0xa702", "A702"),
    ],
)
def test_orthancs_words_are_classified(details: str, code: str) -> None:
    assert classify(details).code == code
