"""Rules that ask what stands inside sequences, on images that Orthanc really took."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, Sequence

from tests.servers.dicom import make_study, send
from tests.servers.router import Router, destination, section
from tests.servers.scp import StorageScp

DESCRIPTION = "RequestAttributesSequence.RequestedProcedureDescription"
CODE = "RequestAttributesSequence.RequestedProcedureCodeSequence.CodeValue"
PRIORITY = "RequestAttributesSequence.RequestedProcedurePriority"


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    with StorageScp("PACS") as pacs:
        wanted = [
            {"Field": DESCRIPTION, "Contains": "BOUCHE ENTIERE", "IgnoreCase": True},
            {"Field": CODE, "Equals": "7"},
            {"Field": "Urgency", "Equals": "Stat"},
            {"Field": "Instances.Count", "Equals": 2},
        ]
        rule = {"Name": "asked for", "When": {"All": wanted}, "DeliverTo": ["pacs"]}
        relais = section(
            {"pacs": destination("PACS", pacs.port)}, quiet=0.1, Rules=[rule], Otherwise={"Hold": "not asked for"}
        )
        with Router(tmp_path / "router", relais=relais) as running:
            yield running


def request_of(description: str, code: str, priority: str) -> Dataset:
    """One item of RequestAttributesSequence, with a sequence inside."""
    item, coded = Dataset(), Dataset()
    coded.CodeValue = code
    item.RequestedProcedureDescription = description
    item.RequestedProcedureCodeSequence = Sequence([coded])
    item.RequestedProcedurePriority = priority
    return item


def test_a_rule_asks_any_item_of_a_sequence(router: Router) -> None:
    requests = [request_of("Bite-wing", "3", "LOW"), request_of("Radio bouche  entière", "7", "STAT")]
    character_set: dict[str, Any] = {"SpecificCharacterSet": "ISO_IR 192"}
    study = make_study(instances=2, tags={**character_set, "RequestAttributesSequence": Sequence(requests)})
    send(study, router.dicom_port)
    delivery = router.wait_for_delivery(study.uid, "pacs", "Completed")
    assert delivery["Priority"] == "Stat"
    facts = router.ask(f"studies/{study.uid}/explanation")["Facts"]
    assert facts["Instances"] == 2
    assert facts["Series"][0][DESCRIPTION] == ["Bite-wing", "Radio bouche  entière"]
    assert facts["Series"][0][CODE] == ["3", "7"]
    assert facts["Series"][0][PRIORITY] == ["LOW", "STAT"]

    other = make_study(instances=2, tags={"RequestAttributesSequence": Sequence(requests[:1])})
    send(other, router.dicom_port)
    assert router.wait_for_study(other.uid, "Held")["HoldReason"] == "not asked for"
    (outcome,) = router.ask(f"studies/{other.uid}/explanation")["Decision"]["Outcomes"]
    (reason,) = outcome["Because"]
    assert (reason["Field"], reason["Seen"]) == (DESCRIPTION, ["Bite-wing"])
