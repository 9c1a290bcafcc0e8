"""Documents that people write, parsed at the edge: frozen models, and every problem with its path.

A problem is data (a path, a code, values); `relais.texts` words it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum, StrEnum
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
)
from pydantic.alias_generators import to_pascal
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a document: where, what, and the values that say it precisely."""

    path: str
    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


class DocumentError(Exception):
    """A document was refused; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.path}: {problem.code}" for problem in self.problems))


@dataclass(frozen=True, kw_only=True)
class References:
    """The context in which people's documents are validated: the names that may be referred to, None for any.

    Values that code hands to a model have no context, and are not checked for names.
    """

    destinations: frozenset[str] | None = None
    clinics: frozenset[str] | None = None
    sources: frozenset[str] | None = None
    sets: Mapping[str, object] = field(default_factory=dict)
    conditions: Mapping[str, object] = field(default_factory=dict)
    """Sets and conditions by name, as they were written: whoever refers to one needs what it says."""
    read: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)
    """What was read of them so far."""


class Document(BaseModel):
    """A part of a document: PascalCase outside, snake_case inside, nothing unknown, nothing changed later."""

    model_config = ConfigDict(
        alias_generator=to_pascal,
        validate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,
    )
    LATER: ClassVar[frozenset[str]] = frozenset()
    """Keys that belong to the format and that this version refuses by name."""


AnyDocument = TypeVar("AnyDocument", bound=Document)
AnyItems = TypeVar("AnyItems", bound=Collection[Any] | None)


NO_REFERENCES = References()
LONGEST_KEY = 200
LONGEST_WORD = 64
"""No longer word is compared with the known ones: that would take its sender's time from everybody."""


def parse(model: type[AnyDocument], document: object, references: References = NO_REFERENCES) -> AnyDocument:
    """The document as `model`; raises DocumentError with every problem."""
    try:
        return model.model_validate(document, context=references, by_alias=True, by_name=False)
    except ValidationError as error:
        raise DocumentError(_problem(model, detail) for detail in error.errors()) from None


def fault(code: str, **values: Any) -> PydanticCustomError:
    """What a validator raises; the code and the values become a Problem."""
    return PydanticCustomError(code, code, values)


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that was probably meant, or None."""
    if len(word) > LONGEST_WORD:
        return None
    folded = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def path_of(location: Iterable[str | int]) -> str:
    """A location as a person writes it: `Rules[2].When.All[0].Regex`, `Users["a@b.ca"].Roles`."""
    path = ""
    for part in location:
        if isinstance(part, str) and len(part) > LONGEST_KEY:
            part = part[: LONGEST_KEY - 1] + "…"  # noqa: PLW2901 - a mark that no key on a path has
        if isinstance(part, int):
            path += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            path += f".{part}" if path else part
        else:
            path += f"[{json.dumps(part, ensure_ascii=False)}]"
    return path


def _problem(model: type[Document], detail: Any) -> Problem:
    location = detail["loc"]
    if location and location[-1] == "[key]":  # pydantic's word for a key that is itself wrong
        location = location[:-1]
    code, values = detail["type"], dict(detail.get("ctx", {}))
    if code in _WITHOUT_KIND:
        return _without_kind(path_of((*location, "Kind")), code, values)
    place, owner = _walk(model, location)
    if code == "extra_forbidden":
        key = str(place[-1])
        _, owner = _walk(model, location[:-1])
        if owner and key in owner.LATER:
            code, values = "later", {"name": key}
        else:
            keys = [str(known.alias) for known in owner.model_fields.values()] if owner else []
            code, values = "unknown-key", {"name": key, "nearest": nearest(key, keys), "known": keys}
    return Problem(path_of(place), code, {**values, "detail": detail["msg"]})


_WITHOUT_KIND = {"union_tag_invalid", "union_tag_not_found"}


def _without_kind(path: str, code: str, values: Mapping[str, Any]) -> Problem:
    """A document whose Kind, which says what else belongs into it, is missing or unknown."""
    if code == "union_tag_not_found":
        return Problem(path, "missing")
    known = re.findall(r"'([^']*)'", values["expected_tags"])
    word = str(values["tag"])
    return Problem(path, "not-one-of", {"name": word, "known": known, "nearest": nearest(word, known)})


def _walk(model: type[Document], location: Iterable[str | int]) -> tuple[list[str | int], type[Document] | None]:
    """The place as a person writes it, and the model that reads it.

    Where several models are told apart by their Kind, pydantic adds the kind to the location; no person does.
    """
    place: list[str | int] = []
    annotation: Any = model
    for part in location:
        kinds = {tag: each for each in get_args(annotation) for tag in _kinds_of(each)}
        if part in kinds and isinstance(annotation, UnionType):
            annotation = kinds[part]
            continue
        place.append(part)
        if isinstance(annotation, type) and issubclass(annotation, Document):
            found = [known for known in annotation.model_fields.values() if known.alias == part]
            annotation = _bare(found[0].annotation) if found else None
        else:  # Mapping[str, X] or tuple[X, ...]
            arguments = get_args(annotation)
            annotation = _bare(arguments[0 if isinstance(part, int) else -1]) if arguments else None
    return place, annotation if isinstance(annotation, type) and issubclass(annotation, Document) else None


def _kinds_of(model: Any) -> tuple[Any, ...]:
    """The values of a model's Kind, if it has one."""
    known = getattr(model, "model_fields", {}).get("kind")
    return get_args(known.annotation) if known else ()


def _bare(annotation: Any) -> Any:
    """X of `X | None` and of `Annotated[X, …]`; anything else as it is."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    options = get_args(annotation)
    if len(options) == 2 and options[1] is type(None):  # noqa: PLR2004 - X and None
        return _bare(options[0])
    return annotation


class OneOf:
    """Annotates an enumeration that documents write by its words: a StrEnum's values, another's names."""

    def __init__(self, words: type[Enum]) -> None:
        text = issubclass(words, StrEnum)
        self._members = {str(member.value) if text else member.name: member for member in words}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        words = {member: word for word, member in self._members.items()}
        return core_schema.no_info_plain_validator_function(
            self._parse, serialization=core_schema.plain_serializer_function_ser_schema(words.__getitem__)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "enum": list(self._members)}

    def _parse(self, value: object) -> Enum:
        if isinstance(value, Enum) and value in self._members.values():
            return value
        if not isinstance(value, str):
            raise fault("string_type")
        if value not in self._members:
            known = list(self._members)
            raise fault("not-one-of", name=value, known=known, nearest=nearest(value, known))
        return self._members[value]


def _filled(text: str) -> str:
    if not text.strip():
        raise fault("empty")
    return text


def _some(items: AnyItems) -> AnyItems:
    if items is not None and not items:
        raise fault("empty")
    return items


def _distinct(items: tuple[str, ...]) -> tuple[str, ...]:
    seen: set[str] = set()
    for item in items:
        if item in seen:
            raise fault("duplicate", name=item)
        seen.add(item)
    return items


def at_most(characters: int) -> AfterValidator:
    """A text of at most so many characters."""

    def check(text: Any) -> Any:
        if isinstance(text, str) and len(text) > characters:
            raise fault("too-long", limit=characters)
        return text

    return AfterValidator(check)


def _destination(name: str, info: ValidationInfo) -> str:
    known = info.context.destinations if isinstance(info.context, References) else None
    if known is not None and name not in known:
        raise fault("unknown-destination", name=name, nearest=nearest(name, known))
    return name


def check_clinic(name: str, info: ValidationInfo) -> str:
    """The name, if a clinic has it or if any may be named."""
    known = info.context.clinics if isinstance(info.context, References) else None
    if known is not None and name not in known:
        raise fault("unknown-clinic", name=name, nearest=nearest(name, known))
    return name


def _source(name: str, info: ValidationInfo) -> str:
    known = info.context.sources if isinstance(info.context, References) else None
    if known is not None and name not in known:
        raise fault("unknown-source", name=name, nearest=nearest(name, known))
    return name


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        raise fault("bad-name", name=text)
    return text


def _region(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", text):
        raise fault("bad-region", name=text)
    return text


NotEmpty = AfterValidator(_some)
Text = Annotated[str, AfterValidator(_filled)]
Name = Annotated[str, AfterValidator(_name)]
Region = Annotated[str, AfterValidator(_region)]
"""A country or subdivision code (ISO 3166-2), such as CA-QC."""
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
DestinationName = Annotated[str, AfterValidator(_destination)]
SourceName = Annotated[str, AfterValidator(_source)]
DestinationNames = Annotated[tuple[DestinationName, ...], AfterValidator(_distinct)]
