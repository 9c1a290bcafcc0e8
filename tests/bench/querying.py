"""Querying: ten PACS asked at once, of which one is dead and one takes three seconds."""

from contextlib import ExitStack
from dataclasses import replace
from time import monotonic
from typing import Any

from tests.bench.figures import Figure, Target, number, ratio
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.servers.dicom import make_study
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.orthanc import OrthancServer
from tests.servers.proxy import Fault, Proxy
from tests.servers.router import API, source
from tests.servers.waiting import eventually

SOURCES = 10
SLOW_SECONDS = 3.0
TIMEOUT_SECONDS = 10
STUDIES = 10
"""Studies of the patient at each source."""
LOOK, LATER = 0.02, 0.1
"""Seconds between looks at the answers so far: until there are some, and after that."""
PATIENT = "P0000001"


def run(scale: Scale) -> list[Figure]:
    """One router; the question to all sources, and to the slow one alone, turn and turn about."""
    first: list[float] = []
    others: list[float] = []
    alone: list[float] = []
    slow = max(0.5, scale.share * SLOW_SECONDS)
    with Bench() as bench, ExitStack() as running:
        sources = _sources(running, slow)
        router = bench.relais(Sources=sources, Rules=[], Otherwise={"Hold": "benchmark"})
        for all_first in scale.orders():
            for asks_all in (all_first, not all_first):
                if asks_all:
                    began, ended = _asked(router, list(sources))
                    first.append(began)
                    others.append(ended)
                else:
                    alone.append(_asked(router, ["slow"])[1])
    what = f"{SOURCES} sources, one dead, one at {number(slow)} s"
    return [
        Figure(name=f"{what}: first answers", unit="s", samples=first, target=Target(value=0.3, at_most=True)),
        Figure(
            name=f"{what}: all but the dead one / the slow one alone",
            unit="",
            samples=ratio(others, alone),
            target=Target(value=1.2, at_most=True),
            beside=f"{number(others[0])} s against {number(alone[0])} s; {STUDIES} studies at each",
        ),
    ]


def _sources(running: ExitStack, slow: float) -> dict[str, Any]:
    """The sections of all sources, which end with `running`; the dead one takes connections and never answers."""
    quick = SETTINGS["A"]
    behaviours = {"slow": replace(quick, seconds_to_first_row=slow)}
    behaviours |= {f"pacs{number}": quick for number in range(SOURCES - 2)}
    sections: dict[str, Any] = {}
    for name, behaviour in behaviours.items():
        pacs = running.enter_context(IntelePacs(name.upper(), behaviour))
        pacs.hold(make_study(size=128, tags={"PatientID": PATIENT}).instances[0] for _ in range(STUDIES))
        sections[name] = source(pacs.aet, pacs.port, Profile="IntelePACS", TimeoutSeconds=TIMEOUT_SECONDS)
    dead = running.enter_context(Proxy(running.enter_context(IntelePacs("DEAD", quick)).port))
    dead.fault = Fault.BLACK_HOLE
    sections["dead"] = source("DEAD", dead.port, TimeoutSeconds=TIMEOUT_SECONDS)
    return sections


def _asked(router: OrthancServer, sources: list[str]) -> tuple[float, float]:
    """Seconds from the question to the first answers, and to the end of all sources but the dead one."""
    began = monotonic()
    body = {"Level": "Study", "Query": {"PatientID": PATIENT}, "Sources": sources, "Asynchronous": True}
    path = f"{API}/queries/{router.rest.post(f'{API}/query', body)['Id']}"
    eventually(lambda: router.rest.get(path)["Answers"], TIMEOUT_SECONDS, "answers come", pause=LOOK)
    first = monotonic() - began

    def done() -> bool:
        states = {each["Name"]: each["State"] for each in router.rest.get(path)["Sources"]}
        return all(state == "Answered" for name, state in states.items() if name != "dead")

    eventually(done, TIMEOUT_SECONDS, "all but the dead one have answered", pause=LATER)
    ended = monotonic() - began
    router.rest.delete(path)
    return first, ended
