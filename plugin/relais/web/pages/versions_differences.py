"""What differs between two versions, as people read it: by part and name, with what changed marked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from markupsafe import Markup, escape

from relais.configuration.differences import Change, Difference
from relais.texts import _
from relais.web.pages.rules_words import sentence
from relais.web.pages.shell import say

PARTS = {
    "Rules": _("Rules"),
    "Otherwise": _("Otherwise"),
    "Destinations": _("Destinations"),
    "Sources": _("Sources"),
    "Clinics": _("Clinics"),
    "Sets": _("Sets"),
    "Conditions": _("Conditions"),
    "PatientSources": _("Sources of patients"),
    "Matching": _("Matching"),
    "PatientFolder": _("Folder of patients"),
    "Subscribers": _("Subscribers"),
    "Users": _("People"),
    "Completeness": _("Completeness"),
    "Approval": _("Approval"),
    "Language": _("Language"),
}
"""What people call the parts of the configuration, in the order in which they are told."""

LONGEST = 4000
"""Characters beyond which two texts are not compared letter by letter."""
_STEP = re.compile(r'\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|\.?([\w-]+)')
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")

Way = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One option that differs; `before` or `after` is missing where there was or is nothing."""

    option: str
    before: Markup | None
    after: Markup | None


@dataclass(kw_only=True)
class Item:
    """One rule, destination, clinic …: what became of it, and each option that differs."""

    name: str
    change: Change
    lines: list[Line] = field(default_factory=list)
    moved: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """All that differs in one part of the configuration."""

    part: str
    title: str
    items: list[Item]


def grouped(found: Iterable[Difference], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Group]:
    """The differences by part and name, in the order of PARTS."""
    items: dict[str, dict[str, Item]] = {}
    for each in found:
        way = way_of(each.path)
        part = str(way[0]) if way else ""
        name = str(way[1]) if len(way) > 1 else ""
        whole = len(way) <= (2 if _has_names(part) else 1)
        item = items.setdefault(part, {}).setdefault(name, Item(name=name, change=Change.Changed))
        if each.change is Change.Moved:
            item.moved = (int(each.before), int(each.after))
            item.change = Change.Moved if not item.lines else item.change
        elif whole and each.change is not Change.Changed:
            item.change = each.change
            item.lines += _whole(each)
        else:
            item.change = Change.Changed
            _add_line(item, way, each, before, after)
    known = list(PARTS)
    order = sorted(items, key=lambda part: known.index(part) if part in known else len(known))
    return [
        Group(part=part, title=say(PARTS[part]) if part in PARTS else part, items=list(items[part].values()))
        for part in order
    ]


def way_of(path: str) -> Way:
    """The steps of a path as `domain.document.path_of` writes it."""
    steps: list[str | int] = []
    for index, quoted, word in _STEP.findall(path):
        if index:
            steps.append(int(index))
        else:
            steps.append(json.loads(f'"{quoted}"') if quoted else word)
    return tuple(steps)


def marked(before: str, after: str) -> tuple[Markup, Markup]:
    """Both texts, with what went marked in the first and what came marked in the second."""
    if len(before) > LONGEST or len(after) > LONGEST:
        return escape(before), escape(after)
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    matcher = SequenceMatcher(a=old, b=new, autojunk=False)
    if matcher.ratio() < 0.35:  # noqa: PLR2004 - another text altogether: crumbs that happen to match say nothing
        return _tagged("del", before), _tagged("ins", after)
    was, is_ = Markup(), Markup()
    for kind, i, j, k, m in matcher.get_opcodes():
        gone, come = "".join(old[i:j]), "".join(new[k:m])
        was += escape(gone) if kind == "equal" else _tagged("del", gone)
        is_ += escape(come) if kind == "equal" else _tagged("ins", come)
    return was, is_


def shown(value: Any) -> str:
    """A value of the document on one line."""
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {shown(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(f"({shown(each)})" if isinstance(each, Mapping) else shown(each) for each in value)
    return say("nothing") if value is None else str(value)


def _has_names(part: str) -> bool:
    return part not in ("Language", "Completeness", "Otherwise", "Approval", "Matching", "PatientFolder")


def _add_line(item: Item, way: Way, each: Difference, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """One option; whatever differs inside a condition is one line, in words."""
    part = str(way[0])
    if part == "Rules" and len(way) > 2 and way[2] == "When":  # noqa: PLR2004 - Rules, the name, the option
        if not any(line.option == "When" for line in item.lines):
            was, is_ = (_rule(document, item.name).get("When") for document in (before, after))
            item.lines.append(_line("When", _condition(was), _condition(is_)))
        return
    if part == "Conditions" and len(way) > 1:
        if not item.lines:
            was, is_ = (document.get("Conditions", {}).get(item.name) for document in (before, after))
            item.lines.append(_line("", _condition(was), _condition(is_)))
        return
    option = _option(way[2:] if _has_names(part) else way[1:])
    absent_before, absent_after = each.change is Change.Added, each.change is Change.Removed
    item.lines.append(
        _line(option, None if absent_before else shown(each.before), None if absent_after else shown(each.after))
    )


def _line(option: str, before: str | None, after: str | None) -> Line:
    if before is not None and after is not None:
        was, is_ = marked(before, after)
        return Line(option=option, before=was, after=is_)
    return Line(
        option=option,
        before=None if before is None else _tagged("del", before),
        after=None if after is None else _tagged("ins", after),
    )


def _whole(each: Difference) -> list[Line]:
    """Every option of what came or went."""
    added = each.change is Change.Added
    value = each.after if added else each.before
    options = value if isinstance(value, Mapping) else {"": value}
    lines = []
    for option, given in options.items():
        if option == "Name":
            continue
        text = _condition(given) if option == "When" else shown(given)
        lines.append(Line(option=option, before=None if added else escape(text), after=escape(text) if added else None))
    return lines


def _condition(condition: object) -> str:
    return say("always") if condition is None else sentence(condition).striptags()


def _rule(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    rules: Sequence[Any] = document.get("Rules") or ()
    return next((rule for rule in rules if isinstance(rule, Mapping) and rule.get("Name") == name), {})


def _option(way: Way) -> str:
    return " ".join(str(step + 1) if isinstance(step, int) else step for step in way)


def _tagged(tag: str, text: str) -> Markup:
    return Markup(f"<{tag}>{{}}</{tag}>").format(text) if text else Markup()  # noqa: S704 - the tag is ours
