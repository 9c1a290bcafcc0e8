"""Another Orthanc, over its REST API: an instance is one POST to /instances."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from relais.clock import Clock
from relais.configuration.destinations import PeerDestination
from relais.domain.residency import Permit
from relais.domain.retry import ErrorClass
from relais.transports.outcome import Outcome
from relais.transports.port import WALL, Content, Item, OrthancApi, SendingError, Stop, admit
from relais.transports.web import INTERRUPTED, Answer, ContentChangedError, File, Web, absent, refusal

AT_ONCE = 2
THERE = {"Success", "AlreadyStored"}


class _Course:
    """A batch that several threads send: what is left of it, and what became of the rest."""

    def __init__(self, items: Sequence[Item], progress: Callable[[int], None]) -> None:
        self._left = deque(items)
        self._outcome = Outcome(progress)
        self._broken: list[tuple[Item, SendingError]] = []
        self._over = False
        self._lock = threading.Lock()

    @contextmanager
    def while_it_lasts(self) -> Iterator[None]:
        """A thread's work; where it ends with an error, nobody begins anything more."""
        try:
            yield
        except BaseException:
            self._over = True
            raise

    def next(self) -> Item | None:
        """The next to be sent, if one still is."""
        with self._lock:
            ended = self._over or self._broken or not self._left or not self._outcome.goes_on
            return None if ended else self._left.popleft()

    def took(self) -> None:
        """The peer has one more."""
        with self._lock:
            self._outcome.took(1)

    def failed(self, item: Item, error: SendingError) -> None:
        """This one failed, and with it perhaps all that are left."""
        with self._lock:
            if error.unreachable or error.error_class is ErrorClass.Configuration:
                self._broken.append((item, error))
            else:
                self._outcome.failed(item, error)

    def end(self) -> Mapping[str, SendingError]:
        """What was refused, and what was not tried any more."""
        if not self._broken:
            self._outcome.leave(self._left)
            return self._outcome.end()
        error = self._broken[0][1]
        if not self._outcome.through:
            raise error
        self._outcome.refuse([*(item for item, _ in self._broken), *self._left], error)
        return self._outcome.end()


class PeerTransport:
    """One destination of kind `OrthancPeer`."""

    def __init__(
        self,
        orthanc: OrthancApi,  # noqa: ARG002 - the content reads from it
        name: str,
        destination: PeerDestination,
        content: Content,
        clock: Clock = WALL,
    ) -> None:
        self._name = name
        self._clock = clock
        self._web = Web(destination, at_once=AT_ONCE)
        self._content = content

    def probe(self) -> None:
        """Ask it who it is."""
        answer = self._web.probe("GET", "/system")
        if not answer.accepted:
            raise refusal(answer)

    def send(
        self, items: Sequence[Item], *, permit: Permit, progress: Callable[[int], None], stopping: Stop
    ) -> Mapping[str, SendingError]:
        """Send them, two at once: while the peer stores one, the next is on its way."""
        admit(permit, self._name, items, self._clock)
        course = _Course(items, progress)
        with ThreadPoolExecutor(AT_ONCE - 1, "relais-peer") as others:
            running = [others.submit(self._work, course, stopping) for _ in items[1:AT_ONCE]]
            self._work(course, stopping)
        for each in running:
            each.result()
        return course.end()

    def missing(self, items: Sequence[Item]) -> Collection[str]:
        """Those of each series that it does not find."""

        def listed(item: Item) -> Collection[str]:
            series = {"StudyInstanceUID": item.study_instance_uid, "SeriesInstanceUID": item.series_instance_uid}
            found = self._find({"Level": "Instance", "Expand": True, "Query": series}, dict)
            return {str(each.get("MainDicomTags", {}).get("SOPInstanceUID")) for each in found}

        def has(item: Item) -> bool:
            return bool(self._find({"Level": "Instance", "Query": {"SOPInstanceUID": item.sop_instance_uid}}, str))

        return absent(items, self._content, listed, has)

    def close(self) -> None:
        """Let go of connections."""
        self._web.close()

    def _work(self, course: _Course, stopping: Stop) -> None:
        with course.while_it_lasts(), self._web.cut_at(stopping):
            while (item := course.next()) is not None:
                if stopping.is_set():
                    raise InterruptedError
                try:
                    self._send(item, stopping)
                except SendingError as error:
                    course.failed(item, error)
                else:
                    course.took()

    def _send(self, item: Item, stopping: Stop) -> None:
        file = File(self._content, item)
        planned = item.bytes if self._content.as_stored else None
        try:
            answer = self._post(file, planned if file.length is None else file.length, stopping)
        except ContentChangedError:
            answer = self._post(File(self._content, item), None, stopping)
        if not answer.accepted:
            raise refusal(answer)
        status = _field(answer, "Status")
        if status == "FilteredOut":
            raise SendingError(ErrorClass.Permanent, "filtered-out", "a filter of the peer does not let it in")
        if status not in THERE:
            raise SendingError(ErrorClass.Transient, "not-stored", f"the peer did not say that it stored it: {status}")

    def _post(self, file: File, length: int | None, stopping: Stop) -> Answer:
        headers = {"Content-Type": "application/dicom"}
        if length is not None:
            headers["Content-Length"] = str(length)
        try:
            return self._web.request("POST", "/instances", file.pieces(stopping, length), headers)
        except SendingError as error:
            if stopping.is_set():
                raise InterruptedError from error
            if error.code == INTERRUPTED:
                self.probe()  # is it the peer, or what it was sent?
            raise

    def _find(self, question: Mapping[str, Any], expected: type) -> list[Any]:
        headers = {"Content-Type": "application/json"}
        answer = self._web.request("POST", "/tools/find", json.dumps(question).encode(), headers)
        if not answer.accepted:
            raise refusal(answer)
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, list) or any(type(each) is not expected for each in found):
            raise SendingError(ErrorClass.Configuration, "no-orthanc", "what answers is no Orthanc", unreachable=True)
        return found


def _field(answer: Answer, name: str) -> str | None:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return None
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else None
