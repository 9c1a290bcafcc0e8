"""The reference is what the code says today, and leaves nothing out."""

from collections.abc import Iterable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relais.configuration.options import options
from relais.database.configuration_tables import version
from relais.domain.conditions import GROUPS, OPERATORS
from relais.domain.facts import Facts
from relais.domain.fields import FIELDS, Kind
from relais.domain.retry import ErrorClass
from relais.domain.states import DELIVERY, NOTIFICATION, STUDY, TASK, VERSION
from relais.journal import EVENTS
from relais.web import api
from relais.web.openapi import describe
from relais.web.permissions import ROLES, Permission
from tests.docs import metrics, rules
from tests.docs.markdown import headings
from tests.docs.reference import PAGES, REFERENCE, renewed


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_make_docs_would_write(name: str) -> None:
    text = (REFERENCE / name).read_text()
    assert text == renewed(name, text), f"docs/reference/{name} is stale: run make docs"


def test_everything_has_its_heading() -> None:
    wanted: dict[str, Iterable[str]] = {
        "options.md": [option.path for option in options()],
        "rules.md": [*OPERATORS, *GROUPS, *FIELDS],
        "routes.md": [
            f"{verb.upper()} {path}" for path, operations in describe(api.ALL)["paths"].items() for verb in operations
        ],
        "events.md": EVENTS,
        "states.md": [
            *(f"Study {each}" for each in STUDY),
            *(f"Delivery {each}" for each in DELIVERY),
            *(f"Notification {each}" for each in NOTIFICATION),
            *(f"Task {each}" for each in TASK),
            *(f"Version {each}" for each in VERSION),
            *ErrorClass,
        ],
        "metrics.md": [
            family.name + ("_total" if family.type == "counter" else "")
            for family in text_string_to_metric_families(metrics.exposition())
            if not family.name.endswith("_created")
        ],
        "permissions.md": list(Permission),
    }
    for name, things in wanted.items():
        missing = set(things) - set(headings((REFERENCE / name).read_text()))
        assert not missing, f"docs/reference/{name} has no heading for {sorted(missing)}"


def test_every_role_is_in_the_table() -> None:
    table = (REFERENCE / "permissions.md").read_text()
    assert all(f"| {role} |" in table for role in ROLES)


def test_every_table_of_the_database_has_its_word_in_the_glossary() -> None:
    """A table is an idea: its last word is in the glossary, such as `attempt` in notification_attempt."""
    words = (REFERENCE / "glossary.md").read_text().lower()
    own = {"head", "word", "modality", "series", "protection", "name", "value"}  # parts of an idea, or DICOM's
    ideas = {name.rpartition("_")[2] for name in version.metadata.tables} - own
    assert not {idea for idea in ideas if f"**{idea}" not in words}


def test_an_index_of_everything_says_where_it_breaks() -> None:
    with pytest.raises(KeyError, match="roles"):
        renewed("permissions.md", "no place for anything")


@pytest.mark.parametrize("operator", rules.EXAMPLES)
def test_an_operators_example_holds_for_its_first_value_and_not_for_none(operator: str) -> None:
    condition, values = rules.EXAMPLES[operator]
    field = str(condition["Field"])
    assert operator in condition
    assert rules.holds(condition, rules.facts_with(field, values[0]))
    assert not rules.holds(condition, rules.facts_with(field))


@pytest.mark.parametrize("feature", rules.FEATURES, ids=lambda feature: feature.name)
def test_a_features_example_makes_of_each_study_what_the_manual_says(feature: rules.Feature) -> None:
    assert [rules.first_rule_holds(feature.section, facts) for _, facts, _ in feature.cases] == [
        expected for _, _, expected in feature.cases
    ]
    assert {True, False} == {expected for _, _, expected in feature.cases}


def test_exists_false_is_how_to_ask_for_no_value() -> None:
    condition = {"Field": "AccessionNumber", "Exists": False}
    assert rules.holds(condition, rules.facts_with("AccessionNumber"))
    assert not rules.holds(condition, rules.facts_with("AccessionNumber", "A1"))


FACTS_OF_FIELDS = Facts.from_json(
    {
        "Origin": {
            "CallingAet": "CS8100",
            "CalledAet": "OUTREMONT",
            "RemoteIp": "10.1.2.3",
            "Kind": "DicomProtocol",
            "Source": "hospital",
        },
        "Clinic": "outremont",
        "ClinicRegion": "CA-QC",
        "TimeZone": "America/Toronto",
        "MatchState": "Matched",
        "Urgency": "Stat",
        "Series": [{"Modality": "PX"}, {"Modality": "IO"}],
        "Instances": 40,
        "Patient": {
            name.removeprefix("Patient."): field.example
            for name, field in FIELDS.items()
            if name.startswith("Patient.")
        },
    }
)


@pytest.mark.parametrize("name", FIELDS)
def test_a_fields_example_holds_for_facts_that_have_it(name: str) -> None:
    field = FIELDS[name]
    wanted: object = int(field.example) if field.kind is Kind.Number else field.example
    asked = {"Field": name, "AtLeast" if field.kind is Kind.Time else "Equals": wanted}
    assert rules.holds(asked, FACTS_OF_FIELDS)


def test_the_groups_examples_hold_where_they_should() -> None:
    panoramic = Facts.from_json({"Clinic": "outremont", "Series": [{"Modality": "PX"}]})
    report = Facts.from_json({"Series": [{"Modality": "SR"}]})
    assert {name: rules.holds(each, panoramic) for name, each in rules.GROUP_EXAMPLES.items()} == dict.fromkeys(
        GROUPS, True
    )
    assert {name: rules.holds(each, report) for name, each in rules.GROUP_EXAMPLES.items()} == dict.fromkeys(
        GROUPS, False
    )
    assert rules.holds(rules.GROUP_EXAMPLES["None"], Facts())  # no modality at all


def test_every_kind_says_how_it_compares() -> None:
    assert set(rules.KINDS) == set(Kind)
