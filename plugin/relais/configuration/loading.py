"""From the `Relais` section to a configuration, or to everything that is wrong with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relais.configuration.consistency import inconsistencies
from relais.configuration.destinations import Destination, Pool, Start
from relais.configuration.documents import digest_of, without_seat
from relais.configuration.models import (
    Completeness,
    Language,
    Section,
    Subscriber,
    User,
)
from relais.configuration.patients import Matching, PatientSource
from relais.configuration.secrets import HIDDEN, ReadingContext, without_secrets
from relais.configuration.sources import Prefetch, Source, Watch
from relais.configuration.worklist import Retriever, UnknownRetrievers, Worklist
from relais.domain.clinics import Clinic, UnknownSender
from relais.domain.document import DocumentError, Problem, parse
from relais.domain.rules import Otherwise, Rule
from relais.texts import word


class ConfigurationErrors(DocumentError):  # noqa: N818 - it is all of them
    """The section is refused; its text has every problem on a line of its own, in the section's language."""

    def __init__(self, problems: tuple[Problem, ...], language: str) -> None:
        super().__init__(problems)
        self.language = language

    def __str__(self) -> str:
        return "\n".join(word(problem, self.language) for problem in self.problems)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A valid section, ready to use.

    `document` is the section as written, without its secrets; `digest` tells versions apart: SHA-256 of the canonical
    JSON in which references to secrets stand as written and literal ones as their own digest, without Database and
    ConfigurationSource.
    """

    database: str = field(repr=False)  # with its password
    source: str  # File or Database: where the active configuration is
    language: Language
    users: Mapping[str, User]
    clinics: Mapping[str, Clinic]
    unknown_sender: UnknownSender | None
    sources: Mapping[str, Source]
    watches: Mapping[str, Watch]
    prefetch: Prefetch
    worklist: Worklist
    retrievers: Mapping[str, Retriever]
    unknown_retrievers: UnknownRetrievers
    destinations: Mapping[str, Destination]
    pools: Mapping[str, Pool]
    rules: tuple[Rule, ...]
    otherwise: Otherwise
    matching: Matching
    patient_folder: str | None
    patient_sources: Mapping[str, PatientSource]
    completeness: Completeness
    subscribers: Mapping[str, Subscriber]
    document: Mapping[str, Any]
    digest: str

    @property
    def streams(self) -> frozenset[str]:
        """The destinations that receive while a study still arrives."""
        return frozenset(name for name, each in self.destinations.items() if each.start is Start.WhileReceiving)


def load(section: object, *, directory: Path) -> Configuration:
    """The section as a configuration; raises ConfigurationErrors with every problem at once.

    `directory` is where the section's relative secret files are looked for, and where relais.db stands if the
    section names no database.
    """
    problems: list[Problem] = []
    try:
        parsed = parse(Section, section, _context(section, directory))
    except DocumentError as error:
        problems.extend(_worth_telling(error.problems))
    problems.extend(inconsistencies(section))
    if problems:
        raise ConfigurationErrors(tuple(problems), _language(section))
    return Configuration(
        database=parsed.database or f"sqlite:///{directory / 'relais.db'}",
        source=parsed.configuration_source,
        language=parsed.language,
        users=parsed.users,
        clinics=parsed.clinics,
        unknown_sender=parsed.unknown_sender,
        sources=parsed.sources,
        watches=parsed.watches,
        prefetch=parsed.prefetch,
        worklist=parsed.worklist,
        retrievers=parsed.retrievers,
        unknown_retrievers=parsed.unknown_retrievers,
        destinations={name: each for name, each in parsed.destinations.items() if not isinstance(each, Pool)},
        pools={name: each for name, each in parsed.destinations.items() if isinstance(each, Pool)},
        rules=parsed.rules,
        otherwise=parsed.otherwise,
        matching=parsed.matching,
        patient_folder=parsed.patient_folder,
        patient_sources=parsed.patient_sources,
        completeness=parsed.completeness,
        subscribers=parsed.subscribers,
        document=json.loads(json.dumps(without_secrets(section, parsed, lambda _: HIDDEN))),
        digest=digest_of(without_seat(without_secrets(section, parsed, _sha256))),
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _context(section: object, directory: Path) -> ReadingContext:
    return ReadingContext(
        destinations=_names(section, "Destinations"),
        clinics=_names(section, "Clinics"),
        sources=_names(section, "Sources"),
        sets=_part(section, "Sets"),
        conditions=_part(section, "Conditions"),
        directory=directory,
    )


def _names(section: object, key: str) -> frozenset[str]:
    """The names a part of the section defines, whether or not what they name is valid."""
    return frozenset(_part(section, key))


def _part(section: object, key: str) -> Mapping[str, object]:
    part = section.get(key) if isinstance(section, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _worth_telling(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Without what follows from a wrong Kind, whose options would be others, or from a wrong set or condition."""
    problems = [problem for problem in problems if problem.code != "refers-to-fault"]
    owners = [problem.path.removesuffix("Kind") for problem in problems if problem.path.endswith(".Kind")]
    for problem in problems:
        if problem.path.endswith(".Kind") or not problem.path.startswith(tuple(owners)):
            yield problem


def _language(section: object) -> str:
    given = section.get("Language") if isinstance(section, Mapping) else None
    return Language.English if given == Language.English else Language.French
