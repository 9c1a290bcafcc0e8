"""Orders on both databases: kept, moved, canceled, expired, and completed by the studies that arrive."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
)
from sqlalchemy import select

from relais.bootstrap import Relais, settle
from relais.database import queries
from relais.database.tables import audit, event, study, task
from relais.database.worklist_tables import worklist_item
from relais.domain.document import DocumentError
from relais.domain.priority import Priority
from relais.domain.states import OrderState
from relais.domain.urgency import urgency
from relais.drafts import Seat
from relais.errors import StateError, UnknownError
from relais.house import Ground
from relais.orthanc.capabilities import Surroundings
from relais.patient_store import Outcome
from relais.worklist.orders import EXPIRE, Bulk
from relais.worklist.steps import Status
from tests.servers.clock import FakeClock
from tests.servers.people import TAGS, ZOE, add_asked_study, add_namesakes, add_patient, known, row_of
from tests.servers.ports import free_port
from tests.servers.waiting import eventually

SECTION: dict[str, Any] = {
    "Clinics": {
        "outremont": {"CalledAets": ["OUTREMONT"], "CallingAets": ["CS8100"], "TimeZone": "America/Toronto"},
        "laval": {"CalledAets": ["LAVAL"], "TimeZone": "America/Toronto"},
    },
    "Matching": {"SecondLooks": 0},
}
ORDER: dict[str, Any] = {
    "AccessionNumber": "A1",
    "Clinic": "outremont",
    "CrmId": "C-1",
    "PatientID": "P-77",
    "ScheduledProcedureStepStartDate": "20260702",
    "ScheduledProcedureStepStartTime": "0930",
    "RequestedProcedureDescription": "Panoramique",
    "RequestedProcedurePriority": "STAT",
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def relais(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Relais]:
    worklist = {"ExpireHours": 24, "Mpps": {"Port": free_port()}}
    seat = Seat.of({**SECTION, "Worklist": worklist, "Database": database_url}, directory=tmp_path)
    surroundings = Surroundings.of({"HttpPort": 9, "StorageDirectory": str(tmp_path)})
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None, clock=clock)
    relais = settle(ground)
    with relais.database.write() as connection:
        add_namesakes(connection, 60, clock)
        add_patient(connection, ZOE, clock)
    yield relais
    ground.close()


def put(relais: Relais, scope: set[str] | None = None, *, revive: bool = False, **more: Any) -> Outcome:
    orders = relais.worklist.orders
    order = orders.read({**ORDER, **more}, scope=scope)
    return orders.put(order, actor="crm", scope=scope, revive=revive).outcome


def item(relais: Relais, number: str = "A1") -> Any:
    with relais.database.read() as connection:
        return connection.execute(select(worklist_item).where(worklist_item.c.accession_number == number)).one()


def arrived(relais: Relais, number: str = "A1", clinic: str = "outremont", **more: Any) -> int:
    """A study with this accession number; answers its id."""
    with relais.database.write() as connection:
        return add_asked_study(connection, clinic=clinic, accession_number=number, **more)


def decided(relais: Relais, study_id: int, number: str = "A1", clinic: str = "outremont", **tags: str) -> Any:
    """Ask whose the study is, and keep that with its order; what was found."""
    said = replace(known({**TAGS, **tags}, clinic=clinic), tags={"AccessionNumber": number})
    identify = relais.matching.identify
    with relais.database.read() as connection:
        found = identify.ask(row_of(connection, study_id), said)
    with relais.database.write() as connection:
        assert identify.write(connection, row_of(connection, study_id), said, found)
    return found


class Machine:
    """A modality that asks and reports, and the service that it reaches."""

    def __init__(self, relais: Relais) -> None:
        self._service, port = relais.worklist.service, relais.configuration.worklist.mpps
        assert port is not None
        self._port = port.port

    def __enter__(self) -> Self:
        self._service.start()
        eventually(lambda: self._service.listens)
        return self

    def __exit__(self, *_: object) -> None:
        self._service.stop(5)

    def create(self, uid: str, number: str, calling: str) -> int:
        said = Dataset()
        said.PerformedProcedureStepStatus = "IN PROGRESS"
        step = Dataset()
        step.AccessionNumber = number
        said.ScheduledStepAttributesSequence = [step]
        with self._associated(calling) as machine:
            return int(machine.send_n_create(said, ModalityPerformedProcedureStep, uid)[0].Status)

    def change(self, uid: str, status: str, calling: str) -> int:
        said = Dataset()
        said.PerformedProcedureStepStatus = status
        with self._associated(calling) as machine:
            return int(machine.send_n_set(said, ModalityPerformedProcedureStep, uid)[0].Status)

    def ask(self, calling: str, character_set: str) -> list[Dataset]:
        asked = Dataset()
        asked.SpecificCharacterSet, asked.PatientName = character_set, "gagné*"
        with self._associated(calling) as machine:
            rows = machine.send_c_find(asked, ModalityWorklistInformationFind)
            return [row for _, row in rows if row is not None]

    @contextmanager
    def _associated(self, calling: str) -> Iterator[Association]:
        entity = AE(ae_title=calling)
        entity.add_requested_context(ModalityPerformedProcedureStep)
        entity.add_requested_context(ModalityWorklistInformationFind)
        association = entity.associate("127.0.0.1", self._port, ae_title="RELAIS")
        assert association.is_established
        yield association
        association.release()


def stray(relais: Relais, study_id: int) -> str | None:
    with relais.database.read() as connection:
        found: str | None = connection.execute(select(study.c.stray).where(study.c.id == study_id)).scalar_one()
        return found


def happened(relais: Relais, table: Any = event) -> list[str]:
    column = table.c.type if table is event else table.c.action
    with relais.database.read() as connection:
        return [each for each in connection.execute(select(column)).scalars() if each.startswith(("order", "worklist"))]


def test_an_order_is_kept_once_and_takes_from_the_crm_what_it_does_not_say(relais: Relais) -> None:
    assert put(relais) is Outcome.Added
    kept = item(relais)
    assert (kept.document["PatientName"], kept.document["PatientBirthDate"]) == ("Gagné^Zoé", "19840517")
    assert f"{kept.scheduled_at:%d %H:%M}" == "02 13:30"
    assert put(relais) is Outcome.Unchanged
    assert put(relais, ScheduledProcedureStepStartTime="1000") is Outcome.Changed
    assert item(relais).study_instance_uid == kept.study_instance_uid
    assert happened(relais, audit) == ["order.added", "order.changed"]


def test_what_is_anothers_is_refused_and_changes_nothing(relais: Relais) -> None:
    put(relais)
    before = item(relais)
    for more, scope, code in (
        ({"Clinic": "laval"}, None, "order-of-another-clinic"),
        ({"Clinic": "laval"}, {"laval"}, "order-of-another-clinic"),
        ({"AccessionNumber": "A2", "StudyInstanceUID": before.study_instance_uid}, None, "order-uid-taken"),
    ):
        with pytest.raises(StateError) as refused:
            put(relais, scope, **more)
        assert refused.value.code == code
    with pytest.raises(DocumentError):
        put(relais, {"laval"})
    with pytest.raises(UnknownError):
        relais.worklist.orders.cancel("A1", actor="crm", reason="", scope={"laval"})
    assert item(relais) == before


def test_a_list_does_not_bring_back_what_was_canceled(relais: Relais) -> None:
    put(relais)
    relais.worklist.orders.cancel("A1", actor="crm", reason="the patient is ill", scope=None)
    assert item(relais).state == OrderState.Canceled
    assert put(relais) is Outcome.Unchanged
    orders, bulk = relais.worklist.orders, Bulk()
    given = [orders.read({**ORDER, "AccessionNumber": number, "Modality": "PX"}, scope=None) for number in ("A1", "A2")]
    orders.put_many(list(enumerate(given, 1)), actor="crm", scope=None, bulk=bulk)
    assert (bulk.outcomes[Outcome.Added], bulk.refused, bulk.conflicts[0][0]) == (1, 1, 1)
    assert put(relais, revive=True) is Outcome.Changed
    assert item(relais).state == OrderState.Scheduled


def test_a_study_completes_its_order_once_and_is_the_orders_patients(relais: Relais) -> None:
    put(relais, NumberOfStudyRelatedInstances=3)
    study_id = arrived(relais)
    found = decided(relais, study_id)
    facts = found.facts(known().facts)
    assert (urgency(facts), facts.order["NumberOfStudyRelatedInstances"]) == (Priority.Stat, ("3",))
    assert (found.crm_id, found.match.candidates[0].crm_id) == ("C-1", "C-1")
    assert found.question.candidates[0].ordered
    decided(relais, study_id)
    assert (item(relais).state, item(relais).study_id, stray(relais, study_id)) == ("Completed", study_id, None)
    assert happened(relais) == ["worklist.completed"]
    second = arrived(relais)
    assert decided(relais, second).ordered.item.accession_number == "A1"
    assert item(relais).study_id == study_id, "an accession number may have several studies"
    with pytest.raises(StateError):
        put(relais, ScheduledProcedureStepStartTime="1100")


def test_a_study_that_turns_out_to_be_anothers_gives_its_order_back(relais: Relais) -> None:
    put(relais)
    put(relais, AccessionNumber="A2")
    study_id = arrived(relais)
    decided(relais, study_id)
    decided(relais, study_id, "A2")
    assert (item(relais).state, item(relais, "A2").state) == ("Scheduled", "Completed")
    assert "order.reopened" in happened(relais, audit)


def test_a_study_without_an_order_is_told_with_its_reason(relais: Relais) -> None:
    assert decided(relais, arrived(relais, "A9"), "A9").ordered.stray is None, "nobody orders here"
    put(relais)
    put(relais, AccessionNumber="L1", Clinic="laval")
    put(relais, AccessionNumber="C1")
    relais.worklist.orders.cancel("C1", actor="crm", reason="", scope=None)
    other = {"0010,0010": "ROY^ANNE", "0010,0030": "19770203", "0010,0020": "X"}
    expected = []
    for number, tags, why in (
        ("", {}, "NoAccessionNumber"),
        ("A9", {}, "UnknownAccessionNumber"),
        ("L1", {}, "AnotherClinic"),
        ("C1", {}, "Canceled"),
        ("A1", other, "AnotherPatient"),
    ):
        study_id = arrived(relais, number)
        decided(relais, study_id, number, **tags)
        assert stray(relais, study_id) == why
        expected.append(study_id)
    imported = arrived(relais, "A9", origin={"Source": "pacs", "CallingAet": "", "CalledAet": "", "RemoteIp": ""})
    decided(relais, imported, "A9")
    with relais.database.read() as connection:
        rows = queries.worklist.strays(connection, "outremont", {"outremont"}, None, 50)
        assert sorted(row["id"] for row in rows) == expected
        assert queries.worklist.strays(connection, None, {"laval"}, None, 50) == []
    assert item(relais).state == OrderState.Scheduled


def test_a_person_ties_a_stray_study_to_its_order(relais: Relais) -> None:
    put(relais)
    put(relais, AccessionNumber="A2", Clinic="laval")
    study_id = arrived(relais, "")
    decided(relais, study_id, "")
    assert stray(relais, study_id) == "NoAccessionNumber"
    with relais.database.read() as connection:
        uid = row_of(connection, study_id).study_instance_uid
    ties = relais.worklist.ties
    said: dict[str, Any] = {"actor": "a", "reason": "the machine had no worklist", "scope": None}
    with pytest.raises(UnknownError):
        ties.tie(uid, "A9", **said)
    with pytest.raises(UnknownError, match="A1"):
        ties.tie(uid, "A1", **{**said, "scope": {"laval"}})
    with pytest.raises(StateError, match="order-not-of-its-clinic"):
        ties.tie(uid, "A2", **said)
    with pytest.raises(StateError, match="study-not-tied"):
        ties.untie(uid, actor="a", reason="a slip")

    ties.tie(uid, "A1", **said)
    ties.tie(uid, "A1", **said)
    with relais.database.read() as connection:
        assert connection.execute(select(task.c.id).where(task.c.key == f"route:{study_id}")).scalar(), "decided again"
        kept = connection.execute(select(audit.c.detail).where(audit.c.action == "study.tied")).scalars().all()
    assert kept == [{"Order": item(relais).id, "Reason": "the machine had no worklist"}]
    found = decided(relais, study_id, "", PatientName="Nobody^Of This Name")
    assert (found.ordered.crm_id, stray(relais, study_id)) == ("C-1", None)
    assert (item(relais).state, item(relais).study_id) == ("Completed", study_id)

    ties.untie(uid, actor="a", reason="a slip")
    decided(relais, study_id, "")
    assert (item(relais).state, item(relais).study_id) == ("Scheduled", None)
    assert stray(relais, study_id) == "NoAccessionNumber"


def test_an_order_that_is_canceled_after_it_was_tied_leaves_a_stray(relais: Relais) -> None:
    put(relais)
    study_id = arrived(relais, "")
    with relais.database.read() as connection:
        uid = row_of(connection, study_id).study_instance_uid
    relais.worklist.ties.tie(uid, "A1", actor="a", reason="by name", scope=None)
    relais.worklist.orders.cancel("A1", actor="a", reason="no show", scope=None)
    decided(relais, study_id, "")
    assert stray(relais, study_id) == "Canceled"
    with pytest.raises(StateError, match="order-state"):
        relais.worklist.ties.tie(uid, "A1", actor="a", reason="by name", scope=None)


def test_the_worklists_uid_is_enough_where_the_machine_drops_the_number(relais: Relais) -> None:
    put(relais)
    study_id = arrived(relais, "", study_instance_uid=item(relais).study_instance_uid)
    decided(relais, study_id, "")
    assert item(relais).state == OrderState.Completed


def test_an_order_that_comes_after_its_study_has_it_decided_again(relais: Relais) -> None:
    study_id = arrived(relais, "A1")
    put(relais)
    with relais.database.read() as connection:
        assert f"route:{study_id}" in connection.execute(select(task.c.key)).scalars().all()


def test_what_nobody_began_expires_and_is_not_served_before(relais: Relais, clock: FakeClock) -> None:
    put(relais)
    relais.worklist.orders.schedule()
    clock.advance(timedelta(hours=30))
    (claim,) = [
        each for each in relais.tasks.claim(relais.tasks.due({"worklist": 1, "prefetch": 1})) if each.kind == EXPIRE
    ]
    relais.worklist.orders(claim)
    assert item(relais).state == OrderState.Expired
    assert happened(relais, audit) == ["order.added", "order.expired"]
    study_id = arrived(relais)
    decided(relais, study_id)
    assert item(relais).state == OrderState.Completed, "it was only late"


def test_an_order_that_changed_meanwhile_is_looked_at_again(relais: Relais) -> None:
    put(relais)
    study_id = arrived(relais)
    said = replace(known(), tags={"AccessionNumber": "A1"})
    identify = relais.matching.identify
    with relais.database.read() as connection:
        found = identify.ask(row_of(connection, study_id), said)
    relais.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    relais.worklist.orders.cancel("A1", actor="crm", reason="", scope=None)
    with relais.database.write() as connection:
        assert not identify.write(connection, row_of(connection, study_id), said, found)


def test_nothing_of_a_forgotten_patients_orders_is_left(relais: Relais) -> None:
    put(relais)
    study_id = arrived(relais)
    decided(relais, study_id)
    relais.patients.forget("C-1", actor="officer", reason="asked")
    with relais.database.read() as connection:
        assert connection.execute(select(worklist_item.c.id)).all() == []
    decided(relais, study_id)
    assert stray(relais, study_id) is None


def test_what_machines_perform_moves_an_order(relais: Relais) -> None:
    put(relais)
    put(relais, AccessionNumber="A2")
    with Machine(relais) as machine:
        assert machine.create("1.2.1", "A1", "CS8100") == Status.Success
        assert machine.create("1.2.1", "A1", "CS8100") == Status.Duplicate
        assert item(relais).state == OrderState.InProgress
        assert machine.create("1.2.2", "A2", "STRANGER") == Status.Success, "a machine that is refused stops its work"
        assert machine.create("1.2.3", "", "CS8100") == Status.Success
        assert item(relais, "A2").state == OrderState.Scheduled
        assert [str(row.PatientName) for row in machine.ask("CS8100", "ISO_IR 100")] == ["Gagné^Zoé"]
        assert machine.change("1.2.1", "DISCONTINUED", "CS8100") == Status.Success
        assert machine.change("1.2.1", "COMPLETED", "CS8100") == Status.ProcessingFailure
        assert item(relais).state == OrderState.Canceled
        assert machine.create("1.2.4", "A2", "CS8100") == Status.Success
        assert machine.change("1.2.4", "COMPLETED", "CS8100") == Status.Success
    assert decided(relais, arrived(relais)).ordered.item is not None, "images of what was broken off are the order's"
    decided(relais, arrived(relais, "A2"), "A2")
    assert (item(relais, "A2").state, happened(relais)) == ("Completed", ["worklist.completed"])


def test_fhir_makes_moves_and_cancels_an_order(relais: Relais) -> None:
    requests = relais.worklist.requests
    request = {
        "resourceType": "ServiceRequest",
        "id": "sr-1",
        "status": "active",
        "identifier": [{"type": {"coding": [{"code": "ACSN"}]}, "value": "F1"}],
        "subject": {"reference": "Patient/C-1"},
        "occurrenceDateTime": "2026-07-02",
        "code": {"text": "Panoramique"},
        "locationReference": [{"reference": "Location/outremont"}],
    }
    for _ in range(2):
        requests.request(request, actor="crm", scope=None)
    appointment = {
        "resourceType": "Appointment",
        "id": "ap-1",
        "status": "booked",
        "basedOn": [{"reference": "ServiceRequest/sr-1"}],
        "start": "2026-07-03T03:30:00Z",
        "participant": [{"actor": {"reference": "Device/CS8100"}}],
    }
    requests.appointment(appointment, actor="crm", scope=None)
    moved = item(relais, "F1")
    assert (moved.day, moved.time, moved.station_aet) == ("20260702", "233000", "CS8100")
    requests.appointment({**appointment, "start": "2026-07-03T04:30:00Z"}, actor="crm", scope=None)
    assert (item(relais, "F1").day, item(relais, "F1").time) == ("20260703", "003000")
    without = {key: value for key, value in request.items() if key != "occurrenceDateTime"}
    requests.request({**without, "code": {"text": "Céphalo"}}, actor="crm", scope=None)
    assert (item(relais, "F1").day, item(relais, "F1").document["RequestedProcedureDescription"]) == (
        "20260703",
        "Céphalo",
    )
    assert requests.appointment({**appointment, "status": "cancelled"}, actor="crm", scope=None) == "F1"
    assert item(relais, "F1").state == OrderState.Canceled
    theirs = {"identifier": [], "locationReference": [{"reference": "Location/laval"}]}
    requests.request({**request, **theirs}, actor="other", scope={"laval"})
    with relais.database.read() as connection:
        rows = connection.execute(select(worklist_item.c.clinic, worklist_item.c.state)).all()
    assert sorted(map(tuple, rows)) == [("laval", "Scheduled"), ("outremont", "Canceled")], "one id, two systems"
