"""Two texts beside each other, with what differs marked down to the character."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from rapidfuzz.distance import JaroWinkler, Levenshtein

from relais.web.pages.display import ELLIPSIS

LONGEST, MOST_WORDS = 200, 24
"""Characters of a text that are shown, and words of it that are compared."""
ALIKE = 0.7
"""Jaro-Winkler similarity from which on two words are shown as one word with differences."""

_WORD = re.compile(r"[^\W_]+(?:\?+[^\W_]*)*|[\W_]+")


class Mark(StrEnum):
    """How a piece stands to the other text."""

    Same = "same"
    Near = "near"  # the same but for accents and case
    Differs = "differs"


@dataclass(frozen=True)
class Piece:
    """A part of a text."""

    text: str
    mark: Mark


Pieces = Sequence[Piece]
Compare = Callable[[str, str], tuple[Pieces, Pieces]]


def plain(text: str) -> Pieces:
    """A text that has nothing beside it."""
    return (Piece(cut(text), Mark.Same),) if text else ()


def cut(text: str) -> str:
    """What is shown of a text: a beginning without line breaks and control characters."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: LONGEST + 1])
    return f"{shown[:LONGEST]}{ELLIPSIS}" if len(shown) > LONGEST else shown


def by_word(seen: str, known: str) -> tuple[Pieces, Pieces]:
    """Names and addresses: each word beside the one that is most like it, in whatever order they stand."""
    if not seen or not known:
        return plain(seen), plain(known)
    ours, theirs = _WORD.findall(cut(seen)), _WORD.findall(cut(known))
    left: dict[int, Pieces] = {}
    right: dict[int, Pieces] = {}
    for here, there in _pairs(ours, theirs):
        left[here], right[there] = _compared(ours[here], theirs[there])
    return _together(_worded(ours, left)), _together(_worded(theirs, right))


def by_character(seen: str, known: str) -> tuple[Pieces, Pieces]:
    """Numbers and dates: what stands between the characters does not count."""
    if not seen or not known:
        return plain(seen), plain(known)
    return _compared(cut(seen), cut(known))


def whole(seen: str, known: str) -> tuple[Pieces, Pieces]:
    """Words that are the same or not."""
    mark = Mark.Differs if seen and known and seen != known else Mark.Same
    return (Piece(cut(seen), mark),) if seen else (), (Piece(cut(known), mark),) if known else ()


def by_best(compare: Compare, seen: Sequence[str], known: Sequence[str]) -> tuple[list[Pieces], list[Pieces]]:
    """Lists of texts: each beside the one of the other side that is most like it."""
    return (
        [compare(each, _nearest(each, known))[0] for each in seen],
        [compare(_nearest(each, seen), each)[1] for each in known],
    )


def _nearest(text: str, others: Sequence[str]) -> str:
    """The other whose words, in whatever order, are most like these."""
    mine = _sorted(text)
    return min(others, key=lambda other: (Levenshtein.distance(mine, _sorted(other)), other), default="")


def _sorted(text: str) -> str:
    return "".join(sorted(_folded(token) for token in _WORD.findall(cut(text))))


def _pairs(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Words that are shown as one, the likest first, each once."""
    likeness = sorted(
        (-JaroWinkler.similarity(_folded(one), _folded(other)), abs(here - there), here, there)
        for here, one in _words(ours)
        for there, other in _words(theirs)
    )
    taken: tuple[set[int], set[int]] = set(), set()
    for unlike, _distance, here, there in likeness:
        if -unlike >= ALIKE and here not in taken[0] and there not in taken[1]:
            taken[0].add(here)
            taken[1].add(there)
            yield here, there


def _words(tokens: Sequence[str]) -> list[tuple[int, str]]:
    return [(place, token) for place, token in enumerate(tokens) if token[0].isalnum()][:MOST_WORDS]


def _worded(tokens: Sequence[str], found: dict[int, Pieces]) -> Iterator[Piece]:
    for place, token in enumerate(tokens):
        yield from found.get(place) or (Piece(token, Mark.Differs if token[0].isalnum() else Mark.Same),)


def _compared(seen: str, known: str) -> tuple[Pieces, Pieces]:
    ours, theirs = _characters(seen), _characters(known)
    left = {place: Mark.Differs for place, _ in ours}
    right = {place: Mark.Differs for place, _ in theirs}
    opcodes = Levenshtein.opcodes([folded for _, folded in ours], [folded for _, folded in theirs])
    for block in opcodes.as_matching_blocks():
        for offset in range(block.size):
            here, there = ours[block.a + offset][0], theirs[block.b + offset][0]
            same = seen[here] == known[there]
            left[here] = right[there] = Mark.Same if same else Mark.Near
    return _together(_lettered(seen, left)), _together(_lettered(known, right))


def _characters(text: str) -> list[tuple[int, str]]:
    """The characters that count, with their places."""
    return [
        (place, _folded(letter) or letter) for place, letter in enumerate(text) if letter.isalnum() or letter == "?"
    ]


def _lettered(text: str, marks: dict[int, Mark]) -> Iterator[Piece]:
    for place, letter in enumerate(text):
        yield Piece(letter, marks.get(place, Mark.Same))


def _together(pieces: Iterable[Piece]) -> Pieces:
    return tuple(
        Piece("".join(piece.text for piece in run), mark) for mark, run in groupby(pieces, lambda piece: piece.mark)
    )


def _folded(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKD", text).upper() if letter.isalnum())
