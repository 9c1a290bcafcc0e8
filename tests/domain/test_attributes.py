"""An instance's attributes as facts: what is read of sequences, and how much of it."""

from __future__ import annotations

from typing import Any

import pytest

from relais.domain.attributes import nested, texts
from relais.domain.facts import Facts

REQUEST, DESCRIPTION, CODES, VALUE = "0040,0275", "0032,1060", "0040,0008", "0008,0100"


def test_the_values_of_all_items_are_read_by_their_way() -> None:
    answer = {
        "0008,0060": "PX",
        "0008,0005": None,
        "0009,1001": "private",
        "0010,0010": "Gagné^Ève\x00 ",
        "0010,0020": " \x00",
        REQUEST: [
            {DESCRIPTION: "Panoramique ", CODES: [{VALUE: "7"}, {VALUE: "8\\9"}], "0009,1001": "private"},
            {DESCRIPTION: "Panoramique", CODES: []},
            {DESCRIPTION: "Bite-wing", CODES: [{VALUE: ""}, {VALUE: None}], "0009,1010": [{VALUE: "private"}]},
        ],
    }
    assert texts(answer) == {"Modality": "PX", "PatientName": "Gagné^Ève"}
    found = nested(answer)
    assert found == {
        "RequestAttributesSequence.RequestedProcedureDescription": ("Panoramique", "Bite-wing"),
        "RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue": ("7", "8", "9"),
    }
    facts = Facts(series=(found,))
    assert Facts.from_json(facts.to_json()) == facts


def test_an_answer_that_is_no_list_of_items_is_passed_over() -> None:
    assert nested({REQUEST: ["text", None, [{DESCRIPTION: "a"}]], "": [{DESCRIPTION: "a"}]}) == {}


@pytest.mark.parametrize(
    ("items", "length", "kept", "characters"),
    [
        (20, 4, 20, 4),
        (21, 4, 20, 4),  # items of one sequence
        (20, 1000, 16, 1000),  # characters of all
        (1, 2000, 1, 1024),  # of one value
    ],
)
def test_what_is_kept_of_sequences_is_bounded(items: int, length: int, kept: int, characters: int) -> None:
    answer = {REQUEST: [{DESCRIPTION: f"{number:04}".ljust(length, "x")} for number in range(items)]}
    (values,) = nested(answer).values()
    assert (len(values), max(map(len, values))) == (kept, characters)


def test_so_many_values_are_kept_and_no_more() -> None:
    answer = {REQUEST: [{CODES: [{VALUE: f"{item}-{code}"} for code in range(20)]} for item in range(20)]}
    (values,) = nested(answer).values()
    assert len(values) == 200
    assert values[-1] == "9-19"


def test_sequences_are_read_eight_keywords_deep() -> None:
    answer: dict[str, Any] = {VALUE: "deep"}
    for _ in range(7):
        answer = {CODES: [answer]}
    assert nested(answer) == {"ScheduledProtocolCodeSequence." * 7 + "CodeValue": ("deep",)}
    assert nested({CODES: [answer]}) == {}
