"""Rivals: the same studies through Relais, the forwarder of orthanc-tools, and Orthanc's Lua routing; and a kill."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any, Protocol

from tests.bench.figures import Figure, Target, number, ratio
from tests.bench.images import count, send_folder, write_studies
from tests.bench.routing import AS_SHIPPED, LEAN, lua_router
from tests.bench.scale import Scale
from tests.bench.servers import QUIET_SECONDS, Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

FORWARDER = ("orthanc-tools==0.23.0", "orthanc-api-client==0.25.3")
HOME = Path(__file__).parents[2] / "var" / "bench" / "orthanc-tools-0.23.0"
"""An environment of its own: the rival is no dependency of ours."""

SIZE = 32_000
PAIRS = KILLS = 3
PATIENCE = 240.0
STILL_SECONDS = 20
"""Nothing more is expected of a router after so long without one image more at the archive."""
RETRY_SECONDS = 60
"""After what failed, the forwarder waits so long; its status is in memory, so only one that was not killed does."""
RESTART_SECONDS = 240.0


class Router(Protocol):
    """What moves images on: one process or several."""

    server: OrthancServer

    def kill(self) -> None:
        """End it with SIGKILL."""
        ...

    def restart(self) -> None:
        """Start it again, as a supervisor would."""
        ...


class Alone:
    """An Orthanc that routes by itself: with Relais, or with a script."""

    def __init__(self, server: OrthancServer) -> None:
        self.server = server

    def kill(self) -> None:
        self.server.kill()

    def restart(self) -> None:
        self.server.start()


class Forwarder:
    """A bare Orthanc, and the forwarder beside it, started as its README says; two threads, as our lane has."""

    def __init__(self, bench: Bench, vna: OrthancServer, *, outlives: bool = False) -> None:
        self.server = bench.bare(modalities={"vna": ("VNA", vna.dicom_port)})
        self._log = bench.new_folder()
        self._outlives = outlives
        self._process = self._start()
        bench.at_end(self._end)

    def kill(self) -> None:
        self.server.kill()
        if not self._outlives:
            self._end()

    def restart(self) -> None:
        self.server.start()
        if not self._outlives:
            self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [HOME / "bin" / "python", "-m", "orthanc_tools.orthanc_forwarder"]
        options = ["--destination=vna", "--trigger=StableStudy", "--worker_threads_count=2"]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, f"--source_url={self.server.url}", *options],
                env={"PATH": "/usr/bin:/bin"},  # it prefers variables such as MODE to its options
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(kw_only=True)
class Way:
    """One way to the archive: how to start it, and what was measured of it.

    By design it waits for `quiet` seconds before it sends, and for `waits` before it tries again.
    """

    name: str
    start: Callable[[Bench, OrthancServer], Router]
    quiet: float = 0.0
    waits: int = 0
    rates: list[float] = field(default_factory=list)
    there: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)

    def run(self, total: int) -> None:
        """Images a second, from the request for the association to the last one at the archive, less quiet time."""
        with Bench() as bench:
            images, vna, router = self._begin(bench, total)
            began = monotonic() - send_folder(images, router.server)
            eventually(lambda: count(vna) == total, PATIENCE, f"{total} images are at the archive: {self.name}")
            self.rates.append(total / (monotonic() - began - self.quiet))

    def crash(self, total: int, still: int) -> None:
        """How many acknowledged images the archive never gets, where a third is there at the kill."""
        with Bench() as bench:
            images, vna, router = self._begin(bench, total)
            send_folder(images, router.server)
            eventually(lambda: count(vna) * 3 >= total, PATIENCE, f"a third is at the archive: {self.name}")
            router.kill()
            self.there.append(count(vna))
            router.restart()
            self.missing.append(total - _in_the_end(vna, total, still))

    def _begin(self, bench: Bench, total: int) -> tuple[Path, OrthancServer, Router]:
        instances = min(50, total)
        folder = bench.new_folder()
        write_studies(folder, studies=total // instances, instances=instances, size=SIZE)
        vna = bench.bare("VNA")
        return folder, vna, self.start(bench, vna)


def run(scale: Scale) -> list[Figure]:
    """Measure the rates in turn, and then the kills."""
    install()
    total = scale.of(500, step=50)
    ours = Way(name="Relais", start=lambda bench, vna: Alone(bench.relais(vna)), quiet=QUIET_SECONDS)
    forwarder = Way(name="the forwarder of orthanc-tools 0.23", start=Forwarder)
    shipped = Way(name="Orthanc's Lua routing, as Debian ships it", start=partial(_lua, options=AS_SHIPPED))
    lean = Way(name="Orthanc's Lua routing, Nagle off and SaveJobs false", start=partial(_lua, options=LEAN))
    outlives = Way(
        name="the forwarder of orthanc-tools 0.23, itself not killed",
        start=partial(Forwarder, outlives=True),
        waits=RETRY_SECONDS,
    )
    for ours_first in islice(scale.orders(), PAIRS):
        for way in (ours, forwarder, shipped, lean) if ours_first else (lean, shipped, forwarder, ours):
            way.run(total)
    ways = (ours, forwarder, outlives, shipped, lean)
    for _ in islice(scale.orders(), KILLS):
        for way in ways:
            way.crash(total, scale.of(STILL_SECONDS + way.waits, step=4))
    studies = f"{total:,} images of 32 KB in {max(1, total // 50)} studies"
    return [
        *(
            Figure(
                name=f"The whole way of {studies}: Relais / {rival.name}",
                unit="",
                samples=ratio(ours.rates, rival.rates),
                target=Target(value=1),
                beside=f"{number(median(ours.rates))}/s against {number(median(rival.rates))}/s",
            )
            for rival in (forwarder, shipped, lean)
        ),
        *(
            Figure(
                name=f"Missing at the archive after {len(way.missing)} kills with {total:,} images each: {way.name}",
                unit="images",
                samples=[sum(way.missing)],
                target=Target(value=0, at_most=True) if way is ours else None,
                beside=f"{_list(way.missing)}; {_list(way.there)} were there at the kill",
            )
            for way in ways
        ),
    ]


def install() -> None:
    """Make the forwarder's environment, if it is not there; it is kept under var/."""
    if (HOME / "installed").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
    pip: list[str | Path] = [HOME / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *FORWARDER], check=True)
    (HOME / "installed").touch()


def _lua(bench: Bench, vna: OrthancServer, *, options: Mapping[str, Any]) -> Router:
    return Alone(lua_router(bench, vna, options))


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _in_the_end(vna: OrthancServer, total: int, still: int) -> int:
    """How many images the archive has once all are there, or nothing has moved for long."""
    moved_at, there = monotonic(), 0

    def is_over() -> bool:
        nonlocal moved_at, there
        now = count(vna)
        if now != there:
            moved_at, there = monotonic(), now
        return there == total or monotonic() - moved_at > still

    eventually(is_over, RESTART_SECONDS, "the archive has all, or nothing moves", pause=0.1)
    return there
