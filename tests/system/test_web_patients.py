"""The API over the CRM's patients: what is answered, refused, audited and kept from whom; an import that is cut."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from relais.database.patient_tables import patient
from relais.database.tables import audit, study
from tests.servers.orthanc import OrthancServer
from tests.servers.rows import add_study
from tests.servers.waiting import eventually
from tests.system.serving import Web, compose_web

PATIENTS = "/relais/v1/patients"
NDJSON = {"Content-Type": "application/x-ndjson"}
ZOE: dict[str, Any] = {
    "Identifiers": [{"System": "RAMQ", "Value": "GAGZ84551711"}],
    "FamilyName": "Gagné",
    "GivenNames": "Zoé",
    "BirthDate": "1984-05-17",
    "Sex": "F",
}


@pytest.fixture
def web(tmp_path: Path, database_url: str) -> Iterator[Web]:
    made = compose_web(tmp_path, database_url)
    yield made
    made.relais.database.close()


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Web]:
    """For what no database decides: on SQLite only."""
    (tmp_path / "crm").mkdir()
    made = compose_web(tmp_path, PatientFolder=str(tmp_path / "crm"))
    yield made
    made.relais.database.close()


def put(web: Web, crm_id: str, user: str = "operator", **document: Any) -> Any:
    return web.put(f"{PATIENTS}/{crm_id}", {**ZOE, **document}, user=user)


def audited(web: Web, action: str) -> list[Any]:
    with web.relais.database.read() as connection:
        return list(connection.execute(select(audit.c.detail).where(audit.c.action == action)).scalars())


def test_a_patient_is_put_read_and_forgotten(web: Web) -> None:
    assert put(web, "C-1").get_json() == {"Done": True, "Outcome": "Added"}
    assert put(web, "C-1").get_json()["Outcome"] == "Unchanged"
    assert put(web, "C-1", CrmId="C-1", Sex=None).get_json()["Outcome"] == "Changed"
    answer = web.get(f"{PATIENTS}/C-1", user="viewer").get_json()
    assert (answer["CrmId"], answer["FamilyName"], answer["Sex"], answer["Phones"]) == ("C-1", "Gagné", "", [])
    assert answer["Identifiers"] == [{"System": "RAMQ", "Value": "GAGZ84551711"}]
    assert audited(web, "patient.viewed") == [{"CrmId": "C-1"}]
    listed = web.get(PATIENTS, user="viewer").get_json()["Items"]
    assert [each["CrmId"] for each in listed] == ["C-1"]
    assert audited(web, "patients.listed") == [{"Patients": ["C-1"]}]
    assert web.delete(f"{PATIENTS}/C-1", user="operator").get_json() == {"Done": True, "Forgotten": ["C-1"]}
    assert web.get(f"{PATIENTS}/C-1", user="viewer").status_code == 404
    assert web.delete(f"{PATIENTS}/C-1", user="operator").status_code == 404


def test_a_list_goes_on_where_it_ended(lonely: Web) -> None:
    for number in range(5):
        put(lonely, f"C-{number}", Clinic="laval" if number % 2 else "outremont")
    first = lonely.get(f"{PATIENTS}?Limit=3", user="viewer").get_json()
    second = lonely.get(f"{PATIENTS}?Limit=3&Since={first['Next']}", user="viewer").get_json()
    found = [each["CrmId"] for each in (*first["Items"], *second["Items"])]
    assert found == [f"C-{number}" for number in (4, 3, 2, 1, 0)]
    assert second["Next"] is None
    of_clinic = lonely.get(f"{PATIENTS}?Clinic=laval", user="viewer").get_json()["Items"]
    assert [each["CrmId"] for each in of_clinic] == ["C-3", "C-1"]


def test_a_caller_sees_and_changes_the_patients_of_their_clinics_only(lonely: Web) -> None:
    put(lonely, "C-o", Clinic="outremont")
    put(lonely, "C-l", Clinic="laval")
    put(lonely, "C-all")
    listed = lonely.get(PATIENTS, user="outremont").get_json()["Items"]
    assert [each["CrmId"] for each in listed] == ["C-all", "C-o"]
    for path in ("C-l", "C-l/studies"):
        assert lonely.get(f"{PATIENTS}/{path}", user="outremont").status_code == 404
    assert lonely.delete(f"{PATIENTS}/C-l", user="outremont").status_code == 404
    assert put(lonely, "C-n", user="outremont").get_json()["Details"] == [
        {"Path": "Clinic", "Message": "must be one of your clinics"}
    ]
    assert put(lonely, "C-l", user="outremont", Clinic="outremont").status_code == 409
    assert put(lonely, "C-n", user="outremont", Clinic="outremont").get_json()["Outcome"] == "Added"
    assert put(lonely, "C-o", Clinic="laval").status_code == 409
    for user in ("viewer", "auditor", "privacy"):
        assert put(lonely, "C-x", user=user).status_code == 403
    assert lonely.get(f"{PATIENTS}/C-o", user="auditor").status_code == 403


@pytest.mark.parametrize(
    ("crm_id", "document", "path", "message"),
    [
        ("C-1", {"CrmId": "C-2"}, "CrmId", "must be the CrmId of the address, or be left out"),
        ("C-1", {"BirthDate": "2999-01-01"}, "BirthDate", "must not be in the future"),
        ("C-1", {"FamilyName": "x" * 10_000}, "FamilyName", "must have at most 256 characters"),
        ("C-1", {"Clinic": "nowhere"}, "Clinic", 'no clinic is named "nowhere"'),
        ("C-1", {"Identifiers": [{"Value": ""}]}, "Identifiers[0].Value", "must not be empty"),
        ("imports", {}, "CrmId", "must begin with a letter or a digit"),
    ],
)
def test_bad_input_changes_nothing(lonely: Web, crm_id: str, document: dict[str, Any], path: str, message: str) -> None:
    answer = put(lonely, crm_id, **document)
    assert answer.status_code == 422
    (detail,) = answer.get_json()["Details"]
    assert detail["Path"] == path
    assert detail["Message"].startswith(message)
    with lonely.relais.database.read() as connection:
        assert connection.execute(select(patient)).all() == []


def test_an_address_that_can_be_no_crm_id_is_nobodys(lonely: Web) -> None:
    for crm_id in ("a b", "-1", "x" * 129, "a/b", "é"):
        assert lonely.put(f"{PATIENTS}/{crm_id}", ZOE, user="operator").status_code == 404


def test_merging_is_said_and_taken_back(lonely: Web) -> None:
    put(lonely, "C-1")
    put(lonely, "C-2", GivenNames="Chloé")
    merging = {"Into": "C-2", "Reason": "one person"}
    assert lonely.post(f"{PATIENTS}/C-1/merge", merging, user="operator").status_code == 200
    assert lonely.get(f"{PATIENTS}/C-1", user="viewer").get_json()["MergedInto"] == "C-2"
    again = lonely.post(f"{PATIENTS}/C-1/merge", merging, user="operator")
    assert (again.status_code, again.get_json()["Error"]) == (409, "The record was merged into C-2")
    assert lonely.post(f"{PATIENTS}/C-1/unmerge", {"Reason": "two people"}, user="operator").status_code == 200
    assert lonely.get(f"{PATIENTS}/C-1", user="viewer").get_json()["MergedInto"] is None
    missing = lonely.post(f"{PATIENTS}/C-1/merge", {"Into": "C-9", "Reason": "x"}, user="operator")
    assert missing.status_code == 404


def test_a_patients_studies_are_those_of_every_record(lonely: Web) -> None:
    put(lonely, "C-1")
    put(lonely, "C-2")
    with lonely.relais.database.write() as connection:
        for crm_id, clinic in (("C-1", "outremont"), ("C-2", "laval"), (None, "laval")):
            made = add_study(connection, clinic=clinic)
            values = {"crm_id": crm_id, "match_state": "Matched" if crm_id else "Pending"}
            connection.execute(update(study).where(study.c.id == made).values(values))
    lonely.post(f"{PATIENTS}/C-1/merge", {"Into": "C-2", "Reason": "one person"}, user="operator")
    found = lonely.get(f"{PATIENTS}/C-2/studies", user="viewer").get_json()["Items"]
    assert sorted(each["Match"]["CrmId"] for each in found) == ["C-1", "C-2"]
    mine = lonely.get(f"{PATIENTS}/C-2/studies", user="outremont").get_json()["Items"]
    assert [each["Match"]["CrmId"] for each in mine] == ["C-1"]
    assert audited(lonely, "patient.studies-viewed") == [
        {"CrmId": "C-2", "Studies": 2},
        {"CrmId": "C-2", "Studies": 1},
    ]


def lines(*numbers: int) -> bytes:
    return b"\n".join(json.dumps({"CrmId": f"C-{number}", **ZOE}).encode() for number in numbers)


def test_many_are_stored_at_once_and_the_bad_ones_told(web: Web) -> None:
    body = lines(1, 2) + b'\n{"CrmId": "C-3", "BirthDate": "2999-01-01"}\n' + lines(4)
    answer = web.post(f"{PATIENTS}/bulk", body, user="operator", headers=NDJSON).get_json()
    assert (answer["State"], answer["Accepted"], answer["Refused"], answer["Done"]) == ("Completed", 3, 1, 4)
    assert answer["Problems"] == [{"Line": 3, "Path": "BirthDate", "Message": "must not be in the future"}]
    french = web.get(f"{PATIENTS}/imports/{answer['Id']}", user="francine").get_json()
    assert french["Problems"][0]["Message"].startswith("ne doit pas être dans l")


def test_pieces_make_an_import(web: Web) -> None:
    made = web.post(f"{PATIENTS}/imports", {}, user="operator").get_json()["Import"]
    one = f"{PATIENTS}/imports/{made}"
    taken = web.post(f"{one}/lines/1", lines(1, 2), user="operator", headers=NDJSON)
    assert taken.get_json() == {"Done": True, "NextLine": 3}
    gap = web.post(f"{one}/lines/4", lines(4), user="operator", headers=NDJSON)
    assert (gap.status_code, gap.get_json()["Error"]) == (409, "Line 3 is awaited; send it first")
    assert web.post(f"{one}/lines/3", lines(3), user="operator", headers=NDJSON).status_code == 200
    assert web.get(one, user="operator").get_json()["NextLine"] == 4
    assert web.post(f"{one}/complete", user="operator").status_code == 200
    assert web.post(f"{one}/cancel", user="operator").status_code == 409
    assert web.get(one, user="operator").get_json()["State"] == "Completed"


def test_what_is_no_piece_is_refused(lonely: Web) -> None:
    assert lonely.post(f"{PATIENTS}/bulk", lines(1), user="operator").status_code == 415
    large = b"x" * 4_000_001
    assert lonely.post(f"{PATIENTS}/bulk", large, user="operator", headers=NDJSON).status_code == 413
    assert lonely.post(f"{PATIENTS}/imports/9/lines/1", lines(1), user="operator", headers=NDJSON).status_code == 404
    both = lonely.post(f"{PATIENTS}/imports", {"File": "a", "Source": "b"}, user="operator")
    assert both.status_code == 422
    for body in ({"File": "../relais.db"}, {"File": "missing"}, {"Source": "nowhere"}):
        assert lonely.post(f"{PATIENTS}/imports", body, user="operator").status_code == 404
        assert lonely.post(f"{PATIENTS}/imports", body, user="outremont").status_code == 403


def test_an_import_is_its_senders_and_that_of_callers_of_all_clinics(lonely: Web) -> None:
    made = lonely.post(f"{PATIENTS}/imports", {}, user="operator").get_json()["Import"]
    mine = lonely.post(f"{PATIENTS}/imports", {}, user="outremont").get_json()["Import"]
    assert lonely.get(f"{PATIENTS}/imports/{made}", user="outremont").status_code == 404
    assert lonely.post(f"{PATIENTS}/imports/{made}/cancel", user="outremont").status_code == 404
    listed = lonely.get(f"{PATIENTS}/imports", user="outremont").get_json()["Items"]
    assert [each["Id"] for each in listed] == [mine]
    every = lonely.get(f"{PATIENTS}/imports", user="operator").get_json()["Items"]
    assert [each["Id"] for each in every] == [mine, made]


def test_a_file_is_imported_by_a_router_that_is_killed_on_the_way(tmp_path: Path) -> None:
    amount = 42_000
    (tmp_path / "crm").mkdir()
    with (tmp_path / "crm" / "people.ndjson").open("w") as stream:
        for number in range(1, amount + 1):
            stream.write(json.dumps({**ZOE, "CrmId": f"C-{number}", "FamilyName": f"Gagné-{number}"}) + "\n")
            if number == 31_000:
                stream.write("{not json\n")
    server = OrthancServer(tmp_path / "orthanc", relais={"PatientFolder": str(tmp_path / "crm")})
    with server:
        made = server.rest.post(f"{PATIENTS}/imports", {"File": "people.ndjson"})["Import"]
        address = f"{PATIENTS}/imports/{made}"
        eventually(lambda: server.rest.get(address)["Accepted"] >= 10_000, 120, "some of it is stored")
        server.kill()
        server.start()
        eventually(lambda: server.rest.get(address)["State"] == "Completed", 180, "all of it is stored")
        answer = server.rest.get(address)
        assert (answer["Accepted"], answer["Unchanged"], answer["Refused"]) == (amount, 0, 1)
        assert answer["Done"] == answer["Total"]
        assert [each["Line"] for each in answer["Problems"]] == [31_001]
        last = server.rest.get(f"{PATIENTS}/C-{amount}")
        assert last["FamilyName"] == f"Gagné-{amount}"
