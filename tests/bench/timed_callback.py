"""A user's own script around Relais that measures Orthanc's callback: `/bench/callbacks` answers its nanoseconds.

It must be loaded by Orthanc ("PythonScript"), and imports plugin/main.py as the manual tells users to.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import orthanc

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugin"))

durations: list[int] = []
register = orthanc.RegisterOnChangeCallback


def register_timed(callback: Callable[[Any, Any, str], None]) -> None:
    def timed(change: Any, level: Any, resource: str) -> None:
        began = perf_counter_ns()
        callback(change, level, resource)
        if change == orthanc.ChangeType.NEW_INSTANCE:
            durations.append(perf_counter_ns() - began)

    register(timed)


def answer(output: Any, _uri: str, **_request: Any) -> None:
    output.AnswerBuffer(json.dumps(durations), "application/json")


orthanc.RegisterOnChangeCallback = register_timed
orthanc.RegisterRestCallback("/bench/callbacks", answer)

import main  # noqa: E402, F401 - it registers the callbacks, which must be ours by then
