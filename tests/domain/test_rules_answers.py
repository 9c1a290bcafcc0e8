"""Answers: which of them settle a condition, how they are shown, and that each is looked for once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from relais.domain.document import parse
from relais.domain.facts import Facts
from relais.domain.fields import Field, find_field
from relais.domain.look import Look
from relais.domain.operators import Operator, Test
from relais.domain.outcomes import ConditionOutcome, because
from relais.domain.questions import Named, Question, Told, explained
from relais.domain.routing import Decision, Explain, RuleOutcome, Verdict, decide
from relais.domain.rules import Condition, Otherwise, Rule

NOW = datetime(2026, 4, 6, 16, 0, tzinfo=UTC)
FACTS = Facts(study={"PatientID": ("1",)}, series=({"Modality": ("CT",)},))
CT, PX, IO = ({"Field": "Modality", "Equals": name} for name in ("CT", "PX", "IO"))
ID = {"Field": "PatientID", "Equals": "1"}
BOTH = {"All": [CT, ID]}


def decided(*rules: dict[str, Any], facts: Facts = FACTS, explain: Explain = Explain.Smallest) -> Decision:
    asked = [parse(Rule, {"Name": str(number), **rule}) for number, rule in enumerate(rules, 1)]
    return decide(facts, asked, Otherwise(hold="no rule matched"), NOW, explain=explain)


def outcome_of(when: dict[str, Any], facts: Facts = FACTS) -> RuleOutcome:
    (outcome,) = decided({"When": when, "DeliverTo": ["vna"]}, facts=facts).outcomes
    return outcome


def answer_of(when: dict[str, Any], facts: Facts = FACTS) -> ConditionOutcome:
    (answer,) = outcome_of(when, facts).because
    return answer


@pytest.mark.parametrize(
    ("condition", "held", "answer"),
    [
        (CT, True, "CT"),
        ({"All": [CT]}, True, "CT"),
        ({"None": [PX]}, True, "PX"),
        ({"Any": [PX]}, False, "PX"),
        ({"Any": [PX, CT]}, True, "CT"),
        ({"All": [CT, PX]}, False, "PX"),
        ({"None": [PX, CT]}, False, "CT"),
        ({"Any": [BOTH, CT]}, True, "CT"),  # the first takes two answers, the second one
        (BOTH, True, None),
        ({"Any": [PX, IO]}, False, None),
        ({"None": [PX, IO]}, True, None),
        ({"Any": [BOTH]}, True, None),
        ({"Any": [PX, BOTH]}, True, None),
        ({"None": [BOTH]}, False, None),
        ({"All": [CT, {"None": [BOTH]}]}, False, None),
    ],
)
def test_the_answer_that_settles_a_condition_by_itself_is_told_at_once(
    condition: dict[str, Any], answer: str | None, *, held: bool
) -> None:
    node, look = parse(Condition, condition).node, Look(FACTS, NOW)
    said, told = node.tell(look)
    assert (said, None if told is None else told.wanted) == (held, answer)
    assert explained(node, look) == (held, because(node.outcome(look)))  # and the rest is looked for


@pytest.mark.parametrize("when", [{"Any": [BOTH]}, {"Any": [PX, BOTH]}, {"None": [{"None": [BOTH]}]}])
def test_a_rule_that_holds_by_several_answers_together_tells_them_all(when: dict[str, Any]) -> None:
    outcome = outcome_of(when)
    assert outcome.verdict is Verdict.Held
    assert [(answer.field, answer.held) for answer in outcome.because] == [("Modality", True), ("PatientID", True)]


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({"All": [CT, {"Any": [ID, CT]}]}, ["CT"]),  # CT says both
        ({"All": [CT, {"None": [PX]}, {"Any": [ID, CT]}]}, ["CT", "PX"]),
        ({"Any": [PX, {"Any": [IO]}, IO]}, ["PX", "IO"]),
        ({"Any": [PX, IO, {"All": [{"Field": "PatientID", "Equals": "2"}, PX]}]}, ["PX", "IO"]),  # PX settles the group
    ],
)
def test_an_answer_that_changes_nothing_beside_the_others_is_left_out(when: dict[str, Any], told: list[str]) -> None:
    assert [answer.wanted for answer in outcome_of(when).because] == told


@pytest.mark.parametrize("held", [True, False])
def test_a_question_is_asked_once_of_a_study_however_many_rules_ask_it(*, held: bool) -> None:
    asked: list[str] = []

    def counted(_: Field, __: str) -> Test:
        def test(value: str) -> bool:
            asked.append(value)
            return held

        return test

    operator = Operator(name="Equals", meaning="Counts its values", example="CT", compile=counted)
    rules = [Question(find_field("Modality"), operator, "CT", "CT", ignore_case=False) for _ in range(3)]
    look = Look(FACTS, NOW)
    assert [rule.held(look) for rule in rules] == [held] * 3
    assert asked == ["CT"]
    assert rules[0].held(Look(FACTS, NOW)) is held
    assert asked == ["CT", "CT"]  # another study


class Counted:
    """A condition that is always answered alike, and counts how often it is asked."""

    def __init__(self, *, answer: bool) -> None:
        self.answer = answer
        self.asked = 0

    def held(self, _: Look) -> bool:
        self.asked += 1
        return self.answer

    def tell(self, look: Look) -> Told:
        return self.held(look), self.outcome(look)

    def outcome(self, _: Look) -> ConditionOutcome:
        return ConditionOutcome(held=self.answer, operator="Exists", field="Modality")


@pytest.mark.parametrize("held", [True, False])
def test_a_named_condition_is_asked_once_of_a_study_however_many_rules_refer_to_it(*, held: bool) -> None:
    condition = Counted(answer=held)
    rules = [Named("dental", condition) for _ in range(3)]
    look = Look(FACTS, NOW)
    assert [rule.held(look) for rule in rules] == [held] * 3
    assert condition.asked == 1


def test_a_list_is_shown_whole_up_to_twenty_values_and_then_ends_in_dots() -> None:
    twenty = tuple(f"a{number}" for number in range(20))
    assert answer_of({"Field": "Modality", "In": [*twenty]}).wanted == twenty
    assert answer_of({"Field": "Modality", "In": [*twenty, "b"]}).wanted == (*twenty, "…")


def test_a_value_is_shown_whole_up_to_two_hundred_characters_and_then_ends_in_dots() -> None:
    whole, longer = "x" * 200, "x" * 201
    for written, shown in ((whole, whole), (longer, "x" * 199 + "…")):
        facts = Facts(study={"StudyDescription": (written,)})
        answer = answer_of({"Field": "StudyDescription", "Equals": written}, facts)
        assert (answer.held, answer.wanted, answer.seen) == (True, shown, (shown,))


def test_an_answers_document_has_lists_as_json_has_them() -> None:
    assert answer_of({"Field": "Modality", "In": ["PX", "IO"]}).to_json() == {
        "Held": False,
        "Operator": "In",
        "Field": "Modality",
        "Wanted": ["PX", "IO"],
        "Seen": ["CT"],
    }


def test_a_decision_without_reasons_has_the_rules_that_held_and_what_they_want() -> None:
    rules = (
        {"When": CT, "DeliverTo": ["vna", "cloud"]},
        {"When": PX, "DeliverTo": ["dentist"]},
        {"When": ID, "Hold": "is it ours?"},
    )
    assert [outcome.to_json() for outcome in decided(*rules, explain=Explain.Nothing).outcomes] == [
        {"Rule": "1", "Verdict": "Held", "DeliverTo": ["vna", "cloud"]},
        {"Rule": "3", "Verdict": "Held", "Hold": "is it ours?"},
    ]


@pytest.mark.parametrize("explain", Explain)
def test_what_is_delivered_is_not_held_back_besides(explain: Explain) -> None:
    decision = decided({"When": CT, "DeliverTo": ["vna"]}, explain=explain)
    assert ([each.destination for each in decision.deliveries], decision.held_back) == (["vna"], ())
