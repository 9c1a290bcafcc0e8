"""The words by which a study is found: lower case, without accents, one alphanumeric run each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 64
_RUN = re.compile(r"[^\W_]+")


def words(texts: Iterable[str]) -> frozenset[str]:
    """The distinct words of these texts: `"Gagné^Marie-Ève"` gives gagne, marie and eve.

    A UID or an identifier with punctuation is a word as a whole as well.
    """
    found: set[str] = set()
    for text in texts:
        plain = fold(text)
        found.update(run[:LONGEST] for run in _RUN.findall(plain))
        if plain and plain.isprintable() and not any(letter in " ^" for letter in plain):
            found.add(plain[:LONGEST])
    return frozenset(found)


def fold(text: str) -> str:
    """Lower case without accents, trimmed."""
    return _plain(text).strip()


def fold_blanks(text: str) -> str:
    """Lower case without accents, each run of blanks as one space; one stays at either end."""
    return re.sub(r"\s+", " ", _plain(text))


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
