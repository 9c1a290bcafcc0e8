"""Who may get what, written once more from the law: an oracle that knows nothing of the kernel it is held against.

P-39.1 section 17 and R-22.1 sections 77 and 78 (an adequate assessment and an agreement before images leave Quebec),
P-39.1 sections 12 and 21 and R-22.1 section 48 (outside, research and teaching without names), P-39.1 section 8 and
R-22.1 sections 7 and 8 (restrictions). Documents are `Relais` sections as they are written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.servers.counting import Key
from tests.servers.dicom import Study

Document = dict[str, Any]


@dataclass(frozen=True)
class Limit:
    """A restriction as its author meant it."""

    id: int
    study: str | None
    patient: str | None
    destinations: tuple[str, ...]
    regions: tuple[str, ...]
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Case:
    """A study as the oracle knows it: what it was made with."""

    number: int
    study: Study
    patient: str
    clinic: str

    @property
    def images(self) -> set[Key]:
        return {(self.number, int(each.InstanceNumber)) for each in self.study.instances}


def permitted(document: Document, limits: Mapping[int, Limit], case: Case, name: str, now: datetime) -> bool:
    """Whether the study may go there at this instant, by the document as it is written."""
    label, today = (
        document["Destinations"][name],
        now.astimezone(ZoneInfo(document["Clinics"][case.clinic]["TimeZone"])),
    )
    places = (
        [] if label["Jurisdiction"] is None else [label["Jurisdiction"]["Storage"], *label["Jurisdiction"]["Access"]]
    )
    for limit in limits.values():
        whose = case.study.uid == limit.study or case.patient == limit.patient
        everywhere = not limit.destinations and not limit.regions
        there = any(f"{place}-".startswith(f"{region}-") for place in places for region in limit.regions)
        begun, ended = limit.since <= now, limit.until is not None and limit.until <= now
        if whose and begun and not ended and (everywhere or there or name in limit.destinations):
            return False
    purpose = next(each["Purpose"] for each in document["Rules"] if each["DeliverTo"] == [name])
    if not places or purpose not in label["Purposes"]:
        return False
    if set(places) == {"CA-QC"}:
        return True
    nameless = label["Deidentify"] is not None
    if purpose in ("Research", "Teaching") and not nameless:
        return False
    results = ["Adequate", "AdequateIfDeidentified"] if nameless else ["Adequate"]
    assessment, agreement = label["Assessment"], label["Agreement"]
    return (
        assessment is not None
        and assessment["Result"] in results
        and _in_force(assessment, today.date())
        and agreement is not None
        and _in_force(agreement, today.date())
    )


def _in_force(paper: Document, today: date) -> bool:
    # Days are written as ISO 8601 has them, so that their texts are in the order of time.
    begins, day, expires = str(paper["Begins"] or ""), today.isoformat(), str(paper["Expires"])
    return begins <= day < expires
