"""The `Relais` section: what loads, and every error at once with its path, in two languages."""

from __future__ import annotations

import copy
import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relais.configuration import Configuration, ConfigurationErrors, DicomDestination, Language, Role, load, schema
from relais.configuration.models import Section
from relais.configuration.options import options
from relais.domain.document import Problem, parse
from relais.texts import PROBLEMS, word

KINDS = "Dicom, DicomMove, DicomWeb, OrthancPeer, Files, or Pool"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECTION: dict[str, Any] = {
    "Database": "postgresql://relais:pass%40word@db/relais",
    "Language": "en",
    "Users": {
        "alice@clinic.ca": {"Roles": ["Administrator"], "Clinics": ["*"]},
        "bob": {"Roles": ["Viewer"], "Clinics": ["outremont"]},
    },
    "Clinics": {"outremont": {"Name": "Outremont", "TimeZone": "America/Toronto", "CalledAets": ["OUTREMONT"]}},
    "Sources": {"pacs": {"Kind": "Dicom", "Aet": "PACS", "Host": "10.0.0.5", "Port": 104, "Retrieve": "C-GET"}},
    "Destinations": {
        "vna-qc": {
            "Kind": "Dicom",
            "Aet": "VNA",
            "Host": "vna.example",
            "Port": 104,
            "Retry": {"GiveUpAfterHours": 1},
            "Jurisdiction": {"Storage": "CA-QC", "Access": ["CA-QC"]},
            "Assessment": {"Reference": "EFVP-2026-04", "Result": "Adequate", "Expires": "2027-04-01"},
        }
    },
    "Rules": [{"Name": "dental", "When": {"Field": "Clinic", "Equals": "outremont"}, "DeliverTo": ["vna-qc"]}],
    "Completeness": {"QuietSeconds": 30, "ByModality": {"IO": 2, "PX": 2.5}},
    "Subscribers": {"crm": {"Url": "https://crm.example/hook?x=1", "Secret": KEY}},
}


def load_here(section: object, directory: Path = Path("/nowhere")) -> Configuration:
    return load(section, directory=directory)


def refusal(section: object, directory: Path = Path("/nowhere")) -> ConfigurationErrors:
    with pytest.raises(ConfigurationErrors) as refused:
        load_here(section, directory)
    return refused.value


def changed(*changes: tuple[str, object]) -> dict[str, Any]:
    """SECTION with values put at `A/B/0/C`."""
    section = copy.deepcopy(SECTION)
    for path, value in changes:
        *places, last = path.split("/")
        inside: Any = section
        for place in places:
            inside = inside[int(place) if isinstance(inside, list) else place]
        inside[int(last) if isinstance(inside, list) else last] = value
    return section


def test_an_empty_section_holds_every_study() -> None:
    configuration = load_here({}, Path("/var/lib/orthanc"))
    assert configuration.database == "sqlite:////var/lib/orthanc/relais.db"
    assert configuration.language is Language.French
    assert configuration.otherwise.hold == "no rule matched"
    assert configuration.completeness.quiet(["PX"]) == timedelta(seconds=30)
    assert (configuration.rules, dict(configuration.destinations)) == ((), {})


def test_a_section_becomes_what_the_steps_use() -> None:
    configuration = load_here(SECTION)
    assert configuration.database == "postgresql+psycopg://relais:pass%40word@db/relais"
    assert configuration.users["alice@clinic.ca"].roles == (Role.Administrator,)
    assert configuration.users["bob"].clinics == ("outremont",)
    destination = configuration.destinations["vna-qc"]
    assert isinstance(destination, DicomDestination)
    assert (destination.aet, destination.concurrency, destination.timeout) == ("VNA", 2, 30)
    assert (destination.batch_instances, destination.batch_megabytes, destination.local_aet) == (100, 64, None)
    retry = destination.retry
    assert (retry.first_delay, retry.maximum_delay) == (timedelta(seconds=2), timedelta(seconds=900))
    assert retry.give_up_after == timedelta(hours=1)
    assert destination.assessment is not None
    assert destination.assessment.expires == date(2027, 4, 1)
    subscriber = configuration.subscribers["crm"]
    assert (subscriber.events, subscriber.include_patient, subscriber.timeout) == (("*",), False, 15)
    assert subscriber.secret.resolve() == KEY


def test_a_study_is_quiet_as_long_as_its_slowest_modality_asks() -> None:
    completeness = load_here(SECTION).completeness
    assert completeness.quiet(["IO", "PX"]) == timedelta(seconds=2.5)
    assert completeness.quiet(["IO", "CT"]) == timedelta(seconds=30)
    assert completeness.quiet([]) == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        ("Rules/0/DeliverTo", ["vna2"], 'Rules[0].DeliverTo[0]: no destination is named "vna2"; did you mean vna-qc?'),
        ("Rules/0/DeliverTos", [], "Rules[0].DeliverTos: there is no option of this name; did you mean DeliverTo?"),
        ("Rules/0/deliver_to", [], "Rules[0].deliver_to: there is no option of this name; did you mean DeliverTo?"),
        ("Rules/0/When/Equals", "laval", 'Rules[0].When.Equals: no clinic is named "laval"'),
        ("Otherwise", {"DeliverTo": ["x"]}, 'Otherwise.DeliverTo[0]: no destination is named "x"'),
        ("Users/bob/Clinics", ["laval"], 'Users.bob.Clinics[0]: no clinic is named "laval"'),
        ("Users/bob/Roles", [], "Users.bob.Roles: must not be empty"),
        (
            "Users/alice@clinic.ca/Roles/0",
            "Admin",
            (
                'Users["alice@clinic.ca"].Roles[0]: "Admin" is not one of these: '
                "Viewer, Operator, Administrator, Auditor, or PrivacyOfficer"
            ),
        ),
        ("Destinations/vna-qc/Port", 0, "Destinations.vna-qc.Port: must be at least 1"),
        ("Destinations/vna-qc/Port", 65536, "Destinations.vna-qc.Port: must be at most 65535"),
        ("Destinations/vna-qc/Port", "104", "Destinations.vna-qc.Port: must be a whole number"),
        ("Destinations/vna-qc/Host", "a b", 'Destinations.vna-qc.Host: "a b" is neither a host name nor an address'),
        (
            "Destinations/vna-qc/Bandwidth",
            0,
            "Destinations.vna-qc.Bandwidth: must lie between 0.001 and 10000000",
        ),
        (
            "Destinations/cloud",
            {"Kind": "DicomWeb", "Url": "x"},
            "Destinations.cloud.Url: must be an http or https address",
        ),
        (
            "Destinations/cloud",
            {"Kind": "Ftp", "Url": "x"},
            f'Destinations.cloud.Kind: "Ftp" is not one of these: {KINDS}',
        ),
        (
            "Destinations/vna-qc/Assessment/Expires",
            "2027-02-30",
            "Destinations.vna-qc.Assessment.Expires: must be a day such as 2027-04-01",
        ),
        (
            "Destinations/vna-qc/Jurisdiction/Access",
            ["Quebec"],
            'Destinations.vna-qc.Jurisdiction.Access[0]: "Quebec" is not a region such as CA-QC',
        ),
        (
            "Destinations/vna-qc/Retry/FirstDelaySeconds",
            -1,
            "Destinations.vna-qc.Retry.FirstDelaySeconds: must lie between 0 and 10000000",
        ),
        ("Sources/pacs/Retrieve", "WADO", 'Sources.pacs.Retrieve: "WADO" is not one of these: C-MOVE or C-GET'),
        ("Completeness/ByModality/px", 1, 'Completeness.ByModality: "px" is not a modality such as PX'),
        ("Completeness/QuietSeconds", "30", "Completeness.QuietSeconds: must be a number"),
        ("ConfigurationSource", "Nowhere", 'ConfigurationSource: "Nowhere" is not one of these: File or Database'),
        ("Approval", "Sometimes", 'Approval: "Sometimes" is not one of these: Residency, Always, or Never'),
        ("Database", "mysql://x", "Database: must be sqlite:///path or postgresql+psycopg://user@host/name"),
        ("Subscribers/crm/Url", "ftp://x", "Subscribers.crm.Url: must be an http or https address"),
        (
            "Subscribers/crm/Url",
            "https://u:p@x/",
            "Subscribers.crm.Url: must not carry a user, a password or a fragment",
        ),
        (
            "Subscribers/crm/Secret",
            "pass word!",
            "Subscribers.crm.Secret: must be a key in base64, with or without whsec_ before it",
        ),
        (
            "Subscribers/crm/Secret",
            {"Env": "RELAIS_NO_SUCH_VARIABLE"},
            'Subscribers.crm.Secret: there is no environment variable "RELAIS_NO_SUCH_VARIABLE"',
        ),
        (
            "Subscribers/crm/Secret",
            {"File": "absent"},
            'Subscribers.crm.Secret: the file "absent" cannot be read: No such file or directory',
        ),
        (
            "Subscribers/crm/Secret",
            {"env": "X"},
            'Subscribers.crm.Secret: must be a text, {"Env": "NAME"} or {"File": "path"}',
        ),
        (
            "Clinics/a b",
            {},
            'Clinics["a b"]: a name has 1 to 64 letters, digits, - or _, and starts with a letter or a digit',
        ),
        ("Rule", [], "Rule: there is no option of this name; did you mean Rules?"),
        ("Users", [], "Users: must be an object"),
    ],
)
def test_an_error_says_where_and_what(place: str, value: object, line: str) -> None:
    assert str(refusal(changed((place, value)))) == line


@pytest.mark.parametrize("title", ["", "  ", "A" * 17, "A\\B", "A\tB", "É"])
def test_an_ae_title_is_what_dicom_allows(title: str) -> None:
    (problem,) = refusal(changed(("Destinations/vna-qc/Aet", title))).problems
    assert (problem.path, problem.code) == ("Destinations.vna-qc.Aet", "bad-aet")


def test_every_error_is_reported_at_once() -> None:
    section = changed(
        ("Rules", [{"Name": "a", "DeliverTo": ["x"]}, {"Name": "a", "Stop": 1}]),
        ("Destinations/vna-qc/Port", 0),
        ("Users/bob/Roles", ["Boss"]),
    )
    assert [problem.path for problem in refusal(section).problems] == [
        "Users.bob.Roles[0]",
        "Destinations.vna-qc.Port",
        "Rules[0].DeliverTo[0]",  # an invalid destination still has its name
        "Rules[1].Stop",
        "Rules[1].Name",
    ]


def test_errors_are_in_the_language_of_the_section_french_by_default() -> None:
    french = "Rules[0].DeliverTo[0]: aucune destination ne s\u2019appelle «\u00a0x\u00a0»"
    rules = [{"Name": "a", "DeliverTo": ["x"]}]
    assert str(refusal({"Rules": rules})) == french
    assert str(refusal({"Rules": rules, "Language": "en"})) == 'Rules[0].DeliverTo[0]: no destination is named "x"'
    lines = str(refusal({"Rules": rules, "Language": "de"})).splitlines()
    assert lines == ["Language: «\u00a0de\u00a0» ne convient pas\u202f; choisir fr ou en", french]


def test_secrets_are_read_from_the_environment_and_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAIS_TEST_SECRET", KEY)
    (tmp_path / "key").write_text(KEY + "\n")
    for reference in ({"Env": "RELAIS_TEST_SECRET"}, {"File": "key"}, {"File": str(tmp_path / "key")}):
        configuration = load_here(changed(("Subscribers/crm/Secret", reference)), tmp_path)
        assert configuration.subscribers["crm"].secret.resolve() == KEY
        assert configuration.document["Subscribers"]["crm"]["Secret"] == reference


def test_secrets_are_shown_nowhere() -> None:
    configuration = load_here(SECTION)
    shown = repr(configuration.subscribers) + str(configuration.subscribers["crm"].secret)
    shown += configuration.subscribers["crm"].model_dump_json() + json.dumps(configuration.document)
    assert KEY not in shown
    assert "pass%40word" not in shown
    assert configuration.document["Subscribers"]["crm"]["Secret"] == "***"
    assert configuration.document["Database"] == "postgresql://relais:***@db/relais"
    broken = refusal(changed(("Subscribers/crm/Secret", "not base64: s3cr3t"), ("Database", "x://u:s3cr3t@h")))
    assert "s3cr3t" not in str(broken) + repr(broken.problems)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://u:p@w/d@host/db", "postgresql+psycopg://u:***@host/db"),
        ("postgresql+psycopg://u@host/db?password=secret&x=1", "postgresql+psycopg://u@host/db?password=***&x=1"),
        ("postgresql+psycopg:///db?host=/run", "postgresql+psycopg:///db?host=/run"),
        ("sqlite:///var/relais.db", "sqlite:///var/relais.db"),
    ],
)
def test_the_database_is_shown_without_its_password(url: str, shown: str) -> None:
    assert load_here({"Database": url}).document == {"Database": shown}


def test_the_digest_tells_versions_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = load_here(SECTION).digest
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert load_here(dict(reversed(SECTION.items()))).digest == digest
    assert load_here(changed(("Subscribers/crm/Secret", KEY[:-4] + "AAAA"))).digest != digest
    assert load_here(changed(("Completeness/QuietSeconds", 31))).digest != digest
    by_name = changed(("Subscribers/crm/Secret", {"Env": "RELAIS_TEST_SECRET"}))
    monkeypatch.setenv("RELAIS_TEST_SECRET", KEY)
    first = load_here(by_name).digest
    monkeypatch.setenv("RELAIS_TEST_SECRET", KEY[:-4] + "AAAA")
    assert load_here(by_name).digest == first  # a reference counts as written


def test_what_the_caller_changes_later_changes_nothing() -> None:
    section = copy.deepcopy(SECTION)
    configuration = load_here(section)
    section["Rules"][0]["Name"] = "other"
    assert configuration.document["Rules"][0]["Name"] == "dental"


def test_every_option_is_described_and_its_default_is_what_leaving_it_out_means() -> None:
    rows = {option.path: option for option in options()}
    assert rows["Rules[].Purpose"].default == "Care"
    assert rows["Destinations.<name>.Retry.GiveUpAfterHours"].default == 72
    assert rows["Subscribers.<name>.Secret"].required
    assert len(list(options())) == len({(option.path, option.kinds) for option in options()})
    for option in rows.values():
        assert option.description.endswith(".")
        assert option.example is not None
    defaults = {path: rows[path].default for path in rows if "." not in path and not rows[path].required}
    assert parse(Section, defaults) == parse(Section, {})


@pytest.mark.parametrize("name", [option.path for option in options() if "." not in option.path])
def test_every_example_loads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOM_WEBHOOK_SECRET", KEY)
    monkeypatch.setenv("CRM_TOKEN", KEY)
    (example,) = (option.example for option in options() if option.path == name)
    load_here(SECTION | {name: example})


def test_the_schema_describes_every_option() -> None:
    document = json.dumps(schema())
    assert KEY not in document
    assert '"additionalProperties": false' in document


BROKEN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["*", "vna-qc"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


def steps(path: str) -> list[str | int]:
    """A problem's path, taken apart again."""
    pattern = re.compile(r'\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|\.?([\w-]+)')
    assert "".join(found[0] for found in pattern.finditer(path)) == path
    return [
        int(found[1]) if found[1] else json.loads(found[2]) if found[2] else found[3]
        for found in pattern.finditer(path)
    ]


def problems_of(section: object) -> tuple[Problem, ...]:
    """What is wrong with the section."""
    try:
        load_here(section)
    except ConfigurationErrors as errors:
        return errors.problems
    return ()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(places(SECTION)), BROKEN, st.sampled_from(["replace", "add"]))
def test_whatever_is_wrong_is_refused_with_words_and_a_path_that_exists(
    place: tuple[Any, ...], value: Any, how: str
) -> None:
    section: Any = {"": copy.deepcopy(SECTION)}
    inside = section
    for key in ("", *place)[:-1]:
        inside = inside[key]
    last = ("", *place)[-1]
    if how == "add" and isinstance(inside[last], dict):
        inside[last]["Extra"] = value
    else:
        inside[last] = value
    for problem in problems_of(section[""]):
        assert word(problem, "fr").startswith(problem.path)
        assert problem.code in PROBLEMS
        way = steps(problem.path)
        if problem.code == "missing":
            way.pop()
        found = section[""]
        for step in way:
            found = found[step]  # or the test fails: nothing is there
