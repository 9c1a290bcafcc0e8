"""Train a matching model on a computer where nothing else runs, from questions that this installation was asked.

    python -m relais.matching_training export DATABASE FILE
    python -m relais.matching_training learn FILE MODEL [--start MODEL] [--version NAME]

The export holds what studies and the CRM say of patients: it may be read by its owner alone. A learnt model is a file,
with its evaluation beside that of the model before; nothing is deployed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from relais.database import Database
from relais.database.patient_tables import match
from relais.domain.document import DocumentError
from relais.domain.matching.model import FIRST, Model
from relais.domain.matching.training import Example, evaluate, learn
from relais.domain.states import MatchKind

ANSWERS = {MatchKind.Linked: True, MatchKind.Nobody: True, MatchKind.Undone: False}
"""What a person said that answers a question, and what takes the answer back."""
_OWNER = 0o600
_BATCH = 500
_ROWS = (
    select(match.c.study_id, match.c.kind, match.c.crm_id, match.c.question)
    .where(match.c.kind.in_((MatchKind.Automatic, *ANSWERS)))
    .order_by(match.c.study_id, match.c.id)
    .execution_options(yield_per=_BATCH)
)


class ExportError(ValueError):
    """A line of an export that is none; the message says which and why."""


def main(arguments: Sequence[str]) -> int:
    """Export or learn; answers 1, with the reason on the standard error, where that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m relais.matching_training", description=__doc__.split("\n", 1)[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("export", help="write the questions of a database, and what people answered")
    verb.add_argument("database", help="as in the configuration: sqlite:///… or postgresql://…")
    verb.add_argument("file", type=Path)
    verb = verbs.add_parser("learn", help="write a model that is learnt from an export")
    verb.add_argument("file", type=Path)
    verb.add_argument("model", type=Path)
    verb.add_argument("--start", type=Path, help="the model to start from; the first by default")
    verb.add_argument("--version", default="learnt", help="what people will call the new one")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "export":
            print_to(sys.stderr, f"{export(options.database, options.file)} questions in {options.file}")
        else:
            start = Model.from_json(_model_of(options.start)) if options.start else FIRST
            document = trained(options.file, start, options.version)
            _write(options.model, [json.dumps(document, indent=2)])
            print_to(sys.stdout, comparison(document["Evaluation"]))
    except (OSError, SQLAlchemyError, DocumentError, ExportError) as error:
        print_to(sys.stderr, f"{type(error).__name__}: {error}")
        return 1
    return 0


def export(database: str, file: Path) -> int:
    """Write each study's newest question with the answer that a person gave and nobody took back; tells how many."""
    opened = Database(database)
    try:
        with opened.read() as connection:
            return _write(file, (json.dumps(each) for each in _questions(connection.execute(_ROWS))))
    finally:
        opened.close()


def trained(file: Path, start: Model, version: str) -> dict[str, Any]:
    """The learnt model, as it is added over REST: `Model`, and `Evaluation` with what either model answers."""
    examples = list(_examples(file))
    model = learn(examples, start, version=version)
    return {
        "Model": model.to_json(),
        "Evaluation": {"Old": evaluate(examples, start), "New": evaluate(examples, model)},
    }


def comparison(evaluation: dict[str, dict[str, Any]]) -> str:
    """Old beside new, for people."""
    old, new = evaluation["Old"], evaluation["New"]
    shown = ((name, old[name], new[name]) for name in old)
    return "\n".join(f"{name:18}{_short(one):>20}{_short(other):>20}" for name, one, other in shown)


def print_to(stream: Any, text: str) -> None:
    """A line for the person who asked."""
    stream.write(f"{text}\n")


def _questions(rows: Any) -> Iterator[dict[str, Any]]:
    study: int | None = None
    asked: dict[str, Any] = {}
    for row in rows:
        if row.study_id != study:
            if asked.get("Question"):
                yield asked
            study, asked = row.study_id, {}
        if row.kind == MatchKind.Automatic:
            asked["Question"] = row.question
        else:
            asked |= {"ByPerson": ANSWERS[MatchKind(row.kind)], "CrmId": row.crm_id}
            asked["Question"] = row.question or asked.get("Question")
    if asked.get("Question"):
        yield asked


def _examples(file: Path) -> Iterator[Example]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield Example.from_json(json.loads(line))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ExportError(f"line {number} is no question: {type(error).__name__}") from error


def _model_of(file: Path) -> Any:
    try:
        document = json.loads(file.read_text())
    except ValueError as error:
        raise ExportError(f"{file} is no JSON") from error
    return document.get("Model", document) if isinstance(document, dict) else document


def _write(file: Path, lines: Any) -> int:
    """Write all of them, or leave what was there; only the owner may read."""
    beside = file.with_name(f"{file.name}.new")
    written = 0
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER), "w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(f"{line}\n")
            written += 1
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
    return written


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5f}"
    return "-" if value is None else str(value)[:12]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
