"""The tutorial does what it says: its commands are run as they stand, and print what it shows."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs.markdown import DOCS, ROOT, Block, blocks
from tests.servers.ports import free_port

TUTORIAL = DOCS / "tutorial.md"
PORTS = ("ROUTER_HTTP", "ROUTER_DICOM", "QC_HTTP", "QC_DICOM", "ON_HTTP", "ON_DICOM", "CRM_PORT")
LONGEST = 120
"""Seconds that all of it may take on a busy machine; alone it takes some 25."""


def steps() -> list[tuple[Block, Block | None]]:
    """Each block of commands, with the block of output that follows it."""
    found = [each for each in blocks(TUTORIAL.read_text()) if each.language in ("sh", "text")]
    following = [*found[1:], None]
    return [
        (block, after if after is not None and after.language == "text" else None)
        for block, after in zip(found, following, strict=True)
        if block.language == "sh"
    ]


def script(folder: Path) -> str:
    """All commands in one shell, so that a variable lasts; what a step prints goes to a file of its own."""
    lines = ["set -euo pipefail"]
    for number, (block, _) in enumerate(steps()):
        lines += [f"exec > {folder}/{number} 2>&1", block.text]
    return "\n".join(lines)


def pattern_of(shown: str) -> str:
    """What a line of the tutorial promises: `…` is anything, and nothing more may follow unless it says so."""
    return ".*".join(map(re.escape, shown.split("…")))


def shows(printed: str, shown: str) -> bool:
    """Whether the lines that the tutorial shows were printed in that order; a line `…` is any number of lines."""
    lines = iter(printed.splitlines())
    return all(any(re.fullmatch(pattern_of(wanted), line) for line in lines) for wanted in shown.splitlines())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home of the reader's own, and free ports."""
    return os.environ | {"HOME": str(tmp_path)} | {name: str(free_port()) for name in PORTS}


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The reader's terminal; whatever it started ends with the test."""
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(
        ["bash", "-c", script(tmp_path / "out")], cwd=ROOT, env=environment, start_new_session=True
    )
    yield process
    with suppress(ProcessLookupError):  # all of it has ended, as it should
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_tutorial_has_steps_to_run() -> None:
    assert len(steps()) > 10
    assert sum(shown is not None for _, shown in steps()) > 8


def test_the_tutorial_does_what_it_says(shell: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    try:
        status: int | None = shell.wait(LONGEST)
    except subprocess.TimeoutExpired:
        status = None
    for number, (block, shown) in enumerate(steps()):
        output = tmp_path / "out" / str(number)
        printed = output.read_text(errors="replace") if output.exists() else "(never reached)"
        assert output.exists(), f"docs/tutorial.md:{block.line} was never reached; before it: {_printed(tmp_path)}"
        if shown is not None:
            assert shows(printed, shown.text), f"docs/tutorial.md:{shown.line} is not what was printed:\n{printed}"
    assert status == 0, f"the last step that ran printed:\n{_printed(tmp_path)}"


def _printed(folder: Path) -> str:
    """What the last step that ran printed."""
    last = max((folder / "out").iterdir(), key=lambda each: int(each.name))
    return last.read_text(errors="replace")
