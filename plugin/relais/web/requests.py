"""Requests, checked before anything else looks at them: headers, then the body as JSON, then its shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from flask import Request

from relais.domain.document import Document, DocumentError, Problem, parse, path_of
from relais.domain.json_text import RepeatedKeyError, read_json
from relais.web.errors import RefusedError, invalid

LARGEST = 1_000_000
"""Bytes of a JSON body."""
DEEPEST = 40
"""Levels of nesting: far more than any rule needs, far less than any parser's limit."""

AnyDocument = TypeVar("AnyDocument", bound=Document)


def check_origin(request: Request) -> None:
    """A write from a browser must carry `X-Relais: 1`, which no other site's page can send; Orthanc does not guard."""
    if request.method == "GET":
        return
    from_browser = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers
    if from_browser and request.headers.get("X-Relais") != "1":
        raise RefusedError(403, "A write from a browser needs the header X-Relais: 1")


def read_query(request: Request, model: type[AnyDocument]) -> AnyDocument:
    """The query string as `model`; raises RefusedError (422) with every problem."""
    return _shaped(model, dict(request.args.items()))


def read_body(request: Request, model: type[AnyDocument]) -> AnyDocument:
    """The JSON body as `model`; raises RefusedError: 415, 413, 400 when it is not JSON, 422 when it is not valid."""
    if request.mimetype not in getattr(model, "MEDIA", ("application/json",)):
        raise RefusedError(415, "Send the body as application/json")
    body = request.get_data(cache=False)
    limit = getattr(model, "LARGEST_BODY", LARGEST)
    if len(body) > limit:
        raise RefusedError(413, "The body has more than {limit} bytes", {"limit": limit})
    if (read := getattr(model, "of_bytes", None)) is not None:
        found: AnyDocument = read(body)
        return found
    return _shaped(model, _json(body))


def _shaped(model: type[AnyDocument], document: object) -> AnyDocument:
    if problems := [Problem(path_of(path), "bad-text") for path, value in _walk(document) if not _is_storable(value)]:
        raise invalid(problems)
    try:
        return parse(model, document)
    except DocumentError as error:
        raise invalid(error.problems) from None


def _json(body: bytes) -> object:
    if not body.strip():
        raise RefusedError(400, "The body is empty")
    try:
        document = read_json(body.decode())
    except UnicodeDecodeError:
        raise RefusedError(400, "The body is not UTF-8") from None
    except RecursionError:
        raise RefusedError(400, "The body is nested deeper than {limit} levels", {"limit": DEEPEST}) from None
    except json.JSONDecodeError as error:
        raise RefusedError(
            400, "The body is not JSON: line {line}, column {column}", {"line": error.lineno, "column": error.colno}
        ) from None
    except RepeatedKeyError as error:
        name = error.name[:100]
        raise RefusedError(400, "The body has the key {name} more than once in one object", {"name": name}) from None
    except ValueError:
        raise RefusedError(400, "The body has a number that cannot be kept") from None
    if any(len(path) > DEEPEST for path, _ in _walk(document)):
        raise RefusedError(400, "The body is nested deeper than {limit} levels", {"limit": DEEPEST})
    return document


def _walk(document: object) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Every key and every value with its path."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if len(path) > DEEPEST:
            continue
        if isinstance(value, dict):
            for key, item in value.items():
                yield (*path, key), key
                waiting.append(((*path, key), item))
        elif isinstance(value, list):
            waiting.extend(((*path, index), item) for index, item in enumerate(value))


def _is_storable(value: object) -> bool:
    """Whether databases take it: text without NUL and half surrogates, integers of 64 bits."""
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63
