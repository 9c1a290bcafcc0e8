"""Rules in words: a condition as a sentence, what a rule does and when it counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Any, Literal

from babel.lists import format_list
from markupsafe import Markup
from pydicom.datadict import dictionary_description, keyword_dict

from relais.domain.conditions import GROUPS, OPERATORS
from relais.domain.examples import ExampleOutcome, Expectation
from relais.domain.fields import FIELDS, ORDER
from relais.texts import _
from relais.texts_residency import say_purpose
from relais.web.pages.rule_builder_controls import of_question
from relais.web.pages.rule_builder_form import group_of, operator_of, values_of
from relais.web.pages.shell import count, language, say

ASKED = {
    "Equals": _("is"),
    "In": _("is one of"),
    "InSet": _("is in the set"),
    "StartsWith": _("starts with"),
    "Contains": _("contains"),
    "Matches": _("looks like"),
    "Regex": _("matches the expression"),
    "Exists": _("has a value"),
    "LessThan": _("is less than"),
    "AtLeast": _("is at least"),
    "Between": _("is between"),
}
"""What each operator asks, between the field and the value."""
HAS_NONE = _("has no value")

GROUP_WORDS = {
    "All": _("all of these hold"),
    "Any": _("at least one of these holds"),
    "None": _("none of these holds"),
    "SeriesWhere": _("these hold together for one series"),
}
AND, OR, NOT, TOGETHER = _("and"), _("or"), _("none of"), _("together")
SERIES = {
    "Any": _("in any series"),
    "All": _("in every series"),
    "None": _("in no series"),
}
"""Of how many series a question must be answered so."""
IGNORE_CASE = _("whatever case and accents")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How many of a rule's own examples passed, and those that did not."""

    passed: int = 0
    failed: Sequence[Any] = ()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One rule of a list, as people read it; `sentence` is its condition, None where it always holds."""

    position: int
    name: str
    sentence: Markup | None
    deliver_to: Sequence[str] = ()
    hold: str | None = None
    priority: str = "Routine"
    purpose: str | None = None
    stop: bool = False
    enabled: bool = True
    valid_from: str | None = None
    valid_until: str | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tried: Tried = Tried()


def row_of(position: int, rule: object) -> Row:
    """A rule of a draft, which may be anything that JSON can say."""
    given = rule if isinstance(rule, Mapping) else {}
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    names = given.get("DeliverTo")
    return Row(
        position=position,
        name=texts.get("Name", ""),
        sentence=sentence(given["When"]) if given.get("When") is not None else None,
        deliver_to=[str(name) for name in names] if isinstance(names, list | tuple) else [],
        hold=texts.get("Hold"),
        priority=texts.get("Priority", "Routine"),
        purpose=say_purpose(texts["Purpose"], language()) if texts.get("Purpose", "Care") != "Care" else None,
        stop=given.get("Stop") is True,
        enabled=given.get("Enabled") is not False,
        valid_from=texts.get("ValidFrom"),
        valid_until=texts.get("ValidUntil"),
    )


def unmet(outcome: ExampleOutcome) -> str:
    """What was expected of an example, and what came instead."""
    return say(_("expected {expected}, came {came}"), expected=_end(outcome.expected), came=_end(outcome.came))


def _end(expectation: Expectation) -> str:
    if expectation.hold is not None:
        return say(_("a hold ({reason})"), reason=expectation.hold)
    names = list(expectation.deliver_to)
    return format_list(names, locale=language()) if names else say(_("no delivery"))


def sentence(condition: object) -> Markup:
    """A condition in words: `Modality is IO or PX and Clinic is outremont`."""
    return _sentence(json.dumps(condition, ensure_ascii=False), language())


@lru_cache(maxsize=4096)
def _sentence(text: str, _language: str) -> Markup:
    """A page shows hundreds of them: what was worded once is remembered."""
    return Markup(_worded(json.loads(text)))  # noqa: S704 - every name and value in it was escaped


def _worded(condition: Any, *, inside: bool = False) -> str:
    group = group_of(condition)
    if group is None:
        return _question(condition)
    parts = [_worded(each, inside=True) for each in condition[group]]
    if group == "SeriesWhere":
        joined = _joined(AND, parts)
        return f'{_said(TOGETHER)} ({joined}) <span class="extra">{escape(_of_series(condition))}</span>'
    if group == "None":
        return f'<span class="and">{_said(NOT)}</span> ({"; ".join(parts)})'
    text = _joined(AND if group == "All" else OR, parts)
    return f"({text})" if inside and len(parts) > 1 else text


def _joined(word: str, parts: Sequence[str]) -> str:
    return f' <span class="and">{_said(word)}</span> '.join(parts)


def _said(message: str) -> str:
    return escape(say(message))


def _of_series(condition: Mapping[str, Any]) -> str:
    """Of how many series a group must hold."""
    quantifier = condition.get("Series")
    if isinstance(quantifier, str) and quantifier in SERIES:
        return say(SERIES[quantifier])
    least = condition.get("AtLeast", 1)
    return count("in at least {count} series", "in at least {count} series", least if isinstance(least, int) else 1)


@lru_cache(maxsize=1024)
def field_title(name: str) -> str:
    """What a field is: its meaning, or the name of the DICOM attribute; empty for a field that is not known."""
    if name in FIELDS:
        return FIELDS[name].meaning
    tag = keyword_dict.get(name.removeprefix(ORDER).rpartition(".")[2])
    return "" if tag is None else f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def asked(operator: str) -> str:
    """What an operator asks, in a word or two."""
    return say(ASKED[operator]) if operator in ASKED else operator


def _question(condition: Any) -> str:
    operator = operator_of(condition) if isinstance(condition, Mapping) else None
    if operator is None:
        return _reference(condition)
    name = str(condition.get("Field", "?"))
    subject = f'<b title="{escape(field_title(name))}">{escape(name)}</b>'
    rest = _extras(condition)
    if isinstance(condition[operator], bool):
        has = ASKED["Exists"] if condition[operator] else HAS_NONE
        return f"{subject} {_said(has)}{rest}"
    verb = escape(asked("Equals" if operator == "In" else operator))
    return f"{subject} {verb} {_wanted(condition, operator)}{rest}"


def _wanted(condition: Mapping[str, Any], operator: str) -> str:
    values = values_of(condition[operator])
    if values is None:
        return f"<i>{escape(json.dumps(condition[operator], ensure_ascii=False))}</i>"
    marked = [f"<i>{escape(value)}</i>" for value in values]
    if len(marked) < 2:  # noqa: PLR2004 - nothing to join
        return marked[0] if marked else "<i>…</i>"
    style: Literal["standard", "or"] = "standard" if operator == "Between" else "or"
    return format_list(marked, style=style, locale=language())


def _extras(condition: Mapping[str, Any]) -> str:
    """What is said besides; in the words of the model where there are none here."""
    told = []
    for name in of_question():
        value = condition.get(name)
        if value in (None, False):
            continue
        if name == "Series" and isinstance(value, str) and value in SERIES:
            told.append(say(SERIES[value]))
        elif name == "IgnoreCase":
            told.append(say(IGNORE_CASE))
        else:
            told.append(name if value is True else f"{name} {value}")
    return f' <span class="extra">({escape(", ".join(told))})</span>' if told else ""


def _reference(condition: Any) -> str:
    """A condition that names another, or one that no words are known for."""
    if isinstance(condition, Mapping) and len(condition) == 1:
        ((key, value),) = condition.items()
        if isinstance(value, str) and key not in (*GROUPS, *OPERATORS):
            text = say(_("the condition")) if key == "Condition" else str(key)
            return f"{escape(text)} <i>{escape(value)}</i>"
    return f"<code>{escape(json.dumps(condition, ensure_ascii=False))}</code>"
