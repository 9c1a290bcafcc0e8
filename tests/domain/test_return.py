"""An imported study is not sent back where it came from, unless a rule says so; nor anywhere if it is only kept."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relais.configuration import load
from relais.domain.facts import Facts, Origin
from relais.domain.routing import Decision
from relais.judgement import Judged, judged

QUEBEC = {"Storage": "CA-QC", "Access": ["CA-QC"]}
NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
PACS = {"Aet": "PACS", "Host": "pacs.example", "Port": 104}
SYSTEMS = {
    "pacs": {"Kind": "Dicom", **PACS, "Jurisdiction": QUEBEC},
    "vna": {"Kind": "Dicom", **PACS, "Aet": "VNA", "Jurisdiction": QUEBEC},
}
ALL_SYSTEMS = {
    "mirror": {"Kind": "OrthancPeer", "Url": "http://mirror.example", "Jurisdiction": QUEBEC},  # SameAs names it
    "some": {"Kind": "Pool", "Of": {"pacs": 5, "vna": 1, "mirror": 5}},
    "theirs": {"Kind": "Pool", "Of": {"pacs": 1, "mirror": 1}},
}
THEIRS = {"pacs", "mirror"}
"""What is the hospital itself."""
REACHES = {"pacs": {"pacs"}, "mirror": {"mirror"}, "vna": {"vna"}, "some": {"vna", *THEIRS}, "theirs": THEIRS}
RULE = st.fixed_dictionaries(
    {"DeliverTo": st.lists(st.sampled_from(sorted(REACHES)), min_size=1, unique=True)},
    optional={"BackToSource": st.booleans()},
)


def decided(*rules: dict[str, Any], source: str | None = "hospital", **options: Any) -> Judged:
    hospital = options.pop("hospital", {})
    configuration = load(
        {
            "Sources": {
                "hospital": {"Kind": "Dicom", **PACS, **hospital},
                "clinic": {"Kind": "Dicom", **PACS, "Aet": "C"},
            },
            "Destinations": SYSTEMS | options.pop("destinations", {}),
            "Rules": [{"Name": f"r{number}", **rule} for number, rule in enumerate(rules)],
        },
        directory=Path(),
    )
    patient = options.pop("patient", "P1")
    facts = Facts(origin=Origin(source=source, **options))
    return judged(facts, configuration, NOW, patient=patient)


def names(found: Judged) -> list[str]:
    return [each.planned.destination for each in found.deliveries]


def test_it_goes_anywhere_but_back() -> None:
    found = decided({"DeliverTo": ["pacs", "vna"]})
    assert names(found) == ["vna"]
    assert found.decision.not_back == ("pacs",)
    assert Decision.from_json(found.decision.to_json()) == found.decision
    assert names(decided({"DeliverTo": ["pacs", "vna"]}, source=None)) == ["pacs", "vna"]
    assert names(decided({"DeliverTo": ["pacs", "vna"]}, source="clinic")) == ["pacs", "vna"]


def test_a_rule_may_send_it_back() -> None:
    found = decided({"DeliverTo": ["pacs"]}, {"DeliverTo": ["pacs"], "BackToSource": True})
    assert (names(found), found.decision.not_back) == (["pacs"], ())
    assert Decision.from_json(found.decision.to_json()) == found.decision


def test_no_pool_chooses_its_source() -> None:
    pool = {"either": {"Kind": "Pool", "Of": {"pacs": 99, "vna": 1}}, "only": {"Kind": "Pool", "Of": {"pacs": 1}}}
    found = decided({"DeliverTo": ["either", "only"]}, destinations=pool)
    assert names(found) == ["vna"]
    assert found.decision.not_back == ("only",)


@settings(max_examples=60, deadline=None)
@given(rules=st.lists(RULE, min_size=1, max_size=4), patient=st.text(max_size=8))
def test_whatever_rules_and_pools_say_only_a_rule_sends_back(rules: list[dict[str, Any]], patient: str) -> None:
    """And nothing else is lost by that: each name is owed to somebody, or stands as not sent back."""
    found = decided(*rules, destinations=ALL_SYSTEMS, hospital={"SameAs": "mirror"}, patient=patient)
    may = {each for rule in rules if rule.get("BackToSource") for name in rule["DeliverTo"] for each in REACHES[name]}
    assert set(names(found)) & THEIRS <= may
    wanted = {name for rule in rules for name in rule["DeliverTo"]}
    sent_back = {name for rule in rules if rule.get("BackToSource") for name in rule["DeliverTo"]}
    assert set(found.decision.not_back) == {name for name in wanted - sent_back if REACHES[name] <= THEIRS}
    for name in wanted - set(found.decision.not_back):
        assert REACHES[name] & set(names(found)), name


def test_what_is_only_kept_is_owed_to_nobody() -> None:
    found = decided({"DeliverTo": ["vna"]}, route=False)
    assert names(found) == []
    assert found.decision.kept
    assert Decision.from_json(found.decision.to_json()) == found.decision
