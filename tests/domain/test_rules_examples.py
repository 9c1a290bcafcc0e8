"""The rules' own tests: what is expected of a study, and what comes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from relais.domain.clinics import Clinic, UnknownSender
from relais.domain.document import parse
from relais.domain.examples import ExampleOutcome, Expectation, run_examples
from relais.domain.rules import Otherwise, Rule

NOW = datetime(2026, 4, 6, 16, 0, tzinfo=UTC)
HOLD = Otherwise(hold="no rule matched")
PX: dict[str, Any] = {"Series": [{"Modality": "PX"}]}
WHEN = {"Field": "Modality", "Equals": "PX"}


def rules_of(*examples: dict[str, Any], **more: Any) -> list[Rule]:
    dental = {"Name": "dental", "When": WHEN, "DeliverTo": ["vna"], "Examples": list(examples), **more}
    return [parse(Rule, {"Name": "all", "DeliverTo": ["cloud"]}), parse(Rule, dental)]


def test_an_example_is_decided_by_all_rules_together() -> None:
    rules = rules_of(
        {"Name": "a panoramic", "Facts": PX, "DeliverTo": ["vna", "cloud"]},
        {"Facts": PX, "DeliverTo": ["vna"]},
        {"DeliverTo": ["vna"]},
    )
    assert run_examples(rules, HOLD, NOW) == (
        ExampleOutcome(
            path="Rules[1].Examples[0]",
            rule="dental",
            name="a panoramic",
            expected=Expectation(deliver_to=("cloud", "vna")),
            came=Expectation(deliver_to=("cloud", "vna")),
        ),
        ExampleOutcome(
            path="Rules[1].Examples[1]",
            rule="dental",
            name=None,
            expected=Expectation(deliver_to=("vna",)),
            came=Expectation(deliver_to=("cloud", "vna")),
        ),
        ExampleOutcome(
            path="Rules[1].Examples[2]",
            rule="dental",
            name=None,
            expected=Expectation(deliver_to=("vna",)),
            came=Expectation(deliver_to=("cloud",)),
        ),
    )
    assert [outcome.passed for outcome in run_examples(rules, HOLD, NOW)] == [True, False, False]


@pytest.mark.parametrize(
    ("example", "otherwise", "passed"),
    [
        ({"Facts": PX, "Hold": "is it ours?"}, HOLD, True),
        ({"Facts": PX, "Hold": "no rule matched"}, HOLD, False),
        ({"Facts": PX, "DeliverTo": []}, HOLD, False),  # held, not done with
        ({"Hold": "no rule matched"}, HOLD, True),
        ({"Hold": "no rule matched"}, Otherwise(deliver_to=("vna",)), False),
        ({"DeliverTo": ["vna"]}, Otherwise(deliver_to=("vna",)), True),
    ],
)
def test_an_example_may_expect_a_hold(example: dict[str, Any], otherwise: Otherwise, *, passed: bool) -> None:
    odd = {"Name": "odd", "When": WHEN, "Hold": "is it ours?", "Examples": [example]}
    (outcome,) = run_examples([parse(Rule, odd)], otherwise, NOW)
    assert outcome.passed is passed


@pytest.mark.parametrize(
    ("at", "owed"),
    [
        (None, True),
        ("2026-04-06T12:00", True),  # at the clinic
        ("2026-04-06T23:59:30", True),
        ("2026-04-07T00:00", False),
        ("2026-04-07T03:59Z", True),
        ("2026-04-07T04:00:00+00:00", False),
    ],
)
def test_an_example_has_its_own_time(at: str | None, *, owed: bool) -> None:
    example = {"Facts": {**PX, "TimeZone": "America/Toronto"}, "DeliverTo": ["cloud", "vna"] if owed else ["cloud"]}
    rules = rules_of({**example, "At": at}, ValidUntil="2026-04-06")
    assert [outcome.passed for outcome in run_examples(rules, HOLD, NOW)] == [True]


def test_an_example_is_decided_with_the_defaults_of_its_clinic() -> None:
    clinics = {"laval": parse(Clinic, {"CalledAets": ["LAVAL"], "Defaults": {"Otherwise": {"DeliverTo": ["laval"]}}})}
    example = {"Facts": {"Clinic": "laval"}, "DeliverTo": ["laval"]}
    rules = [parse(Rule, {"Name": "dental", "When": WHEN, "DeliverTo": ["vna"], "Examples": [example]})]
    assert [each.passed for each in run_examples(rules, HOLD, NOW, clinics=clinics)] == [True]
    assert [each.came.hold for each in run_examples(rules, HOLD, NOW)] == ["no rule matched"]


def test_an_example_of_a_stranger_waits_where_strangers_wait() -> None:
    unknown = parse(UnknownSender, {"Hold": "who is it?"})
    rules = rules_of({"Facts": PX, "Hold": "who is it?"})
    clinics = {"laval": parse(Clinic, {"CalledAets": ["LAVAL"]})}
    (outcome,) = run_examples(rules, HOLD, NOW, clinics=clinics, unknown=unknown)
    assert (outcome.passed, outcome.came) == (True, Expectation(hold="who is it?"))


def test_the_examples_of_a_disabled_rule_wait() -> None:
    assert run_examples(rules_of({"DeliverTo": ["vna"]}, Enabled=False), HOLD, NOW) == ()
