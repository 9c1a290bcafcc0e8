"""The CRM's patients on both databases: rows, keys and counts change together, and nothing is left of one forgotten."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, null, select, update

from relais.bootstrap import Relais, settle
from relais.database.patient_tables import match, patient, patient_key, patient_name, waiting_key
from relais.database.tables import audit, study, task
from relais.domain.document import parse
from relais.domain.matching.compact import VERSION, compact, expanded
from relais.domain.matching.decision import State
from relais.domain.matching.keys import keys_of
from relais.domain.matching.model import FIRST
from relais.domain.patients import Patient, identity_of, parts_of
from relais.drafts import Seat
from relais.errors import StateError, UnknownError
from relais.house import Ground
from relais.orthanc.capabilities import Surroundings
from relais.patient_index import CAP, Index, hashed
from relais.patient_store import Outcome, PatientStore, prepare
from relais.patients import PAGE
from relais.tasks import Claim
from tests.servers.clock import FakeClock
from tests.servers.rows import START, add_study

SECTION: dict[str, Any] = {
    "Clinics": {
        "outremont": {"CalledAets": ["OUTREMONT"], "SeesPatientsOf": ["laval"]},
        "laval": {"CalledAets": ["LAVAL"]},
        "sherbrooke": {"CalledAets": ["SHERBROOKE"], "SeesPatientsOf": ["*"]},
    }
}
ZOE = {
    "CrmId": "C-1",
    "Identifiers": [{"System": "RAMQ", "Value": "GAGZ84551711"}],
    "FamilyName": "Gagné",
    "GivenNames": "Zoé",
    "BirthDate": "1984-05-17",
    "Phones": ["514 555-0142"],
}
MARRIED = {
    "CrmId": "C-2",
    "FamilyName": "Lévesque",
    "GivenNames": "Zoé",
    "BirthDate": "1984-05-17",
    "Identifiers": [{"System": "CLINIC", "Value": "P-77"}],
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def relais(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Relais]:
    seat = Seat.of({**SECTION, "Database": database_url}, directory=tmp_path)
    surroundings = Surroundings.of({"HttpPort": 9, "StorageDirectory": str(tmp_path)})
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None, clock=clock)
    yield settle(ground)
    ground.close()


@pytest.fixture
def index(relais: Relais) -> Index:
    return Index(clock=relais.clock, configuration=relais.configuration)


def put(relais: Relais, *documents: dict[str, Any]) -> list[Outcome]:
    return [relais.patients.put(parse(Patient, each), actor="crm") for each in documents]


def found(relais: Relais, index: Index, document: dict[str, Any], clinic: str | None = None) -> list[str]:
    """Who is found by a study of this person."""
    asked = identity_of(parse(Patient, document), relais.clock.now().date())
    with relais.database.read() as connection:
        return sorted(index.find(connection, asked, clinic).people)


def column(relais: Relais, what: Any, *where: Any) -> list[Any]:
    with relais.database.read() as connection:
        return list(connection.execute(select(what).where(*where)).scalars())


def actions(relais: Relais) -> list[str]:
    return column(relais, audit.c.action)


def check_consistency(relais: Relais) -> None:
    """Every patient's keys, and no others; the counts of names are those of the patients who are somebody."""
    today = relais.clock.now().date()
    with relais.database.read() as connection:
        rows = connection.execute(select(patient)).all()
        keys = {tuple(row) for row in connection.execute(select(patient_key.c.key, patient_key.c.patient_id))}
        counts = {(row.side, row.part): row.patients for row in connection.execute(select(patient_name))}
    people = {row.id: identity_of(Patient.model_validate(row.document), today) for row in rows}
    assert keys == {(key, row.id) for row in rows for key in hashed(keys_of(people[row.id]))}
    alone = [people[row.id] for row in rows if row.merged_into is None]
    expected: dict[tuple[str, str], int] = {("N", ""): len(alone)} if alone else {}
    for each in alone:
        for side, parts in zip("FG", parts_of(each), strict=True):
            for part in parts:
                expected[side, part] = expected.get((side, part), 0) + 1
    assert counts == expected


def claimed(relais: Relais, kind: str) -> Claim:
    """The task of this kind that is due."""
    due = column(relais, task.c.id, task.c.kind == kind)
    (claim,) = relais.tasks.claim(due)
    return claim


def test_a_patient_is_added_changed_and_left_alone(relais: Relais, index: Index) -> None:
    assert put(relais, ZOE) == [Outcome.Added]
    assert put(relais, ZOE) == [Outcome.Unchanged]
    check_consistency(relais)
    assert found(relais, index, ZOE) == ["C-1"]

    renamed = {**ZOE, "FamilyName": "Bouchard", "GivenNames": "Alice", "Phones": [], "Identifiers": []}
    assert put(relais, renamed) == [Outcome.Changed]
    check_consistency(relais)
    assert found(relais, index, {**ZOE, "BirthDate": "1984-05-18"}) == []
    assert found(relais, index, renamed) == ["C-1"]
    assert actions(relais).count("patient.added") == 1
    assert actions(relais).count("patient.changed") == 1


def test_a_name_in_one_string_is_found_in_either_order(relais: Relais, index: Index) -> None:
    put(relais, {"CrmId": "C-8", "Name": "Marie-Ève Tremblay", "BirthDate": "1990-02-03"})
    put(relais, {"CrmId": "C-9", "Name": "Tremblay, Marie-Ève", "BirthDate": "1990-02-03"})
    asked = {"CrmId": "X", "FamilyName": "Tremblay", "GivenNames": "Marie Eve", "BirthDate": "1990-02-03"}
    assert found(relais, index, asked) == ["C-8", "C-9"]


def test_a_clinic_sees_its_own_patients_and_those_it_may(relais: Relais, index: Index) -> None:
    put(relais, {**ZOE, "CrmId": "C-all"}, {**ZOE, "CrmId": "C-o", "Clinic": "outremont"})
    put(relais, {**ZOE, "CrmId": "C-l", "Clinic": "laval"})
    assert found(relais, index, ZOE, "outremont") == ["C-all", "C-l", "C-o"]
    assert found(relais, index, ZOE, "laval") == ["C-all", "C-l"]
    assert found(relais, index, ZOE, "sherbrooke") == ["C-all", "C-l", "C-o"]
    with relais.database.read() as connection:
        people = index.people(connection, ["C-o", "C-all", "C-none"], "laval")
    assert list(people) == ["C-all"]


def test_one_crm_id_in_two_clinics_is_refused(relais: Relais) -> None:
    put(relais, {**ZOE, "Clinic": "laval"})
    with pytest.raises(StateError) as error:
        put(relais, {**ZOE, "Clinic": "outremont"})
    assert error.value.code == "patient-of-another-clinic"
    with pytest.raises(StateError):  # whom a caller may not see is not changed either
        relais.patients.put(parse(Patient, ZOE), actor="crm", scope=frozenset({"outremont"}))
    assert column(relais, patient.c.clinic) == ["laval"]
    check_consistency(relais)


def test_many_at_once_are_stored_as_one_after_the_other(relais: Relais) -> None:
    today = relais.clock.now().date()
    given = [parse(Patient, {**ZOE, "CrmId": f"C-{number}"}) for number in range(1200)]
    again = parse(Patient, {**ZOE, "CrmId": "C-7", "FamilyName": "Roy"})
    other = parse(Patient, {**ZOE, "CrmId": "C-8", "Clinic": "laval"})
    third = parse(Patient, {**ZOE, "CrmId": "C-8", "Clinic": "outremont"})
    store = PatientStore(database=relais.database, clock=relais.clock, tasks=relais.tasks)
    with relais.database.write() as connection:
        stored = store.store(connection, [prepare(each, today) for each in (*given, again, other, third)])
    assert stored.outcomes[Outcome.Added] == 1200
    assert stored.refused == [1202]
    (seventh,) = column(relais, patient.c.document, patient.c.crm_id == "C-7")
    (eighth,) = column(relais, patient.c.document, patient.c.crm_id == "C-8")
    assert (seventh["FamilyName"], eighth["Clinic"]) == ("Roy", "laval")
    check_consistency(relais)


def test_a_key_over_its_cap_brings_nobody_and_says_so(relais: Relais, index: Index) -> None:
    today = relais.clock.now().date()
    store = PatientStore(database=relais.database, clock=relais.clock, tasks=relais.tasks)
    crowd = [
        parse(Patient, {"CrmId": f"C-{number}", "Name": f"X{number} Y{number}", "Phones": ["514 555-0142"]})
        for number in range(CAP + 1)
    ]
    asked = identity_of(parse(Patient, {"CrmId": "X", "Phones": ["514 555-0142"]}), today)
    with relais.database.write() as connection:
        store.store(connection, [prepare(each, today) for each in crowd[:-1]])
    with relais.database.read() as connection:
        full = index.find(connection, asked, None)
    assert (len(full.people), full.capped) == (CAP, False)
    with relais.database.write() as connection:
        store.store(connection, [prepare(crowd[-1], today)])
    with relais.database.read() as connection:
        over = index.find(connection, asked, None)
    assert (over.people, over.capped) == ({}, True)


def test_without_a_birth_date_namesakes_of_any_age_are_found_for_a_person_to_see(
    relais: Relais, index: Index, clock: FakeClock
) -> None:
    unborn = {key: ZOE[key] for key in ("CrmId", "FamilyName", "GivenNames")}
    eldest = {**unborn, "CrmId": "C-2", "BirthDate": f"{clock.now().year - 110}-01-02"}
    put(relais, ZOE, eldest, {**ZOE, "CrmId": "C-3", "GivenNames": "Hubert", "Phones": [], "Identifiers": []})
    assert found(relais, index, unborn) == ["C-1", "C-2"]
    asked = identity_of(parse(Patient, unborn), clock.now().date())
    with relais.database.read() as connection:
        question = index.question(connection, asked, None, FIRST)
    assert [each.crm_id for each in question.candidates] == ["C-1", "C-2"]
    assert question.answer(FIRST).state is State.Review
    store = PatientStore(database=relais.database, clock=relais.clock, tasks=relais.tasks)
    crowd = [
        {**ZOE, "CrmId": f"D-{each}", "BirthDate": f"{1930 + each % 90}-05-{each % 28 + 1:02}"} for each in range(CAP)
    ]
    with relais.database.write() as connection:
        store.store(connection, [prepare(parse(Patient, {**each, "Phones": []}), clock.now().date()) for each in crowd])
    with relais.database.read() as connection:
        many = index.find(connection, asked, None)
    assert (many.people, many.capped) == ({}, True)


def test_a_patient_is_kept_as_matching_compares_them_and_read_anew_where_that_is_out_of_date(
    relais: Relais, index: Index, clock: FakeClock
) -> None:
    put(relais, ZOE)
    zoe = identity_of(parse(Patient, ZOE), clock.now().date())
    assert column(relais, patient.c.compact) == [compact(zoe)]
    for version in (None, VERSION - 1, VERSION + 1):
        with relais.database.write() as connection:
            connection.execute(update(patient).values(compact="what another version wrote", compact_version=version))
        with relais.database.read() as connection:
            assert index.find(connection, zoe, None).people == {"C-1": compact(zoe)}
    put(relais, {**ZOE, "Sex": "F"})
    assert column(relais, patient.c.compact_version) == [VERSION]
    clock.advance(timedelta(days=366 * 100))  # nobody lives so long: the date is a mistake by then
    with relais.database.read() as connection:
        (line,) = index.find(connection, zoe, None).people.values()
    assert (expanded(line).birth_date, expanded(line).sex) == (None, "F")


def test_of_a_crowd_a_question_has_those_who_matter(relais: Relais, index: Index) -> None:
    today = relais.clock.now().date()
    store = PatientStore(database=relais.database, clock=relais.clock, tasks=relais.tasks)
    home = {"GivenNames": "Zoé", "PostalCode": "H2V 1G8"}
    crowd = [
        parse(Patient, {**home, "CrmId": f"C-{number}", "FamilyName": name, "BirthDate": f"19{number}-01-03"})
        for number, name in enumerate(("Roy", "Côté", "Lavoie", "Simard", "Fortin") * 10, start=30)
    ]
    with relais.database.write() as connection:
        store.store(connection, [prepare(each, today) for each in crowd])
    put(relais, {**ZOE, "PostalCode": "H2V 1G8"})
    asked = identity_of(parse(Patient, {**ZOE, "PostalCode": "H2V 1G8"}), today)
    with relais.database.read() as connection:
        found = index.find(connection, asked, None)
        question = index.question(connection, asked, None, FIRST, rejected={"C-50"})
        linked = index.question(connection, asked, None, FIRST, confirmed={"C-51", "C-none"}).candidates
    assert len(found.people) == 51
    assert {"C-1", "C-50"} <= {each.crm_id for each in question.candidates if each.rejected == (each.crm_id == "C-50")}
    assert len(question.candidates) < 10
    assert question.aside > 0
    assert [each.crm_id for each in linked if each.confirmed] == ["C-51"]


def test_names_are_counted_as_the_crm_has_them(relais: Relais, index: Index) -> None:
    put(relais, ZOE, {**ZOE, "CrmId": "C-2"}, MARRIED | {"CrmId": "C-3"})
    with relais.database.read() as connection:
        counts = index.frequencies(connection)
        assert (counts.total, counts.family("GAGNE"), counts.given("ZOE")) == (3, 2, 3)
        assert (counts.family("LEVESQUE"), counts.given("GAGNE"), counts.family("NOBODY")) == (1, 0, 0)
    put(relais, {**ZOE, "CrmId": "C-4"})
    with relais.database.read() as connection:
        counts = index.frequencies(connection)
        assert (counts.total, counts.family("GAGNE")) == (4, 3)


def test_a_merged_record_is_found_as_the_patient_it_became_with_both_names(relais: Relais, index: Index) -> None:
    put(relais, ZOE, MARRIED)
    relais.patients.merge("C-1", "C-2", actor="alice", reason="one person")
    check_consistency(relais)
    assert found(relais, index, ZOE) == ["C-2"]
    with relais.database.read() as connection:
        (line,) = index.people(connection, ["C-1"], None).values()
        assert index.find(connection, expanded(line), None).people == {"C-2": line}
        identity = expanded(line)
        assert {part for name in identity.names for part in name.family} == {"GAGNE", "LEVESQUE"}
        assert {each.value for each in identity.identifiers} == {"GAGZ84551711", "P77"}
        known = relais.patients.get(connection, "C-1")
        assert known is not None
        assert known.crm_id == "C-2"
        assert relais.patients.all_of(connection, "C-2") == ["C-2", "C-1"]
        assert relais.patients.count(connection) == 1
    for crm_id, into, code in (("C-1", "C-2", "patient-merged"), ("C-2", "C-1", "patient-merged")):
        with pytest.raises(StateError) as error:
            relais.patients.merge(crm_id, into, actor="alice", reason="again")
        assert error.value.code == code
    put(relais, {**ZOE, "GivenNames": "Zoé-Anne"})  # the CRM corrects the record that was merged
    put(relais, {**MARRIED, "Phones": ["438 555-0177"]})  # and the other
    check_consistency(relais)
    with relais.database.read() as connection:
        (line,) = index.find(connection, identity, None).people.values()
    assert {part for name in expanded(line).names for part in name.given} == {"ZOE", "ANNE"}
    assert expanded(line).phones == ("4385550177", "5145550142")

    relais.patients.unmerge("C-1", actor="alice", reason="two people")
    check_consistency(relais)
    assert found(relais, index, ZOE) == ["C-1", "C-2"]
    with pytest.raises(StateError) as error:
        relais.patients.unmerge("C-1", actor="alice", reason="again")
    assert error.value.code == "patient-not-merged"
    assert {"patient.merged", "patient.unmerged"} <= set(actions(relais))


def test_a_patient_cannot_be_merged_into_itself_nobody_or_another_clinics(relais: Relais) -> None:
    put(relais, {**ZOE, "Clinic": "laval"}, {**MARRIED, "Clinic": "outremont"})
    for crm_id, into, kind in (("C-1", "C-1", StateError), ("C-1", "C-2", StateError), ("C-1", "C-9", UnknownError)):
        with pytest.raises(kind):
            relais.patients.merge(crm_id, into, actor="alice", reason="one person")
    with pytest.raises(UnknownError):
        relais.patients.merge("C-1", "C-2", actor="alice", reason="x", scope=frozenset({"outremont"}))
    assert column(relais, patient.c.merged_into) == [None, None]


def _said(connection: Any, study_id: int, crm_id: str | None, *candidates: str) -> int:
    values = {
        "study_id": study_id,
        "at": START,
        "actor": "relais",
        "kind": "Automatic",
        "state": "Matched" if crm_id else "Review",
        "crm_id": crm_id,
        "model": "m",
        "question": {"Candidates": [{"CrmId": each, "Names": ["GAGNE"]} for each in candidates]},
        "answer": {"Candidates": []},
        "patient_id": "P-77",
        "issuer_of_patient_id": "CLINIC",
        "tags": {},
    }
    made: int = connection.execute(insert(match).values(values).returning(match.c.id)).scalar_one()
    state = "Matched" if crm_id else "Review"
    connection.execute(
        update(study).where(study.c.id == study_id).values(match_id=made, crm_id=crm_id, match_state=state)
    )
    return made


def test_nothing_is_left_of_a_patient_who_is_forgotten(relais: Relais, index: Index) -> None:
    put(relais, ZOE, MARRIED, {**ZOE, "CrmId": "C-3"})
    relais.patients.merge("C-2", "C-1", actor="alice", reason="one person")
    with relais.database.write() as connection:
        matched = add_study(connection, state="Complete")
        beside = add_study(connection, state="Complete")
        other = add_study(connection, state="Complete")
        _said(connection, matched, "C-1", "C-1", "C-3")
        _said(connection, beside, None, "C-3", "C-2")
        for _ in range(PAGE + 1):  # more than one transaction looks through
            _said(connection, other, "C-3", "C-3")
    assert relais.patients.forget("C-1", actor="alice", reason="asked for it") == ["C-1", "C-2"]
    check_consistency(relais)
    assert column(relais, patient.c.crm_id) == ["C-3"]
    with relais.database.read() as connection:
        row = connection.execute(select(study).where(study.c.id == matched)).one()
    assert (row.match_state, row.crm_id, row.match_id) == ("Pending", None, None)
    assert f"route:{matched}" in column(relais, task.c.key)

    relais.patients(claimed(relais, "forget"))
    kept = column(relais, match.c.study_id, match.c.question.is_not(None))
    assert set(kept) == {other}
    assert f"route:{beside}" in column(relais, task.c.key)  # who reviews it is shown it without the patient
    assert f"route:{other}" not in column(relais, task.c.key)
    assert len(kept) == PAGE + 1
    stored = json.dumps(column(relais, match.c.question) + column(relais, match.c.answer))
    assert "C-2" not in stored
    assert column(relais, task.c.id, task.c.kind == "forget") == []
    assert "patient.forgotten" in actions(relais)
    details = json.dumps(column(relais, audit.c.detail))
    assert "Gagn" not in details
    with pytest.raises(UnknownError):
        relais.patients.forget("C-1", actor="alice", reason="again")


def test_what_waits_is_asked_again_only_where_it_shares_a_key(relais: Relais) -> None:
    put(relais, {**ZOE, "CrmId": "C-0"})
    assert column(relais, task.c.key, task.c.kind == "rematch") == []
    with relais.database.write() as connection:
        waits = add_study(connection, state="Complete")
        identity = identity_of(parse(Patient, ZOE), relais.clock.now().date())
        key = min(hashed(keys_of(identity)))
        connection.execute(insert(waiting_key).values(key=key, study_id=waits))
    put(relais, {**MARRIED, "BirthDate": "1950-01-02", "GivenNames": "Hubert"})
    assert column(relais, task.c.key, task.c.kind == "rematch") == []
    put(relais, ZOE)
    (crm_row,) = column(relais, patient.c.id, patient.c.crm_id == "C-1")
    assert column(relais, task.c.payload, task.c.kind == "rematch") == [{"Patient": crm_row}]


def test_a_crash_leaves_all_of_a_change_or_nothing(relais: Relais) -> None:
    put(relais, MARRIED)

    def crash() -> None:
        raise RuntimeError("killed")

    relais.database.before_commit = crash
    for act in (
        lambda: put(relais, ZOE),
        lambda: put(relais, {**MARRIED, "GivenNames": "Aline"}),
        lambda: relais.patients.forget("C-2", actor="alice", reason="x"),
    ):
        with pytest.raises(RuntimeError):
            act()
    relais.database.before_commit = lambda: None
    check_consistency(relais)
    assert column(relais, patient.c.document) == [parse(Patient, MARRIED).document()]
    assert column(relais, func.count(), match.c.question != null()) == [0]
