"""Restrictions: what may not be sent of a study or of a patient."""

from __future__ import annotations

from relais.domain.document import Problem, nearest
from relais.restrictions import Wish
from relais.web.answers import Done, Page, page_of
from relais.web.answers_restriction import RestrictionAnswer, RestrictionSet
from relais.web.composition import Call
from relais.web.errors import invalid
from relais.web.permissions import Permission
from relais.web.questions import Command, Paging
from relais.web.questions_restriction import RestrictionCommand
from relais.web.routes import Routes

routes = Routes("/relais/v1/restrictions")


@routes.get("", Permission.ViewRestrictions, Page[RestrictionAnswer], query=Paging)
def find(call: Call, query: Paging) -> Page[RestrictionAnswer]:
    """Restrictions, the one set last first; those that are over or lifted too."""
    rows = call.relais.restrictions.listing(before=query.before, limit=query.limit)
    with call.relais.database.write() as connection:
        call.relais.journal.record(connection, "restrictions.viewed", actor=call.caller.name, Restrictions=len(rows))
    return page_of(rows, query.limit, RestrictionAnswer.model_validate)


@routes.post("", Permission.ChangeRestrictions, RestrictionSet, body=RestrictionCommand)
def add(call: Call, body: RestrictionCommand) -> RestrictionSet:
    """Forbid that something of a study or of a patient is sent; what is not sent yet is blocked at once.

    What is already at a destination stays there.
    """
    known = call.relais.configuration.destinations
    problems = [
        Problem(f"Destinations[{index}]", "unknown-destination", {"name": name, "nearest": nearest(name, known)})
        for index, name in enumerate(body.destinations)
        if name not in known
    ]
    if (body.study_instance_uid is None) is (body.patient_id is None):
        problems.append(Problem("StudyInstanceUID", "study-or-patient"))
    if body.issuer_of_patient_id is not None and body.patient_id is None:
        problems.append(Problem("IssuerOfPatientID", "issuer-without-patient"))
    if body.ends_too_early(call.relais.clock.now()):
        problems.append(Problem("Until", "ends-too-early"))
    if problems:
        raise invalid(problems)
    wish = Wish(
        study_instance_uid=body.study_instance_uid,
        patient_id=body.patient_id,
        issuer_of_patient_id=body.issuer_of_patient_id,
        destinations=body.destinations,
        regions=body.regions,
        since=body.since,
        until=body.until,
        reason=body.reason,
    )
    return RestrictionSet(restriction=call.relais.restrictions.set(wish, actor=call.caller.name))


@routes.post(
    "/<id:Id>/lift",
    Permission.ChangeRestrictions,
    Done,
    body=Command,
    statuses={404: "No such restriction.", 409: "It was lifted before."},
)
def lift(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """End a restriction; what it alone stopped is sent."""
    call.relais.restrictions.lift(Id, actor=call.caller.name, reason=body.reason)
    return Done()
