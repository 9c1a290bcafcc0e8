"""Orthanc's entry: `"PythonScript": "<repository>/plugin/main.py"`.

The only file that imports `orthanc`. A user's own script may `import main`, with this folder on its path.
"""

import gc
import os
import site
import sys
from pathlib import Path

# Before any association is opened: with Nagle's algorithm Orthanc sends some twenty images a second, else hundreds.
os.environ["TCP_NODELAY"] = "1"

HERE = Path(__file__).resolve().parent
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = HERE.parent / ".venv" / "lib" / PYTHON / "site-packages"

if PACKAGES.is_dir():
    site.addsitedir(str(PACKAGES))
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

# Nothing that is imported is garbage: not to look for any saves a start a tenth of its time.
gc.disable()

import orthanc  # noqa: E402 - the paths come first

from relais import bootstrap  # noqa: E402

relais = bootstrap.start(orthanc)
gc.enable()
gc.freeze()
# Orthanc's threads and ours take turns at the interpreter: with Python's 5 ms, who needs a moment waits for long.
sys.setswitchinterval(0.0005)
