"""Sources and questions to them, as the API takes and answers them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.servers.dicom import make_study
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.ports import free_port
from tests.servers.waiting import eventually
from tests.system.serving import Web, compose_web

API = "/relais/v1"
STUDY = make_study(modality="PX", tags={"PatientName": "Gagné^Éloïse", "PatientID": "77"})


@pytest.fixture(scope="module")
def pacs() -> Iterator[IntelePacs]:
    with IntelePacs("PACS", replace(SETTINGS["A"], seconds_to_first_row=0.0)) as server:
        server.hold(STUDY.instances)
        yield server


@pytest.fixture(scope="module")
def web(pacs: IntelePacs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    def source(port: int, **options: Any) -> dict[str, Any]:
        return {"Kind": "Dicom", "Aet": "PACS", "Host": "127.0.0.1", "Port": port, "TimeoutSeconds": 5, **options}

    folder: Path = tmp_path_factory.mktemp("web")
    sources = {
        "pacs": source(pacs.port, Profile="IntelePACS", SameAs="vna"),
        "laval": source(pacs.port, Clinics=["laval"]),
        "gone": source(free_port(), Clinics=["laval"]),
        "web": {"Kind": "DicomWeb", "Url": "http://127.0.0.1:9/dicom-web", "Clinics": ["laval"]},
    }
    made = compose_web(folder, Sources=sources)
    yield made
    made.relais.retrieval.close()
    made.relais.database.close()


def ask(web: Web, user: str = "operator", **body: Any) -> Any:
    answer = web.post(f"{API}/query", body, user=user)
    assert answer.status_code in (200, 202), answer.get_json()
    return answer.get_json()


def test_a_question_is_answered_with_what_each_source_did(web: Web) -> None:
    found = ask(
        web, Query={"PatientName": "gagne", "ModalitiesInStudy": ["PX", "CT"]}, Sources=["pacs", "gone", "laval"]
    )
    assert [(each["Name"], each["State"], each["Count"]) for each in found["Sources"]] == [
        ("pacs", "Answered", 1),
        ("gone", "Unreachable", 0),
        ("laval", "Answered", 1),
    ]
    assert found["Sources"][1]["Error"].startswith("Nobody answers at its address")
    (study,) = found["Answers"]
    assert (study["StudyInstanceUID"], study["PatientName"]) == (STUDY.uid, "Gagné^Éloïse")
    assert (sorted(study["Sources"]), study["Differs"]) == (["laval", "pacs"], {})
    french = web.post(f"{API}/query", {"Query": {}, "Sources": ["gone"]}, user="francine").get_json()
    assert french["Sources"][0]["Error"].startswith("Personne ne répond")
    assert "7 derniers jours" in french["Notes"][0]
    asked = web.get(f"{API}/audit?Action=source.asked", user="admin").get_json()["Items"]
    assert asked[-1]["Detail"]["Keys"] == ["ModalitiesInStudy", "PatientName"]
    assert "gagne" not in str(asked)


def test_answers_are_looked_at_as_they_come_and_by_nobody_else(web: Web) -> None:
    begun = ask(web, Query={"PatientID": "77"}, Asynchronous=True)
    path = f"{API}/queries/{begun['Id']}"
    found = eventually(
        lambda: (now := web.get(path, user="operator").get_json())["State"] == "Completed" and now, what="all answered"
    )
    states = {each["Name"]: each["State"] for each in found["Sources"]}
    assert states == {"pacs": "Answered", "laval": "Answered", "gone": "Unreachable", "web": "Unreachable"}
    assert len(found["Answers"]) == 1
    assert web.get(path, user="admin").status_code == 404
    assert web.delete(path, user="operator").status_code == 200
    assert web.get(path, user="operator").status_code == 404


@pytest.mark.parametrize(
    ("user", "body", "status", "path"),
    [
        ("operator", {"Query": {"PatientNam": "x"}}, 422, "Query.PatientNam"),
        ("operator", {"Query": {"RequestAttributesSequence": [{"A": 1}]}}, 422, "Query.RequestAttributesSequence"),
        ("operator", {"Query": {"StudyDate": "yesterday"}}, 422, "Query.StudyDate"),
        ("operator", {"Query": {"StudyInstanceUID": "../1"}}, 422, "Query.StudyInstanceUID"),
        ("operator", {"Level": "Image"}, 422, "Level"),
        ("operator", {"Level": "Series", "Query": {}}, 422, "Query.StudyInstanceUID"),
        ("operator", {"Limit": 0}, 422, "Limit"),
        ("operator", {"Sources": []}, 422, "Sources"),
        ("operator", {"Sources": ["nobody"], "Query": {"PatientID": "1"}}, 404, None),
        ("outremont", {"Sources": ["laval"], "Query": {"PatientID": "1"}}, 404, None),
        ("viewer", {"Query": {"PatientID": "1"}}, 403, None),
        ("auditor", {"Query": {"PatientID": "1"}}, 403, None),
    ],
)
def test_a_question_that_cannot_be_meant_or_may_not_be_asked(
    web: Web, pacs: IntelePacs, user: str, body: dict[str, Any], status: int, path: str | None
) -> None:
    before = len(pacs.finds)
    answer = web.post(f"{API}/query", body, user=user)
    assert answer.status_code == status, answer.get_json()
    if path is not None:
        assert path in [each["Path"] for each in answer.get_json()["Details"]]
    assert len(pacs.finds) == before


def test_sources_are_listed_and_tested(web: Web) -> None:
    items = {each["Name"]: each for each in web.get(f"{API}/sources", user="outremont").get_json()["Items"]}
    assert (items["pacs"]["MayAsk"], items["laval"]["MayAsk"], items["pacs"]["LastTest"]) == (True, False, None)
    assert (items["pacs"]["Limit"], items["pacs"]["TimeoutSeconds"], items["pacs"]["SameAs"]) == (500, 5, ["vna"])
    assert (items["web"]["Retrieve"], items["web"]["CallingAet"], items["pacs"]["MoveTo"]) == (
        "WADO-RS",
        None,
        "ORTHANC",
    )
    path = f"{API}/sources/gone"
    assert web.post(f"{path}/test", {"Reason": "is it back"}, user="viewer").status_code == 403
    assert web.post(f"{path}/test", {}, user="operator").status_code == 422
    assert web.post(f"{API}/sources/nobody/test", {"Reason": "x"}, user="operator").status_code == 404
    tested = web.post(f"{path}/test", {"Reason": "is it back"}, user="operator").get_json()
    assert (tested["Grade"], tested["Steps"][1]["Advice"][0]["Code"]) == ("Failed", "refused")
    assert web.get(f"{path}/tests", user="viewer").get_json()["Items"] == [tested]
    assert web.get(path, user="viewer").get_json()["LastTest"]["Grade"] == "Failed"
