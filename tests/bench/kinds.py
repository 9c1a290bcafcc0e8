"""Kinds of destination: each against Orthanc's own way of the same kind, and files against `cp` and `sha256sum`."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from tests.bench.figures import Figure, Target, number, ratio
from tests.bench.images import count, send_folder, write_studies
from tests.bench.scale import Scale
from tests.bench.servers import LANE, Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

SIZE, IMAGES = 512_000, 400
SMALL, LARGE = 20, 100
"""Images a study: each study is a job, an association and some transactions of ours; their peers know no studies."""
FIRST = 2
"""Images of a study that goes the same way before the clock starts, on both sides: it measures routers at work."""
JOBS = 2
"""Store jobs that Orthanc runs at once; our lane does as many deliveries at once by default."""
PATIENCE = 180.0
LOOK = 0.02
"""Seconds between looks whether all is there; at 0.005 the looks took a seventh of two cores."""
WEB: Mapping[str, Any] = {"plugins": ("DicomWeb",)}


@dataclass(kw_only=True)
class Kind:
    """One kind: our destination, and Orthanc's own route to the same archive."""

    name: str
    target: float
    destination: Callable[[OrthancServer], dict[str, Any]]
    definition: Callable[[OrthancServer], dict[str, Any]]
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)
    instances: int = SMALL
    ours: list[float] = field(default_factory=list)
    peers: list[float] = field(default_factory=list)

    def figure(self, total: int) -> Figure:
        """Ours over the peer's."""
        return Figure(
            name=f"{_what(total, self.instances)}: {self.name}",
            unit="",
            samples=ratio(self.ours, self.peers),
            target=Target(value=self.target),
            beside=f"{number(median(self.ours))}/s against {number(median(self.peers))}/s",
        )


_DICOM = Kind(
    name="Dicom / two store jobs of Orthanc",
    target=0.9,
    destination=lambda vna: {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": vna.dicom_port},
    definition=lambda vna: {"DicomModalities": {"vna": ["VNA", "127.0.0.1", vna.dicom_port]}},
    path="/modalities/vna/store",
)
KINDS = (
    _DICOM,
    replace(_DICOM, instances=LARGE),
    Kind(
        name="DicomWeb / two STOW jobs of Orthanc",
        target=0.85,
        destination=lambda vna: {"Kind": "DicomWeb", "Url": f"{vna.url}/dicom-web"},
        definition=lambda vna: {"DicomWeb": {"Servers": {"vna": {"Url": f"{vna.url}/dicom-web/"}}}},
        path="/dicom-web/servers/vna/stow",
        options=WEB,
    ),
    Kind(
        name="OrthancPeer / two peer jobs of Orthanc",
        target=0.85,
        destination=lambda vna: {"Kind": "OrthancPeer", "Url": vna.url},
        definition=lambda vna: {"OrthancPeers": {"vna": [f"{vna.url}/"]}},
        path="/peers/vna/store",
    ),
)


def run(scale: Scale) -> list[Figure]:
    """Measure all kinds in turn, pair by pair, each time with fresh servers and images."""
    total = scale.of(IMAGES, step=LARGE)
    kinds = [replace(kind, ours=[], peers=[]) for kind in KINDS]
    files: list[float] = []
    copies: list[float] = []
    for ours_first in scale.orders():
        for kind in kinds:
            for is_ours in (ours_first, not ours_first):
                rates, measure = (kind.ours, _ours) if is_ours else (kind.peers, _jobs)
                rates.append(total / measure(kind, total))
        for is_ours in (ours_first, not ours_first):
            rates, measure_files = (files, _files) if is_ours else (copies, _copy)
            rates.append(total / measure_files(total))
    return [
        *(kind.figure(total) for kind in kinds),
        Figure(
            name=f"{_what(total, SMALL)}: Files / cp and sha256sum",
            unit="",
            samples=ratio(files, copies),
            target=Target(value=0.5),
            beside=f"{number(median(files))}/s against {number(median(copies))}/s",
        ),
    ]


def _what(total: int, instances: int) -> str:
    return f"Delivery of {total:,} images of 512 KB in {total // instances} studies"


def _ours(kind: Kind, total: int) -> float:
    """Seconds from the resumption of the paused lane, with everything routed, to the last image at the archive."""
    with Bench() as bench:
        vna = bench.bare("VNA", **kind.options)
        router = _routed(bench, kind.destination(vna), total, kind.instances)
        return _resumed(router, lambda: count(vna) == FIRST + total)


def _files(total: int) -> float:
    """Likewise, to the end of the last delivery: its manifest is written last."""
    with Bench() as bench:
        folder = bench.new_folder()
        folder.mkdir()
        router = _routed(bench, {"Kind": "Files", "Url": f"file://{folder}"}, total, SMALL)
        seconds = _resumed(router, lambda: _backlog(router) == 0)
        if (written := len(list(folder.rglob("*.dcm")))) != FIRST + total:
            raise AssertionError(f"{written} of {total} files were written")
        return seconds


def _routed(bench: Bench, destination: dict[str, Any], total: int, instances: int) -> OrthancServer:
    """A router with everything routed to one destination, whose lane is paused; one study went there before."""
    router = bench.relais(Destinations={LANE: destination}, Completeness={"QuietSeconds": 0.5})
    send_folder(_images(bench, FIRST, FIRST), router)
    eventually(lambda: _delivered(router) == FIRST, PATIENCE, "the first study is delivered")
    router.rest.post(f"/relais/v1/destinations/{LANE}/pause", {"Reason": "benchmark"})
    send_folder(_images(bench, total, instances), router)
    eventually(lambda: _backlog(router) == total // instances, PATIENCE, "everything is routed")
    return router


def _resumed(router: OrthancServer, is_there: Callable[[], bool]) -> float:
    began = monotonic()
    router.rest.post(f"/relais/v1/destinations/{LANE}/resume", {"Reason": "benchmark"})
    eventually(is_there, PATIENCE, "everything is delivered", pause=LOOK)
    return monotonic() - began


def _delivered(router: OrthancServer) -> int:
    return sum(int(each["Delivered"]) for each in router.rest.get("/relais/v1/deliveries?State=Completed")["Items"])


def _backlog(router: OrthancServer) -> int:
    return int(router.rest.get(f"/relais/v1/destinations/{LANE}")["Backlog"])


def _jobs(kind: Kind, total: int) -> float:
    """Seconds from the request of two jobs of Orthanc, for half of the instances each, to the last at the archive."""
    with Bench() as bench:
        vna = bench.bare("VNA", **kind.options)
        sender = bench.bare(configuration=kind.definition(vna), **kind.options)
        send_folder(_images(bench, FIRST, FIRST), sender)
        first = sender.rest.get("/studies")
        sender.rest.post(kind.path, {"Resources": first, "Synchronous": True})
        send_folder(_images(bench, total, kind.instances), sender)
        found = [each for each in sender.rest.get("/studies") if each not in first]
        halves = [found[start::JOBS] for start in range(JOBS)]
        began = monotonic()
        for half in halves:
            sender.rest.post(kind.path, {"Resources": half, "Synchronous": False})
        eventually(lambda: count(vna) == FIRST + total, PATIENCE, f"everything is sent: {kind.path}", pause=LOOK)
        return monotonic() - began


def _copy(total: int) -> float:
    """Seconds of `cp` of the same files, and of `sha256sum` of the copies."""
    with Bench() as bench:
        images: Path = _images(bench, total, SMALL)
        copies = bench.new_folder()
        began = monotonic()
        subprocess.run(["cp", "--recursive", images, copies], check=True)
        names = sorted(path.name for path in copies.iterdir())
        subprocess.run(["sha256sum", *names], cwd=copies, check=True, stdout=subprocess.DEVNULL)
        return monotonic() - began


def _images(bench: Bench, total: int, instances: int) -> Path:
    return write_studies(bench.new_folder(), studies=total // instances, instances=instances, size=SIZE)
