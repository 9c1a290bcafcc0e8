"""Judges a delivery as things are now: by the configuration in force and the restrictions, before anything is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database.tables import decision, restriction, study
from relais.domain.document import DocumentError
from relais.domain.facts import Facts
from relais.domain.residency import Permit, Reason, Refusal, Restriction, judge
from relais.judgement import case_of, patients_of, recipient_of


class Residency:
    """Asks the kernel for one delivery, as long as one configuration is composed."""

    def __init__(self, *, configuration: Configuration, clock: Clock) -> None:
        self._configuration = configuration
        self._clock = clock

    def verdict(
        self, connection: Connection, study_id: int, study_instance_uid: str, clinic: str | None, to: str, purpose: str
    ) -> Permit | Refusal:
        """Whether the study may go `to` this destination now."""
        destination = self._configuration.destinations.get(to)
        if destination is None:
            return Refusal(reasons=(Reason(code="no-destination", values={"destination": to}),))
        now = self._clock.now()
        try:
            restrictions = restrictions_of(connection, study_id, study_instance_uid, now)
        except DocumentError as error:  # its facts were stored by a version that knew others
            return Refusal(reasons=(Reason(code="undecidable", values={"error": type(error).__name__}),))
        case = case_of(
            self._configuration, study_instance_uid=study_instance_uid, clinic=clinic, restrictions=restrictions
        )
        return judge(case, recipient_of(to, destination, self._configuration.digest), purpose, now)


def restrictions_of(
    connection: Connection, study_id: int, study_instance_uid: str, now: datetime, facts: Facts | None = None
) -> tuple[Restriction, ...]:
    """The restrictions of this study and its patients that are in force, or will be; by its last facts if not given."""
    if connection.execute(_ANY, {"now": now}).first() is None:
        return ()
    row = connection.execute(_KNOWN, {"study": study_id}).one()
    if facts is None and row.facts is not None:
        facts = Facts.from_json(row.facts)
    patients = {(row.patient_id, ""), *(patients_of(facts) if facts is not None else ())}
    asked = {"now": now, "uid": study_instance_uid, "patients": [each for each, _ in patients if each]}
    found = tuple(restriction_of(each) for each in connection.execute(_THEIRS, asked))
    # The first pair has no issuer because lists keep none: it must not outweigh what the images say.
    told = {(patient, issuer) for patient, issuer in patients if issuer or not _has_issuer(patient, patients)}
    return tuple(each for each in found if each.concerns(study_instance_uid, told))


def in_force(connection: Connection, now: datetime) -> tuple[Restriction, ...]:
    """Every restriction that is in force, or will be."""
    return tuple(restriction_of(each) for each in connection.execute(_IN_FORCE, {"now": now}))


def restriction_of(row: Any) -> Restriction:
    """A row of `restriction` as the kernel reads it."""
    return Restriction(
        id=row.id,
        study_instance_uid=row.study_instance_uid,
        patient_id=row.patient_id,
        issuer_of_patient_id=row.issuer_of_patient_id,
        destinations=tuple(row.destinations),
        regions=tuple(row.regions),
        since=row.since,
        until=row.until,
    )


def _has_issuer(patient: str, patients: set[tuple[str, str]]) -> bool:
    return any(issuer for each, issuer in patients if each == patient)


_STANDS = (
    restriction.c.lifted_at.is_(None),
    or_(restriction.c.until.is_(None), restriction.c.until > bindparam("now")),
)
_ANY = select(restriction.c.id).where(*_STANDS).limit(1)
_IN_FORCE = select(restriction).where(*_STANDS).order_by(restriction.c.id)
_THEIRS = _IN_FORCE.where(
    or_(
        restriction.c.study_instance_uid == bindparam("uid"),
        restriction.c.patient_id.in_(bindparam("patients", expanding=True)),
    )
)
_KNOWN = (
    select(study.c.patient_id, decision.c.facts)
    .outerjoin(decision, decision.c.id == study.c.decision_id)
    .where(study.c.id == bindparam("study"))
)
