"""A source that speaks DICOMweb: QIDO-RS, and WADO-RS into our Orthanc (PS3.18 sections 10.6 and 10.4).

Not by Orthanc's DICOMweb plugin, whose definition of a server, with its password or token, is there for whoever may use
Orthanc's API.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from pydicom.datadict import dictionary_VR, keyword_for_tag

from relais.configuration.secrets import Secret
from relais.configuration.sources import DicomWebSource
from relais.domain.querying import RETURNED, Answer, Level, SourceState, is_cut, is_uid, matches, ways
from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports.port import OrthancApi, SendingError, Stop
from relais.transports.sources.association import late
from relais.transports.sources.multipart import MultipartError, boundary_of, mapped, parts
from relais.transports.sources.port import (
    PROBE_SECONDS,
    AskingError,
    Ended,
    Listed,
    Progress,
    Retrieved,
    SeriesListed,
    Take,
    Until,
)
from relais.transports.web import Web, refusal

PAGE = 500
"""Rows asked for at once."""
ALL = 1_000_000
FOREVER = 86_400.0
CHUNK = 1 << 18
ROUND = 25
"""Servers that cut pages shorter than they were asked for cut them at a multiple of this."""
AT_ONCE = 4
"""Connections: people's questions beside what is fetched."""
_JSON = {"Accept": "application/dicom+json"}
_FILES = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_GONE = ("refused", "unreachable", "name-not-resolved", "tls", "certificate", "interrupted")
_BUSY = ("429", "503")
"""Too many requests; service unavailable (RFC 6585 section 4, RFC 9110 section 15.6.4)."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The server as `Web` takes it."""

    url: str
    user: str | None
    password: Secret | None
    authority: str | None
    certificate: str | None
    timeout: int
    concurrency: int = AT_ONCE


class WebPacs:
    """One source of kind DicomWeb."""

    def __init__(self, orthanc: OrthancApi, name: str, source: DicomWebSource) -> None:
        self._orthanc = orthanc
        self.name = name
        self._manners = source.manners
        self._asking = Web(_place(source, source.manners.timeout), source.token)
        self._fetching = Web(_place(source, source.manners.retrieve_timeout), source.token)

    def find(
        self, level: Level, keys: Mapping[str, str], *, limit: int, seconds: float, stopping: Stop, take: Take
    ) -> Ended:
        """See `port.Source`."""
        with self._cut(self._asking, stopping, seconds):
            return self._ask(level, keys, limit, take)

    def instances(self, study: str, series: str | None = None, *, stopping: Stop) -> Listed:
        """See `port.Source`."""
        with self._cut(self._asking, stopping, FOREVER):
            found: list[Answer] = []
            keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series or ""}
            ended = self._ask(Level.Series, keys, ALL, found.append)
            listed = [self._series(study, each) for each in found]
        return Listed(
            series={uid: each for uid, each, _ in listed},
            certain=all(sure for _, _, sure in listed) and not ended.truncated and not ended.dropped,
        )

    def retrieve(
        self,
        study: str,
        series: str | None = None,
        instances: Sequence[str] = (),
        *,
        progress: Progress,
        stopping: Stop,
    ) -> Retrieved:
        """See `port.Source`."""
        path = f"/studies/{study}" + ("" if series is None else f"/series/{series}")
        completed = failed = 0
        with self._cut(self._fetching, stopping, FOREVER):
            for each in [f"{path}/instances/{uid}" for uid in instances] or [path]:
                for stored in self._fetch(each, single=bool(instances)):
                    completed, failed = completed + stored, failed + (not stored)
                    progress(completed + failed, max(completed + failed, len(instances)))
        return Retrieved(completed=completed, failed=failed, warnings=0, status="B000" if failed else "0000")

    def probe(self, seconds: float = PROBE_SECONDS) -> None:  # noqa: ARG002 - its connections have a patience of their own
        """See `port.Source`."""
        try:
            self._asking.probe("OPTIONS", "/studies")
        except SendingError as error:
            raise _of_sending(error) from error

    def close(self) -> None:
        """See `port.Source`."""
        self._asking.close()
        self._fetching.close()

    @contextmanager
    def _cut(self, web: Web, stopping: Stop, seconds: float) -> Iterator[None]:
        """Inside, a stop or the end of the time cuts the connection, and says which of them it was."""
        until = Until(stopping, seconds)
        if stopping.is_set():
            raise InterruptedError
        try:
            with web.cut_at(until):
                yield
        except (SendingError, AskingError) as error:
            if stopping.is_set():
                raise InterruptedError from error
            if until.left == 0.0:
                raise late() from error
            raise _of_sending(error) if isinstance(error, SendingError) else error from error

    def _ask(self, level: Level, keys: Mapping[str, str], limit: int, take: Take) -> Ended:
        """Every page of a question; what the server repeats because it knows no pages is taken once."""
        seen: set[str] = set()
        taken: list[str] = []
        ended = Ended()
        for asked in ways(keys, wildcards=self._manners.wildcards):
            wanted = {**dict.fromkeys(RETURNED[level], ""), **asked}
            for answer in self._answers(level, wanted, seen, limit - len(taken)):
                if isinstance(answer, Ended):
                    cut = ended.truncated or answer.truncated
                    ended = Ended(truncated=cut, dropped=max(answer.dropped, ended.dropped))
                elif matches(keys, answer):
                    if len(taken) == limit:
                        return Ended(truncated=True, dropped=ended.dropped)
                    taken.append(answer.get(level.unique, ""))
                    take(answer)
            if not ended.truncated:
                break
        return ended

    def _answers(self, level: Level, wanted: Mapping[str, str], seen: set[str], limit: int) -> Iterator[Answer | Ended]:
        """One question, page by page, and at last how it ended; what the server repeats is answered once."""
        path = _path(level, wanted)
        rows = dropped = 0
        while True:
            page = min(PAGE, max(1, limit + 1))
            answers = self._page(f"{path}?{_query(wanted, page, rows)}")
            fresh = 0
            for each in answers:
                answer = _answer(each, wanted)
                unique = answer.get(level.unique, "") if level is not Level.Patient else str(sorted(answer.items()))
                if level is not Level.Patient and not is_uid(unique):
                    dropped += 1
                elif unique not in seen:
                    seen.add(unique)
                    fresh += 1
                    yield answer
            rows += len(answers)
            may_go_on = len(answers) == page or (0 < len(answers) < page and len(answers) % ROUND == 0)
            if not fresh and may_go_on:  # it knows no pages, and says the same again
                yield Ended(truncated=True, dropped=dropped)
                return
            if not may_go_on:
                cut = bool(self._manners.limit) and is_cut(rows, self._manners.limit)
                yield Ended(truncated=cut, dropped=dropped)
                return

    def _page(self, path: str) -> list[Any]:
        answer = self._asking.request("GET", path, headers=_JSON)
        if answer.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND) and path.count("/") > 1:
            return []  # nothing matches; of a study that it has not, some answer 404
        if answer.status == HTTPStatus.NO_CONTENT:
            return []
        if not answer.accepted:
            raise refusal(answer)
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            text = "its answer is no DICOM JSON"
            raise AskingError(SourceState.Refused, ErrorClass.Configuration, "not-dicomweb", text)
        return found

    def _series(self, study: str, series: Answer) -> tuple[str, SeriesListed, bool]:
        """A series' UID, its images, and whether these are all."""
        uid = series["SeriesInstanceUID"]
        count = series.get("NumberOfSeriesRelatedInstances", "")
        expected = int(count) if count.isdecimal() else None
        uids: list[str] = []
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": uid, "SOPInstanceUID": ""}
        ended = self._ask(Level.Instance, keys, ALL, lambda each: uids.append(each["SOPInstanceUID"]))
        whole = not ended.truncated if expected is None else len(uids) >= expected
        return uid, SeriesListed(uids=tuple(uids), expected=expected), whole and not ended.dropped

    def _fetch(self, path: str, *, single: bool) -> Iterator[bool]:
        """Hand the files of an answer to Orthanc; whether it took each."""
        with self._fetching.stream(path, _FILES) as answer:
            if answer.status == HTTPStatus.NOT_FOUND and single:
                yield False
                return
            if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                raise _of_status(answer.status)
            try:
                boundary = boundary_of(answer.headers.get("Content-Type", ""))
                for file in parts(answer.stream(CHUNK, decode_content=False), boundary):
                    yield self._store(file)
            except MultipartError as error:
                text = "its answer breaks off, or has no parts"
                raise AskingError(SourceState.Unreachable, ErrorClass.Transient, "interrupted", text) from error

    def _store(self, file: Any) -> bool:
        with mapped(file) as content:
            try:
                self._orthanc.post_bytes("/instances", content)
            except OrthancError as error:
                if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return False  # no DICOM file
                text = "our Orthanc does not store it"
                raise AskingError(SourceState.Refused, ErrorClass.Transient, str(error.status), text) from error
        return True


def _place(source: DicomWebSource, timeout: int) -> _Place:
    return _Place(
        url=source.url,
        user=source.user,
        password=source.password,
        authority=source.authority,
        certificate=source.certificate,
        timeout=timeout,
    )


def _path(level: Level, keys: Mapping[str, str]) -> str:
    """The resource to search (table 10.6.1-1); UIDs were checked, so that they are no paths."""
    path = "/studies"
    if level in (Level.Series, Level.Instance):
        path += f"/{keys['StudyInstanceUID']}/series"
    if level is Level.Instance:
        path += f"/{keys['SeriesInstanceUID']}/instances"
    return path


def _query(wanted: Mapping[str, str], page: int, offset: int) -> str:
    """Matching parameters, what is to be returned, and which part of it (section 8.3.4)."""
    parameters = [(keyword, value.replace("\\", ",")) for keyword, value in wanted.items() if value.strip()]
    parameters += [("includefield", keyword) for keyword, value in wanted.items() if not value.strip()]
    # Wild cards as they are: Orthanc 1.10.1 does not decode them [measured].
    return urlencode([*parameters, ("limit", page), ("offset", offset)], quote_via=quote, safe="*?^,")


def _answer(row: Mapping[str, Any], wanted: Mapping[str, str]) -> Answer:
    """The text of what was asked for, from the DICOM JSON model (PS3.18 annex F)."""
    found: dict[str, str] = {}
    for tag, element in row.items():
        keyword = _keyword(tag)
        if keyword in wanted and isinstance(element, Mapping):
            values = element.get("Value")
            texts = [_text(keyword, each) for each in values] if isinstance(values, list) else []
            if text := "\\".join(texts).strip(" \0"):
                found[keyword] = text
    return found


def _keyword(tag: str) -> str:
    try:
        return keyword_for_tag(int(tag, 16))
    except ValueError:
        return ""


def _text(keyword: str, value: Any) -> str:
    if isinstance(value, Mapping):
        groups = [value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(str(each) for each in groups).rstrip("=") if dictionary_VR(keyword) == "PN" else ""
    return "" if value is None else str(value)


def _of_sending(error: SendingError) -> AskingError:
    if error.code == "timeout":
        state = SourceState.TimedOut
    else:
        state = SourceState.Unreachable if error.code in _GONE else SourceState.Refused
    error_class = ErrorClass.Configuration if error.error_class is ErrorClass.Permanent else error.error_class
    return AskingError(state, error_class, error.code, error.text, busy=error.code in _BUSY)


def _of_status(status: int) -> AskingError:
    passes = status in (408, 425, 429) or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    error_class = ErrorClass.Transient if passes else ErrorClass.Configuration
    text = f"it answered with HTTP status {status}"
    return AskingError(SourceState.Refused, error_class, str(status), text, busy=str(status) in _BUSY)
