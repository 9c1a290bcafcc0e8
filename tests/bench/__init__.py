"""Benchmarks with peers: ratios measured side by side in one run, on real servers."""

import sys
from pathlib import Path

# The plugin is no installed package: Orthanc finds it in its folder, and so do we.
PLUGIN = Path(__file__).resolve().parents[2] / "plugin"
if str(PLUGIN) not in sys.path:
    sys.path.insert(0, str(PLUGIN))
