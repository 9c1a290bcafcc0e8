"""Footprint: what the plugin adds to Orthanc's start and to its memory."""

from statistics import median
from threading import Thread
from time import monotonic

from tests.bench.figures import Figure, Target, number
from tests.bench.images import count, send_folder, write_studies
from tests.bench.processes import resident_mebibytes
from tests.bench.scale import Scale
from tests.bench.servers import SMALL_CACHE, Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

SIZE = 4_000
TURNS = 3
PATIENCE = 300.0


def run(scale: Scale) -> list[Figure]:
    """Starts in turn; then memory of a router and of a bare Orthanc that take the same images."""
    return [*_starts(scale), *_memory(scale)]


def _starts(scale: Scale) -> list[Figure]:
    first: list[float] = []
    again: list[float] = []
    bare: list[float] = []
    for ours_first in scale.orders():
        with Bench() as bench:
            for is_ours in (ours_first, not ours_first):
                began = monotonic()
                server = bench.relais() if is_ours else bench.bare()
                (first if is_ours else bare).append(monotonic() - began)
                if is_ours:
                    server.stop()
                    began = monotonic()
                    server.start()
                    again.append(monotonic() - began)
                server.kill()
    return [
        Figure(
            name=f"Start-up with the plugin, beyond bare Orthanc's: {which}",
            unit="s",
            samples=[mine - theirs for mine, theirs in zip(ours, bare, strict=True)],
            target=Target(value=1.5, at_most=True),
            beside=f"{number(median(ours))} s against {number(median(bare))} s",
        )
        for which, ours in (("the first, which makes the database", first), ("any other", again))
    ]


def _memory(scale: Scale) -> list[Figure]:
    studies, instances = scale.of(100), 100
    total = studies * instances
    over: list[float] = []
    with Bench() as bench:
        vna = bench.bare("VNA")
        relais, bare = bench.relais(vna, configuration=SMALL_CACHE), bench.bare(configuration=SMALL_CACHE)
        for turn in range(1, TURNS + 1):
            images = write_studies(bench.new_folder(), studies=studies, instances=instances, size=SIZE)
            senders = [Thread(target=send_folder, args=(images, server)) for server in (relais, bare)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            _settled(relais, bare, vna, turn * total)
            over.append(resident_mebibytes(relais.pid) - resident_mebibytes(bare.pid))
        beside = f"{number(resident_mebibytes(relais.pid))} MB against {number(resident_mebibytes(bare.pid))} MB"
    return [
        Figure(
            name=f"Memory over bare Orthanc's after {total:,} images, all delivered",
            unit="MB",
            samples=over[:1],
            target=Target(value=150, at_most=True),
        ),
        *(
            Figure(
                name=f"What memory over bare Orthanc's grows by from {turn * total:,} to {(turn + 1) * total:,} images",
                unit="MB",
                samples=[over[turn] - over[turn - 1]],
                target=Target(value=10, at_most=True),
                beside=f"in the end {beside}" if turn == TURNS - 1 else "",
            )
            for turn in range(1, TURNS)
        ),
    ]


def _settled(relais: OrthancServer, bare: OrthancServer, vna: OrthancServer, total: int) -> None:
    def all_are_kept() -> bool:
        return all(count(server) == total for server in (bare, relais, vna))

    eventually(all_are_kept, PATIENCE, f"each server keeps {total} images", pause=0.2)
