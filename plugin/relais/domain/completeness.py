"""When a study counts as complete, and why: pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Completion(StrEnum):
    """Why a study counts as complete."""

    Quiet = "Quiet"  # its source was quiet for long enough
    Expected = "Expected"  # every image that it is said to have is there
    Incomplete = "Incomplete"  # images that it is said to have did not come in the time that was granted
    Cap = "Cap"  # it grew for longer than any study may


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a study is waited for: after its last image, while images are known to be missing, and in all."""

    quiet: timedelta
    incomplete: timedelta
    longest: timedelta


def completion(
    patience: Patience, *, now: datetime, since: datetime, instances: int, expected: int | None
) -> tuple[datetime, Completion]:
    """When a study that has just got an image is complete, unless another comes, and why it is then.

    `since` is when it began to arrive, or to grow again; `expected` how many instances it is said to have.
    """
    if expected is not None and instances >= expected:
        return now, Completion.Expected
    if expected is None:
        deadline, why = now + patience.quiet, Completion.Quiet
    else:
        deadline, why = now + max(patience.quiet, patience.incomplete), Completion.Incomplete
    cap = since + patience.longest
    return (deadline, why) if deadline <= cap else (max(now, cap), Completion.Cap)
