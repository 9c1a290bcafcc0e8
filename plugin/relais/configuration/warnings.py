"""What is valid and still deserves a second look before it becomes active."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from relais.configuration.destinations import Destination
from relais.configuration.loading import Configuration
from relais.configuration.worklist import Retriever
from relais.domain.clinic_warnings import clinic_warnings
from relais.domain.document import Problem, path_of
from relais.domain.implication import Tree, contradiction, implies, tree_of
from relais.domain.residency import Case, Permit, Recipient, judge
from relais.domain.rules import Rule

SOON = 90
"""Days before an assessment or an agreement expires from which on that is told."""
MOST = 100
"""So many rules that say Stop are compared with each rule below them, the nearest ones."""


def warnings(configuration: Configuration, now: datetime) -> tuple[Problem, ...]:
    """Every warning at the instant `now` (aware), in the order of the document's parts."""
    return (
        *clinic_warnings(configuration.clinics, configuration.unknown_sender),
        *_of_destinations(configuration, now),
        *_of_retrievers(configuration, now),
        *_of_names(configuration),
        *_of_rules(configuration, now),
    )


def _of_destinations(configuration: Configuration, now: datetime) -> Iterator[Problem]:
    reached = _reached(configuration)
    for name in (*configuration.destinations, *configuration.pools):
        if name not in reached:
            yield Problem(path_of(("Destinations", name)), "destination-unreached")
    for name, destination in configuration.destinations.items():
        yield from _expiring("Destinations", name, destination, now)
        if not _may_receive(name, destination, configuration, now):
            yield Problem(path_of(("Destinations", name)), "destination-refused")


def _of_retrievers(configuration: Configuration, now: datetime) -> Iterator[Problem]:
    for name, retriever in configuration.retrievers.items():
        yield from _expiring("Retrievers", name, retriever, now)


def _reached(configuration: Configuration) -> set[str]:
    """Every name that an enabled rule, an Otherwise, a pool or failover leads to."""
    waiting = [name for rule in configuration.rules if rule.enabled for name in rule.deliver_to]
    fates = [configuration.otherwise, *(clinic.defaults.otherwise for clinic in configuration.clinics.values())]
    waiting.extend(name for fate in fates if fate is not None for name in fate.deliver_to)
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        if name in configuration.pools:
            waiting.extend(configuration.pools[name].of)
        elif (following := configuration.destinations[name].failover_to) is not None:
            waiting.append(following)
    return reached


def _expiring(part: str, name: str, labelled: Destination | Retriever, now: datetime) -> Iterator[Problem]:
    for key, label in (("Assessment", labelled.assessment), ("Agreement", labelled.agreement)):
        if label is None:
            continue
        days = (label.expires - now.date()).days
        path, date = path_of((part, name, key, "Expires")), label.expires.isoformat()
        if days <= 0:
            yield Problem(path, "expired", {"date": date})
        elif days <= SOON:
            yield Problem(path, "expires-soon", {"date": date, "days": days})


def _may_receive(name: str, destination: Destination, configuration: Configuration, now: datetime) -> bool:
    """Whether there is a clinic, or a study without one, that the law lets be sent there for one of its purposes."""
    recipient = Recipient(
        destination=name,
        configuration=configuration.digest,
        jurisdiction=destination.jurisdiction,
        assessment=destination.assessment,
        agreement=destination.agreement,
        purposes=tuple(each.value for each in destination.purposes),
        deidentifies=destination.deidentify is not None,
    )
    cases = [
        Case(clinic=key, region=each.region, regime=each.regime, time_zone=each.time_zone)
        for key, each in configuration.clinics.items()
    ]
    return any(
        isinstance(judge(case, recipient, purpose, now), Permit)
        for case in cases or [Case()]
        for purpose in recipient.purposes
    )


def _of_names(configuration: Configuration) -> Iterator[Problem]:
    """Sets and conditions that nobody asks for."""
    document = configuration.document
    conditions = document.get("Conditions", {})
    whens = [rule["When"] for rule in document.get("Rules", ()) if rule.get("When") is not None]
    sets: set[str] = set()
    asked: set[str] = set()
    for each in whens:
        _names(each, conditions, sets, asked)
    for name in document.get("Sets", {}):
        if name not in sets:
            yield Problem(path_of(("Sets", name)), "set-unused")
    for name in conditions:
        if name not in asked:
            yield Problem(path_of(("Conditions", name)), "condition-unused")


def _names(condition: Mapping[str, Any], conditions: Mapping[str, Any], sets: set[str], asked: set[str]) -> None:
    """Gather the names that a condition asks for, and those that these ask for."""
    if isinstance(name := condition.get("InSet"), str):
        sets.add(name)
    if isinstance(name := condition.get("Condition"), str) and name not in asked:
        asked.add(name)
        _names(conditions[name], conditions, sets, asked)
    for group in ("All", "Any", "None", "SeriesWhere"):
        for inside in condition.get(group) or ():
            _names(inside, conditions, sets, asked)


def _of_rules(configuration: Configuration, now: datetime) -> Iterator[Problem]:
    document = configuration.document
    sets, conditions = document.get("Sets", {}), document.get("Conditions", {})
    stops: list[tuple[Rule, Tree | None]] = []
    yesterday = now.date() - timedelta(days=1)  # somewhere it is still that day
    for index, (rule, written) in enumerate(zip(configuration.rules, document.get("Rules", ()), strict=True)):
        if not rule.enabled:
            continue
        when = written.get("When")
        tree = None if when is None else tree_of(when, sets, conditions)
        if rule.valid_until is not None and rule.valid_until < yesterday:
            path = path_of(("Rules", index, "ValidUntil"))
            yield Problem(path, "rule-over", {"date": rule.valid_until.isoformat()})
        if tree is not None and (found := contradiction(tree)):
            first, second = map(str, found)
            yield Problem(path_of(("Rules", index, "When")), "rule-never-holds", {"first": first, "second": second})
        elif above := next((each for each, its in reversed(stops[-MOST:]) if _shadows(each, its, rule, tree)), None):
            yield Problem(path_of(("Rules", index)), "rule-shadowed", {"name": above.name})
        if rule.stop:
            stops.append((rule, tree))


def _shadows(above: Rule, its: Tree | None, rule: Rule, tree: Tree | None) -> bool:
    """Whether the rule above is asked on every day on which the other is, and holds whenever that does."""
    begins = above.valid_from is None or (rule.valid_from is not None and above.valid_from <= rule.valid_from)
    ends = above.valid_until is None or (rule.valid_until is not None and above.valid_until >= rule.valid_until)
    return begins and ends and implies(tree, its)
