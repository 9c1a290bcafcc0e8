"""One part of the configuration under a person's hands: what it is, what they typed, what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from pydantic import ConfigDict
from werkzeug.exceptions import NotFound

from relais.configuration.models import Section
from relais.domain.document import Document, DocumentError, Problem, path_of
from relais.domain.json_text import read_shallow
from relais.versions import Version
from relais.web.composition import current_call
from relais.web.errors import RefusedError
from relais.web.pages import network_draft as draft
from relais.web.pages import network_edits as edits
from relais.web.pages.network_edits import ABSENT, Steps
from relais.web.pages.network_forms import WHOLE_PART, Form, form_of, read
from relais.web.pages.network_shapes import Shape, shape_of_model
from relais.web.pages.network_values import Posted, indented, text
from relais.web.pages.network_words import GENERAL, PARTS, Part, label

ELSEWHERE = ("Database", "ConfigurationSource", "Rules")
"""What the file alone says, and what has pages of its own."""
NAMELESS = "…"
"""Stands for the name of what has none yet, in the paths of problems."""


class PostedForm(Document):
    """A form as json-enc sends it: any names, with texts or lists of texts."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, kw_only=True)
class Told:
    """A problem or a warning in the caller's words.

    `at` is the place within the part, empty for all of it; `where` is what a person reads of the place.
    """

    at: str
    where: str
    path: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a check says: of the part, and of the rest of the document."""

    problems: Sequence[Told] = ()
    warnings: Sequence[Told] = ()
    elsewhere: Sequence[Told] = ()


@dataclass(frozen=True, kw_only=True)
class Editing:
    """What is edited; `key` is the name under which it stands in the draft, empty for a new one."""

    top: str
    part: Part | None
    shape: Shape
    version: Version
    key: str
    name: str
    value: Any
    base: Any
    mode: str = "form"
    json: str = ""
    broken: Problem | None = None

    @property
    def steps(self) -> Steps:
        """Where it stands once it is saved."""
        return (self.top, self.name or NAMELESS) if self.part else (self.top,)

    @property
    def title(self) -> str:
        """What people call it, as a message of the catalogue or as its own name."""
        return self.key if self.part else label(self.top)

    @property
    def form(self) -> Form:
        """Its fields."""
        return form_of(self.shape, self.value, draft.names_of(self.version.document))

    @property
    def as_json(self) -> str:
        """Its text in the JSON tab: what was typed there, while that is no JSON."""
        return self.json if self.broken else indented(self.value)

    @property
    def base_json(self) -> str:
        """What stood there when the page was made, for the form to carry."""
        return "" if self.base is ABSENT else json.dumps(self.base)

    @property
    def value_json(self) -> str:
        """What the fields were made from, where that is not what stood there."""
        return "" if self.value in (ABSENT, self.base) else json.dumps(self.value)

    @property
    def document(self) -> Any:
        """The draft as it would be."""
        document = dict(self.version.document)
        if self.part and self.key and self.name and self.key != self.name:
            document = edits.renamed(document, self.top, self.key, self.name)
        return self.put(document)

    def put(self, document: Any) -> Any:
        """A document with it; without it, where a general part is left to what it is by default."""
        if self.value is ABSENT:
            return edits.removed(document, self.steps)
        return edits.replaced(document, self.steps, self.value)


def tops() -> dict[str, Shape]:
    """The parts of the section that these pages edit."""
    return {top: shape for top, shape in shape_of_model(Section).items() if top not in ELSEWHERE}


def generals() -> tuple[str, ...]:
    """Those that are no lists of named things."""
    named = {part.top for part in PARTS.values()}
    return tuple(top for top in tops() if top not in named)


def opened(slug: str, key: str) -> Editing:
    """What the caller's pages show at an address; 404 where there is nothing."""
    version = draft.shown()
    part = PARTS.get(slug)
    top = part.top if part else key
    if (part is None and (slug != GENERAL or key not in generals())) or top not in tops():
        _nothing(slug, key)
    value = edits.part(version.document, (top, key) if part else (top,))
    if part is not None and value is ABSENT:
        _nothing(slug, key)
    shape = _shape(top, part)
    return Editing(top=top, part=part, shape=shape, version=version, key=key, name=key, value=value, base=value)


def fresh(slug: str, *, copied: str = "") -> Editing:
    """A new one, like another or empty."""
    part = PARTS.get(slug)
    if part is None or part.top not in tops():
        _nothing(slug, "")
    version = draft.shown()
    shape = _shape(part.top, part)
    value = edits.part(version.document, (part.top, copied)) if copied else ABSENT
    if value is ABSENT and shape.kinds:
        value = {"Kind": next(iter(shape.kinds))}
    name = _free(copied, draft.names_of(version.document).get(part.top, ())) if copied else ""
    return Editing(top=part.top, part=part, shape=shape, version=version, key="", name=name, value=value, base=ABSENT)


def typed(posted: Posted) -> Editing:
    """What a form says, in the caller's draft as it is now; what it was made from comes with it."""
    slug, key = text(posted, "@part"), text(posted, "@key")
    part = PARTS.get(slug)
    top = part.top if part else key
    if top not in tops() or (part is None and slug != GENERAL):
        _nothing(slug, key)
    base = _carried(posted, "@base", ABSENT)
    written = _carried(posted, "@from", base)
    editing = Editing(
        top=top,
        part=part,
        shape=_shape(top, part),
        version=draft.shown(),
        key=key,
        name=text(posted, "@name").strip() if part else key,
        value=written,
        base=base,
        mode=text(posted, "@mode"),
        json=text(posted, "@json"),
    )
    try:
        value = _parsed(editing.json) if editing.mode == "json" else read(editing.shape, posted, written)
        return replace(editing, value=_nothing_in(editing.shape) if part and value is ABSENT else value)
    except json.JSONDecodeError as error:
        values = {"line": error.lineno, "column": error.colno}
        return replace(editing, broken=Problem(path_of(editing.steps), "document-not-json", values))
    except (ValueError, RecursionError):
        return replace(editing, broken=Problem(path_of(editing.steps), "document-not-json", {"line": 1, "column": 1}))


def standing(editing: Editing) -> Standing:
    """Everything that is wrong with it, and with the rest of the draft."""
    prefix = path_of(editing.steps)
    if editing.broken is not None:
        return Standing(problems=[_told(editing.broken, prefix)])
    check = current_call().relais.versions.check(editing.document)
    problems = [_told(each, prefix) for each in check.problems]
    missing = [Told(at="@name", where="", path=prefix, message=_word(Problem("", "missing")))]
    return Standing(
        problems=[
            *(missing if editing.part and not editing.name else ()),
            *(each for each in problems if _inside(each.path, prefix)),
        ],
        warnings=[_told(each, prefix) for each in check.warnings if _inside(each.path, prefix)],
        elsewhere=[each for each in problems if not _inside(each.path, prefix)],
    )


def worded(problems: Iterable[Problem]) -> list[Told]:
    """Problems of a whole document in the caller's words."""
    return [Told(at="", where=each.path, path=each.path, message=_word(each)) for each in problems]


def refused(error: DocumentError, editing: Editing) -> Standing:
    """What cannot even be kept as a draft."""
    return Standing(problems=[_told(each, path_of(editing.steps)) for each in error.problems])


def _told(problem: Problem, prefix: str) -> Told:
    inside = _inside(problem.path, prefix)
    at = problem.path.removeprefix(prefix).removeprefix(".") if inside else ""
    return Told(at=at, where=at if inside else problem.path, path=problem.path, message=_word(problem))


def _word(problem: Problem) -> str:
    return current_call().texts.problem(problem)


def _inside(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith((f"{prefix}.", f"{prefix}["))


def place_in_form(told: Told, shape: Shape) -> str:
    """The name of the field that a problem is told at: that of the whole part, where the part is no object."""
    return told.at if shape.kind in ("group", "kinds") or told.at == "@name" else WHOLE_PART + told.at


def _shape(top: str, part: Part | None) -> Shape:
    shape = tops()[top]
    return shape.inner if part and shape.inner is not None else shape


def _carried(posted: Posted, name: str, otherwise: Any) -> Any:
    """What a page gave its form to carry."""
    try:
        return read_shallow(given) if (given := text(posted, name)) else otherwise
    except (ValueError, RecursionError):
        raise RefusedError(400, "The page is broken; load it again") from None


def _nothing_in(shape: Shape) -> Any:
    """What stands in a document for a named thing of which nothing is said."""
    return {} if shape.kind in ("group", "kinds", "condition") else []


def _parsed(written: str) -> Any:
    return read_shallow(written, parse_constant=_not_json) if written.strip() else ABSENT


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _free(name: str, taken: Iterable[str]) -> str:
    used = set(taken)
    number = next(number for number in range(2, len(used) + 3) if f"{name}-{number}" not in used)
    return f"{name}-{number}"


def _nothing(slug: str, key: str) -> NoReturn:
    raise NotFound(f"{slug}/{key}")


def entries(document: Mapping[str, Any], top: str) -> Mapping[str, Any]:
    """The named things of a part, whatever else stands there in a draft that is wrong."""
    found = document.get(top)
    return found if isinstance(found, Mapping) else {}
