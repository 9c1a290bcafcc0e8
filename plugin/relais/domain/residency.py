"""The residency kernel: whether a study may go to a destination, by law. Pure, total, and refusal is the default.

Two regimes, each a line of one table: P-39.1 (private sector) and R-22.1 (health and social services). Where it is not
known which one holds, both do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from relais.domain.labels import QUEBEC, Agreement, Assessment, Finding, Jurisdiction, Purpose, Regime

LIFE = timedelta(minutes=5)
"""How long a permit lasts at most: whatever is sent later is judged again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demands:
    """What a regime asks before images leave Quebec, each with its articles."""

    assessment: tuple[str, ...]
    agreement: tuple[str, ...]
    deidentification: Mapping[Purpose, tuple[str, ...]]
    """The purposes for which nobody outside may know whose images they are."""
    purpose: tuple[str, ...]
    restriction: tuple[str, ...]


REGIMES: Mapping[Regime, Demands] = {
    Regime.Private: Demands(
        assessment=("P-39.1 s. 17",),
        agreement=("P-39.1 s. 17",),
        deidentification={Purpose.Research: ("P-39.1 s. 21",), Purpose.Teaching: ("P-39.1 s. 12",)},
        purpose=("P-39.1 s. 13",),
        restriction=("P-39.1 s. 8",),
    ),
    Regime.Health: Demands(
        assessment=("R-22.1 s. 78",),
        agreement=("R-22.1 s. 77",),
        deidentification={Purpose.Research: ("R-22.1 s. 48",), Purpose.Teaching: ("R-22.1 s. 48",)},
        purpose=("R-22.1 s. 84",),
        restriction=("R-22.1 s. 7", "R-22.1 s. 8"),
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Restriction:
    """What may not be sent of a study or of a patient; without destinations and regions, nothing to anybody.

    A region stands for its parts too: CA for CA-ON. Where the patient's issuer is not known on either side, the id
    alone decides.
    """

    id: int
    study_instance_uid: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    destinations: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    since: datetime
    until: datetime | None = None

    def concerns(self, study_instance_uid: str, patients: Collection[tuple[str, str]]) -> bool:
        """Whether it is about this study, or one of its patients: pairs of PatientID and IssuerOfPatientID."""
        if self.study_instance_uid is not None:
            return self.study_instance_uid == study_instance_uid
        issuer = self.issuer_of_patient_id or ""
        return any(self.patient_id == each and (not (issuer and by) or issuer == by) for each, by in patients)

    def forbids(self, recipient: Recipient) -> bool:
        """Whether it is about this destination."""
        if not self.destinations and not self.regions:
            return True
        label = recipient.jurisdiction
        places = () if label is None else (label.storage, *label.access)
        return recipient.destination in self.destinations or any(
            place == region or place.startswith(f"{region}-") for place in places for region in self.regions
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is known of a study when it is judged; `restrictions` are those that concern it."""

    study_instance_uid: str = ""
    clinic: str | None = None
    region: str | None = None
    regime: Regime | None = None
    time_zone: str = "UTC"
    restrictions: tuple[Restriction, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipient:
    """A destination's labels, by the configuration of that digest."""

    destination: str
    configuration: str
    jurisdiction: Jurisdiction | None = None
    assessment: Assessment | None = None
    agreement: Agreement | None = None
    purposes: tuple[str, ...] = ()
    deidentifies: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why it is refused: a code, the values that say it precisely, and the articles of law."""

    code: str
    values: Mapping[str, str] = field(default_factory=dict)
    articles: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it is stored with a delivery, shown and told."""
        return {"Refused": self.code, "Values": dict(self.values), "Articles": list(self.articles)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Reason:
        """A reason as it was stored."""
        return cls(code=document["Refused"], values=document["Values"], articles=tuple(document["Articles"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """It may not go there. `until` is when time alone may change that; None where it never does."""

    reasons: tuple[Reason, ...]
    until: datetime | None = None


_SEAL = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """It may go there, from now until `expires`; only `judge` can make one."""

    study_instance_uid: str
    destination: str
    configuration: str
    purpose: str
    facts: Mapping[str, Any]
    """What it rests on: clinic, regime, jurisdiction, references."""
    expires: datetime
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse to be made elsewhere."""
        if seal is not _SEAL:
            message = "only judge() makes a permit"
            raise TypeError(message)

    def covers(self, destination: str, studies: Collection[str]) -> bool:
        """Whether it is for this destination, and for nothing but these studies."""
        return self.destination == destination and all(each == self.study_instance_uid for each in studies)

    def holds(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return now < self.expires


def judge(case: Case, recipient: Recipient, purpose: str, now: datetime) -> Permit | Refusal:
    """Whether the study may go to the destination for this purpose at the instant `now` (aware). Never raises.

    Within Quebec a known purpose that the destination lists is enough. Outside (storage, or any access), an adequate
    assessment and a written agreement must be in force (P-39.1 section 17; R-22.1 sections 77 and 78).
    """
    try:
        objections = list(_objections(case, recipient, purpose, now))
        if not objections:
            return _permit(case, recipient, purpose, now)
        moments = [moment for _, moment in objections]
        return Refusal(
            reasons=tuple(reason for reason, _ in objections),
            until=None if None in moments else max(each for each in moments if each is not None),
        )
    except Exception as error:  # noqa: BLE001 - what cannot be judged is refused, whatever it is
        return Refusal(reasons=(Reason(code="undecidable", values={"error": type(error).__name__}),))


def demands_of(regime: Regime | None) -> Demands:
    """What the regime asks; what both ask, each as it is stricter, where none is known."""
    if regime is not None:
        return REGIMES[regime]
    both = tuple(REGIMES.values())
    purposes = [purpose for purpose in Purpose if any(purpose in each.deidentification for each in both)]
    return Demands(
        assessment=tuple(article for each in both for article in each.assessment),
        agreement=tuple(article for each in both for article in each.agreement),
        deidentification={
            purpose: tuple(article for each in both for article in each.deidentification.get(purpose, ()))
            for purpose in purposes
        },
        purpose=tuple(article for each in both for article in each.purpose),
        restriction=tuple(article for each in both for article in each.restriction),
    )


def outside(jurisdiction: Jurisdiction) -> tuple[str, ...]:
    """The regions outside Quebec where images would be stored, or from where they could be looked at."""
    places = dict.fromkeys((jurisdiction.storage, *tuple(jurisdiction.access)))
    return tuple(each for each in places if each != QUEBEC)


Objection = tuple[Reason, datetime | None]
"""What stands against it, and when that ends by itself."""


def _objections(case: Case, recipient: Recipient, purpose: str, now: datetime) -> Iterator[Objection]:
    demands = demands_of(case.regime)
    for each in case.restrictions:
        if each.forbids(recipient) and each.since <= now and (each.until is None or now < each.until):
            yield (
                Reason(code="restricted", values={"restriction": str(each.id)}, articles=demands.restriction),
                each.until,
            )
    if purpose not in {each.value for each in Purpose}:
        yield Reason(code="purpose-unknown", values={"purpose": str(purpose)}, articles=demands.purpose), None
    elif purpose not in tuple(recipient.purposes):
        yield Reason(code="purpose-not-listed", values={"purpose": str(purpose)}, articles=demands.purpose), None
    label = recipient.jurisdiction
    if label is None or not label.access:
        yield Reason(code="no-jurisdiction", articles=demands.assessment), None
    elif places := outside(label):
        region = {"regions": ", ".join(places)}
        zone = ZoneInfo(case.time_zone)
        yield from _dated("assessment", recipient.assessment, region, demands.assessment, now, zone)
        yield from _found(recipient, region, demands.assessment)
        yield from _dated("agreement", recipient.agreement, region, demands.agreement, now, zone)
        articles = demands.deidentification.get(Purpose(purpose)) if purpose in tuple(Purpose) else None
        if articles is not None and recipient.deidentifies is not True:
            yield (
                Reason(code="purpose-needs-deidentification", values={"purpose": str(purpose)}, articles=articles),
                None,
            )


def _dated(
    kind: str,
    document: Assessment | Agreement | None,
    region: Mapping[str, str],
    articles: tuple[str, ...],
    now: datetime,
    zone: ZoneInfo,
) -> Iterator[Objection]:
    """Whether there is such a document, and whether it is in force."""
    if document is None:
        yield Reason(code=f"no-{kind}", values=region, articles=articles), None
        return
    values = {"reference": document.reference}
    if now >= _midnight(document.expires, zone):
        yield (
            Reason(code=f"{kind}-expired", values={**values, "day": document.expires.isoformat()}, articles=articles),
            None,
        )
    elif document.begins is not None and now < (begins := _midnight(document.begins, zone)):
        yield (
            Reason(code=f"{kind}-not-begun", values={**values, "day": document.begins.isoformat()}, articles=articles),
            begins,
        )


def _found(recipient: Recipient, region: Mapping[str, str], articles: tuple[str, ...]) -> Iterator[Objection]:
    """Whether the assessment, if there is one, found what is needed."""
    if recipient.assessment is None:
        return
    values = {"reference": recipient.assessment.reference, **region}
    match recipient.assessment.result:
        case Finding.Adequate:
            return
        case Finding.AdequateIfDeidentified:
            if recipient.deidentifies is not True:
                yield Reason(code="not-deidentified", values=values, articles=articles), None
        case _:
            yield Reason(code="assessment-inadequate", values=values, articles=articles), None


def _permit(case: Case, recipient: Recipient, purpose: str, now: datetime) -> Permit:
    label = recipient.jurisdiction
    if label is None:
        raise ValueError(label)
    ends = [now.astimezone(UTC) + LIFE]
    ends += [each.since for each in case.restrictions if each.forbids(recipient) and each.since > now]
    facts: dict[str, Any] = {
        "Clinic": case.clinic,
        "Regime": None if case.regime is None else case.regime.value,
        "Storage": label.storage,
        "Access": tuple(label.access),
        "Deidentified": recipient.deidentifies,
    }
    if outside(label):
        zone = ZoneInfo(case.time_zone)
        for name, document in (("Assessment", recipient.assessment), ("Agreement", recipient.agreement)):
            if document is None:
                raise ValueError(name)
            facts[name] = document.reference
            ends.append(_midnight(document.expires, zone))
    return Permit(
        study_instance_uid=case.study_instance_uid,
        destination=recipient.destination,
        configuration=recipient.configuration,
        purpose=str(purpose),
        facts=MappingProxyType(facts),
        expires=min(ends),
        seal=_SEAL,
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which the day begins there."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
