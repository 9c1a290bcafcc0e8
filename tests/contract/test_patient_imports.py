"""Patients in bulk on both databases: pieces, files and a FHIR server; cut anywhere, they go on, nothing half."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from relais import patient_imports, patient_pull
from relais.bootstrap import Relais, settle
from relais.configuration import ConfigurationErrors
from relais.database import queries
from relais.database.patient_tables import patient, patient_import, patient_key
from relais.database.tables import audit, task
from relais.domain.asked import demographics
from relais.domain.document import parse
from relais.domain.patients import Patient
from relais.drafts import Seat
from relais.errors import StateError, UnknownError
from relais.house import Ground
from relais.orthanc.capabilities import Surroundings
from relais.patient_pull import ATTEMPTS
from tests.servers.clock import FakeClock
from tests.servers.fhir import FhirServer

TOKEN = "not-a-secret"


def resource(number: int, **values: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": f"F-{number}",
        "meta": {"lastUpdated": f"2026-06-01T10:{number // 60:02}:{number % 60:02}.000Z"},
        "identifier": [{"system": "urn:example:ramq", "value": f"GAGZ{number:08}"}],
        "name": [{"use": "official", "family": "Gagné", "given": ["Zoé", str(number)]}],
        "birthDate": "1984-05-17",
        "gender": "female",
        **values,
    }


def line(number: int, **values: Any) -> bytes:
    document = {"CrmId": f"C-{number}", "FamilyName": "Gagné", "GivenNames": "Zoé", "BirthDate": "1984-05-17", **values}
    return json.dumps(document, ensure_ascii=False).encode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with FhirServer(token=TOKEN) as running:
        yield running


@pytest.fixture
def relais(database_url: str, tmp_path: Path, clock: FakeClock, server: FhirServer) -> Iterator[Relais]:
    (tmp_path / "crm").mkdir()
    section = {
        "Database": database_url,
        "Clinics": {"outremont": {"CalledAets": ["OUTREMONT"]}, "laval": {"CalledAets": ["LAVAL"]}},
        "PatientFolder": str(tmp_path / "crm"),
        "PatientSources": {
            "crm": {
                "Url": server.url,
                "Token": TOKEN,
                "EveryMinutes": 10,
                "Clinic": "laval",
                "PageSize": 3,
                "MostDeletions": 2,
                "TimeoutSeconds": 1,
                "Systems": {"urn:example:ramq": "RAMQ"},
            }
        },
    }
    seat = Seat.of(section, directory=tmp_path)
    surroundings = Surroundings.of({"HttpPort": 9, "StorageDirectory": str(tmp_path)})
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None, clock=clock)
    yield settle(ground)
    ground.close()


def column(relais: Relais, what: Any, *where: Any) -> list[Any]:
    with relais.database.read() as connection:
        return list(connection.execute(select(what).where(*where)).scalars())


def progress(relais: Relais, import_id: int) -> Any:
    with relais.database.read() as connection:
        return queries.patients.one_import(connection, import_id)


def people(relais: Relais) -> set[str]:
    return set(column(relais, patient.c.crm_id))


def run(relais: Relais, kind: str) -> None:
    """Run the task of this kind that is due, as the worker does; one that fails goes back."""
    due = column(relais, task.c.id, task.c.kind == kind, task.c.run_at <= relais.clock.now())
    (claim,) = relais.tasks.claim(due)
    handler = relais.patient_imports if kind == patient_imports.KIND else relais.patient_pull
    try:
        handler(claim)
    except BaseException:
        relais.tasks.release(claim)
        raise


def next_at(relais: Relais) -> Any:
    (moment,) = column(relais, task.c.run_at, task.c.kind == "pull-patients")
    return moment - relais.clock.now()


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_pieces_follow_each_other_and_may_be_sent_again(relais: Relais) -> None:
    imports = relais.patient_imports
    made = imports.begin(actor="crm")
    first = b"\n".join(line(number) for number in (1, 2, 3)) + b"\n"
    second = b"\n".join(line(number) for number in (3, 4, 5))
    assert imports.piece(made, 1, first, scope=None) == 4
    assert imports.piece(made, 1, first, scope=None) == 4  # the answer was lost
    assert progress(relais, made)["done"] == 3
    with pytest.raises(StateError) as error:
        imports.piece(made, 6, line(6), scope=None)
    assert (error.value.code, error.value.values) == ("import-gap", {"line": "4"})
    assert imports.piece(made, 3, second, scope=None) == 6  # its first line was taken with the piece before
    imports.complete(made)
    row = progress(relais, made)
    assert (row["state"], row["done"], row["accepted"], row["refused"]) == ("Completed", 5, 5, 0)
    assert people(relais) == {f"C-{number}" for number in range(1, 6)}
    for act in (lambda: imports.piece(made, 6, line(6), scope=None), lambda: imports.cancel(made)):
        with pytest.raises(StateError) as error:
            act()
        assert error.value.code == "import-over"
    with pytest.raises(UnknownError):
        imports.complete(made + 1)


BAD_LINES: list[tuple[bytes, str, str]] = [
    (b"{not json", "", "line-not-json"),
    (b'{"CrmId": "C-2", "FamilyName": "Gagn\xe9"}', "", "line-not-utf8"),
    (b"[1]", "", "model_type"),
    (b'{"CrmId": "C-2", "CrmId": "C-3"}', "", "line-repeats-key"),
    (line(2, Surname="Roy"), "", "unknown-key"),
    (line(2, FamilyName="x" * 10_000), "FamilyName", "too-long"),
    (line(2, FamilyName="a\x00b"), "FamilyName", "bad-text"),
    (line(2, BirthDate="2027-01-01"), "BirthDate", "in-the-future"),
    (line(2, BirthDate="1984-02-30"), "BirthDate", "bad-day"),
    (line(2, BirthDate="1760-02-01"), "BirthDate", "too-long-ago"),
    (line(2, Clinic="nowhere"), "Clinic", "unknown-clinic"),
    (line(2, CrmId="a b"), "CrmId", "bad-crm-id"),
    (line(2, CrmId="bulk"), "CrmId", "bad-crm-id"),
    (line(2, Sex="Femme"), "Sex", "not-one-of"),
    (line(2, Phones=["1"] * 51), "Phones", "too_long"),
    (b'{"CrmId": ' + b"[" * 50_000 + b"}", "", "document-too-deep"),
    (b'{"CrmId": "C-2", "Name": "' + b"x" * 110_000 + b'"}', "", "line-too-long"),
]


@pytest.mark.parametrize(
    ("bad", "path", "code"), BAD_LINES, ids=[f"{code}-{place}" for place, (_, _, code) in enumerate(BAD_LINES)]
)
def test_a_bad_line_is_told_by_its_number_and_the_others_are_stored(
    relais: Relais, bad: bytes, path: str, code: str
) -> None:
    made = relais.patient_imports.whole(b"\n".join([line(1), b"", bad, line(4)]), actor="crm", scope=None)
    row = progress(relais, made)
    assert (row["accepted"], row["refused"], row["done"]) == (2, 1, 4)
    told = [(each["Line"], each["Path"], each["Code"]) for each in row["problems"]]
    assert told == [(3, path, code)]
    assert people(relais) == {"C-1", "C-4"}
    kept = json.dumps(row["problems"])
    assert "Femme" not in kept
    assert "Surname" not in kept


def test_a_sender_of_one_clinic_fills_no_other(relais: Relais) -> None:
    relais.patient_imports.whole(line(1, Clinic="laval"), actor="crm", scope=None)
    lines = [line(1, Clinic="outremont"), line(2, Clinic="laval"), line(3), line(4, Clinic="outremont")]
    made = relais.patient_imports.whole(b"\n".join(lines), actor="clerk", scope=frozenset({"outremont"}))
    told = [(each["Line"], each["Path"], each["Code"]) for each in progress(relais, made)["problems"]]
    assert told == [
        (1, "CrmId", "patient-of-another-clinic"),
        (2, "Clinic", "clinic-not-yours"),
        (3, "Clinic", "clinic-not-yours"),
    ]
    assert people(relais) == {"C-1", "C-4"}


# --- a file -----------------------------------------------------------------------------------------------------------


def folder(relais: Relais) -> Path:
    return Path(str(relais.configuration.patient_folder))


def crash_at(relais: Relais, commit: int) -> Callable[[], None]:
    """Before that commit the process is as if killed."""
    seen = iter(range(1, 10_000))

    def before() -> None:
        if next(seen) == commit:
            raise KeyboardInterrupt

    return before


def test_a_file_that_is_cut_anywhere_goes_on_there(relais: Relais, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_imports, "LINES", 50)
    lines = [line(number) for number in range(1, 421)]
    lines[200] = b"{not json"
    (folder(relais) / "people.ndjson").write_bytes(b"\n".join(lines))
    made = relais.patient_imports.begin_file("people.ndjson", actor="crm")
    crashes, places = 0, []
    for commit in (2, 4, 5, 20):
        relais.database.before_commit = crash_at(relais, commit)
        try:
            run(relais, patient_imports.KIND)
        except KeyboardInterrupt:
            relais.database.before_commit = lambda: None
            crashes += 1
            row = progress(relais, made)
            places.append(row["position"]["Line"])
            assert row["accepted"] == len(people(relais)) == row["position"]["Line"] - row["refused"]
    relais.database.before_commit = lambda: None
    row = progress(relais, made)
    assert crashes == 3
    assert places == sorted(places)
    assert row["state"] == "Completed"
    assert (row["accepted"], row["refused"], row["done"], row["total"]) == (
        419,
        1,
        len(b"\n".join(lines)),
        len(b"\n".join(lines)),
    )
    assert [(each["Line"], each["Code"]) for each in row["problems"]] == [(201, "line-not-json")]
    assert len(people(relais)) == 419
    assert column(relais, func.count(), patient_key.c.patient_id > 0)[0] > 419
    assert column(relais, task.c.id, task.c.kind == patient_imports.KIND) == []


def test_a_canceled_file_stops_and_keeps_what_was_stored(relais: Relais, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_imports, "LINES", 2)
    (folder(relais) / "people.ndjson").write_bytes(b"\n".join(line(number) for number in range(1, 8)))
    made = relais.patient_imports.begin_file("people.ndjson", actor="crm")
    relais.database.before_commit = crash_at(relais, 3)
    with pytest.raises(KeyboardInterrupt):
        run(relais, patient_imports.KIND)
    relais.database.before_commit = lambda: None
    before = people(relais)
    assert before
    relais.patient_imports.cancel(made)
    run(relais, patient_imports.KIND)
    assert people(relais) == before
    assert progress(relais, made)["state"] == "Canceled"


def test_a_file_that_changed_is_not_read_on(relais: Relais) -> None:
    place = folder(relais) / "people.ndjson"
    place.write_bytes(line(1))
    made = relais.patient_imports.begin_file("people.ndjson", actor="crm")
    place.write_bytes(line(1) + b"\n" + line(2))
    run(relais, patient_imports.KIND)
    row = progress(relais, made)
    assert (row["state"], row["error"]) == ("Failed", {"Code": "file-changed"})
    again = relais.patient_imports.begin_file("people.ndjson", actor="crm")
    run(relais, patient_imports.KIND)
    assert progress(relais, again)["state"] == "Completed"
    assert people(relais) == {"C-1", "C-2"}


def test_no_file_outside_the_folder_is_read(relais: Relais) -> None:
    (folder(relais).parent / "other.ndjson").write_bytes(line(1))
    (folder(relais) / "link.ndjson").symlink_to(folder(relais).parent / "other.ndjson")
    for name in ("../other.ndjson", "link.ndjson", ".", "..", "", "missing.ndjson", str(folder(relais).parent)):
        with pytest.raises(UnknownError):
            relais.patient_imports.begin_file(name, actor="crm")


# --- a FHIR server ----------------------------------------------------------------------------------------------------


def test_a_server_is_pulled_page_by_page_and_then_for_what_changed(relais: Relais, server: FhirServer) -> None:
    server.patients = [resource(number) for number in range(1, 9)]
    server.patients[2] = resource(3, birthDate="1984", name=[{"text": "Zoé Gagné"}])
    server.patients[4] = resource(5, id="a/b")
    made = relais.patient_pull.begin("crm", actor="alice")
    assert relais.patient_pull.begin("crm", actor="bob") == made
    run(relais, "pull-patients")
    row = progress(relais, made)
    assert (row["state"], row["done"], row["total"], row["accepted"], row["refused"]) == ("Completed", 8, 8, 7, 1)
    assert [(each["Line"], each["Path"]) for each in row["problems"]] == [(5, "CrmId")]
    assert len(server.searches) == 3
    (stored,) = column(relais, patient.c.document, patient.c.crm_id == "F-1")
    assert stored["Identifiers"] == [{"System": "RAMQ", "Value": "GAGZ00000001"}]
    assert (stored["GivenNames"], stored["Sex"], stored["Clinic"]) == ("Zoé 1", "F", "laval")
    (third,) = column(relais, patient.c.document, patient.c.crm_id == "F-3")
    assert (third["Name"], third.get("BirthDate")) == ("Zoé Gagné", None)

    assert next_at(relais) == timedelta(minutes=10)
    server.searches.clear()
    server.patients.append(resource(70))
    relais.ground.clock.advance(timedelta(minutes=10))  # type: ignore[attr-defined]
    run(relais, "pull-patients")
    assert [each.get("_lastUpdated") for each in server.searches] == ["ge2026-06-01T10:00:08.000+00:00"]
    assert "F-70" in people(relais)


def test_who_was_replaced_on_the_server_is_merged(relais: Relais, server: FhirServer) -> None:
    link = [{"other": {"reference": "Patient/F-9"}, "type": "replaced-by"}]
    server.patients = [resource(1, link=link), *(resource(number) for number in range(2, 10))]
    relais.patient_pull.begin("crm", actor="alice")
    run(relais, "pull-patients")  # F-9 comes two pages later
    assert column(relais, patient.c.merged_into, patient.c.crm_id == "F-1") == ["F-9"]
    with relais.database.read() as connection:
        assert relais.patients.count(connection) == 8


def test_who_is_deleted_on_the_server_is_forgotten_here(relais: Relais, server: FhirServer) -> None:
    server.patients = [resource(number) for number in range(1, 9)]
    relais.patients.put(parse(Patient, {"CrmId": "O-1", "Clinic": "outremont"}), actor="crm")
    server.deleted = {}
    relais.patient_pull.begin("crm", actor="alice")
    run(relais, "pull-patients")
    server.patients = server.patients[3:]
    moment = "2026-06-01T10:00:30.000Z"
    server.deleted = dict.fromkeys(["F-1", "F-2", "F-8", "O-1", "F-99"], moment)  # F-8 came back, O-1 is another's
    relais.ground.clock.advance(timedelta(minutes=10))  # type: ignore[attr-defined]
    relais.database.before_commit = crash_at(relais, 5)
    with pytest.raises(KeyboardInterrupt):
        run(relais, "pull-patients")
    relais.database.before_commit = lambda: None
    run(relais, "pull-patients")
    assert server.asked_history[0] == "2026-07-02T09:15:00.000+00:00"
    assert server.asked_history[-1] == "2026-06-01T10:00:08.000+00:00"
    assert people(relais) == {"O-1", *(f"F-{number}" for number in range(3, 9))}  # F-3 is not said to be deleted
    told = column(relais, audit.c.detail, audit.c.action == "patient.forgotten")
    assert sorted((each["CrmId"], each["Reason"]) for each in told) == [
        ("F-1", "FHIR: deleted"),
        ("F-2", "FHIR: deleted"),
    ]
    assert column(relais, patient_import.c.state) == ["Completed", "Completed"]
    assert "F-1" not in str(column(relais, patient_import.c.position))


def test_a_server_that_was_emptied_makes_nobody_forgotten(relais: Relais, server: FhirServer) -> None:
    server.patients = [resource(number) for number in range(1, 4)]
    server.deleted = {}
    relais.patient_pull.begin("crm", actor="alice")
    run(relais, "pull-patients")
    server.deleted = {each["id"]: "2026-07-30T10:00:00.000Z" for each in server.patients}
    kept, server.patients = server.patients[0], []
    relais.ground.clock.advance(timedelta(minutes=10))  # type: ignore[attr-defined]
    run(relais, "pull-patients")
    assert column(relais, patient_import.c.state) == ["Completed", "Failed"]
    assert column(relais, patient_import.c.error)[-1] == {"Code": "fhir-deletes-many"}
    assert len(people(relais)) == 3
    server.patients = [kept]  # one of them is there again, and two are no mistake
    relais.ground.clock.advance(timedelta(minutes=10))  # type: ignore[attr-defined]
    run(relais, "pull-patients")
    assert people(relais) == {"F-1"}


def test_who_is_not_active_is_nobody_a_study_may_be(relais: Relais, server: FhirServer) -> None:
    said = demographics({"0010,0010": "GAGNE^ZOE^1", "0010,0030": "19840517"})

    def found() -> set[str]:
        with relais.database.read() as connection:
            question, _ = relais.matching.identify.question(connection, said, "laval")
            seen = relais.matching.identify.sees(connection, "F-1", "laval")
        assert seen is ("F-1" in {each.crm_id for each in question.candidates})
        return {each.crm_id for each in question.candidates}

    link = [{"other": {"reference": "Patient/F-1"}, "type": "replaced-by"}]
    old = resource(2, active=False, link=link, name=[{"family": "Roy", "given": ["Ève"]}])
    server.patients = [resource(1, active=True), old]
    relais.patient_pull.begin("crm", actor="alice")
    run(relais, "pull-patients")
    assert found() == {"F-1"}
    was = demographics({"0010,0010": "ROY^EVE", "0010,0030": "19840517"})
    with relais.database.read() as connection:
        question, _ = relais.matching.identify.question(connection, was, "laval")
    assert [each.crm_id for each in question.candidates] == ["F-1"]  # who replaced them has their names
    server.patients.append(resource(1, active=False, meta={"lastUpdated": "2026-06-02T10:00:00.000Z"}))
    relais.ground.clock.advance(timedelta(minutes=10))  # type: ignore[attr-defined]
    run(relais, "pull-patients")
    assert found() == set()
    assert people(relais) == {"F-1", "F-2"}
    server.patients.append(resource(1, meta={"lastUpdated": "2026-06-03T10:00:00.000Z"}))
    relais.ground.clock.advance(timedelta(minutes=10))  # type: ignore[attr-defined]
    run(relais, "pull-patients")
    assert found() == {"F-1"}


def test_old_pulls_are_not_kept_but_where_to_go_on_is(
    relais: Relais, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_pull, "KEPT", 2)
    server.patients = [resource(1)]
    for trouble in ("", "404", "404", "404"):
        server.trouble.append(trouble)
        made = relais.patient_pull.begin("crm", actor="alice")
        relais.ground.clock.advance(timedelta(minutes=10))  # type: ignore[attr-defined]
        run(relais, "pull-patients")
    assert column(relais, patient_import.c.state) == ["Completed", "Failed", "Failed"]
    assert max(column(relais, patient_import.c.id)) == made
    assert server.searches[-1]["_lastUpdated"] == "ge2026-06-01T10:00:01.000+00:00"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ("same-link", "fhir-pages-repeat"),
        ("elsewhere", "fhir-elsewhere"),
        ("text", "fhir-not-json"),
        ("operation-outcome", "fhir-not-bundle"),
        ("404", "fhir-failed"),
        ("403", "fhir-refused"),
    ],
)
def test_a_server_that_cannot_be_pulled_from_is_left_until_the_next_time(
    relais: Relais, server: FhirServer, trouble: str, code: str
) -> None:
    server.patients = [resource(number) for number in range(1, 9)]
    server.trouble.extend(["", trouble])
    made = relais.patient_pull.begin("crm", actor="alice")
    run(relais, "pull-patients")
    row = progress(relais, made)
    assert (row["state"], row["error"]) == ("Failed", {"Code": code})
    assert people(relais) >= {"F-1", "F-2", "F-3"}
    assert next_at(relais) == timedelta(minutes=10)
    relais.ground.clock.advance(timedelta(minutes=10))  # type: ignore[attr-defined]
    run(relais, "pull-patients")  # from the beginning: the last one did not come to its end
    assert server.searches[-3].get("_lastUpdated") is None
    assert people(relais) == {f"F-{number}" for number in range(1, 9)}


def test_a_server_that_repeats_a_page_is_not_asked_for_ever(relais: Relais, server: FhirServer) -> None:
    server.patients = [resource(number) for number in range(1, 9)]
    server.trouble.extend(["", "same-page"])
    made = relais.patient_pull.begin("crm", actor="alice")
    run(relais, "pull-patients")
    assert progress(relais, made)["error"] == {"Code": "fhir-pages-repeat"}
    assert len(server.searches) == 2


@pytest.mark.parametrize("trouble", ["hang", "trickle", "503", "429"])
def test_a_server_that_does_not_answer_is_asked_again_for_the_same_page(
    relais: Relais, server: FhirServer, trouble: str
) -> None:
    server.patients = [resource(number) for number in range(1, 9)]
    server.trouble.extend(["", trouble, ""])
    made = relais.patient_pull.begin("crm", actor="alice")
    run(relais, "pull-patients")
    row = progress(relais, made)
    assert (row["state"], row["done"]) == ("Running", 3)
    relais.ground.clock.advance(next_at(relais))  # type: ignore[attr-defined]
    run(relais, "pull-patients")
    assert progress(relais, made)["state"] == "Completed"
    assert [each.get("_offset") for each in server.searches] == [None, "3", "3", "6"]
    assert len(people(relais)) == 8


def test_a_server_that_never_answers_fails_the_pull_in_the_end(relais: Relais, server: FhirServer) -> None:
    server.trouble.extend(["503"] * ATTEMPTS)
    made = relais.patient_pull.begin("crm", actor="alice")
    for _ in range(ATTEMPTS):
        run(relais, "pull-patients")
        relais.ground.clock.advance(next_at(relais))  # type: ignore[attr-defined]
    assert progress(relais, made)["error"] == {"Code": "fhir-failed"}
    run(relais, "pull-patients")
    with relais.database.read() as connection:
        last = queries.patients.latest(connection, "crm")
    assert last is not None
    assert last["state"] == "Completed"
    assert last["id"] > made


def test_a_wrong_token_is_told(relais: Relais, server: FhirServer) -> None:
    server.token = "another"
    made = relais.patient_pull.begin("crm", actor="alice")
    run(relais, "pull-patients")
    assert progress(relais, made)["error"] == {"Code": "fhir-refused"}
    with pytest.raises(UnknownError):
        relais.patient_pull.begin("nobody", actor="alice")
    stored = json.dumps([*column(relais, audit.c.detail), *column(relais, task.c.payload)])
    assert TOKEN not in stored


def test_sources_are_scheduled_at_start_and_forgotten_with_their_option(relais: Relais, tmp_path: Path) -> None:
    relais.patient_pull.schedule()
    assert column(relais, task.c.key, task.c.kind == "pull-patients") == ["pull-patients:crm"]
    section = {"Database": relais.configuration.database}
    ground = Ground.lay(
        Seat.of(section, directory=tmp_path),
        surroundings=relais.surroundings,
        authorization=None,
        clock=relais.clock,
    )
    try:
        following = settle(ground)
        following.patient_pull.schedule()
        run(following, "pull-patients")
        assert column(following, task.c.key, task.c.kind == "pull-patients") == []
    finally:
        ground.close()


def test_options_are_checked(tmp_path: Path) -> None:
    from relais.configuration import load

    section = {
        "PatientFolder": "crm",
        "PatientSources": {"crm": {"Url": "ftp://x", "EveryMinutes": 0, "Clinic": "nowhere"}},
        "Matching": {"SecondLooks": 2, "Breaker": {"Errors": 0}},
        "Clinics": {"a": {"SeesPatientsOf": ["b", "*"]}},
    }
    with pytest.raises(ConfigurationErrors) as errors:
        load(section, directory=tmp_path)
    assert sorted(each.path for each in errors.value.problems) == [
        "Clinics.a.SeesPatientsOf[0]",
        "Matching.Breaker.Errors",
        "Matching.SecondLooks",
        "PatientFolder",
        "PatientSources.crm.Clinic",
        "PatientSources.crm.EveryMinutes",
        "PatientSources.crm.Url",
    ]
