"""HTTP/1.1 as servers and what stands before them speak it, read by our own connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from urllib3.exceptions import ProtocolError

from relais.exchange import LONGEST_LINE, Pool


@contextmanager
def answering(*answers: bytes, hangs_up: bool = False) -> Iterator[tuple[Pool, list[int]]]:
    """A server that answers one request after the other so, and the connection on which it heard each."""
    heard: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))
    left = iter(answers)

    def serve() -> None:
        number = 0
        with suppress(OSError):  # closed
            while True:
                connection, _ = listener.accept()
                number += 1
                with connection:
                    while request := connection.recv(65536):
                        while not request.endswith(b"\r\n\r\n"):
                            request += connection.recv(65536)
                        heard.append(number)
                        connection.sendall(next(left))
                        if hangs_up:
                            break

    threading.Thread(target=serve, daemon=True).start()
    with listener, Pool("127.0.0.1", listener.getsockname()[1], timeout=5) as pool:
        yield pool, heard


def ask(pool: Pool) -> tuple[int, bytes]:
    with pool.exchange("GET", "/a file", {}) as answer:
        return answer.status, b"".join(answer)


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


def test_every_framing_is_read_to_its_end_on_one_connection() -> None:
    chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n"
    early = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\nA: b\r\n\r\n"
    with answering(PLAIN, chunks, b"HTTP/1.1 204 None\r\n\r\n", early + PLAIN) as (pool, heard):
        assert [ask(pool) for _ in range(4)] == [(200, b"abc"), (200, b"abc"), (204, b""), (200, b"abc")]
        assert heard == [1, 1, 1, 1]


@pytest.mark.parametrize("answer", [PLAIN.replace(b"OK", b"OK\r\nConnection: close"), PLAIN.replace(b"1.1", b"1.0")])
def test_a_connection_that_the_server_will_close_is_not_used_again(answer: bytes) -> None:
    with answering(answer, PLAIN, hangs_up=True) as (pool, heard):
        assert [ask(pool), ask(pool)] == [(200, b"abc")] * 2
        assert heard == [1, 2]


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    with answering(b"HTTP/1.1 404 No\r\n\r\nabc", PLAIN, hangs_up=True) as (pool, _):
        assert [ask(pool), ask(pool)] == [(404, b"abc"), (200, b"abc")]


def test_after_an_answer_that_was_not_read_to_its_end_another_connection_is_used() -> None:
    with answering(PLAIN, PLAIN) as (pool, heard):
        with pool.exchange("GET", "/", {}) as answer:
            assert answer.status == 200
        assert ask(pool) == (200, b"abc")
        assert heard == [1, 2]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + bytes(LONGEST_LINE),
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000,
    ],
)
def test_a_broken_answer_is_an_error(answer: bytes) -> None:
    with answering(answer, PLAIN, hangs_up=True) as (pool, _):
        with pytest.raises(ProtocolError):
            ask(pool)
        assert ask(pool) == (200, b"abc")


def test_no_field_ends_its_line() -> None:
    with answering(PLAIN) as (pool, heard):
        with pytest.raises(ValueError, match="line break"), pool.exchange("GET", "/", {"A": "b\r\nC: d"}):
            pass
        assert heard == []
