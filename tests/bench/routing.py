"""Routing: delivery against Orthanc's own store job, and the whole way against its Lua routing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from tests.bench.figures import Figure, Target, number, ratio
from tests.bench.images import count, send_folder, write_studies
from tests.bench.processes import Use, used
from tests.bench.scale import Scale
from tests.bench.servers import LANE, QUIET_SECONDS, Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

SIZE = 32_000
PATIENCE = 180.0
LUA = "function OnStoredInstance(instanceId, tags, metadata)\n  SendToModality(instanceId, 'vna')\nend\n"
LEAN: Mapping[str, Any] = {"configuration": {"SaveJobs": False}}
# /etc/orthanc/orthanc.json of Debian's package, where the tests' own servers differ from it; and Nagle's algorithm on.
AS_SHIPPED: Mapping[str, Any] = {
    "configuration": {"SaveJobs": True, "ConcurrentJobs": 2, "JobsHistorySize": 10},
    "environment": {"TCP_NODELAY": "0"},
}


@dataclass(kw_only=True)
class Way:
    """One way of routing: how many images it gets, and what each measurement of it took."""

    images: int
    measure: Callable[[Bench, Path, int], Use]
    uses: list[Use] = field(default_factory=list)

    def turn(self) -> None:
        """Measure once, with fresh images and servers."""
        with Bench() as bench:
            instances = min(50, self.images)
            folder = bench.new_folder()
            write_studies(folder, studies=self.images // instances, instances=instances, size=SIZE)
            self.uses.append(self.measure(bench, folder, self.images))

    @property
    def rates(self) -> list[float]:
        """Images a second, of each measurement."""
        return [self.images / use.seconds for use in self.uses]

    def __str__(self) -> str:
        cpu = median(use.cpu_seconds for use in self.uses) / self.images * 1000
        return f"{number(median(self.rates))}/s, CPU {number(cpu)} ms an image"


def run(scale: Scale) -> list[Figure]:
    """Measure all ways in turn, pair by pair."""
    total = scale.of(1000, step=50)
    delivery = Way(images=total, measure=_delivery)
    job = Way(images=total, measure=_store_job)
    whole = Way(images=total, measure=_whole_way)
    shipped = Way(images=scale.of(200, step=50), measure=partial(_lua, options=AS_SHIPPED))
    lean = Way(images=scale.of(1000, step=50), measure=partial(_lua, options=LEAN))
    ways = [delivery, job, whole, shipped, lean]
    for ours_first in scale.orders():
        for way in ways if ours_first else reversed(ways):
            way.turn()
    first, last = f"{total:,} images of 32 KB in {total // 50} studies", "the same by Orthanc's Lua routing"
    return [
        _figure(f"Delivery of {first} / the same by one store job of Orthanc", delivery, job, 0.85),
        _figure(f"The whole way of {first} / {last}, as Debian ships it ({shipped.images} images)", whole, shipped, 10),
        _figure(f"The whole way / {last}, Nagle off and SaveJobs false ({lean.images} images)", whole, lean, 4),
    ]


def _figure(name: str, ours: Way, peer: Way, target: float) -> Figure:
    return Figure(
        name=name,
        unit="",
        samples=ratio(ours.rates, peer.rates),
        target=Target(value=target),
        beside=f"{ours} against {peer}",
    )


def _delivery(bench: Bench, images: Path, total: int) -> Use:
    """From the resumption of a paused lane, with everything routed, to the last image at the archive."""
    vna = bench.bare("VNA")
    server = bench.relais(vna, Completeness={"QuietSeconds": 0.5})
    server.rest.post(f"/relais/v1/destinations/{LANE}/pause", {"Reason": "benchmark"})
    send_folder(images, server)
    eventually(lambda: _backlog(server) == total // 50, PATIENCE, "everything is routed")
    with used(server.pid) as use:
        server.rest.post(f"/relais/v1/destinations/{LANE}/resume", {"Reason": "benchmark"})
        _arrived(vna, total)
    return use


def _backlog(server: OrthancServer) -> int:
    lane = server.rest.get(f"/relais/v1/destinations/{LANE}")
    return int(lane["Backlog"])


def _store_job(bench: Bench, images: Path, total: int) -> Use:
    """From the request of one store job for every instance to the last image at the archive."""
    vna = bench.bare("VNA")
    server = bench.bare(modalities={"vna": ("VNA", vna.dicom_port)})
    send_folder(images, server)
    instances = server.rest.get("/instances")
    with used(server.pid) as use:
        server.rest.post("/modalities/vna/store", {"Resources": instances, "Synchronous": False})
        _arrived(vna, total)
    return use


def _whole_way(bench: Bench, images: Path, total: int) -> Use:
    """From the sender's first image to the last at the archive, less the quiet time."""
    vna = bench.bare("VNA")
    use = _sent_and_arrived(bench.relais(vna), images, vna, total)
    return Use(seconds=use.seconds - QUIET_SECONDS, cpu_seconds=use.cpu_seconds)


def _lua(bench: Bench, images: Path, total: int, *, options: Mapping[str, Any]) -> Use:
    """The same way through Orthanc's own routing, which waits for nothing."""
    vna = bench.bare("VNA")
    return _sent_and_arrived(lua_router(bench, vna, options), images, vna, total)


def lua_router(bench: Bench, vna: OrthancServer, options: Mapping[str, Any]) -> OrthancServer:
    """An Orthanc whose script sends each instance to the archive."""
    script = bench.new_folder()
    script.write_text(LUA)
    configuration = {**options["configuration"], "LuaScripts": [str(script)]}
    return bench.bare(modalities={"vna": ("VNA", vna.dicom_port)}, **{**options, "configuration": configuration})


def _sent_and_arrived(router: OrthancServer, images: Path, vna: OrthancServer, total: int) -> Use:
    with used(router.pid) as use:
        sending = send_folder(images, router)
        began = monotonic() - sending
        _arrived(vna, total)
        seconds = monotonic() - began
    return Use(seconds=seconds, cpu_seconds=use.cpu_seconds)


def _arrived(vna: OrthancServer, total: int) -> None:
    eventually(lambda: count(vna) == total, PATIENCE, f"{total} images are at the archive")
