"""Studies: lists with filters and search, one study, its series and its decision."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    RowMapping,
    Select,
    and_,
    exists,
    func,
    intersect,
    select,
)

from relais.database.configuration_tables import version
from relais.database.patient_tables import match
from relais.database.queries.paging import Rows, Scope, counted, distinct, page, visible
from relais.database.tables import decision, delivery, instance, series, study, study_modality, study_word
from relais.domain.words import words

NARROW = 1000
"""A filter that so few studies pass is turned into their ids, so that no database has to guess which index to take."""

LISTED = (
    study.c.id,
    study.c.study_instance_uid,
    study.c.orthanc_id,
    study.c.state,
    study.c.instances,
    study.c.received_at,
    study.c.changed_at,
    study.c.completed_at,
    study.c.quiet_until,
    study.c.expected,
    study.c.completed_by,
    study.c.clinic,
    study.c.clinic_reason,
    study.c.hold_reason,
    study.c.held_by,
    study.c.origin,
    study.c.match_state,
    study.c.match_id,
    study.c.crm_id,
    select(match.c.posterior).where(match.c.id == study.c.match_id).scalar_subquery().label("posterior"),
    study.c.patient_name,
    study.c.patient_id,
    study.c.patient_birth_date,
    study.c.accession_number,
    study.c.study_date,
    study.c.study_description,
    study.c.modalities,
)


@dataclass(frozen=True, kw_only=True)
class StudyFilter:
    """What a list of studies is narrowed to; None leaves a question open."""

    state: str | None = None
    clinic: str | None = None
    modality: str | None = None
    destination: str | None = None
    text: str | None = None


def find(connection: Connection, wanted: StudyFilter, scope: Scope, before: int | None, limit: int) -> Rows:
    """Studies, the one that arrived last first. `text` finds words and their beginnings, without case and accents."""
    return page(connection, select(*LISTED).where(*_conditions(connection, wanted, scope)), study.c.id, before, limit)


def newer(connection: Connection, wanted: StudyFilter, scope: Scope, after: int, limit: int = 100) -> int:
    """How many of these studies came after the one with the id `after`; at most `limit` are counted."""
    found = select(study.c.id).where(study.c.id > after, *_conditions(connection, wanted, scope)).limit(limit)
    return connection.execute(select(func.count()).select_from(found.subquery())).scalar_one()


def of_patient(connection: Connection, crm_ids: Collection[str], scope: Scope, before: int | None, limit: int) -> Rows:
    """The studies that are these patients', the one that arrived last first."""
    statement = select(*LISTED).where(study.c.crm_id.in_(crm_ids), study.c.match_state == "Matched", visible(scope))
    return page(connection, statement, study.c.id, before, limit)


def count_of_patient(connection: Connection, crm_ids: Collection[str], scope: Scope) -> int:
    """How many studies are these patients'."""
    mine = study.c.crm_id.in_(crm_ids), study.c.match_state == "Matched", visible(scope)
    return connection.execute(select(func.count()).select_from(study).where(*mine)).scalar_one()


def of_ids(connection: Connection, study_ids: Collection[int], scope: Scope) -> Rows:
    """These studies, as far as the caller may see them."""
    return connection.execute(select(*LISTED).where(study.c.id.in_(study_ids), visible(scope))).mappings().all()


def of_uids(connection: Connection, uids: Collection[str], scope: Scope) -> dict[str, RowMapping]:
    """Those of these studies that are here, by StudyInstanceUID, as far as the caller may see them."""
    rows = connection.execute(select(*LISTED).where(study.c.study_instance_uid.in_(uids), visible(scope))).mappings()
    return {row["study_instance_uid"]: row for row in rows}


def one(connection: Connection, study_instance_uid: str, scope: Scope) -> RowMapping | None:
    """A study with `sequence`, its order and the decision's `configuration`, `facts` and `document` if there is one."""
    statement = (
        select(
            *LISTED,
            study.c.sequence,
            study.c.decision_id,
            study.c.order_id,
            study.c.tied_order_id,
            decision.c.configuration,
            decision.c.decided_at,
            decision.c.facts,
            decision.c.document,
        )
        .outerjoin(decision, decision.c.id == study.c.decision_id)
        .where(study.c.study_instance_uid == study_instance_uid, visible(scope))
    )
    return connection.execute(statement).mappings().one_or_none()


def series_of(connection: Connection, study_id: int) -> Rows:
    """The series of a study, by number and then in the order they came."""
    rows = connection.execute(select(series).where(series.c.study_id == study_id)).mappings().all()
    return sorted(rows, key=lambda row: (int(row["number"]) if row["number"].isdecimal() else 2**31, row["id"]))


def middle_instance(connection: Connection, series_id: int) -> RowMapping | None:
    """The instance in the middle of a series, in the order they came: Orthanc's id, and the SOP class if known."""
    mine = instance.c.series_id == series_id
    count = connection.execute(select(func.count()).where(mine)).scalar_one()
    statement = select(instance.c.orthanc_id, instance.c.sop_class_uid).where(mine).order_by(instance.c.id)
    return connection.execute(statement.offset(count // 2).limit(1)).mappings().one_or_none()


def image(connection: Connection, study_id: int, sop_instance_uid: str | None) -> RowMapping | None:
    """One image of a study, its first where none is named: ids, UIDs and bytes."""
    statement = (
        select(
            instance.c.orthanc_id,
            instance.c.sop_instance_uid,
            instance.c.bytes,
            series.c.series_instance_uid,
        )
        .join(series, series.c.id == instance.c.series_id)
        .where(instance.c.study_id == study_id)
    )
    if sop_instance_uid is not None:
        statement = statement.where(instance.c.sop_instance_uid == sop_instance_uid)
    return connection.execute(statement.order_by(instance.c.sequence).limit(1)).mappings().one_or_none()


def modalities(connection: Connection) -> list[str]:
    """Every modality that there is."""
    return distinct(connection, study_modality.c.modality)


def configuration_document(connection: Connection, digest: str) -> dict[str, Any] | None:
    """The configuration of this hash that was once active, secrets redacted."""
    found: dict[str, Any] | None = connection.execute(
        select(version.c.document).where(version.c.digest == digest).order_by(version.c.number.desc()).limit(1)
    ).scalar()
    return found


def count_by_state(connection: Connection, scope: Scope) -> dict[str, int]:
    """How many studies stand in each state."""
    statement = select(study.c.state, func.count()).where(visible(scope)).group_by(study.c.state)
    return counted(connection, statement)


def count_in_state(connection: Connection, state: str, scope: Scope) -> int:
    """How many studies stand in one state."""
    statement = select(func.count()).select_from(study).where(study.c.state == state, visible(scope))
    return connection.execute(statement).scalar_one()


def sources_since(connection: Connection, since: datetime, scope: Scope) -> dict[str, int]:
    """How many studies came since then from each calling AE title, or from the source that they were imported from."""
    source = func.coalesce(study.c.origin["Source"].as_string(), study.c.origin["CallingAet"].as_string())
    statement = select(source, func.count()).where(study.c.received_at >= since, visible(scope)).group_by(source)
    return {name or "": count for name, count in connection.execute(statement)}


def flows_since(connection: Connection, since: datetime, scope: Scope) -> Rows:
    """How many studies went from each calling AE title (`source`) to each `destination` since then, by `state`.

    A study that is owed nowhere has no destination and no state.
    """
    source = study.c.origin["CallingAet"].as_string()
    statement = (
        select(source.label("source"), delivery.c.destination, delivery.c.state, func.count().label("studies"))
        .select_from(study.outerjoin(delivery, delivery.c.study_id == study.c.id))
        .where(study.c.received_at >= since, visible(scope))
        .group_by(source, delivery.c.destination, delivery.c.state)
    )
    return connection.execute(statement).mappings().all()


def _conditions(connection: Connection, wanted: StudyFilter, scope: Scope) -> list[ColumnElement[bool]]:
    """What a study must be to be listed."""
    conditions = [visible(scope)]
    if wanted.state is not None:
        conditions.append(study.c.state == wanted.state)
    if wanted.clinic is not None:
        conditions.append(study.c.clinic == wanted.clinic)
    return conditions + _narrowed(connection, _having(wanted))


def _having(wanted: StudyFilter) -> list[Select[int]]:
    """For each filter over another table, the query of the study ids that pass."""
    having: list[Select[int]] = []
    if wanted.modality is not None:
        having.append(select(study_modality.c.study_id).where(study_modality.c.modality == wanted.modality))
    if wanted.destination is not None:
        having.append(select(delivery.c.study_id).where(delivery.c.destination == wanted.destination))
    for word in sorted(words([wanted.text or ""])):
        begins = and_(study_word.c.word >= word, study_word.c.word < word + "\U0010ffff")
        having.append(select(study_word.c.study_id).where(begins))
    return having


def _narrowed(connection: Connection, having: list[Select[int]]) -> list[ColumnElement[bool]]:
    """The conditions for all of these: as ids where few studies pass, else as questions asked of each study in turn."""
    conditions: list[ColumnElement[bool]] = []
    wide = []
    for each in having:
        ids = _ids(connection, each)
        if ids is None:
            wide.append(each)
        else:
            conditions.append(study.c.id.in_(ids))
    if not conditions and len(wide) > 1:  # many have the one, many the other, and perhaps nobody both
        ids = _ids(connection, intersect(*wide))
        if ids is not None:
            return [study.c.id.in_(ids)]
    return conditions + [exists(each.where(each.selected_columns[0] == study.c.id)) for each in wide]


def _ids(connection: Connection, having: Select[int] | CompoundSelect[int]) -> set[int] | None:
    """The ids that pass, or None when they are more than NARROW."""
    ids = set(connection.execute(having.limit(NARROW + 1)).scalars())
    return ids if len(ids) <= NARROW else None
