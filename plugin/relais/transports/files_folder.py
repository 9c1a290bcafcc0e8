"""A folder of this machine, or one mounted on it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from relais.configuration.destinations import FilesDestination
from relais.transports.files_store import CHUNK, refused_by_system
from relais.transports.port import Stop

PART = ".part"
"""The end of the name of a file that is not whole yet."""
_BLOCK = b"\0" * 4096


class FolderStore:
    """The folder of a `file://` URL."""

    def __init__(self, destination: FilesDestination) -> None:
        self._url = destination.url
        self._root = Path(unquote(urlsplit(destination.url).path) or "/")

    def probe(self) -> None:
        """Make the folder if need be, and a file without a name in it, so that a full disk shows too."""
        with _told(self._url):
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._root) as file:
                file.write(_BLOCK)

    @contextmanager
    def opened(self, stopping: Stop) -> Iterator[FolderPlace]:
        """The folder."""
        yield FolderPlace(self._url, self._root, stopping)

    def close(self) -> None:
        """Nothing is kept open."""


class FolderPlace:
    """A folder, and which of its folders have new names that are not on the disk yet."""

    def __init__(self, url: str, root: Path, stopping: Stop) -> None:
        self._url = url
        self._root = root
        self._stopping = stopping
        self._made: set[Path] = set()
        self._unsettled: set[Path] = set()

    def size(self, path: str) -> int | None:
        """The bytes of a file; None if there is none."""
        with _told(self._url):
            try:
                return (self._root / path).stat().st_size
            except FileNotFoundError:
                return None

    def read(self, path: str) -> Iterator[bytes]:
        """A file that is there, in chunks."""
        with _told(self._url), (self._root / path).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def write(self, path: str, content: Iterable[bytes]) -> None:
        """Put a file there under another name, onto the disk, then give it its own.

        The other name is never used again, and whoever comes to the folder next deletes it: so a write that hangs, here
        or on another node, cannot rename what another one wrote, nor take its place later.
        """
        final = self._root / path
        temporary = final.with_name(f".{final.name}.{uuid4().hex}{PART}")
        with _told(self._url):
            self._make(final.parent)
            try:
                with temporary.open("wb") as file:
                    for chunk in content:
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                self._check()
                temporary.replace(final)
            finally:
                with suppress(OSError):  # there is none any more when all went well
                    temporary.unlink()
            self._unsettled.add(final.parent)

    def remove(self, path: str) -> None:
        """Delete a file that is there."""
        with _told(self._url):
            (self._root / path).unlink()

    def free(self) -> int:
        """The bytes that are free for us."""
        with _told(self._url):
            disk = os.statvfs(self._root)
        return disk.f_bavail * disk.f_frsize

    def settle(self) -> None:
        """Put the new names onto the disk (fsync of each folder)."""
        with _told(self._url):
            for folder in self._unsettled:
                handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
        self._unsettled.clear()

    def _check(self) -> None:
        if self._stopping.is_set():
            raise InterruptedError

    def _make(self, folder: Path) -> None:
        if folder in self._made:
            return
        self._unsettled |= {each.parent for each in (folder, *folder.parents) if not each.exists()}
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".*{PART}"):  # by a kill, or by a write that hangs
            self._check()
            left.unlink(missing_ok=True)
        self._made.add(folder)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Whatever the file system refuses, as a SendingError."""
    try:
        yield
    except InterruptedError:  # ours: the batch is given up
        raise
    except OSError as error:
        raise refused_by_system(error, url) from error
