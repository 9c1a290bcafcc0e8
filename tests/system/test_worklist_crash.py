"""A crash at every durable step of an order that its study completes: it is completed once, and told of once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from relais.worklist.orders import EXPIRE
from tests.servers.dicom import SendError, Study, make_study, send
from tests.servers.orthanc import RestError
from tests.servers.receiver import Receiver
from tests.servers.router import API, Router, section
from tests.servers.waiting import eventually
from tests.system.invariants import FINAL
from tests.system.test_crash_steps import CRASHED, MOST_STEPS, Beginning

FEWEST_STEPS = 20
ORDER = {
    "Clinic": "outremont",
    "CrmId": "C-1",
    "PatientName": "Gagné^Éloïse",
    "PatientID": "12345",
    "PatientBirthDate": "19840517",
    "ScheduledProcedureStepStartDate": f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}",
    "ScheduledProcedureStepStartTime": "0900",
    "ScheduledStationAETitle": "CS8100",
    "Modality": "PX",
}
NUMBER = "W0001"
POLL_SECONDS = 0.3
"""Longer than a look at the change feed, so that nothing is sent twice for impatience."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("moment", "first", "stride"),
    [  # some around the decision, which completes the order, in `make test`; each, at both moments, in `make chaos`
        pytest.param("before", 21, 3, id="before some"),
        pytest.param("before", 1, 1, id="before each", marks=pytest.mark.chaos),
        pytest.param("after", 1, 1, id="after each", marks=pytest.mark.chaos),
    ],
)
def test_a_crash_at_any_commit_completes_an_order_once(tmp_path: Path, moment: str, first: int, stride: int) -> None:
    with Receiver() as receiver:
        port = receiver.port
        clinics = {"outremont": {"CallingAets": ["CS8100"]}}
        relais = section({}, subscribers={"crm": receiver.url}, quiet=0.1, Clinics=clinics)
    beginning = Beginning(tmp_path, relais, None)
    step = first
    while _crashes(beginning, port, step, moment):
        step += stride
        assert step < MOST_STEPS
    assert step > FEWEST_STEPS


def _crashes(beginning: Beginning, port: int, number: int, moment: str) -> bool:
    """Give the order and send its study, with a crash at this commit; says whether the flow got that far."""
    armed, again = beginning.routers(number, f"{number}{'+' if moment == 'after' else ''}")
    sent = make_study(modality="PX", instances=2, tags={"AccessionNumber": NUMBER})
    with Receiver(port=port) as receiver:
        try:
            armed.start(wait=False)
            eventually(
                lambda: not armed.is_running or _through(armed, sent, receiver), 60, "it ends", pause=POLL_SECONDS
            )
            if armed.is_running:
                return False
            assert armed.wait_ended() == CRASHED
            again.start()
            goes_on = f"it goes on {moment} step {number}"
            eventually(lambda: _through(again, sent, receiver), 60, goes_on, pause=POLL_SECONDS)
            _examine(again, sent, receiver)
        finally:
            armed.kill()
            again.kill()
    return True


def _through(router: Router, sent: Study, receiver: Receiver) -> bool:
    """Do what clinic and machine do next; whether all is done."""
    try:
        if not router.everything("worklist"):
            router.rest.put(f"{API}/worklist/{NUMBER}", ORDER)
        found: Any = router.studies().get(sent.uid)
        if found is None or found["Instances"] < len(sent.instances):
            send(sent, router.dicom_port, calling_aet="CS8100")
            return False
        return (
            found["State"] in FINAL
            and router.ask(f"worklist/{NUMBER}")["State"] == "Completed"
            and bool(receiver.events("worklist.completed"))
            and {each["Kind"] for each in router.everything("tasks")} <= {EXPIRE}
            and not router.everything("notifications", "&State=Scheduled")
        )
    except (urllib3.exceptions.HTTPError, RestError, SendError, OSError):  # it crashed
        return False


def _examine(router: Router, sent: Study, receiver: Receiver) -> None:
    assert router.ask(f"worklist/{NUMBER}")["Study"] == sent.uid
    completed = [each for each in receiver.requests if each.json["type"] == "worklist.completed"]
    assert len({each.headers["webhook-id"] for each in completed}) == 1
    assert {each.json["data"]["StudyInstanceUID"] for each in completed} == {sent.uid}
    written = [each["Action"] for each in router.everything("audit")]
    assert (written.count("worklist.completed"), written.count("order.reopened")) == (1, 0)
    assert all(each["Intact"] for each in router.ask("audit/verify")["Items"])
