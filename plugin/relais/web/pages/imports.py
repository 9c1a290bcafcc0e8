"""Imports: what is fetched from other PACS, how far it is, and what is missing of it."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from relais.database import queries
from relais.domain.states import FETCHING, Cause, ImportState
from relais.texts import _
from relais.web.api import imports as api
from relais.web.composition import current_call
from relais.web.pages.chips import IMPORT
from relais.web.pages.shell import pages, say
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing
from relais.web.questions_import import ImportQuery
from relais.web.requests import read_query

MOVING, RESTING = 1, 5
"""Seconds between two looks."""

CAUSES = {Cause.Person: _("A person"), Cause.Watch: _("A watch"), Cause.Prefetch: _("Before an appointment")}

FILTERS = (
    ("State", _("State"), _("Any state")),
    ("Source", "PACS", _("Any PACS")),
    ("Cause", _("Cause"), _("Any cause")),
)

CAN = {
    ImportState.Running: ("cancel",),
    ImportState.Failed: ("retry",),
    ImportState.Canceled: ("retry",),
    ImportState.Completed: (),
}
"""What a person may do to an import in each state."""


@pages.get("/imports")
@requires(Permission.ViewImports)
def imports() -> str:
    """The page, with its first rows."""
    query = read_query(request, ImportQuery)
    configuration = current_call().relais.configuration
    choices = {
        "State": [(state.value, say(IMPORT[state].word)) for state in ImportState],
        "Source": [(name, name) for name in configuration.sources],
        "Cause": [(cause.value, say(word)) for cause, word in CAUSES.items()],
    }
    return render_template("imports.html", filters=FILTERS, choices=choices, **_rows(query))


@pages.get("/imports/rows")
@requires(Permission.ViewImports)
def imports_rows() -> str:
    """Rows: further ones, or the first as they are now."""
    return render_template("imports-rows.html", **_rows(read_query(request, ImportQuery)))


@pages.get("/imports/<id:Id>")
@requires(Permission.ViewImports)
def import_(Id: int) -> str:  # noqa: N803
    """One import, study by study."""
    read_query(request, Nothing)
    return render_template("import.html", **_one(Id))


@pages.get("/imports/<id:Id>/live")
@requires(Permission.ViewImports)
def import_live(Id: int) -> str:  # noqa: N803
    """The same, as it is now."""
    read_query(request, Nothing)
    return render_template("import-live.html", **_one(Id))


def _one(import_id: int) -> dict[str, Any]:
    call = current_call()
    found = api.one(call, import_id)
    with call.relais.database.read() as connection:
        uids = [each.study_instance_uid for each in found.retrievals]
        here = queries.studies.of_uids(connection, uids, call.caller.clinics)
    return {
        "import_": found,
        "here": here,
        "causes": CAUSES,
        "can": CAN[found.state],
        "moving": sum(each.state in FETCHING for each in found.retrievals),
        "seconds": MOVING if found.state is ImportState.Running else RESTING,
    }


def _rows(query: ImportQuery) -> dict[str, Any]:
    found = api.find(current_call(), query)
    kept = {"State": query.state, "Source": query.source, "Cause": query.cause, "CauseId": query.cause_id}
    return {
        "rows": found.items,
        "next": found.next,
        "first": query.since is None,
        "kept": {name: str(value) for name, value in kept.items() if value is not None},
        "causes": CAUSES,
        "seconds": MOVING if any(each.state is ImportState.Running for each in found.items) else RESTING,
    }
