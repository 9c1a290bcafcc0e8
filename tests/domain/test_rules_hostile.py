"""Rules that somebody wrote to do harm, or by mistake: each ends soon, and in words."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from relais.configuration import ConfigurationErrors, load
from relais.configuration.consistency import inconsistencies
from relais.domain.document import Problem
from relais.domain.lookalikes import appearance

STOP = {"Stop": True}


def problems(section: dict[str, Any], directory: Path) -> list[tuple[str, str]]:
    with pytest.raises(ConfigurationErrors) as refusal:
        load(section, directory=directory)
    for language in ("en", "fr"):
        told = str(ConfigurationErrors(refusal.value.problems, language))
        assert "{" not in told
        assert max(map(len, told.splitlines())) < 4000
    return [(problem.path, problem.code) for problem in refusal.value.problems]


def named(**conditions: Any) -> dict[str, Any]:
    """Conditions by name: a text names others, with a blank between them."""
    return {
        "Conditions": {
            name: {"All": [{"Condition": each} for each in to.split()]} if isinstance(to, str) else to
            for name, to in conditions.items()
        }
    }


LEAF = {"Field": "Modality", "Equals": "PX"}


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        (named(a="a"), [("Conditions.a", "a → a")]),
        (named(a="b", b="c", c="a"), [("Conditions.a", "a → b → c → a")]),
        (named(leaf=LEAF, in_="a leaf", a="leaf b", b="a"), [("Conditions.a", "a → b → a")]),  # one leads into it
        (named(a="b", b="a", c="d", d="c"), [("Conditions.a", "a → b → a"), ("Conditions.c", "c → d → c")]),
        (
            named(**{f"n{at}": f"n{(at + 1) % 20}" for at in range(20)}),
            [("Conditions.n0", "n0 → n1 → n2 → n3 → n4 → n5 → n6 → n7 → … → n0")],
        ),
        (named(leaf=LEAF, a="leaf", b="a leaf", c="nobody"), []),
        ({"Conditions": [1]}, []),
        (named(a={"None": [{"SeriesWhere": [{"Condition": "a"}]}]}), [("Conditions.a", "a → a")]),
    ],
)
def test_each_circle_of_conditions_is_told_once(conditions: dict[str, Any], told: list[tuple[str, str]]) -> None:
    found = [each for each in inconsistencies(conditions) if each.code == "condition-circle"]
    assert [(problem.path, problem.values["way"]) for problem in found] == told


def test_a_circle_is_found_as_deep_as_groups_may_nest(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"Condition": "deep"}
    for _ in range(8):
        deep = {"All": [deep]}
    assert problems({"Conditions": {"deep": deep}}, tmp_path) == [("Conditions.deep", "condition-circle")]


def test_a_circle_is_the_only_thing_that_is_told(tmp_path: Path) -> None:
    rules = [{"Name": str(number), "When": {"Condition": "a"}, **STOP} for number in range(5)]
    section = {**named(a="b", b="a"), "Rules": rules}
    assert problems(section, tmp_path) == [("Conditions.a", "condition-circle")]


def test_a_set_and_a_condition_are_refused_where_they_stand_and_nowhere_else(tmp_path: Path) -> None:
    section = {
        "Sets": {"none": [], "dental": ["PX", None]},
        "Conditions": {"odd": {"Field": "Modallity", "Equals": "PX"}, "sets": {"Field": "Modality", "InSet": "none"}},
        "Rules": [
            {"Name": "a", "When": {"Any": [{"Condition": "odd"}, {"Condition": "sets"}]}, **STOP},
            {"Name": "b", "When": {"Field": "Modality", "InSet": "dental"}, **STOP},
            {"Name": "c", "When": {"Condition": "ood"}, **STOP},
        ],
    }
    assert sorted(problems(section, tmp_path)) == [
        ("Conditions.odd.Field", "unknown-field"),
        ("Rules[2].When.Condition", "unknown-condition"),
        ("Sets.dental[1]", "not-scalar"),
        ("Sets.none", "empty"),
    ]


@pytest.mark.parametrize("length", [9, 10, 1000])
@pytest.mark.parametrize("backwards", [False, True])
def test_names_lead_on_eight_times_and_no_more(length: int, *, backwards: bool, tmp_path: Path) -> None:
    chain: dict[str, Any] = {f"n{at}": f"n{at + 1}" for at in range(length - 1)} | {f"n{length - 1}": LEAF}
    section = named(**dict(sorted(chain.items(), reverse=backwards)))
    section["Rules"] = [{"Name": "a", "When": {"Condition": f"n{length - 9}"}, **STOP}]
    if length == 9:
        assert load(section, directory=tmp_path).rules
    else:
        told = problems(section, tmp_path)
        assert {code for _, code in told} == {"too-deep"}
        assert len(told) == length - 9


def test_conditions_that_multiply_are_bounded(tmp_path: Path) -> None:
    layers = {f"n{level}": " ".join([f"n{level - 1}"] * 20) for level in range(1, 8)}
    began = monotonic()
    told = problems(named(n0=LEAF, **layers), tmp_path)
    assert told == [("Conditions.n3", "too-many-questions")]
    assert monotonic() - began < 5


def test_ten_thousand_rules_are_refused_and_five_thousand_are_read(tmp_path: Path) -> None:
    rules = [{"Name": f"rule {number}", "When": LEAF, **STOP} for number in range(10_000)]
    assert problems({"Rules": rules}, tmp_path) == [("Rules", "too-many")]
    assert len(load({"Rules": rules[:5_000]}, directory=tmp_path).rules) == 5_000


def test_two_thousand_examples_are_read_and_no_more(tmp_path: Path) -> None:
    example: dict[str, Any] = {"DeliverTo": []}
    many = {"Name": "a", "When": LEAF, **STOP, "Examples": [example] * 1_001}
    fewer = {**many, "Name": "b", "Examples": [example] * 999}
    assert load({"Rules": [many, fewer]}, directory=tmp_path).rules
    assert problems({"Rules": [many, {**many, "Name": "b"}]}, tmp_path) == [("Rules", "too-many-examples")]


def test_a_text_of_a_megabyte_is_refused_and_not_repeated(tmp_path: Path) -> None:
    long = "x" * 1_000_000
    section = {
        "Conditions": {long: LEAF, "b": {"Field": long, "Exists": True}, "c": {"Field": "Modality", "InSet": long}},
        "Rules": [
            {"Name": long, **STOP},
            {"Name": "b", "Hold": long},
            {"Name": "c", "When": {"Field": "Modality", "Matches": "*" * 1_000_000}, **STOP},
            {"Name": "d", "When": {"Condition": long}, **STOP},
            {"Name": "e", "DeliverTo": [long]},
        ],
    }
    told = dict(problems(section, tmp_path))
    assert told["Rules[0].Name"] == told["Rules[1].Hold"] == told["Rules[2].When.Matches"] == "too-long"
    assert told["Conditions.c.InSet"] == told["Rules[3].When.Condition"] == "bad-name"
    assert told["Rules[4].DeliverTo[0]"] == "unknown-destination"


def test_a_thousand_unknown_fields_are_told_at_once(tmp_path: Path) -> None:
    rules = [
        {"Name": str(number), "When": {"Field": f"Patient{number}Nam", "Exists": True}, **STOP}
        for number in range(1000)
    ]
    began = monotonic()
    assert len(problems({"Rules": rules}, tmp_path)) == 1000
    assert monotonic() - began < 20


def test_a_condition_of_a_condition_nests_no_deeper_than_a_rules(tmp_path: Path) -> None:
    deep: dict[str, Any] = LEAF
    for _ in range(100_000):
        deep = {"SeriesWhere": [deep]}
    section = {"Conditions": {"deep": deep}, "Rules": [{"Name": "a", "When": {"Condition": "deep"}, **STOP}]}
    assert problems(section, tmp_path) == [("Conditions.deep", "too-deep")]


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("dental", "dental", "repeated-name"),
        ("dental", "d\u0435ntal", "look-alike-name"),  # a Cyrillic e
        ("CT", "\u0421\u0422", "look-alike-name"),
        ("dental", "den\u200btal", "look-alike-name"),  # a space without width
        ("dental", "\u202edental", "look-alike-name"),
        ("dental", "dental ", "look-alike-name"),
        ("to the VNA", "to\u00a0the  VNA", "look-alike-name"),
        ("été", "e\u0301te\u0301", "look-alike-name"),  # composed and decomposed
        ("l'os", "l\u2019os", "look-alike-name"),
        ("dental", "Dental", None),
        ("été", "ete", None),
        ("a-b", "ab", None),
        ("rule 1", "rule 2", None),
    ],
)
def test_two_rules_do_not_look_the_same(first: str, second: str, code: str | None) -> None:
    found = list(inconsistencies({"Rules": [{"Name": first}, {"Name": second}, {"Name": "other"}]}))
    name = first if code == "look-alike-name" else second
    assert found == ([Problem("Rules[1].Name", code, {"name": name})] if code else [])
    assert (appearance(first) == appearance(second)) is (code is not None)
