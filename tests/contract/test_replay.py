"""Replays of past studies: what is compared, what is kept, and that a kill makes nothing count twice."""

import json
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, insert, select, update

from relais.apart import ApartError, find_interpreter
from relais.audit import verify
from relais.configuration import ConfigurationErrors, load
from relais.database import Database, queries
from relais.database.configuration_tables import replay, replay_change
from relais.database.queries.replays import ChangeFilter
from relais.database.tables import audit, decision, restriction, study, task
from relais.domain.comparison import Fate, Flow, Kind, Line, Tally, summary
from relais.drafts import Seat
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.replay import ATTEMPTS, KEPT, LANE, PAGE, WAITING, Replay, Span
from relais.replay_judge import Judge, load_bare
from relais.replay_process import JudgeApart
from relais.tasks import Claim, Tasks
from relais.versions import Versions
from relais.worker import StoppingError
from tests.servers.clock import FakeClock
from tests.servers.rows import add_study
from tests.servers.waiting import eventually

QUEBEC = {"Jurisdiction": {"Storage": "CA-QC", "Access": ["CA-QC"]}}
ONTARIO = {"Jurisdiction": {"Storage": "CA-ON", "Access": ["CA-ON"]}}


def archive(**options: Any) -> dict[str, Any]:
    return {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 104, **options}


def rule(name: str, *destinations: str, **options: Any) -> dict[str, Any]:
    return {"Name": name, **({"DeliverTo": list(destinations)} if destinations else {}), **options}


BEFORE: dict[str, Any] = {
    "Clinics": {"outremont": {"CalledAets": ["OUTREMONT"]}, "laval": {"CalledAets": ["LAVAL"]}},
    "Destinations": {"vna": archive(**QUEBEC), "cloud": archive(**QUEBEC), "abroad": archive(**ONTARIO)},
    "Rules": [rule("all", "vna")],
}
AFTER: dict[str, Any] = {
    **BEFORE,
    "Clinics": {"outremont": {"CalledAets": ["OUTREMONT"]}},
    "Rules": [
        rule("all", "vna"),
        rule("panoramics", "cloud", When={"Field": "Modality", "Equals": "PX"}),
        rule("abroad", "abroad", When={"Field": "Modality", "Equals": "CT"}),
        rule("wait", Hold="second opinion", When={"Field": "Modality", "Equals": "MR"}),
    ],
}


class Past:
    """A database with decided studies, and what replays them."""

    def __init__(self, database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, folder: Path) -> None:
        self.database = database
        self.clock = clock
        self.tasks = tasks
        self.journal = journal
        self.folder = folder
        self.stopping = threading.Event()
        self.step = self.made()

    def made(self, tasks: Tasks | None = None, interpreter: str | None = None) -> Replay:
        """The step as a process composes it."""
        shared: dict[str, Any] = {
            "database": self.database,
            "clock": self.clock,
            "tasks": tasks or self.tasks,
            "journal": self.journal,
        }
        return Replay(
            **shared,
            configuration=load(BEFORE, directory=self.folder),
            versions=Versions(**shared, seat=Seat.of({}, directory=self.folder)),
            directory=self.folder,
            stopping=self.stopping,
            interpreter=interpreter,
        )

    def decide(self, connection: Connection, study_id: int, *, modality: str, called: str = "OUTREMONT") -> int:
        """A decision about a study, now."""
        facts = {
            "Study": {"StudyInstanceUID": [f"1.2.{study_id}"], "PatientID": [f"P{study_id}"]},
            "Series": [{"Modality": [modality]}],
            "Origin": {"CallingAet": "CS8100", "CalledAet": called},
            "Clinic": "gone",
        }
        row = {"study_id": study_id, "configuration": "x", "decided_at": self.clock.now(), "facts": facts}
        made = connection.execute(insert(decision).values(**row, document={}).returning(decision.c.id)).scalar_one()
        connection.execute(update(study).where(study.c.id == study_id).values(decision_id=made))
        return int(made)

    def receive(self, *modalities: str, called: str = "OUTREMONT") -> list[int]:
        """Studies that were decided now, the last one newest; answers their ids."""
        with self.database.write() as connection:
            ids = [add_study(connection, modality=each) for each in modalities]
            for study_id, modality in zip(ids, modalities, strict=True):
                self.decide(connection, study_id, modality=modality, called=called)
        return ids

    def start(self, proposed: int | Mapping[str, Any] = AFTER, **span: int) -> int:
        return self.step.start(proposed, Span(**(span or {"studies": 1000})), actor="alice")

    def claim(self) -> Claim:
        (claim,) = self.tasks.claim(self.tasks.due({LANE: 1}))
        return claim

    def row(self, replay_id: int) -> Any:
        with self.database.read() as connection:
            return connection.execute(select(replay).where(replay.c.id == replay_id)).one()

    def run(self, proposed: int | Mapping[str, Any] = AFTER, **span: int) -> Any:
        """Start a replay and run it to its end; answers its row."""
        replay_id = self.start(proposed, **span)
        self.step(self.claim())
        return self.row(replay_id)

    def changes(self, replay_id: int, **wanted: Any) -> list[tuple[int, Kind, str | None]]:
        with self.database.read() as connection:
            rows = queries.replays.changes(connection, replay_id, ChangeFilter(**wanted), None, None, 1000)
        return [(row["study_id"], row["kind"], row["destination"]) for row in rows]

    def actions(self) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(audit).order_by(audit.c.number)).all())

    def waiting(self) -> int:
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(task)).scalar_one()


@pytest.fixture
def past(database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, tmp_path: Path) -> Past:
    return Past(database, clock, tasks, journal, tmp_path)


def test_it_tells_what_would_become_of_each_study(past: Past) -> None:
    px, ct, mr, other = past.receive("PX", "CT", "MR", "US")
    (laval,) = past.receive("US", called="LAVAL")
    row = past.run()
    assert (row.state, row.total, row.done, row.changes, row.error) == ("Completed", 5, 5, 5, None)
    assert past.changes(row.id) == [
        (laval, "Clinic", None),
        (mr, "Held", None),
        (mr, "Removed", "vna"),
        (ct, "Refused", "abroad"),
        (px, "Added", "cloud"),
    ]
    assert other not in {study_id for study_id, _, _ in past.changes(row.id)}
    assert past.changes(row.id, kind="Added") == [(px, "Added", "cloud")]
    assert past.changes(row.id, destination="vna") == [(mr, "Removed", "vna")]
    tally = Tally.from_json(row.tally)
    assert (tally.studies, tally.changed, tally.unreadable) == (5, 4, 0)
    assert summary(tally)[0] == Line(kind=Kind.Refused, destination="abroad", studies=1)
    assert tally.before[Flow("CS8100", "outremont", "vna", Fate.Sent)] == 4
    assert tally.after[Flow("CS8100", "outremont", "vna", Fate.Sent)] == 3
    assert tally.after[Flow("CS8100", None, "vna", Fate.Sent)] == 1
    assert tally.after[Flow("CS8100", "outremont", None, Fate.Held)] == 1
    assert [(each.action, each.actor) for each in past.actions()] == [
        ("replay.started", "alice"),
        ("replay.completed", "relais"),
    ]
    assert past.actions()[-1].detail == {"Replay": row.id, "Studies": 5, "Changed": 4}
    assert all(each.broken_at is None for each in verify(past.database))
    assert past.waiting() == 0


def test_a_version_is_replayed_too_and_found_by_its_number(past: Past) -> None:
    (px,) = past.receive("PX")
    versions = Versions(
        database=past.database,
        clock=past.clock,
        tasks=past.tasks,
        journal=past.journal,
        seat=Seat.of({}, directory=past.folder),
    )
    versions.seed({}, "seeded")
    drafted = versions.draft(AFTER, actor="alice")
    row = past.run(drafted.number)
    assert (row.version, row.after_digest) == (drafted.number, drafted.digest)
    assert past.changes(row.id) == [(px, "Added", "cloud")]
    again = past.run(drafted.number)
    with past.database.read() as connection:
        latest = queries.replays.latest(connection, drafted.number)
    assert latest is not None
    assert latest["id"] == again.id
    with pytest.raises(UnknownError):
        past.start(drafted.number + 7)


def test_the_newest_decision_of_each_study_counts_as_of_the_start(past: Past) -> None:
    first, second = past.receive("PX", "US")
    with past.database.write() as connection:
        past.decide(connection, first, modality="CT")
    replay_id = past.start()
    with past.database.write() as connection:
        past.decide(connection, second, modality="PX")  # after the start
    past.receive("PX")
    past.step(past.claim())
    assert past.changes(replay_id) == [(first, "Refused", "abroad")]
    assert Tally.from_json(past.row(replay_id).tally).studies == 2


def test_so_many_studies_or_days(past: Past) -> None:
    old = past.receive("PX", "PX")
    past.clock.advance(timedelta(days=3))
    new = past.receive("PX", "PX", "PX")
    newest = past.run(studies=4)
    assert [each[0] for each in past.changes(newest.id)] == [*reversed(new), old[1]]
    recent = past.run(days=2)
    assert [each[0] for each in past.changes(recent.id)] == [*reversed(new)]
    assert (newest.total, recent.total) == (4, 3)
    assert past.run(days=4).done == 5
    past.clock.advance(timedelta(days=9))
    assert past.run(days=2).done == 0


def test_the_rules_are_asked_at_the_moment_of_the_decision(past: Past) -> None:
    (weekday,) = past.receive("US")  # a Thursday
    past.clock.advance(timedelta(days=2))
    (weekend,) = past.receive("US")
    past.clock.advance(timedelta(days=2))
    saturdays = rule("saturdays", "cloud", When={"Field": "Now.Weekday", "Equals": "Saturday"})
    row = past.run({**BEFORE, "Rules": [rule("all", "vna"), saturdays]})
    assert past.changes(row.id) == [(weekend, "Added", "cloud")]
    assert weekday != weekend


def test_restrictions_are_respected(past: Past) -> None:
    free, restricted = past.receive("PX", "PX")
    now = past.clock.now()
    with past.database.write() as connection:
        connection.execute(
            insert(restriction).values(
                patient_id=f"P{restricted}",
                destinations=["cloud"],
                regions=[],
                reason="asked",
                by="bob",
                at=now,
                since=now,
            )
        )
    row = past.run()
    assert past.changes(row.id) == [(restricted, "Refused", "cloud"), (free, "Added", "cloud")]
    past.step = past.made(interpreter=find_interpreter())
    assert past.changes(past.run().id) == past.changes(row.id)


def test_a_bad_document_starts_nothing(past: Past) -> None:
    with pytest.raises(ConfigurationErrors) as raised:
        past.start({**AFTER, "Rules": [rule("typo", "vna2"), {"Name": "nothing"}]})
    assert {each.path for each in raised.value.problems} == {"Rules[0].DeliverTo[0]", "Rules[1]"}
    with past.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(replay)).scalar_one() == 0
    assert (past.actions(), past.waiting()) == ([], 0)


def test_no_secret_is_kept_and_none_is_needed(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD_OF_THE_ARCHIVE", "hunter-two-hunter-two")
    (px,) = past.receive("PX")
    secretive = {
        "Kind": "DicomWeb",
        "Url": "https://127.0.0.1/dicom-web",
        "User": "relais",
        "Password": {"Env": "PASSWORD_OF_THE_ARCHIVE"},
        "Deidentify": {"Key": "a literal key, quite long"},
        **QUEBEC,
    }
    replay_id = past.start({**AFTER, "Destinations": {**AFTER["Destinations"], "cloud": secretive}})
    row = past.row(replay_id)
    kept = json.dumps([row.before, row.after])
    assert "hunter" not in kept
    assert "literal key" not in kept
    monkeypatch.delenv("PASSWORD_OF_THE_ARCHIVE")
    past.made(interpreter=find_interpreter())(past.claim())
    assert past.changes(replay_id) == [(px, "Added", "cloud")]
    row = past.row(replay_id)
    assert (row.before, row.after) == (None, None)


class KilledError(Exception):
    """The process ended here."""


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize(
    "number", [pytest.param(1, marks=pytest.mark.chaos), 2, pytest.param(3, marks=pytest.mark.chaos), 4]
)
def test_a_kill_at_any_commit_counts_each_study_once(past: Past, number: int, after: bool) -> None:
    past.receive(*(["PX", "CT", "US"] * (PAGE // 3 + 20)))  # two pages
    expected = past.run()
    replay_id = past.start()
    claim = past.claim()
    commits = iter(range(1, number + 1))

    def count() -> None:
        if next(commits, None) == number:
            raise KilledError

    hook = "after_commit" if after else "before_commit"
    setattr(past.database, hook, count)
    with pytest.raises(KilledError):
        past.step(claim)
    setattr(past.database, hook, lambda: None)

    next_life = Tasks(past.database, past.clock, owner="here/2")
    next_life.reclaim(also_of="here")
    for again in next_life.claim(next_life.due({LANE: 1})):  # none after the last commit
        past.made(next_life)(again)
    row = past.row(replay_id)
    assert (row.state, row.done, row.changes) == ("Completed", expected.done, expected.changes)
    assert Tally.from_json(row.tally) == Tally.from_json(expected.tally)
    assert past.changes(replay_id) == past.changes(expected.id)
    assert len(past.changes(replay_id)) == 2 * expected.done // 3


def test_the_end_of_relais_interrupts_it_and_it_goes_on(past: Past) -> None:
    past.receive(*(["PX"] * (PAGE * 2)))
    replay_id = past.start()
    claim = past.claim()

    def stop() -> None:
        if past.row(replay_id).done:
            past.stopping.set()

    past.database.after_commit = stop
    with pytest.raises(StoppingError):
        past.step(claim)
    past.database.after_commit = lambda: None
    assert past.row(replay_id).done == PAGE
    past.tasks.release(claim)
    past.stopping.clear()
    past.step(past.claim())
    row = past.row(replay_id)
    assert (row.state, row.done, len(past.changes(replay_id))) == ("Completed", PAGE * 2, PAGE * 2)


def test_it_can_be_canceled_while_it_waits_and_while_it_runs(past: Past) -> None:
    past.receive(*(["PX"] * (PAGE * 3)))
    waiting = past.start()
    past.step.cancel(waiting, actor="bob")
    past.step(past.claim())
    assert (past.row(waiting).state, past.row(waiting).done, past.waiting()) == ("Canceled", 0, 0)

    running = past.start()
    claim = past.claim()
    thread = threading.Thread(target=past.step, args=(claim,))
    thread.start()
    eventually(lambda: past.row(running).done, what="a page is done")
    past.step.cancel(running, actor="bob")
    thread.join()
    row = past.row(running)
    assert row.state == "Canceled"
    assert row.done == row.changes == len(past.changes(running)) == Tally.from_json(row.tally).studies
    assert row.done < PAGE * 3
    assert row.finished_at is not None
    assert past.waiting() == 0
    assert [(each.action, each.actor) for each in past.actions()][-1] == ("replay.canceled", "bob")
    with pytest.raises(StateError):
        past.step.cancel(running, actor="bob")
    with pytest.raises(UnknownError):
        past.step.cancel(running + 1, actor="bob")


def test_the_newest_replays_are_kept(past: Past) -> None:
    past.receive("PX", "PX")
    ids = [past.run().id for _ in range(KEPT + 3)]
    with past.database.read() as connection:
        kept = connection.execute(select(replay.c.id).order_by(replay.c.id)).scalars().all()
        changes = connection.execute(select(replay_change.c.replay_id).distinct()).scalars().all()
    assert kept == ids[-KEPT - 1 :]  # what is beyond goes when the next one begins
    assert sorted(changes) == kept


def test_not_too_many_wait(past: Past) -> None:
    for _ in range(WAITING):
        past.start()
    with pytest.raises(StateError):
        past.start()


def test_what_cannot_be_judged_fails_after_some_attempts(past: Past) -> None:
    past.receive("PX")
    replay_id = past.start()
    with past.database.write() as connection:
        connection.execute(update(replay).values(after={"Rules": "none"}))
    step = past.made(interpreter=find_interpreter())
    for _ in range(ATTEMPTS - 1):
        claim = past.claim()
        with pytest.raises(ApartError):
            step(claim)
        with past.database.write() as connection:
            past.tasks.retry(connection, claim, past.clock.now(), "the other process ended")
    step(past.claim())
    row = past.row(replay_id)
    assert row.state == "Failed"
    assert "ConfigurationErrors" in row.error
    assert past.waiting() == 0


def test_facts_of_another_time_are_counted_and_passed_over(past: Past) -> None:
    past.receive("PX", "PX")
    with past.database.write() as connection:
        newest = select(func.max(decision.c.id)).scalar_subquery()
        connection.execute(update(decision).where(decision.c.id == newest).values(facts={"Unheard": 1}))
    row = past.run()
    tally = Tally.from_json(row.tally)
    assert (row.done, tally.studies, tally.unreadable) == (2, 1, 1)


modalities = st.sampled_from(["PX", "CT", "US"])
destinations = st.lists(st.sampled_from(["vna", "cloud", "abroad"]), min_size=1, unique=True)
conditions = st.one_of(
    st.builds(lambda word: {"Field": "Modality", "Equals": word}, modalities),
    st.builds(lambda name: {"Field": "Clinic", "Equals": name}, st.sampled_from(["outremont", "laval"])),
    st.builds(lambda time: {"Field": "Now.Time", "AtLeast": time}, st.sampled_from(["08:00", "12:00"])),
)
effects = st.one_of(
    st.builds(lambda names: {"DeliverTo": names}, destinations), st.just({"Hold": "a person looks at it"})
)
rules = st.lists(st.builds(lambda when, effect: {"When": when, **effect}, conditions, effects), max_size=4)
documents = st.builds(
    lambda found: {**BEFORE, "Rules": [{"Name": str(number), **each} for number, each in enumerate(found)]}, rules
)
studies = st.lists(
    st.builds(
        lambda modality, called, minutes: [
            1,
            f"2026-07-02T{minutes // 60:02d}:{minutes % 60:02d}:00+00:00",
            "P1",
            {"Series": [{"Modality": [modality]}], "Origin": {"CalledAet": called}},
        ],
        modalities,
        st.sampled_from(["OUTREMONT", "LAVAL", "NOBODY"]),
        st.integers(0, 1439),
    ),
    max_size=5,
)


@given(documents, studies)
def test_equal_configurations_change_nothing(document: dict[str, Any], page: list[Any]) -> None:
    configuration = load_bare(document, Path())
    answer = Judge(configuration, load_bare(document, Path())).page(json.dumps(page))
    tally = Tally.from_json(answer["Tally"])
    assert (answer["Changes"], tally.changed, tally.studies) == ([], 0, len(page))
    assert tally.before == tally.after


@given(documents, documents, studies)
def test_the_way_back_gives_back_what_the_way_there_took(
    one: dict[str, Any], other: dict[str, Any], page: list[Any]
) -> None:
    first, second = load_bare(one, Path()), load_bare(other, Path())
    there = Tally.from_json(Judge(first, second).page(json.dumps(page))["Tally"])
    back = Tally.from_json(Judge(second, first).page(json.dumps(page))["Tally"])
    assert (there.before, there.after, there.changed) == (back.after, back.before, back.changed)
    for kind, mirror in ((Kind.Added, Kind.Removed), (Kind.Held, Kind.Released), (Kind.Clinic, Kind.Clinic)):
        assert there.kinds[kind] == back.kinds[mirror]
        assert there.kinds[mirror] == back.kinds[kind]


def test_another_process_judges_alike(tmp_path: Path) -> None:
    pages = [
        json.dumps([[1, "2026-07-02T10:00:00+00:00", "P1", {"Series": [{"Modality": [modality]}]}]] * size)
        for modality, size in (("PX", 1), ("CT", 3), ("MR", 700))
    ]
    here = Judge(load_bare(BEFORE, tmp_path), load_bare(AFTER, tmp_path))
    with JudgeApart(
        find_interpreter(), BEFORE, AFTER, restrictions=(), directory=tmp_path, stopping=threading.Event()
    ) as apart:
        for page in pages:
            assert apart.page(page) == json.loads(json.dumps(here.page(page)))


def test_another_process_does_not_hold_up_the_end(tmp_path: Path) -> None:
    stopping = threading.Event()
    studies_without_end = [[1, "2026-07-02T10:00:00+00:00", "P1", {"Series": [{"Modality": ["PX"]}]}]] * 100_000
    with JudgeApart(find_interpreter(), BEFORE, AFTER, restrictions=(), directory=tmp_path, stopping=stopping) as apart:
        timer = threading.Timer(0.5, stopping.set)
        timer.start()
        with pytest.raises(StoppingError):
            apart.page(json.dumps(studies_without_end))
        timer.join()
    assert apart._process.returncode is not None
