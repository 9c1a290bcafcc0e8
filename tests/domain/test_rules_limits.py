"""Where conditions end: how deep, how long and how many, and what is no value; each limit from both of its sides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from relais.domain.conditions import depth
from relais.domain.document import DocumentError, References, parse
from relais.domain.facts import Facts
from relais.domain.routing import decide
from relais.domain.rules import Condition, Otherwise, Rule

NOW = datetime(2026, 4, 6, 16, 0, tzinfo=UTC)
LEAF = {"Field": "Modality", "Equals": "PX"}
PX = Facts(series=({"Modality": ("PX",)},))


def rule_of(when: object, conditions: dict[str, object] | None = None) -> Rule:
    return parse(Rule, {"Name": "asked", "When": when, "Stop": True}, References(conditions=conditions or {}))


def holds(when: object, facts: Facts = PX, conditions: dict[str, object] | None = None) -> bool:
    return not decide(facts, [rule_of(when, conditions)], Otherwise(hold="no"), NOW).otherwise


def refused(when: object, conditions: dict[str, object] | None = None) -> tuple[str, str]:
    with pytest.raises(DocumentError) as refusal:
        rule_of(when, conditions)
    (problem,) = refusal.value.problems
    return problem.path, problem.code


def nested(levels: int, inside: object = LEAF) -> Any:
    for _ in range(levels):
        inside = {"All": [inside]}
    return inside


def chain(length: int) -> dict[str, object]:
    """So many conditions, each but the last of which names the next; the first is n1."""
    return {**{f"n{at}": {"Condition": f"n{at + 1}"} for at in range(1, length)}, f"n{length}": LEAF}


def test_a_condition_with_a_name_nests_eight_deep_and_no_deeper() -> None:
    assert holds({"Condition": "deep"}, conditions={"deep": nested(8)})
    assert refused({"Condition": "deep"}, {"deep": nested(9)}) == ("When.Condition", "refers-to-fault")


def test_what_is_no_condition_is_told_as_such_in_the_eighth_group_too() -> None:
    assert refused(nested(8, inside="PX")) == ("When" + ".All[0]" * 8, "model_type")


@pytest.mark.parametrize(("levels", "counted"), [(0, 0), (1, 1), (8, 8), (9, 9), (10, 9), (100_000, 9)])
def test_depth_is_counted_to_one_beyond_the_limit_and_no_further(levels: int, counted: int) -> None:
    assert depth(nested(levels)) == counted


def test_a_rule_reaches_nine_conditions_that_name_one_another_and_no_tenth() -> None:
    assert holds({"Condition": "n1"}, conditions=chain(9))
    assert refused({"Condition": "n1"}, chain(10)) == ("When.Condition", "refers-to-fault")


def test_names_that_stand_side_by_side_do_not_lead_to_one_another() -> None:
    sides: dict[str, object] = {f"side{number}": LEAF for number in range(20)}
    names = [{"Condition": name} for name in (*sides, "n1")]
    assert holds({"All": names}, conditions=sides | chain(9))
    assert refused({"All": names}, sides | chain(10)) == ("When.All[20].Condition", "refers-to-fault")


def test_a_condition_with_a_name_is_written_in_the_words_of_documents() -> None:
    written = {"field": "Modality", "equals": "PX"}
    assert refused({"Condition": "dental"}, {"dental": written}) == ("When.Condition", "refers-to-fault")


def test_a_condition_that_code_makes_refers_to_no_other() -> None:
    with pytest.raises(ValueError, match="unknown-condition"):
        Condition(condition="dental")


def test_a_text_of_1024_characters_is_compared_to_its_end() -> None:
    facts = Facts(study={"StudyDescription": ("x" * 1023 + "y",)})
    for operator in ("Equals", "StartsWith", "Contains", "Matches", "Regex"):
        assert holds({"Field": "StudyDescription", operator: "x" * 1023 + "y"}, facts)
        assert not holds({"Field": "StudyDescription", operator: "x" * 1023 + "z"}, facts)
        assert refused({"Field": "StudyDescription", operator: "x" * 1025}) == (f"When.{operator}", "too-long")


@pytest.mark.parametrize("endless", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("field", ["PatientID", "SeriesNumber"])
def test_a_number_that_is_not_finite_is_no_value(field: str, endless: float) -> None:
    assert refused({"Field": field, "Equals": endless}) == ("When.Equals", "not-scalar")
    assert refused({"Field": field, "LessThan": endless}) == ("When.LessThan", "not-scalar")
    assert refused({"Field": field, "In": [1, endless]}) == ("When.In[1]", "not-scalar")


def test_a_number_is_compared_to_its_last_digit_however_many_it_has() -> None:
    facts = Facts(study={"PatientID": ("9" * 1024,)})
    assert holds({"Field": "PatientID", "Equals": int("9" * 1024)}, facts)
    assert not holds({"Field": "PatientID", "Equals": int("9" * 1023 + "8")}, facts)
    assert holds({"Field": "PatientID", "AtLeast": int("9" * 1023 + "8")}, facts)
    assert refused({"Field": "PatientID", "Equals": int("9" * 1025)}) == ("When.Equals", "too-long")


def test_a_text_that_unicode_cannot_write_is_no_value() -> None:
    assert refused({"Field": "PatientID", "Equals": "1\ud800"}) == ("When.Equals", "not-scalar")
    assert refused({"Field": "PatientID", "In": ["1", "\udfff"]}) == ("When.In[1]", "not-scalar")
    assert holds({"Field": "PatientID", "Equals": "1\U0001f9b7"}, Facts(study={"PatientID": ("1\U0001f9b7",)}))


def test_case_is_of_texts_and_not_of_numbers() -> None:
    asked = {"Field": "PatientID", "Equals": 1, "IgnoreCase": True}
    assert refused(asked) == ("When.Equals", "ignore-case-without-text")


def test_a_value_lies_between_two_equal_ends_if_it_is_the_same() -> None:
    asked = {"Field": "StudyDate", "Between": ["2026-04-06", "20260406"]}
    held = [holds(asked, Facts(study={"StudyDate": (day,)})) for day in ("20260405", "20260406", "20260407")]
    assert held == [False, True, False]


@pytest.mark.parametrize(("least", "held"), [(1, True), (2, True), (3, False)])
def test_of_how_many_series_a_condition_must_hold_is_counted_from_one(least: int, *, held: bool) -> None:
    facts = Facts(series=({"Modality": ("PX",)}, {"Modality": ("CT",)}, {"Modality": ("PX",)}))
    assert holds({"SeriesWhere": [LEAF], "AtLeast": least}, facts) is held
    assert refused({"SeriesWhere": [LEAF], "AtLeast": 0}) == ("When", "not-a-count")


@pytest.mark.parametrize("text", ["inf", "-inf", "nan"])
def test_a_text_that_looks_like_no_number_is_a_text(text: str) -> None:
    assert holds({"Field": "StudyDescription", "Equals": text}, Facts(study={"StudyDescription": (text,)}))
