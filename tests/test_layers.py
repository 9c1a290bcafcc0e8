"""The house keeps its shape: who may import whom, how long a module may be, and what none may do."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[1] / "plugin"
MODULES = sorted(path for path in PLUGIN.rglob("*.py") if "__pycache__" not in path.parts)

STEPS = {"receive", "identify", "decide", "deliver", "notify"}
ADAPTERS = {"database", "orthanc", "transports"}

# What each part of `relais` must not import from the others; parts that are not named here may import all.
FORBIDDEN = {
    "configuration": STEPS | ADAPTERS | {"web", "worker", "bootstrap"},
    "database": STEPS | {"orthanc", "transports", "web", "worker", "bootstrap"},
    "orthanc": STEPS | {"database", "transports", "web", "worker", "bootstrap"},
    "transports": STEPS | {"database", "orthanc", "web", "worker", "bootstrap"},
    **{step: {"web", "bootstrap"} for step in STEPS},
    "tasks": STEPS | {"web", "worker", "bootstrap"},
    "worker": STEPS | {"web", "bootstrap"},
    "web": {"bootstrap"},
}

# `domain` computes: beside itself it may use these, and no file, socket, thread, clock or database.
DOMAIN_LIBRARIES = {"pydantic", "pydantic_core", "pydicom", "rapidfuzz", "re2"}
DOMAIN_STANDARD_LIBRARY = {
    *(
        "__future__",
        "base64",
        "bisect",
        "collections",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "email",
    ),
    *("enum", "fnmatch", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "ipaddress", "itertools"),
    *("json", "math", "operator", "random", "re", "statistics", "string", "types", "typing", "unicodedata"),
    *("uuid", "zoneinfo"),
}

LONGEST_MODULE = 400
VAGUE_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


def imports(module: Path) -> Iterator[str]:
    """Yield the dotted name of each thing that the module imports, wherever it does so."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively: this test cannot read it"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(dotted: str) -> str | None:
    """Return the part of `relais` that a dotted name lies in; None for another package."""
    package, _, rest = f"{dotted}.".partition(".")
    return rest.partition(".")[0] if package == "relais" else None


def of_part(name: str) -> list[Path]:
    folder = PLUGIN / "relais" / name
    return [path for path in MODULES if folder in path.parents or path == folder.with_suffix(".py")]


def label(module: Path) -> str:
    return str(module.relative_to(PLUGIN))


def test_there_is_a_house() -> None:
    """An empty folder must not make the other tests pass."""
    assert {"domain", "configuration", "database", "orthanc", "web"} <= {
        path.parent.name for path in MODULES if path.parent.parent.name == "relais"
    }
    assert len(MODULES) > 20


def test_the_rules_see_every_kind_of_import(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import relais.web\ndef f():\n    from relais import deliver\n    from relais.web.app import x\n")
    assert [part(name) for name in imports(module)] == ["web", "deliver", "web"]


@pytest.mark.parametrize("module", of_part("domain"), ids=label)
def test_domain_is_pure(module: Path) -> None:
    allowed = DOMAIN_LIBRARIES | DOMAIN_STANDARD_LIBRARY
    for name in imports(module):
        assert part(name) == "domain" or name.partition(".")[0] in allowed, f"{label(module)} imports {name}"


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_dependencies_point_down(name: str) -> None:
    for module in of_part(name):
        upward = {each for each in imports(module) if part(each) in FORBIDDEN[name]}
        assert not upward, f"{label(module)} imports {sorted(upward)}"


def test_only_main_imports_orthanc() -> None:
    importers = {label(path) for path in MODULES if "orthanc" in {name.partition(".")[0] for name in imports(path)}}
    assert importers == {"main.py"}


@pytest.mark.parametrize("module", MODULES, ids=label)
def test_modules_stay_small_and_say_what_they_are(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= LONGEST_MODULE
    assert not VAGUE_NAMES & set(module.stem.split("_"))


@pytest.mark.parametrize("module", MODULES, ids=label)
def test_nothing_is_printed(module: Path) -> None:
    calls = (node.func for node in ast.walk(tree(module)) if isinstance(node, ast.Call))
    assert "print" not in {call.id for call in calls if isinstance(call, ast.Name)}
