"""A pool's choice: shares by weight, constant for a patient, and little moved by a change."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relais.domain.pools import choose

WEIGHTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 9), max_size=6)


@given(weights=WEIGHTS, key=st.text())
def test_the_same_key_always_gets_the_same_destination_and_only_one_with_a_weight(
    weights: dict[str, int], key: str
) -> None:
    chosen = choose(weights, key)
    assert chosen == choose(dict(reversed(weights.items())), key)
    assert (chosen is None) == (not any(weights.values()))
    assert chosen is None or weights[chosen] > 0


@given(weights=WEIGHTS, key=st.text(), name=st.text("xyz", min_size=1), weight=st.integers(1, 9))
def test_another_destination_takes_keys_and_moves_none_between_the_others(
    weights: dict[str, int], key: str, name: str, weight: int
) -> None:
    assert choose({**weights, name: weight}, key) in {name, choose(weights, key)}


def test_each_gets_its_share() -> None:
    counts = Counter(choose({"a": 3, "b": 1}, f"patient {number}") for number in range(4000))
    assert 2850 < counts["a"] < 3150
