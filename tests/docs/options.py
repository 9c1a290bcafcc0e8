"""The options of the `Relais` section, and those of Orthanc that matter to it."""

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from relais.configuration.models import schema
from relais.configuration.options import Option, options
from tests.docs.markdown import code, fenced, table

_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_LONGEST_ENUM = 8


def describe_options() -> str:
    """A heading for each option, with type, default, description and example."""
    grouped = groupby(options(), key=lambda option: option.path)
    return "\n\n".join(f"### `{path}`\n\n{_describe_all(list(several))}" for path, several in grouped)


def describe_orthanc() -> str:
    """The options of Orthanc that matter, as a table with their reasons."""
    return table(
        ("Option", "Orthanc's default", "Set it to", "Why"),
        [(code(name), code(default), wanted, why) for name, default, wanted, why in ORTHANC],
    )


def _describe_all(several: list[Option]) -> str:
    """One option, in each of its meanings; a Kind as a list of what there is."""
    if len(several) > 1 and all("const" in option.schema for option in several):
        kinds = "\n".join(f"- {code(option.schema['const'])}: {option.description}" for option in several)
        return f"One of these, required:\n\n{kinds}\n\n{_example(several[0])}"
    return "\n\n".join(map(_describe, several))


def _describe(option: Option) -> str:
    document = schema()
    facts = [
        f"Type: {_words(option.schema, document)}",
        "required" if option.required else f"default {_default(option)}",
    ]
    only = f"Only for {', '.join(map(code, option.kinds))}. " if option.kinds else ""
    return f"{only}{option.description}\n\n{', '.join(facts)}.\n\n{_example(option)}"


def _example(option: Option) -> str:
    return fenced(json.dumps({_key(option.path): option.example}, ensure_ascii=False)[1:-1], "json")


def _key(path: str) -> str:
    return path.rpartition(".")[2]


def _default(option: Option) -> str:
    return "none" if option.default is None else code(json.dumps(option.default, ensure_ascii=False))


def _model(place: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model at a place: itself, or what it refers to."""
    for choice in (place, *place.get("anyOf", ()), *place.get("allOf", ())):
        if "$ref" in choice:
            model: Mapping[str, Any] = document["$defs"][choice["$ref"].rpartition("/")[2]]
            return model
    return place


def _words(place: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    choices = [each for each in (*place.get("anyOf", ()), *place.get("oneOf", ())) if each.get("type") != "null"]
    if choices:
        return " or ".join(dict.fromkeys(_words(each, document) for each in choices))
    if "$ref" in place or "allOf" in place:
        return _words(_model(place, document), document)
    if "enum" in place and len(place["enum"]) <= _LONGEST_ENUM:
        return "one of " + ", ".join(map(code, place["enum"]))
    if place.get("type") == "array":
        return f"list of {_words(place['items'], document)}" if place.get("items") else "list"
    if place.get("type") == "object":
        inside = place.get("additionalProperties")
        return f"map from names to {_words(inside, document)}" if isinstance(inside, dict) else "object"
    return _TYPES[place.get("type", "string")] + _bounds(place)


def _bounds(place: Mapping[str, Any]) -> str:
    if "minimum" in place and "maximum" in place:
        return f" from {place['minimum']:,} to {place['maximum']:,}"
    return ""


ORTHANC = (
    (
        "PythonScript",
        "none",
        "`<folder>/plugin/main.py`",
        "Loads Relais. Orthanc takes one script only: a script of your own may `import main` from this folder instead.",
    ),
    (
        "OverwriteInstances",
        "false",
        "`true`",
        "With `false` Orthanc answers a corrected image with success and drops it: nobody can deliver it.",
    ),
    (
        "ConcurrentJobs",
        "2",
        "`16`, at least the sum of `Concurrency` over all destinations",
        "Each batch is an Orthanc job. With too few, one destination waits for another.",
    ),
    (
        "JobsHistorySize",
        "10",
        "`100`",
        "Relais asks Orthanc how a job ended, and sends again what it forgot. Each that is kept takes some 90 KB.",
    ),
    (
        "SaveJobs",
        "true",
        "`false`",
        "Relais repeats what was under way at a restart. Orthanc would repeat it as well.",
    ),
    (
        "DicomAlwaysAllowStore",
        "true",
        "`true`, or `false` with every machine in `DicomModalities`",
        "Which clinic a study comes from is found out by Relais; who may send at all is Orthanc's to decide.",
    ),
    (
        "DicomCheckCalledAet",
        "false",
        "`false`",
        "Lets each clinic call this server by a title of its own, by which it is then known.",
    ),
    (
        "StoreMD5ForAttachments",
        "true",
        "`true`",
        "Tells an image that is sent again unchanged from a corrected one. With `false` both are delivered again.",
    ),
    (
        "MaximumStorageSize",
        "0",
        "as you like",
        "With a limit Orthanc deletes the oldest patients. Relais protects those of whom something is owed.",
    ),
    (
        "RemoteAccessAllowed",
        "false",
        "`true` only together with `AuthenticationEnabled`",
        "With remote access and no authentication Relais refuses every request.",
    ),
    (
        "AuthenticationEnabled",
        "as `RemoteAccessAllowed`",
        "`true` wherever more than one person works",
        "Orthanc checks the password, Relais looks the name up in `Users`.",
    ),
    (
        "HttpServerEnabled",
        "true",
        "`true`",
        "Relais talks to Orthanc over its REST API on the loopback, and does not start without it.",
    ),
    (
        "DatabaseServerIdentifier",
        "the host's name",
        "a name of its own for each Orthanc on one database",
        "Names the node in the audit chain and in leases of tasks. Keep it the same over restarts.",
    ),
)
"""Option, its default, what to set and why."""
