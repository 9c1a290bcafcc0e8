"""C-STORE (PS3.4 annex B) of files that are made on the way: those of a batch on one association of our own.

Orthanc would open one for each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from relais.domain.querying import SourceState
from relais.domain.retry import ErrorClass
from relais.transports.dimse import NO_CONTEXT, of_status
from relais.transports.port import SendingError, Stop
from relais.transports.sources.association import Line, Peer
from relais.transports.sources.port import AskingError, Until

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

FOREVER = 7 * 86400.0
_LITTLE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""Each can be sent as the other."""


class NotOpenedError(Exception):
    """There is no association, and why."""

    def __init__(self, error: SendingError) -> None:
        super().__init__(error)
        self.error = error


class StoreLine:
    """An association for one batch, opened when the first file needs it, and anew for one of another kind."""

    def __init__(self, peer: Peer, *, silence: float, stopping: Stop) -> None:
        self._peer = peer
        self._silence = silence
        self._until = Until(stopping, FOREVER)
        self._kinds: list[tuple[str, str]] = []
        self._unwanted: set[tuple[str, str]] = set()
        self._opened = ExitStack()
        self._line: Line | None = None

    def store(self, content: Iterable[bytes]) -> None:
        """Send one file; SendingError where the peer did not take it, NotOpenedError where it takes no association."""
        file = os.memfd_create("relais")  # in memory: what it shows of a patient is on no disk
        try:
            for chunk in content:
                _write(file, chunk)
            path = Path(f"/proc/self/fd/{file}")
            meta = read_file_meta_info(path)
            kind = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
            line = self._line_for(kind)
            status = line.store(path if line.takes(*kind) else _read(path))
        except AskingError as error:
            self.close()
            broken = error.code == "aborted"
            raise _told(error, unreachable=not broken) from error
        except (AttributeError, ValueError) as error:
            raise SendingError(ErrorClass.Permanent, "cannot-transcode", "it cannot be encoded for the peer") from error
        finally:
            os.close(file)
        if status != 0:
            raise of_status(f"{status:04X}", "the peer answered with this status")

    def close(self) -> None:
        """Release the association."""
        self._line = None
        self._opened.close()

    def _line_for(self, kind: tuple[str, str]) -> Line:
        """The association on which a file of this SOP class and transfer syntax can go."""
        if kind not in self._kinds:
            self.close()
            self._kinds.append(kind)
        if self._line is None and kind not in self._unwanted:
            line = Line(self._peer, _proposed(self._kinds), silence=self._silence, until=self._until)
            try:
                self._line = self._opened.enter_context(line)
            except AskingError as error:
                if error.code != "no-query":
                    raise NotOpenedError(_told(error, unreachable=True)) from error
        syntaxes = _LITTLE if kind[1] in _LITTLE else (kind[1],)
        if self._line is None or not any(self._line.takes(kind[0], each) for each in syntaxes):
            self._unwanted.add(kind)
            text = f"it does not take {UID(kind[0]).name} in {UID(kind[1]).name}"
            raise SendingError(ErrorClass.Permanent, NO_CONTEXT, text)
        return self._line


def _proposed(kinds: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is proposed for these: a peer names only one syntax of a context (PS3.8 section 7.1.1.14)."""
    proposed = [(name, each) for name, syntax in kinds for each in (_LITTLE if syntax in _LITTLE else (syntax,))]
    return list(dict.fromkeys(proposed))


def _write(file: int, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.write(file, left) :]


def _read(path: Path) -> Dataset:
    """The file, to be encoded as the other of the two."""
    return dcmread(BytesIO(path.read_bytes()))


def _told(error: AskingError, *, unreachable: bool) -> SendingError:
    if error.state is SourceState.Refused:
        return SendingError(error.error_class, "association-rejected", error.text, unreachable=True)
    code = "interrupted" if error.code == "aborted" else error.code
    return SendingError(error.error_class, code, error.text, unreachable=unreachable)
