"""What the clinic that a study comes from adds to the decision of the rules: its defaults, or a hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from relais.domain.clinics import Clinic, Defaults, UnknownSender, resolve_clinic
from relais.domain.facts import Facts
from relais.domain.priority import Priority
from relais.domain.routing import Decision, Explain, PlannedDelivery, decide
from relais.domain.rules import Otherwise, Rule
from relais.domain.urgency import urgency


def decide_for_clinic(
    facts: Facts,
    rules: Sequence[Rule],
    otherwise: Otherwise,
    *,
    clinics: Mapping[str, Clinic],
    unknown: UnknownSender | None,
    now: datetime,
    explain: Explain = Explain.Smallest,
) -> Decision:
    """What the study is owed at the instant `now` (aware), with the defaults of its clinic.

    A study without a clinic is held where several claim it, or where nobody does and `unknown` says so; what it would
    have been owed is then held back.
    """
    clinic = clinics.get(facts.clinic) if facts.clinic else None
    if clinic is None:
        decided = decide(facts, rules, otherwise, now, explain=explain)
        held = None if facts.clinic else resolve_clinic(facts.origin, institutions_of(facts), clinics, unknown).hold
        return decided if held is None else _hold(decided, held)
    defaults = clinic.defaults
    decided = decide(facts, rules, defaults.otherwise or otherwise, now, explain=explain)
    if defaults.priority is None and defaults.purpose is None:
        return decided
    return _with_defaults(decided, rules, defaults, urgency(facts))


def institutions_of(facts: Facts) -> tuple[str, ...]:
    """The study's institution names, as its images write them: Facts cut values at backslashes (PS3.5 section 6.2)."""
    levels = facts.series or (facts.study,)
    return tuple(dict.fromkeys("\\".join(each["InstitutionName"]) for each in levels if "InstitutionName" in each))


def _hold(decided: Decision, reason: str) -> Decision:
    return replace(decided, hold=reason, deliveries=(), held_back=decided.deliveries or decided.held_back)


def _with_defaults(decided: Decision, rules: Sequence[Rule], defaults: Defaults, said: Priority | None) -> Decision:
    """The decision with the clinic's priority and purpose where neither the rules nor the study say them.

    `said` is the urgency that the study itself asks for.
    """
    by_name = {rule.name: rule for rule in rules}
    usual = said if said is not None else Priority.Routine if defaults.priority is None else defaults.priority

    def priority_of(rule: Rule) -> Priority:
        return usual if rule.priority is None else rule.priority

    def fill(planned: PlannedDelivery) -> PlannedDelivery:
        first = min((by_name[name] for name in planned.rules), key=priority_of, default=None)
        purpose: str = planned.purpose if first is None else first.purpose
        if defaults.purpose is not None and (first is None or "purpose" not in first.model_fields_set):
            purpose = defaults.purpose
        return replace(planned, priority=usual if first is None else priority_of(first), purpose=purpose)

    return replace(
        decided,
        deliveries=tuple(fill(each) for each in decided.deliveries),
        held_back=tuple(fill(each) for each in decided.held_back),
    )
