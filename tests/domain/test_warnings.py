"""What is valid and deserves a second look; every warning is sure, which random studies put to the test."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relais.configuration import load
from relais.configuration.warnings import warnings
from relais.domain.conditions import Condition
from relais.domain.document import References
from relais.domain.facts import Facts
from relais.domain.implication import contradiction, implies, tree_of
from relais.domain.look import Look
from relais.texts import word

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
QUEBEC = {"Storage": "CA-QC", "Access": ["CA-QC"]}
VNA: dict[str, Any] = {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104, "Jurisdiction": QUEBEC}
CLOUD: dict[str, Any] = {
    "Kind": "DicomWeb",
    "Url": "https://cloud.example/",
    "Jurisdiction": {"Storage": "CA-ON", "Access": ["CA-QC"]},
    "Assessment": {"Reference": "E-1", "Result": "Adequate", "Expires": "2027-06-15"},
    "Agreement": {"Reference": "C-1", "Expires": "2027-06-15"},
}
CLINIC = {"outremont": {"CalledAets": ["OUT"], "Region": "CA-QC", "Regime": "P-39.1"}}
ALL = {"Name": "all", "DeliverTo": ["vna"]}


def warned(section: Mapping[str, Any]) -> dict[str, str]:
    found = warnings(load({"Clinics": CLINIC, **section}, directory=Path()), NOW)
    for problem in found:
        assert word(problem, "fr") != word(problem, "en")
    return {problem.path: problem.code for problem in found}


def rules(*each: Mapping[str, Any]) -> dict[str, str]:
    named = [{"Name": f"r{place}", "DeliverTo": ["vna"], **rule} for place, rule in enumerate(each)]
    return warned({"Destinations": {"vna": VNA}, "Rules": named})


def test_a_sound_configuration_is_not_warned_of() -> None:
    assert warned({"Destinations": {"vna": VNA}, "Rules": [ALL]}) == {}
    assert warned({}) == {}


def test_destinations_that_nothing_leads_to() -> None:
    names = ("direct", "last", "clinic-last", "member", "stand-in", "second", "off", "idle")
    destinations: dict[str, Any] = dict.fromkeys(names, VNA)
    destinations["direct"] = VNA | {"FailoverTo": "stand-in"}
    destinations["stand-in"] = VNA | {"FailoverTo": "second"}
    destinations["pool"] = {"Kind": "Pool", "Of": {"member": 1}}
    destinations["idle-pool"] = {"Kind": "Pool", "Of": {"idle": 1}}
    section = {
        "Destinations": destinations,
        "Rules": [
            {"Name": "a", "DeliverTo": ["direct", "pool"]},
            {"Name": "b", "DeliverTo": ["off"], "Enabled": False},
        ],
        "Otherwise": {"DeliverTo": ["last"]},
        "Clinics": {"c": {"CalledAets": ["C"], "Defaults": {"Otherwise": {"DeliverTo": ["clinic-last"]}}}},
    }
    assert warned(section) == {f"Destinations.{name}": "destination-unreached" for name in ("off", "idle", "idle-pool")}


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ("2026-06-15", "expired"),
        ("2020-01-01", "expired"),
        ("2026-06-16", "expires-soon"),
        ("2026-09-13", "expires-soon"),
        ("2026-09-14", None),
    ],
)
def test_what_expires(expires: str, expected: str | None) -> None:
    for label in ("Assessment", "Agreement"):
        cloud = CLOUD | {label: CLOUD[label] | {"Expires": expires}}
        found = warned({"Destinations": {"c": cloud}, "Rules": [{"Name": "a", "DeliverTo": ["c"]}]})
        assert found.get(f"Destinations.c.{label}.Expires") == expected
        assert ("Destinations.c" in found) is (expected == "expired")


@pytest.mark.parametrize(
    "change",
    [
        {"Jurisdiction": None},
        {"Assessment": None},
        {"Agreement": None},
        {"Assessment": CLOUD["Assessment"] | {"Result": "Inadequate"}},
    ],
)
def test_a_destination_whose_labels_refuse_every_clinic(change: dict[str, Any]) -> None:
    labels = {key: value for key, value in (CLOUD | change).items() if value is not None}
    found = warned({"Destinations": {"c": labels}, "Rules": [{"Name": "a", "DeliverTo": ["c"]}]})
    assert found == {"Destinations.c": "destination-refused"}


def test_names_that_nobody_asks_for() -> None:
    section = {
        "Destinations": {"vna": VNA},
        "Sets": {"used": ["CT"], "inside": ["MR"], "idle": ["PX"]},
        "Conditions": {
            "used": {"Any": [{"Condition": "inner"}, {"Field": "Modality", "InSet": "used"}]},
            "inner": {"SeriesWhere": [{"Field": "Modality", "InSet": "inside"}]},
            "idle": {"Field": "Modality", "InSet": "idle"},
        },
        "Rules": [{**ALL, "When": {"None": [{"Condition": "used"}]}}],
    }
    assert warned(section) == {
        "Sets.idle": "set-unused",
        "Conditions.idle": "condition-unused",
    }


CT = {"Field": "Modality", "Equals": "CT"}
CT_MR = {"Field": "Modality", "In": ["CT", "MR"]}
OUT = {"Field": "Clinic", "Equals": "outremont"}


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ({}, {}),
        ({}, {"When": CT}),
        ({"When": CT}, {"When": CT}),
        ({"When": CT_MR}, {"When": CT}),
        ({"When": CT}, {"When": {"All": [OUT, CT]}}),
        ({"When": {"Any": [OUT, CT]}}, {"When": CT}),
        ({"When": CT_MR}, {"When": {"Any": [CT, {"Field": "Modality", "Equals": "MR"}]}}),
        ({"When": {"Field": "Modality", "Exists": True}}, {"When": CT}),
        ({"When": {"None": [CT]}}, {"When": {"None": [CT_MR]}}),
        (
            {"When": {"Field": "Instances.Count", "AtLeast": 2}},
            {"When": {"Field": "Instances.Count", "Between": [5, 9]}},
        ),
        (
            {"ValidFrom": "2026-01-01", "ValidUntil": "2027-12-31"},
            {"ValidFrom": "2026-07-01", "ValidUntil": "2027-01-01"},
        ),
    ],
)
def test_a_rule_in_the_shadow_of_one_above(above: dict[str, Any], below: dict[str, Any]) -> None:
    assert rules({**above, "Stop": True}, below) == {"Rules[1]": "rule-shadowed"}
    assert rules(above, below) == {}
    assert rules({**above, "Stop": True, "Enabled": False}, below) == {}


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ({"When": CT}, {"When": CT_MR}),
        ({"When": CT}, {}),
        ({"When": {"All": [CT, OUT]}}, {"When": CT}),
        ({"When": {"Field": "Modality", "Equals": "ct", "IgnoreCase": True}}, {"When": CT}),
        ({"When": CT | {"Series": "All"}}, {"When": CT}),
        ({"ValidUntil": "2027-01-01"}, {}),
        ({"ValidFrom": "2026-07-01"}, {"ValidUntil": "2027-01-01"}),
    ],
)
def test_a_rule_that_is_asked_now_and_then(above: dict[str, Any], below: dict[str, Any]) -> None:
    assert rules({**above, "Stop": True}, below) == {}


@pytest.mark.parametrize(
    "when",
    [
        {"All": [OUT, {"Field": "Clinic", "Exists": False}]},
        {"All": [{"Field": "Now.Weekday", "Equals": "Monday"}, {"Field": "Now.Weekday", "In": ["Sunday", "Saturday"]}]},
        {"All": [CT, {"None": [CT_MR]}]},
        {
            "All": [
                OUT,
                {"All": [{"Field": "Origin.Kind", "Equals": "Lua"}, {"Field": "Origin.Kind", "Equals": "RestApi"}]},
            ]
        },
        {"All": [{"Field": "StudyDate", "AtLeast": "20260501"}, {"Field": "StudyDate", "LessThan": "20260501"}]},
        {"All": [{"Field": "Now.Time", "Between": ["08:00", "12:00"]}, {"Field": "Now.Time", "AtLeast": "13:00"}]},
        {"All": [{"Field": "Instances.Count", "Equals": 3}, {"Field": "Instances.Count", "LessThan": 3}]},
    ],
)
def test_a_rule_that_never_holds(when: dict[str, Any]) -> None:
    assert rules({"When": when}) == {"Rules[0].When": "rule-never-holds"}


@pytest.mark.parametrize(
    "when",
    [
        {"All": [CT, {"Field": "Modality", "Equals": "MR"}]},  # a study can have series of both
        {"Any": [OUT, {"Field": "Clinic", "Exists": False}]},
        {"All": [{"Field": "Instances.Count", "AtLeast": 3}, {"Field": "Instances.Count", "Between": [1, 3]}]},
        {"All": [CT_MR, {"None": [CT]}]},
    ],
)
def test_a_rule_that_can_hold(when: dict[str, Any]) -> None:
    assert rules({"When": when}) == {}


def test_a_rule_whose_time_is_over() -> None:
    assert rules({"ValidUntil": "2026-06-13"}) == {"Rules[0].ValidUntil": "rule-over"}
    assert rules({"ValidUntil": "2026-06-14"}) == {}  # somewhere it is still that day


def test_five_hundred_rules_that_stop_are_compared_in_no_time() -> None:
    many = [
        {"When": {"All": [{"Field": "StudyDescription", "Contains": f"<{place}>"}, CT, OUT]}, "Stop": True}
        for place in range(500)
    ]
    assert rules(*many) == {}


SETS = {"few": ["CT", "MR"]}
NAMED = {"named": {"Field": "Clinic", "Equals": "a"}}
LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(
        lambda field, words, series: {"Field": field, "In": words, **series},
        st.just("Modality"),
        st.lists(st.sampled_from(["CT", "MR", "PX"]), min_size=1, max_size=2, unique=True),
        st.sampled_from([{}, {}, {"Series": "Any"}, {"Series": "All"}, {"Series": "None"}]),
    ),
    st.sampled_from(["a", "b"]).map(lambda name: {"Field": "Clinic", "Equals": name}),
    st.tuples(st.sampled_from(["Modality", "Clinic"]), st.booleans()).map(lambda it: {"Field": it[0], "Exists": it[1]}),
    st.sampled_from([{"Field": "Modality", "InSet": "few"}, {"Condition": "named"}]),
    st.tuples(st.sampled_from(["AtLeast", "LessThan", "Equals"]), st.integers(0, 3)).map(
        lambda it: {"Field": "Instances.Count", it[0]: it[1]}
    ),
    st.tuples(st.integers(0, 2), st.integers(0, 2)).map(
        lambda it: {"Field": "Instances.Count", "Between": [it[0], it[0] + it[1]]}
    ),
    st.tuples(st.sampled_from(["StartsWith", "Contains", "Equals"]), st.sampled_from(["P", "PA", "A"])).map(
        lambda it: {"Field": "StudyDescription", it[0]: it[1]}
    ),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inside: st.tuples(st.sampled_from(["All", "Any", "None"]), st.lists(inside, min_size=1, max_size=3)).map(
        lambda it: {it[0]: it[1]}
    ),
    max_leaves=5,
)
STUDIES = st.builds(
    lambda modalities, clinic, instances, text: Facts(
        series=tuple({"Modality": (each,)} if each else {} for each in modalities),
        clinic=clinic,
        instances=instances,
        study={"StudyDescription": text} if text else {},
    ),
    st.lists(st.sampled_from(["CT", "MR", "PX", ""]), max_size=3),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([None, 0, 1, 2, 3]),
    st.sampled_from([(), ("PA",), ("P", "A"), ("XA",)]),
)


def holds(document: dict[str, Any], facts: Facts) -> bool:
    known = References(sets=SETS, conditions=NAMED)
    condition = Condition.model_validate(document, context=known, by_alias=True, by_name=False)
    return condition.node.held(Look(facts, NOW))


@settings(max_examples=600)
@given(CONDITIONS, CONDITIONS, st.lists(STUDIES, min_size=5, max_size=12))
def test_what_is_said_of_conditions_is_so(one: dict[str, Any], other: dict[str, Any], studies: list[Facts]) -> None:
    first, second = (tree_of(each, SETS, NAMED) for each in (one, other))
    assert implies(first, first)
    follows, never = implies(first, second), contradiction(first) is not None
    for facts in studies:
        assert not (follows and holds(one, facts) and not holds(other, facts))
        assert not (never and holds(one, facts))
