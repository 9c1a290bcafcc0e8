"""Words for what a replay finds."""

from __future__ import annotations

from collections.abc import Mapping

from babel.numbers import format_decimal

from relais.domain.comparison import Kind, Line
from relais.texts import gettext_for


def n(one: str, many: str) -> tuple[str, str]:
    """Mark a message about so many things as to be translated."""
    return one, many


SENTENCES: Mapping[Kind, tuple[str, str]] = {
    Kind.Added: n("{count} study would also go to {destination}", "{count} studies would also go to {destination}"),
    Kind.Removed: n(
        "{count} study would no longer go to {destination}", "{count} studies would no longer go to {destination}"
    ),
    Kind.Refused: n(
        "{count} study would be refused by law for {destination}",
        "{count} studies would be refused by law for {destination}",
    ),
    Kind.Permitted: n(
        "{count} study that is refused by law would go to {destination}",
        "{count} studies that are refused by law would go to {destination}",
    ),
    Kind.Dropped: n(
        "No rule would ask any more for {count} study that is refused by law for {destination}",
        "No rule would ask any more for {count} studies that are refused by law for {destination}",
    ),
    Kind.Held: n("{count} study would be held", "{count} studies would be held"),
    Kind.Released: n("{count} study would no longer be held", "{count} studies would no longer be held"),
    Kind.Clinic: n("{count} study would be of another clinic", "{count} studies would be of another clinic"),
    Kind.Priority: n(
        "{count} study would go to {destination} with another priority",
        "{count} studies would go to {destination} with another priority",
    ),
    Kind.Purpose: n(
        "{count} study would go to {destination} for another purpose",
        "{count} studies would go to {destination} for another purpose",
    ),
}
"""What would become of how many studies."""


def sentence(line: Line, language: str) -> str:
    """A line of a summary in words: `17 studies would also go to cloud`."""
    one, many = SENTENCES[line.kind]
    text = gettext_for(language).ngettext(one, many, line.studies)
    return text.format(count=format_decimal(line.studies, locale=language), destination=line.destination)
