"""A version's document: the whole section except what the file alone says, and secrets only as references."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from relais.configuration.models import Section
from relais.configuration.secrets import HIDDEN, Secret
from relais.domain.document import Document, DocumentError, Problem, path_of
from relais.domain.json_text import RepeatedKeyError, read_json

SEAT = ("Database", "ConfigurationSource")
"""What the file alone says, whichever version is active."""
LARGEST = 4_000_000
"""Bytes of a document's JSON."""
DEEPEST = 40
"""Levels of nesting."""

_PASSWORD = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


def read_text(text: str | bytes) -> dict[str, Any]:
    """JSON that a person wrote or a file holds, as the document of a version.

    Takes a document, or a whole Orthanc configuration with its `Relais` section. Raises DocumentError: too large, not
    UTF-8, not JSON, keys written twice, numbers that JSON does not know, not an object.
    """
    if len(text) > LARGEST or (isinstance(text, str) and len(text.encode(errors="replace")) > LARGEST):
        raise DocumentError([Problem("", "document-too-large", {"limit": LARGEST})])
    try:
        document = read_json(text.decode() if isinstance(text, bytes) else text)
    except json.JSONDecodeError as error:
        values = {"line": error.lineno, "column": error.colno}
        raise DocumentError([Problem("", "document-not-json", values)]) from None
    except RecursionError:
        raise DocumentError([Problem("", "document-too-deep", {"limit": DEEPEST})]) from None
    except RepeatedKeyError as error:
        raise DocumentError([Problem("", "repeated-key", {"name": error.name})]) from None
    except ValueError:  # not UTF-8, or a number that nobody can keep
        raise DocumentError([Problem("", "document-unreadable")]) from None
    return own(document)


def own(document: object) -> dict[str, Any]:
    """The document without what the file alone says; the `Relais` section of a whole Orthanc configuration.

    Raises DocumentError: not an object, too large, too deep, or text that no database keeps.
    """
    if isinstance(document, Mapping) and isinstance(document.get("Relais"), Mapping):
        document = document["Relais"]
    if not isinstance(document, Mapping):
        raise DocumentError([Problem("", "document-not-object")])
    kept = without_seat(document)
    if problems := tuple(_unstorable(kept)):
        raise DocumentError(problems)
    if len(canonical(kept)) > LARGEST:
        raise DocumentError([Problem("", "document-too-large", {"limit": LARGEST})])
    return kept


def without_seat(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without Database and ConfigurationSource."""
    return {key: value for key, value in document.items() if key not in SEAT}


def canonical(document: object) -> str:
    """The one way to write a document: sorted keys, no spaces, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def digest_of(document: object) -> str:
    """SHA-256 of the canonical JSON, in hex: what tells versions apart."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def literal_secrets(document: object) -> Iterator[Problem]:
    """Every secret that is written in place, also in a document that is otherwise wrong."""
    for path, value in _literal_places(document):
        yield Problem(path_of(path), "literal-secret", {"hidden": True} if value == HIDDEN else {})


def exposed_secrets(document: object) -> tuple[Problem, ...]:
    """The literal secrets that must not be stored: all but those that are hidden already."""
    return tuple(problem for problem in literal_secrets(document) if not problem.values.get("hidden"))


def hide_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with three asterisks for each secret that is written in place."""
    hidden: dict[str, Any] = json.loads(json.dumps(document))
    for path, _ in _literal_places(hidden):
        place: Any = hidden
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = HIDDEN
    return hidden


Place = tuple[str | int, ...]


def _literal_places(document: object) -> list[tuple[Place, str]]:
    found = dict(_literal(Section, document, ()))
    found |= {path: value for path, value in _walk(document) if isinstance(value, str) and _PASSWORD.search(value)}
    return list(found.items())


def _literal(annotation: Any, value: object, path: Place) -> Iterator[tuple[Place, str]]:
    """Follow the models' types along the document."""
    if annotation is Secret:
        if isinstance(value, str):
            yield path, value
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Annotated, Union, UnionType):
        for each in arguments[:1] if origin is Annotated else arguments:
            yield from _literal(each, value, path)
    else:
        for inside, item, step in _inside(annotation, arguments, value):
            yield from _literal(inside, item, (*path, step))


def _inside(annotation: Any, arguments: tuple[Any, ...], value: object) -> Iterator[tuple[Any, object, str | int]]:
    """What the value has inside, each with its type and its key or place."""
    if isinstance(annotation, type) and issubclass(annotation, Document):
        if isinstance(value, Mapping):
            aliases = {str(known.alias): known.annotation for known in annotation.model_fields.values()}
            yield from ((inside, value[alias], alias) for alias, inside in aliases.items() if alias in value)
    elif isinstance(value, Mapping) and len(arguments) == 2:  # noqa: PLR2004 - Mapping[key, value]
        yield from ((arguments[1], item, str(key)) for key, item in value.items())
    elif isinstance(value, list | tuple) and arguments:
        yield from ((arguments[0], item, index) for index, item in enumerate(value))


def _unstorable(document: object) -> Iterator[Problem]:
    for path, value in _walk(document):
        if len(path) > DEEPEST:
            yield Problem(path_of(path[:1]), "document-too-deep", {"limit": DEEPEST})
            return
        parts = (*path[-1:], value)
        if any(isinstance(part, str) and not _is_text(part) for part in parts):
            yield Problem(path_of(path[:-1]) if not _is_text(str(path[-1])) else path_of(path), "bad-text")
        elif isinstance(value, float) and not math.isfinite(value):
            yield Problem(path_of(path), "not-number")


def _walk(document: object) -> Iterator[tuple[Place, object]]:
    waiting: list[tuple[Place, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if path:
            yield path, value
        if len(path) > DEEPEST:
            continue
        if isinstance(value, Mapping):
            waiting.extend(((*path, str(key)), item) for key, item in value.items())
        elif isinstance(value, list | tuple):
            waiting.extend(((*path, index), item) for index, item in enumerate(value))


def _is_text(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
