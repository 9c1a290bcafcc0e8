"""C-MOVE (PS3.4 section C.4.2): a source is told to send what it has straight to the destination.

A C-MOVE's success is the source's word, and it says success, too, where it has nothing to send. So the source is asked
first what it has (IMAGE level): what it has not was not sent, whatever it answers. What arrived, the destination tells
where its own address is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from relais.clock import Clock
from relais.configuration.destinations import MoveDestination
from relais.configuration.sources import DicomSource
from relais.domain.residency import Permit
from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports import query
from relais.transports.dimse import details_of, of_query
from relais.transports.modality import Ending, Modality
from relais.transports.outcome import Outcome
from relais.transports.port import WALL, Content, Item, OrthancApi, SendingError, Stop, admit
from relais.transports.query import Found

ROUND = 10
"""Archives cut their answers at a round number."""


class MoveTransport:
    """One destination of kind `DicomMove`."""

    def __init__(
        self,
        orthanc: OrthancApi,
        name: str,
        destination: MoveDestination,
        content: Content,  # noqa: ARG002 - the source sends what it has
        source: DicomSource,
        clock: Clock = WALL,
    ) -> None:
        self._name = name
        self._clock = clock
        self._aet = destination.aet
        self._source = Modality(
            orthanc,
            f"relais-source-{destination.source}",
            aet=source.aet,
            host=source.host,
            port=source.port,
            timeout=destination.timeout,
            local_aet=source.calling_aet,
            tls=source.tls,
        )
        self._asked = self._source
        if destination.host is not None and destination.port is not None:
            self._asked = Modality(
                orthanc,
                f"relais-{name}",
                aet=destination.aet,
                host=destination.host,
                port=destination.port,
                timeout=destination.timeout,
                local_aet=destination.local_aet,
                tls=destination.tls,
            )
        # A series in one C-MOVE shows no progress: once one was too slow, they go instance by instance.
        self._whole_series = True

    def probe(self) -> None:
        """Open and close a TCP connection to the source."""
        self._source.probe()

    def send(
        self, items: Sequence[Item], *, permit: Permit, progress: Callable[[int], None], stopping: Stop
    ) -> Mapping[str, SendingError]:
        """Have the source move them: a whole series at once, where it has no more of it than these.

        Refused are those that the source has not, or whose sub-operation failed; both pass.
        """
        admit(permit, self._name, items, self._clock)
        outcome = Outcome(progress)
        for series in query.by_series(items):
            if stopping.is_set():
                raise InterruptedError
            if not outcome.goes_on:
                outcome.leave(series)
                continue
            found = query.find(self._source, series[0], series=True)
            absent = set(query.absent_of(self._source, series, found))
            outcome.refuse((item for item in series if item.sop_instance_uid in absent), _not_at_source())
            there = [item for item in series if item.sop_instance_uid not in absent]
            if not self._move_series(there, found, outcome, stopping):
                # Orthanc keeps the last hundred queries: after one more for each absent instance, this may be gone.
                was_last = {item.sop_instance_uid for item in series} <= set(found.uids)
                self._move_each(there, found if was_last else None, outcome, stopping)
        return outcome.end()

    def missing(self, items: Sequence[Item]) -> Collection[str]:
        """Those for which the destination answers no IMAGE-level C-FIND.

        Where its address is not configured, those that the source has not, or has no more, and so cannot have sent.
        """
        absent = query.absent(self._asked, items)
        return {item.orthanc_id for item in items if item.sop_instance_uid in absent}

    def close(self) -> None:
        """Orthanc holds the connections, not we."""

    def _move_series(self, there: Sequence[Item], found: Found, outcome: Outcome, stopping: Stop) -> bool:
        """Move a series in one C-MOVE; False where these are not all of it, or not all of them arrived."""
        uids = {item.sop_instance_uid for item in there}
        if not self._whole_series or len(there) < 2 or uids != set(found.uids):  # noqa: PLR2004 - one is no series
            return False
        keys = {
            "StudyInstanceUID": there[0].study_instance_uid,
            "SeriesInstanceUID": there[0].series_instance_uid,
            "NumberOfSeriesRelatedInstances": "",
        }
        series, answers = query.ask(self._source, "Series", keys)
        if len(answers) != 1 or not _is_whole(answers[0], len(uids)):
            return False
        try:
            error = self._move(series, 0, stopping)
        except InterruptedError:
            self._whole_series = False
            raise
        if error is None:
            outcome.took(len(there))
            return True
        if error.code == "timeout":
            self._whole_series = False
        elif error.error_class is ErrorClass.Configuration or error.unreachable:
            raise error
        return False

    def _move_each(self, there: Sequence[Item], found: Found | None, outcome: Outcome, stopping: Stop) -> None:
        """Move instance by instance, so that each is known to have gone or to have failed."""
        for position, item in enumerate(there):
            if stopping.is_set():
                raise InterruptedError
            if not outcome.goes_on:
                outcome.leave(there[position:])
                return
            place = found or query.find(self._source, item)
            if item.sop_instance_uid not in place.uids:
                outcome.refuse([item], _not_at_source())
                continue
            error = self._move(place.query, place.uids.index(item.sop_instance_uid), stopping)
            if error is None:
                outcome.took(1)
            else:
                outcome.failed(item, error)

    def _move(self, asked: str, index: int, stopping: Stop) -> SendingError | None:
        """Have the source move what it answered; the error where it did not."""
        try:
            job = self._source.retrieve(asked, index, self._aet)
        except OrthancError as error:
            return of_query(details_of(error))
        ending: Ending = self._source.follow(job, 1, lambda _: None, stopping)
        return None if ending.details is None else of_query(ending.details)


def _is_whole(series: Mapping[str, Any], instances: int) -> bool:
    """Whether a series has no more than these: it is counted, or the count is none at which an archive cuts."""
    counted = (series.get("NumberOfSeriesRelatedInstances") or "").strip()
    return counted == str(instances) if counted else instances % ROUND != 0


def _not_at_source() -> SendingError:
    return SendingError(ErrorClass.Transient, "not-at-source", "the source has not got the instance")
