"""Answers what machines ask of the worklist (PS3.4 annex K), from the database.

A machine gets the orders of its clinic, which is known by the AE titles of the association. One that no clinic knows
gets the orders that name its AE title, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, or_, select, true

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.database.worklist_tables import worklist_item
from relais.domain.clinics import Level, resolve_clinic
from relais.domain.facts import Origin
from relais.domain.orders import SEQUENCE, START_DATE
from relais.domain.states import OrderState
from relais.domain.worklist import STATION, Asked, answer, codecs_for, matches, read_request
from relais.worklist.witness import Witness

AT_ONCE = 200
"""Rows that are read from the database at once."""
ENCODINGS: Mapping[str, str] = {
    "Ascii": "",
    "Utf8": "ISO_IR 192",
    "Latin1": "ISO_IR 100",
    "Latin2": "ISO_IR 101",
    "Latin3": "ISO_IR 109",
    "Latin4": "ISO_IR 110",
    "Latin5": "ISO_IR 148",
    "Cyrillic": "ISO_IR 144",
    "Windows1251": "ISO_IR 144",
    "Arabic": "ISO_IR 127",
    "Greek": "ISO_IR 126",
    "Hebrew": "ISO_IR 138",
    "Thai": "ISO_IR 166",
    "Japanese": "ISO_IR 13",
    "Chinese": "GB18030",
}
"""Orthanc's DefaultEncoding as SpecificCharacterSet: it answers every C-FIND in it, whatever was asked."""

_COLUMNS: Mapping[str, Any] = {
    "AccessionNumber": worklist_item.c.accession_number,
    "PatientID": worklist_item.c.patient_id,
    "Modality": worklist_item.c.modality,
    "StudyInstanceUID": worklist_item.c.study_instance_uid,
}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Files of PS3.10, in the order of their time; `cut` where there are more than the limit."""

    files: list[bytes]
    cut: bool


class Serving:
    """Answers requests."""

    def __init__(self, *, database: Database, clock: Clock, configuration: Configuration, witness: Witness) -> None:
        self._database = database
        self._clock = clock
        self._configuration = configuration
        self._witness = witness

    def answer(self, file: bytes, calling: str, called: str, encoding: str | None = None) -> Answers:
        """The orders for a request (a file of PS3.10); raises MalformedError.

        With `encoding`, Orthanc's DefaultEncoding, in that one; else in the character set that was asked for.
        """
        asked = read_request(file)
        if encoding is None:
            codecs, term = codecs_for(asked.character_sets, "ISO_IR 192")
        else:
            codecs, term = codecs_for((), ENCODINGS.get(encoding, "ISO_IR 100"))
        clinic, allowed = self._whose(calling, called)
        station = asked.exact.get(STATION, calling)
        limit = self._configuration.worklist.limit
        files: list[bytes] = []
        cut = False
        with self._database.read() as connection:
            for document in self._found(connection, asked, allowed):
                if len(files) == limit:
                    cut = True
                    break
                files.append(answer(asked, document, station, codecs, term))
        self._witness.tell(
            "worklist.asked", calling, Called=called, Clinic=clinic, Keys=asked.names, Answers=len(files), Cut=cut
        )
        return Answers(files=files, cut=cut)

    def _whose(self, calling: str, called: str) -> tuple[str | None, Any]:
        """The clinic of a machine, and which rows it may see."""
        clinics = self._configuration.clinics
        if not clinics:
            return None, true()
        found = resolve_clinic(Origin(calling_aet=calling, called_aet=called), (), clinics)
        if found.clinic is not None and found.level in (Level.CalledAet, Level.CallingAet):
            return found.clinic, worklist_item.c.clinic == found.clinic
        return None, worklist_item.c.station_aet == calling.strip()

    def _found(self, connection: Connection, asked: Asked, allowed: Any) -> Any:
        statement = _narrowed(asked).where(allowed, worklist_item.c.expires_at > self._clock.now())
        rows = connection.execution_options(yield_per=AT_ONCE).execute(statement)
        for row in rows:
            if matches(asked, row.document):
                yield row.document


def _narrowed(asked: Asked) -> Select[Any]:
    """The orders among which those are that match: what indexes can tell of them."""
    statement = _SCHEDULED
    low, high = asked.ranges.get(START_DATE, ("", ""))
    if low:
        statement = statement.where(worklist_item.c.day >= low)
    if high:
        statement = statement.where(worklist_item.c.day <= high)
    for keyword, column in _COLUMNS.items():
        if keyword in asked.exact and (keyword in asked.keys or keyword in asked.nested.get(SEQUENCE, {})):
            statement = statement.where(column == asked.exact[keyword])
    if (station := asked.exact.get(STATION)) is not None:
        mine = worklist_item.c.station_aet
        statement = statement.where(or_(mine.in_((station, "")), mine.contains("\\", autoescape=True)))
    beginning = asked.name.partition("*")[0].partition("?")[0].partition("^")[0]
    if beginning:
        name = worklist_item.c.patient_name  # or in another of its groups of components
        statement = statement.where(or_(name.startswith(beginning, autoescape=True), name.contains("=")))
    return statement


_SCHEDULED = (
    select(worklist_item.c.document)
    .where(worklist_item.c.state == OrderState.Scheduled)
    .order_by(worklist_item.c.day, worklist_item.c.time, worklist_item.c.id)
)
