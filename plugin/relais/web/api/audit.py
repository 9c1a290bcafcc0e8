"""The audit chain: who did what to which study, and whether the chain is whole."""

from __future__ import annotations

from datetime import UTC, datetime

from relais.audit import verify
from relais.database import queries
from relais.database.queries.audit import AuditFilter, AuditKey
from relais.domain.document import Problem
from relais.web.answers import Page
from relais.web.answers_operation import AuditAnswer, VerificationAnswer
from relais.web.composition import Call
from relais.web.errors import invalid
from relais.web.permissions import Permission
from relais.web.questions import AuditQuery
from relais.web.routes import Routes

routes = Routes("/relais/v1/audit")


@routes.get("", Permission.ViewAudit, Page[AuditAnswer], query=AuditQuery)
def find(call: Call, query: AuditQuery) -> Page[AuditAnswer]:
    """Audit events with filters, newest first."""
    wanted = AuditFilter(study_instance_uid=query.study_instance_uid, actor=query.actor, action=query.action)
    before = None if query.since is None else _key(query.since)
    with call.relais.database.read() as connection:
        rows = queries.audit.find(connection, wanted, call.caller.clinics, before, query.limit)
    last = rows[-1] if len(rows) == query.limit else None
    following = f"{last['at'].isoformat()}/{last['number']}/{last['node']}" if last else None
    return Page(items=[AuditAnswer.model_validate(row) for row in rows], next=following)


@routes.get("/verify", Permission.ViewAudit, Page[VerificationAnswer])
def check(call: Call) -> Page[VerificationAnswer]:
    """Walk every node's chain from its beginning to its head."""
    found = verify(call.relais.database)
    items = [VerificationAnswer.model_validate({**vars(each), "intact": each.broken_at is None}) for each in found]
    return Page(items=items, next=None)


def _key(text: str) -> AuditKey:
    at, _, rest = text.replace(" ", "+").partition("/")  # an unescaped + arrives as a space
    number, _, node = rest.partition("/")
    try:
        moment = datetime.fromisoformat(at)
        key = AuditKey(at=moment.astimezone(UTC), node=node, number=int(number))
    except (ValueError, OverflowError):
        key = None
    if key is None or moment.tzinfo is None or not 0 <= key.number < 2**63:
        raise invalid([Problem("Since", "bad-page")])
    return key
