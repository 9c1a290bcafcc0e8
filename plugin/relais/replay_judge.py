"""What two configurations would do with the same past studies, a page of them at a time.

A page is JSON: a list of `[study id, moment, patient, facts]`, as the database has them. The answer is JSON too:
`{"Changes": [[study id, kind, destination, before, after], …], "Tally": {…}}`. So it makes no difference whether the
page is judged here or in another process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from time import thread_time
from typing import Any

from relais.configuration import Configuration, load
from relais.domain.clinics import resolve_clinic
from relais.domain.comparison import Plan, Tally, Way, compare
from relais.domain.document import DocumentError
from relais.domain.facts import Facts, Origin
from relais.domain.residency import Refusal, Restriction
from relais.domain.routing import Explain
from relais.domain.senders import institutions_of
from relais.judgement import JudgedDelivery, judged, patients_of

UNASKED = frozenset({"Database", "ConfigurationSource", "Users", "Subscribers"})
"""Parts of the section that have no say in where a study goes."""
PLACEHOLDER = "bm90IGEgc2VjcmV0LCBidXQgYXMgbG9uZw=="
"""Stands where a configuration has a secret: nothing is sent, so none is needed."""

Answer = dict[str, Any]


def bare(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a section decides where studies go; nothing refers to a secret any more."""
    kept = {key: value for key, value in document.items() if key not in UNASKED}
    secretive = {key: _without_secrets(kept[key]) for key in ("Destinations", "Sources") if key in kept}
    return kept | secretive


def load_bare(document: Mapping[str, Any], directory: Path) -> Configuration:
    """The configuration of what of a section decides; whoever has it cannot send. Raises ConfigurationErrors."""
    return load(bare(document), directory=directory)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        if len(value) == 1 and next(iter(value)) in ("Env", "File"):
            return PLACEHOLDER
        return {key: _without_secrets(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return PLACEHOLDER if value == "***" else value


class Judge:
    """Compares two configurations; made once, asked page by page."""

    def __init__(self, before: Configuration, after: Configuration, restrictions: Iterable[Restriction] = ()) -> None:
        self._before = _Side(before)
        self._after = _Side(after)
        self._restrictions = Restrictions(restrictions)

    def page(self, text: str, pause: Callable[[float], None] = lambda _: None) -> Answer:
        """Judge every study of the page; `pause` is called after each with the processor seconds that it took."""
        changes: list[list[Any]] = []
        tally = Tally()
        for study_id, moment, patient, document in json.loads(text):
            began = thread_time()
            try:
                facts = Facts.from_json(document)
            except DocumentError:  # stored by a version that knew other facts
                tally.unreadable += 1
                continue
            now = datetime.fromisoformat(moment)
            restrictions = self._restrictions.of(facts)
            before = self._before.plan(facts, now, patient, restrictions)
            after = self._after.plan(facts, now, patient, restrictions)
            found = compare(before, after)
            tally.add(facts.origin.calling_aet, before, after, found)
            changes += [[study_id, each.kind, each.destination, each.before, each.after] for each in found]
            pause(thread_time() - began)
        return {"Changes": changes, "Tally": tally.to_json()}


class _Side:
    """One of the two configurations."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._clinic = lru_cache(maxsize=4096)(self._resolve)

    def plan(self, facts: Facts, now: datetime, patient: str, restrictions: Sequence[Restriction]) -> Plan:
        """What this configuration would do with the study at that moment; the clinic is found anew."""
        clinic, region, zone = self._clinic(facts.origin, institutions_of(facts))
        known = facts.model_copy(update={"clinic": clinic, "clinic_region": region, "time_zone": zone})
        found = judged(
            known,
            self._configuration,
            now,
            patient=patient,
            restrictions=restrictions,
            explain=Explain.Nothing,
        )
        return Plan(clinic=clinic, hold=found.decision.hold, ways=tuple(map(_way, found.deliveries)))

    def _resolve(self, origin: Origin, institutions: tuple[str, ...]) -> tuple[str | None, str | None, str]:
        clinics = self._configuration.clinics
        found = resolve_clinic(origin, institutions, clinics, self._configuration.unknown_sender).clinic
        clinic = clinics.get(found) if found else None
        return found, clinic.region if clinic else None, clinic.time_zone if clinic else "UTC"


def _way(each: JudgedDelivery) -> Way:
    return Way(
        destination=each.planned.destination,
        priority=each.planned.priority,
        purpose=each.planned.purpose,
        refused=each.verdict.reasons if isinstance(each.verdict, Refusal) else (),
    )


class Restrictions:
    """Finds those that may concern a study, out of many."""

    def __init__(self, restrictions: Iterable[Restriction]) -> None:
        self._found: dict[str, list[Restriction]] = {}
        for each in restrictions:
            self._found.setdefault(each.study_instance_uid or each.patient_id or "", []).append(each)

    def of(self, facts: Facts) -> list[Restriction]:
        """In no order; which of them do concern it is for the kernel to say."""
        if not self._found:
            return []
        names = {*facts.study.get("StudyInstanceUID", ()), *(patient for patient, _ in patients_of(facts))}
        return [restriction for name in names for restriction in self._found.get(name, ())]


def restriction_to_json(restriction: Restriction) -> dict[str, Any]:
    """The document that restriction_from_json reads."""
    moments = {"since": restriction.since.isoformat(), "until": restriction.until and restriction.until.isoformat()}
    return asdict(restriction) | moments


def restriction_from_json(document: Mapping[str, Any]) -> Restriction:
    """A restriction as another process was told of it."""
    until = document["until"]
    return Restriction(
        **{
            **document,
            "destinations": tuple(document["destinations"]),
            "regions": tuple(document["regions"]),
            "since": datetime.fromisoformat(document["since"]),
            "until": None if until is None else datetime.fromisoformat(until),
        }
    )
