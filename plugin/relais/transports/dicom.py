"""C-STORE (PS3.4 annex B), storage commitment (annex J) and C-FIND through Orthanc.

An Orthanc job is the executor of one batch, never the queue: jobs do not survive a kill and are never retried by
Orthanc.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

from relais.clock import Clock
from relais.configuration.destinations import DicomDestination
from relais.domain.residency import Permit
from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports import query
from relais.transports.dicom_store import NotOpenedError, StoreLine
from relais.transports.dimse import MISSING, details_of, is_stored, of_commitment, of_store
from relais.transports.modality import Modality
from relais.transports.outcome import Outcome
from relais.transports.port import WALL, Content, Item, OrthancApi, SendingError, Stop, admit
from relais.transports.probes import Ourselves
from relais.transports.sources.association import Peer

LARGEST_JOB = 100
"""More, and a job's progress in per cent would not tell which instance it ended at."""

# Why an instance is not committed (PS3.3 section C.14.1.1). What is not named here passes: it is sent, or asked, again.
_NEVER_COMMITTED = {
    0x0122: "its SOP class is not supported",
    0x0119: "it is there under another SOP class",
}
_NOT_YET_COMMITTED = {
    0x0110: "the peer could not process it",
    0x0112: "it is not there",
    0x0131: "the peer knows the transaction already",
    0x0213: "the peer is out of resources",
}

_AT_WORK = {"Pending", "Running", "Paused", "Retry"}


class DicomTransport:
    """One destination of kind `Dicom`."""

    def __init__(
        self,
        orthanc: OrthancApi,
        name: str,
        destination: DicomDestination,
        content: Content,
        ourselves: Ourselves,
        clock: Clock = WALL,
    ) -> None:
        self._name = name
        self._clock = clock
        self._orthanc = orthanc
        self._content = content
        self._peer = Modality(
            orthanc,
            f"relais-{name}",
            aet=destination.aet,
            host=destination.host,
            port=destination.port,
            timeout=destination.timeout,
            local_aet=destination.local_aet,
            tls=destination.tls,
        )
        self._timeout = destination.timeout
        self._given_up: dict[str, str] = {}  # job by study; each study is sent by one thread at a time
        self._called = Peer(
            aet=destination.aet,
            host=destination.host,
            port=destination.port,
            local_aet=destination.local_aet or ourselves.aet,
            tls=ourselves.tls if destination.tls else None,
        )

    def probe(self) -> None:
        """Open and close a TCP connection."""
        self._peer.probe()

    def send(
        self, items: Sequence[Item], *, permit: Permit, progress: Callable[[int], None], stopping: Stop
    ) -> Mapping[str, SendingError]:
        """Send one batch in one association; what is sent as it is stored, in a further one after each refusal.

        What the peer has already (0111), or took with a warning (B000, B006, B007), is through.
        """
        admit(permit, self._name, items, self._clock)
        outcome = Outcome(progress)
        left = list(items)
        with closing(StoreLine(self._called, silence=self._timeout, stopping=stopping)) as line:
            while left and outcome.goes_on:
                if stopping.is_set():
                    raise InterruptedError
                if self._content.as_stored:
                    left = self._send_stored(left, outcome, stopping)
                else:
                    self._send_transformed(left.pop(0), line, outcome)
        outcome.leave(left)
        return outcome.end()

    def missing(self, items: Sequence[Item]) -> Collection[str]:
        """Those for which the peer answers no IMAGE-level C-FIND."""
        named = [(item, self._content.named(item)) for item in items]
        absent = query.absent(self._peer, [there for _, there in named])
        return {item.orthanc_id for item, there in named if there.sop_instance_uid in absent}

    def commit(self, items: Sequence[Item]) -> str:
        """Send an N-ACTION; answers its TransactionUID.

        The peer reports on an association of its own, to Orthanc's AE title and port as the peer knows them.
        """
        classes = self._sop_classes(items)
        if len(classes) < len(items):
            raise _not_in_orthanc()
        instances = [
            {
                "SOPClassUID": classes[item.orthanc_id],
                "SOPInstanceUID": self._content.named(item).sop_instance_uid,
            }
            for item in items
        ]
        try:
            transaction: str = self._peer.ask("storage-commitment", {"DicomInstances": instances})["ID"]
        except OrthancError as error:
            raise of_commitment(details_of(error), tls=self._peer.tls) from error
        return transaction

    def committed(self, transaction: str, items: Sequence[Item]) -> Mapping[str, SendingError] | None:
        """What the peer reported; Orthanc keeps the last reports in memory, so that a restart forgets them."""
        try:
            report = self._orthanc.get(f"/storage-commitment/{transaction}")
        except OrthancError as error:
            if error.status == MISSING:
                raise LookupError(transaction) from error
            raise
        if report["Status"] == "Pending":
            return None
        kept = {each["SOPInstanceUID"] for each in report["Success"]}
        reasons = {each["SOPInstanceUID"]: int(each["FailureReason"]) for each in report["Failures"]}
        uids = {item.orthanc_id: self._content.named(item).sop_instance_uid for item in items}
        return {key: _not_committed(reasons.get(uid)) for key, uid in uids.items() if uid in reasons or uid not in kept}

    def close(self) -> None:
        """Orthanc holds the connections, not we."""

    def _send_stored(self, left: Sequence[Item], outcome: Outcome, stopping: Stop) -> list[Item]:
        """Start one store job, and see it end; answers what is still to be sent."""
        chunk = left[:LARGEST_JOB]
        study = chunk[0].study_instance_uid
        if self._still_sends(study):
            text = "Orthanc has not ended the job that was given up last"
            raise SendingError(ErrorClass.Transient, "still-sending", text, unreachable=True)
        request: dict[str, Any] = {
            "Resources": [each.orthanc_id for each in chunk],
            "Synchronous": False,
            "Permissive": False,  # true would report a dead network as success
        }
        try:
            job = self._peer.ask("store", request)["ID"]
        except OrthancError as error:
            gone = self._gone(chunk) if error.status == MISSING else []
            if not gone:
                text = "Orthanc did not take the store job"
                raise SendingError(ErrorClass.Transient, f"orthanc-{error.status}", text) from error
            outcome.refuse(gone, _not_in_orthanc())
            return [each for each in left if each not in gone]
        self._given_up[study] = job  # until its end is seen
        ending = self._peer.follow(job, len(chunk), outcome.takes, stopping)
        del self._given_up[study]
        outcome.took(ending.through)
        if ending.details is None:
            return list(left[len(chunk) :])
        self._failed(chunk[ending.through], ending.details, outcome)
        return list(left[ending.through + 1 :])

    def _still_sends(self, study: str) -> bool:
        """Whether the study's last job, which nobody waits for any more, may still be at work: TLS hangs a minute."""
        job = self._given_up.get(study)
        if job is None:
            return False
        try:
            state = self._orthanc.get(f"/jobs/{job}")["State"]
        except OrthancError as error:
            if error.status != MISSING:
                raise
            state = "forgotten"
        if state in _AT_WORK:
            return True
        del self._given_up[study]
        return False

    def _send_transformed(self, item: Item, line: StoreLine, outcome: Outcome) -> None:
        try:
            line.store(self._content.read(item))
        except NotOpenedError as unopened:
            raise self._why(unopened.error) from unopened
        except SendingError as error:
            if is_stored(error):
                outcome.took(1)
            else:
                outcome.failed(item, error)
        else:
            outcome.took(1)

    def _why(self, error: SendingError) -> SendingError:
        """Why there is no association: over TLS, what Orthanc, asked to say hello, finds out."""
        if self._peer.tls and error.error_class is ErrorClass.Transient:
            try:
                self._peer.ask("echo", {})
            except OrthancError as refused:
                return of_store(details_of(refused), tls=True)
        return error

    def _failed(self, item: Item, details: str, outcome: Outcome) -> None:
        error = of_store(details, tls=self._peer.tls)
        if is_stored(error):
            outcome.took(1)
        else:
            outcome.failed(item, error)

    def _gone(self, items: Sequence[Item]) -> list[Item]:
        """Those that Orthanc no longer has."""
        classes = self._sop_classes(items)
        return [item for item in items if item.orthanc_id not in classes]

    def _sop_classes(self, items: Sequence[Item]) -> dict[str, str]:
        """The SOPClassUID of each that Orthanc has, by its id."""
        request = {"Resources": [item.orthanc_id for item in items], "Metadata": True}
        return {
            str(each["ID"]): str(each["Metadata"].get("SopClassUid", ""))
            for each in self._orthanc.post("/tools/bulk-content", request)
        }


def _not_in_orthanc() -> SendingError:
    return SendingError(ErrorClass.Permanent, "not-in-orthanc", "an instance is no longer in Orthanc")


def _not_committed(reason: int | None) -> SendingError:
    if reason is None:
        return SendingError(ErrorClass.Transient, "not-reported", "storage commitment: the peer does not speak of it")
    code = f"{reason:04X}"
    if reason in _NEVER_COMMITTED:
        return SendingError(ErrorClass.Permanent, code, f"storage commitment: {_NEVER_COMMITTED[reason]}")
    text = _NOT_YET_COMMITTED.get(reason, "the peer refused it")
    return SendingError(ErrorClass.Transient, code, f"storage commitment: {text}")
