"""Matching: whose a study is, who some attributes would be, the weights, and the breaker."""

from __future__ import annotations

from relais.database import queries
from relais.domain.document import Problem, nearest
from relais.domain.matching.decision import Match
from relais.domain.matching.model import FIRST, Model
from relais.texts_matching import say_breaker, say_reason
from relais.web.answers import Done
from relais.web.answers_matching import (
    BreakerAnswer,
    ConsequencesAnswer,
    MatchedAnswer,
    MatchingAnswer,
    ModelAdded,
    ModelAnswer,
    ModelList,
    Resolved,
    SaidAnswer,
    SentAnswer,
    StudyMatchAnswer,
    candidates_of,
)
from relais.web.api.studies import record_view, visible_study
from relais.web.composition import Call
from relais.web.errors import invalid
from relais.web.permissions import Permission
from relais.web.questions import Command
from relais.web.questions_matching import LinkCommand, MatchQuestion, ModelAdding, WhatIf
from relais.web.routes import Routes

routes = Routes("/relais/v1")

STUDY = "/studies/<uid:StudyInstanceUID>/match"
NOT_MATCHED = {409: "The study is neither matched nor said to be nobody's."}


@routes.get(STUDY, Permission.ViewPatients, StudyMatchAnswer)
def study_match(call: Call, StudyInstanceUID: str) -> StudyMatchAnswer:  # noqa: N803
    """Whose a study is: the evidence, and all that was answered before."""
    language = call.texts.language
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, StudyInstanceUID)
        held = queries.matches.one(connection, row["match_id"])
        history = queries.matches.of_study(connection, row["id"])
    record_view(call, "match.viewed", row)
    found = None if held is None or held.answer is None else Match.from_json(held.answer)
    return StudyMatchAnswer(
        state=row["match_state"],
        crm_id=row["crm_id"],
        kind=None if held is None else held.kind,
        reason=None if held is None or held.reason is None else say_reason(held.reason, language),
        posterior=None if held is None else held.posterior,
        nobody=None if found is None else found.nobody,
        model=None if found is None else found.model,
        candidates=candidates_of(found, language),
        history=[SaidAnswer.model_validate(each) for each in history],
    )


@routes.put(STUDY, Permission.ResolveReviews, Resolved, body=LinkCommand)
def link(call: Call, StudyInstanceUID: str, body: LinkCommand) -> Resolved:  # noqa: N803
    """Say by hand whose a study is; it outlives new decisions until it is taken back."""
    _check_visible(call, StudyInstanceUID)
    return Resolved(state=call.relais.matching.links.say(StudyInstanceUID, body.verdict, actor=call.caller.name))


@routes.delete(STUDY, Permission.ResolveReviews, Done, statuses=NOT_MATCHED)
def unlink(call: Call, StudyInstanceUID: str) -> Done:  # noqa: N803
    """Take a match back, a person's or Relais's own: the study is identified again."""
    _check_visible(call, StudyInstanceUID)
    call.relais.matching.links.take_back(StudyInstanceUID, actor=call.caller.name, reason="")
    return Done()


@routes.post(STUDY + "/undo", Permission.ResolveReviews, Done, body=Command, statuses=NOT_MATCHED)
def undo(call: Call, StudyInstanceUID: str, body: Command) -> Done:  # noqa: N803
    """The same, with the reason."""
    _check_visible(call, StudyInstanceUID)
    call.relais.matching.links.take_back(StudyInstanceUID, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(STUDY + "/consequences", Permission.ViewPatients, ConsequencesAnswer, body=WhatIf)
def consequences(call: Call, StudyInstanceUID: str, body: WhatIf) -> ConsequencesAnswer:  # noqa: N803
    """What would follow if the study were somebody else's; nothing is changed."""
    _check_visible(call, StudyInstanceUID)
    found = call.relais.matching.foresight.tell(StudyInstanceUID, body.crm_id, undone=body.undone)
    return ConsequencesAnswer(
        sent=[
            SentAnswer(
                delivery=each["id"],
                destination=each["destination"],
                delivered=each["delivered"],
                finished_at=each["finished_at"],
            )
            for each in found.sent
        ],
        now=[each.to_json() for each in found.now],
        added=list(found.added),
        dropped=list(found.dropped),
        hold=found.hold,
        others=found.others,
    )


@routes.post("/patients/match", Permission.ViewPatients, MatchedAnswer, body=MatchQuestion)
def match(call: Call, body: MatchQuestion) -> MatchedAnswer:
    """Who these attributes would be, with the evidence; nothing is kept.

    Callers of some clinics only must name one of them.
    """
    clinic = clinic_of(call, body.clinic)
    with call.relais.database.read() as connection:
        _, found = call.relais.matching.identify.question(connection, body.said, clinic)
    record_asked(call, found)
    return MatchedAnswer.of(found, call.texts.language)


def clinic_of(call: Call, clinic: str | None) -> str | None:
    """The clinic that asks; raises RefusedError (422) where the caller must name one, or named none that they see."""
    scope, known = call.caller.clinics, call.relais.configuration.clinics
    if clinic is None:
        if scope is not None and len(scope) != 1:
            raise invalid([Problem("Clinic", "missing")])
        return None if scope is None else next(iter(scope))
    seen = [each for each in known if scope is None or each in scope]
    if clinic not in seen:
        raise invalid([Problem("Clinic", "unknown-clinic", {"name": clinic, "nearest": nearest(clinic, seen)})])
    return clinic


def record_asked(call: Call, found: Match) -> None:
    """That matching was asked, and whom it named, is audited."""
    patients = [each.crm_id for each in found.candidates]
    with call.relais.database.write() as connection:
        call.relais.journal.record(connection, "patients.matched", actor=call.caller.name, Patients=patients)


@routes.get("/matching", Permission.ViewReviews, MatchingAnswer)
def matching(call: Call) -> MatchingAnswer:
    """How matching stands: patients, weights, studies by state, and the breaker."""
    parts = call.relais.matching
    with call.relais.database.read() as connection:
        breaker = parts.safety_net.tripped(connection)
        return MatchingAnswer(
            patients=parts.identify.patients(connection),
            model=parts.models.active(connection).digest,
            studies=queries.matches.count_by_state(connection, call.caller.clinics),
            breaker=None
            if breaker is None
            else BreakerAnswer(
                tripped_at=breaker.tripped_at,
                reason=say_breaker(breaker.reason, breaker.counts, call.texts.language),
                counts=breaker.counts,
            ),
        )


@routes.post(
    "/matching/breaker/reset",
    Permission.ChangeMatching,
    Done,
    body=Command,
    statuses={409: "Studies are matched automatically."},
)
def reset(call: Call, body: Command) -> Done:
    """Match automatically again; what waited only for that is asked again."""
    call.relais.matching.safety_net.reset(actor=call.caller.name, reason=body.reason)
    return Done()


@routes.get("/matching/models", Permission.ViewConfiguration, ModelList)
def models(call: Call) -> ModelList:
    """Sets of weights, the newest first; the first one is part of Relais."""
    rows = call.relais.matching.models.listing()
    with call.relais.database.read() as connection:
        active = call.relais.matching.models.active(connection).digest
    items = [ModelAnswer.model_validate({**row, "active": row["digest"] == active}) for row in rows]
    if all(each.digest != FIRST.digest for each in items):
        nothing = dict.fromkeys(("added_at", "added_by", "activated_at", "activated_by", "evaluation"))
        first = {"digest": FIRST.digest, "version": FIRST.version, "active": active == FIRST.digest, **nothing}
        items.append(ModelAnswer.model_validate(first))
    return ModelList(items=items)


@routes.get("/matching/models/<name:Digest>", Permission.ViewConfiguration, dict[str, object])
def model(call: Call, Digest: str) -> dict[str, object]:  # noqa: N803
    """One set of weights, as training reads and writes it."""
    with call.relais.database.read() as connection:
        return call.relais.matching.models.of(connection, Digest).to_json()


@routes.post(
    "/matching/models", Permission.ChangeConfiguration, ModelAdded, body=ModelAdding, statuses={409: "It is there."}
)
def add(call: Call, body: ModelAdding) -> ModelAdded:
    """Add a set of weights; it decides nothing until a person activates it."""
    given = Model.from_json(body.model)
    call.relais.matching.models.add(given, body.evaluation, actor=call.caller.name)
    return ModelAdded(digest=given.digest)


@routes.post(
    "/matching/models/<name:Digest>/activate",
    Permission.ChangeConfiguration,
    Done,
    body=Command,
    statuses={409: "It decides already."},
)
def activate(call: Call, Digest: str, body: Command) -> Done:  # noqa: N803
    """From now on this set of weights decides; the first one may be activated again."""
    call.relais.matching.models.activate(Digest, actor=call.caller.name, reason=body.reason)
    return Done()


def _check_visible(call: Call, study_instance_uid: str) -> None:
    with call.relais.database.read() as connection:
        visible_study(connection, call, study_instance_uid)
