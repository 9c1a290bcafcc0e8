"""An imported study is not sent back where it came from, unless a rule says so; nor anywhere if it is only kept."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relais.configuration import load
from relais.domain.facts import Facts, Origin
from relais.domain.routing import Decision
from relais.judgement import Judged, judged
from tests.servers.router import QUEBEC

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
PACS = {"Aet": "PACS", "Host": "pacs.example", "Port": 104}
SYSTEMS = {
    "pacs": {"Kind": "Dicom", **PACS, "Jurisdiction": QUEBEC},
    "vna": {"Kind": "Dicom", **PACS, "Aet": "VNA", "Jurisdiction": QUEBEC},
}


def decided(*rules: dict[str, Any], source: str | None = "hospital", **options: Any) -> Judged:
    configuration = load(
        {
            "Sources": {"hospital": {"Kind": "Dicom", **PACS}, "clinic": {"Kind": "Dicom", **PACS, "Aet": "C"}},
            "Destinations": SYSTEMS | options.pop("destinations", {}),
            "Rules": [{"Name": f"r{number}", **rule} for number, rule in enumerate(rules)],
        },
        directory=Path(),
    )
    facts = Facts(origin=Origin(source=source, **options))
    return judged(facts, configuration, NOW, patient="P1")


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


def test_no_pool_chooses_its_source() -> None:
    pool = {"either": {"Kind": "Pool", "Of": {"pacs": 99, "vna": 1}}, "only": {"Kind": "Pool", "Of": {"pacs": 1}}}
    found = decided({"DeliverTo": ["either", "only"]}, destinations=pool)
    assert names(found) == ["vna"]
    assert found.decision.not_back == ("only",)


def test_what_is_only_kept_is_owed_to_nobody() -> None:
    found = decided({"DeliverTo": ["vna"]}, route=False)
    assert names(found) == []
    assert found.decision.kept
    assert Decision.from_json(found.decision.to_json()) == found.decision
