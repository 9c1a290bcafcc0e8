"""What a place for files promises, whatever it is made of: a folder, a bucket, a server."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from relais.domain.retry import ErrorClass
from relais.transports.port import SendingError, Stop

PROBE_SECONDS = 5
CHUNK = 1 << 18
"""Bytes read at once of what is read back."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_SETTINGS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP}
_REFUSALS = {errno.ENAMETOOLONG, errno.EFBIG, errno.EINVAL, errno.EISDIR}


class Place(Protocol):
    """A store while a batch is with it; paths are relative and use `/`.

    What fails leaves the block that opened the store as SendingError.
    """

    def size(self, path: str) -> int | None:
        """The bytes of a file; None if there is none."""
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """A file that is there, in chunks."""
        ...

    def write(self, path: str, content: Iterable[bytes]) -> None:
        """Put a file there, whole or not at all, in place of the one of that name.

        What `content` raises passes through, and leaves nothing behind.
        """
        ...

    def remove(self, path: str) -> None:
        """Delete a file that is there."""
        ...

    def settle(self) -> None:
        """Return once all that was written outlives a loss of power, as far as the store can promise it."""
        ...


class Store(Protocol):
    """Where the files of one destination are; safe to share between threads."""

    def probe(self) -> None:
        """See within some seconds whether files can be written there; raises SendingError when not."""
        ...

    def opened(self, stopping: Stop) -> AbstractContextManager[Place]:
        """The store for one thread's batch, given up with InterruptedError when `stopping` is set."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def refused_by_system(error: OSError, where: str) -> SendingError:
    """What an operating system's error asks for (POSIX errno); `where` is the destination's URL."""
    code = errno.errorcode.get(error.errno or 0, "io-error")
    text = f"{where}: {error.strerror or 'the file system failed'}"
    if error.errno in _FULL:
        return SendingError(ErrorClass.Transient, code, text, unreachable=True)
    if error.errno in _SETTINGS:
        return SendingError(ErrorClass.Configuration, code, text)
    if error.errno in _REFUSALS:
        return SendingError(ErrorClass.Permanent, code, text)
    return SendingError(ErrorClass.Transient, code, text, unreachable=True)
