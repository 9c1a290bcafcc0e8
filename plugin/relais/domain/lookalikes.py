"""Names that a person cannot tell apart: letters of other scripts, marks that are not seen (Unicode TR 39)."""

from __future__ import annotations

import re
import unicodedata

_LETTERS = {
    "A": "\u0391\u0410",
    "B": "\u0392\u0412",
    "C": "\u0421\u03f9",
    "E": "\u0395\u0415",
    "H": "\u0397\u041d",
    "I": "\u0399\u0406\u04c0",
    "J": "\u0408",
    "K": "\u039a\u041a",
    "M": "\u039c\u041c",
    "N": "\u039d",
    "O": "\u039f\u041e",
    "P": "\u03a1\u0420",
    "S": "\u0405",
    "T": "\u03a4\u0422",
    "X": "\u03a7\u0425",
    "Y": "\u03a5\u04ae",
    "Z": "\u0396",
    "a": "\u0430\u03b1",
    "c": "\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0435",
    "g": "\u0261",
    "h": "\u04bb",
    "i": "\u0456\u03b9\u0131",
    "j": "\u0458",
    "k": "\u03ba",
    "l": "\u04cf",
    "n": "\u0578",
    "o": "\u043e\u03bf\u0585",
    "p": "\u0440\u03c1",
    "q": "\u051b",
    "s": "\u0455",
    "u": "\u03c5\u057d",
    "v": "\u03bd\u0475",
    "w": "\u051d",
    "x": "\u0445\u03c7",
    "y": "\u0443\u04af",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2212",
    "'": "\u2018\u2019\u02bc",
}
_LATIN = str.maketrans({strange: letter for letter, several in _LETTERS.items() for strange in several})
_UNSEEN = frozenset({"Cf", "Cc", "Mn"})


def appearance(text: str) -> str:
    """What is left of a text to the eye: equal for two texts that look the same."""
    composed = unicodedata.normalize("NFKC", text)  # an accent and its letter become one
    seen = "".join(letter for letter in composed if letter.isspace() or unicodedata.category(letter) not in _UNSEEN)
    return re.sub(r"\s+", " ", seen.translate(_LATIN)).strip()
