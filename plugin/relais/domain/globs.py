"""Patterns that people write: globs and regular expressions. RE2 runs both, so none can hang."""

from __future__ import annotations

import re
from collections.abc import Callable

import re2

from relais.domain.document import fault


def compile_glob(pattern: str) -> Callable[[str], object]:
    """A test of whole values: `*` is any run of characters, `?` any one, everything else is itself."""
    if not re.search(r"[*?]", pattern):
        return pattern.__eq__
    shape = "".join({"*": ".*", "?": "."}.get(character) or re2.escape(character) for character in pattern)
    return _compile(f"(?s){shape}").fullmatch


def compile_expression(pattern: str) -> Callable[[str], object]:
    """A test that finds the expression in a value; raises a fault on one that RE2 does not know."""
    return _compile(pattern).search


def _compile(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        (reason,) = error.args
        raise fault("bad-expression", reason=reason.decode() if isinstance(reason, bytes) else str(reason)) from None
