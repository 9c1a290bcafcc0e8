"""What the API answers about versions of the configuration."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from relais.configuration.differences import Change
from relais.domain.states import VersionState
from relais.web.answers import Answer


class ConfigurationAnswer(Answer):
    """The active version."""

    version: int
    digest: str = Field(description="SHA-256 of the document's canonical JSON.")
    source: str = Field(description="File or Database: where it is changed.")
    document: dict[str, Any]


class VersionAnswer(Answer):
    """One version of the configuration, without its document."""

    number: int
    state: VersionState
    digest: str = Field(description="SHA-256 of the document's canonical JSON.")
    based_on: int | None = Field(description="The version that its author changed.")
    author: str = Field(
        description="Who began it; `relais:file` or `relais:seed` where it came from Orthanc's configuration file."
    )
    editors: list[str] = Field(description="Everybody who wrote on it.")
    comment: str
    created_at: datetime
    changed_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    approval_comment: str | None
    activate_at: datetime | None = Field(description="When it is to become active, while it is scheduled.")
    activated_at: datetime | None
    activated_by: str | None


class VersionDetail(VersionAnswer):
    """One version of the configuration, whole."""

    document: dict[str, Any]
    needs_approval: bool = Field(description="Whether the active version asks for a second person's approval of it.")


class RemarkAnswer(Answer):
    """One problem or warning."""

    path: str
    code: str
    message: str


class FateAnswer(Answer):
    """What becomes of a study."""

    deliver_to: list[str]
    hold: str | None


class ExampleAnswer(Answer):
    """One example of a rule, decided."""

    path: str
    rule: str
    name: str | None
    passed: bool
    expected: FateAnswer
    came: FateAnswer


class CheckAnswer(Answer):
    """Everything there is to say of a document; warnings and examples once it has no problems."""

    valid: bool = Field(description="Whether it has no problems, and no example fails.")
    digest: str | None
    problems: list[RemarkAnswer]
    warnings: list[RemarkAnswer]
    examples: list[ExampleAnswer]


class DifferenceAnswer(Answer):
    """One place that differs."""

    path: str
    change: Change
    before: Any = None
    after: Any = None
    message: str


class DifferencesAnswer(Answer):
    """What one version changes of another."""

    version: int
    against: int
    items: list[DifferenceAnswer]
