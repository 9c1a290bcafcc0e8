"""Whose a study is, asked and kept, on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from relais import rematch
from relais.bootstrap import Relais, settle
from relais.database.patient_tables import match, matching_model, patient, review, stop_value, waiting_key
from relais.database.tables import audit, event, study, task
from relais.domain.matching.decision import Match, Question
from relais.domain.matching.model import FIRST, Model
from relais.domain.states import MatchKind, ReviewDecision
from relais.drafts import Seat
from relais.errors import StateError
from relais.house import Ground
from relais.links import Verdict
from relais.orthanc.capabilities import Surroundings
from tests.servers.clock import FakeClock
from tests.servers.people import TAGS, TWIN, ZOE, add_asked_study, add_namesakes, add_patient, known, row_of
from tests.servers.router import destination

SECTION: dict[str, Any] = {
    "Clinics": {"outremont": {"CalledAets": ["OUTREMONT"]}, "laval": {"CalledAets": ["LAVAL"]}},
    "Destinations": {"vna": destination("VNA", 104)},
    "Matching": {"SecondLooks": 0},
}
LINK = Verdict(decision=ReviewDecision.Link, crm_id="C-1")
OTHER_NAME = {**TAGS, "0010,0010": "ROY^ANNE", "0010,0030": "19770203", "0010,2154": "", "0010,0040": "F"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def relais(database_url: str, tmp_path: Path, clock: FakeClock, options: dict[str, Any]) -> Iterator[Relais]:
    seat = Seat.of({**SECTION, "Database": database_url, **options}, directory=tmp_path)
    surroundings = Surroundings.of({"HttpPort": 9, "StorageDirectory": str(tmp_path)})
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None, clock=clock)
    relais = settle(ground)
    with relais.database.write() as connection:
        add_namesakes(connection, 60, clock)
        add_patient(connection, ZOE, clock)
    yield relais
    ground.close()


def add(relais: Relais, **values: Any) -> int:
    with relais.database.write() as connection:
        return add_asked_study(connection, **values)


def row(relais: Relais, study_id: int) -> Any:
    with relais.database.read() as connection:
        return row_of(connection, study_id)


def identified(relais: Relais, study_id: int, *answers: dict[str, Any], clinic: str | None = "outremont") -> Any:
    """Ask whose it is and keep the answer; what was found."""
    said = known(*answers, clinic=clinic)
    identify = relais.matching.identify
    found = identify.ask(row(relais, study_id), said)
    with relais.database.write() as connection:
        assert identify.write(connection, row_of(connection, study_id), said, found)
    return found


def column(relais: Relais, what: Any, *where: Any) -> list[Any]:
    with relais.database.read() as connection:
        return list(connection.execute(select(what).where(*where)).scalars())


def amount(relais: Relais, table: Any) -> int:
    with relais.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def events(relais: Relais) -> list[str]:
    with relais.database.read() as connection:
        return list(connection.execute(select(event.c.type).order_by(event.c.at, event.c.id)).scalars())


def test_a_study_is_matched_with_its_evidence_event_and_label(relais: Relais) -> None:
    study_id = add(relais)
    found = identified(relais, study_id)
    now = row(relais, study_id)
    assert (now.match_state, now.crm_id) == ("Matched", "C-1")
    assert events(relais) == ["study.matched"]
    assert column(relais, task.c.key) == [f"label:{study_id}"]
    facts = found.facts(known().facts)
    assert facts.match_state == "Matched"
    assert facts.patient["Region"] == ("CA-QC",)
    assert facts.patient["AgeYears"] == ("42",)
    assert column(relais, review.c.id) == []
    with relais.database.read() as connection:
        kept = connection.execute(select(match).where(match.c.id == now.match_id)).one()
    assert kept.posterior > 0.99
    assert Question.from_json(kept.question).answer(FIRST) == Match.from_json(kept.answer)


def test_nothing_is_written_again_where_nothing_changed(relais: Relais) -> None:
    study_id = add(relais)
    identified(relais, study_id)
    before = amount(relais, match), amount(relais, audit), row(relais, study_id)
    identified(relais, study_id)
    assert (amount(relais, match), amount(relais, audit), row(relais, study_id)) == before


def test_without_patients_nothing_is_asked(relais: Relais) -> None:
    with relais.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM patient_name")
    study_id = add(relais)
    found = identified(relais, study_id)
    assert found.off
    assert row(relais, study_id).match_state == "Pending"
    assert amount(relais, match) == amount(relais, task) == 0
    assert found.facts(known().facts) == known().facts


def test_twins_are_for_a_person(relais: Relais, clock: FakeClock) -> None:
    with relais.database.write() as connection:
        add_patient(connection, TWIN, clock)
    study_id = add(relais)
    identified(relais, study_id, {**TAGS, "0010,0010": "GAGNE^C"})
    assert row(relais, study_id).match_state == "Review"
    assert row(relais, study_id).crm_id is None
    assert events(relais) == ["study.review"]
    assert column(relais, review.c.state) == ["Open"]
    assert column(relais, waiting_key.c.study_id)


def test_nobody_is_nobody_and_asks_nobody(relais: Relais) -> None:
    study_id = add(relais)
    identified(relais, study_id, OTHER_NAME)
    assert row(relais, study_id).match_state == "Unmatched"
    assert events(relais) == ["study.unmatched"]
    assert amount(relais, review) == 0


def test_a_study_without_a_clinic_is_never_matched_by_itself(relais: Relais) -> None:
    study_id = add(relais, clinic=None)
    identified(relais, study_id, clinic=None)
    assert row(relais, study_id).match_state == "Review"
    assert column(relais, review.c.reason) == ["NoClinic"]


def test_a_clinic_sees_its_own_patients_and_those_of_all(relais: Relais, clock: FakeClock) -> None:
    with relais.database.write() as connection:
        connection.execute(update(patient).where(patient.c.crm_id == "C-1").values(clinic="laval"))
    mine, theirs = add(relais), add(relais, clinic="laval")
    identified(relais, mine)
    identified(relais, theirs, clinic="laval")
    assert row(relais, mine).match_state == "Unmatched"
    assert row(relais, theirs).crm_id == "C-1"


def test_series_that_name_two_people_are_for_a_person(relais: Relais) -> None:
    study_id = add(relais)
    identified(relais, study_id, OTHER_NAME, TAGS)
    assert column(relais, review.c.reason) == ["SeriesDiffer"]
    again = add(relais)
    identified(relais, again, {**TAGS, "0010,0010": "Gagné^Zoé", "0010,2154": ""}, TAGS)
    assert row(relais, again).match_state == "Matched"


def test_what_a_person_said_outlives_new_decisions_and_helps_the_next_study(relais: Relais) -> None:
    study_id = add(relais)
    identified(relais, study_id, {**TAGS, "0010,0030": "", "0010,2154": "", "0010,0040": ""})
    assert row(relais, study_id).match_state != "Matched"
    relais.matching.links.say(row(relais, study_id).study_instance_uid, LINK, actor="alice")
    assert row(relais, study_id).crm_id == "C-1"
    found = identified(relais, study_id, {**TAGS, "0010,0030": "", "0010,2154": "", "0010,0040": ""})
    assert (found.state, found.standing) == ("Matched", row(relais, study_id).match_id)
    another = add(relais)
    identified(relais, another, {**TAGS, "0010,0030": "", "0010,2154": "", "0010,0040": ""})
    assert row(relais, another).crm_id == "C-1"
    assert column(relais, match.c.reason, match.c.study_id == another) == ["EarlierLink"]


def test_other_demographics_ask_the_person_again(relais: Relais) -> None:
    study_id = add(relais)
    identified(relais, study_id)
    relais.matching.links.say(row(relais, study_id).study_instance_uid, LINK, actor="alice")
    identified(relais, study_id, OTHER_NAME)
    assert row(relais, study_id).match_state == "Review"
    assert column(relais, review.c.reason, review.c.state == "Open") == ["Changed"]
    identified(relais, study_id, OTHER_NAME)
    assert row(relais, study_id).match_state == "Review"


def test_a_match_taken_back_is_not_made_again(relais: Relais) -> None:
    study_id = add(relais)
    identified(relais, study_id)
    uid = row(relais, study_id).study_instance_uid
    relais.matching.links.take_back(uid, actor="alice", reason="the other twin")
    assert (row(relais, study_id).match_state, row(relais, study_id).crm_id) == ("Pending", None)
    assert f"route:{study_id}" in column(relais, task.c.key)
    identified(relais, study_id)
    assert row(relais, study_id).match_state == "Review"
    assert column(relais, review.c.reason) == ["Rejected"]
    with pytest.raises(StateError):
        relais.matching.links.take_back(uid, actor="alice", reason="again")


def test_a_link_taken_back_asks_again_what_followed_from_it(relais: Relais) -> None:
    little = {**TAGS, "0010,0030": "", "0010,2154": "", "0010,0040": ""}
    study_id, follower = add(relais), add(relais)
    identified(relais, study_id, little)
    relais.matching.links.say(row(relais, study_id).study_instance_uid, LINK, actor="alice")
    identified(relais, follower, little)
    assert row(relais, follower).crm_id == "C-1"
    relais.matching.links.take_back(row(relais, study_id).study_instance_uid, actor="alice", reason="wrong")
    assert f"route:{follower}" in column(relais, task.c.key)
    identified(relais, follower, little)
    identified(relais, study_id, little)
    assert {row(relais, each).match_state for each in (study_id, follower)}.isdisjoint({"Matched", "Pending"})


def test_nobody_said_by_a_person_stays_and_rejects_whom_they_saw(relais: Relais) -> None:
    study_id = add(relais)
    identified(relais, study_id, clinic=None)
    uid = row(relais, study_id).study_instance_uid
    relais.matching.links.say(uid, Verdict(decision=ReviewDecision.NoMatch), actor="alice")
    assert column(relais, match.c.crm_id, match.c.kind == MatchKind.Rejected) == ["C-1"]
    identified(relais, study_id)
    assert row(relais, study_id).match_state == "Unmatched"


def test_a_new_patient_asks_again_the_studies_that_wait(relais: Relais, clock: FakeClock) -> None:
    study_id, matched, other = add(relais), add(relais), add(relais)
    identified(relais, matched)
    identified(relais, study_id, OTHER_NAME)
    identified(relais, other, {**OTHER_NAME, "0010,0010": "OLAF^NILS", "0010,0030": "19550101", "0010,0020": "P-9"})
    with relais.database.write() as connection:
        anne = {"CrmId": "C-9", "FamilyName": "Roy", "GivenNames": "Anne", "BirthDate": "1977-02-03", "Sex": "F"}
        made = add_patient(connection, anne, clock)
        relais.tasks.schedule(
            connection,
            kind="rematch",
            lane="studies",
            key=f"rematch:{made}",
            run_at=clock.now(),
            payload={"Patient": made},
        )
        connection.execute(task.delete().where(task.c.kind == "label"))
    for claim in relais.tasks.claim(column(relais, task.c.id)):
        relais.matching.rematch(claim)
    assert column(relais, task.c.key) == [f"route:{study_id}"]
    identified(relais, study_id, OTHER_NAME)
    assert row(relais, study_id).match_state in {"Matched", "Review"}


def test_an_answer_that_was_overtaken_is_not_kept(relais: Relais) -> None:
    study_id = add(relais)
    identify = relais.matching.identify
    found = identify.ask(row(relais, study_id), known())
    identified(relais, study_id, OTHER_NAME)
    with relais.database.write() as connection:
        assert not identify.write(connection, row_of(connection, study_id), known(), found)
    assert row(relais, study_id).match_state == "Unmatched"
    found = identify.ask(row(relais, study_id), known())
    with relais.database.write() as connection:
        connection.execute(patient.delete().where(patient.c.crm_id == "C-1"))
    with relais.database.write() as connection:
        assert not identify.write(connection, row_of(connection, study_id), known(), found)


def test_a_patient_id_that_many_people_came_with_says_nothing_any_more(relais: Relais) -> None:
    people = [("TREMBLAY^LUC", "19610203"), ("COTE^MARC", "19720405"), ("OUELLET^JADE", "19990606")]
    for name, born in people:
        study_id = add(relais)
        with relais.database.write() as connection:
            connection.execute(
                update(study).where(study.c.id == study_id).values(patient_name=name, patient_birth_date=born)
            )
        identified(relais, study_id, {**TAGS, "0010,0010": name, "0010,0030": born, "0010,2154": ""})
    assert column(relais, stop_value.c.value) == ["P77"]
    study_id = add(relais)
    found = identified(relais, study_id)
    assert found.question is not None
    assert found.question.asked.identifiers == ()


def test_the_active_model_decides(relais: Relais, clock: FakeClock) -> None:
    sceptic = Model.from_json({**FIRST.to_json(), "Version": "sceptic", "Match": 1.0})
    relais.matching.models.add(sceptic, None, actor="alice")
    study_id = add(relais)
    assert identified(relais, study_id).match.model == FIRST.digest
    relais.matching.models.activate(sceptic.digest, actor="alice", reason="careful")
    assert identified(relais, add(relais)).match.model == sceptic.digest
    with pytest.raises(StateError):
        relais.matching.models.activate(sceptic.digest, actor="alice", reason="again")
    clock.advance(timedelta(seconds=1))
    relais.matching.models.activate(FIRST.digest, actor="alice", reason="back")
    assert identified(relais, add(relais)).match.model == FIRST.digest


def test_another_model_asks_again_the_studies_that_wait(
    relais: Relais, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rematch, "AT_ONCE", 2)
    sceptic = Model.from_json({**FIRST.to_json(), "Version": "sceptic", "Match": 1.0})
    relais.matching.models.add(sceptic, None, actor="alice")
    relais.matching.models.activate(sceptic.digest, actor="alice", reason="careful")
    waiting = [add(relais) for _ in range(3)]
    for study_id in waiting:
        identified(relais, study_id)
    assert [row(relais, each).match_state for each in waiting] == ["Review"] * 3
    clock.advance(timedelta(seconds=1))
    relais.matching.models.activate(FIRST.digest, actor="alice", reason="back")
    while claims := relais.tasks.claim(column(relais, task.c.id, task.c.kind == "rematch")):
        for claim in claims:
            relais.matching.rematch(claim)
    assert {f"route:{each}" for each in waiting} <= set(column(relais, task.c.key))


def test_a_model_that_was_edited_by_hand_is_not_used(relais: Relais, clock: FakeClock) -> None:
    with relais.database.write() as connection:
        document = {**FIRST.to_json(), "Match": 0.5}
        values = {"digest": "0" * 64, "version": "x", "document": document, "added_at": clock.now(), "added_by": "x"}
        connection.execute(insert(matching_model).values(**values, activated_at=clock.now()))
    with pytest.raises(Exception, match="model"):
        identified(relais, add(relais))


def test_what_is_known_stays_when_no_image_is_left(relais: Relais) -> None:
    study_id = add(relais)
    identified(relais, study_id)
    gone = replace(known(), patients=())
    before = row(relais, study_id)
    found = relais.matching.identify.ask(before, gone)
    with relais.database.write() as connection:
        assert relais.matching.identify.write(connection, row_of(connection, study_id), gone, found)
    assert row(relais, study_id) == before
