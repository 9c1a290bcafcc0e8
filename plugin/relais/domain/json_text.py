"""JSON as RFC 8259 has it, and nothing that it leaves open."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

DEEPEST = 100
"""Levels that are read: Orthanc's threads have a small stack, and a parser that goes down too far ends the process."""
_MARKS = re.compile(r'"(?:[^"\\]+|\\.?)*"?|[\[\]{}]', re.DOTALL)


class RepeatedKeyError(ValueError):
    """One object has the key `name` more than once: JSON does not say which counts (section 4), so neither does."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class TooDeepError(ValueError, RecursionError):
    """The text is nested deeper than DEEPEST; nothing of it was read."""


def check_depth(text: str) -> None:
    """Raises TooDeepError."""
    if text.count("{") + text.count("[") <= DEEPEST:
        return
    depth = 0
    for mark in _MARKS.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(mark[0], 0)
        if depth > DEEPEST:
            raise TooDeepError


def read_shallow(text: str, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """What the text says as JSON, read as Python does; raises ValueError (TooDeepError among them)."""
    check_depth(text)
    return json.loads(text, parse_constant=parse_constant)


def read_json(text: str) -> object:
    """The document.

    Raises json.JSONDecodeError where it is not JSON, RecursionError, RepeatedKeyError, and ValueError for a number that
    nobody can keep, such as NaN, 1e999 or one of 5,000 digits.
    """
    check_depth(text)
    document: object = json.loads(text, object_pairs_hook=_once, parse_constant=_not_json, parse_float=_finite)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return found


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
