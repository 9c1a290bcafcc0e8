"""Random edits of what the law depends on, between plan and send: not one byte to whom it was forbidden just then.

Relais runs by hand over a real Orthanc and real receivers that count. After every edit an oracle of its own, written
from the law and not from the kernel, says who may get what. `RELAIS_CHAOS_SEED` repeats a campaign; `make test` runs a
short one, `make chaos` the long one.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from relais.bootstrap import Relais, compose
from relais.database.tables import audit, delivery, study
from relais.restrictions import Wish
from relais.tasks import Claim
from tests.servers.clock import FakeClock
from tests.servers.counting import Counted, CountingScp, CountingStow, Key, Receiver
from tests.servers.dicom import Image, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.router import QUEBEC
from tests.servers.waiting import eventually
from tests.system import edits
from tests.system.edits import CLINICS, NAMES, PURPOSES, QUIET, Change, first_document
from tests.system.inside import composed
from tests.system.law import Case, Document, Limit, permitted

RecordProperty = Callable[[str, object], None]

PATIENTS = ("P1", "P2", "P3")
MOST_OPEN = 8
"""Studies that wait for something at once: each is decided again whenever another version becomes active."""
PAST_RETRIES = timedelta(seconds=3)


@dataclass
class Campaign:
    """One seed's way through plans, edits and sends. `step` counts edits."""

    relais: Relais
    orthanc: OrthancServer
    clock: FakeClock
    receivers: Mapping[str, Receiver]
    document: Document
    chance: random.Random
    seed: int
    step: int = 0
    edit: str = "the beginning"
    cases: dict[int, Case] = field(default_factory=dict)
    limits: dict[int, Limit] = field(default_factory=dict)
    marks: dict[str, Counted] = field(default_factory=dict)
    withdrawn: int = 0
    """How often an image that was planned and permitted was forbidden by an edit before it was sent."""
    amid: int = 0
    """Edits while an image was on its way."""
    forbidden: int = 0
    """How often a receiver to which everything that waits is forbidden was looked at."""
    strayed: int = 0
    """The bytes that it had got."""
    _closed: dict[int, Case] = field(default_factory=dict)

    def may(self, case: Case, name: str, document: Document | None = None, now: datetime | None = None) -> bool:
        return permitted(document or self.document, self.limits, case, name, now or self.clock.now())

    def waiting(self) -> list[tuple[Case, str]]:
        return [(case, name) for case in self.cases.values() for name in NAMES if self.lacking(case, name)]

    def lacking(self, case: Case, name: str) -> set[Key]:
        return case.images - self.receivers[name].had

    def open(self) -> list[Case]:
        """The studies of which somebody still lacks an image."""
        for number, case in list(self.cases.items()):
            if not any(self.lacking(case, name) for name in NAMES):
                self._closed[number] = self.cases.pop(number)
        return list(self.cases.values())

    @property
    def studies(self) -> int:
        return len(self.cases) + len(self._closed)

    def run(self, number: int) -> None:
        """Plan, edit, send and compare, until so many edits are made."""
        while self.step < number:
            self.plan()
            if self.chance.random() < 0.5 or not self.change_amid():
                self.change()
                if self.chance.random() < 0.3:  # the former parts have not heard of the other version yet
                    self.send()
            self.follow()
            self.send()
            self.clock.advance(PAST_RETRIES)
            self.send()
            self.compare_states()

    def plan(self) -> None:
        """Studies arrive, are complete and decided; nothing is sent."""
        ready = any(self.may(*each) for each in self.waiting())
        if len(self.open()) < MOST_OPEN and (not ready or self.chance.random() < 0.5):
            self.receive()
        self.read()
        self.clock.advance(timedelta(seconds=QUIET + 0.5))
        self.read()
        wanted = {case.study.uid for case in self.cases.values()}

        def routed() -> bool:
            with self.relais.database.read() as connection:
                states = select(study.c.study_instance_uid).where(study.c.state == "Routed")
                found = connection.execute(states.where(study.c.study_instance_uid.in_(wanted))).scalars()
                return set(found) == wanted

        self.mark()
        for _ in range(5):
            if routed():
                break
            self.relais.worker.turn()
            self.rest()
        assert routed(), self.where("not every study was decided")
        self.compare()

    def receive(self) -> None:
        number = self.studies + 1
        patient, clinic = self.chance.choice(PATIENTS), self.chance.choice(CLINICS)
        made = make_study(
            instances=2,
            image=Image(rows=number, columns=4, pixels=b""),
            tags={"PatientID": patient, "InstitutionName": f"Clinique {clinic}"},
        )
        send(made, self.orthanc.dicom_port)
        self.cases[number] = Case(number, made, patient, clinic)

    def read(self) -> None:
        while not self.relais.feed.step().done:
            pass

    def rest(self) -> None:
        eventually(lambda: not self.relais.worker.running(), 30, self.where("what was claimed has ended"), pause=0.002)

    # --- edits

    def change(self) -> None:
        """One random edit; what was permitted before, and no longer is, must not be sent."""
        before = [(case, name) for case in self.open() for name in NAMES if self.may(case, name)]
        others = (self.restrict, self.lift, self.go_to_a_boundary)
        said = None
        while said is None:
            if self.chance.random() < 0.4:
                said = self.chance.choice(others)()
            else:
                weights = (6, 4 if len(self.cases) >= MOST_OPEN else 2, 1, 1)
                changes = (edits.label, edits.put_in_order, edits.clinic, edits.purpose)
                said = self.activate(*self.chance.choices(changes, weights))
        self.step, self.edit = self.step + 1, said
        self.withdrawn += sum(len(self.lacking(*each)) for each in before if not self.may(*each))
        self.mark()

    def change_amid(self) -> bool:
        """Edit while images are on their way: these end, and nothing that is forbidden now follows them.

        False when none was.
        """
        self.mark()
        for each in self.receivers.values():
            each.released.clear()
        try:
            self.relais.worker.turn()
            eventually(self.on_their_way, 30, self.where("images are on their way"), pause=0.002)
            self.compare()
            if not self.running():
                return False
            self.amid += 1
            self.change()
            if self.chance.random() < 0.3:  # and the parts that send them are taken down
                self.follow()
        finally:
            for each in self.receivers.values():
                each.released.set()
        self.rest()
        eventually(lambda: not any(each.waiting() for each in self.receivers.values()), 30, "all are answered")
        self.compare()
        return True

    def on_their_way(self) -> bool:
        running = self.running()
        waiting = sum(each.waiting() for each in self.receivers.values())
        return len(running) == waiting and all(each.kind == "deliver" for each in running)

    def running(self) -> list[Claim]:
        """What runs, but for digests: these wait for deliveries."""
        return [each for each in self.relais.worker.running() if each.kind != "digest"]

    def activate(self, change: Change) -> str | None:
        document = json.loads(json.dumps(self.document))
        said = change(document, self.chance, self.clock.now())
        if document == self.document:
            return None
        waiting = self.waiting()
        matters = any(self.may(*each) != self.may(*each, document) for each in waiting)
        if waiting and not matters and self.chance.random() < 0.7:  # most edits shall change what the law says
            return None
        versions = self.relais.versions
        drafted = versions.draft(document, actor="someone")
        versions.activate(drafted.number, actor="someone")
        self.document = document
        return said

    def follow(self) -> None:
        """Compose the active version anew on the same ground, as the house does."""
        former = self.relais
        if former.versions.active_digest() == former.configuration.digest:
            return
        self.relais = compose(former.versions.active_configuration(), former.ground)
        former.stop()
        with self.relais.database.write() as connection:
            self.relais.studies.ask_again(connection)
        self.relais.tasks.reclaim(also_of=self.relais.surroundings.node)

    def restrict(self) -> str | None:
        if len(self.limits) >= 3 or not self.cases:
            return None
        now = self.clock.now()
        case = self.chance.choice(list(self.cases.values()))
        of_study = self.chance.random() < 0.5
        since = self.chance.choice((None, None, now + timedelta(hours=5)))
        until = self.chance.choice((None, now + timedelta(hours=30)))
        wish = Wish(
            study_instance_uid=case.study.uid if of_study else None,
            patient_id=None if of_study else case.patient,
            destinations=self.chance.choice(((), ("on",), ("qc", "web"))),
            regions=self.chance.choice(((), ("CA",), ("US-NY",), ("CA-QC",))),
            since=since,
            until=until,
            reason="asked on paper",
        )
        number = self.relais.restrictions.set(wish, actor="privacy")
        self.limits[number] = Limit(
            number, wish.study_instance_uid, wish.patient_id, wish.destinations, wish.regions, since or now, until
        )
        return f"restriction {self.limits[number]}"

    def lift(self) -> str | None:
        if not self.limits:
            return None
        number = self.chance.choice(sorted(self.limits))
        self.relais.restrictions.lift(number, actor="privacy", reason="asked on paper")
        del self.limits[number]
        return f"restriction {number} lifted"

    def go_to_a_boundary(self) -> str | None:
        """Time passes until just before, or at, the moment at which a document or a restriction begins or ends."""
        now = self.clock.now()
        moments = set(edits.boundaries(self.document))
        moments |= {moment for each in self.limits.values() for moment in (each.since, each.until) if moment}
        near = sorted(each for each in moments if now + timedelta(seconds=1) < each < now + timedelta(days=4))
        if not near:
            return None
        turning = [each for each in near if any(self.may(*one) != self.may(*one, now=each) for one in self.waiting())]
        moment = self.chance.choice((turning or near)[:3]) - self.chance.choice((timedelta(0), timedelta(seconds=1)))
        self.clock.advance(moment - now)
        return f"it is {moment.isoformat()}"

    # --- what came of them

    def send(self) -> None:
        """Whatever is due runs; nobody gets what is forbidden now."""
        self.mark()
        self.read()
        while self.relais.worker.turn():
            self.rest()
            self.read()
        self.compare()

    def mark(self) -> None:
        self.marks = {name: each.counted() for name, each in self.receivers.items()}

    def compare(self) -> None:
        """Since the last mark the law was the same: nobody got a byte of what it forbids."""
        known = self.cases | self._closed
        for name, each in self.receivers.items():
            before, after = self.marks[name], each.counted()
            if not any(self.may(case, name) for case in self.cases.values()):
                self.forbidden += 1
                self.strayed += after.bytes - before.bytes
                assert after == before, self.where(f"{name} may get nothing, and got {before} → {after}")
            for number, image in each.images[before.images : after.images]:
                assert self.may(known[number], name), self.where(f"{name} got image {image} of study {number}")

    def compare_states(self) -> None:
        """What is permitted is there, and what is missing is blocked."""
        for case, name in self.waiting():
            with self.relais.database.read() as connection:
                state = connection.execute(
                    select(delivery.c.state)
                    .join(study, study.c.id == delivery.c.study_id)
                    .where(delivery.c.destination == name, study.c.study_instance_uid == case.study.uid)
                ).scalar()
            assert not self.may(case, name), self.where(f"{name} may get study {case.number}, which is {state}")
            assert state == "Blocked", self.where(f"{name} may not get study {case.number}, which is {state}")

    def where(self, what: str) -> str:
        return f"{what} (RELAIS_CHAOS_SEED={self.seed}, edit {self.step}: {self.edit})"

    def end(self) -> None:
        """Everything becomes lawful: everybody gets what they still lack."""
        for number in list(self.limits):
            self.relais.restrictions.lift(number, actor="privacy", reason="the end")
            del self.limits[number]

        def change(document: Document, _chance: random.Random, _now: datetime) -> str:
            for each in document["Destinations"].values():
                each |= {"Jurisdiction": QUEBEC, "Purposes": list(PURPOSES)}
            document["Completeness"]["QuietSeconds"] = QUIET / 2  # another document in any case
            return "everything is lawful"

        self.edit = self.activate(change) or ""
        self.follow()
        self.send()
        self.clock.advance(PAST_RETRIES)
        self.send()
        self.compare_states()
        assert self.open() == [], self.where("not everybody got everything")


@pytest.fixture
def receivers() -> Iterator[Mapping[str, Receiver]]:
    with ExitStack() as running:
        found: dict[str, Receiver] = {}
        for name in NAMES:
            made = CountingStow() if name == "web" else CountingScp(name.upper())
            running.enter_context(made)
            found[name] = made
        yield found


def campaign(
    vna: OrthancServer, folder: Path, receivers: Mapping[str, Receiver], record: RecordProperty, *, number: int
) -> None:
    seed = int(os.environ.get("RELAIS_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"RELAIS_CHAOS_SEED={seed}")  # noqa: T201 - shown with a failure, to repeat it
    began = time.monotonic()
    clock = FakeClock()
    (folder / "key").write_text("a key for pseudonyms that is long enough")
    document = first_document({name: each.section() for name, each in receivers.items()})
    with composed(vna, folder, {**document, "ConfigurationSource": "Database"}, clock) as relais:
        runs = Campaign(relais, vna, clock, receivers, document, random.Random(seed), seed)
        try:
            runs.run(number)
            runs.end()
        finally:
            runs.relais.stop()
            refused = report(runs, record, time.monotonic() - began)
    assert all((refused, runs.withdrawn, runs.amid, runs.forbidden)), "there was something to find"


def report(runs: Campaign, record: RecordProperty, seconds: float) -> int:
    """Record the figures, also of a campaign that failed; answers how many deliveries were refused."""
    with runs.relais.database.read() as connection:
        counts = connection.execute(select(audit.c.action, func.count().label("times")).group_by(audit.c.action))
        actions = {row.action: row.times for row in counts}
        refused = connection.execute(select(audit.c.detail).where(audit.c.action == "delivery.blocked")).scalars()
        blocked = {each["Delivery"] for each in refused}
        completed = set(connection.execute(select(delivery.c.id).where(delivery.c.state == "Completed")).scalars())
    got = [each.counted() for each in runs.receivers.values()]
    record(
        "chaos",
        {
            "campaign": "edits between plan and send",
            "seed": runs.seed,
            "edits": runs.step,
            "while images moved": runs.amid,
            "studies": runs.studies,
            "images sent": sum(each.images for each in got),
            "bytes sent": sum(each.bytes for each in got),
            "looks where forbidden": runs.forbidden,
            "bytes where forbidden": runs.strayed,
            "images withdrawn": runs.withdrawn,
            "refusals": actions.get("delivery.blocked", 0),
            "blocked, then delivered": len(blocked & completed),
            "in all": f"{seconds:.0f} s",
        },
    )
    return len(blocked)


def test_nothing_leaves_that_is_forbidden_over_some_edits(
    vna: OrthancServer, tmp_path: Path, receivers: Mapping[str, Receiver], record_property: RecordProperty
) -> None:
    campaign(vna, tmp_path, receivers, record_property, number=25)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_nothing_leaves_that_is_forbidden_over_two_thousand_edits(
    vna: OrthancServer, tmp_path: Path, receivers: Mapping[str, Receiver], record_property: RecordProperty
) -> None:
    campaign(vna, tmp_path, receivers, record_property, number=2000)
