"""Subscribers that fail: they are told again under the same webhook-id, as the schedule and they themselves ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from relais.bootstrap import Relais
from tests.servers.clock import FakeClock
from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.receiver import Answer, Receiver, Request
from tests.servers.router import SECRET, section
from tests.system.conftest import RouterFactory
from tests.system.inside import composed, work

MINUTES = timedelta(minutes=1)


@contextmanager
def told_of_a_held_study(
    orthanc: OrthancServer, folder: Path, receiver: Receiver, clock: FakeClock
) -> Iterator[tuple[Relais, Study]]:
    """A study that nobody asks for, and one subscriber who is told of that alone."""
    crm = {"Url": receiver.url, "Secret": SECRET, "Events": ["study.held"], "TimeoutSeconds": 1}
    with composed(orthanc, folder, section({}, Subscribers={"crm": crm}), clock) as relais:
        study = make_study()
        send(study, orthanc.dicom_port)
        work(relais)
        clock.advance(timedelta(seconds=1))
        work(relais)
        yield relais, study


def about(receiver: Receiver, study: Study) -> list[Request]:
    return [each for each in receiver.requests if each.json["data"]["StudyInstanceUID"] == study.uid]


@pytest.mark.parametrize(
    "bad",
    [Answer(status=500), Answer(status=302), Answer(hang_up=True), Answer(delay=1.5)],
    ids=["error", "redirect", "hang up", "too late"],
)
def test_a_failed_notification_is_repeated_under_its_webhook_id(
    vna: OrthancServer, tmp_path: Path, receiver: Receiver, bad: Answer
) -> None:
    clock = FakeClock()
    receiver.answer_next(bad)
    with told_of_a_held_study(vna, tmp_path, receiver, clock) as (relais, study):
        assert len(about(receiver, study)) == 1
        clock.advance(timedelta(seconds=4))
        work(relais)
        assert len(about(receiver, study)) == 1, "the first wait is five seconds"
        clock.advance(timedelta(seconds=2))
        work(relais)
        first, second = about(receiver, study)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
        clock.advance(timedelta(days=30))
        work(relais)
        assert len(about(receiver, study)) == 2, "what was accepted is not told again"


def test_retry_after_is_respected(vna: OrthancServer, tmp_path: Path, receiver: Receiver) -> None:
    clock = FakeClock()
    receiver.answer_next(Answer(status=503, headers={"Retry-After": "600"}))
    with told_of_a_held_study(vna, tmp_path, receiver, clock) as (relais, study):
        clock.advance(9 * MINUTES)
        work(relais)
        assert len(about(receiver, study)) == 1
        clock.advance(2 * MINUTES)
        work(relais)
        assert len(about(receiver, study)) == 2


def test_a_notification_is_given_up_after_three_days_and_a_person_sends_it_again(
    vna: OrthancServer, tmp_path: Path, receiver: Receiver
) -> None:
    clock = FakeClock()
    receiver.answer = Answer(status=500)
    with told_of_a_held_study(vna, tmp_path, receiver, clock) as (relais, study):
        begun, attempts = clock.now(), [len(about(receiver, study))]
        for _ in range(5 * 24):
            clock.advance(60 * MINUTES)
            work(relais)
            attempts.append(len(about(receiver, study)))
        last = next(hours for hours, count in enumerate(attempts) if count == attempts[-1])
        assert attempts[-1] == 10
        assert 72 <= last <= 96, "three days and some hours"
        assert clock.now() - begun > timedelta(days=4)
        receiver.answer = Answer()
        relais.notify.redeliver(1, actor="alice", reason="the CRM was repaired")
        work(relais)
        told = about(receiver, study)
        assert len(told) == 11
        assert len({each.headers["webhook-id"] for each in told}) == 1


def test_gone_disables_a_subscriber_until_a_person_enables_it(
    router_factory: RouterFactory, receiver: Receiver
) -> None:
    receiver.answer_next(Answer(status=410))
    crm = {"Url": receiver.url, "Secret": SECRET, "Events": ["study.held"]}
    with router_factory(section({}, Subscribers={"crm": crm})) as router:
        first, second = make_study(), make_study()
        send(first, router.dicom_port)
        router.wait_for_study(first.uid, "Held")
        receiver.wait_for(lambda request: request.json["data"]["StudyInstanceUID"] == first.uid)
        send(second, router.dicom_port)
        router.wait_for_study(second.uid, "Held")
        assert not router.ask("subscribers")["Items"][0]["Enabled"]
        assert len(receiver.requests) == 1
        router.command("subscribers/crm/enable")
        receiver.wait_for(lambda request: request.json["data"]["StudyInstanceUID"] == second.uid)
        again = receiver.wait_for(lambda request: request is not receiver.requests[0] and _same(request, receiver))
        assert again.json["data"]["StudyInstanceUID"] == first.uid


def _same(request: Request, receiver: Receiver) -> bool:
    return request.headers["webhook-id"] == receiver.requests[0].headers["webhook-id"]


def test_redelivery_has_the_same_webhook_id(router_factory: RouterFactory, receiver: Receiver) -> None:
    crm = {"Url": receiver.url, "Secret": SECRET, "Events": ["study.held"]}
    with router_factory(section({}, Subscribers={"crm": crm})) as router:
        study = make_study()
        send(study, router.dicom_port)
        first = receiver.wait_for(lambda _request: True)
        router.wait_for_study(study.uid, "Held")
        [notification] = router.everything("notifications", "&State=Completed") or [None]
        assert notification is not None
        router.command(f"notifications/{notification['Id']}/redeliver")
        receiver.wait_for(lambda request: request is not first)
        assert {each.headers["webhook-id"] for each in receiver.requests} == {notification["EventId"]}
