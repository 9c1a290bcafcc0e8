"""Random edits of a `Relais` section, of what the law depends on; each changes the document and says what it did."""

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.servers.router import QUEBEC, SOON, section
from tests.system.law import Document

NAMES = ("qc", "on", "us", "web")
CLINICS = ("here", "there")
ZONES = ("America/Toronto", "America/Vancouver", "Asia/Tokyo")
QUIET = 1.0
PURPOSES = ("Care", "Research", "Teaching", "Quality")
PLACES: tuple[Document, ...] = (
    QUEBEC,
    {"Storage": "CA-ON", "Access": ["CA-ON"]},
    {"Storage": "CA-QC", "Access": ["CA-QC", "US-NY"]},
    {"Storage": "US-NY", "Access": ["CA-QC"]},
)

Change = Callable[[Document, random.Random, datetime], str]


def first_document(receivers: Mapping[str, Document]) -> Document:
    """One destination in Quebec, two abroad with their papers in order, and one without.

    `receivers` says how each is reached.
    """
    paper = {"Reference": "D-0", "Begins": None, "Expires": "2026-09-01"}
    none: Document = {"Assessment": None, "Agreement": None}
    papers: Document = {"Assessment": {**paper, "Result": "Adequate"}, "Agreement": paper}
    law: dict[str, Document] = {
        "qc": {"Jurisdiction": QUEBEC, **none},
        "on": {"Jurisdiction": PLACES[1], **papers},
        "us": {"Jurisdiction": PLACES[3], **none},
        "web": {"Jurisdiction": PLACES[2], **papers},
    }
    common = {"BatchInstances": 1, "Retry": SOON, "TimeoutSeconds": 30, "Purposes": ["Care"], "Deidentify": None}
    return section(
        {name: {**each, **common, **law[name]} for name, each in receivers.items()},
        quiet=QUIET,
        Approval="Never",
        Rules=[{"Name": f"to {name}", "DeliverTo": [name], "Purpose": "Care"} for name in NAMES],
        Clinics={
            name: {"InstitutionNames": [f"Clinique {name}"], "TimeZone": zone, "Regime": None, "Region": "CA-QC"}
            for name, zone in zip(CLINICS, ZONES, strict=False)
        },
    )


def label(document: Document, chance: random.Random, now: datetime) -> str:
    """Another label of a destination."""
    made: Mapping[str, Callable[[], Any]] = {
        "Jurisdiction": lambda: chance.choice((*PLACES, None)),
        "Assessment": lambda: _assessment(chance, now),
        "Agreement": lambda: chance.choice((None, *(paper(chance, now),) * 3)),
        "Purposes": lambda: sorted({"Care", *chance.sample(PURPOSES, 2)} - {chance.choice(PURPOSES)}) or ["Care"],
        "Deidentify": lambda: chance.choice((None, {"Key": {"File": "key"}})),
    }
    name, option = chance.choice(NAMES), chance.choice(list(made))
    document["Destinations"][name][option] = made[option]()
    return f"{name}: {option} is {document['Destinations'][name][option]}"


def put_in_order(document: Document, chance: random.Random, now: datetime) -> str:
    """A destination gets whatever the law asks for."""
    name, place = chance.choice(NAMES), chance.choice(PLACES)
    lasting = {"Reference": "D-30", "Begins": None, "Expires": (now.date() + timedelta(days=30)).isoformat()}
    papers = {"Assessment": {**lasting, "Result": "Adequate"}, "Agreement": lasting}
    document["Destinations"][name] |= {"Jurisdiction": place, "Purposes": ["Care"], **papers}
    for rule in document["Rules"]:
        if rule["DeliverTo"] == [name]:
            rule["Purpose"] = "Care"
    return f"{name}: in order, in {place}"


def clinic(document: Document, chance: random.Random, now: datetime) -> str:
    """Another regime, region or time zone of a clinic."""
    name = chance.choice(CLINICS)
    option, values = chance.choice(
        (("Regime", ("P-39.1", "R-22.1", None)), ("Region", ("CA-QC", "CA-ON", None)), ("TimeZone", ZONES))
    )
    document["Clinics"][name][option] = chance.choice(values)
    return f"clinic {name}: {option} is {document['Clinics'][name][option]}"


def purpose(document: Document, chance: random.Random, now: datetime) -> str:
    """Another purpose of a rule."""
    rule = chance.choice(document["Rules"])
    rule["Purpose"] = chance.choice(("Care", *PURPOSES))
    return f"rule {rule['Name']}: Purpose is {rule['Purpose']}"


def paper(chance: random.Random, now: datetime) -> Document:
    """A document that holds now, or not yet, or no longer, or not for long."""
    today = now.date()
    begins = chance.choice((None, None, None, today - timedelta(days=9), today + timedelta(days=1)))
    expires = today + timedelta(days=chance.choice((0, 1, 2, 3, 9, 90)))
    if begins is not None and begins >= expires:
        expires = begins + timedelta(days=1)
    dated = {"Begins": None if begins is None else begins.isoformat(), "Expires": expires.isoformat()}
    return {"Reference": f"D-{expires.day}", **dated}


def boundaries(document: Document) -> Iterator[datetime]:
    """The moments at which a document of a destination begins or ends for a clinic."""
    papers = [each[kind] for each in document["Destinations"].values() for kind in ("Assessment", "Agreement")]
    days = {found[end] for found in papers if found is not None for end in ("Begins", "Expires")} - {None}
    for day in sorted(days):
        for each in document["Clinics"].values():
            yield datetime.combine(date.fromisoformat(day), time(), ZoneInfo(each["TimeZone"])).astimezone(UTC)


def _assessment(chance: random.Random, now: datetime) -> Document | None:
    result = chance.choice(("Adequate", "Adequate", "AdequateIfDeidentified", "Inadequate"))
    return chance.choice((None, *({**paper(chance, now), "Result": result},) * 4))
