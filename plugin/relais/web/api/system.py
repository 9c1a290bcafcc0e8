"""The system itself: versions, health, configuration, metrics, and the description of this API."""

from __future__ import annotations

import platform
from typing import Any

from flask import Response, current_app

from relais import __version__
from relais.web.answers_operation import HealthAnswer, SystemAnswer
from relais.web.composition import Call
from relais.web.health import VITAL, checks, findings
from relais.web.openapi import describe
from relais.web.permissions import Permission
from relais.web.routes import Routes, json_answer

routes = Routes("/relais")


@routes.get("/v1/system", Permission.Enter, SystemAnswer)
def system(call: Call) -> SystemAnswer:
    """Versions, who calls with what permissions, and what the self-check found in Orthanc's configuration."""
    relais = call.relais
    return SystemAnswer(
        version=__version__,
        orthanc=relais.orthanc.get("/system")["Version"],
        python=platform.python_version(),
        database="SQLite" if relais.database.sqlite else "PostgreSQL",
        node=relais.surroundings.node,
        configuration=relais.configuration.digest,
        user=call.caller.name,
        permissions=sorted(each for each in Permission if call.caller.may(each)),
        language=call.texts.language,
        findings=findings(call),
        matching=_matching(call),
    )


def _matching(call: Call) -> str:
    parts = call.relais.matching
    with call.relais.database.read() as connection:
        if parts.identify.patients(connection) == 0:
            return "Off"
        return "On" if parts.safety_net.tripped(connection) is None else "Stopped"


@routes.get(
    "/v1/health", Permission.Enter, HealthAnswer, statuses={503: "Something is not well; the answer says what."}
)
def health(call: Call) -> Response:
    """Whether studies flow: 200, or 503 with the check that fails."""
    found = checks(call)
    healthy = all(check.healthy for check in found if check.name in VITAL)
    return json_answer(HealthAnswer, HealthAnswer(healthy=healthy, checks=found), 200 if healthy else 503)


@routes.get("/metrics", Permission.ViewMetrics, str, media="text/plain")
def metrics(call: Call) -> Response:
    """The metrics in Prometheus's text format."""
    return Response(
        call.relais.metrics.exposition(call.relais), content_type="text/plain; version=0.0.4; charset=utf-8"
    )


@routes.get("/openapi.json", Permission.Enter, dict[str, Any])
def openapi(_call: Call) -> dict[str, Any]:
    """This description (OpenAPI 3.1)."""
    return describe(current_app.extensions["relais.routes"])
