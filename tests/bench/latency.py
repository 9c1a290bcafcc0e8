"""Latency: how long after a study's last image the last one is at the archive, beyond the wait for quiet."""

from pathlib import Path
from statistics import median
from time import monotonic

from tests.bench.figures import Figure, Target, number
from tests.bench.images import count, send_folder, write_studies
from tests.bench.scale import Scale
from tests.bench.servers import QUIET_SECONDS, Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

SIZE = 512_000
PATIENCE = 60.0
LOOK = 0.005


def run(scale: Scale) -> list[Figure]:
    """Send one study after the other through the plugin, and through a store job of a bare Orthanc."""
    instances = scale.of(50)
    ours: list[float] = []
    raw: list[float] = []
    with Bench() as bench:
        vna = bench.bare("VNA")
        relais = bench.relais(vna)
        bare = bench.bare(modalities={"vna": ("VNA", vna.dicom_port)})
        for ours_first in scale.orders():
            for is_ours in (ours_first, not ours_first):
                images = write_studies(bench.new_folder(), studies=1, instances=instances, size=SIZE)
                expected = count(vna) + instances
                if is_ours:
                    ours.append(_routed(relais, images, vna, expected))
                else:
                    raw.append(_stored(bare, images, vna, expected))
    return [
        Figure(
            name=f"A study of {instances} images of 512 KB: the last at the archive, less quiet time and one raw store",
            unit="s",
            samples=[mine - store for mine, store in zip(ours, raw, strict=True)],
            target=Target(value=0.3, at_most=True),
            beside=f"{number(median(ours))} s after the quiet time; a raw store takes {number(median(raw))} s",
        )
    ]


def _routed(server: OrthancServer, images: Path, vna: OrthancServer, expected: int) -> float:
    """Seconds from the last acknowledgement to the last image at the archive, less the quiet time."""
    send_folder(images, server)
    began = monotonic()
    eventually(lambda: count(vna) == expected, PATIENCE, "the study is at the archive", pause=LOOK)
    return monotonic() - began - QUIET_SECONDS


def _stored(server: OrthancServer, images: Path, vna: OrthancServer, expected: int) -> float:
    """Seconds of one store job of the study."""
    known = set(server.rest.get("/studies"))
    send_folder(images, server)
    study = (set(server.rest.get("/studies")) - known).pop()
    began = monotonic()
    server.rest.post("/modalities/vna/store", {"Resources": [study], "Synchronous": False})
    eventually(lambda: count(vna) == expected, PATIENCE, "the study is at the archive", pause=LOOK)
    return monotonic() - began
