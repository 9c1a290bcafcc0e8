"""The benchmarks run, with tiny numbers: what they measure here says nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import BENCHMARKS
from tests.bench.report import report

ROOT = Path(__file__).parents[2]


LONG = {
    *("footprint", "importing", "ingest", "kinds", "lanes", "ledger", "patients", "querying", "replay", "rivals"),
    *("routing", "watching", "worklist"),
}
"""These take a while even with tiny numbers: `make chaos` runs them."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.chaos] * (name in LONG)) for name in BENCHMARKS]
)
def test_a_benchmark_runs(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", name, "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| Figure")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_page_explains_a_benchmark(name: str) -> None:
    assert f"\n- **{name.capitalize()}**: " in report([], 0)


def test_an_unknown_benchmark_is_refused() -> None:
    command = [sys.executable, "-m", "tests.bench", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such benchmark: nonsense" in done.stderr
