"""`make demo` shows the main job, and ends with nothing left behind."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_demo_brings_every_study_through() -> None:
    demo = [sys.executable, "-m", "tests.demo", "--once", "--timeout", "180"]
    done = subprocess.run(demo, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All through." in done.stdout
    assert done.stdout.count("Routed ") == 9
    assert done.stdout.count("Held ") == 1
