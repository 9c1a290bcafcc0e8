"""Files: the test object written, read back, and deleted; and how much room is left."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from relais.configuration import FilesDestination
from relais.domain.connectivity import SPACE_LEFT, Advice, Found
from relais.transports.files import STORES
from relais.transports.files_store import Place
from relais.transports.port import SendingError
from relais.transports.probes.sample import encode, make_sample

MEGABYTE = 1 << 20

_ADVICE: Mapping[str, Advice] = {
    **dict.fromkeys(("ENOSPC", "EDQUOT"), Advice.DiskFull),
    **dict.fromkeys(("EACCES", "EPERM", "EROFS", "AccessDenied", "403"), Advice.NotPermitted),
    **dict.fromkeys(("ENOENT", "ENOTDIR", "EEXIST", "NoSuchBucket", "404"), Advice.FolderMissing),
    **dict.fromkeys(
        ("authentication", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoCredentialsError"), Advice.Unauthorized
    ),
    **dict.fromkeys(("host-key-unknown", "known-hosts"), Advice.HostKeyUnknown),
    "host-key-changed": Advice.HostKeyChanged,
    "private-key": Advice.PrivateKey,
    "certificate": Advice.CertificateIssuer,
    "timeout": Advice.NoAnswer,
    "refused": Advice.Refused,
}
"""What to say of a failure, by the code that the way of sending gives it."""


@runtime_checkable
class Measures(Protocol):
    """A place that knows how much room it has."""

    def free(self) -> int:
        """Free bytes; raises SendingError."""
        ...


class FilesSteps:
    """The steps in one place for files."""

    def __init__(self, destination: FilesDestination) -> None:
        parts = urlsplit(destination.url)
        self._where: dict[str, Any] = {"Url": destination.url}
        if parts.hostname and parts.scheme != "s3":
            self._where["Host"] = parts.hostname
        self._store = STORES[parts.scheme](destination)
        self._path = f"relais-test-{uuid.uuid4().hex}.dcm"
        self._content = encode(make_sample())
        self._closed = threading.Event()

    def write(self, _seconds: float) -> Found:
        """Write the test object."""

        def put(place: Place) -> Found:
            place.write(self._path, iter([self._content]))
            place.settle()
            return Found(facts={"Path": self._path, "Bytes": len(self._content)})

        return self._in_place(put)

    def read(self, _seconds: float) -> Found:
        """Read it back and compare it, byte for byte."""

        def compare(place: Place) -> Found:
            same = b"".join(place.read(self._path)) == self._content
            return Found(facts={"Path": self._path}, advice=() if same else (Advice.ReadDiffers,))

        return self._in_place(compare)

    def delete(self, _seconds: float) -> Found:
        """Delete it."""

        def remove(place: Place) -> Found:
            place.remove(self._path)
            return Found(facts={"Path": self._path})

        found = self._in_place(remove)
        return found if not found.advice else Found(facts=found.facts, advice=(Advice.NotDeleted,))

    def space(self, _seconds: float) -> Found:
        """How much room is left, where that can be known."""

        def measure(place: Place) -> Found:
            if not isinstance(place, Measures):
                return Found(advice=(Advice.SpaceUnknown,))
            free = place.free()
            low = (Advice.SpaceLow,) if free < SPACE_LEFT else ()
            return Found(facts={"FreeMegabytes": free // MEGABYTE}, advice=low)

        return self._in_place(measure)

    def close(self) -> None:
        """Let go of connections."""
        self._closed.set()
        self._store.close()

    def _in_place(self, action: Callable[[Place], Found]) -> Found:
        try:
            with self._store.opened(self._closed) as place:
                found = action(place)
        except SendingError as error:
            facts = {"Path": self._path, "Code": error.code, "Text": error.text}
            return Found(facts={**self._where, **facts}, advice=(_ADVICE.get(error.code, Advice.FilesFailed),))
        return Found(facts={**self._where, **found.facts}, advice=found.advice)
