"""IMAGE-level C-FIND (PS3.4 section C.4.1): which instances has a peer?

Archives cut their answers at a limit, in silence. So what an answer names is there, and what it does not name is asked
for by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports.dimse import MISSING, details_of, of_query
from relais.transports.modality import Modality
from relais.transports.port import Item, SendingError


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was answered: the query by which Orthanc knows the answers, and their SOPInstanceUIDs, in order."""

    query: str
    uids: tuple[str, ...]


def by_series(items: Sequence[Item]) -> Iterator[list[Item]]:
    """The items of each series, in order of their first."""
    series: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        series.setdefault((item.study_instance_uid, item.series_instance_uid), []).append(item)
    yield from series.values()


def find(peer: Modality, item: Item, *, series: bool = False) -> Found:
    """Ask for this instance, or with `series` for all of its series; raises SendingError."""
    keys = {
        "StudyInstanceUID": item.study_instance_uid,
        "SeriesInstanceUID": item.series_instance_uid,
        "SOPInstanceUID": "" if series else item.sop_instance_uid,
    }
    query, answers = ask(peer, "Instance", keys)
    return Found(query=query, uids=tuple((each.get("SOPInstanceUID") or "").strip("\0 ") for each in answers))


def ask(peer: Modality, level: str, keys: dict[str, str]) -> tuple[str, list[dict[str, Any]]]:
    """Ask the peer; answers Orthanc's id of the query, and the answers by keyword. Raises SendingError."""
    try:
        query: str = peer.ask("query", {"Level": level, "Query": keys})["ID"]
        return query, peer.answers(query)
    except OrthancError as error:
        if error.status == MISSING:
            text = "Orthanc forgot the query, or the peer"
            raise SendingError(ErrorClass.Transient, "query-forgotten", text) from error
        raise of_query(details_of(error), tls=peer.tls) from error


def absent(peer: Modality, items: Sequence[Item]) -> set[str]:
    """The SOPInstanceUIDs of those that the peer has not; raises SendingError."""
    gone: set[str] = set()
    for series in by_series(items):
        found = find(peer, series[0], series=True)
        peer.forget(found.query)
        gone.update(absent_of(peer, series, found))
    return gone


def absent_of(peer: Modality, series: Sequence[Item], found: Found) -> Iterator[str]:
    """Of one series, those that the peer has not: neither named in `found` nor answered for by themselves."""
    named = set(found.uids)
    for item in series:
        uid = item.sop_instance_uid
        if uid in named:
            continue
        alone = find(peer, item)
        peer.forget(alone.query)
        if uid in alone.uids:
            named.add(uid)
        else:
            yield uid
            if not named:  # no answer at all was not cut: it has nothing of the series
                yield from (each.sop_instance_uid for each in series)
                return
