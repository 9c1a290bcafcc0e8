"""`make demo` shows the main job, and ends with nothing left behind."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_demo_brings_every_study_through() -> None:
    demo = [sys.executable, "-m", "tests.demo", "--once", "--timeout", "180"]
    done = subprocess.run(demo, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All through." in done.stdout
    assert done.stdout.count("Routed ") == 10
    assert done.stdout.count("Held ") == 1
    told = r"[1-9] studies matched to the CRM's patients, 2 are nobody's, [1-9] wait for a person"
    assert re.search(told, done.stdout)
    assert "4 of 5 orders of today are completed" in done.stdout
    assert "24 images of earlier years came from the PACS, each accounted for" in done.stdout
