"""The rule builder's form and the rule that it says: a flat set of texts there, a document here; pure.

A condition's place is the way to it: `When`, `When/0`, `When/0/2`. Its controls are named by it: `When/0/2/Field`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from relais.domain.conditions import GROUPS, OPERATORS
from relais.domain.fields import Kind, find_field
from relais.web.pages.rule_builder_controls import Control, of_operator, of_question, of_reference, of_rule
from relais.web.pages.try_it_facts import facts_of, text_of

Form = Mapping[str, Any]
Rule = dict[str, Any]
Condition = dict[str, Any]

ROOT = "When"
EXAMPLES = "Examples"
NEW_QUESTION: Condition = {"Field": "Modality", "In": []}
ORDERED = frozenset({"LessThan", "AtLeast", "Between"})
PAIRS = frozenset({"Between"})
"""Operators whose list has exactly two values."""
COUNTED: Mapping[str, tuple[str, ...]] = {"SeriesWhere": ("Series", "AtLeast")}
"""What may stand beside a group: of how many series it must hold."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,6})?")


def rule_of(form: Form, was: Mapping[str, Any]) -> Rule:
    """The rule that the form says; `was` is the rule that it was made of, and has what no control shows."""
    shown = {"Name", ROOT, "DeliverTo", "Hold", "Enabled", *of_rule()}
    rule: Rule = {name: value for name, value in was.items() if name not in shown}
    rule["Name"] = _text(form, "Name")
    condition = _root(form, was)
    if condition is not None:
        rule[ROOT] = condition
    if chosen := _several(form, "DeliverTo"):
        before = [name for name in was.get("DeliverTo") or () if name in chosen]
        rule["DeliverTo"] = [*before, *(name for name in chosen if name not in before)]
    if reason := _text(form, "Hold"):
        rule["Hold"] = reason
    for name, control in of_rule().items():
        value = _option(form, name, control, was.get(name))
        if (value is not None and value != control.default) or (name in was and value == was[name]):
            rule[name] = value
    if f"{EXAMPLES}/Shown" in form:
        rule.pop(EXAMPLES, None)
        if examples := _examples(form, was.get(EXAMPLES)):
            rule[EXAMPLES] = examples
    if "Enabled" in was or not form.get("Enabled"):
        rule["Enabled"] = bool(form.get("Enabled"))
    return _in_order(rule, was)


def tree_of(rule: Mapping[str, Any]) -> Condition:
    """The rule's condition as the builder shows it: always a group, an empty one where the rule always holds."""
    condition = rule.get(ROOT)
    if not isinstance(condition, Mapping):
        return {"All": []}
    if (group := group_of(condition)) is not None:
        return {**condition, group: list(condition[group])}
    return {"All": [dict(condition)]}


def group_of(condition: object) -> str | None:
    """All, Any, None …, where the condition is a group that can be shown."""
    if not isinstance(condition, Mapping):
        return None
    found = [name for name in GROUPS if isinstance(condition.get(name), list | tuple)]
    return found[0] if len(found) == 1 and condition.keys() <= {found[0], *COUNTED.get(found[0], ())} else None


def operator_of(condition: Mapping[str, Any]) -> str | None:
    """The operator of a question."""
    return next((name for name in OPERATORS if name in condition), None)


def is_question(condition: object) -> bool:
    """Whether the builder has controls for it: a field, one operator, and what may be said besides."""
    if not isinstance(condition, Mapping) or not isinstance(condition.get("Field"), str):
        return False
    others = condition.keys() - {"Field"} - of_question().keys()
    return len(others) == 1 and others <= OPERATORS.keys()


def values_of(value: object) -> list[str] | None:
    """A value as texts, or None where only JSON can say it, such as a reference to a set."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    items = value if isinstance(value, list | tuple) else () if value is None else (value,)
    if any(isinstance(item, bool) or not isinstance(item, str | int | float) for item in items):
        return None
    return [str(item) for item in items]


def change(rule: Mapping[str, Any], wish: str) -> Rule:
    """The rule after one button: `add-question When/0`, `add-group`, `remove`, `up`, `down`, `duplicate`, `unwrap`.

    What does not fit the rule, as from a page that was left open, changes nothing.
    """
    verb, _, place = wish.partition(" ")
    if verb.endswith("-example"):
        return with_examples(rule, wish)
    tree = json.loads(json.dumps(tree_of(rule)))
    way = [int(part) for part in place.split("/")[1:] if part.isdigit()]
    if verb.startswith("add-"):
        _add(tree, way, verb)
    elif way:
        _move(tree, way, verb)
    return with_tree(rule, tree)


def with_tree(rule: Mapping[str, Any], tree: Condition) -> Rule:
    """The rule with another condition; a lone question needs no group, no condition at all no key."""
    changed = {name: value for name, value in rule.items() if name != ROOT}
    inside = tree.get("All")
    was = rule.get(ROOT)
    if inside == []:
        condition = None
    elif inside is not None and len(inside) == 1 and not (isinstance(was, Mapping) and len(was.get("All") or ()) == 1):
        condition = inside[0]
    else:
        condition = tree
    if condition is not None:
        changed[ROOT] = condition
    return _in_order(changed, rule)


def with_examples(rule: Mapping[str, Any], wish: str) -> Rule:
    """The rule with an example more, or one less: `add-example`, `remove-example 2`."""
    verb, _, number = wish.partition(" ")
    examples = list(rule.get(EXAMPLES) or ())
    if verb == "add-example":
        examples.append({"Facts": {}, "DeliverTo": list(rule.get("DeliverTo") or ())})
    elif number.isdigit() and int(number) < len(examples):
        del examples[int(number)]
    changed = {name: value for name, value in rule.items() if name != EXAMPLES}
    return _in_order({**changed, EXAMPLES: examples} if examples else changed, rule)


def _examples(form: Form, was: object) -> list[Any]:
    before = was if isinstance(was, list | tuple) else ()
    found: list[Any] = []
    for position in _positions(form, EXAMPLES):
        place = f"{EXAMPLES}/{position}"
        kept = before[position] if position < len(before) else {}
        if f"{place}/Json" in form or not isinstance(kept, Mapping):
            found.append(kept)
        else:
            found.append(_example(form, place, kept))
    return found


def _example(form: Form, place: str, was: Mapping[str, Any]) -> dict[str, Any]:
    """An example; facts that cannot be read stay what they were."""
    example = {name: value for name, value in was.items() if name not in ("Name", "At", "DeliverTo", "Hold")}
    for name in ("Name", "At"):
        if text := _text(form, f"{place}/{name}"):
            example[name] = text
    typed = form.get(f"{place}/Facts")
    if isinstance(typed, str) and typed.replace("\r\n", "\n").strip() != text_of(was.get("Facts") or {}).strip():
        try:
            example["Facts"] = facts_of(typed)
        except ValueError:
            example["Facts"] = was.get("Facts", {})
    if reason := _text(form, f"{place}/Hold"):
        example["Hold"] = reason
    else:
        example["DeliverTo"] = _several(form, f"{place}/DeliverTo")
    order = ["Name", "Facts", "At", "DeliverTo", "Hold"]
    others = [name for name in example if name not in order]
    return {name: example[name] for name in [*order, *others] if name in example}


def _add(tree: Condition, way: Sequence[int], verb: str) -> None:
    inside = _children(tree, way)
    if inside is None:
        return
    if verb == "add-question":
        inside.append(dict(NEW_QUESTION))
    elif verb == "add-group":
        inside.append({"Any": [dict(NEW_QUESTION)]})
    elif verb == "add-reference" and (names := of_reference()):
        inside.append({names[0]: ""})


def _move(tree: Condition, way: Sequence[int], verb: str) -> None:
    inside = _children(tree, way[:-1])
    position = way[-1]
    if inside is None or position >= len(inside):
        return
    if verb == "remove":
        del inside[position]
    elif verb == "duplicate":
        inside.insert(position + 1, json.loads(json.dumps(inside[position])))
    elif verb == "wrap":
        inside[position] = {"Any": [inside[position]]}
    elif verb == "unwrap" and (group := group_of(inside[position])) is not None:
        inside[position : position + 1] = inside[position][group]
    elif verb in ("up", "down"):
        other = position + (1 if verb == "down" else -1)
        if 0 <= other < len(inside):
            inside[position], inside[other] = inside[other], inside[position]


def _children(tree: Condition, way: Sequence[int]) -> list[Any] | None:
    """The list inside the group at the end of the way."""
    here: Any = tree
    for position in way:
        group = group_of(here)
        if group is None or position >= len(here[group]):
            return None
        here = here[group][position]
    group = group_of(here)
    return here[group] if group else None


def _root(form: Form, was: Mapping[str, Any]) -> Condition | None:
    if f"{ROOT}/Group" not in form:
        return was.get(ROOT)
    tree = _condition(form, ROOT, tree_of(was))
    return with_tree(was, tree).get(ROOT)


def _condition(form: Form, place: str, was: object) -> Condition:
    if (group := _text(form, f"{place}/Group")) in GROUPS:
        known = group_of(was)
        before = was[known] if isinstance(was, Mapping) and known else []
        inside = [
            _condition(form, f"{place}/{position}", before[position] if position < len(before) else None)
            for position in _positions(form, place)
        ]
        return {group: inside, **_counted(form, place, group)}
    for name in of_reference():
        if f"{place}/{name}" in form:
            return {name: _text(form, f"{place}/{name}")}
    if f"{place}/Json" in form:
        return dict(was) if isinstance(was, Mapping) else {}
    return _question(form, place, was if isinstance(was, Mapping) else {})


def _counted(form: Form, place: str, group: str) -> dict[str, Any]:
    """Of how many series a group must hold, where it says so."""
    if group not in COUNTED:
        return {}
    quantifier, least = _text(form, f"{place}/Series"), _text(form, f"{place}/AtLeast")
    if quantifier and quantifier != "AtLeast":
        return {"Series": quantifier}
    return {"AtLeast": int(least)} if least.isdigit() and len(least) < 6 and least != "1" else {}  # noqa: PLR2004


def _positions(form: Form, place: str) -> list[int]:
    """Which conditions stand in a group, as the form has them."""
    prefix = f"{place}/"
    heads = {name[len(prefix) :].partition("/")[0] for name in form if name.startswith(prefix)}
    return sorted(int(head) for head in heads if head.isdigit() and len(head) < 5)  # noqa: PLR2004 - as many as fit


def _question(form: Form, place: str, was: Mapping[str, Any]) -> Condition:
    field, operator = _text(form, f"{place}/Field"), _text(form, f"{place}/Operator")
    if operator not in OPERATORS:
        operator = next(iter(OPERATORS))
    condition: Condition = {"Field": field, operator: _value(form, place, field, operator, was)}
    for name, control in of_question().items():
        value = _option(form, f"{place}/{name}", control, was.get(name))
        if value is not None and value != control.default:
            condition[name] = value
    return {name: condition[name] for name in dict.fromkeys((*was, *condition)) if name in condition}


def _value(form: Form, place: str, field: str, operator: str, was: Mapping[str, Any]) -> Any:
    if f"{place}/Raw" in form and operator in was:
        return was[operator]
    texts = _several(form, f"{place}/Value")
    kind = of_operator(operator)
    if kind == "flag":
        return texts[:1] != ["false"]
    numbers = _numbers(field, operator, was)
    values = [_scalar(text, numbers) for text in texts]
    if kind != "list":
        return values[0] if values else ""
    return values[:2] if operator in PAIRS else values


def _numbers(field: str, operator: str, was: Mapping[str, Any]) -> frozenset[str] | None:
    """Which texts are numbers: all that look like one (None), or those that were numbers before."""
    try:
        kind = find_field(field).kind
    except ValueError:  # pydantic's own kind of fault: the field is not known
        kind = Kind.Text
    if kind is Kind.Number or (kind is Kind.Text and operator in ORDERED):
        return None
    items = [item for value in was.values() for item in (value if isinstance(value, list | tuple) else (value,))]
    return frozenset(str(item) for item in items if isinstance(item, int | float) and not isinstance(item, bool))


def _scalar(text: str, numbers: frozenset[str] | None) -> str | int | float:
    if _NUMBER.fullmatch(text) and (numbers is None or text in numbers):
        return float(text) if "." in text else int(text)
    return text


def _option(form: Form, name: str, control: Control, was: Any) -> Any:
    """The value of an option that stands by itself; None where nothing was said."""
    if control.kind == "flag":
        return bool(form.get(name))
    if control.kind == "json":
        return was
    text = _text(form, name)
    if control.kind == "list":
        return _several(form, name) or None
    if control.kind == "number" and _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text or None


def _text(form: Form, name: str) -> str:
    texts = _several(form, name)
    return texts[0] if texts else ""


def _several(form: Form, name: str) -> list[str]:
    """The texts given under one name, without empty ones."""
    given = form.get(name)
    items = given if isinstance(given, list) else [given]
    return [text for item in items if isinstance(item, str) and (text := item.strip())]


def _in_order(rule: Mapping[str, Any], was: Mapping[str, Any]) -> Rule:
    """As its author ordered it; what is new in the order of the manual."""
    manual = ["Name", ROOT, "DeliverTo", "Hold", *of_rule(), "Enabled", "Examples"]
    order = [*was, *(name for name in manual if name not in was)]
    return {name: rule[name] for name in [*order, *(name for name in rule if name not in order)] if name in rule}
