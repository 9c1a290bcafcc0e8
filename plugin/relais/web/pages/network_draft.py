"""The caller's working draft: what pages edit, never the active version.

A page shows `shown()`, keeps its `digest`, and hands it back with the edit. Where the draft changed since, the edit is
refused (StateError `draft-changed`), unless the page also hands back the part as it saw it and that part is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as replaced_document
from typing import Any

from relais.configuration.documents import own
from relais.domain.states import VersionState
from relais.errors import StateError
from relais.versions import Version, Versions
from relais.web.composition import current_call
from relais.web.errors import RefusedError
from relais.web.pages import network_edits as edits
from relais.web.pages.network_edits import ABSENT, Change, Patch, Steps
from relais.web.permissions import Permission

NEWEST = 100
"""How many versions back a caller's draft is looked for."""
UNKNOWN: Any = object()
"""The page does not say what it saw."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """The draft after an edit, and what undoes it while nobody edits it further; nothing where nothing changed."""

    version: Version
    undo: Patch


def current_draft() -> Version | None:
    """The newest draft that the caller made, or None."""
    name = current_call().caller.name
    mine = (
        each for each in _versions().listing(limit=NEWEST) if each.state is VersionState.Draft and each.author == name
    )
    return max(mine, key=lambda each: each.number, default=None)


def shown() -> Version:
    """What the caller's pages show: their draft, or the active version where they have none."""
    return current_draft() or active()


def active() -> Version:
    """The active version; the secrets that a file has in it are hidden, which such a draft means by itself."""
    found = _versions().active()
    if _versions().may_change:
        return found
    return replaced_document(found, document=own(current_call().relais.configuration.document))


def may_edit() -> bool:
    """Whether the caller may draft."""
    return current_call().caller.may(Permission.ChangeConfiguration)


def begin() -> Version:
    """The caller's draft; a new one of the active version where they have none."""
    seen = shown()
    if seen.state is VersionState.Draft:
        return seen
    return _versions().draft(dict(seen.document), based_on=seen.number, actor=current_call().caller.name, comment="")


def part(path: Steps) -> Any:
    """What stands at a place of what the caller's pages show, or ABSENT."""
    return edits.part(shown().document, path)


def replace(path: Steps, value: Any, *, digest: str, base: Any = UNKNOWN) -> Edit:
    """Put `value` at a place; an index of a list's length appends."""
    return apply(lambda document: edits.replaced(document, path, value), digest=digest, path=path, base=base)


def remove(path: Steps, *, digest: str, base: Any = UNKNOWN, everywhere: bool = False) -> Edit:
    """Take out what stands at a place; `everywhere`, also whatever refers to its name."""

    def change(document: Any) -> Any:
        document = edits.removed(document, path)
        return edits.unreferred(document, str(path[0]), str(path[-1])) if everywhere else document

    return apply(change, digest=digest, path=path, base=base)


def rename(path: Steps, new: str, *, digest: str) -> Edit:
    """Give the clinic, source, destination … at `path` another name; whatever refers to it follows.

    Raises RefusedError (409) where something has that name.
    """
    top, name = str(path[0]), str(path[-1])
    if edits.part(shown().document, (top, new)) is not ABSENT:
        raise RefusedError(409, "Another one has this name already")
    return apply(lambda document: edits.renamed(document, top, name, new), digest=digest)


def move(path: Steps, before: int, after: int, *, digest: str) -> Edit:
    """Move an item of the list at `path` from one index to another."""
    return apply(lambda document: edits.moved(document, path, before, after), digest=digest)


def apply(change: Change, *, digest: str, path: Steps = (), base: Any = UNKNOWN) -> Edit:
    """Edit the caller's draft, begun where there is none.

    `digest` is that of the version from which the page was made. Raises StateError `draft-changed` when the draft is
    another now and what stands at `path` is not `base` any more.
    """
    seen = shown()
    if digest != seen.digest and (base is UNKNOWN or edits.part(seen.document, path) != base):
        raise StateError("draft-changed", number=str(seen.number), editor=seen.editors[-1])
    after = change(dict(seen.document))
    changes = edits.patch(after, seen.document)
    if not changes:
        return Edit(version=seen, undo=changes)
    actor = current_call().caller.name
    if seen.state is VersionState.Draft:
        version = _versions().revise(seen.number, after, digest=seen.digest, actor=actor)
    else:
        version = _versions().draft(after, based_on=seen.number, actor=actor, comment="")
    return Edit(version=version, undo=changes)


def undo(number: int, digest: str, changes: Patch) -> Version:
    """Take back the last edit; raises StateError `draft-changed` when it is not the last any more."""
    before = _versions().get(number)
    after = edits.patched(dict(before.document), changes)
    return _versions().revise(number, after, digest=digest, actor=current_call().caller.name)


def names_of(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The names that each part of a document defines, by the part's key."""
    return {top: tuple(entries) for top, entries in document.items() if isinstance(entries, Mapping)}


def _versions() -> Versions:
    return current_call().relais.versions
