"""Notifications to a real HTTP receiver, on both databases, with a clock that tests turn."""

from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook

from relais.audit import Audit
from relais.clock import SystemClock
from relais.configuration import Configuration, load
from relais.database import Database
from relais.database.tables import notification, notification_attempt, task
from relais.domain.retry import NOTIFICATION_SCHEDULE, retry_after
from relais.errors import StateError
from relais.journal import Journal, Subject
from relais.notify import Notify
from relais.tasks import Tasks
from tests.servers.clock import FakeClock
from tests.servers.receiver import Answer, Receiver
from tests.servers.rows import add_study

SECRET = "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
LANE = "subscriber:crm"


class Post:
    """What stands between a study's event and its subscriber."""

    def __init__(self, database: Database, receiver: Receiver, folder: Path, **options: Any) -> None:
        self.database = database
        self.receiver = receiver
        # Signatures are checked against the real time, so the clock starts there.
        self.clock = FakeClock(SystemClock().now())
        self.tasks = Tasks(database, self.clock, owner="here/1")
        subscriber: dict[str, Any] = {"Url": receiver.url, "Secret": SECRET, "TimeoutSeconds": 1, **options}
        configuration: Configuration = load({"Subscribers": {"crm": subscriber}}, directory=folder)
        self.journal = Journal(
            audit=Audit(self.clock, "here"),
            clock=self.clock,
            tasks=self.tasks,
            subscribers=configuration.subscribers,
        )
        self.notify = Notify(
            database=database,
            clock=self.clock,
            tasks=self.tasks,
            journal=self.journal,
            configuration=configuration,
        )

    def record(self, action: str = "study.routed") -> None:
        with self.database.write() as connection:
            subject = Subject(id=add_study(connection), study_instance_uid="1.2.3")
            self.journal.record(connection, action, subject=subject, Destinations=["vna"])

    def run(self) -> int:
        """One attempt of everything that is due; says how many that were."""
        claims = self.tasks.claim(self.tasks.due({LANE: 10}))
        for claim in claims:
            self.notify(claim)
        return len(claims)

    def row(self) -> Any:
        with self.database.read() as connection:
            return connection.execute(select(notification)).one()

    def count(self, table: Any) -> int:
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def post(database: Database, receiver: Receiver, tmp_path: Path) -> Post:
    return Post(database, receiver, tmp_path)


def test_an_event_is_told_once_and_signed(post: Post) -> None:
    post.record()
    assert (post.run(), post.run()) == (1, 0)
    (request,) = post.receiver.requests
    told = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert told["type"] == "study.routed"
    assert told["data"] == {"StudyInstanceUID": "1.2.3", "Destinations": ["vna"]}
    assert post.row().state == "Completed"
    assert post.count(task) == 0


@pytest.mark.parametrize("include", [True, False])
def test_patient_data_goes_only_to_whom_it_was_promised(
    database: Database, receiver: Receiver, tmp_path: Path, include: bool
) -> None:
    post = Post(database, receiver, tmp_path, IncludePatient=include)
    post.record()
    post.run()
    told = post.receiver.requests[0].json["data"]
    assert ("Patient" in told) is include
    assert ("Gagné^Zoé" in post.receiver.requests[0].body.decode()) is include


def test_only_wanted_events_are_told(database: Database, receiver: Receiver, tmp_path: Path) -> None:
    post = Post(database, receiver, tmp_path, Events=["delivery.*"])
    post.record("study.routed")
    assert post.run() == 0
    post.record("delivery.failed")
    assert post.run() == 1


def test_it_goes_on_for_three_days_under_one_id_and_then_waits_for_a_person(post: Post) -> None:
    post.receiver.answer = Answer(status=500, body=b"broken")
    post.record()
    attempts = 0
    while post.row().state == "Scheduled":
        attempts += post.run()
        post.clock.advance(timedelta(days=1, hours=3))
    assert attempts == len(NOTIFICATION_SCHEDULE) + 1
    assert post.row().state == "Failed"
    assert post.count(notification_attempt) == attempts
    post.receiver.answer = Answer()
    post.notify.redeliver(post.row().id, actor="alice", reason="mended")
    assert post.run() == 1
    assert post.row().state == "Completed"
    assert len({request.headers["webhook-id"] for request in post.receiver.requests}) == 1


@pytest.mark.parametrize("as_date", [True, False])
def test_a_subscriber_may_ask_for_a_longer_wait(post: Post, as_date: bool) -> None:
    wait = timedelta(minutes=10)
    value = format_datetime(post.clock.now() + wait, usegmt=True) if as_date else "600"
    post.receiver.answer_next(Answer(status=503, headers={"Retry-After": value}))
    post.record()
    post.run()
    post.clock.advance(wait - timedelta(seconds=2))
    assert post.run() == 0
    post.clock.advance(timedelta(seconds=3))
    assert post.run() == 1


def test_gone_disables_and_a_person_enables_with_what_was_missed(post: Post) -> None:
    post.receiver.answer_next(Answer(status=410))
    post.record()
    assert post.run() == 1
    post.record()
    assert post.run() == 0
    post.notify.enable("crm", actor="alice", reason="it is back")
    assert post.run() == 2
    with pytest.raises(StateError):
        post.notify.enable("crm", actor="alice", reason="twice")


@pytest.mark.parametrize(
    "answer", [Answer(hang_up=True), Answer(delay=3), Answer(status=302, headers={"Location": "/"})]
)
def test_what_is_not_a_yes_is_tried_again(post: Post, answer: Answer) -> None:
    post.receiver.answer_next(answer)
    post.record()
    post.run()
    row = post.row()
    assert (row.state, row.attempts) == ("Scheduled", 1)
    assert row.last_error
    assert post.receiver.url not in row.last_error


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e9", "Wed, 99 Foo", "٣"])
def test_a_senseless_retry_after_is_no_wait(post: Post, value: str) -> None:
    found = retry_after({"Retry-After": value}, post.clock.now())
    assert found is None or found <= timedelta(days=1)
