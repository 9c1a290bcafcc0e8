"""The ledger and the lanes, on both databases."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from relais.blocking import Blocking
from relais.configuration import load
from relais.database import Database
from relais.database.tables import audit, delivery, event, study, task
from relais.database.tables import lane as lane_table
from relais.domain.facts import Facts
from relais.domain.retry import Backoff
from relais.domain.rules import Rule
from relais.domain.states import DeliveryState
from relais.errors import StateError, UnknownError
from relais.failover import AT_ONCE, Failover
from relais.journal import Journal
from relais.judgement import JudgedDelivery, judged
from relais.lanes import DOWN_AFTER, Lanes
from relais.ledger import Ledger
from relais.orthanc import Orthanc
from relais.protect import Protect
from relais.residency import Residency
from relais.tasks import Tasks
from tests.servers.clock import FakeClock
from tests.servers.router import QUEBEC
from tests.servers.rows import START, add_delivery, add_study

LANE = "destination:vna"
VNA = {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 104, "Jurisdiction": QUEBEC}
CONFIGURATION = load(
    {
        "Destinations": {
            **dict.fromkeys(("a", "b", "vna"), VNA),
            "first": {**VNA, "FailoverTo": "second", "FailoverAfterSeconds": 60},
            "second": VNA,
            "either": {"Kind": "Pool", "Of": {"a": 1, "b": 1}},
        },
        "Sources": {"pacs": {"Kind": "Dicom", "Aet": "PACS", "Host": "127.0.0.1", "Port": 104, "SameAs": "second"}},
    },
    directory=Path(),
)
BACKOFF = Backoff(first=timedelta(seconds=2), maximum=timedelta(seconds=60))


@pytest.fixture
def ledger(database: Database, clock: FakeClock, tasks: Tasks, journal: Journal) -> Ledger:
    nowhere = Orthanc("http://127.0.0.1:9")  # nothing is protected: it is never asked
    protect = Protect(database=database, orthanc=nowhere, clock=clock, tasks=tasks, needed=False)
    return Ledger(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        protect=protect,
        residency=Residency(configuration=CONFIGURATION, clock=clock),
        blocking=Blocking(clock=clock, tasks=tasks, journal=journal),
        destinations=CONFIGURATION.destinations,
    )


@pytest.fixture
def lanes(database: Database, clock: FakeClock, tasks: Tasks, journal: Journal) -> Lanes:
    return Lanes(database=database, clock=clock, tasks=tasks, journal=journal, limits={LANE: 2})


def add(database: Database, **values: Any) -> int:
    with database.write() as connection:
        return add_delivery(connection, add_study(connection), **values)


def read(database: Database, delivery_id: int) -> Any:
    with database.read() as connection:
        return connection.execute(select(delivery).where(delivery.c.id == delivery_id)).one()


def actions(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(audit.c.action).order_by(audit.c.number)).scalars())


def waiting(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(task.c.key).order_by(task.c.key)).scalars())


def owed(row: Any, destinations: Sequence[str]) -> Sequence[JudgedDelivery]:
    """What one rule makes of the study."""
    rule = Rule(name="all", deliver_to=tuple(destinations))
    facts = Facts(study={"StudyInstanceUID": (row.study_instance_uid,)})
    return judged(facts, replace(CONFIGURATION, rules=(rule,)), START, patient=row.patient_id).deliveries


def plan(database: Database, ledger: Ledger, study_id: int, *destinations: str) -> None:
    with database.write() as connection:
        row = connection.execute(select(study).where(study.c.id == study_id)).one()
        ledger.plan(connection, row, owed(row, destinations))


def states(database: Database, study_id: int) -> dict[str, str]:
    with database.read() as connection:
        found = connection.execute(
            select(delivery.c.destination, delivery.c.state).where(delivery.c.study_id == study_id)
        )
        return {row.destination: row.state for row in found}


def test_a_plan_owes_and_a_second_one_owes_no_more(database: Database, ledger: Ledger) -> None:
    with database.write() as connection:
        study_id = add_study(connection)
    plan(database, ledger, study_id, "a", "b")
    first = waiting(database)
    plan(database, ledger, study_id, "a", "b")
    assert states(database, study_id) == {"a": "Scheduled", "b": "Scheduled"}
    assert waiting(database) == first
    assert len(first) == 2


def test_what_no_rule_asks_for_any_more_is_canceled_and_can_come_back(database: Database, ledger: Ledger) -> None:
    with database.write() as connection:
        study_id = add_study(connection)
    plan(database, ledger, study_id, "a", "b")
    plan(database, ledger, study_id, "a")
    assert states(database, study_id) == {"a": "Scheduled", "b": "Canceled"}
    plan(database, ledger, study_id, "a", "b")
    assert states(database, study_id) == {"a": "Scheduled", "b": "Scheduled"}


@pytest.mark.parametrize(
    ("values", "sequence", "after"),
    [
        ({"state": "Completed", "mark": 1}, 1, "Completed"),
        ({"state": "Completed", "mark": 1}, 2, "Scheduled"),  # a late image
        ({"state": "Failed"}, 1, "Scheduled"),
        ({"state": "Held", "reasons": [{"Hold": "wait"}]}, 2, "Held"),
        ({"state": "Canceled", "reasons": [{"Canceled": "no", "By": "alice"}]}, 2, "Canceled"),
        ({"state": "Canceled", "reasons": [{"Canceled": "no", "By": "relais"}]}, 1, "Scheduled"),
        ({"state": "InProgress"}, 2, "InProgress"),
    ],
)
def test_what_a_new_decision_does_to_a_known_delivery(
    database: Database, ledger: Ledger, values: dict[str, Any], sequence: int, after: str
) -> None:
    with database.write() as connection:
        study_id = add_study(connection, sequence=sequence)
        add_delivery(connection, study_id, **values)
    plan(database, ledger, study_id, "vna")
    assert states(database, study_id) == {"vna": after}


VERBS: dict[str, tuple[set[str], str, str]] = {
    "retry": ({"Scheduled", "Failed", "Blocked", "Canceled"}, "Scheduled", "delivery.retried"),
    "hold": ({"Scheduled", "InProgress"}, "Held", "delivery.held"),
    "release": ({"Held"}, "Scheduled", "delivery.released"),
    "cancel": ({"Scheduled", "InProgress", "Failed", "Held", "Blocked"}, "Canceled", "delivery.canceled"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", list(DeliveryState))
def test_a_person_may_do_what_the_state_allows_and_nothing_else(
    database: Database, ledger: Ledger, verb: str, state: DeliveryState
) -> None:
    allowed, after, action = VERBS[verb]
    delivery_id = add(database, state=state, reasons=[{"Rule": "all"}])
    before = read(database, delivery_id)
    act: Callable[..., None] = getattr(ledger, verb)
    if state in allowed:
        act(delivery_id, actor="alice", reason="because")
        assert read(database, delivery_id).state == after
        assert actions(database) == [action]
    else:
        with pytest.raises(StateError):
            act(delivery_id, actor="alice", reason="because")
        assert read(database, delivery_id) == before
        assert actions(database) == []


@pytest.mark.parametrize(("state", "is_anew"), [("Failed", True), ("Canceled", True), ("Scheduled", False)])
def test_what_was_given_up_has_all_its_time_again(
    database: Database, ledger: Ledger, clock: FakeClock, state: str, is_anew: bool
) -> None:
    finished_at = clock.now() - timedelta(hours=1) if is_anew else None
    delivery_id = add(database, state=state, finished_at=finished_at)
    ledger.retry(delivery_id, actor="alice", reason="it is back")
    assert (read(database, delivery_id).owed_since == clock.now()) is is_anew


def test_an_unknown_delivery_is_said_to_be_unknown(ledger: Ledger) -> None:
    with pytest.raises(UnknownError):
        ledger.retry(4711, actor="alice", reason="because")


def test_a_lane_goes_quiet_down_and_up(database: Database, lanes: Lanes, clock: FakeClock, tasks: Tasks) -> None:
    with database.write() as connection:
        later = clock.now() + timedelta(hours=1)
        tasks.schedule(connection, kind="deliver", lane=LANE, key="a", run_at=clock.now(), payload={})
    (claim,) = tasks.claim(tasks.due({LANE: 1}))
    with database.write() as connection:
        tasks.retry(connection, claim, later, "refused")
    for number in range(1, DOWN_AFTER + 1):
        with database.write() as connection:
            probe_at = lanes.failed(connection, LANE, {"Text": "refused"}, BACKOFF)
        bound = BACKOFF.bound(number)
        assert bound / 2 <= probe_at - clock.now() <= bound
    with database.write() as connection:
        probe_at = lanes.failed(connection, LANE, {"Text": "busy"}, BACKOFF, timedelta(hours=2))
    assert probe_at - clock.now() == timedelta(hours=2)
    with database.write() as connection:
        assert connection.execute(select(lane_table.c.failures)).scalar_one() == DOWN_AFTER + 1
        lanes.succeeded(connection, LANE)
        assert connection.execute(select(lane_table.c.failures)).scalar_one() == 0
    assert len(tasks.due({LANE: 1})) == 1  # what waited an hour is due now
    assert actions(database) == ["destination.down", "destination.up"]
    with database.read() as connection:
        assert list(connection.execute(select(event.c.type)).scalars()) == ["destination.down", "destination.up"]


def test_pause_and_resume(database: Database, lanes: Lanes, clock: FakeClock, tasks: Tasks) -> None:
    with database.write() as connection:
        tasks.schedule(connection, kind="deliver", lane=LANE, key="a", run_at=clock.now(), payload={})
    lanes.pause(LANE, actor="alice", reason="maintenance")
    assert tasks.due({LANE: 1}) == []
    with pytest.raises(StateError):
        lanes.pause(LANE, actor="alice", reason="twice")
    lanes.resume(LANE, actor="alice", reason="done")
    assert len(tasks.due({LANE: 1})) == 1
    with pytest.raises(StateError):
        lanes.resume(LANE, actor="alice", reason="twice")
    with pytest.raises(UnknownError):
        lanes.pause("destination:nowhere", actor="alice", reason="typo")
    assert actions(database) == ["lane.paused", "lane.resumed"]


def test_a_retry_by_a_person_probes_a_quiet_lane_now(
    database: Database, ledger: Ledger, lanes: Lanes, clock: FakeClock, tasks: Tasks
) -> None:
    delivery_id = add(database)
    with database.write() as connection:
        lanes.failed(connection, LANE, {"Text": "refused"}, BACKOFF)
        connection.execute(update(lane_table).values(probe_at=clock.now() + timedelta(hours=1)))
    ledger.retry(delivery_id, actor="alice", reason="it is back")
    assert len(tasks.due({LANE: 1})) == 1


def fail_over(database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, ledger: Ledger) -> None:
    """Run the tasks `failover` that are due."""
    failover = Failover(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        ledger=ledger,
        configuration=CONFIGURATION,
    )
    for claim in tasks.claim(tasks.due({"studies": 100})):
        failover(claim)


def test_another_destination_steps_in_when_time_is_up_and_what_was_owed_stays_owed(
    database: Database, ledger: Ledger, clock: FakeClock, tasks: Tasks, journal: Journal
) -> None:
    with database.write() as connection:
        study_id = add_study(connection)
    plan(database, ledger, study_id, "first")
    clock.advance(timedelta(seconds=59))
    fail_over(database, clock, tasks, journal, ledger)
    assert states(database, study_id) == {"first": "Scheduled"}
    clock.advance(timedelta(seconds=2))
    fail_over(database, clock, tasks, journal, ledger)
    assert states(database, study_id) == {"first": "Scheduled", "second": "Scheduled"}
    plan(database, ledger, study_id, "first")  # decided again: the stand-in stays, as long as its principal is wanted
    assert states(database, study_id) == {"first": "Scheduled", "second": "Scheduled"}
    plan(database, ledger, study_id, "a")
    assert states(database, study_id) == {"first": "Canceled", "second": "Canceled", "a": "Scheduled"}


def test_all_that_a_destination_is_owed_goes_to_another_when_it_goes_down(
    database: Database, ledger: Ledger, lanes: Lanes, clock: FakeClock, tasks: Tasks, journal: Journal
) -> None:
    with database.write() as connection:
        studies = [add_study(connection) for _ in range(250)]
        for study_id in studies:
            add_delivery(connection, study_id, destination="first")
        add_delivery(connection, studies[0], destination="second", state="Completed", mark=1)
    for _ in range(DOWN_AFTER):
        with database.write() as connection:
            lanes.failed(connection, "destination:first", {"Text": "refused"}, BACKOFF)
    for _ in range(4):
        fail_over(database, clock, tasks, journal, ledger)
    assert [states(database, each) for each in studies[1:]] == [{"first": "Scheduled", "second": "Scheduled"}] * 249
    assert states(database, studies[0]) == {"first": "Scheduled", "second": "Completed"}
    assert actions(database).count("delivery.failed-over") == 249


def test_nothing_steps_in_for_what_was_imported_from_it_and_that_holds_up_no_other(
    database: Database, ledger: Ledger, lanes: Lanes, clock: FakeClock, tasks: Tasks, journal: Journal
) -> None:
    with database.write() as connection:
        back = [add_study(connection, origin={"Source": "pacs"}) for _ in range(AT_ONCE + 1)]
        others = [add_study(connection), add_study(connection, origin={"Source": "forgotten"})]
        for study_id in (*back, *others):
            add_delivery(connection, study_id, destination="first")
    for _ in range(DOWN_AFTER):
        with database.write() as connection:
            lanes.failed(connection, "destination:first", {"Text": "refused"}, BACKOFF)
    for _ in range(3):
        fail_over(database, clock, tasks, journal, ledger)
    assert [states(database, each) for each in others] == [{"first": "Scheduled", "second": "Scheduled"}] * 2
    assert [states(database, each) for each in back] == [{"first": "Scheduled"}] * len(back)
    assert tasks.due({"studies": 1}) == [], "it ends"


def test_a_pool_gives_a_patient_s_studies_to_one_destination(database: Database, ledger: Ledger) -> None:
    chosen = []
    for patient in ("P1", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"):
        with database.write() as connection:
            study_id = add_study(connection, patient_id=patient)
            row = connection.execute(select(study).where(study.c.id == study_id)).one()
            (found,) = owed(row, ["either"])
            ledger.plan(connection, row, [found])
        chosen.append(found.planned.destination)
        assert states(database, study_id) == {found.planned.destination: "Scheduled"}
    assert chosen[0] == chosen[1]
    assert set(chosen) == {"a", "b"}


def test_a_redirected_delivery_is_owed_elsewhere(database: Database, ledger: Ledger) -> None:
    delivery_id = add(database, destination="a", reasons=[{"Rule": "all"}])
    there = ledger.redirect(delivery_id, "b", actor="alice", reason="a is being moved")
    assert (read(database, delivery_id).state, read(database, there).state) == ("Canceled", "Scheduled")
    assert {"RedirectedFrom": "a", "By": "alice", "Reason": "a is being moved"} in read(database, there).reasons
    assert actions(database) == ["delivery.canceled", "delivery.redirected"]
    with pytest.raises(UnknownError):
        ledger.redirect(delivery_id, "nowhere", actor="alice", reason="typo")
    with pytest.raises(StateError):
        ledger.redirect(there, "b", actor="alice", reason="it is there")
