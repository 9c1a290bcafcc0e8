"""What is known of a study before it is decided: its newest images' attributes, read from Orthanc."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, func, select

from relais.configuration import Configuration
from relais.database import Database
from relais.database.tables import instance, series
from relais.domain.asked import Demographics, demographics
from relais.domain.attributes import nested, texts
from relais.domain.clinics import Resolution, resolve_clinic
from relais.domain.facts import Facts, Origin
from relais.errors import OrthancError
from relais.orthanc import Orthanc

MISSING = 404


@dataclass(frozen=True, kw_only=True)
class Known:
    """Facts for the rules, tags for lists, and the patients that its series name, the newest last."""

    facts: Facts
    clinic_reason: dict[str, Any]
    tags: Mapping[str, str]
    patients: tuple[Demographics, ...]


class Reading:
    """Reads studies."""

    def __init__(self, *, database: Database, orthanc: Orthanc, configuration: Configuration) -> None:
        self._database = database
        self._orthanc = orthanc
        self._configuration = configuration

    def read(self, row: Row[Any]) -> Known:
        """Read a study (a row of `study`) from the newest instance of each series: it has the corrected tags."""
        with self._database.read() as connection:
            ids = connection.execute(_NEWEST, {"study": row.id}).scalars().all()
        answers = [answer for each in ids if (answer := self._tags(each))]
        series_tags = [texts(answer) for answer in answers]
        attributes = tuple(
            {key: tuple(value.split("\\")) for key, value in tags.items()} | nested(answer)
            for tags, answer in zip(series_tags, answers, strict=True)
        )
        latest = series_tags[-1] if series_tags else {}
        origin = Origin(
            calling_aet=row.origin["CallingAet"] or None,
            called_aet=row.origin["CalledAet"] or None,
            remote_ip=row.origin["RemoteIp"] or None,
            kind=row.origin["Kind"] or None,
            source=row.origin.get("Source"),
            route=row.origin.get("Route", True),
        )
        institutions = tuple({each["InstitutionName"]: None for each in series_tags if "InstitutionName" in each})
        resolution = self._clinic(origin, institutions)
        clinic = self._configuration.clinics.get(resolution.clinic) if resolution.clinic else None
        facts = Facts(
            study=attributes[-1] if attributes else {},
            series=attributes,
            instances=row.instances,
            origin=origin,
            clinic=resolution.clinic,
            clinic_region=clinic.region if clinic else None,
            time_zone=clinic.time_zone if clinic else "UTC",
            match_state=row.match_state,
            urgency=row.origin.get("Urgency"),
        )
        patients = tuple(demographics(answer) for answer in answers)
        return Known(facts=facts, clinic_reason=_reason(resolution), tags=latest, patients=patients)

    def _clinic(self, origin: Origin, institutions: tuple[str, ...]) -> Resolution:
        """The clinic to which the imports of its source belong, or else the one that the study comes from."""
        source = self._configuration.sources.get(origin.source) if origin.source else None
        if source is not None and source.clinic is not None:
            return Resolution(clinic=source.clinic, source=origin.source)
        return resolve_clinic(origin, institutions, self._configuration.clinics, self._configuration.unknown_sender)

    def _tags(self, orthanc_id: str) -> Mapping[str, Any]:
        """An instance's attributes, as Orthanc answers them; none where it is gone."""
        try:
            answer: Mapping[str, Any] = self._orthanc.get(f"/instances/{orthanc_id}/tags?short")
        except OrthancError as error:
            if error.status == MISSING:
                return {}
            raise
        return answer


_newest = (
    select(instance.c.series_id, func.max(instance.c.sequence).label("sequence"))
    .where(instance.c.study_id == bindparam("study"))
    .group_by(instance.c.series_id)
    .subquery()
)
_NEWEST = (
    select(instance.c.orthanc_id)
    .join(_newest, (_newest.c.series_id == instance.c.series_id) & (_newest.c.sequence == instance.c.sequence))
    .join(series, series.c.id == instance.c.series_id)
    .where(instance.c.study_id == bindparam("study"))
    .order_by(instance.c.sequence)
)
"""Orthanc's ids of the newest instance of each series."""


def _reason(resolution: Resolution) -> dict[str, Any]:
    """Why it is this clinic, or none, as it is stored and shown."""
    return {
        "Level": resolution.level,
        "Ambiguous": resolution.ambiguous,
        "ByDefault": resolution.by_default,
        "Source": resolution.source,
        "Evidence": [
            {"Clinic": each.clinic, "Pattern": each.pattern, "Value": each.value} for each in resolution.evidence
        ],
    }
