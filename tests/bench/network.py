"""A large network: what it takes to load its configuration, and to show the pages on which it is edited."""

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from relais.configuration import load
from tests.bench.figures import Figure, Target
from tests.bench.rules import REFERENCES, rule_document
from tests.bench.scale import Scale
from tests.servers.router import labelled
from tests.system.serving import SECTION, compose_web

CLINICS, DESTINATIONS, RULES = 50, 200, 500
PAGES = (
    "/network",
    "/network/rules",
    "/network/rules/250",
    "/network/clinics/clinic-7",
    "/network/destinations/archive-7",
)


def run(scale: Scale) -> list[Figure]:
    """The median of each, one request at a time, without Orthanc's HTTP server in between."""
    document = network()
    size = f"{CLINICS} clinics, {DESTINATIONS} destinations, {RULES} rules"
    figures = [
        Figure(
            name=f"{size}: loaded",
            unit="s",
            samples=[_milliseconds(lambda: load(document, directory=Path())) / 1000 for _ in range(scale.pairs)],
            target=Target(value=0.5, at_most=True),
        )
    ]
    with TemporaryDirectory(prefix="relais-bench-") as folder:
        web = compose_web(Path(folder), ConfigurationSource="Database", **document)
        for page in PAGES:
            path = f"/relais/app{page}"
            status = web.get(path, user="admin").status_code
            if status != 200:
                raise RuntimeError(f"{path} answers {status}")
            samples = [_milliseconds(lambda path=path: web.get(path, user="admin")) for _ in range(scale.pairs * 3)]
            target = Target(value=200, at_most=True)
            figures.append(Figure(name=f"{size}: the page {page}", unit="ms", samples=samples, target=target))
        web.relais.ground.close()
    return figures


def network() -> dict[str, Any]:
    """The parts of a `Relais` section."""
    return {
        "Users": SECTION["Users"] | {"outremont": {"Roles": ["Operator"], "Clinics": ["clinic-7"]}},
        "Clinics": {f"clinic-{number}": {"CalledAets": [f"CLINIC{number}"]} for number in range(CLINICS)},
        "Destinations": {
            f"archive-{number}": labelled({"Kind": "Dicom", "Aet": f"VNA{number}", "Host": "127.0.0.1", "Port": 11112})
            for number in range(DESTINATIONS)
        },
        "Sets": dict(REFERENCES.sets),
        "Conditions": dict(REFERENCES.conditions),
        "Subscribers": {},
        "Rules": [rule_document(index) for index in range(RULES)],
    }


def _milliseconds(act: Any) -> float:
    began = perf_counter()
    act()
    return (perf_counter() - began) * 1000
