"""The dry run of the rules: the same function that decides in production."""

from __future__ import annotations

from relais.domain.document import Problem
from relais.domain.routing import Explain
from relais.judgement import judged
from relais.residency import in_force
from relais.web.answers import EvaluationAnswer
from relais.web.api.studies import record_view, visible_study
from relais.web.composition import Call
from relais.web.errors import invalid
from relais.web.explained import explained
from relais.web.permissions import Permission
from relais.web.questions import Evaluation
from relais.web.routes import Routes

routes = Routes("/relais/v1/rules")


@routes.post("/evaluate", Permission.EvaluateRules, EvaluationAnswer, body=Evaluation, statuses={404: "No such study."})
def evaluate(call: Call, body: Evaluation) -> EvaluationAnswer:
    """What the active rules decide for given facts, or for a study as it is now; nothing is changed."""
    configuration = call.relais.configuration
    facts = body.facts
    if (facts is None) is (body.study_instance_uid is None):
        raise invalid([Problem("Facts", "facts-or-study")])
    if facts is None:
        uid = str(body.study_instance_uid)
        with call.relais.database.read() as connection:
            row = visible_study(connection, call, uid)
        record_view(call, "facts.viewed", row)
        facts = call.relais.studies.facts(uid)
    now = call.relais.clock.now()
    with call.relais.database.read() as connection:
        restrictions = in_force(connection, now)
    patient = next(iter(facts.dicom("PatientID")), "")
    found = judged(facts, configuration, now, patient=patient, restrictions=restrictions, explain=Explain.Everything)
    return EvaluationAnswer(
        configuration=configuration.digest,
        facts=facts.to_json(),
        decision=explained(found.decision, call.texts.language),
        deliveries=[each.to_json() for each in found.deliveries or found.held_back],
    )
