"""How two spellings of one part of a name differ: by a letter that was lost, or by the sex of who bears it."""

from __future__ import annotations

import re

_FEMININE = frozenset({"E", "A", "IA", "NE", "LE", "TE", "TTE", "INE", "ETTE"})


def is_other_sex(short: str, long: str) -> bool:
    """Whether they are a brother's and a sister's form of one name: Louis and Louise, Frédéric and Frédérique."""
    if not long.startswith(short[:-1]):
        return False
    ending = long.removeprefix(short) if long.startswith(short) else ""
    return (
        ending in _FEMININE
        or (short.endswith("IC") and long == f"{short[:-1]}QUE")
        or (short[:-1] == long[:-1] and {short[-1], long[-1]} in ({"S", "A"}, {"O", "A"}, {"E", "A"}, {"E", "O"}))
    )


def is_damaged(one: str, other: str) -> bool:
    """Whether they may be one name with letters lost: each `?` stands for at most one, and most of it is left."""
    if "?" in one and "?" in other:
        same = sum(left == right != "?" for left, right in zip(one, other, strict=False))
        agree = all(left == right or "?" in {left, right} for left, right in zip(one, other, strict=False))
        return len(one) == len(other) and agree and same >= max(3, len(one) / 2)
    pattern, text = (one, other) if "?" in one else (other, one)
    pieces = re.split(r"\?+", pattern)
    left = sum(map(len, pieces))
    if left < max(3, len(text) / 2) or not left <= len(text) <= len(pattern):
        return False
    if not text.startswith(pieces[0]) or not text.endswith(pieces[-1]):
        return False
    at, end = len(pieces[0]), len(text) - len(pieces[-1])
    for piece in pieces[1:-1]:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return at <= end
