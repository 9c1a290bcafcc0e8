"""Secrets: written in place, in an environment variable or in a file; read once, never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from relais.domain.document import References, fault

HIDDEN = "***"


@dataclass(frozen=True, kw_only=True)
class ReadingContext(References):
    """What a section is read with: the names it defines and the folder its file names start from."""

    directory: Path


class Secret:
    """A secret text, out of reach of repr, str and JSON."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def resolve(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _read, serialization=core_schema.plain_serializer_function_ser_schema(lambda _: HIDDEN)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        references = [
            {
                "type": "object",
                "properties": {key: {"type": "string"}},
                "required": [key],
                "additionalProperties": False,
            }
            for key in ("Env", "File")
        ]
        return {"anyOf": [{"type": "string", "writeOnly": True}, *references]}


def without_secrets(section: Any, parsed: object, replace: Callable[[str], str]) -> Any:
    """The section with `replace(secret)` for each one written in place, and for the password of a database's address.

    `parsed` is what the section was read as: whatever is a `Secret` there is one, wherever it stands. References to
    secrets stay as they are written.
    """
    if isinstance(parsed, Secret):
        return replace(section) if isinstance(section, str) else section
    if isinstance(parsed, BaseModel) and isinstance(section, dict):
        inside = {known.alias: getattr(parsed, name) for name, known in type(parsed).model_fields.items()}
        return {key: without_secrets(value, inside.get(key), replace) for key, value in section.items()}
    if isinstance(parsed, Mapping) and isinstance(section, dict):
        return {key: without_secrets(value, parsed.get(key), replace) for key, value in section.items()}
    if isinstance(parsed, tuple) and isinstance(section, list | tuple) and len(parsed) == len(section):
        return [without_secrets(*pair, replace) for pair in zip(section, parsed, strict=True)]
    return _without_password(section, replace) if isinstance(section, str) else section


def _without_password(url: str, replace: Callable[[str], str]) -> str:
    return re.sub(
        r"(?P<before>^postgresql[^:]*://[^:@/]*:|[?&]password=)(?P<password>.+(?=@)|[^&@]+)",
        lambda found: found["before"] + replace(found["password"]),
        url,
    )


def _read(given: object, info: ValidationInfo) -> Secret:
    if isinstance(given, Secret):
        return given
    if isinstance(given, str):
        text = given
    elif isinstance(given, dict) and len(given) == 1 and isinstance(name := next(iter(given.values())), str):
        text = _read_reference(next(iter(given)), name, info)
    else:
        raise fault("not-secret")
    if not text:
        raise fault("empty")
    return Secret(text)


def _read_reference(way: str, name: str, info: ValidationInfo) -> str:
    if way == "Env":
        if name not in os.environ:
            raise fault("secret-without-variable", name=name)
        return os.environ[name]
    if way == "File":
        directory = info.context.directory if isinstance(info.context, ReadingContext) else Path()
        try:
            return (directory / name).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise fault("secret-without-file", name=name, reason=reason) from None
    raise fault("not-secret")
