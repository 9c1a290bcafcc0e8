"""The files that set a machine up agree with each other."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def normalised(requirement: str) -> str:
    """A pin as pip compares it (PEP 503), without extras."""
    name, _, version = re.sub(r"\[.*\]", "", requirement).partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def pins(name: str) -> set[str]:
    lines = (ROOT / "docker" / name).read_text().splitlines()
    return {normalised(line) for line in lines if "==" in line}


def test_pins_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    run, test = pins("requirements.txt"), pins("requirements-test.txt")
    assert {normalised(each) for each in project["dependencies"]} <= run
    assert {normalised(each) for each in project["optional-dependencies"]["test"]} <= test
    assert not run & test


def test_every_verb_is_in_the_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^ +make ([a-z-]+) ", shown, re.MULTILINE)) == verbs


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "docker").glob("*.sh")))
def test_scripts_are_executable_and_parse(name: str) -> None:
    script = ROOT / "docker" / name
    assert script.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", script], check=True)


def test_licence_is_the_one_declared() -> None:
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("GNU AFFERO GENERAL PUBLIC LICENSE")
