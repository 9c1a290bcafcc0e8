"""Events with an example each. A test with a real router keeps the examples' shape."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relais.journal import EVENTS
from tests.docs.markdown import fenced

UID = "1.2.826.0.1.3680043.10.1"


@dataclass(frozen=True, kw_only=True)
class Event:
    """When a type of event is sent, and the `data` of one."""

    when: str
    data: Mapping[str, Any]


def _study(**detail: Any) -> Mapping[str, Any]:
    return {"StudyInstanceUID": UID, **detail}


MEANINGS: Mapping[str, Event] = {
    "study.received": Event(
        when="The first images of a study are there. `Instances` counts those of the first look, not of the study.",
        data=_study(Instances=1),
    ),
    "study.complete": Event(
        when="The study counts as complete, `By` Quiet, Expected, Incomplete or Cap; with `Expected` where its images "
        "say how many there are. Sent again after late images.",
        data=_study(Instances=18, By="Quiet"),
    ),
    "study.matched": Event(
        when="The study is the CRM's patient `CrmId`. `Match` is the number of the answer.",
        data=_study(CrmId="C-1001", Match=12),
    ),
    "study.review": Event(
        when="A person must say whose the study is. `Reason` is that of [matching](../explanation/matching.md).",
        data=_study(Review=4, Reason="RunnerUp"),
    ),
    "study.unmatched": Event(
        when="The study is none of the CRM's patients', as far as is known. A new patient asks again by itself.",
        data=_study(Match=13),
    ),
    "study.routed": Event(
        when="The rules were asked and the study is owed to `Destinations`. Sent again after each new decision.",
        data=_study(Destinations=["vna-qc"]),
    ),
    "study.held": Event(
        when="The study waits for a person. `Reason` is that of the rule, of `Otherwise` or of the person.",
        data=_study(Reason="no rule matched"),
    ),
    "delivery.completed": Event(
        when="Every image is at the destination, with the `Proof` that it asks for. Sent again when late or corrected "
        "images are there as well.",
        data=_study(Delivery=7, Destination="vna-qc", Instances=18, Proof="Stored"),
    ),
    "delivery.failed": Event(
        when="A delivery was given up and waits for a person. See [error classes](states.md#error-classes).",
        data=_study(Delivery=7, Destination="vna-qc", Class="Permanent", Code="A900", Attempts=1),
    ),
    "delivery.blocked": Event(
        when="The law refuses a delivery; `Reasons` are codes of [residency](../explanation/residency.md). Not sent "
        "again while they stay the same.",
        data=_study(Delivery=7, Destination="cloud", Purpose="Care", Reasons=["no-assessment", "no-agreement"]),
    ),
    "destination.down": Event(
        when="A destination could not be reached three times in a row. Deliveries wait; nothing is lost.",
        data={"Destination": "vna-qc", "Error": "10.0.0.9 port 104: Connection refused"},
    ),
    "destination.up": Event(
        when="A destination that was down took images again. Whatever waited for it is sent now.",
        data={"Destination": "vna-qc"},
    ),
    "import.completed": Event(
        when="An import of studies ended: `State` is Completed where every instance that the source has is here, "
        "Failed where some are not, or Canceled. `imports/{Import}` names them.",
        data={
            "Import": 12,
            "Source": "hospital",
            "Cause": "Person",
            "State": "Failed",
            "Studies": 2,
            "Expected": 214,
            "Received": 213,
        },
    ),
    "study.announced": Event(
        when="A watch saw a study that is new at its source, or `Changed`, and does not import it: it only announces, "
        "or it is `Unclear` whether it looks for the study, as the source does not tell.",
        data=_study(Watch="new-ct", Source="hospital", Changed=False, Unclear=False),
    ),
    "worklist.completed": Event(
        when="The study of an order is here, and was decided. Sent once for an order, with its first study; "
        "with `Clinic` and `CrmId` where the order has them.",
        data=_study(Order=31, AccessionNumber="A1001", CrmId="C-1001"),
    ),
    "security.alert": Event(
        when="Somebody in charge of privacy must look; `Kind` says at what. `delivery-refused`: it was blocked. "
        "`matching-stopped`: the breaker stopped automatic matching, for `Reason`. "
        "`way-out-refused`: a caller tried a way out of Orthanc's own, with `Method`, `Route`, `RemoteIp` and `Times`. "
        "`retrieval-refused`: somebody asked by C-MOVE for what `Target` may not have, for `Reasons`.",
        data=_study(
            Kind="delivery-refused",
            Delivery=7,
            Destination="cloud",
            Purpose="Care",
            Reasons=["no-assessment", "no-agreement"],
        ),
    ),
    "patient.requested": Event(
        when="A person asks the CRM to create the patient of a study. It reads what the images say from "
        "`reviews/{Id}`; the patient comes back as any other does, and the study is asked again.",
        data=_study(Review=4),
    ),
    "configuration.refused": Event(
        when="A version of the configuration was to become active at a time, and may not: it is a draft again. "
        "`Reason` says which gate is shut, and `Problems` where. Somebody must look.",
        data={
            "Version": 12,
            "Digest": "4a7d1ed414474e4033ac29ccb8653d9b0c5b2f6bb9cf0e4e3f3a2f1d9d8c7b6a",
            "Reason": "version-outdated",
            "Problems": ["Destinations.vna-qc.Port: difference-changed"],
        },
    ),
}


def describe_events() -> str:
    """A heading for each type of event."""
    return "\n\n".join(f"### `{name}`\n\n{MEANINGS[name].when}\n\n{_example(name)}" for name in EVENTS)


def _example(name: str) -> str:
    body = {"type": name, "timestamp": "2026-04-06T13:30:12.480215+00:00", "data": MEANINGS[name].data}
    return fenced(json.dumps(body, indent=2, ensure_ascii=False), "json")
