"""Clinics, and which one a study comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from relais.domain.document import Document, OneOf, Region, Text, check_clinic, fault
from relais.domain.facts import Origin, TimeZone
from relais.domain.globs import compile_glob
from relais.domain.labels import Purpose, Regime
from relais.domain.priority import Priority
from relais.domain.rules import Otherwise
from relais.domain.words import fold

SEVERAL = "several clinics claim the study"
"""Why a study is held that several clinics claim: whoever would get it, some of its readers could be the wrong ones."""
LONGEST_QUIET = 86_400


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise fault("bad-network", name=text) from None


def _seconds(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault("not-number")
    if not 0 <= value <= LONGEST_QUIET:
        raise fault("out-of-range", low=0, high=LONGEST_QUIET)
    return float(value)


Network = Annotated[str, AfterValidator(_network)]
ClinicName = Annotated[str, AfterValidator(check_clinic)]


def _clinic_or_all(name: str, info: ValidationInfo) -> str:
    return name if name == "*" else check_clinic(name, info)


ClinicOrAll = Annotated[str, AfterValidator(_clinic_or_all)]


class Defaults(Document):
    """What holds for a clinic's studies where nobody says otherwise."""

    priority: Annotated[Priority, OneOf(Priority)] | None = Field(
        default=None,
        description="How urgent its deliveries are, where the rules that ask for them do not say.",
        examples=["Urgent"],
    )
    purpose: Annotated[Purpose, OneOf(Purpose)] | None = Field(
        default=None, description="Why its images are sent, where the rules do not say.", examples=["Care"]
    )
    otherwise: Otherwise | None = Field(
        default=None,
        description="What becomes of its studies for which no rule holds; that of the section if not given.",
        examples=[{"DeliverTo": ["vna-qc"]}],
    )
    quiet_seconds: Annotated[float, BeforeValidator(_seconds)] | None = Field(
        default=None,
        description="How long its studies must be quiet to be complete, whatever their modality.",
        examples=[120],
        json_schema_extra={"minimum": 0, "maximum": LONGEST_QUIET},
    )

    @property
    def quiet(self) -> timedelta | None:
        """How long its studies must be quiet, where the clinic says so itself."""
        return None if self.quiet_seconds is None else timedelta(seconds=self.quiet_seconds)


class Clinic(Document):
    """A place where images are made, and how to know that a study comes from there."""

    name: Text | None = Field(
        default=None, description="What people call it; its key if not given.", examples=["Outremont"]
    )
    time_zone: TimeZone = Field(default="UTC", description="Its IANA time zone.", examples=["America/Toronto"])
    region: Region | None = Field(default=None, description="Its region, ISO 3166-2.", examples=["CA-QC"])
    regime: Annotated[Regime, OneOf(Regime)] | None = Field(
        default=None,
        description="The law that its studies stand under: P-39.1 (private sector) or R-22.1 (health and social "
        "services); both if not given.",
        examples=["R-22.1"],
    )
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
    sees_patients_of: tuple[ClinicOrAll, ...] = Field(
        default=(),
        description="The clinics among whose patients its studies are matched too; * is all of them.",
        examples=[["laval"]],
    )
    defaults: Defaults = Field(
        default=Defaults(),
        description="What holds for its studies where nobody says otherwise.",
        examples=[{"Priority": "Urgent"}],
    )


class UnknownSender(Document):
    """What becomes of a study that no clinic claims: it waits, or it is a clinic's.

    Without this, the rules decide, and the study has no clinic: only people of all clinics see it, and the law judges
    it by the stricter of both regimes. That is the safest but for a hold: nobody is shown a stranger's images.
    """

    hold: Text | None = Field(
        default=None, description="The reason why it waits for a person.", examples=["unknown sender"]
    )
    clinic: ClinicName | None = Field(
        default=None, description="The clinic that it is then taken to come from.", examples=["outremont"]
    )

    @model_validator(mode="after")
    def _one_way(self) -> UnknownSender:
        if (self.hold is None) is (self.clinic is None):
            raise fault("not-one-fate")
        return self


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

    Evidence for several clinics at one level is ambiguous: no clinic, a hold, and weaker levels are not asked.
    `by_default` tells that no clinic knew the study and UnknownSender names this one; `hold` is the reason why it must
    wait; `source` is where it was imported from, if that source's imports belong to this clinic.
    """

    clinic: str | None = None
    level: Level | None = None
    evidence: tuple[Evidence, ...] = ()
    by_default: bool = False
    hold: str | None = None
    source: str | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether several clinics claim the study."""
        return self.clinic is None and bool(self.evidence)


def resolve_clinic(
    origin: Origin,
    institution_names: Iterable[str],
    clinics: Mapping[str, Clinic],
    unknown: UnknownSender | None = None,
) -> Resolution:
    """The clinic a study comes from, by the strongest level at which any clinic knows it; else as `unknown` says."""
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
            for pattern in patterns_of(clinic, level)
            for value in values
            if _test(level, pattern)(value)
        )
        found = {item.clinic for item in evidence}
        if found:
            if len(found) > 1:
                return Resolution(level=level, evidence=evidence, hold=SEVERAL)
            return Resolution(clinic=found.pop(), level=level, evidence=evidence)
    if unknown is None:
        return Resolution()
    return Resolution(clinic=unknown.clinic, by_default=unknown.clinic is not None, hold=unknown.hold)


def patterns_of(clinic: Clinic, level: Level) -> tuple[str, ...]:
    """What the clinic is known by at this level."""
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
