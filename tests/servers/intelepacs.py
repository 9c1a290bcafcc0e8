"""A PACS that behaves as IntelePACS and others of its class do, on the wire (PS3.4 annexes B, C and J).

What no conformance statement could tell is a setting: `SETTINGS` has eight, A to H, and a test may make its own with
`dataclasses.replace`.
"""

import re
import select
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from ssl import SSLContext
from threading import Event, Timer
from types import TracebackType
from typing import Any, cast
from zlib import crc32

from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
)
from pydicom.valuerep import PersonName
from pynetdicom import (
    AllStoragePresentationContexts,
    StoragePresentationContexts,
    _config,
    build_context,
    evt,
)
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_MOVE, C_STORE
from pynetdicom.events import Event as Happening

from tests.servers.ports import is_listening
from tests.servers.scp import COMMITMENT, VERIFICATION, ArchiveScp, Commitment
from tests.servers.waiting import eventually

GET = UID("1.2.840.10008.5.1.4.1.2.2.3")  # study root
REPORT_SECONDS = 0.5
"""A commitment is reported so much later, on a new association."""

_LEVELS = ("STUDY", "SERIES", "IMAGE")
_UNIQUE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_COUNTS = {
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
}
_SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEG2000Lossless,
    JPEG2000,
)
_UNMATCHED = frozenset({"StudyDescription", "SeriesDescription", "InstitutionName", "ModalitiesInStudy"})
_STRANGE = ("1.2.840.10008.5.1.4.1.1.77.", "1.2.840.10008.5.1.4.1.1.104.")  # visible light; PDF, STL
_config.LOG_RESPONSE_IDENTIFIERS = False  # it writes every row out in words, whoever reads them
_UNABLE, _MISSING_KEY, _FAILED = 0xA702, 0x0120, 0xA900
"""Sub-operations cannot be performed; an attribute is missing; the identifier does not match the SOP class."""


class MoveFault(Enum):
    """What goes wrong in one C-MOVE."""

    LOSES = "some images are never sent, and success is answered"
    LIES = "some images are never sent, others twice in their place: success, and counts that fit"
    FAILS = "every third sub-operation fails: B000"
    CUTS_STORE = "the association to the destination is aborted half-way"
    CUTS_MOVE = "the association of the request is aborted half-way: no last answer"
    TWICE = "every image is sent twice"
    WRONG_STUDY = "another study is sent, and success is answered"
    NOTHING = "nothing is sent, and success is answered"
    REFUSES = "the request is refused: A701"
    STALLS = "half-way nothing moves any more, and no answer comes"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """One way to be a PACS.

    `rows` is the most that a C-FIND answers, newest first: it is cut in silence, or with `tells_cut` by A700. `callers`
    are the calling AE titles that are let in, all by default. With `strict`, a query without its upper unique keys, or
    without any key at all, is refused (A900); otherwise the first is answered nothing. `unsupported` keys are absent
    from answers, which then are FF01; `declares` whether answers have (0008,0005) with a value. `id_suffix` is
    appended to every PatientID, and accession numbers are new. `gets` whether C-GET is served, `commits` whether
    storage commitment is; `duplicate` is answered to a second copy of an instance, of which the first is kept.
    """

    rows: int = 500
    tells_cut: bool = False
    callers: frozenset[str] | None = None
    strict: bool = False
    unsupported: frozenset[str] = frozenset()
    declares: bool = True
    seconds_to_first_row: float = 0.05
    seconds_to_first_image: float = 0.0
    find_answers: tuple[int, ...] = ()
    store_answers: tuple[int, ...] = ()
    faults: tuple[MoveFault, ...] = ()
    always: MoveFault | None = None
    id_suffix: str = ""
    narrow: bool = False
    gets: bool = False
    commits: bool = True
    duplicate: int = 0x0000


SETTINGS = {
    "A": Behaviour(),
    "B": Behaviour(rows=50, tells_cut=True, strict=True, callers=frozenset({"RELAIS"})),
    "C": Behaviour(unsupported=frozenset(_COUNTS), declares=False),
    "D": Behaviour(seconds_to_first_row=35.0, seconds_to_first_image=60.0),
    "E": Behaviour(
        find_answers=(0xC000,),
        store_answers=(0xA700, 0xA700),
        faults=(MoveFault.CUTS_STORE,),
        always=MoveFault.FAILS,
    ),
    "F": Behaviour(id_suffix="_QC1"),
    "G": Behaviour(narrow=True),
    "H": Behaviour(gets=True, commits=False, duplicate=0x0111),
}
"""Defaults, strict, poor keys, slow, flaky, coercing, narrow, and C-GET."""


class IntelePacs(ArchiveScp):
    """Answers C-FIND, C-MOVE (and C-GET) for what it holds and takes, as `behaviour` says; commits by itself.

    `destinations` maps the AE titles that it may move to, and report to, to their ports. `faults` are met by one C-MOVE
    each; `move_answers`, `find_answers` and `commit_answers` are given instead of an answer. What is in `withheld` is
    found, and never sent, whatever is answered. `alters` changes every row before it is answered. `cancels` counts the
    C-CANCELs that were heeded. `seed` decides where faults strike.
    """

    def __init__(
        self,
        aet: str = "INTELEPACS",
        behaviour: Behaviour = SETTINGS["A"],
        *,
        seed: int = 0,
        port: int | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        super().__init__(aet, tls=tls)
        self.port = port or self.port
        self.behaviour = behaviour
        self.faults: deque[MoveFault] = deque(behaviour.faults)
        self.find_answers.extend(behaviour.find_answers)
        self.answer_next(*behaviour.store_answers)
        self.alters: Callable[[Dataset], None] = lambda _row: None
        self.gets: list[Dataset] = []
        self.cancels = 0
        self.withheld: set[str] = set()
        self._random = Random(seed)
        self._ended = Event()
        self._reports: list[Timer] = []
        self._connections: list[socket.socket] = []
        self._read: dict[tuple[int, str], str] = {}
        self._entity.require_calling_aet = sorted(behaviour.callers or ())
        if not behaviour.commits:
            self._entity.remove_supported_context(COMMITMENT)
        if behaviour.gets:
            self._entity.add_supported_context(GET)
        for each in StoragePresentationContexts:  # a usual archive takes all that there is
            self._entity.remove_supported_context(cast("UID", each.abstract_syntax))
        for each in AllStoragePresentationContexts:
            uid = cast("UID", each.abstract_syntax)
            if not behaviour.narrow:
                roles = {"scu_role": True, "scp_role": True} if behaviour.gets else {}
                self._entity.add_supported_context(uid, list(_SYNTAXES), **roles)
            elif not uid.startswith(_STRANGE):
                self._entity.add_supported_context(uid, ImplicitVRLittleEndian)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for each in self._reports:
            each.cancel()
            each.join()
        super().__exit__(kind, error, trace)
        for connection in self._connections:  # pynetdicom forgets to, where the peer was killed
            connection.close()

    def hold(self, instances: Iterable[Dataset]) -> None:
        """Have these, coerced where this PACS does; of what it has already, the first copy is kept."""
        with self._lock:
            for each in instances:
                uid = str(each.SOPInstanceUID)
                if uid not in self._kept:
                    self._kept[uid] = self._coerced(each)

    def take_at_most(self, associations: int) -> None:
        """From now on, reject whoever comes while there are so many: transient, local limit exceeded."""
        self._entity.maximum_associations = associations

    def _handlers(self) -> list[Any]:
        return [*super()._handlers(), (evt.EVT_C_GET, self._get), (evt.EVT_CONN_OPEN, self._opened)]

    def _opened(self, event: Happening) -> None:
        """Send small messages at once: with Nagle's algorithm an association moves some 11 instances a second."""
        connection: socket.socket = cast("Any", event.assoc.dul.socket).socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.append(connection)

    def _store(self, event: Happening) -> int:
        has_it = str(cast("C_STORE", event.request).AffectedSOPInstanceUID) in self.kept
        status = super()._store(event)
        if status == 0 and has_it:
            return self.behaviour.duplicate
        return 0xB000 if status == 0 and self.behaviour.id_suffix else status

    def _coerced(self, instance: Dataset) -> Dataset:
        """As PS3.3 section C.12.1.1.9 has it: the new values, and the old ones in (0400,0561)."""
        if not self.behaviour.id_suffix:
            return instance
        new = Dataset({element.tag: element for element in instance})
        new.file_meta = instance.file_meta
        old = Dataset()
        old.PatientID, old.AccessionNumber = instance.get("PatientID", ""), instance.get("AccessionNumber", "")
        edit = Dataset()
        edit.AttributeModificationDateTime = "20260702101530"
        edit.ModifyingSystem, edit.SourceOfPreviousValues = self.aet, ""
        edit.ReasonForTheAttributeModification = "CORRECT"
        edit.ModifiedAttributesSequence = [old]
        new.OriginalAttributesSequence = [edit]
        # New elements: the others are the sender's, too.
        new.add_new("PatientID", "LO", f"{old.PatientID}{self.behaviour.id_suffix}")
        new.add_new("AccessionNumber", "SH", f"RIS{crc32(str(instance.StudyInstanceUID).encode()):010d}")
        return new

    def forget(self, *sop_instance_uids: str) -> None:
        """Have them no longer."""
        super().forget(*sop_instance_uids)
        self._read.clear()

    def _find(self, event: Happening) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        self.finds.append(query)
        status = self.find_answers.popleft() if self.find_answers else self._objection(query)
        if status is not None:
            yield status, None
            return
        self._ended.wait(self.behaviour.seconds_to_first_row)
        pending = 0xFF01 if self.behaviour.unsupported & {each.keyword for each in query} else 0xFF00
        implicit = UID(str(event.context.transfer_syntax)).is_implicit_VR
        for number, instances in enumerate(self._found(query)):
            if event.is_cancelled:
                self.cancels += 1
                yield 0xFE00, None
                return
            if number == self.behaviour.rows:
                if self.behaviour.tells_cut:
                    yield 0xA700, None
                return
            row = self._row(query, instances)
            self.alters(row)
            # What is raw is answered byte for byte only where pydicom thinks that it came so.
            row.set_original_encoding(implicit, True, row._character_set)
            yield pending, row

    def _objection(self, query: Dataset) -> int | None:
        """The status with which a query is refused, if it is."""
        level = str(query.get("QueryRetrieveLevel", ""))
        if level not in _LEVELS:
            return _FAILED
        universal = all(str(each.value) == "*" for each in _keys(query))
        return _FAILED if self.behaviour.strict and (universal or not _has_upper(query, level)) else None

    def _found(self, query: Dataset) -> list[Sequence[Dataset]]:
        """The instances of each row, newest study first; nothing where an upper unique key is missing."""
        level = str(query.QueryRetrieveLevel)
        if not _has_upper(query, level):
            return []
        uniques = _UNIQUE[: _LEVELS.index(level) + 1]
        keys = [each for each in _keys(query) if each.keyword not in _UNMATCHED | _COUNTS]
        with self._lock:
            kept = list(self._kept.values())
        rows: dict[tuple[str, ...], list[Dataset]] = {}
        for each in kept:
            rows.setdefault(tuple(self._text(each, key) for key in uniques), []).append(each)
        found = [
            instances
            for instances in rows.values()
            if all(_matches(each.VR, each.value, self._text(instances[0], each.keyword)) for each in keys)
        ]
        return sorted(
            found, key=lambda each: self._text(each[0], "StudyDate") + self._text(each[0], "StudyTime"), reverse=True
        )

    def _row(self, query: Dataset, instances: Sequence[Dataset]) -> Dataset:
        """The keys that were asked for, in the character set that the instance declares."""
        first = instances[0]
        character_set = self._text(first, "SpecificCharacterSet")
        row = Dataset()
        row.SpecificCharacterSet = character_set if self.behaviour.declares else None
        row.QueryRetrieveLevel = query.QueryRetrieveLevel
        row.RetrieveAETitle = self.aet
        for element in query:
            keyword = element.keyword
            if element.tag in row or keyword in self.behaviour.unsupported:
                continue
            if keyword in _COUNTS:
                setattr(row, keyword, self._counted(keyword, instances))
            elif element.tag in first and element.VR != "SQ":
                held = first.get_item(element.tag)
                value = held.value if held.is_raw else _bytes(element.VR, held.value, character_set)
                row[element.tag] = RawDataElement(Tag(element.tag), element.VR, len(value), value, 0, False, True)
            else:
                setattr(row, keyword, None)
        return row

    def _counted(self, keyword: str, instances: Sequence[Dataset]) -> Any:
        if keyword == "ModalitiesInStudy":
            return sorted({self._text(each, "Modality") for each in instances})
        if keyword == "NumberOfStudyRelatedSeries":
            return len({self._text(each, "SeriesInstanceUID") for each in instances})
        return len(instances)

    def _text(self, instance: Dataset, keyword: str) -> str:
        """A value as text, read once, and not in the instance: reading what is raw there would change it."""
        key = id(instance), keyword
        if key not in self._read:
            tag = Tag(cast("int", tag_for_keyword(keyword)))
            value: Any = Dataset({tag: instance.get_item(tag)})[tag].value if tag in instance else None
            several = not isinstance(value, str) and isinstance(value, Sequence)
            self._read[key] = "\\".join(map(str, value)) if several else str(value or "")
        return self._read[key]

    def _move(self, event: Happening) -> Iterator[Any]:
        query = event.identifier
        self.moves.append(query)
        fault = self.faults.popleft() if self.faults else self.behaviour.always
        status = self.move_answers.popleft() if self.move_answers else self._refusal(query)
        port = self.destinations.get(str(cast("C_MOVE", event.request).MoveDestination).strip())
        if fault is MoveFault.REFUSES:
            status = 0xA701
        elif port is not None and not is_listening(port):
            status = status or _UNABLE  # pynetdicom would call a destination that is down an unknown one
        if status is not None:  # pynetdicom takes a status only once it has somebody to send to
            yield "127.0.0.1", self.port, {"ae_title": self.aet, "contexts": [build_context(VERIFICATION)]}
            yield 1
            yield status, None
            return
        if port is None:
            yield None, None
            return
        self._ended.wait(self.behaviour.seconds_to_first_image)
        asked = self._asked(query)
        sent = [each for each in self._sent(asked, fault) if str(each.SOPInstanceUID) not in self.withheld]
        storing: list[Association] = []
        # pynetdicom proposes no presentation context of its own to whom it moves.
        pairs = {(str(each.SOPClassUID), str(each.file_meta.TransferSyntaxUID)) for each in sent}
        heard = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_ESTABLISHED, lambda established: storing.append(established.assoc)),
        ]
        yield "127.0.0.1", port, {"contexts": [build_context(*each) for each in sorted(pairs)], "evt_handlers": heard}
        yield len(sent)
        strikes = self._random.randrange(len(sent)) if sent else 0
        for position, each in enumerate(sent):
            if position == strikes and not self._goes_on(fault, event.assoc, storing[0]):
                return
            if storing[0].is_established:
                _rested(storing[0])
            yield 0xFF00, _unsendable(each) if fault is MoveFault.FAILS and position % 3 == 2 else each

    def _goes_on(self, fault: MoveFault | None, moving: Association, storing: Association) -> bool:
        """What happens half-way; False where the handler must end."""
        if fault is MoveFault.CUTS_STORE:
            storing.abort()
        elif fault is MoveFault.CUTS_MOVE:
            moving.abort()
            return False
        elif fault is MoveFault.STALLS:
            while moving.is_established and not self._ended.is_set():
                # A handler holds its association's thread: that the peer has gone is seen on the socket alone.
                if _has_gone(moving):
                    moving.abort()
                    return False
                self._ended.wait(0.1)
            return False
        return True

    def _sent(self, asked: list[Dataset], fault: MoveFault | None) -> list[Dataset]:
        """What is sent instead of what was asked for."""
        if not asked or fault is None:
            return asked
        lost = set(self._random.sample(range(len(asked)), k=max(1, len(asked) // 4)))
        left = [each for position, each in enumerate(asked) if position not in lost]
        with self._lock:
            others = [each for each in self._kept.values() if each.StudyInstanceUID != asked[0].StudyInstanceUID]
        instead = {
            MoveFault.LOSES: left,
            MoveFault.LIES: [*left, *(left * len(lost))[: len(lost)]],
            MoveFault.TWICE: [*asked, *asked],
            MoveFault.NOTHING: [],
            MoveFault.WRONG_STUDY: others[: len(asked)],
        }
        return instead.get(fault, asked)

    def _get(self, event: Happening) -> Iterator[Any]:
        query = event.identifier
        self.gets.append(query)
        asked = [] if self._refusal(query) else self._asked(query)
        yield len(asked)
        for each in asked:
            yield 0xFF00, each

    def _refusal(self, query: Dataset) -> int | None:
        """The status with which a C-MOVE is refused: it has the unique key of its level (PS3.4 section C.4.2.2.1)."""
        level = str(query.get("QueryRetrieveLevel", ""))
        if level not in _LEVELS:
            return _FAILED
        return None if query.get(_UNIQUE[_LEVELS.index(level)]) and query.get("StudyInstanceUID") else _MISSING_KEY

    def _asked(self, query: Dataset) -> list[Dataset]:
        wanted = {key: _values(query[key].value) for key in _UNIQUE if key in query and query[key].value}
        with self._lock:
            kept = list(self._kept.values())
        return [each for each in kept if all(self._text(each, key) in values for key, values in wanted.items())]

    def _commit(self, event: Happening) -> tuple[int, Dataset | None]:
        status, answer = super()._commit(event)
        if status == 0:
            commitment = self.commitments[-1]
            port = self.destinations.get(commitment.calling_aet)
            if port is not None:
                self._reports.append(timer := Timer(REPORT_SECONDS, self._report_what_is_kept, (commitment, port)))
                timer.start()
        return status, answer

    def _report_what_is_kept(self, commitment: Commitment, port: int) -> None:
        absent = {uid for _, uid in commitment.instances} - set(self.kept)
        self.report(commitment, port, aet=commitment.calling_aet, failures=dict.fromkeys(absent, 0x0112))


def _keys(query: Dataset) -> list[DataElement]:
    """The attributes that must match: they have a value, and say more than how the query is made."""
    about = {"QueryRetrieveLevel", "SpecificCharacterSet", ""}
    return [each for each in query if each.VR != "SQ" and each.value and each.keyword not in about]


def _has_upper(query: Dataset, level: str) -> bool:
    return all(query.get(key) for key in _UNIQUE[: _LEVELS.index(level)])


def _values(value: Any) -> list[str]:
    return value.split("\\") if isinstance(value, str) else [str(each) for each in value]


def _matches(representation: str, wanted: Any, has: str) -> bool:
    """Attribute matching (PS3.4 section C.2.2.2): lists of UIDs, ranges, and wild cards; names ignore case."""
    if representation == "UI":
        return has in _values(wanted)
    if representation in {"DA", "TM"}:
        begin, dash, end = str(wanted).partition("-")
        return begin <= has <= (end or "99999999") if dash else has == begin
    flags = re.IGNORECASE if representation == "PN" else 0
    return re.fullmatch(re.escape(str(wanted)).replace(r"\*", ".*").replace(r"\?", "."), has, flags) is not None


def _bytes(representation: str, value: Any, character_set: str) -> bytes:
    encodings = convert_encodings(character_set.split("\\"))
    several = isinstance(value, Sequence) and not isinstance(value, str)
    if representation == "PN":
        text = b"\\".join(PersonName(str(each)).encode(encodings) for each in (value if several else [value or ""]))
    else:
        text = encode_string("\\".join(map(str, value)) if several else str(value or ""), encodings)
    return text + (b"\0" if representation == "UI" else b" ") * (len(text) % 2)


def _unsendable(instance: Dataset) -> Dataset:
    """What no presentation context was proposed for: its sub-operation fails."""
    other = Dataset()
    other.SOPClassUID, other.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.3", instance.SOPInstanceUID
    other.file_meta = instance.file_meta
    return other


def _rested(association: Association) -> None:
    """Return once the reactor runs: pynetdicom 3.0.4 takes one that still wakes for one that rests."""
    eventually(lambda: not association._is_paused or not association.is_established, pause=0.0005)


def _has_gone(association: Association) -> bool:
    """Whether the peer has closed, or sent something: after a request that it waits for, only an abort."""
    connection = cast("Any", association.dul.socket).socket
    return connection is None or connection.fileno() < 0 or bool(select.select([connection], [], [], 0)[0])
