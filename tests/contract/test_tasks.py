"""Durable tasks, on both databases."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from relais.database import Database, queries
from relais.database.tables import lane, task
from relais.domain.priority import Priority
from relais.domain.states import TaskState
from relais.tasks import AHEAD, CRASHES, LEASE, Claim, StaleClaimError, Tasks
from tests.servers.clock import FakeClock

SECOND = timedelta(seconds=1)


def schedule(database: Database, tasks: Tasks, clock: FakeClock, key: str = "a", **given: Any) -> None:
    values: dict[str, Any] = {"kind": "test", "lane": "lane", "run_at": clock.now(), "payload": {}, **given}
    with database.write() as connection:
        tasks.schedule(connection, key=key, **values)


def claim(tasks: Tasks, places: int = 10) -> list[Claim]:
    return tasks.claim(tasks.due({"lane": places}))


def rows(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(task).order_by(task.c.key)))


def test_a_task_is_claimed_once_and_gone_when_finished(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock, payload={"Study": 7})
    (mine,) = claim(tasks)
    assert mine.payload == {"Study": 7}
    assert claim(tasks) == []
    with database.write() as connection:
        tasks.finish(connection, mine)
    assert rows(database) == []


def test_a_task_waits_for_its_time(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock, run_at=clock.now() + SECOND)
    assert claim(tasks) == []
    assert tasks.next_at(clock.now()) == clock.now() + SECOND
    clock.advance(SECOND)
    assert len(tasks.due({"lane": 3, "other": 1})) == 1
    assert len(claim(tasks)) == 1


def test_a_key_is_one_task(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock)
    schedule(database, tasks, clock, run_at=clock.now() + SECOND)
    (row,) = rows(database)
    assert row.run_at == clock.now() + SECOND


def test_asked_for_while_it_runs_it_runs_once_more(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock)
    (mine,) = claim(tasks)
    schedule(database, tasks, clock, run_at=clock.now() + SECOND)
    with database.write() as connection:
        tasks.finish(connection, mine)
    assert claim(tasks) == []
    clock.advance(SECOND)
    assert [each.key for each in claim(tasks)] == ["a"]


def test_the_most_urgent_and_then_the_oldest_goes_first(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    now = clock.now()
    schedule(database, tasks, clock, "young", run_at=now - SECOND)
    schedule(database, tasks, clock, "old", run_at=now - 9 * SECOND)
    schedule(database, tasks, clock, "stat", run_at=now, priority=Priority.Stat)
    assert [claim(tasks, 1)[0].key for _ in range(3)] == ["stat", "old", "young"]


def test_places_bound_a_claim_and_lanes_do_not_mix(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    for number in range(5):
        schedule(database, tasks, clock, f"a{number}")
    schedule(database, tasks, clock, "b", lane="other")
    assert len(claim(tasks, 2)) == 2
    assert [each.key for each in tasks.claim(tasks.due({"other": 5}))] == ["b"]


@pytest.mark.parametrize("verb", ["finish", "retry", "bury", "check"])
def test_an_owner_that_lost_its_lease_changes_nothing(
    database: Database, tasks: Tasks, clock: FakeClock, verb: str
) -> None:
    schedule(database, tasks, clock)
    (late,) = claim(tasks)
    clock.advance(LEASE + SECOND)
    other = Tasks(database, clock, owner="there/1")
    assert other.reclaim() == 1
    (theirs,) = claim(other)
    before = rows(database)
    arguments: dict[str, tuple[Any, ...]] = {"retry": (clock.now(), "late"), "bury": ("late",)}
    with pytest.raises(StaleClaimError), database.write() as connection:
        getattr(tasks, verb)(connection, late, *arguments.get(verb, ()))
    assert rows(database) == before
    with database.write() as connection:
        other.finish(connection, theirs)


def test_the_same_owner_is_fenced_by_the_claims_number(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock)
    (late,) = claim(tasks)
    clock.advance(LEASE + SECOND)
    tasks.reclaim()
    claim(tasks)
    with pytest.raises(StaleClaimError), database.write() as connection:
        tasks.finish(connection, late)


def test_a_heartbeat_keeps_the_lease(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock)
    mine = claim(tasks)
    clock.advance(LEASE - SECOND)
    tasks.heartbeat(mine)
    clock.advance(LEASE - SECOND)
    assert tasks.reclaim() == 0


def test_a_new_process_takes_over_what_its_node_left_and_nothing_else(
    database: Database, tasks: Tasks, clock: FakeClock
) -> None:
    schedule(database, tasks, clock, "mine")
    claim(tasks)
    schedule(database, tasks, clock, "theirs")
    claim(Tasks(database, clock, owner="here2/1"))
    assert Tasks(database, clock, owner="here/2").reclaim(also_of="here") == 1
    assert {row.key: row.state for row in rows(database)} == {"mine": TaskState.Waiting, "theirs": TaskState.Running}


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_asked_for_while_it_ran_and_was_interrupted_it_runs_once(
    database: Database, tasks: Tasks, clock: FakeClock, how: str
) -> None:
    schedule(database, tasks, clock)
    (interrupted,) = claim(tasks)
    schedule(database, tasks, clock)
    successor = Tasks(database, clock, owner="here/2")
    if how == "stopped":
        tasks.release(interrupted)
    else:
        assert successor.reclaim(also_of="here") == 1
    (again,) = claim(successor)
    with database.write() as connection:
        successor.finish(connection, again)
    assert rows(database) == [], "it began after it was asked for: that is once more already"


def test_a_task_that_keeps_ending_the_process_is_buried(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock)
    for _ in range(CRASHES):
        assert len(claim(tasks)) == 1
        clock.advance(LEASE + SECOND)
        tasks.reclaim()
    (row,) = rows(database)
    assert row.state == TaskState.Dead
    with database.write() as connection:
        assert tasks.restart(connection, row.id)
        assert not tasks.restart(connection, row.id)
    assert len(claim(tasks)) == 1


def test_a_retry_counts_and_keeps_its_error(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock)
    (mine,) = claim(tasks)
    with database.write() as connection:
        tasks.retry(connection, mine, clock.now() + SECOND, "refused")
    (row,) = rows(database)
    assert (row.attempts, row.error, row.run_at) == (1, "refused", clock.now() + SECOND)
    with database.write() as connection:
        tasks.hurry(connection, "lane")
    assert [each.attempts for each in claim(tasks)] == [1]


def test_a_dead_letter_that_is_scheduled_again_is_tried_afresh(
    database: Database, tasks: Tasks, clock: FakeClock
) -> None:
    schedule(database, tasks, clock)
    (mine,) = claim(tasks)
    with database.write() as connection:
        tasks.bury(connection, mine, "no use")
    assert claim(tasks) == []
    schedule(database, tasks, clock)
    assert [each.attempts for each in claim(tasks)] == [0]


@pytest.mark.parametrize(
    ("values", "is_due"),
    [
        ({"failures": 0}, True),
        ({"failures": 0, "paused_at": 0}, False),
        ({"failures": 1, "probe_at": 1}, False),
        ({"failures": 1, "probe_at": -1}, True),
        ({"failures": 1}, True),
    ],
)
def test_a_closed_lane_has_nothing_due(
    database: Database, tasks: Tasks, clock: FakeClock, values: dict[str, int], is_due: bool
) -> None:
    schedule(database, tasks, clock)
    moments = {name: clock.now() + value * SECOND for name, value in values.items() if name != "failures"}
    with database.write() as connection:
        connection.execute(insert(lane).values(name="lane", failures=values["failures"], **moments))
    assert bool(tasks.due({"lane": 1})) is is_due


def test_of_the_lanes_that_fail_only_some_are_tried_at_once(database: Database, clock: FakeClock) -> None:
    tasks = Tasks(database, clock, owner="here/1", suspects=2)
    limits = {f"dead{number}": 3 for number in range(4)} | {"alive": 3}
    for name in limits:
        for number in range(5):
            schedule(database, tasks, clock, f"{name}-{number}", lane=name)
    with database.write() as connection:
        for name in limits.keys() - {"alive"}:
            connection.execute(insert(lane).values(name=name, failures=1))
    lanes = [each.lane for each in tasks.claim(tasks.due(limits))]
    assert sorted(lanes) == ["alive"] * 3 + ["dead0", "dead1"]
    assert tasks.due(limits, {"dead0": 1, "dead1": 1, "alive": 3}) == []


def test_what_waits_moves_with_the_clock(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    schedule(database, tasks, clock, run_at=clock.now() + SECOND)
    hour = timedelta(hours=1)
    clock.jump(-hour)
    tasks.shift(-hour)
    assert tasks.next_at(clock.now()) == clock.now() + SECOND


def test_two_owners_never_have_the_same_task(database: Database, clock: FakeClock) -> None:
    owners = [Tasks(database, clock, owner=f"node{number}/1") for number in range(2)]
    for number in range(60):
        schedule(database, owners[0], clock, f"key{number:02}")
    found: list[Claim] = []

    def work(tasks: Tasks) -> None:
        while claims := claim(tasks, 3):
            for each in claims:
                found.append(each)
                with database.write() as connection:
                    tasks.finish(connection, each)

    threads = [threading.Thread(target=work, args=(each,)) for each in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.key for each in found) == [f"key{number:02}" for number in range(60)]


def test_what_has_been_due_for_long_becomes_more_urgent(database: Database, tasks: Tasks, clock: FakeClock) -> None:
    with database.write() as connection:
        for name in ("old", "older"):
            tasks.schedule(
                connection,
                kind="test",
                lane="lane",
                key=name,
                run_at=clock.now() - timedelta(minutes=61 if name == "old" else 300),
                priority=Priority.Background,
                payload={},
            )
        tasks.schedule(
            connection,
            kind="test",
            lane="lane",
            key="later",
            run_at=clock.now() + timedelta(hours=9),
            priority=Priority.Background,
            payload={},
        )
    for _ in range(3):
        tasks.age()
    with database.read() as connection:
        found = {row.key: row.priority for row in connection.execute(select(task.c.key, task.c.priority))}
    assert found == {"old": Priority.Routine, "older": Priority.Urgent, "later": Priority.Background}


def test_a_shared_lane_s_limit_holds_over_all_nodes(database: Database, clock: FakeClock) -> None:
    if database.sqlite:
        pytest.skip("one node only")
    nodes = [Tasks(database, clock, owner=f"node/{number}") for number in range(4)]
    limits = {"destination:vna": 2, "studies": 2}
    with database.write() as connection:
        for number in range(12):
            for name in limits:
                nodes[0].schedule(
                    connection, kind="test", lane=name, key=f"{name}:{number}", run_at=clock.now(), payload={}
                )
    claimed: list[Claim] = []
    barrier = threading.Barrier(len(nodes))

    def take(node: Tasks) -> None:
        barrier.wait()
        for _ in range(4):
            claimed.extend(node.claim(node.due(limits), {"destination:vna": 2}))

    threads = [threading.Thread(target=take, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owners = [claim.owner for claim in claimed if claim.lane == "destination:vna"]
    assert len(owners) == 2 * (AHEAD if len(set(owners)) == 1 else 1), "one who has all sees to the limit itself"
    assert [claim.lane for claim in claimed].count("studies") > 2


def test_one_owner_may_hold_more_of_a_shared_lane_than_its_limit_only_while_all_are_its_own(
    database: Database, tasks: Tasks, clock: FakeClock
) -> None:
    if database.sqlite:
        pytest.skip("one node alone")
    other = Tasks(database, clock, owner="there/1")
    shared = {"lane": 2}

    def claimed(who: Tasks) -> list[Claim]:
        return who.claim(who.due({"lane": 2 * AHEAD}), shared)

    for number in range(9):
        schedule(database, tasks, clock, f"{number}")
    mine = claimed(tasks)
    assert len(mine) == 2 * AHEAD
    assert claimed(other) == []
    for done in mine[:2]:
        with database.write() as connection:
            tasks.finish(connection, done)
        assert claimed(other) == []
    with database.write() as connection:
        tasks.finish(connection, mine[2])
    assert len(claimed(other)) == 1
    assert claimed(tasks) == []
    assert claimed(other) == []


def test_what_is_more_urgent_and_due_in_the_same_lane_passes(
    database: Database, tasks: Tasks, clock: FakeClock
) -> None:
    def passed() -> bool:
        with database.read() as connection:
            return queries.tasks.is_passed(connection, mine.id, clock.now())

    schedule(database, tasks, clock, "mine")
    (mine,) = claim(tasks)
    schedule(database, tasks, clock, "like")
    schedule(database, tasks, clock, "elsewhere", lane="other", priority=Priority.Stat)
    schedule(database, tasks, clock, "urgent", priority=Priority.Urgent, run_at=clock.now() + SECOND)
    assert not passed()
    clock.advance(SECOND)
    assert passed()
