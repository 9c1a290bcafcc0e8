"""Matches: every answer to "whose study is this", what persons said before, and how safe it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, func, select, union

from relais.database.patient_tables import match, matching_breaker, review, waiting_key
from relais.database.queries.paging import Rows, Scope, counted, visible
from relais.database.tables import study
from relais.domain.states import MatchKind, ReviewKind, ReviewState

MOST_PEOPLE = 200
"""Of the studies that have one PatientID so many are looked at."""

_LASTING = (MatchKind.Linked, MatchKind.Nobody, MatchKind.Doubted, MatchKind.Undone)
_SAID = (MatchKind.Linked, MatchKind.Rejected, MatchKind.Undone)
_of_id = and_(match.c.patient_id == bindparam("patient"), match.c.issuer_of_patient_id == bindparam("issuer"))
_SAID_OF = union(
    select(match.c.id, match.c.kind, match.c.crm_id).where(
        _of_id, match.c.kind.in_(_SAID), match.c.crm_id.is_not(None)
    ),
    select(match.c.id, match.c.kind, match.c.crm_id).where(
        match.c.study_id == bindparam("study"),
        match.c.kind.in_((MatchKind.Rejected, MatchKind.Undone)),
        match.c.crm_id.is_not(None),
    ),
)
_ONE = select(match).where(match.c.id == bindparam("match"))
_STANDING = (
    select(match)
    .where(match.c.study_id == bindparam("study"), match.c.kind.in_(_LASTING))
    .order_by(match.c.id.desc())
    .limit(1)
)
_PEOPLE = (
    select(study.c.patient_name, study.c.patient_birth_date)
    .where(study.c.id.in_(select(match.c.study_id).where(_of_id)))
    .limit(MOST_PEOPLE)
)


def one(connection: Connection, match_id: int | None) -> Row[Any] | None:
    """An answer by its id."""
    return None if match_id is None else connection.execute(_ONE, {"match": match_id}).one_or_none()


def standing(connection: Connection, study_id: int) -> Row[Any] | None:
    """The last answer of a person about this study that outlives new decisions, or that took one back."""
    return connection.execute(_STANDING, {"study": study_id}).one_or_none()


def said_of(connection: Connection, study_id: int, patient_id: str, issuer: str) -> tuple[set[str], set[str]]:
    """Whom persons linked this source's PatientID to (crm_ids), and who they said it is not: the last word counts.

    Of this very study, what was rejected counts whatever its PatientID is now; an empty `patient_id` asks for no more.
    """
    values = {"study": study_id, "patient": patient_id or None, "issuer": issuer}
    last = {row.crm_id: row.kind for row in sorted(connection.execute(_SAID_OF, values))}
    linked = {crm_id for crm_id, kind in last.items() if kind == MatchKind.Linked}
    return linked, {crm_id for crm_id, kind in last.items() if kind == MatchKind.Rejected}


def people_of(connection: Connection, patient_id: str, issuer: str) -> Rows:
    """Under which names and birth dates studies with this PatientID came."""
    return connection.execute(_PEOPLE, {"patient": patient_id, "issuer": issuer}).mappings().all()


def of_study(connection: Connection, study_id: int, limit: int = 100) -> Rows:
    """Every answer about a study, the newest first, without the evidence."""
    shown = [column for column in match.c if column.name not in ("question", "answer", "tags")]
    statement = select(*shown).where(match.c.study_id == study_id).order_by(match.c.id.desc()).limit(limit)
    return connection.execute(statement).mappings().all()


def followers(connection: Connection, row: Row[Any]) -> Sequence[int]:
    """Other studies that were matched by themselves because of this link of a person (a row of `match`)."""
    statement = (
        select(study.c.id)
        .join(match, match.c.id == study.c.match_id)
        .where(
            match.c.kind == MatchKind.Automatic,
            match.c.reason == "EarlierLink",
            match.c.crm_id == row.crm_id,
            match.c.patient_id == row.patient_id,
            match.c.issuer_of_patient_id == row.issuer_of_patient_id,
            study.c.id != row.study_id,
        )
        .order_by(study.c.id)
    )
    return connection.execute(statement).scalars().all()


def waiting_for(connection: Connection, keys: Sequence[int]) -> Sequence[int]:
    """The studies that wait for a match and would find a patient with one of these keys."""
    statement = select(waiting_key.c.study_id).where(waiting_key.c.key.in_(keys)).distinct()
    return sorted(connection.execute(statement).scalars())


def waiting_after(connection: Connection, after: int, most: int) -> Sequence[int]:
    """The studies that wait for a match, or are nobody's, by their ids, after this one."""
    waits = study.c.match_state.in_(("Review", "Unmatched"))
    statement = select(study.c.id).where(study.c.id > after, waits).order_by(study.c.id).limit(most)
    return connection.execute(statement).scalars().all()


def count_by_state(connection: Connection, scope: Scope) -> dict[str, int]:
    """How many studies stand in each state of the match."""
    statement = select(study.c.match_state, func.count()).where(visible(scope)).group_by(study.c.match_state)
    return counted(connection, statement)


def decided_since(connection: Connection, since: datetime) -> tuple[int, int]:
    """How many answers Relais gave by itself since then, and how many of these a veto made a review."""
    veto = func.coalesce(func.sum(case((match.c.reason == "Vetoed", 1), else_=0)), 0)
    statement = select(func.count(), veto).where(match.c.at >= since, match.c.kind == MatchKind.Automatic)
    answers, vetoes = connection.execute(statement).one()
    return answers, int(vetoes)


def looks_since(connection: Connection, since: datetime) -> tuple[int, int]:
    """How many second looks there were since then, and how many of these came to something else.

    One is also whoever took an automatic match back unasked.
    """
    statement = (
        select(review.c.agreed, func.count())
        .where(
            review.c.state == ReviewState.Resolved,
            review.c.resolved_at >= since,
            review.c.kind == ReviewKind.SecondLook,
        )
        .group_by(review.c.agreed)
    )
    found = {row[0]: row[1] for row in connection.execute(statement)}
    undone = select(func.count()).where(match.c.at >= since, match.c.reason == "Undone")
    unasked = connection.execute(undone).scalar_one()
    return sum(found.values()) + unasked, found.get(False, 0) + unasked


def is_stopped(connection: Connection) -> bool:
    """Whether the breaker stops automatic matching."""
    stopped = select(matching_breaker.c.name).where(matching_breaker.c.tripped_at.is_not(None))
    return connection.execute(stopped).first() is not None
