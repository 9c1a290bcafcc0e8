"""The routes of reviews, matches and models: what they answer, to whom, and what they refuse."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from relais.database.patient_tables import match, review
from relais.database.tables import audit, study
from relais.domain.matching.model import FIRST
from tests.servers.clock import FakeClock
from tests.servers.people import TAGS, TWIN, ZOE, add_asked_study, add_namesakes, add_patient, known, row_of
from tests.system.serving import Web, compose_web

API = "/relais/v1"
WHY = {"Reason": "a test asks for it"}
UNSURE = {**TAGS, "0010,0010": "GAGNE^C", "0010,2154": ""}
NAME_ALONE = {"0010,0010": "GAGNE^ZOE", "0010,0020": "P-77", "0010,0021": "CLINIC"}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = compose_web(tmp_path, Matching={"SecondLooks": 0})
    with made.relais.database.write() as connection:
        add_namesakes(connection, 60, FakeClock())
        add_patient(connection, ZOE, FakeClock())
        add_patient(connection, TWIN, FakeClock())
    yield made
    made.relais.database.close()


def add(web: Web, answer: dict[str, Any], *, clinic: str | None = "outremont") -> str:
    """A study that was identified; its UID."""
    identify, database = web.relais.matching.identify, web.relais.database
    with database.write() as connection:
        row = row_of(connection, add_asked_study(connection, clinic=clinic))
    said = known(answer, clinic=clinic)
    found = identify.ask(row, said)
    with database.write() as connection:
        assert identify.write(connection, row_of(connection, row.id), said, found)
    return str(row.study_instance_uid)


def waiting(web: Web, user: str = "operator") -> list[Any]:
    found: list[Any] = web.get(f"{API}/reviews", user=user).get_json()["Items"]
    return found


def rows(web: Web, table: Any) -> list[Any]:
    with web.relais.database.read() as connection:
        return list(connection.execute(select(table)).all())


def test_a_review_is_listed_claimed_and_resolved(web: Web) -> None:
    uid = add(web, UNSURE)
    (listed,) = waiting(web)
    assert (listed["StudyInstanceUID"], listed["Kind"], listed["State"]) == (uid, "Match", "Open")
    assert listed["Reason"] == "only one thing agrees; two are needed"
    place = f"{API}/reviews/{listed['Id']}"
    detail = web.get(place, user="operator").get_json()
    assert detail["Tags"]["PatientName"] == "GAGNE^C"
    best = detail["Candidates"][0]
    assert (best["CrmId"], best["Grade"]) == ("C-2", "Probable")
    assert {each["Field"] for each in best["Evidence"]} == {"Family", "Given", "BirthDate", "Sex"}
    assert best["Evidence"][0]["Text"] == "Gagne is common: +5.0"
    french = web.get(place, user="francine").get_json()["Candidates"][0]["Evidence"][0]["Text"]
    assert french == "Gagne est courant\N{NO-BREAK SPACE}: +5,0"
    assert web.post(f"{place}/claim", {}, user="operator").get_json()["Done"]
    refused = web.post(f"{place}/resolve", {"Decision": "Link", "CrmId": "C-2"}, user="admin")
    assert refused.status_code == 409
    assert refused.get_json()["Error"] == "operator is looking at this review"
    stale = {"Decision": "Link", "CrmId": "C-2", "Match": listed["Match"] + 1}
    assert web.post(f"{place}/resolve", stale, user="operator").status_code == 409
    done = web.post(f"{place}/resolve", {**stale, "Match": listed["Match"]}, user="operator")
    assert done.get_json() == {"Done": True, "State": "Resolved"}
    assert web.post(f"{place}/resolve", stale, user="operator").status_code == 409
    assert waiting(web) == []
    whose = web.get(f"{API}/studies/{uid}/match", user="operator").get_json()
    assert (whose["State"], whose["CrmId"], whose["Kind"]) == ("Matched", "C-2", "Linked")
    assert [each["Kind"] for each in whose["History"]] == ["Linked", "Automatic"]
    assert web.post(f"{place}/undo", WHY, user="operator").get_json() == {"Done": True}
    assert [each["Id"] for each in waiting(web)] == [listed["Id"]]


def test_a_study_answers_whose_it_is(web: Web) -> None:
    uid = add(web, TAGS)
    answer = web.get(f"{API}/studies/{uid}", user="operator").get_json()["Match"]
    assert (answer["State"], answer["CrmId"]) == ("Matched", "C-1")
    assert answer["Posterior"] > 0.99
    assert {"Family", "Given", "BirthDate", "Sex", "Phone"} <= {each["Field"] for each in answer["Evidence"]}
    listed = web.get(f"{API}/studies", user="operator").get_json()["Items"][0]["Match"]
    assert (listed["CrmId"], listed["Evidence"]) == ("C-1", [])
    hidden = web.get(f"{API}/studies/{uid}", user="auditor").get_json()["Match"]
    assert (hidden["State"], hidden["CrmId"], hidden["Posterior"], hidden["Evidence"]) == ("Matched", None, None, [])


def test_a_study_is_linked_and_taken_back_by_hand(web: Web) -> None:
    uid = add(web, TAGS)
    place = f"{API}/studies/{uid}/match"
    assert web.put(place, {"CrmId": "C-2", "Comment": "they called"}, user="operator").get_json()["State"] == "Resolved"
    told = web.post(f"{place}/consequences", {"CrmId": None}, user="operator")
    nothing: dict[str, Any] = {name: [] for name in ("Sent", "Now", "Added", "Dropped")}
    assert told.get_json() == {**nothing, "Hold": "no rule matched", "Others": 0}
    assert web.delete(place, user="operator").get_json() == {"Done": True}
    assert web.get(place, user="operator").get_json()["State"] == "Pending"
    assert web.delete(place, user="operator").status_code == 409
    assert web.put(place, {"CrmId": None}, user="operator").status_code == 200
    assert web.get(place, user="operator").get_json()["State"] == "Unmatched"
    assert web.post(f"{place}/undo", WHY, user="operator").status_code == 200


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"Decision": "Link"}, ""),
        ({"Decision": "NoMatch", "CrmId": "C-1"}, ""),
        ({"Decision": "Perhaps"}, "Decision"),
        ({}, "Decision"),
        ({"Decision": "Link", "CrmId": "*"}, "CrmId"),
        ({"Decision": "Link", "CrmId": "C" * 10_000}, "CrmId"),
        ({"Decision": "NoMatch", "Comment": "x" * 501}, "Comment"),
        ({"Decision": "NoMatch", "Match": "1"}, "Match"),
        ({"Decision": "NoMatch", "Who": "me"}, "Who"),
    ],
)
def test_a_bad_decision_is_refused_with_its_place(web: Web, body: Any, path: str) -> None:
    add(web, NAME_ALONE)
    before = rows(web, match), rows(web, review)
    review_id = waiting(web)[0]["Id"]
    refused = web.post(f"{API}/reviews/{review_id}/resolve", body, user="operator")
    assert refused.status_code == 422
    assert path in [each["Path"] for each in refused.get_json()["Details"]]
    assert (rows(web, match), rows(web, review)) == before


def test_an_unknown_patient_is_refused(web: Web) -> None:
    uid = add(web, NAME_ALONE)
    review_id = waiting(web)[0]["Id"]
    body = {"Decision": "Link", "CrmId": "C-404"}
    assert web.post(f"{API}/reviews/{review_id}/resolve", body, user="operator").status_code == 404
    assert web.put(f"{API}/studies/{uid}/match", {"CrmId": "C-404"}, user="operator").status_code == 404
    assert web.put(f"{API}/studies/1.2.3/match", {"CrmId": "C-1"}, user="operator").status_code == 404
    assert web.get(f"{API}/reviews/999", user="operator").status_code == 404
    assert web.get(f"{API}/reviews?Since=x", user="operator").status_code == 422


def test_callers_see_their_clinics_only_and_do_what_they_may(web: Web) -> None:
    mine, theirs = add(web, NAME_ALONE), add(web, NAME_ALONE, clinic="laval")
    assert [each["StudyInstanceUID"] for each in waiting(web, "outremont")] == [mine]
    other = next(each["Id"] for each in waiting(web) if each["StudyInstanceUID"] == theirs)
    for path in (f"reviews/{other}/claim", f"reviews/{other}/unclaim", f"reviews/{other}/ask"):
        assert web.post(f"{API}/{path}", {}, user="outremont").status_code == 404
    assert web.get(f"{API}/reviews/{other}", user="outremont").status_code == 404
    assert web.get(f"{API}/studies/{theirs}/match", user="outremont").status_code == 404
    assert web.put(f"{API}/studies/{theirs}/match", {"CrmId": "C-1"}, user="outremont").status_code == 404
    waits = web.get(f"{API}/reviews/waiting", user="outremont").get_json()["Items"]
    assert [(each["Clinic"], each["Amount"]) for each in waits] == [("outremont", 1)]
    assert web.post(f"{API}/reviews/{other}/claim", {}, user="viewer").status_code == 403
    assert web.get(f"{API}/reviews", user="auditor").status_code == 403
    assert web.post(f"{API}/matching/breaker/reset", WHY, user="outremont").status_code == 403


def test_attributes_are_matched_without_a_study(web: Web) -> None:
    asked = {"PatientName": "Gagné^Zoé", "PatientBirthDate": "19840517", "PatientSex": "F", "Clinic": "outremont"}
    found = web.post(
        f"{API}/patients/match", {**asked, "PatientTelephoneNumbers": "5145550142"}, user="viewer"
    ).get_json()
    assert (found["State"], found["CrmId"], found["Candidates"][0]["Grade"]) == ("Matched", "C-1", "Certain")
    assert found["Candidates"][0]["Evidence"][0]["Text"]
    nobody = web.post(
        f"{API}/patients/match", {"PatientName": "Olaf^Nils", "PatientBirthDate": "19550101"}, user="viewer"
    )
    assert nobody.get_json()["State"] == "Unmatched"
    assert rows(web, match) == []
    (seen,) = (each for each in rows(web, audit) if each.action == "patients.matched" and each.detail["Patients"])
    assert "Gagn" not in str(seen.detail)


@pytest.mark.parametrize(
    "name",
    ["x" * 1024, "\u0001\u0007", "^^^^", "李^小龙", "?????", "*", "' OR 1=1 --", "\N{REPLACEMENT CHARACTER}" * 50],
)
def test_hostile_names_match_nobody(web: Web, name: str) -> None:
    answer = web.post(f"{API}/patients/match", {"PatientName": name, "PatientID": name[:64]}, user="viewer")
    assert answer.status_code == 200
    assert answer.get_json()["State"] in {"Unmatched", "Review"}
    assert answer.get_json()["CrmId"] is None


def test_bad_questions_are_refused(web: Web) -> None:
    for body, status in (
        ({"PatientName": "x" * 10_000}, 422),
        ({"PatientBirthDay": "19840517"}, 422),
        ({"Clinic": "nowhere"}, 422),
        ([], 422),
        (b"{", 400),
        (b"", 400),
    ):
        assert web.post(f"{API}/patients/match", body, user="viewer").status_code == status
    laval = {"PatientName": "Gagné^Zoé", "Clinic": "laval"}
    assert web.post(f"{API}/patients/match", laval, user="outremont").status_code == 422
    future = {"PatientName": "Gagné^Zoé", "PatientBirthDate": "29990101"}
    assert web.post(f"{API}/patients/match", future, user="viewer").get_json()["State"] != "Matched"


def test_models_are_added_and_activated_by_a_person(web: Web) -> None:
    place = f"{API}/matching/models"
    (first,) = web.get(place, user="admin").get_json()["Items"]
    assert (first["Digest"], first["Active"]) == (FIRST.digest, True)
    careful = {**FIRST.to_json(), "Version": "careful", "Match": 1.0}
    added = web.post(place, {"Model": careful, "Evaluation": {"Recall": 0.9}}, user="admin").get_json()
    assert web.post(place, {"Model": careful}, user="admin").status_code == 409
    assert web.get(f"{API}/matching", user="operator").get_json()["Model"] == FIRST.digest, "nothing deploys itself"
    assert web.get(f"{place}/{added['Digest']}", user="admin").get_json()["Version"] == "careful"
    assert web.post(f"{place}/{added['Digest']}/activate", WHY, user="operator").status_code == 403
    assert web.post(f"{place}/{added['Digest']}/activate", WHY, user="admin").status_code == 200
    assert web.get(f"{API}/matching", user="operator").get_json()["Model"] == added["Digest"]
    assert web.post(f"{place}/{'0' * 64}/activate", WHY, user="admin").status_code == 404
    broken = {**careful, "Weights": {**careful["Weights"], "Family.Different": "much"}}
    refused = web.post(place, {"Model": broken}, user="admin")
    assert refused.status_code == 422
    assert "Weights" in refused.get_json()["Details"][0]["Path"]


def test_the_breaker_is_seen_and_reset(web: Web) -> None:
    net = web.relais.matching.safety_net
    assert web.post(f"{API}/matching/breaker/reset", WHY, user="operator").status_code == 409
    for number in ("P-1", "P-2"):
        place = f"{API}/studies/{add(web, {**TAGS, '0010,0020': number})}/match/undo"
        assert web.post(place, WHY, user="operator").status_code == 200
    with web.relais.database.read() as connection:
        assert net.tripped(connection) is not None
    seen = web.get(f"{API}/matching", user="operator").get_json()
    assert seen["Breaker"]["Counts"]["Errors"] == 2
    assert "wrong" in seen["Breaker"]["Reason"]
    checks = {each["Name"]: each for each in web.get(f"{API}/health", user="operator").get_json()["Checks"]}
    assert not checks["Matching"]["Healthy"]
    metrics = web.get("/relais/metrics", user="operator").text
    assert "relais_matching_stopped 1.0" in metrics
    assert 'relais_studies_by_match{state="Pending"} 2.0' in metrics
    assert web.post(f"{API}/matching/breaker/reset", WHY, user="operator").status_code == 200
    assert web.get(f"{API}/matching", user="operator").get_json()["Breaker"] is None


def test_a_patient_who_was_forgotten_leaves_a_review_without_them(web: Web) -> None:
    uid = add(web, NAME_ALONE)
    (listed,) = waiting(web)
    with web.relais.database.write() as connection:
        connection.execute(match.update().values(question=None, answer=None))
        connection.execute(study.update().values(match_state="Pending", match_id=None, crm_id=None))
    detail = web.get(f"{API}/reviews/{listed['Id']}", user="operator").get_json()
    assert detail["Candidates"] == []
    assert web.get(f"{API}/studies/{uid}/match", user="operator").get_json()["State"] == "Pending"
    body = {"Decision": "NoMatch"}
    assert web.post(f"{API}/reviews/{listed['Id']}/resolve", body, user="operator").status_code == 200


def test_other_systems_ask_in_fhir(web: Web) -> None:
    person = {
        "resourceType": "Patient",
        "name": [{"family": "Gagné", "given": ["Zoé"]}],
        "birthDate": "1984-05-17",
        "gender": "female",
        "telecom": [{"system": "phone", "value": "514-555-0142"}],
    }
    headers = {"Content-Type": "application/fhir+json"}
    place = f"{API}/fhir/Patient/$match"

    def ask(*more: dict[str, Any], **changed: Any) -> Any:
        resource = {"name": "resource", "resource": {**person, **changed}}
        body = {"resourceType": "Parameters", "parameter": [resource, *more]}
        return web.post(place, json.dumps(body).encode(), user="viewer", headers=headers)

    answer = ask()
    assert answer.content_type == "application/fhir+json; charset=utf-8"
    bundle = answer.get_json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    first = bundle["entry"][0]
    assert (first["resource"]["resourceType"], first["resource"]["id"]) == ("Patient", "C-1")
    assert first["search"]["extension"][0]["valueCode"] == "certain"
    assert first["search"]["score"] > 0.99
    certain = ask({"name": "onlyCertainMatches", "valueBoolean": True}).get_json()
    assert [each["resource"]["id"] for each in certain["entry"]] == ["C-1"]
    assert ask({"name": "count", "valueInteger": 0}).get_json()["total"] == 0
    assert ask(name=[{"family": "Olaf"}], birthDate="1955-01-01", telecom=[]).get_json()["total"] == 0
    assert ask(birthDate="2999-01-01", name="Zoé").status_code == 200
    assert ask({"name": "clinic", "valueString": "nowhere"}).status_code == 422
    for body in ({}, {"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": []}):
        assert web.post(place, body, user="viewer").status_code == 422
    assert web.post(place, {}, user="auditor").status_code == 403
