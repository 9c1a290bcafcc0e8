"""The rules that pages show and edit: those of the caller's draft, or of the active version until there is a draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from relais.domain.document import Problem
from relais.domain.states import VersionState
from relais.texts import _
from relais.versions import Check, Version
from relais.web.composition import current_call
from relais.web.errors import RefusedError
from relais.web.pages import network_draft
from relais.web.pages.network_edits import replaced
from relais.web.pages.versions_differences import way_of

RULES = "Rules"
FEW = 100
"""Among so many rules each change can be tried with all of them, which warnings and examples need."""


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What there is to say of one rule; paths begin inside it. `others` counts the problems elsewhere."""

    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    examples: Sequence[Any] = ()
    others: int = 0


@dataclass(frozen=True, kw_only=True)
class Session:
    """What is shown: `digest` goes with every edit, so that nobody overwrites what they have not seen."""

    version: Version
    editable: bool

    @property
    def draft(self) -> bool:
        """Whether it is a draft, and not yet the active version."""
        return self.version.state is VersionState.Draft

    @property
    def digest(self) -> str:
        """What tells it apart."""
        return self.version.digest

    @property
    def rules(self) -> Sequence[Any]:
        """The rules as the document has them."""
        rules = self.version.document.get(RULES)
        return rules if isinstance(rules, list | tuple) else ()

    def rule(self, position: int) -> dict[str, Any]:
        """One rule; raises RefusedError where there is none."""
        if not 0 <= position < len(self.rules) or not isinstance(self.rules[position], Mapping):
            raise RefusedError(404, _("There is no rule at place {place}"), {"place": position + 1})
        return dict(self.rules[position])

    def names(self, part: str) -> Sequence[str]:
        """The names that a part of the document defines."""
        found = self.version.document.get(part)
        return tuple(found) if isinstance(found, Mapping) else ()


def current() -> Session:
    """What the caller's pages show."""
    return Session(version=network_draft.shown(), editable=network_draft.may_edit())


def write(session: Session, rules: Sequence[Any], digest: str) -> Session:
    """Keep these rules in the caller's draft; raises StateError `draft-changed` if it is not the one that was seen."""
    edit = network_draft.replace((RULES,), list(rules), digest=digest or session.digest)
    return replace(session, version=edit.version)


def check(document: Mapping[str, Any], digest: str) -> Check:
    """Everything there is to say of a document, asked once a minute for the same one: some of it depends on the day."""
    call = current_call()
    return _checked(_Asked(document, digest, int(call.relais.clock.now().timestamp() // 60)))


def of_rule(found: Check, position: int) -> Tested:
    """What of it is about the rule at this position."""
    problems, warnings = (_inside(each, position) for each in (found.problems, found.warnings))
    return Tested(
        problems=problems,
        warnings=warnings,
        examples=[each for each in found.examples if _rule_of_example(each) == position],
        others=len(found.problems) - len(problems),
    )


def look_at(session: Session, rule: Mapping[str, Any], position: int) -> Tested:
    """What there is to say of a rule that was not kept yet, among the names of the draft."""
    versions = current_call().relais.versions
    document = dict(session.version.document)
    rules = list(session.rules)
    place = position if 0 <= position < len(rules) else len(rules)
    name = rule.get("Name")
    twin = any(isinstance(each, Mapping) and each.get("Name") == name for i, each in enumerate(rules) if i != place)
    found = of_rule(versions.check(replaced(document, (RULES,), [rule])), 0)
    if not found.problems and (rule.get("Examples") or len(rules) < FEW):
        rules[place : place + 1] = [rule]
        among = versions.check({**document, RULES: rules})
        found = of_rule(among, place) if among.configuration else found
    if twin:
        repeated = Problem("Name", "repeated-name", {"name": name})
        return replace(found, problems=(*found.problems, repeated))
    return found


@dataclass(frozen=True)
class _Asked:
    """A document, known by its digest and the minute."""

    document: Mapping[str, Any]
    digest: str
    minute: int

    def __hash__(self) -> int:
        return hash((self.digest, self.minute))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and (self.digest, self.minute) == (other.digest, other.minute)


@lru_cache(maxsize=4)
def _checked(asked: _Asked) -> Check:
    return current_call().relais.versions.check(asked.document)


def _inside(problems: Sequence[Problem], position: int) -> list[Problem]:
    """Those about one rule, with their paths inside it."""
    prefix = f"{RULES}[{position}]"
    return [
        replace(each, path=each.path[len(prefix) :].removeprefix("."))
        for each in problems
        if each.path == prefix or each.path.startswith((f"{prefix}.", f"{prefix}["))
    ]


def _rule_of_example(outcome: Any) -> int | None:
    way = way_of(str(getattr(outcome, "path", "")))
    return way[1] if len(way) > 1 and isinstance(way[1], int) else None
