"""The CRM's patients: a million from a file, one by one, and found again, on both databases."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import Any

from sqlalchemy import delete, func, insert, select, text

from relais.bootstrap import Relais, settle
from relais.database.patient_tables import patient_import, patient_index, patient_key
from relais.database.tables import task
from relais.domain.matching.model import FIRST
from relais.domain.patients import Patient, identity_of
from relais.drafts import Seat
from relais.house import Ground
from relais.orthanc.capabilities import Surroundings
from relais.patient_imports import INDEX
from relais.patient_index import Index
from tests.bench.figures import Figure, Target, number
from tests.bench.scale import Scale
from tests.servers.postgresql import PostgresqlServer

SURNAMES, SYLLABLES = (
    20_000,
    ("ga", "gnon", "trem", "blay", "rou", "leau", "cô", "té", "bou", "chard", "lé", "ves", "que"),
)
GIVEN = ("Marie", "Jean", "Zoé", "Luc", "Anne", "Éric", "Julie", "Marc", "Sophie", "Hubert", "Aline", "Noé")
LETTERS = "ABCEGHJKLMNPRSTVWXYZ"
NEIGHBOURS = 45
"""People of one postal code: Quebec has some 200,000 codes for nine million."""
QUERIES = 2000
UPDATES = 200
PATIENCE = 900.0


def run(scale: Scale) -> list[Figure]:
    """SQLite and PostgreSQL in turn, each empty at first."""
    amount = scale.of(1_000_000, step=1000)
    figures = []
    with PostgresqlServer() as postgresql, TemporaryDirectory(prefix="relais-bench-") as folder:
        source = Path(folder) / "crm" / "people.ndjson"
        source.parent.mkdir()
        with source.open("w") as stream:
            for document in people(amount):
                stream.write(json.dumps(document, ensure_ascii=False) + "\n")
        for name, url in (("SQLite", f"sqlite:///{folder}/relais.db"), ("PostgreSQL", postgresql.database())):
            figures += _measured(name, url, Path(folder), amount, scale)
    return figures


def people(amount: int) -> Iterator[dict[str, Any]]:
    """People with surnames as common as Quebec's (Zipf's law), one given name in three with two parts."""
    chance = random.Random(7)
    surnames = ["".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))).capitalize() for _ in range(SURNAMES)]
    weights = [1 / (rank + 8) for rank in range(SURNAMES)]
    families = chance.choices(surnames, weights, k=amount)
    born = date(1930, 1, 1)
    for place, family in enumerate(families):
        given = chance.choice(GIVEN)
        if chance.random() < 1 / 3:
            given = f"{given}-{chance.choice(GIVEN)}"
        yield {
            "CrmId": f"C-{place}",
            "Identifiers": [
                {"System": "RAMQ", "Value": f"{family[:3].upper():X<3}{given[0]}{chance.randrange(10**8):08}"}
            ],
            "FamilyName": family,
            "GivenNames": given,
            "BirthDate": (born + timedelta(days=chance.randrange(34_000))).isoformat(),
            "Sex": chance.choice("MF"),
            "Phones": [f"514 {chance.randrange(200, 999)}-{chance.randrange(10**4):04}"],
            "Address": f"{chance.randrange(1, 9999)}, rue {chance.choice(surnames)}, Montréal",
            "PostalCode": _code(chance.randrange(max(1, amount // NEIGHBOURS))),
        }


def _code(number: int) -> str:
    """One of 162,000 postal codes."""
    digits, places = divmod(number % 162_000, 162)
    first, second = divmod(places, 9)
    return f"{'GHJ'[first % 3]}{digits // 100}{LETTERS[first]} {digits // 10 % 10}{LETTERS[second]}{digits % 10}"


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Relais]:
    """Relais over this database, without an Orthanc: nothing here asks it."""
    seat = Seat.of({"Database": url, "PatientFolder": str(folder / "crm")}, directory=folder)
    surroundings = Surroundings.of({"HttpPort": 9, "StorageDirectory": str(folder)})
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None)
    try:
        yield settle(ground)
    finally:
        ground.close()


def _measured(name: str, url: str, folder: Path, amount: int, scale: Scale) -> list[Figure]:
    with opened(url, folder) as relais:
        imports = relais.patient_imports
        made = imports.begin_file("people.ndjson", actor="bench")
        with relais.database.read() as connection:
            due = list(connection.execute(text("SELECT id FROM task")).scalars())
        (claim,) = relais.tasks.claim(due)
        began = monotonic()
        imports(claim)
        seconds = monotonic() - began
        with relais.database.read() as connection:
            row = connection.execute(select(patient_import).where(patient_import.c.id == made)).one()
        if (row.state, row.accepted) != ("Completed", amount):
            raise RuntimeError(f"{row.state}: {row.accepted} of {amount} patients")
        bytes_each = _index_bytes(relais) / amount
        updates = sorted(_updates(relais, scale.of(UPDATES, step=10)))
        found = list(_found(relais, scale.of(QUERIES, step=100)))
        decided = sorted(total for _, total in found)
        anew = _made_anew(relais)
        looked = _at(sorted(each for each, _ in found), 0.99)
    at = f"at {amount:,} patients, on {name}"
    return [
        Figure(
            name=f"A file of {amount:,} patients imported, on {name}",
            unit="s",
            samples=[seconds],
            target=Target(value=120, at_most=True),
            beside=f"{number(amount / seconds)} a second",
        ),
        Figure(
            name=f"Keys of {amount:,} patients made anew, on {name}",
            unit="s",
            samples=[anew],
            target=Target(value=60, at_most=True),
        ),
        Figure(
            name=f"Index, bytes a patient, {at}",
            unit="B",
            samples=[bytes_each],
            target=Target(value=250, at_most=True),
        ),
        Figure(
            name=f"One patient changed, p50, {at}",
            unit="ms",
            samples=[_at(updates, 0.5)],
            target=Target(value=5, at_most=True),
            beside=f"p99 {number(_at(updates, 0.99))} ms",
        ),
        Figure(
            name=f"Looked up and decided, p99, {at}",
            unit="ms",
            samples=[_at(decided, 0.99)],
            target=Target(value=2, at_most=True) if name == "SQLite" else None,
            beside=f"p50 {number(_at(decided, 0.5))} ms; looked up alone {number(looked)} ms",
        ),
    ]


def _at(samples: list[float], share: float) -> float:
    return samples[min(len(samples) - 1, int(len(samples) * share))]


def _made_anew(relais: Relais) -> float:
    """Seconds in which the keys that another version made are replaced."""
    with relais.database.write() as connection:
        connection.execute(delete(patient_index))
        connection.execute(insert(patient_index).values(name="keys", version=""))
    relais.patient_rebuild.schedule()
    with relais.database.read() as connection:
        due = list(connection.execute(select(task.c.id).where(task.c.kind == INDEX)).scalars())
        before = connection.execute(_KEYS).scalar_one()
    (claim,) = relais.tasks.claim(due)
    began = monotonic()
    relais.patient_rebuild(claim)
    seconds = monotonic() - began
    with relais.database.read() as connection:
        if (after := connection.execute(_KEYS).scalar_one()) != before:
            raise RuntimeError(f"{after} keys instead of {before}")
    return seconds


_KEYS = select(func.count()).select_from(patient_key)


def _updates(relais: Relais, amount: int) -> Iterator[float]:
    """Milliseconds of each change: a telephone number, in a transaction that is safe on disk."""
    chance = random.Random(11)
    known = [each for _, each in zip(range(amount), people(amount), strict=False)]
    for document in known:
        changed = Patient.model_validate({**document, "Phones": [f"438 555-{chance.randrange(10**4):04}"]})
        began = perf_counter()
        relais.patients.put(changed, actor="bench")
        yield (perf_counter() - began) * 1000


def _found(relais: Relais, amount: int) -> Iterator[tuple[float, float]]:
    """Milliseconds of looking up, and of that and the decision, of studies of people in the CRM; caches are warm."""
    index = Index(clock=relais.clock, configuration=relais.configuration)
    today = relais.clock.now().date()
    with relais.database.read() as connection:
        statement = text("SELECT document FROM patient ORDER BY id DESC LIMIT :amount")
        rows = connection.execute(statement, {"amount": amount}).scalars().all()
        documents = [json.loads(each) if isinstance(each, str) else each for each in rows]
        for place, document in enumerate(documents * 2):
            asked = identity_of(Patient.model_validate({**document, "Identifiers": []}), today)
            began = perf_counter()
            question = index.question(connection, asked, None, FIRST)
            looked = perf_counter()
            question.answer(FIRST)
            if place >= len(documents):
                yield (looked - began) * 1000, (perf_counter() - began) * 1000


def _index_bytes(relais: Relais) -> float:
    with relais.database.read() as connection:
        if not relais.database.sqlite:
            size = "SELECT pg_total_relation_size('patient_key') + pg_total_relation_size('patient_name')"
            return float(connection.execute(text(size)).scalar_one())
        pages = "SELECT sum(pgsize) FROM dbstat WHERE name IN ('patient_key', 'patient_name')"
        return float(connection.execute(text(pages)).scalar_one())
