"""What a process has used, from /proc (proc(5))."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

_TICKS = os.sysconf("SC_CLK_TCK")
_MEBIBYTE = 1024 * 1024


@dataclass
class Use:
    """Wall-clock seconds, and the processor seconds of one process meanwhile."""

    seconds: float = field(default=0.0)
    cpu_seconds: float = field(default=0.0)


@contextmanager
def used(pid: int) -> Iterator[Use]:
    """Measure the block; the answer is filled in at its end."""
    use, cpu, began = Use(), cpu_seconds(pid), monotonic()
    yield use
    use.seconds = monotonic() - began
    use.cpu_seconds = cpu_seconds(pid) - cpu


def cpu_seconds(pid: int) -> float:
    """Processor seconds of all the process's threads so far, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mebibytes(pid: int) -> float:
    """Physical memory of the process (VmRSS)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE
