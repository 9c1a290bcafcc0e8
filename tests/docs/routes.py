"""The routes, from the OpenAPI document that Relais answers itself."""

import json
from collections.abc import Mapping
from typing import Any

from relais.web import api
from relais.web.openapi import describe
from relais.web.permissions import ROLES
from relais.web.routes import template_of
from tests.docs.markdown import code, table

_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
_TYPES |= {"object": "object", "array": "list"}
_NO_MODELS = ("Query", "State", "Search")


def describe_routes() -> str:
    """A heading for each verb and path."""
    document = describe(api.ALL)
    return "\n\n".join(
        _describe(verb.upper(), path, operation, document)
        for path, operations in document["paths"].items()
        for verb, operation in operations.items()
    )


def describe_models() -> str:
    """A heading for each object that routes take or answer."""
    schemas = describe(api.ALL)["components"]["schemas"]
    return "\n\n".join(
        f"### {name}\n\n{schema.get('description', '').partition(chr(10))[0]}\n\n{_inside(schema)}"
        for name, schema in sorted(schemas.items())
        if ("properties" in schema or "enum" in schema)
        and not name.endswith(_NO_MODELS)
        and not name.startswith("Page_")
    )


def _inside(schema: Mapping[str, Any]) -> str:
    return f"One of {', '.join(map(code, schema['enum']))}." if "enum" in schema else _fields(schema)


def _describe(verb: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    parts = [f"### `{verb} {path}`", operation["summary"]]
    more = operation["description"].partition("Permission ")[0].strip()
    if more:
        parts.append(more)
    permission = operation["x-permission"]
    roles = ", ".join(role for role, held in ROLES.items() if permission in held)
    parts.append(f"Permission [{permission}](permissions.md#{permission.lower()}): {roles}.")
    given = [each for each in operation["parameters"] if each["in"] == "query"]
    if given:
        rows = [(code(each["name"]), _type(each["schema"]), each.get("description", "")) for each in given]
        parts.append(table(("Query", "Type", "Meaning"), rows))
    if "requestBody" in operation:
        ((media, content), *_) = operation["requestBody"]["content"].items()
        said = "Body" if media == "application/json" else f"Body ({code(media)})"
        model = _model(content["schema"], document) if content.get("schema") else {}
        parts.append(f"{said}:\n\n{_fields(model)}" if model.get("properties") else f"{said}.")
    parts.append("Answers " + _answers(operation, _own_statuses()[verb, path]))
    return "\n\n".join(parts)


def _own_statuses() -> Mapping[tuple[str, str], Mapping[int, str]]:
    return {(route.method, template_of(route.path)): route.statuses for group in api.ALL for route in group}


def _answers(operation: Mapping[str, Any], statuses: Mapping[int, str]) -> str:
    """What the route answers, and the statuses that it alone knows; the page's prose has the others."""
    (media, content), *_ = operation["responses"]["200"]["content"].items()
    found = _type(content["schema"]) if "json" in media else code(media)
    return " ".join([f"{found}.", *(f"{status}: {meaning}" for status, meaning in statuses.items())])


def _fields(model: Mapping[str, Any]) -> str:
    required = model.get("required", ())
    rows = [
        (code(name), _type(each), ("Required. " if name in required and "examples" in each else "") + _meaning(each))
        for name, each in model["properties"].items()
    ]
    return table(("Key", "Type", "Meaning"), rows)


def _meaning(field: Mapping[str, Any]) -> str:
    text = str(field.get("description", ""))
    if field.get("examples"):
        text += f" Example: {code(json.dumps(field['examples'][0], ensure_ascii=False))}."
    return text.strip()


def _model(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema
    if "$ref" in schema:
        found = document["components"]["schemas"][_name(schema)]
    return found


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _type(schema: Mapping[str, Any]) -> str:
    """A type in words, with a link to its model where it has one here."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "$ref" in schema:
        return _link(_name(schema))
    if "enum" in schema:
        return "one of " + ", ".join(map(code, schema["enum"]))
    if schema.get("items"):
        return f"list of {_type(schema['items'])}"
    if schema.get("format") == "date-time":
        return "time"
    return _TYPES.get(schema.get("type", ""), "any")


def _link(model: str) -> str:
    if model.startswith("Page_"):
        item = model.removeprefix("Page_").rstrip("_")
        return f"a page of [{item}](#{item.lower()})"
    if model.endswith("State"):
        return f"[{model}](states.md)"
    return f"[{model}](#{model.lower()})"
