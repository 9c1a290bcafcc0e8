"""Decisions: what rules contribute, hold, stop, and how it is explained."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.document import DocumentError, parse
from relais.domain.priority import Priority
from relais.domain.routing import Decision, Explain, PlannedDelivery, Verdict, decide
from relais.domain.rules import Facts, Otherwise, Rule
from relais.texts import explain

NOW = datetime(2026, 4, 6, 16, 0, tzinfo=UTC)
HOLD = Otherwise(hold="no rule matched")
BAD = "bad-moment"
CT = {"Field": "Modality", "Equals": "CT"}
PX = {"Field": "Modality", "Equals": "PX"}
FACTS = Facts(series=({"Modality": ("CT",)},))


def rule(name: str, when: dict[str, Any] | None = None, *to: str, **more: object) -> Rule:
    return parse(Rule, {"Name": name, "When": when, "DeliverTo": list(to), **more})


def test_every_rule_that_holds_contributes_and_the_most_urgent_counts() -> None:
    decision = decide(
        FACTS,
        [
            rule("archive", None, "vna", Purpose="Research"),
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
        ({"Name": "a", "Stop": True, "ValidFrom": "2026-4-1"}, "ValidFrom", "bad-day"),
        ({"Name": "a", "Stop": True, "ValidFrom": "2026-02-30"}, "ValidFrom", "bad-day"),
        ({"Name": "a", "Stop": True, "ValidUntil": 20260401}, "ValidUntil", "bad-day"),
        ({"Name": "a", "Stop": True, "ValidFrom": "2026-04-02", "ValidUntil": "2026-04-01"}, "", "not-ordered"),
        ({"Name": "a" * 201, "Stop": True}, "Name", "too-long"),
        ({"Name": "a", "Hold": "b" * 501}, "Hold", "too-long"),
        ({"Name": "a", "Stop": True, "Examples": [{"Facts": {}}]}, "Examples[0]", "not-one-way"),
        ({"Name": "a", "Stop": True, "Examples": [{"Hold": "b", "DeliverTo": []}]}, "Examples[0]", "not-one-way"),
        ({"Name": "a", "Stop": True, "Examples": [{"Hold": "b", "At": "noon"}]}, "Examples[0].At", "bad-moment"),
        ({"Name": "a", "Stop": True, "Examples": [{"Hold": "b", "At": "2026-04-01T25:00"}]}, "Examples[0].At", BAD),
        (
            {"Name": "a", "Stop": True, "Examples": [{"Hold": "b", "Facts": {"Study": {"Modalty": "PX"}}}]},
            "Examples[0].Facts.Study.Modalty",
            "unknown-field",
        ),
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
    (answer,) = outcome.because
    assert answer.held  # all of it was asked
    assert len(answer.seen) == 20
    assert max(map(len, answer.seen)) == 200


def test_what_is_shown_of_a_wanted_list_is_bounded() -> None:
    asked = rule("long", {"Field": "StudyDescription", "In": [str(number) + "x" * 1000 for number in range(99)]}, "vna")
    (outcome,) = decide(FACTS, [asked], HOLD, NOW).outcomes
    wanted = outcome.because[0].wanted
    assert isinstance(wanted, tuple)
    assert wanted[-1] == "…"
    assert (len(wanted), max(len(str(each)) for each in wanted)) == (21, 200)


ANSWER = {"Held": False, "Operator": "In", "Field": "Modality", "Wanted": ["PX", "IO"], "Seen": ["CT"]}
DECISION = {
    "HeldBack": [{"Destination": "vna", "Priority": "Routine", "Purpose": "Care", "Rules": ["all"]}],
    "Hold": "why?",
    "Rules": [
        ["all", "Held", [], ["vna"], None, None],
        ["odd", "Held", [0], [], "why?", None],
        ["px", "Failed", [0], ["dentist"], None, None],
        ["late", "NotInForce", [], ["vna"], None, None],
    ],
    "Answers": [ANSWER],
}


def test_a_stored_decision_has_a_fixed_shape() -> None:
    wanted = {"Field": "Modality", "In": ["PX", "IO"]}
    rules = [
        rule("all", None, "vna"),
        rule("odd", {"None": [wanted]}, Hold="why?"),
        rule("px", wanted, "dentist"),
        rule("late", wanted, "vna", ValidUntil="2026-04-05"),
    ]
    decision = decide(FACTS, rules, HOLD, NOW)
    assert json.loads(json.dumps(decision.to_json())) == DECISION
    assert Decision.from_json(DECISION) == decision


def test_everything_of_a_decision_has_a_fixed_shape() -> None:
    wanted = {"Field": "Modality", "Equals": "ct", "IgnoreCase": True, "Series": "None"}
    rules = [rule("odd", {"Any": [wanted, {"SeriesWhere": [PX]}]}, "vna")]
    decision = decide(FACTS, rules, HOLD, NOW, explain=Explain.Everything)
    question = {"Held": False, "Operator": "Equals", "Field": "Modality", "Wanted": "ct", "Seen": ["CT"]}
    question |= {"Series": "None", "IgnoreCase": True}
    px = {"Held": False, "Operator": "Equals", "Field": "Modality", "Wanted": "PX", "Seen": ["CT"]}
    series = {"Held": False, "Operator": "SeriesWhere", "Wanted": 1, "Seen": ["0", "1"], "Children": [px]}
    document = decision.to_json()
    assert document["Rules"][0][-1] == {"Held": False, "Operator": "Any", "Children": [question, series]}
    assert document["Answers"] == [question, series]
    assert Decision.from_json(document) == decision


def test_an_outcome_by_itself_has_a_fixed_shape() -> None:
    (asked,) = decide(FACTS, [rule("px", PX, "vna", Hold="why?")], HOLD, NOW, explain=Explain.Everything).outcomes
    answer = {"Held": False, "Operator": "Equals", "Field": "Modality", "Wanted": "PX", "Seen": ["CT"]}
    assert asked.to_json() == {
        "Rule": "px",
        "Verdict": "Failed",
        "Condition": answer,
        "DeliverTo": ["vna"],
        "Hold": "why?",
        "Because": [answer],
    }
    (bare,) = decide(FACTS, [rule("ignore", None, Stop=True)], HOLD, NOW).outcomes
    assert bare.to_json() == {"Rule": "ignore", "Verdict": "Held"}


def test_a_delivery_is_stored_with_its_pool_and_without_what_it_has_not() -> None:
    chosen = PlannedDelivery(
        destination="vna", priority=Priority.Stat, purpose="Care", rules=("a", "b"), pool="archives"
    )
    bare = PlannedDelivery(destination="cloud", priority=Priority.Routine, purpose="Research")
    decision = Decision(deliveries=(chosen, bare), otherwise=True)
    document = {"Destination": "vna", "Priority": "Stat", "Purpose": "Care", "Rules": ["a", "b"], "Pool": "archives"}
    plain = {"Destination": "cloud", "Priority": "Routine", "Purpose": "Research"}
    assert decision.to_json() == {"Deliveries": [document, plain], "Otherwise": True}
    assert Decision.from_json(decision.to_json()) == decision
    assert Decision(hold="").to_json() == {"Hold": ""}


OLD = {
    "Outcomes": [
        {
            "Rule": "px",
            "Verdict": "Failed",
            "Condition": {
                "Held": False,
                "Operator": "All",
                "Children": [
                    {"Held": True, "Operator": "Equals", "Field": "PatientID", "Wanted": "1", "Seen": ["1"]},
                    {"Held": False, "Operator": "In", "Field": "Modality", "Wanted": ["PX", "IO"], "Seen": ["CT"]},
                ],
            },
        }
    ]
}


def test_a_decision_that_was_stored_before_there_were_smallest_explanations_is_explained() -> None:
    (outcome,) = Decision.from_json(OLD).outcomes
    assert explain(outcome, "en") == ("Modality was CT; the rule wants PX or IO",)


@pytest.mark.parametrize(
    ("dates", "verdict"),
    [
        ({}, "Held"),
        ({"ValidFrom": "2026-04-05"}, "Held"),
        ({"ValidFrom": "2026-04-06"}, "NotInForce"),
        ({"ValidUntil": "2026-04-05"}, "Held"),
        ({"ValidUntil": "2026-04-04"}, "NotInForce"),
        ({"ValidFrom": "2026-04-05", "ValidUntil": "2026-04-05"}, "Held"),
        ({"ValidFrom": "2026-04-06", "Enabled": False}, "Disabled"),
    ],
)
def test_a_rule_is_asked_on_its_days_at_the_clinic(dates: dict[str, Any], verdict: str) -> None:
    night = datetime(2026, 4, 6, 3, 59, tzinfo=UTC)  # still the fifth in Montréal
    facts = Facts(time_zone="America/Toronto")
    asked = rule("dated", None, "vna", Stop=True, **dates)
    for reasons in Explain:
        decision = decide(facts, [asked, rule("all", None, "cloud")], HOLD, night, explain=reasons)
        held = [planned.destination for planned in decision.deliveries]
        assert held == (["vna"] if verdict == "Held" else ["cloud"])
        if reasons is not Explain.Nothing:
            assert decision.outcomes[0].verdict is Verdict(verdict)


@pytest.mark.parametrize(
    ("facts", "urgency"),
    [
        ({}, None),
        ({"Urgency": "Background"}, "Background"),
        ({"Urgency": "Background", "Study": {"RequestedProcedurePriority": "STAT"}}, "Background"),  # it was said
        ({"Urgency": "yesterday", "Study": {"RequestedProcedurePriority": "STAT"}}, "Stat"),
        ({"Study": {"RequestedProcedurePriority": "HIGH"}}, "Urgent"),
        ({"Study": {"RequestedProcedurePriority": "ROUTINE"}}, "Routine"),
        ({"Study": {"RequestedProcedurePriority": "MEDIUM"}}, "Routine"),
        ({"Study": {"RequestedProcedurePriority": "low"}}, "Background"),
        ({"Study": {"RequestedProcedurePriority": "SOON"}}, None),
        ({"Study": {"StudyPriorityID": "MED"}}, "Routine"),
        ({"Study": {"StudyPriorityID": "LOW"}, "Series": [{"StudyPriorityID": "HIGH"}]}, "Urgent"),
        ({"Series": [{"RequestAttributesSequence.RequestedProcedurePriority": ["LOW", "STAT"]}]}, "Stat"),
        ({"Order": {"RequestedProcedurePriority": "STAT"}, "Study": {"StudyPriorityID": "LOW"}}, "Stat"),
        ({"Study": {"RequestingService": "STAT"}}, None),
    ],
)
def test_a_study_is_as_urgent_as_its_order_and_its_images_say(facts: dict[str, Any], urgency: str | None) -> None:
    known = Facts.from_json(facts)
    asked = rule("urgent", {"Field": "Urgency", "Equals": urgency or "Stat"}, "reading")
    decision = decide(known, [rule("all", None, "vna"), asked], HOLD, NOW)
    assert {planned.priority.name for planned in decision.deliveries} == {urgency or "Routine"}
    assert (decision.outcomes[1].verdict is Verdict.Held) is (urgency is not None)
    delivered = decide(known, [], parse(Otherwise, {"DeliverTo": ["vna"]}), NOW)
    assert [planned.priority.name for planned in delivered.deliveries] == [urgency or "Routine"]


def test_a_rules_priority_outweighs_the_studys_unless_another_rule_is_more_urgent() -> None:
    facts = Facts(urgency="Urgent")
    slow, usual = rule("slow", None, "vna", Priority="Background"), rule("usual", None, "vna", Purpose="Teaching")
    assert decide(facts, [slow], HOLD, NOW).deliveries[0].priority is Priority.Background
    (both,) = decide(facts, [slow, usual], HOLD, NOW).deliveries
    assert (both.priority, both.purpose) == (Priority.Urgent, "Teaching")


RULES = st.builds(
    lambda when, to, priority: {"When": when, "DeliverTo": to, "Priority": priority},
    st.sampled_from([None, CT, PX]),
    st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=3, unique=True),
    st.none() | st.sampled_from([priority.name for priority in Priority]),
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
        priorities = [Priority.Routine if each.priority is None else each.priority for each in asking]
        assert planned.priority == min(priorities)


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
            {"All": [CT, {"Field": "Modality", "Exists": False}, PX]},
            ["Modality was CT; the rule wants no value"],  # which is enough to fail
            ["Modality valait CT\u202f; la règle demande l\u2019absence de valeur"],
        ),
        (
            {"All": [{"Any": [PX, {"Field": "PatientID", "Exists": True}]}, PX]},
            ["Modality was CT; the rule wants PX"],  # the smaller of two reasons
            ["Modality valait CT\u202f; la règle demande PX"],
        ),
        (
            {"Field": "Modality", "In": ["IO", "PX"], "Series": "All"},
            ["Modality was CT; the rule wants IO or PX in every series"],
            ["Modality valait CT\u202f; la règle demande IO ou PX dans chaque série"],
        ),
        (
            {"Field": "Modality", "Equals": "CT", "Series": "None"},
            ["Modality was CT; the rule wants CT in no series"],
            ["Modality valait CT\u202f; la règle demande CT dans aucune série"],
        ),
        (
            {"Field": "Modality", "Equals": "PX", "Series": "Any"},
            ["Modality was CT; the rule wants PX in one of the series"],
            ["Modality valait CT\u202f; la règle demande PX dans l\u2019une des séries"],
        ),
        (
            {"SeriesWhere": [CT], "AtLeast": 2},
            ["1 of 1 series fit the condition; the rule wants at least 2 of them"],
            [
                (
                    "Séries qui remplissent la condition\u00a0: 1 sur 1\u202f; "
                    "la règle demande qu\u2019au moins 2 la remplissent"
                )
            ],
        ),
        (
            {"SeriesWhere": [CT, PX], "Series": "All"},
            [
                (
                    "0 of 1 series fit the condition; the rule wants all of them "
                    "(one series: Modality was CT; the rule wants PX)"
                )
            ],
            [
                (
                    "Séries qui remplissent la condition\u00a0: 0 sur 1\u202f; la règle demande qu\u2019elles la "
                    "remplissent toutes (une série\u00a0: Modality valait CT\u202f; la règle demande PX)"
                )
            ],
        ),
        (
            {"SeriesWhere": [CT], "Series": "None"},
            [
                (
                    "1 of 1 series fit the condition; the rule wants none of them "
                    "(one series: Modality was CT; the rule excludes CT)"
                )
            ],
            [
                (
                    "Séries qui remplissent la condition\u00a0: 1 sur 1\u202f; la règle demande qu\u2019aucune ne la "
                    "remplisse (une série\u00a0: Modality valait CT\u202f; la règle exclut CT)"
                )
            ],
        ),
        (
            {"None": [{"SeriesWhere": [CT], "Series": "Any"}]},
            ["1 of 1 series fit the condition; the rule excludes at least 1 of them"],
            [
                (
                    "Séries qui remplissent la condition\u00a0: 1 sur 1\u202f; "
                    "la règle exclut qu\u2019au moins 1 la remplissent"
                )
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
    rules.append(rule("later", PX, "vna", ValidFrom="2026-04-07"))
    first, second, off, later = decide(FACTS, rules, HOLD, NOW).outcomes
    assert explain(later, "en") == ("the rule is not in force on this day",)
    assert explain(later, "fr") == ("la règle n\u2019est pas en vigueur ce jour-là",)
    assert explain(first, "en") == ()
    assert explain(second, "en") == ("a rule above it held and said Stop",)
    assert explain(off, "fr") == ("la règle est désactivée",)
