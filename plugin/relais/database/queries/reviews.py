"""Reviews: what persons must decide, by clinic, age and urgency."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, func, or_, select

from relais.database.patient_tables import review
from relais.database.queries.paging import Rows, Scope, visible
from relais.database.tables import study
from relais.domain.states import ReviewState

LISTED = (
    *review.c,
    study.c.study_instance_uid,
    study.c.orthanc_id,
    study.c.patient_name,
    study.c.patient_id.label("study_patient_id"),
    study.c.patient_birth_date,
    study.c.accession_number,
    study.c.study_description,
    study.c.study_date,
    study.c.modalities,
    study.c.instances,
    study.c.received_at,
    study.c.match_state,
    study.c.crm_id.label("study_crm_id"),
    study.c.match_id.label("study_match_id"),
)


@dataclass(frozen=True, kw_only=True)
class ReviewFilter:
    """What a list of reviews is narrowed to; None leaves a question open."""

    state: str = ReviewState.Open
    kind: str | None = None
    clinic: str | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the list a review stands: the next page begins after it."""

    urgency: int
    moment: datetime
    """When it was opened; of one that waits no longer, when it was decided or withdrawn."""
    id: int

    @classmethod
    def of(cls, row: RowMapping) -> Place:
        """The place of this review."""
        moment = row["opened_at" if row["state"] == ReviewState.Open else "resolved_at"]
        return cls(urgency=row["urgency"], moment=moment, id=row["id"])

    def __str__(self) -> str:
        """As a caller gives it back."""
        return f"{self.urgency}/{self.moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}/{self.id}"

    @classmethod
    def read(cls, text: str) -> Place:
        """From what was given out; raises ValueError."""
        urgency, moment, number = text.split("/")
        return cls(urgency=int(urgency), moment=datetime.fromisoformat(moment).replace(tzinfo=UTC), id=int(number))


def find(connection: Connection, wanted: ReviewFilter, scope: Scope, after: Place | None, limit: int) -> Rows:
    """Reviews that wait, the most urgent first, and of these the one that waits longest; others, the latest first."""
    statement = _reviews(scope)
    for column, value in (
        (review.c.state, wanted.state),
        (review.c.kind, wanted.kind),
        (study.c.clinic, wanted.clinic),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.state != ReviewState.Open:
        over = review.c.resolved_at
        if after is not None:
            earlier = and_(over == after.moment, review.c.id < after.id)
            statement = statement.where(or_(over < after.moment, earlier))
        statement = statement.order_by(over.desc(), review.c.id.desc())
        return connection.execute(statement.limit(limit)).mappings().all()
    if after is not None:
        statement = statement.where(
            or_(
                review.c.urgency > after.urgency,
                and_(review.c.urgency == after.urgency, review.c.opened_at > after.moment),
                and_(
                    review.c.urgency == after.urgency,
                    review.c.opened_at == after.moment,
                    review.c.id > after.id,
                ),
            )
        )
    ordered = statement.order_by(review.c.urgency, review.c.opened_at, review.c.id).limit(limit)
    return connection.execute(ordered).mappings().all()


def one(connection: Connection, review_id: int, scope: Scope) -> RowMapping | None:
    """One review."""
    return connection.execute(_reviews(scope).where(review.c.id == review_id)).mappings().one_or_none()


def of_ids(connection: Connection, review_ids: Collection[int], scope: Scope) -> Rows:
    """These reviews, as far as the caller may see them."""
    return connection.execute(_reviews(scope).where(review.c.id.in_(review_ids))).mappings().all()


def open_of(connection: Connection, study_id: int) -> Rows:
    """The open reviews of a study."""
    statement = select(review).where(review.c.study_id == study_id, review.c.state == ReviewState.Open)
    return connection.execute(statement).mappings().all()


def waiting(connection: Connection, scope: Scope) -> Rows:
    """How much waits (`amount`) by `clinic` and `kind`, and since when (`oldest`)."""
    statement = (
        select(
            study.c.clinic, review.c.kind, func.count().label("amount"), func.min(review.c.opened_at).label("oldest")
        )
        .join(study, study.c.id == review.c.study_id)
        .where(review.c.state == ReviewState.Open, visible(scope))
        .group_by(study.c.clinic, review.c.kind)
        .order_by(study.c.clinic, review.c.kind)
    )
    return connection.execute(statement).mappings().all()


def _reviews(scope: Scope) -> Select[Any]:
    return select(*LISTED).join(study, study.c.id == review.c.study_id).where(visible(scope))
