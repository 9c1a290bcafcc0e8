"""What waits for a person: reviews are opened, amended and withdrawn as studies are identified.

Each of these is called within the transaction that makes it true, with the study's row locked.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from relais.clock import Clock
from relais.database import inserted_id
from relais.database.patient_tables import review
from relais.domain.priority import Priority
from relais.domain.states import ReviewDecision, ReviewKind, ReviewReason, ReviewState
from relais.journal import Journal, Subject


class ReviewQueue:
    """Opens reviews, and takes them back."""

    def __init__(self, *, clock: Clock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal

    def ask(
        self,
        connection: Connection,
        row: Row[Any],
        match_id: int,
        reason: str,
        clinic: str | None,
        urgency: Priority | None,
    ) -> None:
        """A person must decide whose this study is: open a review, or put the new answer under the one that is open.

        Of four eyes both look at the same: the first word is void where what was asked is another.
        """
        values = {
            "match_id": match_id,
            "reason": reason,
            "clinic": clinic,
            "urgency": Priority.Routine if urgency is None else urgency,
        }
        known = self._open(connection, row.id, ReviewKind.Match)
        if known is None:
            review_id = self._insert(connection, row, ReviewKind.Match, values)
        else:
            review_id = known.id
            connection.execute(update(review).where(review.c.id == review_id).values(**values, first=None))
        self._withdraw(connection, row, ReviewKind.SecondLook)
        self._journal.record(connection, "study.review", subject=_subject(row), Review=review_id, Reason=reason)

    def keep(self, connection: Connection, row: Row[Any], clinic: str | None, urgency: Priority | None) -> None:
        """Nothing changed but perhaps the study's clinic or how urgent it is."""
        values = {"clinic": clinic, "urgency": Priority.Routine if urgency is None else urgency}
        connection.execute(
            update(review).where(review.c.study_id == row.id, review.c.state == ReviewState.Open).values(values)
        )

    def look_again(self, connection: Connection, row: Row[Any], match_id: int, clinic: str | None) -> None:
        """Ask a person, who does not see the answer, whose this study is that was just matched."""
        values = {
            "match_id": match_id,
            "reason": ReviewReason.SecondLook.value,
            "clinic": clinic,
            "urgency": Priority.Background,
        }
        review_id = self._insert(connection, row, ReviewKind.SecondLook, values)
        self._journal.record(connection, "review.sampled", subject=_subject(row), Review=review_id)

    def withdraw(self, connection: Connection, row: Row[Any]) -> None:
        """Nobody need decide any more, nor look again at what no longer holds."""
        for kind in ReviewKind:
            self._withdraw(connection, row, kind)

    def resolve(
        self,
        connection: Connection,
        row: Row[Any],
        match_id: int,
        decision: ReviewDecision,
        crm_id: str | None,
        actor: str,
    ) -> None:
        """A person said whose the study is, beside its review or in it."""
        self._withdraw(connection, row, ReviewKind.SecondLook)
        known = self._open(connection, row.id, ReviewKind.Match)
        if known is not None:
            self.close(connection, row, known.id, actor, decision, crm_id, resolution_id=match_id)

    def close(
        self,
        connection: Connection,
        row: Row[Any],
        review_id: int,
        actor: str,
        decision: ReviewDecision,
        crm_id: str | None,
        **more: Any,
    ) -> None:
        """The review is resolved."""
        values = {
            "state": ReviewState.Resolved,
            "resolved_at": self._clock.now(),
            "resolved_by": actor,
            "decision": decision,
            "crm_id": crm_id,
            "claimed_by": None,
            "claimed_until": None,
            **more,
        }
        connection.execute(update(review).where(review.c.id == review_id).values(values))
        detail = {"Agreed": more["agreed"]} if "agreed" in more else {"Decision": decision}
        self._journal.record(
            connection, "review.resolved", actor=actor, subject=_subject(row), Review=review_id, **detail
        )

    def first_word(self, connection: Connection, row: Row[Any], word: dict[str, Any], actor: str) -> None:
        """The first of four eyes has decided: the review, opened where there is none, waits for another person."""
        known = self._open(connection, row.id, ReviewKind.Match)
        first = {"By": actor, "At": self._clock.now().isoformat(), **word}
        if known is None:
            values = {
                "match_id": row.match_id,
                "reason": ReviewReason.ByHand.value,
                "clinic": row.clinic,
                "urgency": Priority.Routine,
                "first": first,
            }
            review_id = self._insert(connection, row, ReviewKind.Match, values)
        else:
            review_id = known.id
            values = {"first": first, "claimed_by": None, "claimed_until": None}
            connection.execute(update(review).where(review.c.id == review_id).values(values))
        self._journal.record(connection, "review.first-word", actor=actor, subject=_subject(row), Review=review_id)

    def reopen(self, connection: Connection, row: Row[Any], match_id: int) -> None:
        """What a review came to was taken back: it waits again, unless another does."""
        made = select(review.c.id).where(review.c.study_id == row.id, review.c.resolution_id == match_id)
        review_id = connection.execute(made).scalar()
        if review_id is None or self._open(connection, row.id, ReviewKind.Match) is not None:
            return
        values = {
            "state": ReviewState.Open,
            "first": None,
            "asked_crm": False,
            **dict.fromkeys(("claimed_by", "claimed_until", "resolved_at", "resolved_by", "decision", "crm_id")),
            **dict.fromkeys(("resolution_id", "agreed")),
        }
        connection.execute(update(review).where(review.c.id == review_id).values(values))
        self._journal.record(connection, "review.reopened", subject=_subject(row), Review=review_id)

    def _withdraw(self, connection: Connection, row: Row[Any], kind: ReviewKind) -> None:
        known = self._open(connection, row.id, kind)
        if known is None:
            return
        values = {"state": ReviewState.Withdrawn, "resolved_at": self._clock.now(), "resolved_by": "relais"}
        connection.execute(update(review).where(review.c.id == known.id).values(values))
        self._journal.record(connection, "review.withdrawn", subject=_subject(row), Review=known.id)

    def _open(self, connection: Connection, study_id: int, kind: ReviewKind) -> Row[Any] | None:
        statement = select(review).where(
            review.c.study_id == study_id, review.c.state == ReviewState.Open, review.c.kind == kind
        )
        return connection.execute(statement.with_for_update()).one_or_none()

    def _insert(self, connection: Connection, row: Row[Any], kind: ReviewKind, values: dict[str, Any]) -> int:
        return inserted_id(
            connection.execute(
                insert(review).values(
                    study_id=row.id,
                    kind=kind,
                    state=ReviewState.Open,
                    opened_at=self._clock.now(),
                    asked_crm=False,
                    **values,
                )
            )
        )


def _subject(row: Row[Any]) -> Subject:
    return Subject(id=row.id, study_instance_uid=row.study_instance_uid)
