"""What about clinics is valid and still leads to a hold, or to a clinic that no study ever comes from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import combinations

from relais.domain.clinics import Clinic, Level, UnknownSender, patterns_of
from relais.domain.document import Problem, path_of
from relais.domain.globs import compile_glob
from relais.domain.words import fold

_LONGEST = 64
"""Longer patterns are compared as they stand: neither AE (PS3.5 section 6.2) nor LO has longer values."""
_WILD = ("*", "?")


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """One pattern of one clinic, as it is compared."""

    clinic: str
    index: int
    written: str
    level: Level
    meaning: str | IPv4Network | IPv6Network

    @property
    def path(self) -> str:
        return path_of(("Clinics", self.clinic, f"{self.level}s", self.index))


def clinic_warnings(clinics: Mapping[str, Clinic], unknown: UnknownSender | None = None) -> tuple[Problem, ...]:
    """Patterns by which several clinics claim the same study, and clinics that are never found; `Clinics[…]` paths."""
    claims = {level: list(_claims(clinics, level)) for level in Level}
    return (
        *(problem for level in Level for problem in _shared(claims[level])),
        *_never_found(clinics, claims, unknown.clinic if unknown else None),
    )


def _claims(clinics: Mapping[str, Clinic], level: Level) -> Iterator[_Claim]:
    for name, clinic in clinics.items():
        for index, written in enumerate(patterns_of(clinic, level)):
            meaning: str | IPv4Network | IPv6Network = written.strip()
            if level is Level.Network:
                meaning = ip_network(written)
            elif level is Level.InstitutionName:
                meaning = fold(written)
            yield _Claim(clinic=name, index=index, written=written, level=level, meaning=meaning)


def _shared(claims: list[_Claim]) -> Iterator[Problem]:
    """Each pair of patterns of two clinics that one value can satisfy, told at the later one."""
    for one, other in combinations(claims, 2):
        if one.clinic != other.clinic and _meet(one.meaning, other.meaning):
            values = {"pattern": other.written, "clinic": one.clinic, "other": one.written}
            yield Problem(other.path, "clinics-overlap", values)


def _never_found(
    clinics: Mapping[str, Clinic], claims: Mapping[Level, list[_Claim]], default: str | None
) -> Iterator[Problem]:
    """Clinics that nothing leads to: without a pattern, or only weaker ones than another's that takes every study."""
    takes_all: _Claim | None = None
    left = {name for name in clinics if name != default}
    for level in Level:
        left -= {each.clinic for each in claims[level]}
        takes_all = next((each for each in claims[level] if level is not Level.Network and each.meaning == "*"), None)
        if takes_all is not None:
            break
    for name in clinics:
        if name not in left:
            continue
        if takes_all is not None and any(patterns_of(clinics[name], level) for level in Level):
            values = {"clinic": takes_all.clinic, "pattern": takes_all.written}
            yield Problem(path_of(("Clinics", name)), "clinic-hidden", values)
        else:
            yield Problem(path_of(("Clinics", name)), "clinic-without-senders")


def _meet(one: str | IPv4Network | IPv6Network, other: str | IPv4Network | IPv6Network) -> bool:
    """Whether some value satisfies both."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other or globs_meet(one, other)
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    if isinstance(one, IPv6Network) and isinstance(other, IPv6Network):
        return one.overlaps(other)
    return False


def globs_meet(one: str, other: str) -> bool:
    """Whether some text is matched by both globs; of very long ones only the same text is known to be."""
    if max(len(one), len(other)) > _LONGEST:
        return one == other
    if not _wild(one):
        return bool(compile_glob(other)(one))
    if not _wild(other):
        return bool(compile_glob(one)(other))
    # The pairs of positions to which a common text can lead, as in the product of two automata.
    seen = {(0, 0)}
    ways = [(0, 0)]
    while ways:
        i, j = ways.pop()
        if i == len(one) and j == len(other):
            return True
        for following in _steps(one, other, i, j):
            if following not in seen:
                seen.add(following)
                ways.append(following)
    return False


def _steps(one: str, other: str, i: int, j: int) -> Iterator[tuple[int, int]]:
    mine, theirs = one[i : i + 1], other[j : j + 1]
    if mine == "*":
        yield i + 1, j
        if theirs:
            yield i, j + 1
    if theirs == "*":
        yield i, j + 1
        if mine:
            yield i + 1, j
    if mine and theirs and "*" not in (mine, theirs) and (mine == theirs or "?" in (mine, theirs)):
        yield i + 1, j + 1


def _wild(pattern: str) -> bool:
    return any(each in pattern for each in _WILD)
