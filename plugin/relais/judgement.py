"""What the rules and the law make of a study: planned deliveries, each with its permit or its refusal.

Pure: production, the dry run and a replay ask the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from relais.configuration import Configuration, Destination
from relais.configuration.sources import same_system
from relais.domain.facts import Facts
from relais.domain.pools import choose
from relais.domain.residency import Case, Permit, Recipient, Refusal, Restriction, judge
from relais.domain.routing import Decision, Explain, PlannedDelivery
from relais.domain.senders import decide_for_clinic

Patients = frozenset[tuple[str, str]]
"""Pairs of PatientID and IssuerOfPatientID, as a study has them."""


@dataclass(frozen=True, kw_only=True)
class JudgedDelivery:
    """A planned delivery, and what the law says of it."""

    planned: PlannedDelivery
    verdict: Permit | Refusal

    @property
    def refused(self) -> bool:
        """Whether nothing of it may be sent."""
        return isinstance(self.verdict, Refusal)

    def to_json(self) -> dict[str, Any]:
        """As a dry run answers it."""
        reasons = self.verdict.reasons if isinstance(self.verdict, Refusal) else ()
        return {
            "Destination": self.planned.destination,
            "Purpose": self.planned.purpose,
            "Permitted": not self.refused,
            "Reasons": [each.to_json() for each in reasons],
        }


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The decision of the rules, and its deliveries with a destination in the place of each pool, judged.

    `held_back` is what would have been owed while the decision holds the study.
    """

    decision: Decision
    deliveries: tuple[JudgedDelivery, ...]
    held_back: tuple[JudgedDelivery, ...] = ()


def judged(
    facts: Facts,
    configuration: Configuration,
    now: datetime,
    *,
    patient: str,
    restrictions: Sequence[Restriction] = (),
    explain: Explain = Explain.Smallest,
) -> Judged:
    """What the study is owed at the instant `now` (aware), and what of it the law permits.

    `patient` decides which destination of a pool gets it; of `restrictions` those count that concern the study.
    """
    decided = decide_for_clinic(
        facts,
        configuration.rules,
        configuration.otherwise,
        clinics=configuration.clinics,
        unknown=configuration.unknown_sender,
        now=now,
        explain=explain,
    )
    if not facts.origin.route:
        decided = replace(decided, deliveries=(), held_back=(), kept=True)
    same = same_as_source(configuration, facts.origin.source)
    if same:
        decided = _without_return(decided, configuration, same)
    uid = next(iter(facts.study.get("StudyInstanceUID", ())), "")
    patients = patients_of(facts)
    case = case_of(
        configuration,
        study_instance_uid=uid,
        clinic=facts.clinic,
        restrictions=[each for each in restrictions if each.concerns(uid, patients)],
    )
    return Judged(
        decision=decided,
        deliveries=_deliveries(decided.deliveries, configuration, case, patient or uid, now, same),
        held_back=_deliveries(decided.held_back, configuration, case, patient or uid, now, same),
    )


def same_as_source(configuration: Configuration, source: str | None) -> frozenset[str]:
    """The destinations that are the system which a study was imported from."""
    known = configuration.sources.get(source) if source else None
    if known is None:
        return frozenset()
    return frozenset(name for name, each in configuration.destinations.items() if same_system(known, name, each))


def _without_return(decided: Decision, configuration: Configuration, same: frozenset[str]) -> Decision:
    """The decision without what would only take the study back where it came from."""

    def returns(planned: PlannedDelivery) -> bool:
        pool = configuration.pools.get(planned.destination)
        return not planned.back and same.issuperset([planned.destination] if pool is None else pool.of)

    return replace(
        decided,
        deliveries=tuple(each for each in decided.deliveries if not returns(each)),
        held_back=tuple(each for each in decided.held_back if not returns(each)),
        not_back=tuple(each.destination for each in (*decided.deliveries, *decided.held_back) if returns(each)),
    )


def patients_of(facts: Facts) -> Patients:
    """Every patient that the study or one of its series names."""
    return frozenset(
        (patient, next(iter(each.get("IssuerOfPatientID", ())), ""))
        for each in (facts.study, *facts.series)
        for patient in each.get("PatientID", ())
    )


def case_of(
    configuration: Configuration, *, study_instance_uid: str, clinic: str | None, restrictions: Sequence[Restriction]
) -> Case:
    """What the kernel is told of a study."""
    known = configuration.clinics.get(clinic) if clinic else None
    return Case(
        study_instance_uid=study_instance_uid,
        clinic=clinic if known else None,
        region=known.region if known else None,
        regime=known.regime if known else None,
        time_zone=known.time_zone if known else "UTC",
        restrictions=tuple(restrictions),
    )


def recipient_of(name: str, destination: Destination, digest: str) -> Recipient:
    """What the kernel is told of a destination, by the configuration of that digest."""
    return Recipient(
        destination=name,
        configuration=digest,
        jurisdiction=destination.jurisdiction,
        assessment=destination.assessment,
        agreement=destination.agreement,
        purposes=tuple(each.value for each in destination.purposes),
        deidentifies=destination.deidentify is not None,
    )


def _deliveries(
    planned: Sequence[PlannedDelivery],
    configuration: Configuration,
    case: Case,
    patient: str,
    now: datetime,
    same: frozenset[str],
) -> tuple[JudgedDelivery, ...]:
    """Each judged; what a rule names itself outweighs what a pool chose, and no pool chooses one of `same`."""
    found: dict[str, JudgedDelivery] = {}
    for each in planned:
        pool = configuration.pools.get(each.destination)
        shares = (
            {} if pool is None else {name: share for name, share in pool.of.items() if each.back or name not in same}
        )
        verdicts = {
            name: judge(
                case,
                recipient_of(name, configuration.destinations[name], configuration.digest),
                each.purpose,
                now,
            )
            for name in ([each.destination] if pool is None else shares)
        }
        if pool is None:
            found[each.destination] = JudgedDelivery(planned=each, verdict=verdicts[each.destination])
            continue
        permitted = {name: share for name, share in shares.items() if isinstance(verdicts[name], Permit)}
        name = choose(permitted, patient) or choose(shares, patient)
        if name is not None and name not in found:
            chosen = replace(each, destination=name, pool=each.destination)
            found[name] = JudgedDelivery(planned=chosen, verdict=verdicts[name])
    return tuple(found.values())
