"""Foreign systems that fetch by C-MOVE: judged by the law, refused and told, or sent by Orthanc."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.dicom import make_study, send
from tests.servers.orthanc import ENTRY_POINT, PLUGINS, RestError
from tests.servers.receiver import Receiver
from tests.servers.router import API, QUEBEC, Router, section
from tests.servers.waiting import eventually
from tests.system.conftest import Archives

LUA = ENTRY_POINT.with_name("who-asks.lua")
CLINICS = {name: {"CalledAets": [name.upper()]} for name in ("outremont", "laval")}
ABROAD = {"Storage": "US-NY", "Access": ["US-NY"]}
RETRIEVERS = {
    "reading": {"Aets": ["READING*"], "Clinics": ["outremont"], "Jurisdiction": QUEBEC},
    "abroad": {"Aets": ["ABROAD"], "Jurisdiction": ABROAD},
}


@pytest.fixture(scope="module")
def events() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory, archives: Archives, events: Receiver) -> Iterator[Router]:
    """A router beside one archive, which Orthanc knows by three AE titles."""
    port = archives[0].dicom_port
    relais = section(
        {},
        subscribers={"crm": events.url},
        Clinics=CLINICS,
        Retrievers=RETRIEVERS,
    )
    known = {name: (name.upper(), port) for name in ("reading1", "abroad", "stranger")}
    options = {"LuaScripts": [str(LUA)], "DicomAlwaysAllowFind": True}
    folder = tmp_path_factory.mktemp("retrievers")
    with Router(folder, relais=relais, modalities=known, configuration=options) as running:
        yield running


def fetch(router: Router, target: str, *keys: str) -> bool:
    """Ask by dcmtk's movescu that it is sent to `target`; whether that succeeded."""
    asked = [part for key in keys for part in ("-k", key)]
    titles = ["-aet", "READING1", "-aec", "RELAIS", "-aem", target]
    command = ["movescu", "-S", *titles, *asked, "127.0.0.1", str(router.dicom_port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return ended.returncode == 0 and "Failed" not in ended.stderr


def test_who_asks_by_find_is_audited_without_what_they_ask_for(router: Router) -> None:
    keys = ["QueryRetrieveLevel=STUDY", "PatientName=Gagn*", "StudyInstanceUID"]
    asked = ["findscu", "-S", "-aet", "READING1", "-aec", "OUTREMONT", *[part for key in keys for part in ("-k", key)]]
    subprocess.run([*asked, "127.0.0.1", str(router.dicom_port)], check=True, capture_output=True, timeout=30)

    def told() -> list[Any]:
        return [each for each in router.ask("audit")["Items"] if each["Action"] == "find.asked"]

    (seen,) = eventually(told, 10, "it is audited")
    assert (seen["Actor"], seen["Detail"]["Called"], seen["Detail"]["Level"]) == ("READING1", "OUTREMONT", "STUDY")
    assert seen["Detail"]["Keys"] == ["PatientName", "QueryRetrieveLevel"]
    with pytest.raises(RestError) as refused:
        router.rest.post("/relais-who-asks", {"Asking": "FORGED", "Keys": []})
    assert refused.value.status == 404


def test_what_is_permitted_is_sent_and_audited(router: Router, archives: Archives) -> None:
    study = make_study(instances=3)
    send(study, router.dicom_port, called_aet="OUTREMONT")
    router.wait_for_study(study.uid, "Held", "Routed")
    assert fetch(router, "READING1", "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study.uid}")
    assert sorted(archives[0].sop_instance_uids(study.uid)) == sorted(study.sop_instance_uids)
    told = {each["Kind"]: each["Detail"] for each in router.ask(f"studies/{study.uid}/timeline")["Items"]}
    assert (told["study.retrieved"]["Target"], told["study.retrieved"]["Resources"]) == ("READING1", 1)


@pytest.mark.parametrize(
    ("target", "clinic", "reason"),
    [
        ("ABROAD", "OUTREMONT", "no-assessment"),
        ("READING1", "LAVAL", "retriever-of-other-clinics"),
        ("STRANGER", "OUTREMONT", "unknown-retriever"),
    ],
)
def test_what_is_not_permitted_is_refused_and_told(
    router: Router, archives: Archives, events: Receiver, target: str, clinic: str, reason: str
) -> None:
    study = make_study()
    send(study, router.dicom_port, called_aet=clinic)
    router.wait_for_study(study.uid, "Held", "Routed")
    assert not fetch(router, target, "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study.uid}")
    alert = events.wait_for(
        lambda request: (
            request.json["type"] == "security.alert" and request.json["data"].get("StudyInstanceUID") == study.uid
        )
    ).json["data"]
    assert (alert["Kind"], alert["Target"]) == ("retrieval-refused", target)
    assert reason in {each["Refused"] for each in alert["Reasons"]}
    assert archives[0].sop_instance_uids(study.uid) == []


def test_another_worklist_plugin_is_left_alone_and_told_of(tmp_path: Path) -> None:
    """Orthanc's own, which answers from files: with Relais loaded first, it would be the one that is shut out."""
    files = tmp_path / "worklists"
    files.mkdir()
    plugins = [str(PLUGINS / name) for name in ("libOrthancPython.so", "libModalityWorklists.so")]
    options = {
        "Plugins": plugins,
        "Worklists": {"Enable": True, "Database": str(files)},
        "DicomAlwaysAllowFindWorklist": True,
    }
    with Router(tmp_path / "orthanc", relais=section({}), configuration=options) as router:
        assert any("worklist" in each for each in router.ask("system")["Findings"])
        order = {
            "AccessionNumber": "A1",
            "PatientName": "Roy^Anne",
            "PatientID": "1",
            "ScheduledProcedureStepStartDate": "20991231",
        }
        router.rest.post(f"{API}/worklist", order)
        asked = ["findscu", "-W", "-v", "-k", "PatientName", "127.0.0.1", str(router.dicom_port)]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True)
        assert "Roy" not in answer.stdout + answer.stderr
        assert "Can only register one plugin" not in router.log_text
