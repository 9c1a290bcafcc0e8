"""STOW-RS (PS3.18 section 10.5), and QIDO-RS (section 10.6) to ask what is there.

A part of a batch is one POST to /studies: a multipart/related body (RFC 2387) that is made while it is sent.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from relais.clock import Clock
from relais.configuration.destinations import DicomWebDestination
from relais.domain.residency import Permit
from relais.domain.retry import ErrorClass
from relais.transports.course import Course, Part
from relais.transports.port import WALL, Content, Item, OrthancApi, SendingError, Stop, admit
from relais.transports.web import INTERRUPTED, Answer, ContentChangedError, File, Web, absent, refusal

PAGE = 500
"""Rows asked for at once."""
LARGEST_PART, AT_ONCE = 10, 2
"""Instances of one request, and requests of one delivery at once."""

SOP_INSTANCE_UID = "00080018"
REFERENCED_SOP_INSTANCE_UID = "00081155"
FAILURE_REASON = "00081197"
FAILED_SOP_SEQUENCE = "00081198"
REFERENCED_SOP_SEQUENCE = "00081199"

DUPLICATE, PROCESSING_FAILURE = 0x0111, 0x0110
THERE = {0x0000, 0x0107, DUPLICATE, 0x0116, *range(0xB000, 0xC000)}
"""Reasons that are none: success, and warnings (PS3.7 annex C, PS3.4 table B.2-1)."""

_REASONS = (
    (range(0xA700, 0xA800), ErrorClass.Transient, "it is out of resources"),
    (range(0xA900, 0xAA00), ErrorClass.Permanent, "the data set does not match its SOP class"),
    (range(0xC000, 0xD000), ErrorClass.Permanent, "it does not understand the data set"),
    (range(PROCESSING_FAILURE, DUPLICATE), ErrorClass.Transient, "it failed to process it"),
    (range(0x0122, 0x0123), ErrorClass.Permanent, "it does not support the SOP class"),
    (range(0x0124, 0x0125), ErrorClass.Permanent, "it does not allow this to us"),
    (range(0x0213, 0x0214), ErrorClass.Transient, "it is out of resources"),
)

Said = dict[str, SendingError | None]


class UnreadableError(Exception):
    """One instance cannot be had: the request that it was part of was given up."""

    def __init__(self, item: Item, error: SendingError) -> None:
        super().__init__(error)
        self.item = item
        self.error = error


class DicomWebTransport:
    """One destination of kind `DicomWeb`."""

    def __init__(
        self,
        orthanc: OrthancApi,  # noqa: ARG002 - the content reads from it
        name: str,
        destination: DicomWebDestination,
        content: Content,
        clock: Clock = WALL,
    ) -> None:
        self._name = name
        self._clock = clock
        self._web = Web(destination, destination.token, at_once=AT_ONCE)
        self._content = content
        self._too_large: int | None = None

    def probe(self) -> None:
        """Any answer will do, except that it is not at work: not every server knows OPTIONS."""
        self._web.probe("OPTIONS", "/studies")

    def send(
        self, items: Sequence[Item], *, permit: Permit, progress: Callable[[int], None], stopping: Stop
    ) -> Mapping[str, SendingError]:
        """Send them in requests of some, two at once: while the server stores those of one, the next are on their way.

        In smaller ones where that is too large, or refused as a whole for some of them, or where the server fails over
        it: one image that it cannot read keeps no other back.
        """
        admit(permit, self._name, items, self._clock)
        starts = range(0, len(items), LARGEST_PART)
        parts = (part for start in starts for part in self._parts([*items[start : start + LARGEST_PART]]))
        course = Course(parts, progress)

        def store(part: Part) -> None:
            if stopping.is_set():
                raise InterruptedError
            try:
                self._settle([*part], course, stopping)
            except SendingError as error:
                if stopping.is_set():
                    raise InterruptedError from error
                raise

        return course.run(store, at_once=AT_ONCE, around=lambda: self._web.cut_at(stopping))

    def missing(self, items: Sequence[Item]) -> Collection[str]:
        """Those that QIDO-RS does not find in their series."""
        return absent(items, self._content, self._listed, self._has)

    def close(self) -> None:
        """Let go of connections."""
        self._web.close()

    def _parts(self, items: list[Item]) -> list[list[Item]]:
        """The batch, in parts smaller than what the server once found too large."""
        if self._too_large is None or len(items) == 1 or sum(item.bytes for item in items) < self._too_large:
            return [items]
        return [part for half in _halves(items) for part in self._parts(half)]

    def _settle(self, part: list[Item], course: Course, stopping: Stop) -> None:
        """Send it and write down what became of each, and what is to be sent again, in which parts."""
        try:
            said, error = self._store(part, course.takes, stopping)
        except UnreadableError as unreadable:
            course.refuse([unreadable.item], unreadable.error)
            course.again([left] if (left := [item for item in part if item is not unreadable.item]) else [])
            return
        course.took(sum(each is None for each in said.values()))
        for item in part:
            if (its := said.get(item.orthanc_id)) is not None:
                course.refuse([item], its)
        silent = [item for item in part if item.orthanc_id not in said]
        if silent and len(part) > 1 and (error.error_class is ErrorClass.Permanent or _broke(error)):
            course.again(_halves(silent))
        elif silent and _broke(error):
            course.failed(silent[0], error)
        else:
            course.refuse(silent, error)

    def _store(self, part: list[Item], sent: Callable[[int], None], stopping: Stop) -> tuple[Said, SendingError]:
        """What the server says of each instance, and what its status says of those of which it says nothing."""
        try:
            answer = self._post(part, sent, stopping, known=self._content.as_stored)
        except ContentChangedError:
            answer = self._post(part, sent, stopping, known=False)
        named = {self._content.named(item).sop_instance_uid: item.orthanc_id for item in part}
        told = outcomes(answer.body)
        said = {named[uid]: error for uid, error in told.items() if uid in named}
        silent = [item for item in part if item.orthanc_id not in said]
        error = refusal(answer)
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(part) > 1:
            refused = sum(item.bytes for item in part)
            self._too_large = min(refused, self._too_large or refused)
        if answer.accepted:
            error = SendingError(ErrorClass.Transient, "not-confirmed", "it accepted the request, but has it not")
        if silent and (answer.accepted or answer.status == HTTPStatus.CONFLICT):
            blindly = answer.status == HTTPStatus.OK and not told
            absent_ids = self._absent(silent, blindly=blindly)
            said |= {item.orthanc_id: None for item in silent if item.orthanc_id not in absent_ids}
        elif silent and not said and error.error_class is not ErrorClass.Permanent and not _broke(error):
            raise error
        return said, error

    def _absent(self, items: Sequence[Item], *, blindly: bool) -> Collection[str]:
        """Those that it has not, asked; with `blindly`, none where it cannot be asked."""
        try:
            return self.missing(items)
        except SendingError as error:
            if blindly and error.error_class is not ErrorClass.Transient:
                return ()
            raise

    def _post(self, part: Sequence[Item], sent: Callable[[int], None], stopping: Stop, *, known: bool) -> Answer:
        boundary = uuid4().hex
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
        }
        if known:  # not every server takes a body in chunks
            length = sum(len(_opening(boundary, item.bytes)) + item.bytes for item in part) + len(_end(boundary))
            headers["Content-Length"] = str(length)
        try:
            return self._web.request(
                "POST", "/studies", self._body(part, boundary, sent, stopping, known=known), headers
            )
        except SendingError as error:
            if error.code == INTERRUPTED and not stopping.is_set():
                self.probe()  # is it the server, or what it was sent?
            raise

    def _body(
        self,
        part: Sequence[Item],
        boundary: str,
        sent: Callable[[int], None],
        stopping: Stop,
        *,
        known: bool,
    ) -> Iterator[bytes]:
        with ThreadPoolExecutor(1, "relais-stow") as reader:  # reads the next while this one is on its way
            ahead = deque([reader.submit(File, self._content, part[0])])
            for number, item in enumerate(part):
                ahead.extend(reader.submit(File, self._content, each) for each in part[number + 1 : number + 2])
                try:
                    file = ahead.popleft().result()
                    length = item.bytes if known else file.length
                    yield _opening(boundary, length)
                    yield from file.pieces(stopping, length)
                except SendingError as error:
                    raise UnreadableError(item, error) from error
                sent(number + 1)
        yield _end(boundary)

    def _listed(self, item: Item) -> Collection[str]:
        """The SOPInstanceUIDs of its series, page after page until one brings nothing new."""
        found: set[str] = set()
        offset = 0
        while True:
            query = {"includefield": SOP_INSTANCE_UID, "limit": PAGE, "offset": offset}
            answer = self._query(_series(item), query)
            if answer.status == HTTPStatus.BAD_REQUEST:  # it knows no paging, or nothing beyond the end
                answer = self._query(_series(item), {}) if offset == 0 else Answer(status=HTTPStatus.OK, body=b"[]")
            if answer.status == HTTPStatus.NOT_FOUND and self._knows_queries(item):
                return found
            page = rows(answer)
            if found.issuperset(page):
                return found
            found |= set(page)
            offset += len(page)

    def _has(self, item: Item) -> bool:
        answer = self._query(_series(item), {"SOPInstanceUID": item.sop_instance_uid})
        return answer.status != HTTPStatus.NOT_FOUND and item.sop_instance_uid in rows(answer)

    def _knows_queries(self, item: Item) -> bool:
        """Whether 404 means that it has not the series, rather than that nobody answers queries there."""
        return self._query("/studies", {"StudyInstanceUID": item.study_instance_uid, "limit": 1}).accepted

    def _query(self, path: str, query: Mapping[str, Any]) -> Answer:
        asked = f"{path}?{urlencode(query)}" if query else path
        return self._web.request("GET", asked, headers={"Accept": "application/dicom+json"})


def outcomes(body: bytes) -> Said:
    """What a Store Instances response (PS3.18 section 10.5.3.2) says of each SOPInstanceUID: nothing, if no JSON."""
    said: Said = {}
    for dataset in _datasets(body):
        for reference in _items(dataset, REFERENCED_SOP_SEQUENCE):
            if uid := _value(reference, REFERENCED_SOP_INSTANCE_UID):
                said[uid] = None
        for reference in _items(dataset, FAILED_SOP_SEQUENCE):
            if uid := _value(reference, REFERENCED_SOP_INSTANCE_UID):
                reason = _value(reference, FAILURE_REASON)
                said[uid] = failure(int(reason) if reason.isdecimal() else PROCESSING_FAILURE)
    return said


def failure(reason: int) -> SendingError | None:
    """The class of a Failure Reason (PS3.18 table 10.5.3-2, PS3.3 section C.14.1.1); None where it has it."""
    if reason in THERE:
        return None
    code = f"{reason:04X}"
    for codes, error_class, text in _REASONS:
        if reason in codes:
            return SendingError(error_class, code, text)
    return SendingError(ErrorClass.Permanent, code, "it does not take it")


def rows(answer: Answer) -> list[str]:
    """The SOPInstanceUIDs of a QIDO-RS answer; raises SendingError where it is none."""
    if not answer.accepted:
        raise refusal(answer)
    if not answer.body.strip():  # 204: nothing matches
        return []
    found = _datasets(answer.body)
    uids = [_value(each, SOP_INSTANCE_UID) for each in found]
    if not all(uids) or (not uids and answer.body.strip() != b"[]"):
        raise SendingError(ErrorClass.Configuration, "no-dicomweb", "its answer to a query is no DICOM JSON")
    return uids


def _datasets(body: bytes) -> list[Mapping[str, Any]]:
    """The DICOM JSON model (PS3.18 annex F), as far as it is one."""
    try:
        document = json.loads(body)
    except ValueError:
        return []
    return [each for each in (document if isinstance(document, list) else [document]) if isinstance(each, dict)]


def _items(dataset: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    return [each for each in _values(dataset, tag) if isinstance(each, dict)]


def _value(dataset: Mapping[str, Any], tag: str) -> str:
    values = _values(dataset, tag)
    return str(values[0]).strip(" \0") if values else ""


def _values(dataset: Mapping[str, Any], tag: str) -> list[Any]:
    element = dataset.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _opening(boundary: str, length: int | None) -> bytes:
    """What stands before an instance; its length spares the server the search for its end."""
    known = "" if length is None else f"Content-Length: {length}\r\n"
    return f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n{known}\r\n".encode()


def _end(boundary: str) -> bytes:
    return f"\r\n--{boundary}--\r\n".encode()


def _broke(error: SendingError) -> bool:
    """Whether it failed over what it was sent, perhaps over one instance of it."""
    return error.code in {str(HTTPStatus.INTERNAL_SERVER_ERROR.value), str(HTTPStatus.BAD_GATEWAY.value)}


def _halves(items: list[Item]) -> list[list[Item]]:
    middle = len(items) // 2
    return [half for half in (items[:middle], items[middle:]) if half]


def _series(item: Item) -> str:
    return f"/studies/{item.study_instance_uid}/series/{item.series_instance_uid}/instances"
