"""Keys of another version are made anew, on both databases: the old ones serve meanwhile; cut anywhere, it goes on."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from relais import patient_rebuild
from relais.bootstrap import Relais, settle
from relais.database.patient_tables import patient, patient_import, patient_index, patient_key, patient_next_key
from relais.database.tables import task
from relais.domain.document import parse
from relais.domain.matching.decision import Reason, State
from relais.domain.matching.model import FIRST
from relais.domain.patients import Patient, identity_of
from relais.domain.states import ImportState
from relais.drafts import Seat
from relais.house import Ground
from relais.orthanc.capabilities import Surroundings
from relais.patient_index import WRITTEN, Index
from relais.tasks import Claim
from relais.worker import StoppingError
from tests.contract.test_patients import MARRIED, ZOE, check_consistency, column, put
from tests.servers.clock import FakeClock

OLDER = "0.1"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def relais(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Relais]:
    seat = Seat.of({"Database": database_url}, directory=tmp_path)
    surroundings = Surroundings.of({"HttpPort": 9, "StorageDirectory": str(tmp_path)})
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None, clock=clock)
    yield settle(ground)
    ground.close()


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_rebuild, "_PAGE", patient_rebuild._PAGE.limit(2))


def person(number: int, **values: Any) -> dict[str, Any]:
    return {**ZOE, "CrmId": f"P-{number}", "GivenNames": f"Zoé {'ABCDEFGHIJ'[number] * 4}", **values}


def written_by_another_version(relais: Relais, *, lines: str | None = "another") -> None:
    """As a program left it that read people otherwise, and found them by other keys."""
    with relais.database.write() as connection:
        keys = [tuple(row) for row in connection.execute(select(patient_key.c.key, patient_key.c.patient_id))]
        connection.execute(delete(patient_key))
        connection.execute(insert(patient_key), [{"key": key ^ 1, "patient_id": each} for key, each in keys[::2]])
        if lines is not None:
            connection.execute(update(patient).values(compact=lines, compact_version=-1))
        connection.execute(delete(patient_index))
        connection.execute(insert(patient_index).values(name="keys", version=OLDER))


def due(relais: Relais) -> Claim:
    (claim,) = relais.tasks.claim(column(relais, task.c.id, task.c.kind == "index-patients"))
    return claim


def answer(relais: Relais, index: Index, document: dict[str, Any]) -> tuple[State, Reason]:
    asked = identity_of(parse(Patient, document), relais.clock.now().date())
    with relais.database.read() as connection:
        found = index.question(connection, asked, None, FIRST).answer(FIRST)
    return found.state, found.reason


@pytest.mark.parametrize("lines", ["another", None])
def test_keys_of_another_version_are_made_anew(relais: Relais, lines: str | None) -> None:
    put(relais, ZOE, MARRIED, *map(person, range(5)))
    relais.patients.merge("C-1", "C-2", actor="alice", reason="one person")
    index = Index(clock=relais.clock, configuration=relais.configuration)
    written_by_another_version(relais, lines=lines)
    relais.patient_rebuild.schedule()
    relais.patient_rebuild.schedule()  # it began already
    assert answer(relais, index, {**ZOE, "CrmId": "X"}) == (State.Review, Reason.Capped)
    relais.patient_rebuild(due(relais))
    check_consistency(relais)
    assert answer(relais, index, person(9)) != (State.Review, Reason.Capped)
    assert column(relais, patient_index.c.version) == [WRITTEN]
    assert column(relais, func.count(patient_next_key.c.key)) == [0]
    assert column(relais, patient_import.c.state) == [ImportState.Completed]
    assert column(relais, patient_import.c.done) == column(relais, patient_import.c.total) == [7]
    assert "rematch:after:0" in column(relais, task.c.key)  # what waits is asked again
    relais.patient_rebuild.schedule()
    assert column(relais, patient_import.c.id) == [1]


def test_patients_who_change_meanwhile_are_found_by_what_they_are(relais: Relais, clock: FakeClock) -> None:
    put(relais, *map(person, range(6)))
    written_by_another_version(relais)
    relais.patient_rebuild.schedule()
    pages = relais.patient_rebuild._pages

    def read_and_changed(after: int) -> Iterator[Any]:
        for page in pages(after):
            if page[0].id == 3:  # who was read is somebody else by now, or nobody
                clock.advance(timedelta(seconds=1))
                put(relais, person(2, FamilyName="Bouchard"), person(1, FamilyName="Lavoie"), person(7))
                relais.patients.forget("P-3", actor="alice", reason="asked")
                relais.patients.merge("P-5", "P-2", actor="alice", reason="one person")
            yield page

    relais.patient_rebuild._pages = read_and_changed  # type: ignore[method-assign]
    relais.patient_rebuild(due(relais))
    assert len(column(relais, patient.c.id)) == 6
    check_consistency(relais)


@pytest.mark.parametrize("place", range(4))
def test_cut_anywhere_it_goes_on_also_without_a_python_beside(relais: Relais, place: int) -> None:
    put(relais, *map(person, range(6)))
    written_by_another_version(relais)
    relais.patient_rebuild.schedule()
    claim = due(relais)
    relais.patient_rebuild._interpreter = None
    before = relais.database.before_commit
    commits = iter(range(10))

    def cut() -> None:
        if next(commits) == place:
            raise StoppingError
        before()

    relais.database.before_commit = cut
    with pytest.raises(StoppingError):  # three pages and the end are four transactions
        relais.patient_rebuild(claim)
    relais.database.before_commit = before
    assert column(relais, patient_index.c.version) == [OLDER]
    relais.patient_rebuild.schedule()
    relais.patient_rebuild(claim)
    check_consistency(relais)
    assert column(relais, patient_import.c.done) == [6]


def test_one_that_was_canceled_begins_anew_at_the_next_start(relais: Relais) -> None:
    put(relais, *map(person, range(3)))
    written_by_another_version(relais)
    relais.patient_rebuild.schedule()
    relais.patient_imports.cancel(1)
    relais.patient_rebuild(due(relais))
    assert (column(relais, patient_index.c.import_id), column(relais, task.c.id)) == ([None], [])
    relais.patient_rebuild.schedule()
    relais.patient_rebuild(due(relais))
    check_consistency(relais)
    assert column(relais, patient_import.c.state) == [ImportState.Canceled, ImportState.Completed]
