"""Whose images a study has: what was found, who said so, and what a person may do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, RowMapping

from relais.database import queries
from relais.domain.matching.decision import Match, Question
from relais.domain.states import MatchKind, MatchState, ReviewKind
from relais.texts_matching import say_reason
from relais.web.composition import current_call
from relais.web.pages.beside import Beside, beside
from relais.web.pages.shell import say
from relais.web.permissions import Permission


@dataclass(frozen=True, kw_only=True)
class WhoseImages:
    """What the study page says of the match; `who` only for those who may see patients."""

    state: MatchState
    crm_id: str | None
    why: str
    by: str | None
    at: datetime | None
    comment: str | None
    review: int | None
    who: Beside | None
    nobody: float | None
    may_change: bool
    may_take_back: bool


def whose_images(connection: Connection, row: RowMapping) -> WhoseImages:
    """Of a study as `queries.studies.one` has it."""
    call = current_call()
    state = MatchState(row["match_state"])
    held = queries.matches.one(connection, row["match_id"])
    by_person = held is not None and held.kind != MatchKind.Automatic
    reviews = queries.reviews.open_of(connection, row["id"])
    may_change = call.caller.may(Permission.ResolveReviews)
    seen = held is not None and call.caller.may(Permission.ViewPatients)
    answer = Match.from_json(held.answer) if seen and held is not None and held.answer else None
    return WhoseImages(
        state=state,
        crm_id=row["crm_id"],
        why=_why(state, held),
        by=held.actor if held is not None and by_person else None,
        at=None if held is None else held.at,
        comment=held.comment if held is not None and by_person and seen else None,
        review=next((each["id"] for each in reviews if each["kind"] == ReviewKind.Match), None),
        who=_who(connection, row, held, answer) if seen and held is not None and row["crm_id"] else None,
        nobody=None if answer is None or state is not MatchState.Unmatched else answer.nobody,
        may_change=may_change,
        may_take_back=may_change and (state is MatchState.Matched or (by_person and state is MatchState.Unmatched)),
    )


def answer_seen(connection: Connection, row: RowMapping) -> str:
    """Another text wherever the page would show another answer, or offer something else to do."""
    reviews = queries.reviews.open_of(connection, row["id"])
    asked = next((each["id"] for each in reviews if each["kind"] == ReviewKind.Match), "")
    return f"{row['match_id'] or ''}-{row['match_state']}-{row['crm_id'] or ''}-{asked}-{row['state'] == 'Receiving'}"


def _why(state: MatchState, held: Row[Any] | None) -> str:
    if held is None:
        return say("The CRM is asked when the study is complete, once it has given its patients.")
    if held.kind == MatchKind.Linked:
        return say("Linked by {name}", name=held.actor)
    if held.kind == MatchKind.Nobody:
        return say("Nobody, says {name}", name=held.actor)
    if held.reason is None:
        return say("It is asked again.") if state is MatchState.Pending else ""
    return say_reason(held.reason, current_call().texts.language)


def _who(connection: Connection, row: RowMapping, held: Row[Any], answer: Match | None) -> Beside:
    crm_id = row["crm_id"]
    patient = current_call().relais.patients.get(connection, crm_id)
    judged = next((each for each in answer.candidates if each.crm_id == crm_id), None) if answer else None
    question = Question.from_json(held.question) if held.question else None
    candidate = next((each for each in question.candidates if each.crm_id == crm_id), None) if question else None
    return beside(held.tags, patient, crm_id, judged=judged, candidate=candidate, clinic=row["clinic"])
