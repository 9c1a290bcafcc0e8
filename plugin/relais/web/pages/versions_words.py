"""Versions in words and figures: their states, and how much each changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from relais.configuration.differences import Difference, differences
from relais.domain.states import VersionState
from relais.drafts import FROM_FILE
from relais.texts import _
from relais.versions import FILE, SEED, Version
from relais.web.composition import current_call
from relais.web.pages.chips import Chip
from relais.web.pages.shell import say

STATES = {
    VersionState.Draft: Chip(_("Draft"), "waiting"),
    VersionState.Scheduled: Chip(_("Scheduled"), "moving"),
    VersionState.Active: Chip(_("Active"), "done"),
    VersionState.Past: Chip(_("Past"), "ended"),
    VersionState.Discarded: Chip(_("Discarded"), "ended"),
}
AUTHORS = {FILE: _("the file"), SEED: _("the file, at first")}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What may be done to a version by whoever looks at it, and what stands in the way."""

    from_file: bool
    outdated: bool
    needs_approval: bool
    approved: bool
    own: bool
    problems: int = 0
    failing: int = 0

    @property
    def ready(self) -> bool:
        """Whether it may become active now."""
        waits = self.needs_approval and not self.approved
        return not (self.from_file or self.outdated or waits or self.problems or self.failing)


def author(name: str) -> str:
    """Who wrote it; the file has a word of its own."""
    return say(AUTHORS[name]) if name in AUTHORS else name


def changes_of(before: Version | None, after: Version) -> tuple[Difference, ...]:
    """What a version changes of another, or of nothing; remembered, as versions do not change any more."""
    return _differences(
        _Document(before.digest, before.document) if before else _NOTHING, _Document(after.digest, after.document)
    )


def from_file() -> bool:
    """Whether the file is the only source."""
    return bool(current_call().relais.versions.seat.source == FROM_FILE)


@dataclass(frozen=True)
class _Document:
    """A document that is told apart by its digest."""

    digest: str
    document: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Document) and self.digest == other.digest


_NOTHING = _Document("", {})


@lru_cache(maxsize=64)
def _differences(before: _Document, after: _Document) -> tuple[Difference, ...]:
    return differences(before.document, after.document)
