"""Waiting for something to become true, with a deadline and a reason."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(
    condition: Callable[[], Answer], timeout: float = 10.0, what: str = "", *, pause: float = 0.02
) -> Answer:
    """Ask `condition` again and again, and return its first true answer.

    `timeout` and `pause` are in seconds. Raises `AssertionError` with `what` was awaited and the last answer
    seen when the deadline passes; an exception of `condition` passes through.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            awaited = what or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"not within {timeout:g} s: {awaited} (last seen: {answer!r})")
        time.sleep(pause)
