"""Errors that more than one room speaks of: what the caller must do about them is in their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relais.domain.document import Problem


class UnknownError(Exception):
    """There is no such thing: `kind` is a word of the glossary, `name` what was asked for."""

    def __init__(self, kind: str, name: object) -> None:
        super().__init__(f"no {kind} is named {name!r}")
        self.kind = kind
        self.name = str(name)


class StateError(Exception):
    """The state of the thing does not allow it; `code` says which rule stands against it."""

    def __init__(self, code: str, **values: str) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


class ConflictError(StateError):
    """The same, with the lines that say why: what changed meanwhile, or which examples fail."""

    def __init__(self, code: str, problems: tuple[Problem, ...], **values: str) -> None:
        super().__init__(code, **values)
        self.problems = problems


class RefusedByLawError(StateError):
    """It may not go to this destination; `reasons` are those of the residency kernel, as documents."""

    def __init__(self, destination: str, reasons: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("refused-by-law", destination=destination)
        self.reasons = tuple(reasons)


class OrthancError(Exception):
    """Orthanc refused a request: `status` is HTTP's, the text is Orthanc's own."""

    def __init__(self, status: int, path: str, text: str) -> None:
        super().__init__(f"Orthanc answered {status} to {path}: {text}")
        self.status = status
        self.text = text


class OrthancUnavailableError(Exception):
    """Orthanc did not answer: it starts, stops, or all its HTTP threads are busy."""
