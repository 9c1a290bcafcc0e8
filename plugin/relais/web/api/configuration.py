"""The configuration: the active version, drafts, approval, activation; export and import as one file."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from relais.configuration import schema
from relais.configuration.documents import digest_of, own
from relais.domain.document import DocumentError, Problem
from relais.versions import Check, Version
from relais.web.answers import Done, Page
from relais.web.answers_configuration import (
    CheckAnswer,
    ConfigurationAnswer,
    DifferenceAnswer,
    DifferencesAnswer,
    ExampleAnswer,
    RemarkAnswer,
    VersionAnswer,
    VersionDetail,
)
from relais.web.composition import Call
from relais.web.permissions import Permission
from relais.web.questions import Paging
from relais.web.questions_configuration import (
    Activation,
    AgainstQuery,
    Agreement,
    Drafting,
    Proposal,
    Remark,
    Revision,
)
from relais.web.routes import Routes

routes = Routes("/relais/v1/configuration")

VERSIONS = "/versions"
ONE = VERSIONS + "/<id:Number>"
CHANGED = {409: "Its state does not allow it, or somebody changed it meanwhile."}
GATES = {
    409: "Another version became active meanwhile, an example fails, a second person has not approved, it is no draft, "
    "or the file is the source; Details say what.",
    422: "The document has problems; every one has its path.",
}


@routes.get("", Permission.ViewConfiguration, ConfigurationAnswer)
def active(call: Call) -> ConfigurationAnswer:
    """The active version: its number and its document, without secrets."""
    versions = call.relais.versions
    found = versions.active()
    return ConfigurationAnswer(
        version=found.number, digest=found.digest, source=versions.seat.source, document=dict(found.document)
    )


@routes.get("/schema", Permission.Enter, dict[str, Any])
def configuration_schema(_call: Call) -> dict[str, Any]:
    """The JSON Schema of the configuration."""
    return schema()


@routes.post("/check", Permission.ChangeConfiguration, CheckAnswer, body=Proposal)
def check_document(call: Call, body: Proposal) -> CheckAnswer:
    """Everything there is to say of a document, as if it were drafted; nothing is kept."""
    return _check(call, call.relais.versions.check(body.document), body.document)


@routes.get(VERSIONS, Permission.ViewConfiguration, Page[VersionAnswer], query=Paging)
def find(call: Call, query: Paging) -> Page[VersionAnswer]:
    """The versions, newest first, without their documents."""
    found = call.relais.versions.listing(since=query.before, limit=query.limit)
    following = str(found[-1].number) if len(found) == query.limit else None
    return Page(items=[VersionAnswer.model_validate(each) for each in found], next=following)


@routes.post(
    VERSIONS,
    Permission.ChangeConfiguration,
    VersionDetail,
    body=Drafting,
    statuses={404: "There is no version BasedOn."},
)
def draft(call: Call, body: Drafting) -> VersionDetail:
    """Keep a document as a draft, also one that has problems still; also to import what was exported."""
    drafted = call.relais.versions.draft(
        body.document, based_on=body.based_on, actor=call.caller.name, comment=body.comment
    )
    return _detail(call, drafted)


@routes.get(ONE, Permission.ViewConfiguration, VersionDetail)
def one(call: Call, Number: int) -> VersionDetail:  # noqa: N803
    """One version with its document."""
    return _detail(call, call.relais.versions.get(Number))


@routes.put(ONE, Permission.ChangeConfiguration, VersionDetail, body=Revision, statuses=CHANGED)
def revise(call: Call, Number: int, body: Revision) -> VersionDetail:  # noqa: N803
    """Replace a draft's document; its approval is void then."""
    revised = call.relais.versions.revise(
        Number, body.document, digest=body.digest, actor=call.caller.name, based_on=body.based_on
    )
    return _detail(call, revised)


@routes.get(ONE + "/export", Permission.ViewConfiguration, dict[str, Any])
def export(call: Call, Number: int) -> Response:  # noqa: N803
    """The version as one file, {"Relais": …}; secrets stand in it as references only."""
    found = call.relais.versions.get(Number)
    with call.relais.database.write() as connection:
        call.relais.journal.record(
            connection, "configuration.exported", actor=call.caller.name, Version=Number, Digest=found.digest
        )
    text = json.dumps({"Relais": found.document}, indent=2, ensure_ascii=False) + "\n"
    headers = {"Content-Disposition": f'attachment; filename="relais-{Number}.json"'}
    return Response(text, 200, headers, content_type="application/json; charset=utf-8")


@routes.get(ONE + "/check", Permission.ViewConfiguration, CheckAnswer)
def check_version(call: Call, Number: int) -> CheckAnswer:  # noqa: N803
    """Everything there is to say of a version: problems, warnings, and what came of the rules' examples."""
    found = call.relais.versions.get(Number)
    return _check(call, call.relais.versions.check(found.document), found.document)


@routes.get(ONE + "/differences", Permission.ViewConfiguration, DifferencesAnswer, query=AgainstQuery)
def differences(call: Call, Number: int, query: AgainstQuery) -> DifferencesAnswer:  # noqa: N803
    """What a version changes of the active one, or of another; rules are told apart by their Name."""
    versions = call.relais.versions
    against = versions.active().number if query.against is None else query.against
    items = [
        DifferenceAnswer(
            path=each.path,
            change=each.change,
            before=each.before,
            after=each.after,
            message=call.texts.problem(each.to_problem()),
        )
        for each in versions.differences(Number, against=against)
    ]
    return DifferencesAnswer(version=Number, against=against, items=items)


@routes.post(ONE + "/approve", Permission.ApproveConfiguration, VersionDetail, body=Agreement, statuses=CHANGED)
def approve(call: Call, Number: int, body: Agreement) -> VersionDetail:  # noqa: N803
    """Agree to a draft that somebody else wrote."""
    call.relais.versions.approve(Number, actor=call.caller.name, comment=body.comment, digest=body.digest)
    return _detail(call, call.relais.versions.get(Number))


@routes.post(ONE + "/activate", Permission.ChangeConfiguration, VersionDetail, body=Activation, statuses=GATES)
def activate(call: Call, Number: int, body: Activation) -> VersionDetail:  # noqa: N803
    """Make a draft the active version, now or at a time; at that time its gates are asked again."""
    activated = call.relais.versions.activate(Number, actor=call.caller.name, comment=body.comment, at=body.at)
    return _detail(call, activated)


@routes.post(ONE + "/withdraw", Permission.ChangeConfiguration, VersionDetail, body=Remark, statuses=CHANGED)
def withdraw(call: Call, Number: int, body: Remark) -> VersionDetail:  # noqa: N803
    """Make a scheduled version a draft again."""
    return _detail(call, call.relais.versions.withdraw(Number, actor=call.caller.name, comment=body.comment))


@routes.post(ONE + "/rollback", Permission.ChangeConfiguration, VersionDetail, body=Remark, statuses=GATES)
def roll_back(call: Call, Number: int, body: Remark) -> VersionDetail:  # noqa: N803
    """Make a past version's document a new version, through the same gates.

    The answer's State is Draft where a second person must approve it first.
    """
    return _detail(call, call.relais.versions.roll_back(Number, actor=call.caller.name, comment=body.comment))


@routes.post(ONE + "/discard", Permission.ChangeConfiguration, Done, body=Remark, statuses=CHANGED)
def discard(call: Call, Number: int, body: Remark) -> Done:  # noqa: N803
    """Put a draft or a scheduled version away for good; it can still be read."""
    call.relais.versions.discard(Number, actor=call.caller.name, comment=body.comment)
    return Done()


def _detail(call: Call, version: Version) -> VersionDetail:
    values = {name: getattr(version, name) for name in VersionAnswer.model_fields}
    needs_approval = call.relais.versions.needs_approval(version)
    return VersionDetail.model_validate(
        {**values, "document": dict(version.document), "needs_approval": needs_approval}
    )


def _check(call: Call, found: Check, document: object) -> CheckAnswer:
    return CheckAnswer(
        valid=not found.problems and all(each.passed for each in found.examples),
        digest=_digest(document),
        problems=[_remark(call, each) for each in found.problems],
        warnings=[_remark(call, each) for each in found.warnings],
        examples=[ExampleAnswer.model_validate(each) for each in found.examples],
    )


def _digest(document: object) -> str | None:
    try:
        return digest_of(own(document))
    except DocumentError:
        return None


def _remark(call: Call, problem: Problem) -> RemarkAnswer:
    return RemarkAnswer(path=problem.path, code=problem.code, message=call.texts.problem(problem))
