"""The OpenAPI 3.1 document, from the same declarations that check requests and shape answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from relais import __version__
from relais.domain.document import Document
from relais.domain.patients import CRM_ID
from relais.web.errors import ErrorAnswer
from relais.web.permissions import ROLES
from relais.web.routes import Route, Routes, template_of

_REFERENCE = "#/components/schemas/{model}"

_ERRORS = {
    400: "The body is not JSON, or empty.",
    401: "Nobody is logged in.",
    403: "The caller has no permission, or a write from a browser lacks X-Relais.",
    404: "There is no such thing that the caller may see.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The request is not valid; every problem has its path.",
    503: "Orthanc or the database does not answer.",
}
_OF_READS = (401, 403, 503)
_OF_WRITES = (400, 401, 403, 413, 415, 422, 503)

_CONVERTERS: dict[str, dict[str, Any]] = {
    "uid": {"type": "string", "pattern": "^[0-9.]{1,64}$"},
    "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"},
    "crm": {"type": "string", "pattern": f"^{CRM_ID}$"},
    "fhir": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"},
    "accession": {"type": "string", "minLength": 1, "maxLength": 16},
    "id": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
}


def describe(groups: Iterable[Routes]) -> dict[str, Any]:
    """The whole document of these routes."""
    routes = [route for group in groups for route in group]
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(template_of(route.path), {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Relais",
            "version": __version__,
            "description": "A DICOM study router inside Orthanc: what arrived, where it goes, and why.",
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "security": [{"Orthanc": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"Orthanc": {"type": "http", "scheme": "basic", "description": "A user of Orthanc."}},
            "schemas": schemas.definitions,
        },
    }


class _Schemas:
    """The JSON Schemas of all models, each once."""

    def __init__(self, routes: list[Route]) -> None:
        wanted: list[tuple[Any, JsonSchemaMode]] = [(ErrorAnswer, "serialization")]
        for route in routes:
            wanted.append((route.answer, "serialization"))
            wanted.extend((model, "validation") for model in (route.body, route.query) if model is not None)
        unique = list({(repr(model), mode): (model, mode) for model, mode in wanted}.values())
        inputs = [((repr(model), mode), mode, TypeAdapter(model).core_schema) for model, mode in unique]
        found, definitions = GenerateJsonSchema(by_alias=True, ref_template=_REFERENCE).generate_definitions(inputs)
        self._of = {key: schema for (key, _), schema in found.items()}
        self.definitions: dict[str, Any] = {str(name): schema for name, schema in definitions.items()}

    def of(self, model: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        """The schema of a model, usually a reference."""
        return dict(self._of[(repr(model), mode)])

    def properties(self, model: type[Document]) -> dict[str, Any]:
        """The properties of a flat model, for parameters."""
        schema = self.of(model, "validation")
        name = schema["$ref"].rpartition("/")[2] if "$ref" in schema else None
        found: dict[str, Any] = (self.definitions[name] if name else schema).get("properties", {})
        return found


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    roles = ", ".join(role for role, permissions in ROLES.items() if route.permission in permissions)
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "-", f"{route.method} {template_of(route.path)}").strip("-").lower(),
        "tags": [route.handler.__module__.rpartition(".")[2]],
        "summary": route.summary,
        "description": f"{route.description}\n\nPermission {route.permission}: {roles}.".strip(),
        "parameters": _path_parameters(route) + _query_parameters(route, schemas),
        "responses": _responses(route, schemas),
        "x-permission": route.permission.value,
    }
    if route.body is not None:
        media = getattr(route.body, "MEDIA", ("application/json",))
        of_lines = hasattr(route.body, "of_bytes")
        content = {each: {"schema": {} if of_lines else schemas.of(route.body, "validation")} for each in media}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _CONVERTERS[converter]}
        for converter, name in re.findall(r"<(\w+):(\w+)>", route.path)
    ]


def _query_parameters(route: Route, schemas: _Schemas) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    parameters = []
    for name, schema in schemas.properties(route.query).items():
        options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
        plain = {key: value for key, value in schema.items() if key not in ("anyOf", "default", "title", "description")}
        parameters.append(
            {
                "name": name,
                "in": "query",
                "description": schema.get("description", ""),
                "schema": {**plain, **(options[0] if len(options) == 1 else {})},
            }
        )
    return parameters


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    shown = schemas.of(route.answer, "serialization")
    content = {route.media: {"schema": shown if route.media == "application/json" else {}}}
    responses: dict[str, Any] = {"200": {"description": "Answered.", "content": content}}
    statuses = list(_OF_READS if route.method == "GET" else _OF_WRITES)
    if route.query is not None:
        statuses.append(422)
    if "<" in route.path:
        statuses.append(404)
    error = {"application/json": {"schema": schemas.of(ErrorAnswer, "serialization")}}
    for status in sorted({*statuses, *route.statuses}):
        description = route.statuses.get(status) or _ERRORS[status]
        responses[str(status)] = {"description": description, "content": error}
    return responses
