"""Replay: how long ten thousand past studies take, and what live routing notices of it."""

import json
import random
from collections.abc import Iterator, Mapping
from statistics import median
from time import monotonic
from typing import Any

from sqlalchemy import bindparam, select, update

from relais.database import Database
from relais.database.tables import decision
from tests.bench.figures import Figure, Target, number, ratio
from tests.bench.images import count, send_folder, write_studies
from tests.bench.processes import used
from tests.bench.scale import Scale
from tests.bench.seed import CLINICS, seed
from tests.bench.servers import LANE, QUIET_SECONDS, Bench, relais_section
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

STUDIES = 10_000
LONG = 60_000
"""Studies of the replay that runs beside live routing: more than it can finish meanwhile."""
RULES = 100
LIVE, INSTANCES, SIZE = 150, 4, 32_000
PATIENCE = 300.0
LOOK = 0.5
"""Seconds between looks at the replay, as a page takes them."""
API = "/relais/v1/configuration/replays"
QUEBEC = {"Storage": "CA-QC", "Access": ["CA-QC"]}


def run(scale: Scale) -> list[Figure]:
    """One server: the replay alone, and then routing with and without one, turn and turn about."""
    studies, live, beside = scale.of(STUDIES), scale.of(LIVE, step=5), max(scale.of(LONG), STUDIES)
    seconds: list[float] = []
    with_replay: list[float] = []
    without: list[float] = []
    idle_cpu: list[float] = []
    with Bench() as bench:
        url = f"sqlite:///{bench.new_folder()}.db"
        vna = bench.bare("VNA")
        section = _section(vna)
        router = bench.relais(vna, **section, Database=url)
        seed(url, studies=beside, deliveries=False)
        _write_facts(url)
        proposed = relais_section(vna, **{**section, "Rules": [*_rules("cloud"), {"Name": "all", "DeliverTo": [LANE]}]})
        for _ in scale.orders():
            with used(router.pid) as use:
                seconds.append(_replayed(router, proposed, studies))
            idle_cpu.append(use.cpu_seconds)
        for replay_first in scale.orders():
            for replays in (replay_first, not replay_first):
                images = write_studies(bench.new_folder(), studies=live, instances=INSTANCES, size=SIZE)
                rates = with_replay if replays else without
                if replays:
                    running = _started(router, proposed, beside)
                    rates.append(_rate(router, images, vna, live * INSTANCES))
                    _cancel(router, running)
                else:
                    rates.append(_rate(router, images, vna, live * INSTANCES))
    return [
        Figure(
            name=f"Replay of {studies:,} studies, {RULES} rules of 5 conditions on either side",
            unit="s",
            samples=seconds,
            target=Target(value=20, at_most=True),
            beside=f"Orthanc's own process takes {number(median(idle_cpu))} s of processor time meanwhile",
        ),
        Figure(
            name=f"The whole way of {live} studies of {INSTANCES} images while a replay runs / the same without",
            unit="",
            samples=ratio(with_replay, without),
            target=Target(value=0.9),
            beside=f"{number(median(with_replay))}/s against {number(median(without))}/s",
        ),
    ]


def _section(vna: OrthancServer) -> dict[str, Any]:
    archive = {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": vna.dicom_port, "Jurisdiction": QUEBEC}
    return {
        "Clinics": {name: {"CallingAets": [f"??{name[:4].upper()}"], "Region": "CA-QC"} for name in CLINICS},
        "Destinations": {LANE: archive, "cloud": archive},
        "Rules": [*_rules(LANE), {"Name": "all", "DeliverTo": [LANE]}],
    }


def _rules(destination: str) -> list[dict[str, Any]]:
    """Rules of five conditions each; about one in ten holds for a study."""
    chance = random.Random(1)
    modalities = ("PX", "IO", "DX", "CT", "MR")
    return [
        {
            "Name": f"rule {index}",
            "When": {
                "All": [
                    {"Field": "Modality", "In": chance.sample(modalities, 3)},
                    {"Field": "Clinic", "Equals": chance.choice(CLINICS)},
                    {"Field": "StudyDescription", "Contains": chance.choice("aeinos")},
                    {"Field": "PatientAge", "AtLeast": f"0{index % 90:02d}Y"},
                    {"Field": "Now.Time", "Between": ["00:00", f"{4 + index % 20:02d}:00"]},
                ]
            },
            "DeliverTo": [destination],
        }
        for index in range(RULES)
    ]


def _write_facts(url: str) -> None:
    """Give every seeded decision the facts of a study of two series, forty attributes each, as images have them."""
    database = Database(url)
    with database.read() as connection:
        ids = connection.execute(select(decision.c.id)).scalars().all()
    statement = update(decision).where(decision.c.id == bindparam("row")).values(facts=bindparam("found"))
    for start in range(0, len(ids), 5_000):
        with database.write() as connection:
            connection.execute(statement, [{"row": each, "found": _facts(each)} for each in ids[start : start + 5_000]])
    database.close()


def _facts(study_id: int) -> dict[str, Any]:
    chance = random.Random(study_id)
    modality, clinic = chance.choice(("PX", "IO", "DX", "CT", "MR")), chance.choice(CLINICS)
    series = {
        **dict(_fillers()),
        "StudyInstanceUID": [f"1.2.826.0.1.3680043.8.498.{study_id}"],
        "PatientID": [f"P{study_id // 3:07d}"],
        "Modality": [modality],
        "PatientAge": [f"0{chance.randrange(100):02d}Y"],
        "StudyDescription": [chance.choice(("Panoramique", "Examen dentaire", "Thorax 2 incidences"))],
    }
    origin = {"CallingAet": f"{modality}{clinic[:4].upper()}", "CalledAet": "RELAIS", "RemoteIp": "10.1.0.7"}
    return {"Study": series, "Series": [series, series], "Origin": origin | {"Kind": "DicomProtocol"}, "Clinic": clinic}


def _fillers() -> Iterator[tuple[str, list[str]]]:
    words = (
        "Manufacturer ManufacturerModelName StationName SoftwareVersions DeviceSerialNumber ProtocolName "
        "SeriesDescription BodyPartExamined PatientPosition PatientOrientation Laterality ViewPosition ImageType "
        "PhotometricInterpretation LossyImageCompression BurnedInAnnotation InstitutionName InstitutionAddress "
        "ReferringPhysicianName OperatorsName PatientName PatientBirthDate PatientSex StudyDate StudyTime SeriesDate "
        "SeriesTime ContentDate ContentTime AccessionNumber StudyID SeriesInstanceUID SOPClassUID SOPInstanceUID "
        "FrameOfReferenceUID"
    )
    for word in words.split():
        yield word, ["a value of usual length"]


def _started(router: OrthancServer, proposed: Mapping[str, Any], studies: int) -> int:
    """A replay that is under way."""
    replay = int(router.rest.post(API, {"Document": proposed, "Studies": studies})["Id"])
    eventually(lambda: router.rest.get(f"{API}/{replay}")["Done"], PATIENCE, "the replay has begun")
    return replay


def _cancel(router: OrthancServer, replay: int) -> None:
    """Raises RestError when it is over already: then the measurement was not of what it says."""
    router.rest.post(f"{API}/{replay}/cancel", {})
    eventually(
        lambda: not [each for each in router.rest.get("/relais/v1/tasks")["Items"] if each["Kind"] == "replay"],
        PATIENCE,
        "the replay has ended",
    )


def _replayed(router: OrthancServer, proposed: Mapping[str, Any], studies: int) -> float:
    """Seconds from the question to the last study."""
    began = monotonic()
    replay = router.rest.post(API, {"Document": proposed, "Studies": studies})["Id"]
    ended = eventually(lambda: _ended(router, replay), PATIENCE, "the replay has ended", pause=LOOK)
    if ended["State"] != "Completed" or ended["Done"] != studies or not ended["Changed"]:
        raise AssertionError(json.dumps(ended))
    return monotonic() - began


def _ended(router: OrthancServer, replay: int) -> Any:
    found = router.rest.get(f"{API}/{replay}")
    return found if found["FinishedAt"] else None


def _rate(router: OrthancServer, images: Any, vna: OrthancServer, total: int) -> float:
    """Images a second, from the sender's first to the last at the archive, less the quiet time."""
    expected = count(vna) + total
    sending = send_folder(images, router)
    began = monotonic() - sending
    eventually(lambda: count(vna) == expected, PATIENCE, f"{total} images are at the archive")
    return total / (monotonic() - began - QUIET_SECONDS)
