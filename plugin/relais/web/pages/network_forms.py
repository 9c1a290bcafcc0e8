"""Forms made from the models: a part of the document as fields, and the fields as that part again.

A field's name is its place within the part, as problems tell it: `Jurisdiction.Storage`, `Windows[0].From`. What a
field cannot hold is edited as JSON in its place, so that nothing a document can say is lost in a form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from relais.configuration.secrets import HIDDEN
from relais.domain.document import Document, path_of
from relais.domain.json_text import read_shallow
from relais.web.pages.network_edits import ABSENT
from relais.web.pages.network_shapes import ANY_CLINIC, Shape, described, required, shape_of_model
from relais.web.pages.network_values import (
    JSON_TEXT,
    KEY,
    ROW,
    VALUE,
    WAY,
    Posted,
    fits,
    indented,
    is_empty,
    parsed,
    several,
    text,
    texts,
    written,
)

WHOLE_PART = "@value"
"""The name of the field of a part that is no object, such as a set."""
EMPTY_ROW = "#"
"""Stands for the index in the names of the row that others are made from."""
Names = Mapping[str, tuple[str, ...]]
"""The names that each part of the section defines."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One option as a form shows it: `at` is where it stands within the part, and the name of its inputs.

    `value` is a text, True or False, a list of texts (`boxes`), of pairs (`pairs`) or of rows (`rows`, each its index
    and fields; index None is the empty row that others are made from); a secret's is its way and its name.
    """

    at: str
    alias: str
    kind: str
    value: Any = ""
    given: bool = False
    required: bool = False
    help: str = ""
    default: str = ""
    example: str = ""
    options: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    of: str = "text"
    names: str | None = None

    @property
    def identity(self) -> str:
        """The id of its input in the page."""
        return "f-" + "".join(letter if letter.isalnum() else f"_{ord(letter):x}_" for letter in self.at)


@dataclass(frozen=True, kw_only=True)
class Form:
    """The fields of a part; `unknown` are the keys that the models do not know."""

    fields: tuple[Field, ...]
    unknown: tuple[str, ...] = field(default=())


def form_of(shape: Shape, value: Any, names: Names) -> Form:
    """The form of a part of the document."""
    given = {} if value is ABSENT else value
    if shape.kind not in ("group", "kinds") or not isinstance(given, Mapping):
        return Form(fields=(_field(WHOLE_PART, WHOLE_PART, shape, value, names, {}),))
    model = _model(shape, given)
    if model is None:
        kind = Shape(kind="choice", options=tuple(shape.kinds))
        found = _field("Kind", "Kind", kind, given.get("Kind", ABSENT), names, {})
        return Form(fields=(found,), unknown=tuple(key for key in given if key != "Kind"))
    unknown = tuple(key for key in given if key not in shape_of_model(model))
    return Form(fields=_fields(model, given, "", names, shape), unknown=unknown)


def _model(shape: Shape, value: Mapping[str, Any]) -> type[Document] | None:
    return shape.model or shape.kinds.get(str(value.get("Kind")))


def _fields(model: type[Document], value: Mapping[str, Any], at: str, names: Names, of: Shape) -> tuple[Field, ...]:
    told, must = described(model), required(model)
    return tuple(
        _field(
            _place(at, alias),
            alias,
            Shape(kind="choice", options=tuple(of.kinds)) if alias == "Kind" and of.kinds else shape,
            value.get(alias, ABSENT),
            names,
            {**told[alias], "required": alias in must},
        )
        for alias, shape in shape_of_model(model).items()
    )


def _place(at: str, step: str | int) -> str:
    following = path_of((step,)) if at == "" else path_of(("x", step))[1:]
    return at + following


def _field(at: str, alias: str, shape: Shape, value: Any, names: Names, told: Mapping[str, Any]) -> Field:
    default = told.get("default")
    example = next(iter(told.get("examples", ())), None)
    kind = shape.kind if fits(shape, value) and shape.kind != "condition" else "json"
    fixed = {
        "at": at,
        "alias": alias,
        "kind": kind,
        "given": value is not ABSENT,
        "required": told.get("required", False),
        "help": told.get("description", ""),
        "default": _brief(default),
        "example": _brief(example),
    }
    if kind == "json":
        return Field(**fixed, value=indented(value))
    return Field(**fixed, **_held(at, shape, value, names, default))


def _held(at: str, shape: Shape, value: Any, names: Names, default: Any) -> dict[str, Any]:
    """What a field of this shape shows of the value, beyond what all fields do."""
    given = None if value is ABSENT else value
    if shape.kind == "flag":
        return {"value": bool(default) if given is None else given}
    if shape.kind == "secret":
        return {"value": _secret(given)}
    if shape.kind in ("lines", "boxes", "pairs"):
        return _held_list(shape, given or {}, names)
    if shape.kind == "rows" and shape.inner is not None and shape.inner.model is not None:
        model, known = shape.inner.model, several(given)
        rows = [(index, _fields(model, item, _place(at, index), names, shape)) for index, item in enumerate(known)]
        return {"value": [*rows, (None, _fields(model, {}, f"{at}[{EMPTY_ROW}]", names, shape))]}
    if shape.model is not None:
        return {"fields": _fields(shape.model, given or {}, at, names, shape)}
    known = (*shape.options, *names.get(shape.names or "", ()))
    offered = _distinct((*known, given) if given else known) if shape.names or shape.options else ()
    return {"value": "" if given is None else written(given), "options": offered, "names": shape.names}


def _held_list(shape: Shape, given: Any, names: Names) -> dict[str, Any]:
    of = shape.inner.kind if shape.inner else "text"
    if shape.kind == "lines":
        return {"value": "\n".join(map(written, given)), "of": of}
    if shape.kind == "boxes":
        return {"value": list(given), "options": _choices(shape, given, names)}
    top = shape.key.names if shape.key else None
    pairs = [(key, written(each)) for key, each in given.items()]
    return {"value": pairs, "options": _distinct((*names.get(top, ()), *given)) if top else (), "of": of}


def _distinct(several: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(several))


def _choices(shape: Shape, given: Any, names: Names) -> tuple[str, ...]:
    """What can be ticked, in an order in which what is ticked keeps its own."""
    of_names = names.get((shape.inner and shape.inner.names) or "", ())
    known = ((ANY_CLINIC,) if shape.everything else ()) + shape.options + of_names
    in_order = [each for each in known if each in given] == list(given)
    return known if in_order else _distinct((*given, *known))


def _secret(given: Any) -> tuple[str, str]:
    if isinstance(given, Mapping):
        way, name = next(iter(given.items()))
        return str(way), str(name)
    return ("Literal" if given else ""), ""


def _brief(value: Any) -> str:
    """A default or an example beside its field; nothing where a line does not hold it."""
    if value is None or isinstance(value, Mapping) or value in ([], ""):
        return ""
    if isinstance(value, bool):
        return ""
    if isinstance(value, list):
        return ", ".join(written(each) for each in value) if all(isinstance(e, str | int) for e in value) else ""
    return written(int(value) if isinstance(value, float) and value.is_integer() else value)


def read(shape: Shape, posted: Posted, base: Any) -> Any:
    """The part that a form's fields tell; what they cannot tell apart from its absence stays as it is in `base`.

    Raises json.JSONDecodeError where a field that is edited as JSON holds none.
    """
    if shape.kind in ("group", "kinds") and WHOLE_PART not in posted and WHOLE_PART + JSON_TEXT not in posted:
        given = base if isinstance(base, Mapping) else {}
        kind = text(posted, "Kind")
        model = shape.model or shape.kinds.get(kind)
        if model is None:
            return {**given, **({"Kind": kind} if kind else {})}
        before = _model(shape, given)
        known = shape_of_model(before) if before is not None else {}
        kept = {key: each for key, each in given.items() if key not in known and key not in shape_of_model(model)}
        return {**_object(model, posted, "", given), **kept}
    return _one(shape, posted, WHOLE_PART, base, None)


def _object(model: type[Document], posted: Posted, at: str, base: Any) -> dict[str, Any]:
    """The options that were given, in the order in which they stand in `base`, new ones last."""
    before = base if isinstance(base, Mapping) else {}
    told = described(model)
    found = {
        alias: _one(shape, posted, _place(at, alias), before.get(alias, ABSENT), told[alias].get("default"))
        for alias, shape in shape_of_model(model).items()
    }
    unknown = {key: value for key, value in before.items() if key not in found and at}
    return {key: value for key in (*before, *found) if (value := {**found, **unknown}.get(key, ABSENT)) is not ABSENT}


def _one(shape: Shape, posted: Posted, at: str, base: Any, default: Any) -> Any:
    """One option, or ABSENT."""
    if at + JSON_TEXT in posted:
        return read_shallow(as_json) if (as_json := text(posted, at + JSON_TEXT).strip()) else ABSENT
    if shape.kind == "flag":
        ticked = text(posted, at) == "true"
        return ticked if ticked is not bool(default) or base is ticked else ABSENT
    value = _collected(shape, posted, at, base)
    return base if is_empty(value) and is_empty(base) else ABSENT if is_empty(value) else value


def _collected(shape: Shape, posted: Posted, at: str, base: Any) -> Any:
    if shape.kind == "lines":
        lines = text(posted, at).splitlines()
        return [parsed(shape.inner or shape, line) for line in lines if line.strip()]
    if shape.kind == "boxes":
        return [each for each in texts(posted, at) if each]
    if shape.kind == "pairs":
        return _pairs(shape.inner or shape, posted, at)
    if shape.kind == "rows" and shape.inner is not None and shape.inner.model is not None:
        return _rows(shape.inner.model, posted, at, base)
    if shape.kind == "group" and shape.model is not None:
        return _object(shape.model, posted, at, base)
    return _line(shape, posted, at)


def _line(shape: Shape, posted: Posted, at: str) -> Any:
    line = parsed(shape, text(posted, at))
    if shape.kind != "secret":
        return ABSENT if line == "" else line
    way = text(posted, at + WAY)
    return HIDDEN if way == "Literal" else {way: line} if way and line else ABSENT


def _pairs(inner: Shape, posted: Posted, at: str) -> dict[str, Any]:
    pairs = zip(texts(posted, at + KEY), texts(posted, at + VALUE), strict=False)
    return {
        key.strip(): value if inner.kind == "text" else parsed(inner, value)
        for key, value in pairs
        if key.strip() or value.strip()
    }


def _rows(model: type[Document], posted: Posted, at: str, base: Any) -> list[Any]:
    before = several(base)
    found = []
    for index in texts(posted, at + ROW):
        if index.isdecimal():
            known = before[int(index)] if int(index) < len(before) else ABSENT
            found.append(_object(model, posted, _place(at, int(index)), known))
    return [row for row in found if row]
