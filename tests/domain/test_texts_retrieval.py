"""Words for what imports, watches and prefetches tell: none is missing, in either language."""

import re
from pathlib import Path
from string import Formatter

import pytest

from relais.domain import priors
from relais.retrieval import prefetch, retrieve, rounds, watch
from relais.texts import LOCALES, gettext_for
from relais.texts_retrieval import ERRORS, MESSAGES, NOTES, say_error, say_warning


def codes(pattern: str, *modules: object) -> set[str]:
    sources = [Path(str(module.__file__)).read_text() for module in modules]  # type: ignore[attr-defined]
    return {code for source in sources for code in re.findall(pattern, source)}


def test_nothing_that_is_told_is_without_words() -> None:
    told = codes(r'(?:ListError\(|code=|ErrorClass\.Permanent, )"([a-z-]+)"', retrieve, rounds, watch)
    assert told == set(ERRORS)
    noted = codes(r'"Code": "([a-z-]+)"', prefetch) | codes(r'(?:return |left_out\[)"([a-z]+-[a-z-]+)"', priors)
    assert noted == set(NOTES)


@pytest.mark.parametrize("message", sorted(MESSAGES))
def test_every_message_is_in_french_with_the_same_values(message: str) -> None:
    french = gettext_for("fr").gettext(message)
    assert french != message, LOCALES
    assert {name for _, name, _, _ in Formatter().parse(french)} == {
        name for _, name, _, _ in Formatter().parse(message)
    }


def test_a_sources_own_code_has_the_sources_words() -> None:
    assert "MoveTo" in say_error({"Class": "Configuration", "Code": "A801", "Text": ""}, "en")
    assert say_error({"Class": "Permanent", "Code": "1234", "Text": ""}, "en") == "It refused with status 1234."
    told = say_warning({"Code": "B000", "Failed": 2, "Warnings": 0}, "en")
    assert told == "The source reported status B000: 2 images failed, 0 with warnings."
