"""The WSGI bridge: over a real Orthanc, and towards plugins of other versions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from werkzeug.wrappers import Request, Response

from relais.web.bridge import callback_of
from tests.servers.orthanc import OrthancServer

PROBE = Path(__file__).with_name("bridge_probe.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("bridge"), script=PROBE) as running:
        yield running


def ask(server: OrthancServer, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, server.url + path, redirect=False, retries=False, timeout=10, **options)


def seen(server: OrthancServer, method: str, path: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(server, method, path, **options).data)
    return found


@pytest.mark.parametrize("status", [200, 201, 202, 204, 303, 304, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503])
@pytest.mark.parametrize("empty", ["", "?empty=1"])
def test_a_status_arrives_with_headers_and_body(server: OrthancServer, status: int, empty: str) -> None:
    answer = ask(server, "GET", f"/relais/status/{status}{empty}")
    assert answer.status == status
    if status != 304:  # WSGI sends none with it
        assert answer.headers.getlist("Content-Type") == ["application/json; charset=utf-8"]
    assert answer.headers["X-Test"] == "1"
    assert answer.headers["ETag"] == '"abc"'
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
    has_body = not empty and status not in (204, 304)
    assert answer.data.decode() == ('{"été": 1}' if has_body else "")


def test_a_method_that_is_not_allowed_names_those_that_are(server: OrthancServer) -> None:
    answer = ask(server, "GET", "/relais/status/405")
    assert (answer.status, answer.headers["Allow"], answer.data) == (405, "GET, POST", b"")


@pytest.mark.parametrize("status", [308, 418, 429, 511])
def test_a_status_that_orthanc_does_not_know_still_is_an_answer(server: OrthancServer, status: int) -> None:
    assert ask(server, "GET", f"/relais/status/{status}").status == 503


@pytest.mark.parametrize(("depth", "status"), [(800, 200), (100_000, 400)])
def test_a_nested_body_does_not_run_over_the_stack(server: OrthancServer, depth: int, status: int) -> None:
    """Orthanc's own threads for requests have 100 KB, which 300 levels use up: the process dies."""
    body = b'{"a":' * depth + b"1" + b"}" * depth
    assert ask(server, "POST", "/relais/nested", body=body).status == status
    assert server.is_running


def test_bytes_arrive_as_they_are(server: OrthancServer) -> None:
    answer = ask(server, "GET", "/relais/binary")
    assert (answer.headers["Content-Type"], answer.data) == ("image/jpeg", bytes(range(256)) * 4)


def test_a_failure_is_answered_and_logged_without_its_message(server: OrthancServer) -> None:
    answer = ask(server, "GET", "/relais/raise")
    assert answer.status == 500
    assert json.loads(answer.data) == {"Error": "Internal error", "Details": []}
    assert ask(server, "GET", "/relais/binary").status == 200
    assert "Tremblay" not in server.log_text.replace('raise ValueError("Tremblay")', "")


def test_a_request_arrives_whole(server: OrthancServer) -> None:
    found = seen(server, "GET", "/relais/a%20b/%C3%A9?x=%C3%A9%20y+z&n=a%26b", headers={"X-Some": "one"})
    assert found["Path"] == "/relais/a b/é"
    assert found["Query"] == {"x": "é y z", "n": "a&b"}
    assert found["Headers"]["X-Some"] == "one"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_arrives_as_it_is(server: OrthancServer, method: str) -> None:
    body = bytes(range(256))
    found = seen(server, method, "/relais/x", body=body, headers={"Content-Type": "application/json"})
    assert (found["Method"], found["Body"].encode("latin-1")) == (method, body)
    assert found["Headers"]["Content-Type"] == "application/json"


def test_a_delete_arrives(server: OrthancServer) -> None:
    assert seen(server, "DELETE", "/relais/x")["Method"] == "DELETE"


class NewerOutput:
    """What a plugin from 4.2 on hands over: `SendHttpStatus` takes no size."""

    def __init__(self) -> None:
        self.sent: tuple[int, str] | None = None

    def SetHttpHeader(self, name: str, value: str) -> None:  # noqa: N802 - Orthanc's name
        """Take a header."""

    def SendHttpStatus(self, *arguments: Any) -> None:  # noqa: N802 - Orthanc's name
        """Take a status and a text, and nothing more."""
        if len(arguments) != 2:
            raise TypeError("function takes exactly 2 arguments")
        self.sent = arguments


def test_newer_plugins_take_no_size() -> None:
    @Request.application
    def teapot(_request: Request) -> Response:
        return Response("é", 404)

    output = NewerOutput()
    callback_of(teapot)(output, "/relais", method="GET", headers={}, get={})
    assert output.sent == (404, "é")
