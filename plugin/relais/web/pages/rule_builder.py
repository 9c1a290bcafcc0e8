"""The rule builder: one rule as nested questions, its JSON beside it, and what is wrong where it is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, render_template, request, url_for
from pydantic import ConfigDict, Field
from pydicom.datadict import dictionary_description, keyword_dict

from relais.domain.conditions import GROUPS, OPERATORS
from relais.domain.document import Document, Problem, nearest
from relais.domain.fields import FIELDS, Kind, find_field, is_dicom
from relais.domain.json_text import read_shallow
from relais.domain.priority import Priority
from relais.texts import _
from relais.texts_residency import PURPOSES
from relais.web.composition import current_call
from relais.web.pages import rules_words
from relais.web.pages.network_words import label
from relais.web.pages.rule_builder_controls import of_operator, of_question, of_reference, of_rule
from relais.web.pages.rule_builder_form import (
    COUNTED,
    EXAMPLES,
    PAIRS,
    ROOT,
    change,
    group_of,
    is_question,
    operator_of,
    rule_of,
    tree_of,
    values_of,
)
from relais.web.pages.rules_session import Session, Tested, current, look_at, write
from relais.web.pages.shell import pages, say
from relais.web.pages.try_it_facts import text_of
from relais.web.pages.versions_differences import way_of
from relais.web.permissions import Permission, requires
from relais.web.requests import read_body

NEW = -1
"""The position of a rule that no draft has yet."""
FIELDS_OFFERED = 24
MOST_BOXES = 12
_INSIDE = re.compile(rf"\.?({'|'.join(GROUPS)})\[(\d+)\]")

WORDS = {"Stop": _("Ask no rule below")}
"""What options are called here, where the network's pages have another word for the same key."""
BLANK: Mapping[str, Any] = {"Name": "", "When": {"Field": "Modality", "In": []}, "DeliverTo": []}


class Building(Document):
    """The builder's form: its controls are named by their places."""

    model_config = ConfigDict(extra="allow")

    position: int = Field(NEW, description="Where the rule stands in the draft; -1 is nowhere yet.")
    digest: str = Field("", max_length=64, description="The draft as this page saw it.")
    was: str = Field("{}", max_length=200_000, description="The rule that the form was made of.")
    do: str = Field("", max_length=200, description="The button that was pressed.")
    text: str | None = Field(None, max_length=200_000, description="The rule's JSON, where that was edited.")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One condition of the builder: a group, a question, a named condition, or JSON that no control shows."""

    place: str
    kind: str
    problems: Sequence[str]
    group: str = ""
    children: Sequence[Node] = ()
    field: str = ""
    title: str = ""
    operator: str = ""
    control: str = "text"
    values: Sequence[str] | None = ()
    choices: Sequence[str] = ()
    options: Mapping[str, Any] | None = None
    document: str = ""


@pages.get("/network/rules/new")
@requires(Permission.ViewConfiguration)
def rule_new() -> str:
    """The builder with a new rule."""
    session = current()
    return render_template("rules-edit.html", **_shown(session, NEW, dict(BLANK), quiet=True))


@pages.get("/network/rules/<int:position>")
@requires(Permission.ViewConfiguration)
def rule_edit(position: int) -> str:
    """The builder with a rule of the draft, or of the active version where there is no draft."""
    session = current()
    return render_template("rules-edit.html", **_shown(session, position, session.rule(position)))


@pages.post("/network/rules/build")
@requires(Permission.ViewConfiguration)
def rule_build() -> str:
    """The builder after something was typed, chosen or pressed; nothing is stored."""
    form = read_body(request, Building)
    rule, unreadable = _rule(form)
    return render_template("rules-builder.html", **_shown(current(), form.position, rule, unreadable=unreadable))


@pages.post("/network/rules/save")
@requires(Permission.ChangeConfiguration)
def rule_save() -> Response:
    """Keep the rule in the draft, a mistaken one as well: drafts may be unfinished."""
    form = read_body(request, Building)
    rule, _unreadable = _rule(form)
    session = current()
    rules = list(session.rules)
    if 0 <= form.position < len(rules):
        rules[form.position] = rule
    else:
        rules.append(rule)
    write(session, rules, form.digest)
    return Response(status=204, headers={"HX-Redirect": url_for("pages.rules")})


@pages.get("/network/rules/fields")
@requires(Permission.ViewConfiguration)
def rule_fields() -> str:
    """The fields whose name or meaning has what was typed, for the list under a field's control."""
    typed = next(iter(request.args.values()), "")[:64]
    return render_template("rules-fields.html", fields=offered(typed))


def offered(typed: str) -> list[tuple[str, str]]:
    """Fields with their meanings: those whose name begins with the text, then those that have it anywhere."""
    wanted = typed.strip().lower()
    if not wanted:
        return [(name, rules_words.field_title(name)) for name in ("Modality", *FIELDS)][:FIELDS_OFFERED]
    names = [*FIELDS, *keyword_dict]
    first = [name for name in names if name.lower().startswith(wanted)]
    inside = [name for name in names if wanted in name.lower() and not name.lower().startswith(wanted)]
    meant = [
        name
        for name, tag in keyword_dict.items()
        if len(first) + len(inside) < FIELDS_OFFERED and wanted in dictionary_description(tag).lower()
    ]
    found = list(dict.fromkeys([*first, *inside, *meant]))[:FIELDS_OFFERED]
    if not found and (close := nearest(typed, names)):
        found = [close]
    return [(name, rules_words.field_title(name)) for name in found]


def _rule(form: Building) -> tuple[dict[str, Any], str | None]:
    """The rule that was sent; and what is wrong with its JSON, where that was edited and cannot be read."""
    was = _object(form.was) or {}
    if form.text is not None:
        found = _object(form.text)
        return (was, _("This is not a JSON object")) if found is None else (found, None)
    rule = rule_of(form.model_extra or {}, was)
    return (change(rule, form.do), None) if form.do else (rule, None)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = read_shallow(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _shown(
    session: Session, position: int, rule: Mapping[str, Any], *, quiet: bool = False, unreadable: str | None = None
) -> dict[str, Any]:
    """What the templates show; a `quiet` builder does not complain of what was not filled in yet."""
    tested = Tested() if quiet else look_at(session, rule, position)
    places = at_places(tested.problems)
    tree = tree_of(rule)
    return {
        "session": session,
        "position": position,
        "rule": rule,
        "root": node_of(tree, ROOT, places, bare=group_of(rule.get(ROOT)) is None),
        "problems": places,
        "examples": {_number(each.path): (each.passed, rules_words.unmet(each)) for each in tested.examples},
        "warnings": [current_call().texts.problem(each) for each in tested.warnings],
        "sentence": rules_words.sentence(rule[ROOT]) if rule.get(ROOT) is not None else None,
        "tests": [_example(each) for each in rule.get(EXAMPLES) or ()],
        "document": json.dumps(rule, ensure_ascii=False, indent=2),
        "was": json.dumps(rule, ensure_ascii=False),
        "unreadable": unreadable,
        "destinations": session.names("Destinations"),
        "options": of_rule(),
        "label": label,
        "words_of": WORDS,
        "purposes": {str(purpose): words for purpose, words in PURPOSES.items()},
        "asides": of_question(),
        "series_words": rules_words.SERIES,
        "groups": rules_words.GROUP_WORDS,
        "operators": [(name, _asked(name)) for name in OPERATORS],
        "references": of_reference(),
        "known": offered(""),
        "clinics": session.names("Clinics"),
        "named": session.names("Conditions"),
        "sets": session.names("Sets"),
    }


def _example(example: Any) -> dict[str, Any]:
    """An example as its controls show it; one that they cannot show is None there."""
    given = example if isinstance(example, Mapping) else {}
    facts = given.get("Facts")
    return {
        "name": given.get("Name", ""),
        "facts": text_of(facts) if isinstance(facts, Mapping) and facts else "",
        "at": given.get("At", ""),
        "deliver_to": given.get("DeliverTo") or [],
        "hold": given.get("Hold") or "",
    }


def _number(path: str) -> int:
    """The number of an example, by its path."""
    last = way_of(path)[-1:]
    return last[0] if last and isinstance(last[0], int) else -1


def _asked(operator: str) -> str:
    return say("has a value, or none") if of_operator(operator) == "flag" else rules_words.asked(operator)


def at_places(problems: Sequence[Problem]) -> dict[str, list[str]]:
    """The problems' words by the place of the control they are about: `When/0`, `DeliverTo`, or nowhere (empty)."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(place_of(problem.path), []).append(current_call().texts.problem(problem))
    return found


def place_of(path: str) -> str:
    """`When.All[0].Any[1].Regex` is about `When/0/1`; a path into another option is about that option."""
    top = re.split(r"[.\[]", path, maxsplit=1)[0]
    if top != ROOT:
        return top
    rest, place = path[len(ROOT) :], ROOT
    while found := _INSIDE.match(rest):
        place += f"/{found[2]}"
        rest = rest[found.end() :]
    return place


def node_of(condition: Any, place: str, problems: Mapping[str, list[str]], *, bare: bool = False) -> Node:
    """A condition as the templates show it; a `bare` root is a group only here, its problems are its question's."""
    own = problems.get(place, [])
    group = group_of(condition)
    if group is not None:
        inside = [
            node_of(each, f"{place}/{index}", {**problems, f"{place}/{index}": own} if bare else problems)
            for index, each in enumerate(condition[group])
        ]
        return Node(
            place=place,
            kind="group",
            problems=[] if bare and inside else own,
            group=group,
            children=inside,
            options={key: condition.get(key) for key in COUNTED.get(group, ())},
        )
    for name in of_reference():
        if isinstance(condition, Mapping) and isinstance(condition.get(name), str) and len(condition) == 1:
            return Node(place=place, kind="reference", problems=own, field=name, values=[condition[name]])
    if not is_question(condition):
        return Node(place=place, kind="json", problems=own, document=json.dumps(condition, ensure_ascii=False))
    return _question(condition, place, own)


def _question(condition: Mapping[str, Any], place: str, problems: Sequence[str]) -> Node:
    name, operator = condition["Field"], operator_of(condition) or next(iter(OPERATORS))
    values = values_of(condition[operator])
    choices = _choices(name)
    return Node(
        place=place,
        kind="question",
        problems=problems,
        field=name,
        title=rules_words.field_title(name),
        operator=operator,
        control=_control(operator, values, choices),
        values=values,
        choices=choices,
        options={key: condition.get(key) for key in of_question() if key in condition or _fits(key, name, operator)},
        document=json.dumps(condition[operator], ensure_ascii=False) if values is None else "",
    )


def _fits(option: str, name: str, operator: str) -> bool:
    """Whether it makes sense to ask for it: each series of what images have, case of what is text."""
    try:
        kind = find_field(name).kind
    except ValueError:  # the field is not known
        return True
    if option == "Series":
        return is_dicom(name)
    return option != "IgnoreCase" or (kind is Kind.Text and OPERATORS[operator].compile_folded is not None)


def _choices(name: str) -> Sequence[str]:
    """The only values that a field has, where they are known."""
    known = FIELDS.get(name)
    if known is None:
        return ()
    if name == "Urgency":
        return tuple(priority.name for priority in Priority)
    return current().names("Clinics") if known.kind is Kind.Clinic else known.words


def _control(operator: str, values: Sequence[str] | None, choices: Sequence[str]) -> str:
    """Which control takes the value: raw, flag, pair, boxes, list, choice or text."""
    if values is None:
        return "raw"
    kind = of_operator(operator)
    if operator == "InSet":
        return "set"
    if operator in PAIRS:
        return "pair"
    if kind == "list":
        fits = 0 < len(choices) <= MOST_BOXES and set(values) <= set(choices)
        return "boxes" if fits else "list"
    if kind == "flag":
        return "flag"
    return "choice" if choices and operator == "Equals" and (not values or values[0] in ("", *choices)) else "text"
