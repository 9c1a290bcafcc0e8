"""Words for what matching finds: none is missing, in either language."""

from string import Formatter

import pytest

from relais.domain.matching.decision import Grade, Reason, Veto
from relais.domain.matching.evidence import Weight
from relais.domain.matching.model import FIRST, Feature, Level
from relais.domain.states import BreakerReason, ReviewReason
from relais.texts import LOCALES, gettext_for
from relais.texts_matching import (
    BREAKER,
    FEATURES,
    GRADES,
    LEVELS,
    MESSAGES,
    NAMES,
    OTHERS,
    REASONS,
    VETOES,
    say_weight,
)

SAME_IN_FRENCH = {"certain", "probable", "possible"}


def test_nothing_that_is_found_is_without_words() -> None:
    assert set(REASONS) == {*Reason, *ReviewReason}
    assert set(VETOES) == set(Veto)
    assert set(GRADES) == set(Grade)
    assert set(FEATURES) == set(Feature)
    assert set(LEVELS) == set(Level)
    assert set(BREAKER) == set(BreakerReason)
    pairs = {tuple(key.split(".")) for key in (*FIRST.weights, *FIRST.shares)}
    names = {pair for pair in pairs if pair[0] in ("Family", "Given") and pair[1] != "Same"}
    assert {level for _, level in names} <= set(NAMES)
    assert pairs - names - {("Family", "Same"), ("Given", "Same")} <= set(OTHERS)


@pytest.mark.parametrize("message", sorted(MESSAGES))
def test_every_message_is_in_french_with_the_same_values(message: str) -> None:
    french = gettext_for("fr").gettext(message)
    assert french != message or message in SAME_IN_FRENCH or message == "{text}: {bits}", LOCALES
    assert {name for _, name, _, _ in Formatter().parse(french)} == {
        name for _, name, _, _ in Formatter().parse(message)
    }


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (6.62, "Tremblay is common: +6.6"),
        (9.0, "Tremblay is neither common nor rare: +9.0"),
        (12.0, "Tremblay is rare: +12.0"),
    ],
)
def test_a_name_is_worth_what_it_is_rare(bits: float, words: str) -> None:
    assert say_weight(Weight(Feature.Family, Level.Same, bits, "TREMBLAY", "TREMBLAY"), "en") == words


def test_what_speaks_against_has_a_minus() -> None:
    weight = Weight(Feature.Given, Level.Different, -5.5, "JEAN", "MARIE")
    assert (
        say_weight(weight, "fr")
        == "Jean n\N{RIGHT SINGLE QUOTATION MARK}est pas Marie\N{NO-BREAK SPACE}: \N{MINUS SIGN}5,5"
    )
