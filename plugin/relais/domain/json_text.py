"""JSON as RFC 8259 has it, and nothing that it leaves open."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class RepeatedKeyError(ValueError):
    """One object has the key `name` more than once: JSON does not say which counts (section 4), so neither does."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def read_json(text: str) -> object:
    """The document.

    Raises json.JSONDecodeError where it is not JSON, RecursionError, RepeatedKeyError, and ValueError for a number that
    nobody can keep, such as NaN, 1e999 or one of 5,000 digits.
    """
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
