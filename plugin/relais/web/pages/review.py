"""One review: whom the images name beside those whom they may show, and everything by which a person can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import render_template, request
from pydantic import Field
from sqlalchemy import Connection, RowMapping

from relais.consequences import Consequences
from relais.database import queries
from relais.domain.document import Document
from relais.domain.patients import CrmId
from relais.domain.priority import Priority
from relais.domain.states import ReviewKind, ReviewState
from relais.journal import Subject
from relais.reviews import Shown
from relais.texts_matching import say_reason
from relais.web.api.studies import visible_study
from relais.web.composition import current_call
from relais.web.errors import not_found
from relais.web.pages.beside import Beside, alone, beside, with_studies
from relais.web.pages.display import person
from relais.web.pages.find_patient import studies_of, visible_patient
from relais.web.pages.reasons import PRIORITIES
from relais.web.pages.reviews import holder
from relais.web.pages.shell import count, pages, say
from relais.web.permissions import Permission, requires
from relais.web.questions_matching import WhatIf
from relais.web.requests import read_body

STUDIES_SHOWN = 6


class Somebody(Document):
    """Somebody whom the CRM knows."""

    crm_id: CrmId = Field(description="Whom.")


@pages.get("/reviews/<id:Id>")
@requires(Permission.ViewPatients)
def review(Id: int) -> str:  # noqa: N803
    """The page; looking at it is audited."""
    call = current_call()
    with call.relais.database.read() as connection:
        row = _visible(connection, Id)
        shown = call.relais.matching.reviews.shown(connection, row)
        candidates = [_candidate(connection, shown, row, each.crm_id) for each in shown.candidates]
        series = queries.studies.series_of(connection, row["study_id"])
    subject = Subject(id=row["study_id"], study_instance_uid=row["study_instance_uid"])
    with call.relais.database.write() as connection:
        call.relais.journal.record(
            connection,
            "review.viewed",
            actor=call.caller.name,
            subject=subject,
            Review=Id,
            Patients=[each.crm_id for each in candidates],
        )
    return render_template(
        "review.html",
        **_standing(row),
        blinded=shown.blinded,
        answer=shown.answer,
        forgotten=shown.question is None,
        name=person(shown.tags.get("PatientName")) or say("No name"),
        alone=alone(shown.tags, row["clinic"]),
        candidates=candidates,
        chosen=_chosen(row, candidates),
        series=series,
        why=None if shown.blinded else say_reason(row["reason"], call.texts.language),
        modalities=row["modalities"].replace("\\", " ") or "?",
    )


@pages.get("/reviews/<id:Id>/live")
@requires(Permission.ViewReviews)
def review_live(Id: int) -> str:  # noqa: N803
    """Who looks at it, and whether it is still asked."""
    with current_call().relais.database.read() as connection:
        row = _visible(connection, Id)
    return render_template("review-standing.html", **_standing(row))


@pages.post("/reviews/<id:Id>/beside")
@requires(Permission.ViewPatients)
def review_beside(Id: int) -> str:  # noqa: N803
    """Somebody else of the CRM beside the images, without evidence; looking at a patient is audited."""
    body = read_body(request, Somebody)
    call = current_call()
    with call.relais.database.read() as connection:
        row = _visible(connection, Id)
        patient = visible_patient(connection, body.crm_id)
        shown = call.relais.matching.reviews.shown(connection, row)
        studies = studies_of(connection, patient.crm_id, STUDIES_SHOWN)
    with call.relais.database.write() as connection:
        call.relais.journal.record(
            connection, "patient.viewed", actor=call.caller.name, CrmId=patient.crm_id, Review=Id
        )
    candidate = with_studies(beside(shown.tags, patient, patient.crm_id, clinic=row["clinic"]), studies)
    return render_template(
        "review-candidate.html", **_standing(row), candidate=candidate, number=None, blinded=True, chosen=False
    )


@pages.post("/studies/<uid:StudyInstanceUID>/consequences")
@requires(Permission.ViewPatients)
def study_consequences(StudyInstanceUID: str) -> str:  # noqa: N803
    """What follows when the study is linked to somebody, or to nobody, or waits for a person again."""
    body = read_body(request, WhatIf)
    call = current_call()
    with call.relais.database.read() as connection:
        visible_study(connection, call, StudyInstanceUID)
    found = call.relais.matching.foresight.tell(StudyInstanceUID, body.crm_id, undone=body.undone)
    return render_template("consequences.html", sentences=sentences_of(found))


def sentences_of(found: Consequences) -> Sequence[str]:
    """What went where, and what would go where now."""
    sent = ", ".join(dict.fromkeys(each["destination"] for each in found.sent))
    told = []
    if found.sent:
        told.append(
            count(
                "{count} delivery went to {names}.", "{count} deliveries went to {names}.", len(found.sent), names=sent
            )
        )
        told.append(say("What was sent stays there: tell them, where it was somebody else's."))
    if found.hold is not None:
        told.append(say("The study would be held now: {reason}", reason=found.hold))
    elif found.now:
        now = [each.planned.destination for each in found.now if not each.refused]
        told.append(
            say("These would be routed to {names} now.", names=", ".join(now))
            if now
            else say("The law would allow none of the deliveries now.")
        )
    else:
        told.append(say("It would be routed nowhere now."))
    if found.others:
        told.append(
            count(
                "{count} other study was matched because of this, and is asked again.",
                "{count} other studies were matched because of this, and are asked again.",
                found.others,
            )
        )
    if found.added:
        told.append(say("New: {names}.", names=", ".join(found.added)))
    if found.dropped:
        told.append(say("No longer asked for: {names}.", names=", ".join(found.dropped)))
    return told


def _visible(connection: Connection, review_id: int) -> RowMapping:
    row = queries.reviews.one(connection, review_id, current_call().caller.clinics)
    if row is None:
        raise not_found("review", review_id)
    return row


def _standing(row: RowMapping) -> dict[str, Any]:
    """Where the review stands, and whether the caller may decide it."""
    call = current_call()
    held_by, name = holder(row), call.caller.name
    first = row["first"]
    is_open = row["state"] == ReviewState.Open
    mine_before = is_open and first is not None and first["By"] == name
    return {
        "review": row,
        "open": is_open,
        "second_look": row["kind"] == ReviewKind.SecondLook,
        "holder": held_by,
        "held_by_other": held_by not in (None, name),
        "first": first,
        "mine_before": mine_before,
        "may_decide": is_open and not mine_before and call.caller.may(Permission.ResolveReviews),
        "may_undo": row["state"] == ReviewState.Resolved and call.caller.may(Permission.ResolveReviews),
        "priority": Priority(row["urgency"]).name,
        "urgent": say(PRIORITIES[Priority(row["urgency"]).name]),
    }


def _candidate(connection: Connection, shown: Shown, row: RowMapping, crm_id: str) -> Beside:
    call = current_call()
    judged = next(each for each in shown.candidates if each.crm_id == crm_id)
    asked = shown.question.candidates if shown.question is not None else ()
    candidate = next((each for each in asked if each.crm_id == crm_id), None)
    patient = call.relais.patients.get(connection, crm_id)
    found = beside(
        shown.tags,
        patient,
        crm_id,
        judged=None if shown.blinded else judged,
        candidate=None if shown.blinded else candidate,
        clinic=row["clinic"],
    )
    studies = studies_of(connection, crm_id, STUDIES_SHOWN, other_than=row["study_id"])
    return with_studies(found, studies)


def _chosen(row: RowMapping, candidates: Sequence[Beside]) -> int:
    """The candidate that is shown first: the one that was chosen, else the likeliest."""
    decided = row["crm_id"] if row["state"] == ReviewState.Resolved else None
    return next((place for place, each in enumerate(candidates) if each.crm_id == decided), 0)
