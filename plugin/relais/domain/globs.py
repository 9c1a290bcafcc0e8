"""Patterns that people write: globs and regular expressions. RE2 runs both, so none can hang."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import re2

from relais.domain.document import fault
from relais.domain.words import fold_blanks


def compile_glob(pattern: str) -> Callable[[str], object]:
    """A test of whole values: `*` is any run of characters, `?` any one, everything else is itself."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.__eq__
    if "?" not in pattern:
        return _runs(pattern.split("*"))
    shape = "".join({"*": ".*", "?": "."}.get(character) or re2.escape(character) for character in pattern)
    return _compile(f"(?s){shape}").fullmatch


def _runs(parts: list[str]) -> Callable[[str], bool]:
    """A test for these parts one after the other, with anything between them."""
    first, *inner, last = parts
    least = len(first) + len(last)

    def test(value: str) -> bool:
        if len(value) < least or not value.startswith(first) or not value.endswith(last):
            return False
        at, end = len(first), len(value) - len(last)
        for part in inner:
            at = value.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return test


def compile_expression(pattern: str) -> Callable[[str], object]:
    """A test that finds the expression in a value; raises a fault on one that RE2 does not know."""
    return _compile(pattern).search


def compile_folded_expression(pattern: str) -> Callable[[str], object]:
    """The same for values in lower case without accents, whatever the case and accents of the expression's letters."""
    plain = "".join(letter if letter.isascii() else _plain(letter) for letter in pattern)
    return _compile(f"(?i){plain}").search


def _plain(letter: str) -> str:
    folded = fold_blanks(letter)
    return folded if folded.isalnum() else letter


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        (reason,) = error.args
        raise fault("bad-expression", reason=reason.decode() if isinstance(reason, bytes) else str(reason)) from None
