"""A model is a value: one digest, nothing unknown, nothing missing, nothing changed later."""

import json
import math
from typing import Any

import pytest

from relais.domain.document import DocumentError
from relais.domain.matching.model import FIRST, Counts, Feature, Level, Model, read, written
from tests.domain.matching.golden import Census


def changed(**values: Any) -> dict[str, Any]:
    return {**FIRST.to_json(), **values}


def test_a_model_is_the_same_after_json() -> None:
    again = Model.from_json(json.loads(json.dumps(FIRST.to_json())))
    assert again == FIRST
    assert again.digest == FIRST.digest


def test_the_digest_does_not_depend_on_the_order_of_weights() -> None:
    document = FIRST.to_json()
    document["Weights"] = dict(reversed(document["Weights"].items()))
    assert Model.from_json(document).digest == FIRST.digest


@pytest.mark.parametrize(
    "values",
    [
        {"Version": "second"},
        {"Match": 0.9999},
        {"Weights": {**FIRST.weights, "Phone.Same": 11.0}},
        {"Shares": {**FIRST.shares, "Given.Near": 0.5}},
    ],
)
def test_another_model_has_another_digest(values: dict[str, Any]) -> None:
    assert Model.from_json(changed(**values)).digest != FIRST.digest


@pytest.mark.parametrize(
    ("values", "path", "code"),
    [
        ({"Weights": {**FIRST.weights, "Phone.Sane": 1.0}}, "Weights", "unknown-key"),
        ({"Weights": {"Phone.Same": 1.0}}, "Weights", "missing"),
        ({"Weights": {**FIRST.weights, "Phone.Same": math.nan}}, "Weights", "finite_number"),
        ({"Shares": {}}, "Shares", "missing"),
        ({"Match": 1.5}, "Match", "less_than_equal"),
        ({"Margin": -1}, "Margin", "greater_than_equal"),
        ({"Version": " "}, "Version", "empty"),
        ({"Colour": 1}, "Colour", "unknown-key"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_path(values: dict[str, Any], path: str, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        Model.from_json(changed(**values))
    assert [(each.path, each.code) for each in refused.value.problems] == [(path, code)]


def test_weights_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        FIRST.weights["Phone.Same"] = 99.0  # type: ignore[index]


def test_numbers_are_kept_to_six_decimals() -> None:
    model = Model.from_json(changed(Weights={**FIRST.weights, "Phone.Same": 12.00000049}))
    assert model.bits(Feature.Phone, Level.Same) == 12.0


@pytest.mark.parametrize(
    ("counts", "total", "bits"),
    [
        ([10_300], 1_000_000, 6.601),
        ([1], 1_000_000, 13.0),
        ([0], 1_000_000, 13.0),
        ([500_000], 1_000_000, 1.0),
        ([1_000, 1_000], 1_000_000, 13.0),
        ([100, 100], 1_000, 6.644),
        ([], 1_000_000, 1.0),
        ([5], 0, 1.0),
        ([5], 2, 1.0),
    ],
)
def test_a_rare_name_says_more_than_a_common_one(counts: list[int], total: int, bits: float) -> None:
    assert FIRST.rarity(counts, total) == pytest.approx(bits, abs=1e-3)


def test_counts_are_what_was_asked_and_nothing_else() -> None:
    counts = Counts.of(["TREMBLAY", "MARIE", "MARIE"], Census())
    assert counts.total == 1_000_000
    assert (counts.family("TREMBLAY"), counts.given("MARIE"), counts.given("TREMBLAY")) == (10_300, 62_000, 0)
    assert counts.family("GAGNON") == 0
    assert read(Counts, json.loads(json.dumps(written(counts)))) == counts


@pytest.mark.parametrize("document", [{}, {"Total": "7", "Families": {}, "Givens": {}}, {"Total": True}])
def test_what_was_not_written_by_us_is_not_read(document: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError)):
        read(Counts, document)
