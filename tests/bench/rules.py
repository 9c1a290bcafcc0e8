"""The rules: what one decision takes, with all that production stores of it, and what it takes to read many rules."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

from relais.domain.document import References, parse
from relais.domain.facts import Facts
from relais.domain.routing import Decision, Explain, decide
from relais.domain.rules import Otherwise, Rule
from tests.bench.figures import Figure, Target, number
from tests.bench.scale import Scale

RULES = 200
NOW = datetime(2026, 4, 6, 16, 0, tzinfo=UTC)
OTHERWISE = Otherwise(hold="no rule matched")
REFERENCES = References(
    sets={"dental": ["IO", "PX", "DX"]},
    conditions={"adult": {"Field": "PatientAge", "AtLeast": "018Y"}},
)
FACTS = Facts(
    study={"PatientAge": ("045Y",), "StudyDate": ("20260401",), "StudyDescription": ("Panoramique d'été",)},
    series=(
        {"Modality": ("PX",), "SeriesNumber": ("1",), "InstitutionName": ("Clinique 7",)},
        {"Modality": ("IO",), "SeriesNumber": ("2",), "InstitutionName": ("Clinique 7",)},
    ),
    clinic="clinic-7",
    time_zone="America/Toronto",
)


def run(scale: Scale) -> list[Figure]:
    """One study and 200 rules of five conditions, most of which fail at the third."""
    rules = rules_of(RULES)
    rounds = scale.of(300)
    samples: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            samples[name].append(_milliseconds(partial(way, rules)))
    return [
        *(
            Figure(
                name=f"One study, {RULES} rules of five conditions: {name}",
                unit="ms",
                samples=taken,
                target=Target(value=1, at_most=True),
                beside=f"{number(len(json.dumps(WAYS[name](rules).to_json())) / 1000)} KB of reasons",
            )
            for name, taken in samples.items()
        ),
        Figure(
            name="500 rules of five conditions read",
            unit="s",
            samples=[_milliseconds(lambda: rules_of(500)) / 1000 for _ in range(scale.pairs)],
            target=Target(value=0.5, at_most=True),
        ),
    ]


def _bare(rules: list[Rule]) -> Decision:
    return decide(FACTS, rules, OTHERWISE, NOW, explain=Explain.Nothing)


def _stored(rules: list[Rule]) -> Decision:
    decided = decide(FACTS, rules, OTHERWISE, NOW)
    json.dumps(decided.to_json())
    return decided


WAYS: dict[str, Callable[[list[Rule]], Decision]] = {
    "decided without reasons, as in a replay": _bare,
    "decided, with the reasons that are stored, as JSON": _stored,
}


def rules_of(count: int) -> list[Rule]:
    """Rules of a network of clinics, of which one in fifty holds."""
    return [parse(Rule, rule_document(index), REFERENCES) for index in range(count)]


def rule_document(index: int) -> dict[str, Any]:
    """One of them, as a section has it."""
    questions: list[dict[str, Any]] = [
        {"Field": "Modality", "InSet": "dental"},
        {"Condition": "adult"},
        {"Field": "InstitutionName", "Matches": f"Clinique {index % 50}*"},
        {"Field": "StudyDescription", "Contains": "panoramique", "IgnoreCase": True},
        {"Field": "StudyDate", "AtLeast": f"2026-0{1 + index % 3}-01"},
    ]
    return {"Name": f"rule {index}", "When": {"All": questions}, "DeliverTo": [f"archive-{index % 20}"]}


def _milliseconds(act: Callable[[], object]) -> float:
    began = perf_counter()
    act()
    return (perf_counter() - began) * 1000
