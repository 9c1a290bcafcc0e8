"""A source that speaks DICOM: C-FIND, and C-MOVE to our Orthanc, or C-GET by ourselves (PS3.4 annex C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pydicom import config
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from relais.configuration.sources import CharacterSet, DicomSource, Retrieval, Root
from relais.domain.charsets import ASCII, Codecs, codecs_named, guess_text
from relais.domain.querying import RETURNED, Answer, Level, is_cut, is_uid, matches, ways
from relais.errors import OrthancError, OrthancUnavailableError
from relais.transports.modality import Modality
from relais.transports.port import OrthancApi, SendingError, Stop
from relais.transports.probes import Ourselves
from relais.transports.sources.association import (
    CANCELED,
    PENDING,
    SUCCESS,
    Line,
    Peer,
    counts,
    out_of_resources,
    reach,
    refused,
)
from relais.transports.sources.getting import keep, proposed
from relais.transports.sources.port import (
    PROBE_SECONDS,
    Ended,
    Listed,
    Progress,
    Retrieved,
    SeriesListed,
    Take,
    Until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FIND = {Root.Study: "1.2.840.10008.5.1.4.1.2.2.1", Root.Patient: "1.2.840.10008.5.1.4.1.2.1.1"}
GET = {Root.Study: "1.2.840.10008.5.1.4.1.2.2.3", Root.Patient: "1.2.840.10008.5.1.4.1.2.1.3"}
MOVE = {Root.Study: "1.2.840.10008.5.1.4.1.2.2.2", Root.Patient: "1.2.840.10008.5.1.4.1.2.1.2"}
FOREVER = 86_400.0
"""Seconds that a retrieval may take, as long as the source goes on telling that it works."""
LONG = 60
"""Images from which on a series is listed by Orthanc."""
MOST_SINGLE = 5000
"""Images that are asked for one by one where the list of their series was cut."""
_CHARACTER_SET = 0x00080005


class DicomPacs:
    """One source of kind Dicom."""

    def __init__(self, orthanc: OrthancApi, name: str, source: DicomSource, ourselves: Ourselves) -> None:
        self._orthanc = orthanc
        self.name = name
        self._manners = source.manners
        local_aet = source.calling_aet or ourselves.aet
        self._move_to = source.move_to or local_aet
        tls = ourselves.tls if source.tls else None
        self._peer = Peer(aet=source.aet, host=source.host, port=source.port, local_aet=local_aet, tls=tls)
        there: dict[str, Any] = {"aet": source.aet, "host": source.host, "port": source.port, "tls": source.tls}
        there |= {"local_aet": local_aet}
        self._asking = Modality(orthanc, f"relais-asked-{name}", timeout=self._manners.timeout, **there)

    def find(
        self, level: Level, keys: Mapping[str, str], *, limit: int, seconds: float, stopping: Stop, take: Take
    ) -> Ended:
        """See `port.Source`."""
        until = Until(stopping, seconds)
        with self._line(FIND[self._root(level)], until) as line:
            return self._ask(line, level, keys, limit, take)

    def instances(self, study: str, series: str | None = None, *, stopping: Stop) -> Listed:
        """See `port.Source`."""
        until = Until(stopping, FOREVER)
        with self._line(FIND[self._manners.root], until) as line:
            patient = self._patient(line, study)
            found: list[Answer] = []
            keys = {**patient, "StudyInstanceUID": study, "SeriesInstanceUID": series or "", "SeriesNumber": ""}
            ended = self._ask(line, Level.Series, keys, MOST_SINGLE, found.append)
            listed = {
                uid: self._series(line, {**patient, "StudyInstanceUID": study, "SeriesInstanceUID": uid}, _count(each))
                for each in found
                for uid in (each["SeriesInstanceUID"],)
            }
        whole = all(sure for _, sure in listed.values())
        return Listed(
            series={uid: each for uid, (each, _) in listed.items()},
            certain=whole and not ended.truncated and not ended.dropped,
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
        until = Until(stopping, FOREVER)
        root, gets = self._manners.root, self._manners.retrieve is Retrieval.Get
        keys = {"StudyInstanceUID": study, **({} if series is None else {"SeriesInstanceUID": series})}
        services: list[str | tuple[str, str]] = [GET[root] if gets else MOVE[root]]
        if gets or root is Root.Patient:
            with self._line(FIND[root], until) as line:
                keys |= self._patient(line, study)
                services += proposed(self._classes(line, keys)) if gets else []
        silence, taking = self._manners.retrieve_timeout, partial(keep, self._orthanc) if gets else None
        with Line(self._peer, services, silence=silence, until=until, keep=taking) as line:
            if not instances:
                return self._fetch(line, Level.Study if series is None else Level.Series, keys, progress)
            each_by_itself = [
                self._fetch(line, Level.Instance, {**keys, "SOPInstanceUID": uid}, _quiet) for uid in instances
            ]
        return _together(each_by_itself, len(instances), progress)

    def probe(self, seconds: float = PROBE_SECONDS) -> None:
        """See `port.Source`."""
        reach(self._peer, seconds)

    def close(self) -> None:
        """Each call has an association of its own."""

    def _line(self, service: str, until: Until) -> Line:
        return Line(self._peer, [service], silence=self._manners.timeout, until=until)

    def _root(self, level: Level) -> Root:
        return Root.Patient if level is Level.Patient else self._manners.root

    def _ask(self, line: Line, level: Level, keys: Mapping[str, str], limit: int, take: Take) -> Ended:
        """One question on an open association."""
        seen: set[str] = set()
        ended = Ended()
        for asked in ways(keys, wildcards=self._manners.wildcards):
            wanted = {**dict.fromkeys(RETURNED[level], ""), **asked}
            question = _identifier(level, wanted, self._manners.character_set)
            again = self._ask_one(line, level, keys, wanted, question, seen, limit, take)
            ended = Ended(truncated=ended.truncated or again.truncated, dropped=max(again.dropped, ended.dropped))
            if not again.truncated or len(seen) >= limit:
                break
        return ended

    def _ask_one(
        self,
        line: Line,
        level: Level,
        keys: Mapping[str, str],
        wanted: Mapping[str, str],
        question: Dataset,
        seen: set[str],
        limit: int,
        take: Take,
    ) -> Ended:
        rows = dropped = 0
        status = SUCCESS
        for each in line.find(FIND[self._root(level)], question, lambda: len(seen) >= limit):
            if isinstance(each, int):
                status = each
                break
            rows += 1
            answer = _answer(each, wanted)
            unique = answer.get(level.unique, "") if level is not Level.Patient else _person(answer)
            if level is not Level.Patient and not is_uid(unique):
                dropped += 1
            elif unique not in seen and matches(keys, answer):
                seen.add(unique)
                take(answer)
        if status == CANCELED or (out_of_resources(status) and rows):
            return Ended(truncated=True, dropped=dropped)
        if status != SUCCESS:
            raise refused(status)
        return Ended(truncated=len(seen) >= limit or is_cut(rows, self._manners.limit), dropped=dropped)

    def _patient(self, line: Line, study: str) -> Mapping[str, str]:
        """In the Patient Root, whose study it is stands in every question about it (PS3.4 section C.4.1.2.1)."""
        if self._manners.root is Root.Study:
            return {}
        found: list[Answer] = []
        self._ask(line, Level.Study, {"StudyInstanceUID": study}, 1, found.append)
        return {"PatientID": found[0].get("PatientID", "")} if found else {}

    def _series(self, line: Line, keys: Mapping[str, str], expected: int | None) -> tuple[SeriesListed, bool]:
        """The images of a series, and whether these are all."""
        if expected is not None and expected >= LONG and (long := self._listed_by_orthanc(keys, expected)) is not None:
            return SeriesListed(uids=long, expected=expected), True
        uids: dict[str, None] = {}
        numbers: set[str] = set()

        def take(answer: Answer) -> None:
            uids[answer["SOPInstanceUID"]] = None
            numbers.add(answer.get("InstanceNumber", ""))

        ended = self._ask(line, Level.Instance, {**keys, "SOPInstanceUID": ""}, 1_000_000, take)
        if expected is not None and len(uids) >= expected:
            return SeriesListed(uids=tuple(uids), expected=expected), not ended.dropped
        if expected is not None:  # it counts more than it answers, whether it says that it cuts or not
            self._rest(line, keys, expected, uids, numbers)
        whole = len(uids) >= expected if expected is not None else not ended.truncated
        return SeriesListed(uids=tuple(uids), expected=expected), whole and not ended.dropped

    def _listed_by_orthanc(self, keys: Mapping[str, str], expected: int) -> tuple[str, ...] | None:
        """The images of a long series, asked by Orthanc, which reads answers several times as fast [measured].

        None where it does not answer at least as many sound ones as the source counts: then we ask ourselves.
        """
        asked = {**keys, "SOPInstanceUID": ""}
        try:
            query = self._asking.ask("query", {"Level": "Instance", "Query": asked})["ID"]
            rows = self._asking.answers(query)
            self._asking.forget(query)
        except (OrthancError, OrthancUnavailableError, SendingError):
            return None
        uids = dict.fromkeys(str(row.get("SOPInstanceUID", "")).strip("\0 ") for row in rows)
        whole = len(uids) >= expected and all(map(is_uid, uids))
        return tuple(uids) if whole and all(_is_of(keys, row) for row in rows) else None

    def _rest(
        self, line: Line, keys: Mapping[str, str], expected: int, uids: dict[str, None], numbers: set[str]
    ) -> None:
        """The images that a cut list left out, by their numbers (a required key, PS3.4 section C.6.2.1.5)."""
        found: list[Answer] = []
        for number in (*range(1, min(2 * expected + 1, MOST_SINGLE)), 0):
            if len(uids) >= expected:
                return
            if str(number) not in numbers:
                asked = {**keys, "SOPInstanceUID": "", "InstanceNumber": str(number)}
                self._ask(line, Level.Instance, asked, 1_000_000, found.append)
                uids.update(dict.fromkeys(each["SOPInstanceUID"] for each in found))

    def _classes(self, line: Line, keys: Mapping[str, str]) -> set[str]:
        """The SOP classes of a study's images, or a series', as far as the source tells."""
        series: list[Answer] = []
        images: list[Answer] = []
        self._ask(line, Level.Series, {"SeriesInstanceUID": "", **keys}, MOST_SINGLE, series.append)
        for each in series:
            asked = {**keys, "SeriesInstanceUID": each["SeriesInstanceUID"], "SOPInstanceUID": "", "SOPClassUID": ""}
            self._ask(line, Level.Instance, asked, 1_000_000, images.append)
        return {each["SOPClassUID"] for each in images if is_uid(each.get("SOPClassUID", ""))}

    def _fetch(self, line: Line, level: Level, keys: Mapping[str, str], progress: Progress) -> Retrieved:
        """One C-MOVE or C-GET: level and unique keys, nothing else (sections C.4.2.1.4.1 and C.4.3.1.3.1)."""
        root, question = self._manners.root, _identifier(level, keys, self._manners.character_set)
        gets = self._manners.retrieve is Retrieval.Get
        answers = line.get(GET[root], question) if gets else line.move(MOVE[root], question, self._move_to)
        told: dict[str, int] = {}
        status = SUCCESS
        for answer in answers:
            status = int(answer.Status)
            told |= counts(answer)
            if status in PENDING:
                through = sum(told.get(name, 0) for name in ("completed", "failed", "warnings"))
                progress(through, through + told.get("remaining", 0))
        if status != SUCCESS and status & 0xF000 != 0xB000:  # noqa: PLR2004 - a warning: some of it was sent
            raise refused(status)
        return Retrieved(
            completed=told.get("completed", -1),
            failed=told.get("failed", 0),
            warnings=told.get("warnings", 0),
            status=f"{status:04X}",
        )


def _identifier(level: Level, keys: Mapping[str, str], character_set: CharacterSet) -> Dataset:
    """The keys as a data set, with their character set where they are not ASCII."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level.dicom
    whole = "".join(keys.values())
    if not whole.isascii():
        identifier.SpecificCharacterSet = _fitting(whole, character_set).value
    for keyword, value in keys.items():
        tag, vr = tag_for_keyword(keyword), dictionary_VR(keyword)
        several: Any = value.split("\\") if "\\" in value else value
        identifier[keyword] = DataElement(tag or 0, vr, several or None, validation_mode=config.IGNORE)
    return identifier


def _fitting(text: str, character_set: CharacterSet) -> CharacterSet:
    try:
        text.encode(python_encoding[character_set.value])
    except UnicodeEncodeError:
        return CharacterSet.Unicode
    return character_set


def _answer(identifier: Dataset, wanted: Mapping[str, str]) -> Answer:
    """The text of what was asked for, read from the bytes: declared character sets are often none, or wrong."""
    raw = _raw(identifier, _CHARACTER_SET)
    codecs: Codecs = codecs_named(raw) if raw else ASCII
    return {
        keyword: guess_text(value, codecs).strip()
        for tag in identifier.keys()  # noqa: SIM118 - its items would be converted
        if (keyword := keyword_for_tag(tag)) in wanted and (value := _raw(identifier, int(tag)))
    }


def _raw(identifier: Dataset, tag: int) -> bytes | None:
    if tag not in identifier:
        return None
    element: Any = identifier.get_item(tag)
    if isinstance(element, RawDataElement):
        return element.value
    value = None if element is None or element.VR == "SQ" else element.value
    return None if value is None else str(value).encode()


def _is_of(keys: Mapping[str, str], row: Mapping[str, Any]) -> bool:
    """Whether an answer is of the series that was asked for, as far as it says."""
    return all(str(row.get(keyword) or value).strip("\0 ") == value for keyword, value in keys.items())


def _person(answer: Answer) -> str:
    """What tells the patients of one source apart: one id can be several."""
    return "\0".join(answer.get(keyword, "") for keyword in RETURNED[Level.Patient])


def _count(answer: Answer) -> int | None:
    text = answer.get("NumberOfSeriesRelatedInstances", "")
    return int(text) if text.isdecimal() else None


def _quiet(_through: int, _total: int) -> None:
    """An image by itself is no progress worth telling."""


def _together(several: Sequence[Retrieved], total: int, progress: Callable[[int, int], None]) -> Retrieved:
    progress(total, total)
    worst = max((each.status for each in several), default="0000")
    return Retrieved(
        completed=sum(max(0, each.completed) for each in several),
        failed=sum(each.failed for each in several),
        warnings=sum(each.warnings for each in several),
        status=worst,
    )
