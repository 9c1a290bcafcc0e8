"""Another Orthanc, over its REST API: an instance is one POST to /instances."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from relais.clock import Clock
from relais.configuration.destinations import PeerDestination
from relais.domain.residency import Permit
from relais.domain.retry import ErrorClass
from relais.transports.course import Course, Part
from relais.transports.port import WALL, Content, Item, OrthancApi, SendingError, Stop, admit
from relais.transports.web import INTERRUPTED, Answer, ContentChangedError, File, Web, absent, refusal

AT_ONCE = 2
THERE = {"Success", "AlreadyStored"}


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
        course = Course(([item] for item in items), progress)

        def store(part: Part) -> None:
            if stopping.is_set():
                raise InterruptedError
            try:
                self._send(part[0], stopping)
            except SendingError as error:
                course.failed(part[0], error)
            else:
                course.took(1)

        return course.run(store, at_once=AT_ONCE, around=lambda: self._web.cut_at(stopping))

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
        try:
            if length is None:
                return self._web.request("POST", "/instances", file.pieces(stopping, None), headers)
            return self._web.post("/instances", file.pieces(stopping, length), length, headers)
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
