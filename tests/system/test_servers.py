"""The test servers themselves: they start, break and come back as the other tests rely on."""

import socket
import time
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
import urllib3
from pydicom import dcmread

from tests.conftest import OrthancFactory
from tests.servers.dicom import Study, make_study, save, send, send_files
from tests.servers.orthanc import OrthancDiedError, OrthancServer, Rest, RestError
from tests.servers.postgresql import PostgresqlServer
from tests.servers.proxy import Fault, Proxy
from tests.servers.receiver import Answer, Receiver


def kept(server: OrthancServer, study: Study) -> bool:
    return server.sop_instance_uids() == study.sop_instance_uids


def test_orthanc_keeps_a_study_over_a_crash(vna: OrthancServer) -> None:
    study = make_study(series=2, instances=3)
    send(study, vna.dicom_port, calling_aet="CS8100", called_aet="OUTREMONT")
    vna.kill()
    vna.start()
    assert kept(vna, study)
    instance = vna.rest.get("/instances")[0]
    assert vna.rest.get(f"/instances/{instance}/metadata/RemoteAET") == b"CS8100"
    assert vna.rest.get(f"/instances/{instance}/metadata/CalledAET") == b"OUTREMONT"


def test_orthanc_stops_in_time(vna: OrthancServer) -> None:
    assert 0 < vna.stop() < 10
    assert not vna.is_running


def test_orthanc_pauses_and_resumes(vna: OrthancServer) -> None:
    vna.pause()
    with pytest.raises(urllib3.exceptions.TimeoutError):
        Rest(vna.url, timeout=0.3).get("/system")
    vna.resume()
    assert vna.rest.get("/system")["DicomAet"] == "VNA"


def test_orthanc_that_cannot_start_shows_its_log(orthanc_factory: OrthancFactory, tmp_path: Path) -> None:
    script = tmp_path / "bad.py"
    script.write_text("raise RuntimeError('a reason to see')")
    with pytest.raises(OrthancDiedError, match="a reason to see"):
        orthanc_factory(script=script).start()


def test_rest_errors_carry_status_and_body(vna: OrthancServer) -> None:
    with pytest.raises(RestError, match="/tools/find answered 400") as caught:
        vna.rest.post("/tools/find", {})
    assert caught.value.json["HttpStatus"] == caught.value.status == 400


def test_storescu_sends_what_was_saved(vna: OrthancServer, tmp_path: Path) -> None:
    study = make_study(modality="CT", instances=30, size=32_000)
    send_files(save(study, tmp_path / "study"), vna.dicom_port)
    assert kept(vna, study)


@pytest.mark.parametrize("missing", [["StudyDate", "PatientID"], ["StudyDate", "SpecificCharacterSet"]])
def test_raw_bytes_and_missing_tags_arrive_as_they_are(vna: OrthancServer, missing: list[str]) -> None:
    name = "Gagné, Éloïse".encode("cp1252")
    send(make_study(raw={"PatientName": name}, missing=missing), vna.dicom_port)
    instance = vna.rest.get("/instances")[0]
    arrived = dcmread(BytesIO(vna.rest.get(f"/instances/{instance}/file")))
    assert arrived.get_item("PatientName").value.rstrip() == name
    assert not any(keyword in arrived for keyword in missing)


def test_a_database_without_rows_is_writable_and_dropped_whoever_is_connected(postgresql: PostgresqlServer) -> None:
    like = postgresql.database().replace("+psycopg", "")
    with psycopg.connect(like) as connection:
        connection.execute("CREATE TABLE proof (number integer)")
    url = postgresql.database(like).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO proof VALUES (7)")
        postgresql.drop(url)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT number FROM proof")
    with psycopg.connect(like) as connection:
        assert connection.execute("SELECT number FROM proof").fetchall() == []


def test_postgresql_keeps_what_it_acknowledged_over_a_crash() -> None:
    with PostgresqlServer() as server:
        url = server.database().replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE proof AS SELECT 7 AS number")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM proof").fetchone() == (7,)


def test_receiver_answers_as_asked(receiver: Receiver) -> None:
    receiver.answer_next(Answer(status=503, headers={"Retry-After": "7"}), Answer(hang_up=True))
    client = Rest(receiver.url)
    refused = client.request("POST", "", {"type": "first"})
    assert (refused.status, refused.headers["Retry-After"]) == (503, "7")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.post("", {"type": "second"})
    assert client.request("POST", "", {"type": "third"}).status == 204
    third = receiver.wait_for(lambda request: request.json["type"] == "third")
    assert third.headers["content-type"] == "application/json"
    assert [event["type"] for event in receiver.events()] == ["first", "second", "third"]


def test_proxy_breaks_the_network(receiver: Receiver) -> None:

    def ask() -> int:
        return Rest(f"http://127.0.0.1:{proxy.port}", timeout=0.5).request("GET", "/").status

    with Proxy(receiver.port) as proxy:
        assert ask() == 204
        proxy.fault = Fault.BLACK_HOLE
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            ask()
        proxy.fault = Fault.RESET
        with pytest.raises((urllib3.exceptions.ProtocolError, urllib3.exceptions.NewConnectionError), match="reset"):
            ask()
        proxy.fault = Fault.REFUSE
        with pytest.raises(urllib3.exceptions.NewConnectionError):
            ask()
        proxy.fault = Fault.NONE
        assert ask() == 204


def test_proxy_throttles(receiver: Receiver) -> None:
    with Proxy(receiver.port) as proxy:
        proxy.bytes_per_second = 10_000
        began = time.monotonic()
        assert Rest(f"http://127.0.0.1:{proxy.port}").request("POST", "/", b"x" * 5_000).status == 204
        assert time.monotonic() - began > 0.4
        assert proxy.bytes_forwarded > 5_000


def test_proxy_cuts_open_connections() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Proxy(listener.getsockname()[1]) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as near,
        listener.accept()[0] as far,
    ):
        near.sendall(b"hello")
        assert far.recv(5) == b"hello"
        proxy.fault = Fault.RESET
        with pytest.raises(ConnectionResetError):
            near.recv(1)
