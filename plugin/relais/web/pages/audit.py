"""The audit chain: who did what to which study, and whether nobody has touched it since."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from relais.web.api import audit as api
from relais.web.composition import current_call
from relais.web.pages.shell import pages
from relais.web.permissions import Permission, requires
from relais.web.questions import AuditQuery
from relais.web.requests import read_query


@pages.get("/audit")
@requires(Permission.ViewAudit)
def audit() -> str:
    """The page, with its first rows."""
    return render_template("audit.html", **_rows())


@pages.get("/audit/rows")
@requires(Permission.ViewAudit)
def audit_rows() -> str:
    """Further rows."""
    return render_template("audit-rows.html", **_rows())


@pages.get("/audit/verify")
@requires(Permission.ViewAudit)
def audit_verify() -> str:
    """Walk every chain, and tell what was found."""
    return render_template("audit-verify.html", chains=api.check(current_call()).items)


def _rows() -> dict[str, Any]:
    query = read_query(request, AuditQuery)
    page = api.find(current_call(), query)
    names = (("StudyInstanceUID", query.study_instance_uid), ("Actor", query.actor), ("Action", query.action))
    filters = {name: value for name, value in names if value is not None}
    return {"rows": page.items, "next": page.next, "first": query.since is None, "filters": filters}
