"""What is wrong with a configuration as a whole, and that no secret of it is ever shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from relais.configuration import Configuration, ConfigurationErrors, Proof, Secret, load
from relais.configuration.models import Section
from relais.configuration.options import options
from relais.configuration.sources import PROFILES, Profile, same_system
from relais.domain.document import Document

HERE = {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104}
SIGNING = "c2VjcmV0c2VjcmV0c2VjcmV0"
SECRETS: dict[str, Any] = {
    "Database": "postgresql+psycopg://relais:hidden-database@db/relais",
    "Destinations": {
        "web": {"Kind": "DicomWeb", "Url": "https://a", "User": "u", "Password": "hidden-web", "Token": "hidden-token"},
        "peer": {"Kind": "OrthancPeer", "Url": "https://b", "User": "u", "Password": "hidden-peer"},
        "files": {"Kind": "Files", "Url": "s3://bucket", "User": "u", "Password": "hidden-files"},
        "dicom": {**HERE, "Deidentify": {"Key": "hidden-key-of-pseudonyms"}},
    },
    "Subscribers": {"crm": {"Url": "https://c", "Secret": SIGNING}},
    "PatientSources": {"crm": {"Url": "https://d", "Token": "hidden-crm"}},
    "Sources": {"web": {"Kind": "DicomWeb", "Url": "https://e", "User": "u", "Password": "hidden-source"}},
}
"""A secret in every place that takes one; the test below counts the places."""


def load_here(section: Any) -> Configuration:
    return load(section, directory=Path())


def words_of(section: Any) -> list[str]:
    with pytest.raises(ConfigurationErrors) as refusal:
        load_here({"Language": "en", **section})
    return str(refusal.value).splitlines()


def models(model: type[BaseModel] = Document) -> set[type[BaseModel]]:
    """Every model of a document."""
    return {model, *(each for inside in model.__subclasses__() for each in models(inside))}


def test_no_secret_survives_in_what_is_shown_and_kept() -> None:
    configuration = load_here(SECRETS)
    shown = json.dumps(configuration.document)
    assert "hidden" not in shown
    assert SIGNING not in shown
    assert shown.count("***") == 9
    assert "hidden" not in repr(configuration)


def test_every_place_that_takes_a_secret_is_among_them() -> None:
    secret_options = {option.path for option in options() if "writeOnly" in json.dumps(option.schema)}
    assert secret_options == {
        "Destinations.<name>.Password",
        "Destinations.<name>.Token",
        "Destinations.<name>.Deidentify.Key",
        "Subscribers.<name>.Secret",
        "PatientSources.<name>.Token",
        "Sources.<name>.Password",
        "Sources.<name>.Token",
    }
    typed = {
        (model.__name__, name)
        for model in models()
        for name, known in model.model_fields.items()
        if known.annotation in (Secret, Secret | None)
    }
    assert len({name for _, name in typed}) == len({path.rpartition(".")[2] for path in secret_options})
    assert Section in models()


def test_another_secret_is_another_version_and_a_reference_is_told_as_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARCHIVE", "hidden")
    destination = SECRETS["Destinations"]["web"]
    digests = {
        load_here({"Destinations": {"web": {**destination, "Password": password}}}).digest
        for password in ("one", "two", "one")
    }
    assert len(digests) == 2
    document = load_here({"Destinations": {"web": {**destination, "Password": {"Env": "ARCHIVE"}}}}).document
    assert document["Destinations"]["web"]["Password"] == {"Env": "ARCHIVE"}


@pytest.mark.parametrize(
    ("destinations", "words"),
    [
        ({"a": {**HERE, "FailoverTo": "a"}}, ["Destinations.a.FailoverTo: FailoverTo must name another destination"]),
        (
            {"a": {**HERE, "FailoverTo": "b"}, "b": {**HERE, "FailoverTo": "c"}, "c": {**HERE, "FailoverTo": "b"}},
            [
                "Destinations.b.FailoverTo: FailoverTo leads in a circle: b → c → b",
                "Destinations.c.FailoverTo: FailoverTo leads in a circle: c → b → c",
            ],
        ),
        (
            {"a": {**HERE, "FailoverTo": "p"}, "p": {"Kind": "Pool", "Of": {"a": 1}}},
            ['Destinations.a.FailoverTo: "p" is a pool: name one destination'],
        ),
        (
            {"a": HERE, "p": {"Kind": "Pool", "Of": {"a": 1, "q": 1}}, "q": {"Kind": "Pool", "Of": {"a": 1}}},
            ['Destinations.p.Of.q: "q" is a pool itself: name its destinations'],
        ),
        (
            {"a": HERE, "b": HERE, "p": {"Kind": "Pool", "Of": {"a": 0, "b": 0}}},
            ["Destinations.p.Of: at least one destination must have a weight above 0"],
        ),
    ],
)
def test_failover_and_pools_must_lead_somewhere(destinations: Any, words: list[str]) -> None:
    assert words_of({"Destinations": destinations}) == words


MOVED = {"Kind": "DicomMove", "Source": "pacs", "Aet": "VNA"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"Proof": "Queried"},
            ["Destinations.vna: to be asked what arrived (Proof: Queried) it needs its own Host and Port"],
        ),
        ({"Host": "10.0.0.9"}, ["Destinations.vna: must have both Host and Port, or neither"]),
        ({"Port": 104, "Proof": "Queried"}, ["Destinations.vna: must have both Host and Port, or neither"]),
        (
            {"Host": "10.0.0.9", "Port": 104, "Proof": "Committed"},
            ["Destinations.vna: storage commitment (Proof: Committed) exists for the kind Dicom only"],
        ),
    ],
)
def test_whom_a_source_moves_to_is_asked_only_where_it_stands(options: Any, words: list[str]) -> None:
    sources = {"pacs": PACS}
    assert words_of({"Sources": sources, "Destinations": {"vna": {**MOVED, **options}}}) == words
    known = {**MOVED, "Host": "10.0.0.9", "Port": 104, "Proof": "Queried"}
    assert load_here({"Sources": sources, "Destinations": {"vna": known}}).destinations["vna"].proof is Proof.Queried


def test_a_chain_of_failover_and_a_pool_with_one_weight_are_fine() -> None:
    destinations = {
        "a": {**HERE, "FailoverTo": "b"},
        "b": {**HERE, "FailoverTo": "c"},
        "c": HERE,
        "p": {"Kind": "Pool", "Of": {"a": 0, "b": 1}},
    }
    configuration = load_here({"Destinations": destinations, "Rules": [{"Name": "all", "DeliverTo": ["p"]}]})
    assert set(configuration.pools) == {"p"}
    assert "p" not in configuration.destinations


def test_what_is_wrong_is_told_beside_what_else_is() -> None:
    section = {
        "Destinations": {"a": {**HERE, "FailoverTo": "a"}, "b": 7},
        "Rules": [{"Name": "x", "Hold": "h"}, {"Name": "x", "Hold": "h"}],
    }
    assert len(words_of(section)) == 3


@pytest.mark.parametrize(
    ("destination", "address"),
    [
        (HERE, "VNA@10.0.0.9:104"),
        ({**HERE, "Host": "fe80::1"}, "VNA@[fe80::1]:104"),
        ({"Kind": "DicomMove", "Source": "pacs", "Aet": "VNA"}, "pacs → VNA"),
        ({"Kind": "DicomWeb", "Url": "https://a/dicom-web"}, "https://a/dicom-web"),
        ({"Kind": "OrthancPeer", "Url": "http://b:8042"}, "http://b:8042"),
        ({"Kind": "Files", "Url": "sftp://host/folder"}, "sftp://host/folder"),
    ],
)
def test_every_kind_has_an_address(destination: Any, address: str) -> None:
    pacs = {"Kind": "Dicom", "Aet": "PACS", "Host": "10.0.0.5", "Port": 104}
    configuration = load_here({"Sources": {"pacs": pacs}, "Destinations": {"a": destination}})
    assert configuration.destinations["a"].address == address


PACS = {"Kind": "Dicom", "Aet": "PACS", "Host": "10.0.0.5", "Port": 104}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            {"Sources": {"pacs": {**PACS, "Kind": "Ftp"}}},
            'Sources.pacs.Kind: "Ftp" is not one of these: Dicom or DicomWeb',
        ),
        ({"Sources": {"pacs": {**PACS, "Levels": ["Series"]}}}, "Sources.pacs.Levels: must have Study among them"),
        ({"Sources": {"pacs": {**PACS, "SameAs": "vna"}}}, 'Sources.pacs.SameAs: no destination is named "vna"'),
        ({"Watches": {"new": {"Source": "pacs"}}}, 'Watches.new.Source: no source is named "pacs"'),
        (
            {"Sources": {"pacs": PACS}, "Watches": {"new": {"Source": "pacs", "EverySeconds": 1}}},
            "Watches.new.EverySeconds: must lie between 10 and 10000000",
        ),
        ({"Prefetch": {"Sources": ["pacs"]}}, 'Prefetch.Sources[0]: no source is named "pacs"'),
        (
            {
                "Sources": {"web": {"Kind": "DicomWeb", "Url": "https://a"}},
                "Destinations": {"vna": {"Kind": "DicomMove", "Source": "web", "Aet": "VNA"}},
            },
            'Destinations.vna.Source: "web" is asked by HTTP: only a source of kind Dicom can C-MOVE',
        ),
        (
            {
                "Sources": {"pacs": {**PACS, "SameAs": "pool"}},
                "Destinations": {"vna": HERE, "pool": {"Kind": "Pool", "Of": {"vna": 1}}},
            },
            'Sources.pacs.SameAs: "pool" is a pool; name the destination that is the same system',
        ),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(section: Any, words: str) -> None:
    assert words_of(section) == [words]


def test_a_profile_says_what_the_source_does_not() -> None:
    given = {**PACS, "Profile": "IntelePACS", "Limit": 200, "Levels": ["Patient", "Study"]}
    manners = load_here({"Sources": {"pacs": given}}).sources["pacs"].manners
    assert (manners.limit, manners.timeout, [each.value for each in manners.levels]) == (200, 60, ["Patient", "Study"])
    assert load_here({"Sources": {"pacs": PACS}}).sources["pacs"].manners == PROFILES[Profile.Generic]


@pytest.mark.parametrize(
    ("source", "destination", "same"),
    [
        (PACS, {**PACS, "Host": "10.0.0.5"}, True),
        (PACS, {**PACS, "Port": 105}, False),
        ({**PACS, "SameAs": "vna"}, {**PACS, "Port": 105}, True),
        ({"Kind": "DicomWeb", "Url": "https://A/x/"}, {"Kind": "DicomWeb", "Url": "https://a:443/x"}, True),
        ({"Kind": "DicomWeb", "Url": "https://a/x"}, {"Kind": "OrthancPeer", "Url": "https://a"}, False),
    ],
)
def test_the_destination_that_is_the_source_itself_is_known(source: Any, destination: Any, same: bool) -> None:
    loaded = load_here({"Sources": {"pacs": source}, "Destinations": {"vna": destination}})
    assert same_system(loaded.sources["pacs"], "vna", loaded.destinations["vna"]) is same
