"""The parts of a multipart/related answer, one after the other, never whole in memory (RFC 2046 section 5.1.1)."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO

SMALL = 1 << 16
LONGEST_HEAD = 1 << 16
"""Bytes of a part's headers: none that is meant has more."""
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)


class MultipartError(Exception):
    """The answer is not made as it should be, or it ends too early."""


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names; raises MultipartError."""
    found = _BOUNDARY.search(content_type)
    if found is None or not content_type.lower().startswith("multipart/related"):
        raise MultipartError
    return b"--" + (found.group(1) or found.group(2)).encode()


def parts(chunks: Iterable[bytes], boundary: bytes) -> Iterator[IO[bytes]]:
    """The body of each part as a file on disk, read from the start, closed when the next one is asked for.

    Raises MultipartError where the closing boundary never comes: whatever was cut off is not handed out.
    """
    reader = _Reader(iter(chunks))
    reader.skip_past(boundary)
    while not reader.is_last():
        reader.head()
        with TemporaryFile() as file:
            reader.copy_until(b"\r\n" + boundary, file)
            file.flush()
            file.seek(0)
            yield file


@contextmanager
def mapped(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file, which stay on disk until somebody reads them."""
    if file.seek(0, 2) == 0:
        yield b""
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        try:
            yield view  # type: ignore[misc]  # what sends bytes takes it
        finally:
            view.release()


class _Reader:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = bytearray()

    def skip_past(self, mark: bytes) -> None:
        while (found := self._held.find(mark)) < 0:
            del self._held[: max(0, len(self._held) - len(mark))]
            self._more()
        del self._held[: found + len(mark)]

    def is_last(self) -> bool:
        """Whether the boundary just read was the closing one."""
        while len(self._held) < 2:  # noqa: PLR2004 - "--" or the end of the line
            self._more()
        return self._held.startswith(b"--")

    def head(self) -> None:
        """Pass over a part's headers."""
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > LONGEST_HEAD:
                raise MultipartError
            self._more()
        del self._held[: end + 4]

    def copy_until(self, mark: bytes, file: IO[bytes]) -> None:
        """Copy what comes before the mark, and pass over it."""
        while (found := self._held.find(mark)) < 0:
            safe = len(self._held) - len(mark)
            if safe > SMALL:
                file.write(self._held[:safe])
                del self._held[:safe]
            self._more()
        file.write(self._held[:found])
        del self._held[: found + len(mark)]

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise MultipartError
        self._held += chunk
