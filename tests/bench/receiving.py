"""Delivery while a study still arrives: how long after the last image's arrival it is at the archive."""

from statistics import median
from time import monotonic

from tests.bench.figures import Figure, Target, number
from tests.bench.images import count, send_timed, write_studies
from tests.bench.scale import Scale
from tests.bench.servers import LANE, Bench
from tests.servers.waiting import eventually

INSTANCES, SIZE = 500, 512_000
PATIENCE = 120.0
LOOK = 0.005


def run(scale: Scale) -> list[Figure]:
    """One study at a time, each with fresh servers."""
    instances = scale.of(INSTANCES)
    sending: list[float] = []
    late = [_late(instances, sending) for _ in scale.orders()]
    return [
        Figure(
            name=f"A study of {instances} images of 512 KB, delivered while it arrives: from the last image's arrival "
            "to its being at the archive",
            unit="s",
            samples=late,
            target=Target(value=1, at_most=True),
            beside=f"it takes {number(median(sending))} s to arrive",
        )
    ]


def _late(instances: int, sending: list[float]) -> float:
    """Seconds from the acknowledgement of the last image to the last one at the archive."""
    with Bench() as bench:
        vna = bench.bare("VNA")
        destination = {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": vna.dicom_port}
        router = bench.relais(Destinations={LANE: {**destination, "Start": "WhileReceiving"}})
        images = write_studies(bench.new_folder(), studies=1, instances=instances, size=SIZE)
        sent = send_timed(images, router)
        eventually(lambda: count(vna) == instances, PATIENCE, "the study is at the archive", pause=LOOK)
        sending.append(sent.acknowledged - sent.began)
        return monotonic() - sent.acknowledged
