"""The words by which a study is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.words import LONGEST, fold, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Gagné^Marie-Ève", {"gagne", "marie", "eve"}),
        ("A-2026_07", {"a", "2026", "07", "a-2026_07"}),
        ("1.2.840", {"1", "2", "840", "1.2.840"}),
        ("", set()),
        ("山田^太郎", {"山田", "太郎"}),
    ],
)
def test_words(text: str, found: set[str]) -> None:
    assert words([text]) == found


@given(st.text())
def test_folding_is_final_and_words_are_bounded(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert all(0 < len(word) <= LONGEST for word in words([text]))


@given(st.text())
def test_case_and_accents_never_matter(text: str) -> None:
    assert words([fold(text)]) == words([text])
