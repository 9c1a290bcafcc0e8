"""What differs between two documents of the configuration, and whether it touches where images may go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from relais.domain.document import Problem, path_of

HOME = "CA-QC"
"""Inside it, no assessment is asked for (P-39.1 section 17; R-22.1 section 70.1)."""
LONGEST = 200
"""Characters of a value in a sentence."""

Path = tuple[str | int, ...]


class Change(StrEnum):
    """How one place differs."""

    Added = "Added"
    Removed = "Removed"
    Changed = "Changed"
    Moved = "Moved"  # the same rule stands at another place among those that both documents have


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One place that differs. `before` and `after` are JSON values; of a rule that moved, its places counted from 1."""

    path: str
    change: Change
    before: Any = None
    after: Any = None

    def to_problem(self) -> Problem:
        """As a line that `relais.texts` words."""
        values = {"before": _short(self.before), "after": _short(self.after)}
        return Problem(self.path, f"difference-{self.change.lower()}", values)

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"Path": self.path, "Change": self.change.value, "Before": self.before, "After": self.after}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Every place that differs, in the order of the documents; rules are told apart by their Name."""
    return tuple(_of_objects(before, after, ()))


def touches_residency(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the change bears on where images may go, so that a second person looks at it.

    That is: a label of a destination or the place it was given for; who may fetch from us; a clinic's region or
    regime; what reaches a destination outside Quebec; a rule's purpose; who may approve; and whether approval is asked
    for.
    """
    if any(read(before) != read(after) for read in _READ):
        return True
    outside = {name for document in (before, after) for name in _outside(document)}
    return _reaching(before, outside) != _reaching(after, outside)


def _of_objects(before: Mapping[str, Any], after: Mapping[str, Any], path: Path) -> Iterator[Difference]:
    for key in dict.fromkeys((*before, *after)):
        place = (*path, key)
        if key not in after:
            yield Difference(path=path_of(place), change=Change.Removed, before=before[key])
        elif key not in before:
            yield Difference(path=path_of(place), change=Change.Added, after=after[key])
        else:
            yield from _of_values(before[key], after[key], place)


def _of_values(before: Any, after: Any, path: Path) -> Iterator[Difference]:
    if _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_objects(before, after, path)
    elif path == ("Rules",) and _are_named(before) and _are_named(after):
        yield from _of_rules(before, after)
    else:
        yield Difference(path=path_of(path), change=Change.Changed, before=before, after=after)


def _of_rules(before: Sequence[Any], after: Sequence[Any]) -> Iterator[Difference]:
    """Rules by name. What moved is the least that explains the new order."""
    old = {rule["Name"]: rule for rule in before}
    new = {rule["Name"]: rule for rule in after}
    for name, rule in old.items():
        if name not in new:
            yield Difference(path=path_of(("Rules", name)), change=Change.Removed, before=rule)
    common = [name for name in old if name in new]
    order = [name for name in new if name in old]
    stayed = set(_longest_rising([common.index(name) for name in order]))
    for place, (name, rule) in enumerate(new.items(), start=1):
        path = ("Rules", name)
        if name not in old:
            yield Difference(path=path_of(path), change=Change.Added, after=rule)
            continue
        if common.index(name) not in stayed:
            was = list(old).index(name) + 1
            yield Difference(path=path_of(path), change=Change.Moved, before=was, after=place)
        yield from _of_values(old[name], rule, path)


def _longest_rising(numbers: Sequence[int]) -> list[int]:
    """The longest rising subsequence, by patience sorting."""
    tops: list[int] = []  # the place in `numbers` of each pile's top
    below: list[int] = []
    for place, number in enumerate(numbers):
        low, high = 0, len(tops)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if numbers[tops[middle]] < number else (low, middle)
        below.append(tops[low - 1] if low else -1)
        tops[low:] = [place, *tops[low + 1 :]]
    found: list[int] = []
    place = tops[-1] if tops else -1
    while place >= 0:
        found.append(numbers[place])
        place = below[place]
    return found[::-1]


def _are_named(rules: Any) -> bool:
    if not isinstance(rules, list | tuple):
        return False
    names = [rule.get("Name") if isinstance(rule, Mapping) else None for rule in rules]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _same(before: Any, after: Any) -> bool:
    """Equal as JSON: true is not 1, and the order of keys does not count."""
    return bool(before == after) and json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


_LABELS = ("Jurisdiction", "Assessment", "Agreement", "Purposes", "Deidentify")
_PLACE = ("Kind", "Host", "Url", "Endpoint", "Source")
"""Where a destination is: its label was given for that place."""
_APPROVERS = frozenset({"Administrator", "PrivacyOfficer"})


def _named(document: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
    part = document.get(key)
    return {name: each for name, each in part.items() if isinstance(each, Mapping)} if isinstance(part, Mapping) else {}


def _some(owner: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: owner[key] for key in keys if key in owner}


def _labels(document: Mapping[str, Any]) -> object:
    """Each destination that has a label, with it and its place."""
    return {
        name: (label, _some(each, _PLACE))
        for name, each in _named(document, "Destinations").items()
        if (label := _some(each, _LABELS))
    }


def _clinics(document: Mapping[str, Any]) -> object:
    return {
        name: found
        for name, each in _named(document, "Clinics").items()
        if (found := {**_some(each, ("Region", "Regime")), **_some(_defaults(each), ("Purpose",))})
    }


def _defaults(clinic: Mapping[str, Any]) -> Mapping[str, Any]:
    given = clinic.get("Defaults")
    return given if isinstance(given, Mapping) else {}


def _senders(document: Mapping[str, Any]) -> object:
    """How clinics are known, where that decides which regime holds."""
    clinics = _named(document, "Clinics")
    if len({str(each.get("Regime")) for each in clinics.values()}) <= 1:
        return None
    return {
        name: _some(each, ("CalledAets", "CallingAets", "Networks", "InstitutionNames"))
        for name, each in clinics.items()
    }


def _purposes(document: Mapping[str, Any]) -> object:
    return sorted({str(rule["Purpose"]) for rule in _rules(document) if rule.get("Purpose", "Care") != "Care"})


def _approvers(document: Mapping[str, Any]) -> object:
    found = {}
    for name, user in _named(document, "Users").items():
        roles = user.get("Roles")
        if isinstance(roles, list | tuple) and (able := sorted(_APPROVERS.intersection(map(str, roles)))):
            found[name] = able
    return found


_READ: tuple[Callable[[Mapping[str, Any]], object], ...] = (
    _labels,
    _clinics,
    _purposes,
    _approvers,
    _senders,
    lambda document: document.get("Retrievers"),
    lambda document: document.get("UnknownRetrievers"),
    lambda document: document.get("UnknownSender"),
    lambda document: document.get("Approval"),
)


def _rules(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rules = document.get("Rules")
    return [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list | tuple) else []


def _outside(document: Mapping[str, Any]) -> set[str]:
    """Destinations whose label says that images leave Quebec; without a label nothing is sent at all."""
    found = set()
    for name, each in _named(document, "Destinations").items():
        label = each.get("Jurisdiction")
        if isinstance(label, Mapping):
            access = label.get("Access")
            regions = [label.get("Storage"), *(access if isinstance(access, list | tuple) else ())]
            if any(region != HOME for region in regions):
                found.add(name)
    return found


def _reaching(document: Mapping[str, Any], outside: set[str]) -> object:
    """Whatever leads to one of these destinations: rules, Otherwise, pools and failover."""
    destinations = _named(document, "Destinations")
    leading = {name: way for name, each in destinations.items() if (way := _ways(each))}
    reaching, grown = set(outside), True
    while grown:
        more = {name for name, way in leading.items() if reaching.intersection(way)} - reaching
        reaching |= more
        grown = bool(more)
    rules = [
        {key: value for key, value in rule.items() if key not in ("Name", "Examples")}
        for rule in _rules(document)
        if reaching.intersection(_texts(rule.get("DeliverTo")))
    ]
    fates = {"": document, **{name: _defaults(each) for name, each in _named(document, "Clinics").items()}}
    last = {
        name: otherwise
        for name, fate in fates.items()
        if isinstance(otherwise := fate.get("Otherwise"), Mapping)
        and reaching.intersection(_texts(otherwise.get("DeliverTo")))
    }
    words = _some(document, ("Sets", "Conditions")) if rules else {}
    return rules, last, words, {name: leading[name] for name in reaching if name in leading}


def _ways(destination: Mapping[str, Any]) -> tuple[str, ...]:
    members = destination.get("Of")
    following = destination.get("FailoverTo")
    return (
        *(str(name) for name in (members if isinstance(members, Mapping) else ())),
        *([following] if isinstance(following, str) else ()),
    )


def _texts(names: object) -> list[str]:
    return [name for name in names if isinstance(name, str)] if isinstance(names, list | tuple) else []
