"""Words: both languages say everything, with the same values in it."""

from __future__ import annotations

from string import Formatter

import pytest
from babel.messages.pofile import read_po

from relais import texts_sources
from relais.domain.document import Problem
from relais.texts import LOCALES, MESSAGES, gettext_for, word


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("message", sorted(MESSAGES | texts_sources.MESSAGES))
def test_every_message_is_in_french_with_the_same_values(message: str) -> None:
    french = gettext_for("fr").gettext(message)
    assert french != message or message == "{wanted}"
    assert placeholders(french) == placeholders(message)


def test_the_catalogue_is_whole_and_typeset() -> None:
    with (LOCALES / "fr" / "LC_MESSAGES" / "relais.po").open("rb") as file:
        catalogue = read_po(file, locale="fr", abort_invalid=True)
    for message in catalogue:
        if message.id:
            assert message.string, message.id
            assert not message.fuzzy, message.id
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            for text in texts:
                assert "« " not in text, message.id  # the space inside guillemets does not break
                assert " »" not in text, message.id
                assert "'" not in text, message.id  # the apostrophe is typographic


def test_a_language_without_catalogue_speaks_english() -> None:
    assert gettext_for("en").gettext("must be a list") == "must be a list"
    assert gettext_for("../..").gettext("must be a list") == "must be a list"


def test_hostile_values_stay_values() -> None:
    problem = Problem("Clinics", "unknown-clinic", {"name": "{0.__class__} %s {path}"})
    assert word(problem, "en") == 'Clinics: no clinic is named "{0.__class__} %s {path}"'
