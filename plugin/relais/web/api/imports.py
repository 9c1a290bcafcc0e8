"""Imports: studies fetched from the PACS that can be asked, each with the proof that nothing is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping

from relais.database import queries
from relais.database.queries.retrievals import ImportFilter
from relais.domain.document import Problem, nearest
from relais.retrieval.imports import Order, Wanted
from relais.texts_retrieval import say_error, say_warning
from relais.web.answers import Done, Page, page_of
from relais.web.answers_import import (
    ImportBegun,
    MissingAnswer,
    RetrievalAnswer,
    RetrievalError,
    StudyImportAnswer,
    StudyImportDetail,
    WarningAnswer,
)
from relais.web.composition import Call
from relais.web.errors import invalid, not_found
from relais.web.permissions import Permission
from relais.web.questions import Command
from relais.web.questions_import import ImportOrder, ImportQuery
from relais.web.routes import Routes, json_answer

routes = Routes("/relais/v1/imports")

ONE = "/<id:Id>"


@routes.get("", Permission.ViewImports, Page[StudyImportAnswer], query=ImportQuery)
def find(call: Call, query: ImportQuery) -> Page[StudyImportAnswer]:
    """Imports with filters, the newest first."""
    wanted = ImportFilter(state=query.state, source=query.source, cause=query.cause, cause_id=query.cause_id)
    with call.relais.database.read() as connection:
        rows = queries.retrievals.find(connection, wanted, _sources(call), query.before, query.limit)
    return page_of(rows, query.limit, lambda row: StudyImportAnswer.model_validate(StudyImportAnswer.values_of(row)))


@routes.get(ONE, Permission.ViewImports, StudyImportDetail)
def one(call: Call, Id: int) -> StudyImportDetail:  # noqa: N803
    """One import: of each study what its source has, what came, and which instances are missing."""
    with call.relais.database.read() as connection:
        row = queries.retrievals.one(connection, Id, _sources(call))
        if row is None:
            raise not_found("import", Id)
        pieces = queries.retrievals.pieces(connection, Id)
        missing = queries.retrievals.missing(connection, Id)
    retrievals = [_retrieval(call, each, missing.get(each["id"], ())) for each in pieces]
    return StudyImportDetail.model_validate({**StudyImportAnswer.values_of(row), "retrievals": retrievals})


@routes.post("", Permission.ChangeImports, ImportBegun, body=ImportOrder, statuses={202: "The import runs."})
def begin(call: Call, body: ImportOrder) -> Any:
    """Fetch studies or series from a source, and account for each of their instances."""
    return json_answer(ImportBegun, ImportBegun(id=start(call, body)), 202)


def start(call: Call, body: ImportOrder) -> int:
    """The same for pages; answers the import's id."""
    allowed = call.relais.retrieval.queries.permitted(call.caller.clinics)
    if body.source not in allowed:
        near = nearest(body.source, allowed)
        raise invalid([Problem("Source", "unknown-source", {"name": body.source, "nearest": near})])
    wanted = [Wanted(study=uid) for uid in body.studies]
    wanted += [
        Wanted(study=each.study_instance_uid, series=each.series_instance_uid)
        for each in body.series
        if each.study_instance_uid not in body.studies
    ]
    order = Order(
        source=body.source,
        wanted=wanted,
        actor=call.caller.name,
        route=body.route,
        priority=body.priority,
        reason=body.reason,
    )
    import_id = call.relais.retrieval.imports.begin(order)
    call.relais.worker.wake()
    return import_id


@routes.post(ONE + "/cancel", Permission.ChangeImports, Done, body=Command, statuses={409: "The import is over."})
def cancel(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """Fetch no more; what came stays."""
    _check(call, Id)
    call.relais.retrieval.imports.cancel(Id, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/retry", Permission.ChangeImports, Done, body=Command, statuses={409: "Nothing is missing."})
def retry(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """Fetch again what failed or was canceled, and at once what waits; the source is asked anew what it has."""
    _check(call, Id)
    call.relais.retrieval.imports.retry(Id, actor=call.caller.name, reason=body.reason)
    call.relais.worker.wake()
    return Done()


def words(call: Call, error: Mapping[str, Any] | None) -> RetrievalError | None:
    """An error as it is stored, in the caller's words."""
    if error is None:
        return None
    return RetrievalError.model_validate({**error, "what": say_error(error, call.texts.language)})


def _retrieval(call: Call, row: RowMapping, missing: Sequence[RowMapping]) -> RetrievalAnswer:
    return RetrievalAnswer.model_validate(
        {
            **row,
            "missing": (row["expected"] or 0) - row["received"],
            "next_attempt": row["next_at"],
            "last_error": words(call, row["error"]),
            "warnings": [
                WarningAnswer(
                    code=each["Code"],
                    text=say_warning(each, call.texts.language),
                    study_instance_uid=each.get("StudyInstanceUID"),
                )
                for each in row["warnings"]
            ],
            "missing_instances": [
                MissingAnswer(
                    sop_instance_uid=each["sop_instance_uid"],
                    series_instance_uid=each["series_instance_uid"],
                    error=words(call, each["error"]),
                )
                for each in missing
            ],
        }
    )


def _sources(call: Call) -> list[str] | None:
    """The sources whose imports the caller may see: those that their clinics may ask, or all."""
    scope = call.caller.clinics
    return None if scope is None else call.relais.retrieval.queries.permitted(scope)


def _check(call: Call, import_id: int) -> None:
    with call.relais.database.read() as connection:
        if queries.retrievals.one(connection, import_id, _sources(call)) is None:
            raise not_found("import", import_id)
