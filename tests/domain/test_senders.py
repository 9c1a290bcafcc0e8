"""What a clinic adds to the decision: defaults where neither rules nor study say it, and holds for unknown senders."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from relais.domain.clinics import SEVERAL, Clinic, UnknownSender
from relais.domain.document import parse
from relais.domain.facts import Facts
from relais.domain.priority import Priority
from relais.domain.routing import Decision, decide
from relais.domain.rules import Otherwise, Rule
from relais.domain.senders import decide_for_clinic, institutions_of

NOW = datetime(2026, 4, 6, 15, 30, tzinfo=UTC)
DENTAL: dict[str, Any] = {"Name": "dental", "When": {"Field": "Modality", "In": ["PX"]}, "DeliverTo": ["vna"]}
DENTIST = {
    "CalledAets": ["A"],
    "Defaults": {"Priority": "Urgent", "Purpose": "Teaching", "Otherwise": {"DeliverTo": ["cloud"]}},
}


def decided(
    *rules: dict[str, Any],
    clinic: str | None = "a",
    clinics: dict[str, Any] | None = None,
    unknown: UnknownSender | None = None,
    **facts: Any,
) -> Decision:
    known = {name: parse(Clinic, each) for name, each in (clinics or {"a": DENTIST}).items()}
    return decide_for_clinic(
        Facts.from_json({"Series": [{"Modality": "PX"}], "Clinic": clinic, **facts}),
        [parse(Rule, each) for each in rules],
        Otherwise(hold="no rule matched"),
        clinics=known,
        unknown=unknown,
        now=NOW,
    )


def plan(decision: Decision) -> list[tuple[str, Priority, str]]:
    return [(each.destination, each.priority, each.purpose) for each in decision.deliveries]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([DENTAL], [("vna", Priority.Urgent, "Teaching")]),
        ([DENTAL | {"Priority": "Routine"}], [("vna", Priority.Routine, "Teaching")]),
        ([DENTAL | {"Purpose": "Care"}], [("vna", Priority.Urgent, "Care")]),
        ([DENTAL | {"Priority": "Stat", "Purpose": "Care"}], [("vna", Priority.Stat, "Care")]),
        # Of two rules that ask for the same, the more urgent one gives the purpose, the clinic's urgency counted.
        (
            [DENTAL | {"Name": "calm", "Priority": "Routine", "Purpose": "Research"}, DENTAL],
            [("vna", Priority.Urgent, "Teaching")],
        ),
        (
            [DENTAL, DENTAL | {"Name": "stat", "Priority": "Stat", "Purpose": "Care"}],
            [("vna", Priority.Stat, "Care")],
        ),
        ([], [("cloud", Priority.Urgent, "Teaching")]),
        ([DENTAL | {"When": {"Field": "Modality", "Equals": "CT"}}], [("cloud", Priority.Urgent, "Teaching")]),
    ],
)
def test_a_clinics_defaults_count_where_rules_are_silent(
    rules: list[dict[str, Any]], expected: list[tuple[str, Priority, str]]
) -> None:
    assert plan(decided(*rules)) == expected


def test_the_studys_own_urgency_outweighs_the_clinics() -> None:
    assert plan(decided(DENTAL, Urgency="Background")) == [("vna", Priority.Background, "Teaching")]
    assert plan(decided(Urgency="Background")) == [("cloud", Priority.Background, "Teaching")]


def test_what_is_held_back_has_the_defaults_too() -> None:
    held = decided(DENTAL, {"Name": "wait", "Hold": "second opinion"})
    assert (held.hold, held.deliveries) == ("second opinion", ())
    assert [(each.priority, each.purpose) for each in held.held_back] == [(Priority.Urgent, "Teaching")]


def test_a_clinics_otherwise_may_be_a_hold() -> None:
    clinics = {"a": {"Defaults": {"Otherwise": {"Hold": "ask the clinic"}}}}
    assert decided(clinics=clinics).hold == "ask the clinic"
    assert decided(clinics={"a": {}}).hold == "no rule matched"


@pytest.mark.parametrize("clinics", [{"a": {}}, {"a": {"Defaults": {"QuietSeconds": 9}}}, {"b": DENTIST}])
def test_without_such_defaults_the_rules_decide_alone(clinics: dict[str, Any]) -> None:
    facts = Facts.from_json({"Series": [{"Modality": "PX"}], "Clinic": "a"})
    alone = decide(facts, [parse(Rule, DENTAL)], Otherwise(hold="no rule matched"), NOW)
    assert decided(DENTAL, clinics=clinics) == alone


def test_a_study_without_clinic_goes_by_the_rules_unless_unknown_senders_wait() -> None:
    origin = {"CalledAet": "X"}
    assert plan(decided(DENTAL, clinic=None, Origin=origin)) == [("vna", Priority.Routine, "Care")]
    held = decided(DENTAL, clinic=None, Origin=origin, unknown=UnknownSender(hold="who is this?"))
    assert (held.hold, held.deliveries) == ("who is this?", ())
    assert [each.destination for each in held.held_back] == ["vna"]
    assert held.outcomes  # still explained
    known = decided(DENTAL, clinic="a", Origin=origin, unknown=UnknownSender(hold="who is this?"))
    assert known.hold is None


def test_a_study_that_several_clinics_claim_is_held() -> None:
    both = {"a": {"CalledAets": ["A*"]}, "b": {"CalledAets": ["*B"]}}
    held = decided(DENTAL, clinic=None, clinics=both, Origin={"CalledAet": "AB"})
    assert (held.hold, held.deliveries) == (SEVERAL, ())
    assert decided(DENTAL, clinic=None, clinics=both, Origin={"CalledAet": "C"}).hold is None
    names = {"a": {"InstitutionNames": ["St. *"]}, "b": {"InstitutionNames": ["*Marie"]}}
    series = [{"Modality": "PX", "InstitutionName": "St. Marie"}]
    assert decided(DENTAL, clinic=None, clinics=names, Series=series).hold == SEVERAL


def test_an_institutions_name_is_read_whole() -> None:
    facts = Facts(series=({"InstitutionName": ("A", "B")}, {"InstitutionName": ("C",)}, {"Modality": ("PX",)}))
    assert institutions_of(facts) == ("A\\B", "C")
    assert institutions_of(Facts(study={"InstitutionName": ("D",)})) == ("D",)
