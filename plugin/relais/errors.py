"""Errors that more than one room speaks of: what the caller must do about them is in their names."""

from __future__ import annotations


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


class OrthancError(Exception):
    """Orthanc refused a request: `status` is HTTP's, the text is Orthanc's own."""

    def __init__(self, status: int, path: str, text: str) -> None:
        super().__init__(f"Orthanc answered {status} to {path}: {text}")
        self.status = status
        self.text = text


class OrthancUnavailableError(Exception):
    """Orthanc did not answer: it starts, stops, or all its HTTP threads are busy."""
