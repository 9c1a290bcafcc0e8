"""Files under their UIDs, with a manifest written last: `{study}/{series}/{instance}.dcm`, `{study}/manifest.json`.

Every file appears whole or not at all. The manifest names those that are there, with size and SHA-256; what it does
not name was never acknowledged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from relais.clock import Clock
from relais.configuration.destinations import FilesDestination
from relais.domain.residency import Permit
from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports.aside import Aside, Hand, Made, Silence
from relais.transports.files_folder import FolderStore
from relais.transports.files_s3 import S3Store
from relais.transports.files_sftp import SftpStore
from relais.transports.files_store import PROBE_SECONDS, Place, Store
from relais.transports.port import WALL, Content, Item, OrthancApi, SendingError, Stop, admit

STORES: Mapping[str, Callable[[FilesDestination], Store]] = {"file": FolderStore, "s3": S3Store, "sftp": SftpStore}

# PS3.5 section 9.1 is stricter; devices are not. What begins with a digit and has only digits and dots leads nowhere.
_UID = re.compile(r"[0-9][0-9.]{0,63}")


class FilesTransport:
    """One destination of kind `Files`."""

    def __init__(
        self,
        orthanc: OrthancApi,
        name: str,
        destination: FilesDestination,
        content: Content,
        clock: Clock = WALL,
    ) -> None:
        self._name = name
        self._clock = clock
        self._orthanc = orthanc
        self._content = content
        self._previews = destination.previews
        self._timeout = destination.timeout
        self._store = STORES[urlsplit(destination.url).scheme](destination)
        self._aside = Aside(destination.url)

    def probe(self) -> None:
        """See within some seconds whether files can be written there."""
        self._in_time(lambda _: self._store.probe(), Silence(PROBE_SECONDS))

    def send(
        self, items: Sequence[Item], *, permit: Permit, progress: Callable[[int], None], stopping: Stop
    ) -> Mapping[str, SendingError]:
        """Write each file that is not there yet, then the manifest."""
        admit(permit, self._name, items, self._clock)
        return self._aside.run(lambda hand: self._send(items, progress, hand), stopping)

    def missing(self, items: Sequence[Item]) -> Collection[str]:
        """Those that are not there, that the manifest does not name, or whose bytes, read back, are others."""
        silence = Silence(self._timeout)
        return self._in_time(lambda hand: self._missing(items, hand, silence), silence)

    def close(self) -> None:
        """Let go of connections."""
        self._store.close()

    def _in_time(self, work: Callable[[Hand], Made], silence: Silence) -> Made:
        """What the work makes or raises; a SendingError where it makes no progress."""
        try:
            return self._aside.run(work, silence)
        except InterruptedError as error:
            raise self._aside.hung() from error

    def _send(
        self, items: Sequence[Item], progress: Callable[[int], None], stopping: Hand
    ) -> Mapping[str, SendingError]:
        refused: dict[str, SendingError] = {}
        manifests: dict[str, Manifest] = {}
        with self._store.opened(stopping) as place:
            for done, item in enumerate(items, 1):
                if stopping.is_set():
                    raise InterruptedError
                try:
                    named = _checked(self._content.named(item))
                    study = named.study_instance_uid
                    if study not in manifests:
                        manifests[study] = Manifest.read(place, study)
                    self._put(place, manifests[study], item, named, stopping)
                except SendingError as error:
                    if error.error_class is not ErrorClass.Permanent:
                        raise
                    refused[item.orthanc_id] = error
                if not stopping.left:
                    progress(done - len(refused))
            if len(refused) == len(items) > 0:
                raise next(iter(refused.values()))
            place.settle()  # the manifest never names what a loss of power could take
            for manifest in manifests.values():
                manifest.write(place)
            place.settle()
        return refused

    def _missing(self, items: Sequence[Item], stopping: Hand, silence: Silence) -> Collection[str]:
        absent: set[str] = set()
        manifests: dict[str, Manifest] = {}
        with self._store.opened(stopping) as place:
            for item in items:
                silence.heard()
                named = self._content.named(item)
                study = named.study_instance_uid
                if _is_safe(named) and study not in manifests:
                    manifests[study] = Manifest.read(place, study)
                if not (_is_safe(named) and _is_there(place, manifests[study], _path(named), stopping, silence)):
                    absent.add(item.orthanc_id)
        return absent

    def _put(self, place: Place, manifest: Manifest, item: Item, named: Item, stopping: Stop) -> None:
        path = _path(named)
        full = f"{named.study_instance_uid}/{path}"
        preview = full.removesuffix(".dcm") + ".jpg"
        known = manifest.known(path)
        already = (
            known is not None
            and place.size(full) == known.bytes
            and self._measured(item, stopping, exhaust).sha256 == known.sha256
        )
        if not already:
            manifest.add(named, path, self._measured(item, stopping, partial(place.write, full)))
        if self._previews and not (already and place.size(preview) is not None):
            self._put_preview(place, item, preview)

    def _measured(self, item: Item, stopping: Stop, taker: Callable[[Measured], None]) -> Measured:
        """The item's content, after `taker` has taken it; however that ends, Orthanc's connection is let go of."""
        with closing(Measured(self._content.read(item), stopping)) as content:
            taker(content)
        return content

    def _put_preview(self, place: Place, item: Item, path: str) -> None:
        """The picture that Orthanc makes of it; none where it has no pixels or cannot be rendered."""
        try:
            picture = self._orthanc.read(f"/instances/{item.orthanc_id}/preview", "image/jpeg")
        except OrthancError:
            return
        place.write(path, [picture])


class Measured:
    """Content as it passes: its size and its SHA-256; stops with InterruptedError between two chunks."""

    def __init__(self, content: Iterable[bytes], stopping: Stop) -> None:
        self._content = content
        self._stopping = stopping
        self._hash = hashlib.sha256()
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._content:
            if self._stopping.is_set():
                raise InterruptedError
            self._hash.update(chunk)
            self.bytes += len(chunk)
            yield chunk

    def close(self) -> None:
        """Give up what has not passed."""
        if isinstance(self._content, Generator):
            self._content.close()

    @property
    def sha256(self) -> str:
        """The digest of what passed, in hexadecimal."""
        return self._hash.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What the manifest says of a file."""

    bytes: int
    sha256: str


class Manifest:
    """What is there of one study, by path from the study's folder."""

    def __init__(self, study_instance_uid: str, instances: Mapping[str, Mapping[str, Any]]) -> None:
        self.study_instance_uid = study_instance_uid
        self._path = f"{study_instance_uid}/manifest.json"
        self._instances = dict(instances)
        self._changed = False

    @classmethod
    def read(cls, place: Place, study_instance_uid: str) -> Manifest:
        """The manifest that is there; an empty one where there is none, or none that can be read."""
        empty = cls(study_instance_uid, {})
        if place.size(empty._path) is None:
            return empty
        try:
            document = json.loads(b"".join(place.read(empty._path)))
            instances = {str(each["Path"]): _entry(each) for each in document["Instances"]}
        except (ValueError, KeyError, TypeError):
            return empty  # whatever it does not name is written again
        return cls(study_instance_uid, instances)

    def known(self, path: str) -> Known | None:
        """What it says of a file; None if it does not name it."""
        entry = self._instances.get(path)
        return None if entry is None else Known(bytes=entry["Bytes"], sha256=entry["SHA256"])

    def add(self, named: Item, path: str, content: Measured) -> None:
        """Name a file that was written."""
        self._changed = True
        self._instances[path] = {
            "SeriesInstanceUID": named.series_instance_uid,
            "SOPInstanceUID": named.sop_instance_uid,
            "Path": path,
            "Bytes": content.bytes,
            "SHA256": content.sha256,
        }

    def write(self, place: Place) -> None:
        """Put it there, if anything was added."""
        if self._changed:
            document = {
                "StudyInstanceUID": self.study_instance_uid,
                "UpdatedAt": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                "Instances": list(self._instances.values()),
            }
            place.write(self._path, [json.dumps(document, indent=1).encode()])


def exhaust(content: Iterable[bytes]) -> None:
    """Take all of it, and keep nothing."""
    for _ in content:
        pass


def _entry(read: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("SeriesInstanceUID", "SOPInstanceUID", "Path", "Bytes", "SHA256")
    return {key: read[key] for key in keys}


def _path(named: Item) -> str:
    return f"{named.series_instance_uid}/{named.sop_instance_uid}.dcm"


def _is_safe(named: Item) -> bool:
    uids = (named.study_instance_uid, named.series_instance_uid, named.sop_instance_uid)
    return all(_UID.fullmatch(uid) for uid in uids)


def _checked(named: Item) -> Item:
    """The item, its UIDs fit to be names of files."""
    if not _is_safe(named):
        raise SendingError(ErrorClass.Permanent, "not-a-uid", "a UID has more in it than digits and dots")
    return named


def _is_there(place: Place, manifest: Manifest, path: str, stopping: Stop, silence: Silence) -> bool:
    known = manifest.known(path)
    full = f"{manifest.study_instance_uid}/{path}"
    if known is None or place.size(full) != known.bytes:
        return False
    with closing(Measured(place.read(full), stopping)) as content:
        for _ in content:
            silence.heard()
    return content.sha256 == known.sha256
