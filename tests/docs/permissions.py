"""Roles and permissions, from the one table that the web layer asks."""

from relais.web import api
from relais.web.permissions import ROLES, WHOLE, Permission
from relais.web.routes import template_of
from tests.docs.markdown import code, table

MEANINGS = {
    Permission.Enter: "See versions, health and the description of the API",
    Permission.ViewStudies: "See studies, without what names their patients",
    Permission.ViewPatients: "See names, ids, birth dates, explanations and images; search by them",
    Permission.ChangeStudies: "Decide studies again, hold and release them",
    Permission.ViewDeliveries: "See deliveries and their attempts",
    Permission.ChangeDeliveries: "Retry, hold, release, cancel and redirect deliveries, one or many",
    Permission.ViewDestinations: "See destinations, the state of their lanes, their last hours and tests; see sources",
    Permission.ChangeDestinations: "Pause, resume and test destinations; test sources",
    Permission.ViewNotifications: "See notifications and subscribers",
    Permission.ChangeNotifications: "Send notifications again, enable subscribers",
    Permission.ViewTasks: "See tasks, dead letters above all",
    Permission.ChangeTasks: "Restart dead letters",
    Permission.EvaluateRules: "Try the rules on facts or on a study; compare an image with what a destination gets",
    Permission.ViewConfiguration: "See the configuration and its versions, without secrets",
    Permission.ChangeConfiguration: "Draft, schedule and activate versions of the configuration, and roll back",
    Permission.ApproveConfiguration: "Approve a version of the configuration that somebody else wrote",
    Permission.ViewReplays: "See what past studies would have become under another configuration",
    Permission.ViewMetrics: "Read the metrics",
    Permission.ViewAudit: "Read and verify the audit chain",
    Permission.ViewReviews: "See what waits for a person to say whose it is, and how matching stands",
    Permission.ResolveReviews: "Say whose a study is, in a review or by hand, and take it back",
    Permission.ChangePatients: "Add, replace, merge and forget patients, one or in bulk",
    Permission.ChangeMatching: "Let automatic matching go on after the breaker stopped it",
    Permission.ViewRestrictions: "See restrictions, with the ids of the patients whom they are about",
    Permission.ChangeRestrictions: "Set and lift restrictions of studies and patients",
    Permission.ViewImports: "See imports, watches and prefetches, and what they lack",
    Permission.ChangeImports: "Import studies from sources, cancel imports and retry them",
    Permission.ChangeWatches: "Let a watch poll now, pause and resume it",
    Permission.ViewOrders: "See orders, with their patients",
    Permission.ChangeOrders: "Add, change and cancel orders, one or in bulk, and as FHIR",
    Permission.AskSources: "Ask other PACS for patients, studies, series and images, those of one's clinics",
    Permission.UseWaysOut: "Take Orthanc's own ways out: its routes that send, past the rules",
}


def describe_roles() -> str:
    """Which role has which permission."""
    rows = [
        [code(each), *("yes" if each in permissions else "" for permissions in ROLES.values())] for each in Permission
    ]
    return table(["Permission", *ROLES], rows)


def describe_permissions() -> str:
    """A heading for each permission, with the routes that ask for it."""
    asked: dict[Permission, list[str]] = {each: [] for each in Permission}
    for group in api.ALL:
        for route in group:
            asked[route.permission].append(f"{route.method} {template_of(route.path)}")
    return "\n\n".join(_describe(each, asked[each]) for each in Permission)


def _describe(permission: Permission, routes: list[str]) -> str:
    whole = " Only for callers of all clinics." if permission in WHOLE else ""
    lines = "\n".join(f"- {code(each)}" for each in routes)
    return f"### `{permission}`\n\n{MEANINGS[permission]}.{whole}\n\n{lines}"
