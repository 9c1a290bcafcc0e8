"""Worklist: one day of a modality among many orders, asked by dcmtk's `findscu`, alone and ten at once."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from tests.bench.figures import Figure, Target, number, percentile
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.servers.orthanc import OrthancServer
from tests.servers.router import API
from tests.servers.waiting import eventually

ORDERS, DAYS, STATIONS = 20_000, 100, 10
REPEATS = 20
BATCH = 1_000
FIRST_DAY = datetime(2027, 3, 1, tzinfo=UTC)
_LOG = """\
log4cplus.rootLogger = DEBUG, console
log4cplus.appender.console = log4cplus::ConsoleAppender
log4cplus.appender.console.logToStdErr = true
log4cplus.appender.console.layout = log4cplus::PatternLayout
log4cplus.appender.console.layout.ConversionPattern = %D{%s.%q} %m%n
"""
"""dcmtk's own time stamps: they leave out the start of the process and its association."""


def run(scale: Scale) -> list[Figure]:
    """One router with all orders; every answer is counted."""
    orders = scale.of(ORDERS, step=DAYS * STATIONS)
    with Bench() as bench:
        router = bench.relais(
            Clinics={"outremont": {"TimeZone": "America/Toronto", "CalledAets": ["RELAIS"]}},
            configuration={
                "DicomModalities": {f"m{each}": [_station(each), "127.0.0.1", 104] for each in range(STATIONS)}
            },
        )
        bench.folder.joinpath("log.cfg").write_text(_LOG)
        _order(router, orders)
        rows = orders // DAYS
        day = [_asked(bench.folder, router, None, rows) for _ in range(REPEATS * scale.pairs)]
        station = [_asked(bench.folder, router, 0, rows // STATIONS) for _ in range(REPEATS * scale.pairs)]
        with ThreadPoolExecutor(STATIONS) as pool:
            together = list(
                pool.map(
                    lambda each: _asked(bench.folder, router, each % STATIONS, rows // STATIONS),
                    range(REPEATS * scale.pairs),
                )
            )
    what = f"{orders:,} orders: C-FIND of"
    return [
        Figure(
            name=f"{what} one day, {rows} answers",
            unit="ms",
            samples=day,
            target=Target(value=50, at_most=True),
            beside=f"95 of 100 within {number(percentile(day, 95))} ms",
        ),
        Figure(
            name=f"{what} one day of one modality, {rows // STATIONS} answers",
            unit="ms",
            samples=station,
            target=Target(value=50, at_most=True),
            beside=f"{number(median(together))} ms where {STATIONS} ask at once, 95 of 100 within "
            f"{number(percentile(together, 95))} ms",
        ),
    ]


def _station(place: int) -> str:
    return f"STATION{place}"


def _order(router: OrthancServer, orders: int) -> None:
    """Put so many orders in, evenly over days and stations."""
    documents = [
        json.dumps(
            {
                "AccessionNumber": f"A{place:07d}",
                "Clinic": "outremont",
                "CrmId": f"C-{place}",
                "PatientName": f"Tremblay^Zoé {place}",
                "PatientID": f"{place}",
                "PatientBirthDate": "19800101",
                "PatientSex": "F",
                "ScheduledProcedureStepStartDate": f"{FIRST_DAY + timedelta(days=place % DAYS):%Y%m%d}",
                "ScheduledProcedureStepStartTime": f"{8 + place // DAYS % 10:02d}{place // 7 % 60:02d}",
                "ScheduledStationAETitle": _station(place // DAYS % STATIONS),
                "Modality": "PX",
                "RequestedProcedureDescription": "Panoramique",
            },
            ensure_ascii=False,
        )
        for place in range(orders)
    ]
    for begin in range(0, orders, BATCH):
        lines = "\n".join(documents[begin : begin + BATCH]).encode()
        answer = router.rest.request("POST", f"{API}/worklist/bulk", lines, {"Content-Type": "application/x-ndjson"})
        if answer.status >= 400:
            raise AssertionError(f"orders were refused: {answer.data.decode()[:500]}")
    last = f"{API}/worklist/A{orders - 1:07d}"
    eventually(lambda: router.rest.request("GET", last).status == 200, 60, "the orders are there")


def _asked(folder: Path, router: OrthancServer, station: int | None, expected: int) -> float:
    """Milliseconds from the request to the last answer; raises AssertionError where it has not so many."""
    step = "ScheduledProcedureStepSequence[0]."
    keys = [
        f"{step}ScheduledProcedureStepStartDate={FIRST_DAY:%Y%m%d}",
        f"{step}ScheduledStationAETitle{'' if station is None else f'={_station(station)}'}",
        *(f"{step}{each}" for each in ("Modality", "ScheduledProcedureStepStartTime", "ScheduledProcedureStepID")),
        *("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyInstanceUID"),
    ]
    done = subprocess.run(
        [
            "findscu",
            "-W",
            "--log-config",
            str(folder / "log.cfg"),
            "--aetitle",
            _station(station or 0),
            "--call",
            router.aet,
        ]
        + [part for key in keys for part in ("-k", key)]
        + ["127.0.0.1", str(router.dicom_port)],
        env=os.environ | {"TCP_NODELAY": "1"},
        capture_output=True,
        encoding="latin-1",
        check=True,
        timeout=60,
    )
    stamps = {
        what: float(found.group(1))
        for what in ("Sending Find Request", "Received Final Find Response")
        if (found := re.search(rf"^([0-9.]+) .*{what}", done.stderr, re.MULTILINE))
    }
    answers = len(re.findall("Received Find Response", done.stderr))
    if answers != expected or len(stamps) != 2:
        raise AssertionError(f"{answers} of {expected} answers: {done.stderr[-500:]}")
    return 1000 * (stamps["Received Final Find Response"] - stamps["Sending Find Request"])
