"""Clinics, and which one a study comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from relais.domain.document import Document, Region, Text, fault
from relais.domain.facts import Origin, TimeZone
from relais.domain.globs import compile_glob
from relais.domain.words import fold


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise fault("bad-network", name=text) from None


Network = Annotated[str, AfterValidator(_network)]


class Clinic(Document):
    """A place where images are made, and how to know that a study comes from there."""

    name: Text | None = Field(
        default=None, description="What people call it; its key if not given.", examples=["Outremont"]
    )
    time_zone: TimeZone = Field(default="UTC", description="Its IANA time zone.", examples=["America/Toronto"])
    region: Region | None = Field(default=None, description="Its region, ISO 3166-2.", examples=["CA-QC"])
    called_aets: tuple[Text, ...] = Field(
        default=(),
        description="AE titles its machines call, as globs; case counts.",
        examples=[["OUTREMONT"]],
    )
    calling_aets: tuple[Text, ...] = Field(
        default=(), description="AE titles of its machines, as globs; case counts.", examples=[["CS8100*"]]
    )
    networks: tuple[Network, ...] = Field(
        default=(), description="Its networks.", examples=[["10.1.0.0/16", "fd00::/8"]]
    )
    institution_names: tuple[Text, ...] = Field(
        default=(),
        description="InstitutionName in its images, as globs; neither case nor accents count.",
        examples=[["Outremont*"]],
    )


class Level(StrEnum):
    """What a clinic is known by, strongest first."""

    CalledAet = "CalledAet"
    CallingAet = "CallingAet"
    Network = "Network"
    InstitutionName = "InstitutionName"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One pattern of one clinic that a value satisfied."""

    clinic: str
    pattern: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The clinic, or None, and why: the level that decided and what was found there.

    Evidence for several clinics at one level is ambiguous: no clinic, and weaker levels are not asked.
    """

    clinic: str | None = None
    level: Level | None = None
    evidence: tuple[Evidence, ...] = ()

    @property
    def ambiguous(self) -> bool:
        """Whether several clinics claim the study."""
        return self.clinic is None and bool(self.evidence)


def resolve_clinic(origin: Origin, institution_names: Iterable[str], clinics: Mapping[str, Clinic]) -> Resolution:
    """The clinic a study comes from, by the strongest level at which any clinic knows it."""
    seen: dict[Level, Iterable[str | None]] = {
        Level.CalledAet: (origin.called_aet,),
        Level.CallingAet: (origin.calling_aet,),
        Level.Network: (origin.remote_ip,),
        Level.InstitutionName: tuple(institution_names),
    }
    for level in Level:
        values = [text for value in seen[level] if value and (text := value.strip(" \0"))]
        evidence = tuple(
            Evidence(clinic=name, pattern=pattern, value=value)
            for name, clinic in clinics.items()
            for pattern in _patterns(clinic, level)
            for value in values
            if _test(level, pattern)(value)
        )
        found = {item.clinic for item in evidence}
        if found:
            return Resolution(clinic=found.pop() if len(found) == 1 else None, level=level, evidence=evidence)
    return Resolution()


def _patterns(clinic: Clinic, level: Level) -> tuple[str, ...]:
    return {
        Level.CalledAet: clinic.called_aets,
        Level.CallingAet: clinic.calling_aets,
        Level.Network: clinic.networks,
        Level.InstitutionName: clinic.institution_names,
    }[level]


@lru_cache(maxsize=4096)
def _test(level: Level, pattern: str) -> Callable[[str], object]:
    if level is Level.Network:
        network = ip_network(pattern)

        def inside(value: str) -> bool:
            try:
                address = ip_address(value)
            except ValueError:
                return False
            mapped = getattr(address, "ipv4_mapped", None)
            return (mapped or address) in network

        return inside
    if level is Level.InstitutionName:
        folded = compile_glob(fold(pattern.strip()))
        return lambda value: folded(fold(value))
    return compile_glob(pattern.strip())
