"""The system itself: versions, health, findings of the self-check with advice, and what was given up."""

from __future__ import annotations

from flask import render_template

from relais.domain.states import TaskState
from relais.texts import _
from relais.web.api import system as api
from relais.web.api import tasks
from relais.web.composition import current_call
from relais.web.health import FINDINGS, checks
from relais.web.pages.shell import pages, say
from relais.web.permissions import Permission, requires
from relais.web.questions import TaskQuery
from relais.web.ways_out import open_ways

ADVICE = {
    "few-concurrent-jobs": _('Set "ConcurrentJobs": 16 in Orthanc\'s configuration.'),
    "short-jobs-history": _('Set "JobsHistorySize": 100 in Orthanc\'s configuration.'),
    "save-jobs": _('Set "SaveJobs": false in Orthanc\'s configuration.'),
    "keeps-old-instances": _('Set "OverwriteInstances": true in Orthanc\'s configuration.'),
    "another-worklist-plugin": _(
        'Set "Enable": false in the section "Worklists" of Orthanc\'s configuration, or leave the plugin out.'
    ),
    "questions-unaudited": _('Add who-asks.lua, which comes with Relais, to "LuaScripts" of Orthanc\'s configuration.'),
    "remote-access-without-authentication": _('Set "AuthenticationEnabled": true, and name the users.'),
}
"""What a person can do about a finding, by its code."""

CHECKS = {
    "Database": _("Database"),
    "Orthanc": _("Orthanc"),
    "Feed": _("Change feed"),
    "Worker": _("Worker"),
    "Configuration": _("Configuration"),
    "DeadTasks": _("Tasks"),
    "Destinations": _("Destinations"),
    "Matching": _("Matching"),
}
"""What people call the checks."""


@pages.get("/system")
@requires(Permission.Enter)
def system() -> str:
    """The page."""
    call = current_call()
    found = [(say(FINDINGS[code]), say(ADVICE[code])) for code in call.relais.surroundings.findings()]
    found += open_ways(call)
    return render_template("system.html", about=api.system(call), findings=found, **_now())


@pages.get("/system/live")
@requires(Permission.Enter)
def system_live() -> str:
    """The checks and the tasks that were given up."""
    return render_template("system-live.html", **_now())


def _now() -> dict[str, object]:
    call = current_call()
    may_see = call.caller.may(Permission.ViewTasks)
    dead = tasks.find(call, TaskQuery(state=TaskState.Dead)).items if may_see else None
    return {"checks": checks(call), "check_names": CHECKS, "dead": dead}
