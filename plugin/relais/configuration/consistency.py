"""What is wrong with a section as a whole, where each part of it could be right: rules, pools and failover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from relais.domain.document import Problem, path_of
from relais.domain.lookalikes import appearance
from relais.domain.references import circles

POOL = "Pool"
MOVE = "DicomMove"
WEB = "DicomWeb"


def inconsistencies(section: object) -> Iterator[Problem]:
    """Every such problem, also where other parts of the section, as it was written, are wrong besides."""
    if not isinstance(section, Mapping):
        return
    yield from _repeated_rules(section.get("Rules"))
    yield from circles(section.get("Conditions"))
    given = section.get("Destinations")
    destinations = {
        name: each
        for name, each in (given.items() if isinstance(given, Mapping) else ())
        if isinstance(name, str) and isinstance(each, Mapping)
    }
    sources = section.get("Sources")
    sources = sources if isinstance(sources, Mapping) else {}
    for name, destination in destinations.items():
        if destination.get("Kind") == POOL:
            yield from _of_pool(name, destination.get("Of"), destinations)
        else:
            yield from _of_failover(name, destinations)
        if destination.get("Kind") == MOVE and _kind(sources, destination.get("Source")) == WEB:
            yield Problem(
                path_of(("Destinations", name, "Source")), "source-cannot-move", {"name": destination["Source"]}
            )
    for name, source in sources.items():
        same = source.get("SameAs") if isinstance(source, Mapping) else None
        if isinstance(same, str) and _kind(destinations, same) == POOL:
            yield Problem(path_of(("Sources", name, "SameAs")), "same-as-pool", {"name": same})


def _kind(part: Mapping[str, Any], name: object) -> object:
    each = part.get(name) if isinstance(name, str) else None
    return each.get("Kind") if isinstance(each, Mapping) else None


def _repeated_rules(rules: object) -> Iterator[Problem]:
    names: set[str] = set()
    seen: dict[str, str] = {}
    for index, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
        name = rule.get("Name") if isinstance(rule, Mapping) else None
        if isinstance(name, str):
            alike = seen.setdefault(appearance(name), name)
            if name in names:
                yield Problem(f"Rules[{index}].Name", "repeated-name", {"name": name})
            elif alike != name:
                yield Problem(f"Rules[{index}].Name", "look-alike-name", {"name": alike})
            names.add(name)


def _of_pool(name: str, members: object, destinations: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    if not isinstance(members, Mapping) or not members:
        return
    for member in members:
        if destinations.get(member, {}).get("Kind") == POOL:
            yield Problem(path_of(("Destinations", name, "Of", member)), "pool-in-pool", {"name": member})
    if all(type(weight) is int and weight == 0 for weight in members.values()):
        yield Problem(path_of(("Destinations", name, "Of")), "pool-without-weight")


def _of_failover(name: str, destinations: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    path = path_of(("Destinations", name, "FailoverTo"))
    way = [name]
    while isinstance(following := destinations[way[-1]].get("FailoverTo"), str) and following in destinations:
        if destinations[following].get("Kind") == POOL:
            if len(way) == 1:
                yield Problem(path, "failover-to-pool", {"name": following})
            return
        if following == name:
            code = "failover-to-itself" if len(way) == 1 else "failover-circle"
            yield Problem(path, code, {"way": " → ".join([*way, name])})
            return
        if following in way:  # a circle that this one only leads into
            return
        way.append(following)
