"""Values as a form's fields hold them, and back: what a field can hold comes back as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from relais.configuration.secrets import HIDDEN
from relais.web.pages.network_edits import ABSENT
from relais.web.pages.network_shapes import SCALARS, Shape

KEY, VALUE, ROW, WAY, JSON_TEXT = "~key", "~value", "~row", "~way", "~json"
"""What follows a place in the names of fields that need more than one."""
WAYS = ("Env", "File")

Posted = Mapping[str, Any]


def texts(posted: Posted, name: str) -> list[str]:
    """Every text that a form sent under this name: json-enc sends one as it is, several as a list."""
    given = posted.get(name, [])
    return [str(each) for each in given] if isinstance(given, list) else [str(given)]


def text(posted: Posted, name: str) -> str:
    """The last text under this name."""
    return (texts(posted, name) or [""])[-1]


def parsed(shape: Shape, written: str) -> Any:
    """What a person meant by one line of text; what cannot be meant stays text, and is refused with its reason."""
    written = written.strip()
    if shape.kind in ("whole", "number") and re.fullmatch(r"-?[0-9]{1,15}", written):
        return int(written)
    if shape.kind == "number" and re.fullmatch(r"-?[0-9]{1,15}[.,][0-9]{1,15}", written):
        return float(written.replace(",", "."))
    return written


def written(value: Any) -> str:
    """A scalar as one line of text."""
    return value if isinstance(value, str) else json.dumps(value)


def fits(shape: Shape, value: Any) -> bool:
    """Whether a field of this shape can hold the value, and give it back as it is; otherwise it is shown as JSON."""
    if value is ABSENT:
        return True
    test = _TESTS.get(shape.kind)
    return test is not None and test(shape, value)


def _fits_word(_shape: Shape, value: Any) -> bool:
    return isinstance(value, str) and value.strip() == value != ""


def _fits_flag(_shape: Shape, value: Any) -> bool:
    return isinstance(value, bool)


def _fits_object(_shape: Shape, value: Any) -> bool:
    return isinstance(value, Mapping)


def _fits_lines(shape: Shape, value: Any) -> bool:
    return isinstance(value, list) and all(fits(shape.inner or shape, each) for each in value)


def _fits_boxes(shape: Shape, value: Any) -> bool:
    return _fits_lines(shape, value) and len(set(value)) == len(value)


def _fits_pairs(shape: Shape, value: Any) -> bool:
    return isinstance(value, Mapping) and all(_fits_pair(shape, *pair) for pair in value.items())


def _fits_rows(_shape: Shape, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) and each for each in value)


def _fits_line(shape: Shape, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return False
    line = written(value)
    if len(line.splitlines()) > 1:
        return False
    if shape.kind == "day" and not _is_day(line):
        return False
    back = parsed(shape, line)
    return bool(back == value and type(back) is type(value))


def _fits_pair(shape: Shape, key: str, value: Any) -> bool:
    if len(key.splitlines()) > 1 or (key, value) == ("", ""):
        return False
    if isinstance(value, str) and (shape.inner is None or shape.inner.kind == "text"):
        return "\n" not in value and "\r" not in value
    return shape.inner is not None and fits(shape.inner, value)


def _fits_secret(_shape: Shape, value: Any) -> bool:
    if isinstance(value, str):
        return value == HIDDEN
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    way, name = next(iter(value.items()))
    return way in WAYS and isinstance(name, str) and name.strip() == name != "" and len(name.splitlines()) == 1


_TESTS: Mapping[str, Callable[[Shape, Any], bool]] = {
    **dict.fromkeys(SCALARS, _fits_line),
    **dict.fromkeys(("choice", "fixed"), _fits_word),
    **dict.fromkeys(("group", "kinds"), _fits_object),
    "flag": _fits_flag,
    "secret": _fits_secret,
    "lines": _fits_lines,
    "boxes": _fits_boxes,
    "pairs": _fits_pairs,
    "rows": _fits_rows,
}


def _is_day(line: str) -> bool:
    try:
        return date.fromisoformat(line).isoformat() == line
    except ValueError:
        return False


def is_empty(value: Any) -> bool:
    """Whether a field shows nothing for it."""
    return value is ABSENT or value in ([], {})


def indented(value: Any) -> str:
    """A part of a document as people read and write it; nothing for nothing."""
    return "" if value is ABSENT else json.dumps(value, indent=2, ensure_ascii=False)


def several(value: Any) -> Sequence[Any]:
    """The items of a list, none where there is none."""
    return value if isinstance(value, list) else []
