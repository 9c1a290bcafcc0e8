"""Reviews: matches that a person must decide, or look at once more."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping

from relais.database import queries
from relais.database.queries.reviews import Place, ReviewFilter
from relais.journal import Subject
from relais.web.answers import Done
from relais.web.answers_matching import (
    CandidateAnswer,
    Claimed,
    Resolved,
    ReviewAnswer,
    ReviewDetail,
    ReviewPage,
    WaitingAnswer,
    WaitingList,
)
from relais.web.composition import Call
from relais.web.errors import not_found
from relais.web.permissions import Permission
from relais.web.questions import Command, Nothing
from relais.web.questions_matching import Resolution, ReviewQuery
from relais.web.routes import Routes

routes = Routes("/relais/v1/reviews")

ONE = "/<id:Id>"
CONFLICT = {409: "Somebody else looks at it, or it does not wait."}


@routes.get("", Permission.ViewReviews, ReviewPage, query=ReviewQuery)
def find(call: Call, query: ReviewQuery) -> ReviewPage:
    """Reviews that wait, the most urgent first, and of these the one that waits longest; others, the latest first."""
    wanted = ReviewFilter(state=query.state, kind=query.kind, clinic=query.clinic)
    with call.relais.database.read() as connection:
        rows = queries.reviews.find(connection, wanted, call.caller.clinics, query.place, query.limit)
    with call.relais.database.write() as connection:
        shown = [row["study_instance_uid"] for row in rows]
        call.relais.journal.record(connection, "reviews.listed", actor=call.caller.name, Studies=shown)
    following = str(Place.of(rows[-1])) if len(rows) == query.limit else None
    return ReviewPage(items=[ReviewAnswer.model_validate(_values(call, row)) for row in rows], next=following)


@routes.get("/waiting", Permission.ViewReviews, WaitingList)
def waiting(call: Call) -> WaitingList:
    """How much waits, by clinic and kind, and since when."""
    with call.relais.database.read() as connection:
        rows = queries.reviews.waiting(connection, call.caller.clinics)
    return WaitingList(items=[WaitingAnswer.model_validate(row) for row in rows])


@routes.get(ONE, Permission.ViewPatients, ReviewDetail)
def one(call: Call, Id: int) -> ReviewDetail:  # noqa: N803
    """One review: what the images say, the candidates, what speaks for and against each."""
    with call.relais.database.read() as connection:
        row = _visible(connection, call, Id)
        shown = call.relais.matching.reviews.shown(connection, row)
    subject = Subject(id=row["study_id"], study_instance_uid=row["study_instance_uid"])
    with call.relais.database.write() as connection:
        patients = [each.crm_id for each in shown.candidates]
        call.relais.journal.record(
            connection, "review.viewed", actor=call.caller.name, subject=subject, Review=Id, Patients=patients
        )
    candidates = [
        CandidateAnswer.blinded(each.crm_id) if shown.blinded else CandidateAnswer.of(each, call.texts.language)
        for each in shown.candidates
    ]
    more = {"tags": shown.tags, "blinded": shown.blinded, "candidates": candidates}
    return ReviewDetail.model_validate(_values(call, row) | more)


@routes.post(ONE + "/claim", Permission.ResolveReviews, Claimed, body=Nothing, statuses=CONFLICT)
def claim(call: Call, Id: int, body: Nothing) -> Claimed:  # noqa: ARG001, N803
    """Say that the caller looks at it, for some minutes; again, for longer."""
    _check(call, Id)
    return Claimed(until=call.relais.matching.reviews.claim(Id, actor=call.caller.name))


@routes.post(ONE + "/unclaim", Permission.ResolveReviews, Done, body=Nothing)
def unclaim(call: Call, Id: int, body: Nothing) -> Done:  # noqa: ARG001, N803
    """Say that the caller looks at it no longer."""
    _check(call, Id)
    call.relais.matching.reviews.unclaim(Id, actor=call.caller.name)
    return Done()


@routes.post(ONE + "/resolve", Permission.ResolveReviews, Resolved, body=Resolution, statuses=CONFLICT)
def resolve(call: Call, Id: int, body: Resolution) -> Resolved:  # noqa: N803
    """Decide whose the study is; with four eyes, a second person must say the same."""
    _check(call, Id)
    state = call.relais.matching.reviews.resolve(Id, body.verdict, actor=call.caller.name, match_id=body.match)
    return Resolved(state=state)


@routes.post(ONE + "/undo", Permission.ResolveReviews, Done, body=Command, statuses={409: "It does not hold any more."})
def undo(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """Take a decision back: the review waits again, and what followed is asked again."""
    _check(call, Id)
    call.relais.matching.reviews.undo(Id, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/ask", Permission.ResolveReviews, Done, body=Nothing, statuses=CONFLICT)
def ask(call: Call, Id: int, body: Nothing) -> Done:  # noqa: ARG001, N803
    """Ask the CRM, by the event patient.requested, to create the patient; it comes back as any patient does."""
    _check(call, Id)
    call.relais.matching.reviews.ask_crm(Id, actor=call.caller.name)
    return Done()


def _visible(connection: Connection, call: Call, review_id: int) -> RowMapping:
    row = queries.reviews.one(connection, review_id, call.caller.clinics)
    if row is None:
        raise not_found("review", review_id)
    return row


def _check(call: Call, review_id: int) -> None:
    with call.relais.database.read() as connection:
        _visible(connection, call, review_id)


def _values(call: Call, row: RowMapping) -> dict[str, object]:
    patient = call.caller.may(Permission.ViewPatients)
    return ReviewAnswer.values(row, call.relais.clock.now(), call.texts.language, patient=patient)
