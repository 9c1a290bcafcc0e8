"""The DICOM service beside Orthanc's: it takes what machines perform, which Orthanc does not, and answers the worklist.

Here the worklist is answered in the character set that is asked for; Orthanc answers in its DefaultEncoding whatever
the machine says.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from relais.configuration.worklist import Mpps
from relais.domain.elements import MalformedError
from relais.worklist.serving import Serving
from relais.worklist.steps import Status, Step, Steps

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom import AE, evt

log = logging.getLogger(__name__)

AGAIN = 5.0
"""Seconds until a port that another process has is tried again."""
MACHINES = 50
"""Associations at once."""
IDLE = 60.0
"""Seconds that a machine may be silent."""
PENDING, CUT, FAILED = 0xFF00, 0xFE00, 0xC000
CANCELED = 0xFE00


class Service:
    """Listens, from a thread of its own; what fails there is logged, and stops nothing else."""

    def __init__(self, options: Mpps | None, *, serving: Serving, steps: Steps) -> None:
        self._options = options
        self._serving = serving
        self._steps = steps
        self._stopping = threading.Event()
        self._entity: AE | None = None
        self._thread = threading.Thread(target=self._listen, name="relais-mpps", daemon=True)

    @property
    def listens(self) -> bool:
        """Whether machines reach it."""
        return self._entity is not None

    def start(self) -> None:
        """Begin to listen, where the configuration names a port."""
        if self._options is not None:
            self._thread.start()

    def stop(self, seconds: float) -> None:
        """Let go of every machine."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _listen(self) -> None:
        from pynetdicom import AE, evt

        if self._options is None:
            return
        entity = AE(ae_title=self._options.aet)
        for context in (VERIFICATION, STEP, WORKLIST):
            entity.add_supported_context(context)
        entity.maximum_associations = MACHINES
        entity.network_timeout = entity.dimse_timeout = IDLE
        handlers: Any = [
            (evt.EVT_N_CREATE, self._guarded(self._create)),
            (evt.EVT_N_SET, self._guarded(self._change)),
            (evt.EVT_C_FIND, self._find),
        ]
        while not self._stopping.is_set():
            try:
                entity.start_server(("", self._options.port), block=False, evt_handlers=handlers)
            except OSError as error:
                log.warning("port %d for MPPS cannot be opened: %s", self._options.port, error.strerror)
                self._stopping.wait(AGAIN)
                continue
            self._entity = entity
            self._stopping.wait()
        self._entity = None
        entity.shutdown()

    def _create(self, event: evt.Event) -> tuple[int, Dataset | None]:
        calling, called = _titles(event)
        said = event.attribute_list
        uid = getattr(event.request, "AffectedSOPInstanceUID", None)
        return self._steps.create(_step(uid, said), calling, called), said

    def _change(self, event: evt.Event) -> tuple[int, Dataset | None]:
        calling, _ = _titles(event)
        said = event.modification_list
        return self._steps.change(_step(getattr(event.request, "RequestedSOPInstanceUID", None), said), calling), said

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        from pydicom import dcmread
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import UID

        calling, called = _titles(event)
        try:
            request = event.identifier
            request.file_meta = FileMetaDataset()
            request.file_meta.TransferSyntaxUID = event.context.transfer_syntax
            request.file_meta.MediaStorageSOPClassUID = UID(WORKLIST)
            request.file_meta.MediaStorageSOPInstanceUID = UID("1.2")
            written = BytesIO()
            request.save_as(written, enforce_file_format=True)
            found = self._serving.answer(written.getvalue(), calling, called)
        except MalformedError:
            yield FAILED, None
            return
        except Exception:  # one of the boundaries
            log.exception("a worklist request could not be answered")
            yield FAILED, None
            return
        for file in found.files:
            if event.is_cancelled:
                yield CANCELED, None
                return
            yield PENDING, dcmread(BytesIO(file))
        if found.cut:
            yield CUT, None

    def _guarded(self, take: Callable[[evt.Event], tuple[int, Dataset | None]]) -> Any:
        """The handler, which answers a failure of ours as one."""

        def handle(event: evt.Event) -> tuple[int, Dataset | None]:
            try:
                return take(event)
            except Exception:  # one of the boundaries
                log.exception("a performed procedure step could not be taken")
                return Status.ProcessingFailure, None

        return handle


VERIFICATION = "1.2.840.10008.1.1"
STEP = "1.2.840.10008.3.1.2.3.3"
WORKLIST = "1.2.840.10008.5.1.4.31"


def _titles(event: evt.Event) -> tuple[str, str]:
    """The calling and the called AE title."""
    requestor = event.assoc.requestor
    called = requestor.primitive.called_ae_title if requestor.primitive is not None else ""
    return str(requestor.ae_title).strip(), str(called).strip()


def _step(uid: object, said: Mapping[str, Any] | Any) -> Step:
    items = said.get("ScheduledStepAttributesSequence") or ()
    return Step(
        uid=str(uid or ""),
        status=str(said.get("PerformedProcedureStepStatus", "") or "").strip(),
        accession_numbers=_values(items, "AccessionNumber"),
        study_instance_uids=_values(items, "StudyInstanceUID"),
    )


def _values(items: Any, keyword: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for each in items if (text := str(each.get(keyword, "") or "").strip())))
