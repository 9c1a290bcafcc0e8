"""What a version of the configuration is, and everything there is to say of one before it becomes active."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from relais.configuration import Configuration, ConfigurationErrors, Language, load
from relais.configuration.documents import digest_of, literal_secrets, own
from relais.configuration.secrets import HIDDEN
from relais.configuration.warnings import warnings
from relais.domain.document import DocumentError, Problem
from relais.domain.examples import ExampleOutcome, run_examples
from relais.domain.states import VersionState

FROM_FILE = "File"


@dataclass(frozen=True, kw_only=True)
class Seat:
    """What the file alone says, whichever version is active.

    `directory` is where secret files are looked for, `source` says which of the two is the source, and `section` is the
    file's section as it is written.
    """

    directory: Path
    source: str
    database: str = field(repr=False)
    section: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, section: object, *, directory: Path) -> Seat:
        """The seat that a file's section describes; raises ConfigurationErrors with everything that is wrong with it.

        Where the database is the source, the rest of the section counts only as a seed, and is not looked at.
        """
        given = section if isinstance(section, Mapping) else {}
        if given.get("ConfigurationSource", FROM_FILE) == FROM_FILE:
            configuration = load(section, directory=directory)
            return cls(directory=directory, source=FROM_FILE, database=configuration.database, section=given)
        alone = {key: given[key] for key in ("Database", "ConfigurationSource") if key in given}
        configuration = load(alone, directory=directory)
        return cls(directory=directory, source="Database", database=configuration.database, section=given)

    @property
    def language(self) -> str:
        """The language in which the file's owner is spoken to."""
        given = self.section.get("Language")
        return Language.English if given == Language.English else Language.French

    def whole(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with what the file alone says; its hidden secrets are the file's, where that is the source."""
        whole = dict(document)
        if self.source == FROM_FILE:
            whole = _revealed(document, self.section)
        return {**whole, "Database": self.database, "ConfigurationSource": self.source}


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version. `document` is the section without Database and ConfigurationSource; `editors` wrote it."""

    number: int
    document: Mapping[str, Any] = field(repr=False)
    digest: str
    based_on: int | None
    state: VersionState
    author: str
    editors: tuple[str, ...]
    comment: str
    created_at: datetime
    changed_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    approval_comment: str | None
    activate_at: datetime | None
    activated_at: datetime | None
    activated_by: str | None

    @classmethod
    def of(cls, row: Row[Any]) -> Version:
        """The version that a row of the table holds; what was edited by hand into nonsense is none that can be used."""
        found = {each.name: getattr(row, each.name) for each in fields(cls)}
        document = found["document"] if isinstance(found["document"], dict) else {}
        state = found["state"] if found["state"] in set(VersionState) else VersionState.Discarded
        editors = tuple(map(str, found["editors"]))
        return cls(**{**found, "document": document, "editors": editors, "state": VersionState(state)})


@dataclass(frozen=True)
class Check:
    """Everything there is to say of a document; `configuration` is there if nothing is wrong with it."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    examples: tuple[ExampleOutcome, ...]
    configuration: Configuration | None


def check(document: object, seat: Seat, now: datetime) -> Check:
    """Every problem at once; without any, the warnings and what came of the rules' examples."""
    try:
        kept = own(document)
    except DocumentError as error:
        return Check(error.problems, (), (), None)
    secrets = {
        problem.path: problem
        for problem in literal_secrets(kept)
        if not (seat.source == FROM_FILE and problem.values.get("hidden"))
    }
    found: tuple[Problem, ...] = ()
    configuration = None
    try:
        configuration = load(seat.whole(kept), directory=seat.directory)
    except ConfigurationErrors as errors:
        found = tuple(problem for problem in errors.problems if problem.path not in secrets)
    if configuration is None or secrets:
        return Check((*secrets.values(), *found), (), (), None)
    examples = run_examples(
        configuration.rules,
        configuration.otherwise,
        now,
        clinics=configuration.clinics,
        unknown=configuration.unknown_sender,
    )
    return Check((), warnings(configuration, now), examples, configuration)


def load_stored(seat: Seat, version: Version | None) -> Configuration:
    """The configuration of a stored version, or of the file; raises ConfigurationErrors.

    A document that does not have the digest it was stored with was edited by hand: it is refused, nothing is guessed.
    """
    if version is None:
        return load(seat.section, directory=seat.directory)
    if digest_of(version.document) != version.digest:
        raise ConfigurationErrors((Problem("", "version-edited", {"number": version.number}),), seat.language)
    return load(seat.whole(version.document), directory=seat.directory)


def _revealed(document: Any, section: Any) -> Any:
    """The document with the section's text wherever it only says that there is a secret."""
    if document == HIDDEN and isinstance(section, str):
        return section
    if isinstance(document, Mapping):
        inside = section if isinstance(section, Mapping) else {}
        return {key: _revealed(value, inside.get(key)) for key, value in document.items()}
    return document
