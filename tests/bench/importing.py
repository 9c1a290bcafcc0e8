"""Importing: studies fetched by C-MOVE from an Orthanc, against another Orthanc's own C-MOVE of the same."""

from statistics import median
from time import monotonic

from tests.bench.figures import Figure, Target, number, ratio
from tests.bench.images import count, send_folder, write_studies
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.router import API, source
from tests.servers.waiting import eventually

STUDIES, IMAGES, SIZE = 5, 200, 512_000
PATIENCE = 300.0
LOOK = 0.02
"""Seconds between looks whether all is there, and then whether the import is over."""


def run(scale: Scale) -> list[Figure]:
    """Pair by pair, each time from the same source to a fresh server."""
    images = scale.of(IMAGES)
    ours: list[float] = []
    peers: list[float] = []
    proofs: list[float] = []
    once_more: list[float] = []
    with Bench() as bench:
        pacs = bench.bare("PACS", configuration={"DicomAlwaysAllowFind": True, "DicomAlwaysAllowMove": True})
        send_folder(write_studies(bench.new_folder(), studies=STUDIES, instances=images, size=SIZE), pacs)
        total = STUDIES * images
        for ours_first in scale.orders():
            for is_ours in (ours_first, not ours_first):
                if is_ours:
                    imported, waited, again = _imported(bench, pacs, total)
                else:
                    moved, first = _moved(bench, pacs, total)
            ours.append(total / imported)
            peers.append(total / moved)
            proofs.append(100 * (waited - first) / imported)
            once_more.append(100 * again / imported)
    what = f"Import of {STUDIES} studies of {images} images of 512 KB by C-MOVE"
    return [
        Figure(
            name=f"{what} / Orthanc's own",
            unit="",
            samples=ratio(ours, peers),
            target=Target(value=0.85),
            beside=f"{number(median(ours))}/s against {number(median(peers))}/s",
        ),
        Figure(
            name=f"{what}: the share of the proof",
            unit="%",
            samples=proofs,
            target=Target(value=5, at_most=True),
            beside=f"the same import again, when all is there: {number(median(once_more))} % of its time",
        ),
    ]


def _imported(bench: Bench, pacs: OrthancServer, total: int) -> tuple[float, float, float]:
    """Seconds from the order to the import's end; those of them in which nothing came; and of the same once more."""
    sources = {"pacs": source("PACS", pacs.dicom_port, Profile="Orthanc")}
    router = bench.relais(Sources=sources, Rules=[], Otherwise={"Hold": "benchmark"})
    _introduce(pacs, router)
    studies = [each["MainDicomTags"]["StudyInstanceUID"] for each in pacs.rest.get("/studies?expand")]
    seconds, waited = _import(router, studies, total)
    again, _ = _import(router, studies, total)
    if (there := count(router)) != total:
        raise AssertionError(f"{there} of {total} images were imported")
    router.kill()
    return seconds, waited, again


def _import(router: OrthancServer, studies: list[str], total: int) -> tuple[float, float]:
    """Seconds that it takes, and those of them before the first image and after the last."""
    began = monotonic()
    order = {"Source": "pacs", "Studies": studies, "Route": False, "Reason": "benchmark"}
    path = f"{API}/imports/{router.rest.post(f'{API}/imports', order)['Id']}"
    eventually(lambda: count(router) > 0, PATIENCE, "the first image comes", pause=LOOK)
    before = monotonic() - began
    eventually(lambda: count(router) == total, PATIENCE, "everything is imported", pause=LOOK)
    last = monotonic()
    # A list of imports that has none that runs costs less than a page with every study.
    running = f"{API}/imports?State=Running&Limit=1"
    eventually(lambda: not router.rest.get(running)["Items"], PATIENCE, "the import ends", pause=LOOK)
    ended = monotonic()
    done = router.rest.get(path)
    if (done["State"], done["Received"]) != ("Completed", total):
        raise AssertionError(f"the import is {done['State']} with {done['Received']} of {total} images")
    return ended - began, before + ended - last


def _moved(bench: Bench, pacs: OrthancServer, total: int) -> tuple[float, float]:
    """Seconds that a bare Orthanc takes for the same, one study after the other, to the last image; to the first."""
    bare = bench.bare(configuration={"DicomModalities": {"pacs": ["PACS", "127.0.0.1", pacs.dicom_port]}})
    _introduce(pacs, bare)
    began = monotonic()
    query = bare.rest.post("/modalities/pacs/query", {"Level": "Study", "Query": {"StudyInstanceUID": ""}})["ID"]
    bare.rest.post(f"/queries/{query}/retrieve", {"TargetAet": bare.aet, "Synchronous": False})
    eventually(lambda: count(bare) > 0, PATIENCE, "the first image comes", pause=LOOK)
    first = monotonic() - began
    eventually(lambda: count(bare) == total, PATIENCE, "everything is moved", pause=LOOK)
    seconds = monotonic() - began
    bare.kill()
    return seconds, first


def _introduce(pacs: OrthancServer, server: OrthancServer) -> None:
    """Let the source know where to send to."""
    pacs.rest.put(f"/modalities/{server.aet.lower()}", [server.aet, "127.0.0.1", server.dicom_port])
