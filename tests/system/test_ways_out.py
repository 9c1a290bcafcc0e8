"""Orthanc's own ways out, at a real Orthanc: shut for everybody but administrators, found by the self-check."""

import subprocess
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import urllib3
from pydicom import dcmwrite

from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.router import destination, section
from tests.servers.waiting import eventually
from tests.system.serving import basic

USERS = ("alice", "admin", "guest")
AUDIT = "/relais/v1/audit?Action=security.alert"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("archive"), aet="VNA") as running:
        yield running


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory, archive: OrthancServer) -> Iterator[OrthancServer]:
    """A router with three users of Orthanc, of whom Relais knows two, that may also send without Relais."""
    relais = section(
        {"vna": destination("VNA", archive.dicom_port)},
        Users={
            "alice": {"Roles": ["Operator"], "Clinics": ["*"]},
            "admin": {"Roles": ["Administrator"], "Clinics": ["*"]},
        },
    )
    options = {
        "AuthenticationEnabled": True,
        "RegisteredUsers": dict.fromkeys(USERS, "secret"),
        "OrthancPeers": {"other": [archive.url]},
        "DicomAlwaysAllowMove": True,
    }
    modalities = {"stray": ("VNA", archive.dicom_port)}
    folder = tmp_path_factory.mktemp("router")
    with OrthancServer(folder, relais=relais, modalities=modalities, configuration=options) as running:
        yield running
        running.stop()


def ask(router: OrthancServer, user: str | None, method: str, path: str, body: Any = None) -> urllib3.BaseHTTPResponse:
    return router.rest.request(method, path, body, basic(user))


def alerts(router: OrthancServer, caller: str) -> list[Mapping[str, Any]]:
    items = ask(router, "admin", "GET", AUDIT).json()["Items"]
    return [each["Detail"] for each in items if each["Actor"] == caller]


def test_relais_delivers_while_others_are_refused(router: OrthancServer, archive: OrthancServer) -> None:
    study = make_study(instances=3)
    send(study, router.dicom_port)
    eventually(lambda: archive.sop_instance_uids(study.uid) == study.sop_instance_uids, 20.0, "the archive has it")
    instances = ask(router, "alice", "GET", "/instances").json()
    for way in ("/modalities/stray/store", "/modalities/relais-vna/store", "/peers/other/store", "/jobs/x/resubmit"):
        assert ask(router, "alice", "POST", way, {"Resources": instances}).status == 403
        assert ask(router, "guest", "POST", way, {"Resources": instances}).status == 403
        assert ask(router, None, "POST", way, {"Resources": instances}).status == 401
    definition = {"AET": "EVIL", "Host": "127.0.0.1", "Port": 1}
    assert ask(router, "alice", "PUT", "/modalities/relais-vna", definition).status == 403
    assert ask(router, "alice", "GET", f"/instances/{instances[0]}/file").status == 200


def test_an_administrator_passes(router: OrthancServer, archive: OrthancServer) -> None:
    study = make_study(instances=1)
    known = ask(router, "admin", "POST", "/instances", _file(study)).json()["ID"]
    assert ask(router, "admin", "POST", "/modalities/stray/store", [known]).status == 200
    assert archive.sop_instance_uids(study.uid) == study.sop_instance_uids


def test_a_refusal_is_audited_once_a_minute(router: OrthancServer) -> None:
    for _ in range(3):
        assert ask(router, "guest", "POST", "/queries/secret-id/retrieve", "EVIL").status == 403
    told = {"Method": "POST", "Route": "/queries/{id}/retrieve", "RemoteIp": "127.0.0.1", "Times": 1}
    wanted = {"Kind": "way-out-refused", **told}
    eventually(lambda: wanted in alerts(router, "guest"), what="the refusal is audited")
    assert sum(each["Route"] == told["Route"] for each in alerts(router, "guest")) == 1
    assert "secret-id" not in str(alerts(router, "guest"))


def test_the_self_check_names_what_is_open(router: OrthancServer) -> None:
    found = ask(router, "admin", "GET", "/relais/v1/system").json()["Findings"]
    text = "\n".join(found)
    assert "stray" in text
    assert "past the rules: other" in text
    assert "DicomAlwaysAllowMove" in text
    page = ask(router, "admin", "GET", "/relais/app/system").data.decode()
    assert "DicomAlwaysAllowMove" in page


def _file(study: Study) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, study.instances[0], enforce_file_format=True)
    return buffer.getvalue()


def test_a_destination_may_not_fetch_by_its_title(archive: OrthancServer, tmp_path: Path) -> None:
    lane = destination("VNA", archive.dicom_port)
    with OrthancServer(tmp_path / "router", aet="RELAIS", relais=section({"vna": lane})) as router:
        study = make_study(instances=2)
        send(study, router.dicom_port)
        eventually(lambda: archive.sop_instance_uids(study.uid) == study.sop_instance_uids, 20.0, "the archive has it")
        (name,) = router.rest.get("/modalities")
        live = router.rest.get(f"/modalities/{name}/configuration")
        assert {live[key] for key in ("AllowFind", "AllowGet", "AllowMove")} == {False}
        asked = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.uid}"]
        here = ["--call", "RELAIS", "--aetitle", "VNA", "127.0.0.1", str(router.dicom_port)]
        for tool in (["getscu", "--output-directory", str(tmp_path)], ["movescu", "--move", "VNA"]):
            answered = subprocess.run([*tool, "--study", *asked, *here], capture_output=True, timeout=30, check=False)
            assert b"Failed" in answered.stderr, (tool, answered.stderr)
        assert not list(tmp_path.glob(f"*{study.uid}*"))
        assert not [path for path in tmp_path.iterdir() if path.is_file()]
