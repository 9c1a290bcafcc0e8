"""A storage SCP that answers as it is told to (PS3.4 annex B), for what no Orthanc can be made to say."""

from collections import deque
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Self, cast

from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.transport import ThreadedAssociationServer

from tests.servers.ports import free_port


@dataclass(frozen=True, kw_only=True)
class Reception:
    """One C-STORE request: who called whom, the instance, and the status that was answered."""

    calling_aet: str
    called_aet: str
    sop_instance_uid: str
    status: int


class StorageScp:
    """Takes instances on a free port of the loopback and forgets their pixels.

    `answer` is the status of every C-STORE that `answer_next` has queued nothing for. With `check_called_aet`
    an association that calls another title than `aet` is rejected (PS3.8 section 9.3.4: source 1, reason 7).
    """

    def __init__(self, aet: str, *, check_called_aet: bool = False) -> None:
        self.aet = aet
        self.port = free_port()
        self.answer = 0x0000
        self._next: deque[int] = deque()
        self._receptions: list[Reception] = []
        self._lock = Lock()
        self._entity = AE(ae_title=aet)
        self._entity.supported_contexts = StoragePresentationContexts
        self._entity.require_called_aet = check_called_aet
        self._server: ThreadedAssociationServer | None = None

    def __enter__(self) -> Self:
        self._server = self._entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
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

    def sop_instance_uids(self) -> list[str]:
        """The SOPInstanceUID of each instance that was taken (status 0), sorted."""
        return sorted({each.sop_instance_uid for each in self.receptions if each.status == 0})

    def answer_next(self, *statuses: int) -> None:
        """Give these statuses, one each, to the next requests."""
        with self._lock:
            self._next.extend(statuses)

    def _store(self, event: evt.Event) -> int:
        title, peer = event.assoc.requestor.primitive, event.assoc.requestor.ae_title
        request = cast("C_STORE", event.request)
        with self._lock:
            status = self._next.popleft() if self._next else self.answer
            self._receptions.append(
                Reception(
                    calling_aet=str(peer).strip(),
                    called_aet="" if title is None else str(title.called_ae_title).strip(),
                    sop_instance_uid=str(request.AffectedSOPInstanceUID),
                    status=status,
                )
            )
        return status
