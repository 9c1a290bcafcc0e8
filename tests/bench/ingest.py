"""Taking images in: with the plugin against without, and what Orthanc's callback costs."""

from pathlib import Path
from statistics import median

from tests.bench.figures import Figure, Target, number, percentile, ratio
from tests.bench.images import count, send_folder, write_studies
from tests.bench.processes import Use, used
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

TIMED = Path(__file__).with_name("timed_callback.py")
SMALL, LARGE = 32_000, 512_000


def run(scale: Scale) -> list[Figure]:
    """Measure with fresh servers for each pair; nothing is delivered, as the archive does not answer."""
    return [
        _ingest(scale, scale.of(20), 50, SMALL, "32 KB"),
        _ingest(scale, scale.of(4), 50, LARGE, "512 KB"),
        _callback(scale),
    ]


def _ingest(scale: Scale, studies: int, instances: int, size: int, label: str) -> Figure:
    bare: list[Use] = []
    ours: list[Use] = []
    total = studies * instances
    with Bench() as bench:
        images = write_studies(bench.new_folder(), studies=studies, instances=instances, size=size)
        warm = write_studies(bench.new_folder(), studies=1, instances=10, size=size)
        for ours_first in scale.orders(times=3):
            for is_ours in (ours_first, not ours_first):
                server = bench.relais() if is_ours else bench.bare()
                send_folder(warm, server)
                (ours if is_ours else bare).append(_take(server, images, total + 10))
                server.kill()
    rates = [[total / use.seconds for use in uses] for uses in (ours, bare)]
    return Figure(
        name=f"Ingest of {total:,} images of {label}: with the plugin / bare Orthanc",
        unit="",
        samples=ratio(*rates),
        target=Target(value=0.97),
        beside=f"{_told(rates[0], ours)} against {_told(rates[1], bare)}",
    )


def _told(rates: list[float], uses: list[Use]) -> str:
    return f"{number(median(rates))}/s, CPU {number(median(use.cpu_seconds for use in uses))} s"


def _take(server: OrthancServer, images: Path, expected: int) -> Use:
    """Send everything; the processor's time is counted until the plugin has read its feed too."""
    with used(server.pid) as use:
        seconds = send_folder(images, server)
        if "Relais" in server.configuration:
            eventually(lambda: _known(server) == expected, 30, "the feed has read everything")
    if count(server) != expected:
        raise AssertionError(f"{count(server)} of {expected} instances were kept")
    return Use(seconds=seconds, cpu_seconds=use.cpu_seconds)


def _known(server: OrthancServer) -> int:
    studies = server.rest.get("/relais/v1/studies?Limit=100")["Items"]
    return sum(study["Instances"] for study in studies)


def _callback(scale: Scale) -> Figure:
    studies = scale.of(20)
    with Bench() as bench:
        images = write_studies(bench.new_folder(), studies=studies, instances=50, size=SMALL)
        server = bench.relais(script=TIMED)
        send_folder(images, server)
        eventually(
            lambda: len(server.rest.get("/bench/callbacks")) == studies * 50, 30, "every callback has been called"
        )
        durations = [each / 1e6 for each in server.rest.get("/bench/callbacks")]
    return Figure(
        name=f"Orthanc's callback for a new instance, 99th percentile of {len(durations):,}",
        unit="ms",
        samples=[percentile(durations, 99)],
        target=Target(value=1.0, at_most=True),
        beside=f"median {number(median(durations))} ms, longest {number(max(durations))} ms",
    )
