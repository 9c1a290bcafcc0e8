"""What differs between two documents, and what of that a second person must see."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.configuration.differences import Change, Difference, differences, touches_residency
from relais.texts import word

QUEBEC = {"Storage": "CA-QC", "Access": ["CA-QC"]}
BASE: dict[str, Any] = {
    "Users": {
        "ann": {"Roles": ["Administrator"], "Clinics": ["*"]},
        "olive": {"Roles": ["Operator"], "Clinics": ["*"]},
    },
    "Clinics": {"outremont": {"Region": "CA-QC", "Regime": "P-39.1", "CalledAets": ["OUT"]}},
    "Destinations": {
        "vna": {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104, "Jurisdiction": QUEBEC},
        "copy": {"Kind": "Dicom", "Aet": "COPY", "Host": "10.0.0.8", "Port": 104, "Jurisdiction": QUEBEC},
        "cloud": {
            "Kind": "DicomWeb",
            "Url": "https://cloud.example/",
            "Jurisdiction": {"Storage": "CA-ON", "Access": ["CA-QC"]},
            "Assessment": {"Reference": "E-1", "Result": "Adequate", "Expires": "2030-01-01"},
            "Agreement": {"Reference": "C-1", "Expires": "2030-01-01"},
        },
        "pool": {"Kind": "Pool", "Of": {"vna": 1, "copy": 1}},
    },
    "Rules": [
        {"Name": "home", "DeliverTo": ["vna"]},
        {"Name": "away", "When": {"Field": "Modality", "Equals": "CT"}, "DeliverTo": ["cloud"]},
        {"Name": "shared", "DeliverTo": ["pool"]},
    ],
    "Otherwise": {"Hold": "no rule matched"},
}


def changed(*steps: Any) -> dict[str, Any]:
    """The base with one place changed: the path and then the value; None takes the place out."""
    *path, last, value = steps
    document = copy.deepcopy(BASE)
    inside: Any = document
    for step in path:
        inside = inside.setdefault(step, {}) if isinstance(inside, dict) else inside[step]
    if value is None:
        del inside[last]
    elif isinstance(inside, list) and last == len(inside):
        inside.append(value)
    else:
        inside[last] = value
    return document


def test_equal_documents_do_not_differ_whatever_the_order_of_their_keys() -> None:
    again = json.loads(json.dumps(BASE, sort_keys=True))
    assert differences(BASE, again) == ()
    assert not touches_residency(BASE, again)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (
            changed("Destinations", "vna", "Port", 11112),
            Difference(path="Destinations.vna.Port", change=Change.Changed, before=104, after=11112),
        ),
        (
            changed("Destinations", "copy", None),
            Difference(path="Destinations.copy", change=Change.Removed, before=BASE["Destinations"]["copy"]),
        ),
        (
            changed("Completeness", {"QuietSeconds": 2}),
            Difference(path="Completeness", change=Change.Added, after={"QuietSeconds": 2}),
        ),
        (
            changed("Rules", 1, "When", "Equals", "MR"),
            Difference(path="Rules.away.When.Equals", change=Change.Changed, before="CT", after="MR"),
        ),
        (
            changed("Rules", 3, {"Name": "last", "Stop": True}),
            Difference(path="Rules.last", change=Change.Added, after={"Name": "last", "Stop": True}),
        ),
        (
            changed("Rules", 0, None),
            Difference(path="Rules.home", change=Change.Removed, before=BASE["Rules"][0]),
        ),
        (
            changed("Users", "ann", "Roles", ["Administrator", "Auditor"]),
            Difference(
                path="Users.ann.Roles",
                change=Change.Changed,
                before=["Administrator"],
                after=["Administrator", "Auditor"],
            ),
        ),
    ],
)
def test_a_change_is_told_where_it_stands(after: dict[str, Any], expected: Difference) -> None:
    assert differences(BASE, after) == (expected,)


def test_true_is_not_one() -> None:
    (found,) = differences({"A": {"B": True}}, {"A": {"B": 1}})
    assert (found.path, found.before, found.after) == ("A.B", True, 1)


def test_a_rule_that_moves_is_told_as_one_that_moved() -> None:
    rules = BASE["Rules"]
    (found,) = differences(BASE, {**BASE, "Rules": [*rules[1:], rules[0]]})
    assert found == Difference(path="Rules.home", change=Change.Moved, before=1, after=3)
    assert word(found.to_problem(), "fr") == "Rules.home: déplacée du rang 1 au rang 3"


def test_rules_without_names_of_their_own_are_compared_as_a_whole() -> None:
    after = {**BASE, "Rules": [{"Name": "a"}, {"Name": "a"}]}
    (found,) = differences(BASE, after)
    assert (found.path, found.change) == ("Rules", Change.Changed)


@given(st.permutations(range(7)))
def test_as_few_rules_as_can_be_moved(order: list[int]) -> None:
    rules = [{"Name": str(number)} for number in range(7)]
    found = differences({"Rules": rules}, {"Rules": [rules[number] for number in order]})
    assert {each.change for each in found} <= {Change.Moved}
    moved = {int(each.path.removeprefix("Rules.")) for each in found}
    stayed = [number for number in order if number not in moved]
    assert stayed == sorted(stayed)
    longest = max(
        (
            sum(1 << n & subset > 0 for n in order)
            for subset in range(128)
            if _rises([n for n in order if 1 << n & subset])
        ),
        default=0,
    )
    assert len(stayed) == longest


def _rises(numbers: list[int]) -> bool:
    return numbers == sorted(numbers)


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inside, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", max_size=2), NESTED), st.dictionaries(st.text("abc", max_size=2), NESTED))
def test_documents_differ_where_their_json_does(before: dict[str, Any], after: dict[str, Any]) -> None:
    same = json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    assert (differences(before, after) == ()) is same


@pytest.mark.parametrize(
    "after",
    [
        changed("Destinations", "cloud", "Jurisdiction", "Storage", "US-NY"),
        changed("Destinations", "cloud", "Jurisdiction", "Access", ["CA-QC", "IN"]),
        changed("Destinations", "vna", "Jurisdiction", None),
        changed("Destinations", "cloud", "Assessment", "Expires", "2031-01-01"),
        changed("Destinations", "cloud", "Agreement", None),
        changed("Destinations", "vna", "Purposes", ["Care", "Research"]),
        changed("Destinations", "cloud", "Deidentify", {"Key": {"Env": "K"}}),
        changed("Destinations", "vna", "Host", "203.0.113.5"),  # the label was given for another machine
        changed("Destinations", "cloud", "Url", "https://elsewhere.example/"),
        changed("Destinations", "new", {"Kind": "Files", "Url": "file:///x", "Jurisdiction": QUEBEC}),
        changed("Destinations", "cloud", None),
        changed("Destinations", "vna", "FailoverTo", "cloud"),
        changed("Destinations", "pool", "Of", {"vna": 1, "cloud": 1}),
        changed("Clinics", "outremont", "Region", "CA-ON"),
        changed("Clinics", "outremont", "Regime", "R-22.1"),
        changed("UnknownSender", {"Clinic": "outremont"}),
        changed("Rules", 0, "Purpose", "Research"),
        changed("Rules", 0, "DeliverTo", ["vna", "cloud"]),
        changed("Rules", 1, "When", {"Field": "Modality", "Equals": "MR"}),
        changed("Rules", 1, "Enabled", False),
        changed("Rules", 1, None),
        changed("Otherwise", {"DeliverTo": ["cloud"]}),
        changed("Clinics", "outremont", "Defaults", {"Purpose": "Research"}),
        changed("Clinics", "outremont", "Defaults", {"Otherwise": {"DeliverTo": ["cloud"]}}),
        changed("Sets", {"a": ["CT"]}),
        changed("Approval", "Never"),
        changed("Users", "olive", "Roles", ["Operator", "PrivacyOfficer"]),
        changed("Users", "zoe", {"Roles": ["Administrator"], "Clinics": ["*"]}),
        changed("Retrievers", {"room": {"Aets": ["READING*"]}}),
        changed("UnknownRetrievers", "Allow"),
    ],
)
def test_what_bears_on_residency_is_seen_in_both_directions(after: dict[str, Any]) -> None:
    assert touches_residency(BASE, after)
    assert touches_residency(after, BASE)


@pytest.mark.parametrize(
    "after",
    [
        changed("Destinations", "vna", "Port", 11112),
        changed("Destinations", "cloud", "Concurrency", 4),
        changed("Destinations", "vna", "FailoverTo", "copy"),
        changed("Destinations", "pool", "Of", {"vna": 2, "copy": 1}),
        changed("Destinations", "bare", {"Kind": "Files", "Url": "file:///x"}),  # nothing goes where no label stands
        changed("Clinics", "outremont", "Name", "Outremont"),
        changed("Clinics", "outremont", "CalledAets", ["OUT2"]),
        changed("Rules", 0, "When", {"Field": "Modality", "Equals": "MR"}),
        changed("Rules", 0, "DeliverTo", ["copy"]),
        changed("Rules", 1, "Name", "abroad"),
        changed("Rules", 1, "Examples", []),
        changed("Completeness", {"QuietSeconds": 1}),
        changed("Users", "olive", "Roles", ["Viewer"]),
        changed("Language", "en"),
    ],
)
def test_what_does_not_is_not(after: dict[str, Any]) -> None:
    assert not touches_residency(BASE, after)
    assert not touches_residency(after, BASE)


def test_how_senders_are_known_bears_on_residency_where_clinics_stand_under_two_laws() -> None:
    two = changed("Clinics", "chum", {"Regime": "R-22.1", "CalledAets": ["CHUM"]})
    moved = copy.deepcopy(two)
    moved["Clinics"]["outremont"]["CalledAets"] = ["CHUM2"]
    assert touches_residency(two, moved)


@given(st.dictionaries(st.sampled_from(["Destinations", "Rules", "Users", "Clinics", "Otherwise"]), NESTED))
def test_any_document_is_compared(document: dict[str, Any]) -> None:
    differences(BASE, document)
    touches_residency(document, BASE)
    assert not touches_residency(document, copy.deepcopy(document))
