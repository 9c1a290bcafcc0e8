"""An instance's attributes, as Orthanc answers them, read as the facts that rules ask about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydicom.datadict import keyword_for_tag

from relais.domain.fields import DEEPEST_PATH

LONGEST_VALUE = 1024
MOST_ITEMS = 20
"""Items of one sequence: those of a multi-frame image may be thousands, one for each frame."""
MOST_NESTED, MOST_NESTED_CHARACTERS = 200, 16_000
"""Values and characters of all sequences together."""


def texts(answer: Mapping[str, Any]) -> dict[str, str]:
    """The text values by DICOM keyword; private and nested ones are left out. `answer` is that of `tags?short`."""
    return {
        keyword: text
        for tag, value in answer.items()
        if isinstance(value, str) and (keyword := _keyword(tag)) and (text := _clean(value))
    }


def nested(answer: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The distinct values inside sequences, of all items together, by the way of keywords that leads to them.

    Of a great many only the first are kept, by the order of tags.
    """
    found: dict[str, dict[str, None]] = {}
    count = characters = 0
    for path, value in _walk(answer, ""):
        values = found.setdefault(path, {})
        if value in values:
            continue
        count, characters = count + 1, characters + len(value)
        if count > MOST_NESTED or characters > MOST_NESTED_CHARACTERS:
            break
        values[value] = None
    return {path: tuple(values) for path, values in found.items() if values}


def _walk(item: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for tag, value in sorted(item.items()):
        keyword = _keyword(tag)
        if not keyword:
            continue
        if isinstance(value, list):
            if prefix.count(".") < DEEPEST_PATH - 1:
                for each in value[:MOST_ITEMS]:
                    if isinstance(each, Mapping):
                        yield from _walk(each, f"{prefix}{keyword}.")
        elif prefix and isinstance(value, str):
            for part in value.split("\\"):
                if text := _clean(part):
                    yield prefix + keyword, text


def _keyword(tag: str) -> str:
    return keyword_for_tag(tag.replace(",", ""))


def _clean(value: str) -> str:
    return value.replace("\x00", "").encode(errors="replace").decode()[:LONGEST_VALUE].strip()
