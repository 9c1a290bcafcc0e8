"""One round of a retrieval: what it asks for, what may break it off, and why it may not bring everything."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from relais.database.retrieval_tables import expected_instance, retrieval
from relais.domain.querying import SourceState
from relais.domain.retry import ErrorClass
from relais.retrieval.proof import Account
from relais.transports.sources.port import AskingError, Listed

ALONE = 50
"""Up to so many missing images of a series are asked for one by one; of more, the series is asked for again."""
LONGEST_TEXT = 500


class Interruption:
    """Set when the worker stops, or when the import was canceled."""

    def __init__(self, stopping: threading.Event, canceled: set[int], import_id: int) -> None:
        self._stopping = stopping
        self._canceled = canceled
        self._import_id = import_id

    def is_set(self) -> bool:
        """Whether what runs is to be given up."""
        return self._stopping.is_set() or self._import_id in self._canceled

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds at most; whether it is set."""
        waited = 0.0
        while waited < timeout and not self.is_set():
            step = min(0.2, timeout - waited)
            self._stopping.wait(step)
            waited += step
        return self.is_set()


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a round did not bring everything; `unreachable` (or busy) is the source's and not the study's trouble."""

    error_class: ErrorClass
    code: str
    text: str
    unreachable: bool = False

    @property
    def document(self) -> dict[str, str]:
        """As it is stored."""
        return {"Class": self.error_class.value, "Code": self.code, "Text": self.text[:LONGEST_TEXT]}

    @classmethod
    def of(cls, error: AskingError) -> Trouble:
        """What a source's error means here."""
        return cls(
            error_class=error.error_class,
            code=error.code,
            text=error.text,
            # A time-out may be this one study's own.
            unreachable=error.state is SourceState.Unreachable or error.busy,
        )


class ListError(Exception):
    """The source's list of instances is none that anything can be compared with."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.trouble = Trouble(error_class=ErrorClass.Transient, code=code, text=text)


def sound(listed: Listed) -> Mapping[str, str]:
    """The series of each SOPInstanceUID that the source has; raises ListError where that says nothing for sure."""
    if not listed.uids:
        raise ListError("not-at-source", "the source has nothing of the study")
    if not listed.certain:
        raise ListError("list-cut", "the source cuts its list of instances, so that nothing can be proven")
    return {uid: series for series, each in listed.series.items() for uid in each.uids}


def expect(connection: Connection, retrieval_id: int, wanted: Mapping[str, str], now: datetime) -> None:
    """Keep the list; what an earlier one had and this one has not is no longer expected."""
    mine = expected_instance.c.retrieval_id == retrieval_id
    known = set(connection.execute(select(expected_instance.c.sop_instance_uid).where(mine)).scalars())
    if gone := sorted(known - set(wanted)):
        statement = delete(expected_instance).where(mine, expected_instance.c.sop_instance_uid == bindparam("uid"))
        connection.execute(statement, [{"uid": uid} for uid in gone])
    if fresh := sorted(set(wanted) - known):
        rows = [
            {"retrieval_id": retrieval_id, "sop_instance_uid": uid, "series_instance_uid": wanted[uid]} for uid in fresh
        ]
        connection.execute(insert(expected_instance), rows)
    connection.execute(
        update(retrieval).where(retrieval.c.id == retrieval_id).values(expected=len(wanted), listed_at=now)
    )


def portions(row: Row[Any], account: Account) -> Sequence[tuple[str | None, Sequence[str]]]:
    """What to ask for: the whole at first, then the series that lack something, then image by image."""
    if row.rounds == 0 and account.count * 2 > (row.expected or 0):
        return [(row.series_instance_uid, ())]
    portions: list[tuple[str | None, Sequence[str]]] = []
    for series, uids in account.missing.items():
        if (row.rounds <= 1 and len(uids) > 1) or len(uids) > ALONE:
            portions.append((series, ()))
        else:
            portions += [(series, (uid,)) for uid in uids]
    return portions
