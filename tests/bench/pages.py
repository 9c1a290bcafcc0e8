"""Pages and lists: how fast they are over a hundred thousand studies."""

from time import perf_counter

from tests.bench.figures import Figure, Target, number, percentile
from tests.bench.scale import Scale
from tests.bench.seed import CLINICS, DESTINATIONS, seed
from tests.bench.servers import Bench
from tests.servers.orthanc import OrthancServer, RestError
from tests.servers.postgresql import PostgresqlServer

STUDIES = 100_000
ROUNDS = 30
LIMIT_MILLISECONDS = 100.0
Request = tuple[str, str, dict[str, str] | None]

REQUESTS: dict[str, Request] = {
    "the dashboard": ("GET", "/relais/app/", None),
    "the page of studies": ("GET", "/relais/app/studies", None),
    "list of studies": ("GET", "/relais/v1/studies", None),
    "list of studies held": ("GET", "/relais/v1/studies?State=Held", None),
    "list of studies by clinic and modality": ("GET", f"/relais/v1/studies?Clinic={CLINICS[0]}&Modality=CT", None),
    "list of studies by destination": ("GET", f"/relais/v1/studies?Destination={DESTINATIONS[1]}", None),
    "search for part of a name": ("POST", "/relais/v1/studies/search", {"Text": "trem emi"}),
    "search for an accession number": ("POST", "/relais/v1/studies/search", {"Text": "A00000777"}),
    "list of deliveries failed": ("GET", "/relais/v1/deliveries?State=Failed", None),
    "list of destinations": ("GET", "/relais/v1/destinations", None),
}


def run(scale: Scale) -> list[Figure]:
    """Both databases in one run, their requests taking turns."""
    studies = scale.of(STUDIES)
    times: dict[tuple[str, str], list[float]] = {}
    with PostgresqlServer() as postgresql, Bench() as bench:
        urls = {"SQLite": f"sqlite:///{bench.new_folder()}.db", "PostgreSQL": postgresql.database()}
        servers = {
            name: bench.relais(Database=url, Destinations=_destinations(), Rules=[]) for name, url in urls.items()
        }
        for url in urls.values():
            seed(url, studies=studies)
        for _ in range(scale.of(ROUNDS, step=2)):
            for what, request in REQUESTS.items():
                for name, server in servers.items():
                    times.setdefault((what, name), []).append(milliseconds(server, *request))
    return [
        Figure(
            name=f"{what[0].upper()}{what[1:]}, {studies:,} studies, {name}",
            unit="ms",
            samples=samples,
            target=Target(value=LIMIT_MILLISECONDS, at_most=True),
            beside=f"95th percentile {number(percentile(samples, 95))} ms",
        )
        for (what, name), samples in times.items()
    ]


def _destinations() -> dict[str, dict[str, object]]:
    """The archives that the seeded deliveries name; nothing is sent to them."""
    return {name: {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 11112} for name in DESTINATIONS}


def milliseconds(server: OrthancServer, method: str, path: str, body: dict[str, str] | None) -> float:
    """How long one request takes; raises RestError when it is refused."""
    began = perf_counter()
    answer = server.rest.request(method, path, body)
    elapsed = perf_counter() - began
    if answer.status != 200:
        raise RestError(method, path, answer.status, answer.data)
    return elapsed * 1000
