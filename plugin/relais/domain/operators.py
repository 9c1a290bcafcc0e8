"""The operators: how a question compares the values of a field with what a rule wants.

Equals, In, InSet, LessThan, AtLeast and Between compare by the field's kind: numbers (DS, IS and the binary ones),
dates (DA), times (TM) and ages (AS) by what they mean, anything else as text by code point; a number in the rule
compares a text field's values as numbers. A value that is not of the kind satisfies nothing. The other operators read
the text as it stands. Text is exact, unless IgnoreCase is asked for: case and accents count, padding does not (PS3.5
section 6.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from relais.domain import fields
from relais.domain.document import fault, nearest
from relais.domain.fields import Kind
from relais.domain.globs import compile_expression, compile_folded_expression, compile_glob
from relais.domain.words import fold_blanks

Wanted = str | int | float | bool | tuple[str | int | float, ...]
Test = Callable[[str], object]
"""Whether one value satisfies an operator, as truth."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One way to ask; `compile` makes the test of one value, or raises a fault where that cannot be asked.

    `compile_folded` makes the test of one value whose case, accents and repeated blanks are gone.
    """

    name: str
    meaning: str
    example: Wanted
    compile: Callable[[fields.Field, Any], Test]
    compile_folded: Callable[[Any], Test] | None = None

    def test(self, field: fields.Field, wanted: Any, *, ignore_case: bool) -> Test:
        """The test of one value, or a fault."""
        if not ignore_case:
            return self.compile(field, wanted)
        items = wanted if isinstance(wanted, tuple) else (wanted,)
        if self.compile_folded is None or field.kind is not Kind.Text or not all(isinstance(i, str) for i in items):
            raise fault("ignore-case-without-text", name=field.name)
        self.compile(field, wanted)  # what cannot be asked exactly cannot be asked at all
        return self.compile_folded(wanted)


def _reader(field: fields.Field, wanted: Iterable[Any]) -> Callable[[str], Any]:
    """How to read the field's values so that they compare with what is wanted."""
    numbers = [isinstance(value, int | float) for value in wanted]
    if field.kind is not Kind.Text or not any(numbers):
        return fields.READ[field.kind]
    if not all(numbers):
        raise fault("mixed-kinds")
    return fields.READ[Kind.Number]


def _comparable(field: fields.Field, read: Callable[[str], Any], wanted: object) -> Any:
    if isinstance(wanted, str) and not wanted.strip():
        raise fault("empty")
    if field.words and wanted not in field.words:
        raise fault("not-one-of", name=str(wanted), known=list(field.words), nearest=nearest(str(wanted), field.words))
    value = read(str(wanted).strip())
    if value is None:
        raise fault("not-of-kind", name=str(wanted), field=field.name, kind=field.kind.value)
    return value


def _ordered(field: fields.Field, *wanted: object) -> tuple[Callable[[str], Any], list[Any]]:
    if field.kind in (Kind.Word, Kind.Clinic):
        raise fault("without-order", name=field.name)
    read = _reader(field, wanted)
    return read, [_comparable(field, read, value) for value in wanted]


def _in(field: fields.Field, wanted: tuple[Any, ...]) -> Test:
    if not wanted:
        raise fault("empty")
    read = _reader(field, wanted)
    values = _read_all(field, read, wanted)
    if read is fields.READ[Kind.Text]:
        return values.__contains__
    return lambda value: read(value) in values


@lru_cache(maxsize=256)
def _read_all(field: fields.Field, read: Callable[[str], Any], wanted: tuple[Any, ...]) -> frozenset[Any]:
    """A set may be long, and many rules may ask for it."""
    return frozenset(_comparable(field, read, value) for value in wanted)


def _in_folded(wanted: tuple[str, ...]) -> Test:
    return frozenset(_fold(each).strip() for each in wanted).__contains__


def _less_than(field: fields.Field, wanted: object) -> Test:
    read, (bound,) = _ordered(field, wanted)
    return lambda value: (seen := read(value)) is not None and seen < bound


def _at_least(field: fields.Field, wanted: object) -> Test:
    read, (bound,) = _ordered(field, wanted)
    return lambda value: (seen := read(value)) is not None and seen >= bound


def _between(field: fields.Field, wanted: tuple[Any, ...]) -> Test:
    try:
        first, last = wanted
    except ValueError:
        raise fault("not-two") from None
    read, (low, high) = _ordered(field, first, last)
    if low > high:
        raise fault("not-ordered", low=str(first), high=str(last))
    return lambda value: (seen := read(value)) is not None and low <= seen <= high


def _textual(make: Callable[[str], Test]) -> Callable[[fields.Field, str], Test]:
    def compile_text(_: fields.Field, wanted: str) -> Test:
        if not wanted:
            raise fault("empty")
        return make(wanted)

    return compile_text


def _fold(wanted: str) -> str:
    folded = fold_blanks(wanted)
    if not folded.strip():  # accents only
        raise fault("empty")
    return folded


def _folded(make: Callable[[str], Test]) -> Callable[[str], Test]:
    return lambda wanted: make(_fold(wanted))


def _starts_with(wanted: str) -> Test:
    return lambda value: value.startswith(wanted)


def _contains(wanted: str) -> Test:
    return lambda value: wanted in value


_TABLE = (
    Operator(
        name="Equals",
        meaning="A value is this one",
        example="PX",
        compile=lambda field, wanted: _in(field, (wanted,)),
        compile_folded=lambda wanted: _in_folded((wanted,)),
    ),
    Operator(
        name="In", meaning="A value is one of these", example=("IO", "PX"), compile=_in, compile_folded=_in_folded
    ),
    Operator(
        name="InSet",
        meaning="A value is in the set of this name",
        example="dental",
        compile=_in,
        compile_folded=_in_folded,
    ),
    Operator(
        name="StartsWith",
        meaning="A value starts with this",
        example="PANO",
        compile=_textual(_starts_with),
        compile_folded=_folded(_starts_with),
    ),
    Operator(
        name="Contains",
        meaning="A value has this in it",
        example="molar",
        compile=_textual(_contains),
        compile_folded=_folded(_contains),
    ),
    Operator(
        name="Matches",
        meaning="A whole value has this shape: * is any run of characters, ? any one",
        example="CS8?00*",
        compile=_textual(compile_glob),
        compile_folded=_folded(compile_glob),
    ),
    Operator(
        name="Regex",
        meaning="This regular expression (RE2) is found in a value; ^ and $ tie it to the ends",
        example="^[0-9]{8}$",
        compile=_textual(compile_expression),
        compile_folded=compile_folded_expression,
    ),
    Operator(
        name="Exists",
        meaning="There is a value (true) or there is none (false)",
        example=True,
        compile=lambda _field, _wanted: bool,
    ),
    Operator(name="LessThan", meaning="A value is smaller, earlier or younger", example=18, compile=_less_than),
    Operator(name="AtLeast", meaning="A value is this or more", example=18, compile=_at_least),
    Operator(
        name="Between",
        meaning="A value lies between these two, or is one of them",
        example=("08:00", "17:00"),
        compile=_between,
    ),
)
OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _TABLE}
