"""Patients as lines of JSON (NDJSON), read and made ready; many of them in processes of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from relais.apart import Apart, serve
from relais.domain.document import DocumentError, Problem, References, parse
from relais.domain.json_text import RepeatedKeyError, read_json
from relais.domain.patients import Patient, problems_of
from relais.patient_index import is_hidden
from relais.patient_store import Prepared, prepare

LONGEST_LINE = 100_000
"""Bytes of a line: a patient with everything filled has a tenth of that."""
TOLD = frozenset({"limit", "max_length", "years", "known", "line", "column"})
"""The values of a problem that say nothing of anybody."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is known while lines are read: the clinics there are, those that the sender may fill, and the day."""

    clinics: frozenset[str]
    scope: frozenset[str] | None
    today: date

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        scope = None if self.scope is None else sorted(self.scope)
        return {"Clinics": sorted(self.clinics), "Scope": scope, "Today": self.today.isoformat()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """As it was."""
        scope = document["Scope"]
        return cls(
            clinics=frozenset(document["Clinics"]),
            scope=None if scope is None else frozenset(scope),
            today=date.fromisoformat(document["Today"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong with a line, without anybody's data."""

    line: int
    problem: Problem

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        told = {key: value for key, value in self.problem.values.items() if key in TOLD}
        path = self.problem.path
        if self.problem.code == "unknown-key":  # a key may be anything, somebody's name too
            path = path[: max(path.rfind("."), 0)]
        return {"Line": self.line, "Path": path, "Code": self.problem.code, "Values": told}


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Lines that were read: the patients with their line's number, and what is wrong with the others."""

    patients: Sequence[tuple[int, Prepared]]
    troubles: Sequence[Mapping[str, Any]]
    refused: int


def read_patient(document: object, terms: Terms) -> Patient:
    """The patient; raises DocumentError with everything that is wrong."""
    patient = parse(Patient, document, References(clinics=terms.clinics))
    problems = [*problems_of(patient, terms.today)]
    if terms.scope is not None and (patient.clinic is None or is_hidden(patient.clinic, terms.scope)):
        problems.append(Problem("Clinic", "clinic-not-yours"))
    if problems:
        raise DocumentError(problems)
    return patient


def read_lines(lines: Iterable[tuple[int, str]], terms: Terms) -> Ready:
    """Every line with its number; empty ones are skipped, and a bad one stops no other."""
    patients: list[tuple[int, Prepared]] = []
    troubles: list[Mapping[str, Any]] = []
    refused = 0
    for number, line in lines:
        if not line.strip():
            continue
        try:
            patients.append((number, prepare(read_patient(document_of(line), terms), terms.today)))
        except DocumentError as error:
            refused += 1
            troubles.extend(Trouble(line=number, problem=each).to_json() for each in error.problems[:3])
    return Ready(patients=patients, troubles=troubles, refused=refused)


class LinesApart(Apart):
    """Reads lines in another process, for one block."""

    MODULE = "relais.patient_lines"

    def __init__(self, interpreter: str | None, terms: Terms, stopping: threading.Event) -> None:
        super().__init__(interpreter, terms.to_json(), stopping)

    def read(self, lines: Collection[tuple[int, str]]) -> Ready:
        """As `read_lines`; raises StoppingError when Relais ends meanwhile, ApartError when the process did."""
        answer = json.loads(self.ask(json.dumps(list(lines)).encode()))
        return Ready(
            patients=[(number, _prepared(*values)) for number, *values in answer["Patients"]],
            troubles=answer["Troubles"],
            refused=answer["Refused"],
        )


def main() -> None:
    """The process's own side."""
    serve(_begin)


def _begin(begun: Mapping[str, Any]) -> Callable[[str], dict[str, Any]]:
    terms = Terms.from_json(begun)

    def answer(page: str) -> dict[str, Any]:
        ready = read_lines(json.loads(page), terms)
        return {
            "Patients": [
                (
                    number,
                    each.crm_id,
                    each.clinic,
                    each.document,
                    each.line,
                    [*each.keys],
                    [*each.family],
                    [*each.given],
                )
                for number, each in ready.patients
            ],
            "Troubles": ready.troubles,
            "Refused": ready.refused,
        }

    return answer


def _prepared(
    crm_id: str,
    clinic: str | None,
    document: Mapping[str, Any],
    line: str,
    keys: Iterable[int],
    family: Iterable[str],
    given: Iterable[str],
) -> Prepared:
    return Prepared(
        crm_id=crm_id,
        clinic=clinic,
        document=document,
        line=line,
        keys=frozenset(keys),
        family=frozenset(family),
        given=frozenset(given),
    )


def document_of(line: str) -> object:
    """A line as JSON; raises DocumentError."""
    if len(line) > LONGEST_LINE:
        raise DocumentError([Problem("", "line-too-long", {"limit": LONGEST_LINE})])
    try:
        line.encode()
        return read_json(line)
    except UnicodeEncodeError:  # a byte that is no UTF-8 stands there as a half surrogate
        raise DocumentError([Problem("", "line-not-utf8")]) from None
    except json.JSONDecodeError as error:
        raise DocumentError([Problem("", "line-not-json", {"column": error.colno})]) from None
    except RecursionError:
        raise DocumentError([Problem("", "document-too-deep", {"limit": 40})]) from None
    except RepeatedKeyError:
        raise DocumentError([Problem("", "line-repeats-key")]) from None
    except ValueError:
        raise DocumentError([Problem("", "line-not-json", {"column": 1})]) from None
