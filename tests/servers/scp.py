"""SCPs that answer as they are told to (PS3.4 annexes B, C and J), for what no Orthanc can be made to say."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from ssl import SSLContext
from threading import Event, Lock
from types import TracebackType
from typing import Any, Self, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, StoragePresentationContexts, build_context, build_role, evt
from pynetdicom.dimse_primitives import C_MOVE, C_STORE, N_ACTION
from pynetdicom.transport import ThreadedAssociationServer

from tests.servers.ports import free_port

VERIFICATION = UID("1.2.840.10008.1.1")
FIND, MOVE = UID("1.2.840.10008.5.1.4.1.2.2.1"), UID("1.2.840.10008.5.1.4.1.2.2.2")  # study root
COMMITMENT, COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1"), UID("1.2.840.10008.1.20.1.1")

_TAKEN = frozenset({0x0000, 0xB000, 0xB006, 0xB007})
_LONGEST_WAIT = 60.0
_SUCCEEDED, _SOME_FAILED = 1, 2  # PS3.4 table J.3.3-1: event type IDs
_UNIQUE = {
    "SERIES": ("StudyInstanceUID", "SeriesInstanceUID"),
    "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
}


@dataclass(frozen=True, kw_only=True)
class Reception:
    """One C-STORE request: who called whom, the instance, and the status that was answered."""

    calling_aet: str
    called_aet: str
    sop_instance_uid: str
    status: int


class StorageScp:
    """Takes instances on a free port of the loopback and forgets their pixels.

    `answer` is the status of every C-STORE that `answer_next` has queued nothing for, nor `refuses` named the
    instance's SOPInstanceUID; none is given before `released` is set, as it is at first. With `check_called_aet` an
    association that calls another title than `aet` is rejected (PS3.8 section 9.3.4: source 1, reason 7). `tls` makes
    it speak TLS alone. Only the classes of `takes` are accepted, where it is given.
    """

    def __init__(
        self,
        aet: str,
        *,
        check_called_aet: bool = False,
        tls: SSLContext | None = None,
        takes: Collection[str] | None = None,
        port: int | None = None,
    ) -> None:
        self.aet = aet
        self.port = port or free_port()
        self.answer = 0x0000
        self.refuses: dict[str, int] = {}
        self.released = Event()
        self.released.set()
        self._tls = tls
        self._next: deque[int] = deque()
        self._receptions: list[Reception] = []
        self._callers: list[str] = []
        self._most_at_once = 0
        self._lock = Lock()
        self._entity = AE(ae_title=aet)
        self._entity.supported_contexts = (
            StoragePresentationContexts if takes is None else [build_context(each) for each in takes]
        )
        self._entity.require_called_aet = check_called_aet
        self._server: ThreadedAssociationServer | None = None

    def __enter__(self) -> Self:
        self._server = self._entity.start_server(
            ("127.0.0.1", self.port), block=False, ssl_context=self._tls, evt_handlers=self._handlers()
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()

    @property
    def receptions(self) -> tuple[Reception, ...]:
        """Every C-STORE so far, in order."""
        with self._lock:
            return tuple(self._receptions)

    @property
    def callers(self) -> tuple[str, ...]:
        """The calling AE title of each C-STORE that waits for its answer."""
        with self._lock:
            return tuple(self._callers)

    @property
    def most_at_once(self) -> int:
        """The most C-STOREs that ever waited for their answers together."""
        with self._lock:
            return self._most_at_once

    def sop_instance_uids(self) -> list[str]:
        """The SOPInstanceUID of each instance that was taken (status 0), sorted."""
        return sorted({each.sop_instance_uid for each in self.receptions if each.status == 0})

    def answer_next(self, *statuses: int) -> None:
        """Give these statuses, one each, to the next requests."""
        with self._lock:
            self._next.extend(statuses)

    def _handlers(self) -> list[Any]:
        return [(evt.EVT_C_STORE, self._store)]

    def _store(self, event: evt.Event) -> int:
        title, peer = event.assoc.requestor.primitive, event.assoc.requestor.ae_title
        request = cast("C_STORE", event.request)
        uid = str(request.AffectedSOPInstanceUID)
        with self._lock:
            self._callers.append(caller := str(peer).strip())
            self._most_at_once = max(self._most_at_once, len(self._callers))
        self.released.wait(_LONGEST_WAIT)
        with self._lock:
            self._callers.remove(caller)
            status = self._next.popleft() if self._next else self.refuses.get(uid, self.answer)
            self._receptions.append(
                Reception(
                    calling_aet=caller,
                    called_aet="" if title is None else str(title.called_ae_title).strip(),
                    sop_instance_uid=uid,
                    status=status,
                )
            )
        return status


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """One request for storage commitment: its TransactionUID, who asked, and (class, instance) of each UID."""

    transaction: str
    calling_aet: str
    instances: tuple[tuple[str, str], ...]


class ArchiveScp(StorageScp):
    """Keeps what it takes, answers C-FIND of it, moves it, and is asked for storage commitment.

    `forgets` names SOPInstanceUIDs, or "*", that it answers success for and does not keep. `row_limit` cuts the answers
    of a C-FIND in silence; whether it `counts` a series' instances. `destinations` maps AE titles to ports it may move
    to; any other is unknown (A801). `find_answers`, `move_answers` and `commit_answers` hold statuses given, one each,
    instead of an answer; a C-MOVE leaves out (B000) the instances of `unmoved`. A commitment is reported when `report`
    is called, or never.
    """

    def __init__(self, aet: str, *, check_called_aet: bool = False, tls: SSLContext | None = None) -> None:
        super().__init__(aet, check_called_aet=check_called_aet, tls=tls)
        self.forgets: set[str] = set()
        self.row_limit: int | None = None
        self.counts = True
        self.destinations: dict[str, int] = {}
        self.unmoved: set[str] = set()
        self.find_answers: deque[int] = deque()
        self.move_answers: deque[int] = deque()
        self.commit_answers: deque[int] = deque()
        self.finds: list[Dataset] = []
        self.moves: list[Dataset] = []
        self.commitments: list[Commitment] = []
        self._kept: dict[str, Dataset] = {}
        for each in (VERIFICATION, FIND, MOVE, COMMITMENT):
            self._entity.add_supported_context(each)

    def hold(self, instances: Iterable[Dataset]) -> None:
        """Have these, as if they had been stored here."""
        with self._lock:
            self._kept |= {str(each.SOPInstanceUID): each for each in instances}

    def forget(self, *sop_instance_uids: str) -> None:
        """Have them no longer."""
        with self._lock:
            for each in sop_instance_uids:
                del self._kept[each]

    @property
    def kept(self) -> list[str]:
        """The SOPInstanceUID of each instance that it has, sorted."""
        with self._lock:
            return sorted(self._kept)

    def report(
        self, commitment: Commitment, port: int, *, aet: str = "ORTHANC", failures: Mapping[str, int] | None = None
    ) -> None:
        """Tell the requester how its request ended, on a new association (PS3.4 section J.3.3).

        `failures` maps SOPInstanceUIDs to failure reasons (PS3.3 section C.14.1.1). Raises AssertionError where the
        report is not taken.
        """
        reasons = failures or {}
        report = Dataset()
        report.TransactionUID = commitment.transaction
        report.ReferencedSOPSequence = [_reference(*each) for each in commitment.instances if each[1] not in reasons]
        if reasons:
            report.FailedSOPSequence = [_reference(*each) for each in commitment.instances if each[1] in reasons]
            for failed in report.FailedSOPSequence:
                failed.FailureReason = reasons[failed.ReferencedSOPInstanceUID]
        entity = AE(ae_title=self.aet)
        entity.add_requested_context(COMMITMENT)
        # The reporter is the SCP of the class although it opens the association (PS3.7 section D.3.3.4).
        role = build_role(COMMITMENT, scu_role=True, scp_role=True)
        association = entity.associate("127.0.0.1", port, ae_title=aet, ext_neg=[role])
        assert association.is_established, f"{aet} takes no association for a report"
        try:
            status, _ = association.send_n_event_report(
                report,
                _SOME_FAILED if reasons else _SUCCEEDED,
                COMMITMENT,
                COMMITMENT_INSTANCE,
            )
            assert status.get("Status") == 0, f"{aet} refused the report: {status}"
        finally:
            association.release()

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda _: 0x0000),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_N_ACTION, self._commit),
        ]

    def _store(self, event: evt.Event) -> int:
        status = super()._store(event)
        uid = str(cast("C_STORE", event.request).AffectedSOPInstanceUID)
        if status in _TAKEN and not self.forgets & {uid, "*"}:
            instance = event.dataset
            instance.file_meta = event.file_meta
            self.hold([instance])
        return status

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        self.finds.append(query)
        if self.find_answers:
            yield self.find_answers.popleft(), None
            return
        keys = _UNIQUE[query.QueryRetrieveLevel]
        rows: dict[tuple[str, ...], Dataset] = {}
        matching = self._matching(query)
        for instance in matching:
            row = Dataset()
            row.QueryRetrieveLevel = query.QueryRetrieveLevel
            if self.counts and "NumberOfSeriesRelatedInstances" in query:
                row.NumberOfSeriesRelatedInstances = len(matching)
            for key in keys:
                setattr(row, key, instance[key].value)
            rows[tuple(str(row[key].value) for key in keys)] = row
        for row in list(rows.values())[: self.row_limit]:
            yield 0xFF00, row

    def _move(self, event: evt.Event) -> Iterator[Any]:
        query = event.identifier
        self.moves.append(query)
        if self.move_answers:  # pynetdicom takes a status only once it has somebody to send to
            yield (
                "127.0.0.1",
                self.port,
                {
                    "ae_title": self.aet,
                    "contexts": [build_context(VERIFICATION)],
                },
            )
            yield 1
            yield self.move_answers.popleft(), None
            return
        port = self.destinations.get(str(cast("C_MOVE", event.request).MoveDestination).strip())
        if port is None:
            yield None, None
            return
        moved = self._matching(query)
        # pynetdicom proposes no presentation context of its own to whom it moves.
        contexts = [build_context(uid, ExplicitVRLittleEndian) for uid in {str(each.SOPClassUID) for each in moved}]
        yield "127.0.0.1", port, {"contexts": contexts}
        yield len(moved)
        for instance in moved:
            yield 0xFF00, _unsendable(instance) if str(instance.SOPInstanceUID) in self.unmoved else instance

    def _commit(self, event: evt.Event) -> tuple[int, Dataset | None]:
        if self.commit_answers:
            return self.commit_answers.popleft(), None
        asked = event.action_information
        request = cast("N_ACTION", event.request)
        assert request.ActionTypeID == 1  # PS3.4 table J.3.2-1
        self.commitments.append(
            Commitment(
                transaction=str(asked.TransactionUID),
                calling_aet=str(event.assoc.requestor.ae_title).strip(),
                instances=tuple(
                    (str(each.ReferencedSOPClassUID), str(each.ReferencedSOPInstanceUID))
                    for each in asked.ReferencedSOPSequence
                ),
            )
        )
        return 0x0000, None

    def _matching(self, query: Dataset) -> list[Dataset]:
        with self._lock:
            kept = list(self._kept.values())
        wanted = {
            key: set(str(query[key].value or "").split("\\")) if query[key].VM < 2 else set(query[key].value)
            for key in _UNIQUE["IMAGE"]
            if key in query and query[key].value
        }
        return [each for each in kept if all(str(each[key].value) in values for key, values in wanted.items())]


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    return reference


def _unsendable(instance: Dataset) -> Dataset:
    """The instance under a class that no presentation context was proposed for: its sub-operation fails."""
    other = deepcopy(instance)
    other.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.3"
    return other
