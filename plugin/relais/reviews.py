"""Reviews: a person claims one, sees the evidence, and decides; what they decided can be undone.

A claim is a lease of minutes, so that two persons never decide the same review. With four eyes a second person must say
the same as the first before it holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, or_, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.database.patient_tables import review
from relais.database.queries import matches
from relais.database.tables import study
from relais.domain.matching.decision import Grade, Judged, Match, Question
from relais.domain.states import REVIEW, ReviewDecision, ReviewKind, ReviewReason, ReviewState, sources_of
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.links import Links, Verdict, subject
from relais.review_queue import ReviewQueue
from relais.safety_net import SafetyNet


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A review as a person may see it: what was asked and answered, the images' own words, and the candidates.

    Where `blinded`, the candidates stand in an order that says nothing, without what was found of them. Question and
    answer are None where one of the patients in them was forgotten.
    """

    question: Question | None
    answer: Match | None
    tags: Mapping[str, str]
    candidates: tuple[Judged, ...]
    blinded: bool


class Reviews:
    """What persons do to reviews."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
        configuration: Configuration,
        links: Links,
        queue: ReviewQueue,
        safety_net: SafetyNet,
    ) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._options = configuration.matching
        self._links = links
        self._queue = queue
        self._safety_net = safety_net

    def shown(self, connection: Connection, row: RowMapping) -> Shown:
        """What a person sees of a review (a row of `queries.reviews`)."""
        held = matches.one(connection, row["match_id"])
        if held is None:
            raise UnknownError("review", row["id"])
        question = None if held.question is None else Question.from_json(held.question)
        answer = None if held.answer is None else Match.from_json(held.answer)
        candidates = () if answer is None else answer.candidates
        blinded = row["kind"] == ReviewKind.SecondLook and row["state"] == ReviewState.Open
        if blinded:
            seed = f"{row['id']}".encode()
            order = sorted(candidates, key=lambda each: hashlib.sha256(seed + each.crm_id.encode()).digest())
            candidates = tuple(_blind(each) for each in order)
        return Shown(
            question=question,
            answer=None if blinded else answer,
            tags=held.tags,
            candidates=candidates,
            blinded=blinded,
        )

    def claim(self, review_id: int, *, actor: str) -> datetime:
        """This person looks at it until then; asked again, for longer.

        Raises StateError where another looks at it, or it does not wait.
        """
        now = self._clock.now()
        until = now + timedelta(minutes=self._options.claim_minutes)
        with self._database.write() as connection:
            free = or_(review.c.claimed_by.is_(None), review.c.claimed_by == actor, review.c.claimed_until < now)
            statement = (
                update(review)
                .where(review.c.id == review_id, review.c.state == ReviewState.Open, free)
                .values(claimed_by=actor, claimed_until=until)
            )
            if connection.execute(statement).rowcount == 0:
                row, _ = self._locked(connection, review_id)
                self._check(row, actor, ReviewState.Open)
        return until

    def unclaim(self, review_id: int, *, actor: str) -> None:
        """This person looks at it no longer; nothing where they did not."""
        with self._database.write() as connection:
            connection.execute(
                update(review)
                .where(review.c.id == review_id, review.c.claimed_by == actor)
                .values(claimed_by=None, claimed_until=None)
            )

    def resolve(self, review_id: int, verdict: Verdict, *, actor: str, match_id: int | None = None) -> ReviewState:
        """Decide; Open where a second person must say the same first.

        `match_id` is the answer that the person saw. Raises StateError where the review does not wait, where another
        looks at it, and where something else is asked meanwhile.
        """
        with self._database.write() as connection:
            row, whose = self._locked(connection, review_id)
            self._check(row, actor, ReviewState.Resolved)
            if match_id not in (None, row.match_id):
                raise StateError("review-changed")
            self._links.check(connection, whose, verdict)
            if row.kind == ReviewKind.SecondLook:
                self._second_look(connection, row, whose, verdict, actor)
                return ReviewState.Resolved
            if self._options.four_eyes and not _says_the_same(row.first, verdict, actor):
                self._queue.first_word(connection, whose, verdict.to_json(), actor)
                return ReviewState.Open
            asked = matches.one(connection, row.match_id)
            made = self._links.keep(connection, whose, asked, verdict, actor=actor)
            self._queue.resolve(connection, whose, made, verdict.decision, verdict.crm_id, actor)
            return ReviewState.Resolved

    def undo(self, review_id: int, *, actor: str, reason: str) -> None:
        """Take back what the review came to: it waits again. Raises StateError where that does not hold any more."""
        with self._database.write() as connection:
            row, whose = self._locked(connection, review_id)
            if row.state not in sources_of(REVIEW, ReviewState.Open) - {ReviewState.Open}:
                raise StateError("review-open" if row.state == ReviewState.Open else "review-over")
            if row.resolution_id is None or row.resolution_id != whose.match_id:
                raise StateError("review-overtaken")
            holding = matches.one(connection, row.resolution_id)
            if holding is None:
                raise StateError("review-overtaken")
            self._links.undo(connection, whose, holding, actor=actor, reason=reason)
            self._queue.reopen(connection, whose, holding.id)

    def ask_crm(self, review_id: int, *, actor: str) -> None:
        """Ask the CRM to create the patient: an event with the review's id, once; it fetches what it may see."""
        with self._database.write() as connection:
            row, whose = self._locked(connection, review_id)
            self._check(row, actor, ReviewState.Open)
            if row.asked_crm:
                raise StateError("crm-asked")
            connection.execute(update(review).where(review.c.id == review_id).values(asked_crm=True))
            self._journal.record(connection, "patient.requested", actor=actor, subject=subject(whose), Review=review_id)

    def _second_look(
        self, connection: Connection, row: Row[Any], whose: Row[Any], verdict: Verdict, actor: str
    ) -> None:
        agreed = verdict.decision is ReviewDecision.Link and verdict.crm_id == whose.crm_id
        self._queue.close(connection, whose, row.id, actor, verdict.decision, verdict.crm_id, agreed=agreed)
        if agreed:
            return
        holding = matches.one(connection, whose.match_id)
        made = self._links.doubt(connection, whose, holding, actor=actor)
        self._queue.ask(connection, whose, made, ReviewReason.Doubted, whose.clinic, None)
        self._safety_net.look(connection)

    def _locked(self, connection: Connection, review_id: int) -> tuple[Row[Any], Row[Any]]:
        """The review and its study, the study locked first as everywhere."""
        study_id = connection.execute(select(review.c.study_id).where(review.c.id == review_id)).scalar()
        if study_id is None:
            raise UnknownError("review", review_id)
        whose = connection.execute(select(study).where(study.c.id == study_id).with_for_update()).one()
        row = connection.execute(select(review).where(review.c.id == review_id).with_for_update()).one()
        return row, whose

    def _check(self, row: Row[Any], actor: str, wanted: ReviewState) -> None:
        if row.state not in sources_of(REVIEW, wanted) & {ReviewState.Open}:
            raise StateError("review-over")
        if row.claimed_by not in (None, actor) and row.claimed_until >= self._clock.now():
            raise StateError("review-claimed", name=row.claimed_by)


def _says_the_same(first: Mapping[str, Any] | None, verdict: Verdict, actor: str) -> bool:
    """Whether another person said so before."""
    said = first is not None and (first["Decision"], first["CrmId"]) == (verdict.decision.value, verdict.crm_id)
    return said and first is not None and first["By"] != actor


def _blind(judged: Judged) -> Judged:
    return replace(judged, bits=0.0, posterior=0.0, weights=(), vetoes=(), grade=Grade.Possible)
