"""Decisions: what rules contribute, hold, stop, and how it is explained."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.document import DocumentError, parse
from relais.domain.priority import Priority
from relais.domain.routing import Decision, PlannedDelivery, Verdict, decide
from relais.domain.rules import Facts, Otherwise, Rule
from relais.texts import explain

NOW = datetime(2026, 4, 6, 16, 0, tzinfo=UTC)
HOLD = Otherwise(hold="no rule matched")
CT = {"Field": "Modality", "Equals": "CT"}
PX = {"Field": "Modality", "Equals": "PX"}
FACTS = Facts(series=({"Modality": ("CT",)},))


def rule(name: str, when: dict[str, Any] | None = None, *to: str, **more: object) -> Rule:
    return parse(Rule, {"Name": name, "When": when, "DeliverTo": list(to), **more})


def test_every_rule_that_holds_contributes_and_the_most_urgent_counts() -> None:
    decision = decide(
        FACTS,
        [
            rule("archive", None, "vna", Purpose="Archive"),
            rule("stat", CT, "vna", "reading", Priority="Stat", Purpose="Care"),
            rule("panoramics", PX, "dentist"),
        ],
        HOLD,
        NOW,
    )
    assert decision.deliveries == (
        PlannedDelivery(destination="vna", priority=Priority.Stat, purpose="Care", rules=("archive", "stat")),
        PlannedDelivery(destination="reading", priority=Priority.Stat, purpose="Care", rules=("stat",)),
    )
    assert decision.hold is None
    assert not decision.otherwise
    assert [outcome.verdict for outcome in decision.outcomes] == [Verdict.Held, Verdict.Held, Verdict.Failed]


def test_of_equally_urgent_rules_the_first_gives_the_purpose() -> None:
    rules = [rule("care", None, "vna", Purpose="Care"), rule("research", None, "vna", Purpose="Research")]
    assert decide(FACTS, rules, HOLD, NOW).deliveries[0].purpose == "Care"


def test_a_hold_outweighs_every_delivery_and_keeps_what_would_have_been_owed() -> None:
    rules = [rule("all", None, "vna"), rule("odd", CT, Hold="is it ours?"), rule("odder", CT, Hold="really?")]
    decision = decide(FACTS, rules, HOLD, NOW)
    assert (decision.deliveries, decision.hold) == ((), "is it ours?")
    assert [planned.destination for planned in decision.held_back] == ["vna"]


def test_a_hold_that_does_not_apply_holds_nothing() -> None:
    decision = decide(FACTS, [rule("all", None, "vna"), rule("odd", PX, Hold="is it ours?")], HOLD, NOW)
    assert (len(decision.deliveries), decision.hold) == (1, None)


def test_rules_below_a_stop_are_not_asked() -> None:
    decision = decide(FACTS, [rule("ct", CT, "vna", Stop=True), rule("all", None, "cloud")], HOLD, NOW)
    assert [planned.destination for planned in decision.deliveries] == ["vna"]
    assert decision.outcomes[1].verdict is Verdict.NotAsked
    assert decision.outcomes[1].condition is None


def test_a_stop_that_does_not_hold_stops_nothing_and_a_disabled_rule_does_nothing() -> None:
    rules = [
        rule("px", PX, "vna", Stop=True),
        rule("off", None, "dentist", Stop=True, Enabled=False),
        rule("all", None, "cloud"),
    ]
    decision = decide(FACTS, rules, HOLD, NOW)
    assert [planned.destination for planned in decision.deliveries] == ["cloud"]
    assert decision.outcomes[1].verdict is Verdict.Disabled


def test_a_rule_that_only_stops_owes_nothing_and_holds_nothing() -> None:
    decision = decide(FACTS, [rule("ignore", CT, Stop=True)], HOLD, NOW)
    assert (decision.deliveries, decision.hold, decision.otherwise) == ((), None, False)


def test_without_a_rule_that_holds_the_otherwise_applies() -> None:
    held = decide(FACTS, [rule("px", PX, "vna")], HOLD, NOW)
    assert (held.deliveries, held.hold, held.otherwise) == ((), "no rule matched", True)
    delivered = decide(FACTS, [], parse(Otherwise, {"DeliverTo": ["vna"]}), NOW)
    assert delivered.deliveries == (PlannedDelivery(destination="vna", priority=Priority.Routine, purpose="Care"),)
    assert (delivered.hold, delivered.otherwise) == (None, True)


@pytest.mark.parametrize(
    ("document", "path", "code"),
    [
        ({"Name": "a"}, "", "rule-without-effect"),
        ({"Name": " ", "Stop": True}, "Name", "empty"),
        ({"Stop": True}, "Name", "missing"),
        ({"Name": "a", "Hold": ""}, "Hold", "empty"),
        ({"Name": "a", "DeliverTo": ["v", "v"]}, "DeliverTo", "duplicate"),
        ({"Name": "a", "Stop": True, "Priority": "urgent"}, "Priority", "not-one-of"),
        ({"Name": "a", "Stop": True, "Priority": 1}, "Priority", "string_type"),
        ({"Name": "a", "Stop": "true"}, "Stop", "bool_type"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(document: object, path: str, code: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        parse(Rule, document)
    assert [(problem.path, problem.code) for problem in refusal.value.problems] == [(path, code)]


@pytest.mark.parametrize("document", [{}, {"Hold": "a", "DeliverTo": ["b"]}])
def test_otherwise_is_one_way(document: object) -> None:
    with pytest.raises(DocumentError) as refusal:
        parse(Otherwise, document)
    assert [problem.code for problem in refusal.value.problems] == ["not-one-way"]


def test_what_is_shown_of_a_value_is_bounded() -> None:
    facts = Facts(study={"StudyDescription": tuple(str(number) + "x" * 1000 for number in range(100))})
    asked = rule("long", {"Field": "StudyDescription", "StartsWith": "99x"}, "vna")
    (outcome,) = decide(facts, [asked], HOLD, NOW).outcomes
    assert outcome.condition is not None
    assert outcome.condition.held  # all of it was asked
    assert len(outcome.condition.seen) == 20
    assert max(map(len, outcome.condition.seen)) == 200


DECISION = {
    "HeldBack": [{"Destination": "vna", "Priority": "Routine", "Purpose": "Care", "Rules": ["all"]}],
    "Hold": "why?",
    "Outcomes": [
        {"Rule": "all", "Verdict": "Held", "DeliverTo": ["vna"]},
        {
            "Rule": "odd",
            "Verdict": "Held",
            "Hold": "why?",
            "Condition": {
                "Held": True,
                "Operator": "None",
                "Children": [
                    {"Held": False, "Operator": "In", "Field": "Modality", "Wanted": ["PX", "IO"], "Seen": ["CT"]}
                ],
            },
        },
    ],
}


def test_a_stored_decision_has_a_fixed_shape() -> None:
    odd = {"None": [{"Field": "Modality", "In": ["PX", "IO"]}]}
    decision = decide(FACTS, [rule("all", None, "vna"), rule("odd", odd, Hold="why?")], HOLD, NOW)
    assert decision.to_json() == DECISION
    assert Decision.from_json(DECISION) == decision


RULES = st.builds(
    lambda when, to, priority: {"When": when, "DeliverTo": to, "Priority": priority},
    st.sampled_from([None, CT, PX]),
    st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=3, unique=True),
    st.sampled_from([priority.name for priority in Priority]),
)


@given(st.lists(RULES, max_size=6), st.randoms(use_true_random=False))
def test_without_stop_the_order_of_rules_decides_nothing(documents: list[dict[str, Any]], random: Any) -> None:
    rules = [parse(Rule, {"Name": str(index), **document}) for index, document in enumerate(documents)]
    shuffled = random.sample(rules, len(rules))
    first, second = decide(FACTS, rules, HOLD, NOW), decide(FACTS, shuffled, HOLD, NOW)
    assert {(planned.destination, planned.priority) for planned in first.deliveries} == {
        (planned.destination, planned.priority) for planned in second.deliveries
    }


@given(st.lists(RULES, max_size=6))
def test_each_destination_is_planned_once_and_names_its_rules(documents: list[dict[str, Any]]) -> None:
    rules = [parse(Rule, {"Name": str(index), **document}) for index, document in enumerate(documents)]
    decision = decide(FACTS, rules, HOLD, NOW)
    held = {outcome.rule for outcome in decision.outcomes if outcome.verdict is Verdict.Held}
    destinations = [planned.destination for planned in decision.deliveries]
    assert len(destinations) == len(set(destinations))
    for planned in decision.deliveries:
        asking = [each for each in rules if each.name in held and planned.destination in each.deliver_to]
        assert planned.rules == tuple(each.name for each in asking)
        assert planned.priority == min(each.priority for each in asking)


@pytest.mark.parametrize(
    ("when", "english", "french"),
    [
        (
            {"Field": "Modality", "In": ["IO", "PX"]},
            ["Modality was CT; the rule wants IO or PX"],
            ["Modality valait CT\u202f; la règle demande IO ou PX"],
        ),
        (
            {"Field": "PatientID", "StartsWith": "Q"},
            ["PatientID had no value; the rule wants a value that starts with Q"],
            ["PatientID n\u2019avait pas de valeur\u202f; la règle demande une valeur qui commence par Q"],
        ),
        (
            {"All": [PX, {"Field": "Modality", "Exists": False}]},
            ["Modality was CT; the rule wants PX", "Modality was CT; the rule wants no value"],
            [
                "Modality valait CT\u202f; la règle demande PX",
                "Modality valait CT\u202f; la règle demande l\u2019absence de valeur",
            ],
        ),
        (
            {"Any": [PX, {"Field": "Modality", "Matches": "M*"}]},
            [
                (
                    "none of these holds: Modality was CT; the rule wants PX / "
                    "Modality was CT; the rule wants a value like M*"
                )
            ],
            [
                (
                    "aucune de ces conditions n\u2019est remplie\u00a0: "
                    "Modality valait CT\u202f; la règle demande PX / "
                    "Modality valait CT\u202f; la règle demande une valeur de la forme M*"
                )
            ],
        ),
        (
            {"None": [CT, PX]},
            ["Modality was CT; the rule excludes CT"],
            ["Modality valait CT\u202f; la règle exclut CT"],
        ),
        (
            {"None": [{"All": [CT, {"Field": "Modality", "Regex": "^C"}]}]},
            [
                (
                    "these hold together: Modality was CT; the rule excludes CT / "
                    "Modality was CT; the rule excludes a value that matches ^C"
                )
            ],
            [
                (
                    "ces conditions sont remplies ensemble\u00a0: Modality valait CT\u202f; la règle exclut CT / "
                    "Modality valait CT\u202f; la règle exclut une valeur conforme à l\u2019expression ^C"
                )
            ],
        ),
        (
            {"None": [{"None": [PX]}]},
            ["Modality was CT; the rule wants PX"],
            ["Modality valait CT\u202f; la règle demande PX"],
        ),
        ({"Any": [CT, PX]}, [], []),
    ],
)
def test_a_rule_that_failed_says_why(when: dict[str, Any], english: list[str], french: list[str]) -> None:
    (outcome,) = decide(FACTS, [rule("asked", when, "vna")], HOLD, NOW).outcomes
    assert list(explain(outcome, "en")) == english
    assert list(explain(outcome, "fr")) == french


def test_a_rule_that_was_not_asked_says_why() -> None:
    rules = [rule("first", None, "vna", Stop=True), rule("next", None, "vna"), rule("off", PX, "vna", Enabled=False)]
    first, second, off = decide(FACTS, rules, HOLD, NOW).outcomes
    assert explain(first, "en") == ()
    assert explain(second, "en") == ("a rule above it held and said Stop",)
    assert explain(off, "fr") == ("la règle est désactivée",)
