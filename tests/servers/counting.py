"""Archives that count all they get, from the first connection on, for tests of what must not be sent."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

import pydicom
from pydicom.dataset import Dataset
from pynetdicom import evt

from tests.servers.scp import StorageScp
from tests.servers.stow import Answer, StowServer

Key = tuple[int, int]
"""An image, by what de-identification does not touch: Rows, which the test chose for its study, and InstanceNumber."""
_CLOSING = (0x05, 0x06, 0x07)
"""PDU types that end an association that was opened before (PS3.8 section 9.3): release and abort."""


@dataclass(frozen=True)
class Counted:
    """What a receiver got so far: connections and requests, bytes of them, and images."""

    contacts: int
    bytes: int
    images: int


class Receiver(Protocol):
    """A destination that counts from the first byte on, and answers no image while it is not `released`."""

    released: threading.Event
    images: list[Key]
    had: set[Key]

    def counted(self) -> Counted:
        """What it got so far."""
        ...

    def waiting(self) -> int:
        """How many images wait for their answer."""
        ...

    def section(self) -> dict[str, Any]:
        """How it is reached."""
        ...


class CountingScp(StorageScp):
    """Counts connections, every PDU but those that end an association, and images before they are answered."""

    def __init__(self, aet: str) -> None:
        super().__init__(aet)
        self.images: list[Key] = []
        self.had: set[Key] = set()
        self._opened = self._bytes = 0
        self._counting = threading.Lock()

    def counted(self) -> Counted:
        with self._counting:
            return Counted(self._opened, self._bytes, len(self.images))

    def waiting(self) -> int:
        return len(self.callers)

    def section(self) -> dict[str, Any]:
        return {"Kind": "Dicom", "Aet": self.aet, "Host": "127.0.0.1", "Port": self.port}

    def _handlers(self) -> list[Any]:
        return [*super()._handlers(), (evt.EVT_CONN_OPEN, self._open), (evt.EVT_DATA_RECV, self._read)]

    def _open(self, _event: evt.Event) -> None:
        with self._counting:
            self._opened += 1

    def _read(self, event: evt.Event) -> None:
        content: bytes = event.data
        if content[0] not in _CLOSING:
            with self._counting:
                self._bytes += len(content)

    def _store(self, event: evt.Event) -> int:
        with self._counting:
            self.images.append(key := _key(event.dataset))
            self.had.add(key)
        return super()._store(event)


class CountingStow(StowServer):
    """Counts connections, requests, and the images of each with their bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.released.set()
        self.images: list[Key] = []
        self.had: set[Key] = set()
        self._asked = self._bytes = self._waiting = 0
        self._counting = threading.Lock()

    def counted(self) -> Counted:
        with self._counting:
            return Counted(self.connections + len(self.requests) + self._asked, self._bytes, len(self.images))

    def waiting(self) -> int:
        with self._counting:
            return self._waiting

    def section(self) -> dict[str, Any]:
        return {"Kind": "DicomWeb", "Url": self.url}

    def _answer(self) -> Answer:
        with self._counting:
            self._asked += 1
        return super()._answer()

    def _take(self, instances: Mapping[str, bytes], answer: Answer) -> Answer:
        with self._counting:
            self._bytes += sum(map(len, instances.values()))
            self.images += (keys := [_key(pydicom.dcmread(BytesIO(each))) for each in instances.values()])
            self.had.update(keys)
            self._waiting += 1
        self.released.wait(60)
        with self._counting:
            self._waiting -= 1
        return super()._take(instances, answer)


def _key(dataset: Dataset) -> Key:
    return int(dataset.Rows), int(dataset.InstanceNumber)
