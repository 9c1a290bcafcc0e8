"""The receivers that the manual shows take what a real router sends, once, and refuse what it did not sign."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import playwright
import pytest
import urllib3
from standardwebhooks import Webhook

from tests.docs.markdown import DOCS, blocks
from tests.servers.dicom import make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.ports import free_port, is_listening
from tests.servers.router import SECRET, destination, section
from tests.servers.waiting import eventually
from tests.system.conftest import RouterFactory

NODE = Path(playwright.__file__).parent / "driver" / "node"  # comes with Playwright: nothing to install
INTERPRETERS = {"python": (Path(sys.executable), "py"), "js": (NODE, "js")}

Archives = tuple[OrthancServer, OrthancServer]


class Example:
    """One of the manual's receivers, running."""

    def __init__(self, folder: Path, language: str) -> None:
        (found,) = [
            each for each in blocks((DOCS / "how-to/verify-webhooks.md").read_text()) if each.language == language
        ]
        interpreter, suffix = INTERPRETERS[language]
        self._script = folder / f"receiver.{suffix}"
        self._script.write_text(found.text)
        self._command = [str(interpreter), str(self._script)]
        self._log = folder / "receiver.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/webhook"

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it, and return once it listens."""
        settings = {"DICOM_WEBHOOK_SECRET": SECRET, "PORT": str(self.port), "DATABASE": ":memory:"}
        with self._log.open("wb") as log:
            process = subprocess.Popen(self._command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT)
        try:
            eventually(lambda: is_listening(self.port), what="the receiver listens")
        except AssertionError:
            process.kill()
            process.wait()
            raise AssertionError(self._log.read_text()) from None
        return process

    def new_events(self) -> list[str]:
        """The types that it took for new, sorted."""
        return sorted(line.removeprefix("new: ") for line in self._log.read_text().splitlines())


@pytest.fixture(params=INTERPRETERS)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Example]:
    made = Example(tmp_path, request.param)
    process = made.start()
    yield made
    process.kill()
    process.wait()


def test_it_takes_what_the_router_sends(example: Example, router_factory: RouterFactory, archives: Archives) -> None:
    vna = destination("VNA1", archives[0].dicom_port)
    router = router_factory(section({"vna": vna}, subscribers={"crm": example.url})).start()
    send(make_study(), router.dicom_port)
    told = ["delivery.completed", "study.complete", "study.received", "study.routed"]
    eventually(lambda: example.new_events() == told, 20, "the receiver took every event for new, once")
    eventually(lambda: _states(router) == {"Completed"}, what="the router knows")


def test_it_takes_an_event_once_and_no_forgery(example: Example) -> None:
    body = b'{"type":"study.routed","timestamp":"2026-04-06T13:30:12+00:00","data":{}}'
    genuine = _signed("msg_1", body)
    assert _post(example, body, genuine) == 204
    assert _post(example, body, genuine) == 204
    assert _post(example, body + b" ", genuine) == 400
    assert _post(example, body, genuine | {"webhook-id": "msg_2"}) == 400
    assert _post(example, body, genuine | {"webhook-timestamp": "1700000000"}) == 400
    assert _post(example, body, {}) == 400
    assert example.new_events() == ["study.routed"]


def _states(router: OrthancServer) -> set[str]:
    return {each["State"] for each in router.rest.get("/relais/v1/notifications")["Items"]}


def _signed(event_id: str, body: bytes) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(event_id, now, body.decode()),
    }


def _post(example: Example, body: bytes, headers: Mapping[str, str]) -> int:
    answer = urllib3.request("POST", example.url, body=body, headers=dict(headers), retries=False)
    return answer.status
