"""The client of Orthanc's REST API, over a server that closes idle connections at the worst moment."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from relais.errors import OrthancUnavailableError
from relais.orthanc import Orthanc

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Closing:
    """Answers the first request of each connection, and closes it when the second has arrived."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            for answer in (ANSWER, b""):
                request = b""
                while not request.endswith((b"{}", b"[]") if b"Content-Length" in request else b"\r\n\r\n"):
                    request += connection.recv(65536)
                self.requests.append(request.split(b" ")[0].decode())
                connection.sendall(answer)


@pytest.fixture
def closing() -> Iterator[Closing]:
    server = Closing()
    yield server
    server.listener.close()


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_may_be_done_twice_is_asked_again(closing: Closing, method: str) -> None:
    orthanc = Orthanc(closing.url)
    for _ in range(3):
        orthanc.get("/system") if method == "GET" else orthanc.put("/modalities/vna", {})
    assert closing.requests == [method] * 5  # the second and the third found a connection that was being closed


def test_what_may_not_is_an_error(closing: Closing) -> None:
    orthanc = Orthanc(closing.url)
    orthanc.get("/system")
    with pytest.raises(OrthancUnavailableError):
        orthanc.post("/modalities/vna/store", [])
    assert closing.requests == ["GET", "POST"]


def test_the_end_of_a_job_is_heard_before_and_while_one_waits_for_it() -> None:
    orthanc = Orthanc("http://127.0.0.1:1")
    orthanc.hear("quick", succeeded=True)
    assert orthanc.await_job("quick", threading.TIMEOUT_MAX)
    waiting = threading.Thread(target=orthanc.await_job, args=("slow", threading.TIMEOUT_MAX), daemon=True)
    waiting.start()
    orthanc.hear("another", succeeded=True)
    assert waiting.is_alive()
    orthanc.hear("slow", succeeded=False)
    assert not orthanc.await_job("slow", threading.TIMEOUT_MAX)
    waiting.join(30)
    assert not waiting.is_alive()
