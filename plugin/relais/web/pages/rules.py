"""The rules in the order in which they act: moved, copied, switched off, taken away and brought back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import render_template, request
from pydantic import Field

from relais.domain.document import Document, Problem
from relais.domain.json_text import read_shallow
from relais.texts import _
from relais.web.composition import current_call
from relais.web.errors import RefusedError
from relais.web.pages.rules_session import RULES, Session, check, current, of_rule, write
from relais.web.pages.rules_words import Row, Tried, row_of
from relais.web.pages.shell import pages, say
from relais.web.permissions import Permission, requires
from relais.web.requests import read_body

DONE = {
    "up": _("“{name}” acts earlier now"),
    "down": _("“{name}” acts later now"),
    "move": _("“{name}” was moved"),
    "duplicate": _("“{name}” was duplicated"),
    "switch": _("“{name}” was switched"),
    "remove": _("“{name}” was deleted"),
    "insert": _("“{name}” is back"),
}


class Wish(Document):
    """What to do with a rule of the draft."""

    do: str = Field(max_length=20, description="up, down, move, duplicate, switch, remove or insert.")
    position: int = Field(ge=0, le=100_000, description="Where it stands.")
    to: int = Field(0, ge=0, le=100_000, description="Where it shall stand, for move.")
    rule: str = Field("", max_length=200_000, description="The rule's JSON, for insert.")
    digest: str = Field(max_length=64, description="The draft as the page saw it.")


@dataclass(frozen=True, kw_only=True)
class News:
    """What was done, and the rule that can be brought back."""

    text: str
    undo: Mapping[str, Any] | None = None


@pages.get("/network/rules")
@requires(Permission.ViewConfiguration)
def rules() -> str:
    """The page; what takes time to find out is asked for by the page itself."""
    return render_template("rules.html", **_shown(current(), checked=False))


@pages.get("/network/rules/list")
@requires(Permission.ViewConfiguration)
def rules_list() -> str:
    """The rules with their warnings and what came of their examples."""
    return render_template("rules-list.html", **_shown(current(), checked=True))


@pages.post("/network/rules/act")
@requires(Permission.ChangeConfiguration)
def rules_act() -> str:
    """Do it in the caller's draft, which begins with the first change."""
    wish = read_body(request, Wish)
    session = current()
    changed, name, undo = changed_rules(list(session.rules), wish)
    session = write(session, changed, wish.digest)
    news = News(text=say(DONE[wish.do], name=name), undo=undo)
    return render_template("rules-list.html", **_shown(session, checked=True, news=news))


def changed_rules(rules: list[Any], wish: Wish) -> tuple[list[Any], str, Mapping[str, Any] | None]:
    """The rules afterwards, the name of the one it was about, and how what is gone is brought back.

    Raises RefusedError (409) when there is no rule at that place any more.
    """
    if wish.do not in DONE:
        raise RefusedError(422, _("There is no such action"))
    if wish.do == "insert":
        rule = _read(wish.rule)
        return [*rules[: wish.position], rule, *rules[wish.position :]], _name(rule), None
    if wish.position >= len(rules):
        raise RefusedError(409, _("There is no rule at place {place}"), {"place": wish.position + 1})
    rule = rules[wish.position]
    if wish.do == "remove":
        undo = {"Do": "insert", "Position": wish.position, "Rule": json.dumps(rule, ensure_ascii=False)}
        return rules[: wish.position] + rules[wish.position + 1 :], _name(rule), undo
    if wish.do == "duplicate":
        rules.insert(wish.position + 1, {**rule, "Name": copied(_name(rule), {_name(each) for each in rules})})
    elif wish.do == "switch":
        rules[wish.position] = switched(rule)
    else:
        places = {"up": wish.position - 1, "down": wish.position + 1, "move": wish.to}
        rules.insert(max(0, places[wish.do]), rules.pop(wish.position))
    return rules, _name(rule), None


def switched(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule on if it was off, off if it was on."""
    others = {key: value for key, value in rule.items() if key != "Enabled"}
    return others if rule.get("Enabled") is False else {**others, "Enabled": False}


def copied(name: str, taken: set[str]) -> str:
    """A name for a copy that no rule has yet: `dental (2)`."""
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"


def _shown(session: Session, *, checked: bool, news: News | None = None) -> dict[str, Any]:
    rows = [row_of(position, rule) for position, rule in enumerate(session.rules)]
    elsewhere: list[Problem] = []
    if checked:
        found = check(session.version.document, session.digest)
        rows = [_with_findings(row, of_rule(found, row.position)) for row in rows]
        elsewhere = [each for each in found.problems if not each.path.startswith(f"{RULES}[")]
    otherwise = session.version.document.get("Otherwise", {"Hold": "no rule matched"})
    return {
        "session": session,
        "rows": rows,
        "otherwise": otherwise if isinstance(otherwise, Mapping) else {},
        "elsewhere": len(elsewhere),
        "checked": checked,
        "news": news,
    }


def _with_findings(row: Row, tested: Any) -> Row:
    texts = current_call().texts
    failed = [each for each in tested.examples if not each.passed]
    return replace(
        row,
        problems=[texts.problem(each) for each in tested.problems],
        warnings=[texts.problem(each) for each in tested.warnings],
        tried=Tried(passed=len(tested.examples) - len(failed), failed=failed),
    )


def _read(text: str) -> dict[str, Any]:
    try:
        rule = read_shallow(text)
    except ValueError:
        rule = None
    if not isinstance(rule, dict):
        raise RefusedError(422, _("This is not a JSON object"))
    return rule


def _name(rule: Any) -> str:
    return str(rule.get("Name", "")) if isinstance(rule, Mapping) else ""
