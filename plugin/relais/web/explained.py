"""A decision as the API answers it: each rule with why it held or not, as data and in the reader's language."""

from __future__ import annotations

from typing import Any

from relais.domain.outcomes import because
from relais.domain.routing import Decision, RuleOutcome, Verdict
from relais.texts import answer_text


def explained(decision: Decision, language: str) -> dict[str, Any]:
    """The decision's document; `Because` of a rule has the answers that settle it, each with its `Text`."""
    document = decision.to_json()
    document.pop("Rules", None)
    document.pop("Answers", None)
    if decision.outcomes:
        document["Outcomes"] = [_outcome(each, language) for each in decision.outcomes]
    return document


def _outcome(outcome: RuleOutcome, language: str) -> dict[str, Any]:
    document = outcome.to_json()
    reasons = outcome.because
    if not reasons and outcome.condition is not None:  # decided before there were any
        reasons = because(outcome.condition)
    if reasons:
        held = outcome.verdict is Verdict.Held
        document["Because"] = [
            {**reason.to_json(), "Text": answer_text(reason, language, wanted=reason.held is held)}
            for reason in reasons
        ]
    return document
