"""Quality of matching on a few people, each way that `make bench-matching` and `make train-matching` go."""

import json
import stat
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert

from relais.database import Database
from relais.database.patient_tables import match
from relais.domain.asked import Demographics, asked_of
from relais.domain.matching.decision import State
from relais.domain.matching.identifiers import read_ramq
from relais.domain.matching.model import FIRST, Model
from relais.domain.patients import Patient, identity_of
from relais.domain.states import MatchKind
from relais.matching_training import main
from tests.matching.fictional import document, query
from tests.matching.memory import Memory
from tests.matching.parts import QUICK, golden, quebec
from tests.matching.quality import Query
from tests.matching.quebec import TODAY, Register, people
from tests.matching.senders import said
from tests.servers.rows import START, add_study


def test_few_people_of_quebec_are_matched_rightly_and_replayed() -> None:
    figures = {figure.name.split(": ")[-1]: figure for figure in quebec(QUICK).figures}
    assert [name for name, figure in figures.items() if not figure.is_met] == []
    assert figures["automatic recall"].median > 90
    assert figures["wrong automatic matches"].median == 0


def test_the_hard_pairs_are_measured() -> None:
    assert [figure.name for figure in golden(QUICK).figures if not figure.is_met] == []


def test_people_are_the_same_for_the_same_seed_and_have_valid_numbers() -> None:
    assert people(1, 7) == people(1, 7) != people(2, 7)
    everybody = [person for household in range(300) for person in people(1, household)]
    assert len({person.key for person in everybody}) == len(everybody)
    assert len({person.nam for person in everybody}) > len(everybody) * 0.999
    assert {person.has_twin for person in everybody} == {True, False}
    assert all(person.born <= TODAY for person in everybody)
    assert 0.7 < sum(person.is_known for person in everybody) / len(everybody) < 0.9
    slips = {slip for person in everybody for slip in said(person, [person], Random(person.key)).slips}
    assert len(slips) > 10


def test_in_the_register_no_two_have_one_nam() -> None:
    """As of these households the 815th and the 855th would have by chance."""
    register = Register(40, 860)
    made, listed = (
        [person for household in range(860) for person in each(40, household)] for each in (people, register)
    )
    assert len({person.nam for person in made}) < len(made) == len({person.nam for person in listed})
    assert [replace(person, nam="") for person in made] == [replace(person, nam="") for person in listed]
    assert all((read := read_ramq(person.nam)) is not None and read.checks for person in listed)


def test_a_fictional_person_is_asked_for_as_they_are_and_as_they_became() -> None:
    person = {
        "Who": "0_2",
        "FamilyName": "Kofron",
        "GivenName": "Diana",
        "MiddleInitial": "P",
        "Sex": "Female",
        "BirthDate": "05/06/1994",
        "Number": "5112",
        "Street": "145th st",
        "Flat": "",
    }
    assert document(person) == {
        "CrmId": "0_2",
        "FamilyName": "Kofron",
        "GivenNames": "Diana P",
        "Sex": "F",
        "BirthDate": "1994-05-06",
        "Address": "5112 145th st",
    }
    known = identity_of(Patient.model_validate(document(person)), TODAY)
    crm = Memory([("0_2", known)])
    found = crm.ask(query(person, {"0_2"}).asked).answer(FIRST)
    assert (found.state, found.crm_id) == (State.Matched, "0_2")
    assert query(person, set()).crm_id is None
    damaged = query({**person, "BirthDate": "13/45/1994", "Sex": ""}, {"0_2"}).asked
    assert (damaged.birth_date, damaged.sex) == (None, "")


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database in which sixty studies were identified, and people answered some."""
    url = f"sqlite:///{tmp_path}/relais.db"
    opened = Database(url)
    opened.upgrade()
    household = [person for number in range(40) for person in people(1, number)]
    known = [(person.key, asked_of(Demographics(tags=said(person, [], Random(1)).tags), TODAY)) for person in household]
    crm = Memory(known)
    with opened.write() as connection:
        for number, person in enumerate(household[:60]):
            asked = asked_of(Demographics(tags=said(person, household, Random(number)).tags), TODAY)
            question = crm.example(Query(asked, person.key, "")).question.to_json()
            study_id = add_study(connection, study_instance_uid=f"1.2.{number}", orthanc_id=f"o-{number}")
            rows: list[tuple[str, str, str | None, Any]] = [("Automatic", "relais", None, question)]
            rows += [("Linked", "alice", person.key, None)] if number % 3 == 0 else []
            rows += [("Undone", "alice", None, None)] if number % 6 == 0 else []
            for kind, actor, crm_id, asking in rows:
                connection.execute(
                    insert(match),
                    [
                        {
                            "study_id": study_id,
                            "at": START,
                            "actor": actor,
                            "kind": MatchKind(kind),
                            "state": "Review",
                            "crm_id": crm_id,
                            "model": FIRST.digest,
                            "question": asking,
                            "patient_id": "",
                            "issuer_of_patient_id": "",
                            "tags": {},
                        }
                    ],
                )
    opened.close()
    return url


def test_a_model_is_learnt_from_an_export_and_stands_beside_the_old(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export, learnt = tmp_path / "questions.ndjson", tmp_path / "model.json"
    assert main(["export", database, str(export)]) == 0
    assert stat.S_IMODE(export.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in export.read_text().splitlines()]
    assert len(lines) == 60
    assert sum(line.get("ByPerson", False) for line in lines) == 10
    assert main(["learn", str(export), str(learnt), "--version", "spring"]) == 0
    document = json.loads(learnt.read_text())
    assert Model.from_json(document["Model"]).version == "spring"
    assert document["Evaluation"]["Old"]["Digest"] == FIRST.digest != document["Evaluation"]["New"]["Digest"]
    assert document["Evaluation"]["New"]["AnsweredByPeople"] == 10
    assert "spring" in capsys.readouterr().out
    again = tmp_path / "again.json"
    assert main(["learn", str(export), str(again), "--start", str(learnt)]) == 0
    assert json.loads(again.read_text())["Evaluation"]["Old"]["Version"] == "spring"


@pytest.mark.parametrize(
    ("text", "said_of_it"),
    [
        ("{}\n", "line 1 is no question: KeyError"),
        ("x\n", "line 1"),
        ("[]\n", "line 1"),
        ('{"Question": 7}\n', "line 1"),
    ],
)
def test_what_is_no_export_is_refused(
    text: str, said_of_it: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export, learnt = tmp_path / "questions.ndjson", tmp_path / "model.json"
    export.write_text(text)
    assert main(["learn", str(export), str(learnt)]) == 1
    assert said_of_it in capsys.readouterr().err
    assert not learnt.exists()


def test_a_database_that_is_none_and_a_start_that_is_none_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", f"sqlite:///{tmp_path}/nowhere/relais.db", str(tmp_path / "x")]) == 1
    (tmp_path / "start.json").write_text('{"Version": "x"}')
    (tmp_path / "questions.ndjson").write_text("")
    arguments = ["learn", str(tmp_path / "questions.ndjson"), str(tmp_path / "m.json")]
    assert main([*arguments, "--start", str(tmp_path / "start.json")]) == 1
    assert "Weights" in capsys.readouterr().err
