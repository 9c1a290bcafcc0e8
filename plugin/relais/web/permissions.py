"""Who calls, and what they may do. A view without a permission cannot be registered, so the default is refusal."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from relais.configuration import Configuration
from relais.web.errors import RefusedError


class Permission(StrEnum):
    """What a route may ask for."""

    Enter = "Enter"
    ViewStudies = "ViewStudies"
    ViewPatients = "ViewPatients"
    ChangePatients = "ChangePatients"
    ChangeStudies = "ChangeStudies"
    ViewDeliveries = "ViewDeliveries"
    ChangeDeliveries = "ChangeDeliveries"
    ViewDestinations = "ViewDestinations"
    ChangeDestinations = "ChangeDestinations"
    ViewNotifications = "ViewNotifications"
    ChangeNotifications = "ChangeNotifications"
    ViewTasks = "ViewTasks"
    ChangeTasks = "ChangeTasks"
    EvaluateRules = "EvaluateRules"
    ViewConfiguration = "ViewConfiguration"
    ChangeConfiguration = "ChangeConfiguration"
    ApproveConfiguration = "ApproveConfiguration"
    ViewReplays = "ViewReplays"
    ViewMetrics = "ViewMetrics"
    ViewAudit = "ViewAudit"
    ViewReviews = "ViewReviews"
    ResolveReviews = "ResolveReviews"
    ChangeMatching = "ChangeMatching"
    ViewRestrictions = "ViewRestrictions"
    ChangeRestrictions = "ChangeRestrictions"
    ViewOrders = "ViewOrders"
    ChangeOrders = "ChangeOrders"
    ViewImports = "ViewImports"
    ChangeImports = "ChangeImports"
    ChangeWatches = "ChangeWatches"
    UseWaysOut = "UseWaysOut"
    AskSources = "AskSources"


P = Permission

_LOOK = frozenset({P.Enter, P.ViewStudies, P.ViewDeliveries, P.ViewDestinations, P.ViewNotifications, P.ViewImports})
_OPERATE = frozenset(
    {
        P.AskSources,
        P.ChangePatients,
        P.ChangeStudies,
        P.ChangeDeliveries,
        P.ChangeDestinations,
        P.ChangeNotifications,
        P.ViewTasks,
        P.ChangeTasks,
    }
)
_IMPORT = frozenset({P.ViewImports, P.ChangeImports, P.ChangeWatches})
_MATCH = frozenset({P.ViewReviews, P.ResolveReviews, P.ChangeMatching})
_ORDERS = frozenset({P.ViewOrders, P.ChangeOrders})
_RESTRICT = frozenset({P.ViewRestrictions, P.ChangeRestrictions})
_REVIEW = frozenset({P.ViewConfiguration, P.ApproveConfiguration, P.ViewReplays})

ROLES: Mapping[str, frozenset[Permission]] = {
    "Viewer": _LOOK | {P.ViewPatients, P.ViewOrders, P.ViewReviews},
    "Operator": _LOOK | _OPERATE | _IMPORT | _ORDERS | _MATCH | {P.ViewPatients, P.EvaluateRules, P.ViewMetrics},
    "Administrator": frozenset(Permission),
    "Auditor": _LOOK | {P.ViewConfiguration, P.ViewAudit},
    "PrivacyOfficer": _LOOK
    | _RESTRICT
    | _REVIEW
    | _MATCH
    | {P.ViewPatients, P.ViewOrders, P.EvaluateRules, P.ViewAudit},
}
"""The one table of who may do what; an Auditor sees studies without their patients."""

WHOLE = _RESTRICT | {
    *(P.ChangeDestinations, P.ViewTasks, P.ChangeTasks, P.ChangeConfiguration, P.ApproveConfiguration, P.UseWaysOut),
    P.ChangeMatching,
    P.ChangeWatches,
}
"""What reaches beyond one clinic: for callers of all clinics only."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls: `clinics` is None for all of them, studies without a clinic included."""

    name: str
    permissions: frozenset[Permission]
    clinics: frozenset[str] | None
    language: str | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the caller has this permission."""
        return permission in self.permissions and (self.clinics is None or permission not in WHOLE)


LOCAL = Caller(name="local", permissions=frozenset(Permission), clinics=None)
"""Whoever sits at this machine, when Orthanc asks nobody for a name and listens to the loopback only."""

NOBODY = Caller(name="nobody", permissions=frozenset(), clinics=frozenset())
"""Whoever was not identified yet."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How Orthanc guards its HTTP server (RemoteAccessAllowed, AuthenticationEnabled)."""

    remote_access: bool
    authentication: bool

    @property
    def open(self) -> bool:
        """Whether anybody on the network would be let in unseen; Relais refuses everything then."""
        return self.remote_access and not self.authentication


def identify(gate: Gate, configuration: Configuration, authorization: str | None) -> Caller:
    """The caller of a request; raises RefusedError (401, 403) when there is none with a right to be here.

    Orthanc has checked the password before; only the name is read here.
    """
    if gate.open:
        raise RefusedError(
            403,
            "Orthanc allows remote access without authentication: Relais refuses every request until that is changed",
        )
    if not gate.authentication:
        return LOCAL
    name = name_of(authorization)
    if name is None:
        challenge = {"WWW-Authenticate": 'Basic realm="Orthanc Secure Area"'}
        raise RefusedError(401, "Log in with a user of Orthanc", headers=challenge)
    user = configuration.users.get(name)
    if user is None:
        raise RefusedError(403, "The user {name} has no entry in the configuration of Relais", {"name": name})
    permissions = frozenset[Permission]().union(*(ROLES[role] for role in user.roles))
    clinics = None if "*" in user.clinics else frozenset(user.clinics)
    return Caller(name=name, permissions=permissions, clinics=clinics, language=user.language)


def name_of(authorization: str | None) -> str | None:
    """The user of an `Authorization: Basic` header (RFC 7617)."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, colon, _ = decoded.partition(":")
    return name if colon else None


View = TypeVar("View", bound=Callable[..., Any])


def requires(permission: Permission) -> Callable[[View], View]:
    """Mark a view with the permission it asks for."""

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]  # read by the application at each request
        return view

    return mark


def permission_of(view: object) -> Permission | None:
    """The permission that a view asks for; None for one that must not be registered."""
    found = getattr(view, "permission", None)
    return found if isinstance(found, Permission) else None
