"""Names, as senders and the CRM write them, read into parts that can be compared.

A part is what stays one name however it is written: St-Pierre, Saint Pierre and Stpierre are STPIERRE, L'Heureux and
Lheureux are LHEUREUX, Le Blanc and Leblanc are LEBLANC. Marie-Ève has two parts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST = 256
"""Characters that are read of a text; what follows is not looked at."""
LONGEST_PART = 64
"""Characters that are kept of a part: as many as a whole component group may have (PS3.5 section 6.2)."""

_LOST = "?"
_TITLES = frozenset(
    {
        *("DR", "DRE", "DRS", "ESQ", "II", "III", "JR", "MISS", "MLLE", "MME", "MR", "MRS", "MS", "PHD", "PROF", "REV"),
        *("SIR", "SR"),
    }
)
_PARTICLES = frozenset({"DA", "DAS", "DE", "DIT", "DITE", "DOS", "NEE"})
"""What a name is written with or without."""
_ARTICLES = frozenset({"LA", "LAS", "LOS"})
"""What goes with a DE before it."""
_STEMS = frozenset({"DEL", "DELLA", "DES", "DI", "DU", "EL", "LA", "LE", "LES", "LO", "MC", "ST", "STE"})
"""What grows together with the name that follows."""
_ELIDED = frozenset({"D", "L", "O"})
_LONGEST_ELIDED = 2
_MUTE_OR_VOWEL = frozenset("AEHIOUY")
_SAINT = "SAINT"

_APOSTROPHES = "`\u00b4\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u2018\u2019\u201b\u2032\ua78b\ua78c\uff07"
_HYPHENS = "\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_LETTERS = str.maketrans(
    {
        **dict.fromkeys(_APOSTROPHES, "'"),
        **dict.fromkeys(_HYPHENS, "-"),
        **dict.fromkeys("\u00d0\u0110", "D"),
        "\u00c6": "AE",
        "\u00d8": "O",
        "\u00de": "TH",
        "\u0126": "H",
        "\u0141": "L",
        "\u0152": "OE",
        "\u0166": "T",
        "\u018f": "E",
        "\u1e9e": "SS",
        "\ufffd": _LOST,
    }
)
_TOKEN = re.compile(r"(?:[^\W_]|\?)+")
_COMMA = re.compile("[,;\u060c\u3001\uff0c]")

_AS_BYTE = {chr(byte): byte for byte in range(0x80, 0x100)}
_AS_BYTE |= {shown: byte for byte in range(0x80, 0xA0) if (shown := bytes([byte]).decode("cp1252", "ignore"))}
_CONTINUED = f"[{''.join(re.escape(letter) for letter, byte in _AS_BYTE.items() if byte < 0xC0)}]"  # noqa: PLR2004
_MOJIBAKE = re.compile(
    "\u00c2[\u0080-\u00bf]"  # signs; a letter of Windows-1252 would make a control character of two letters
    f"|[\u00c3-\u00c5\u00cc]{_CONTINUED}"  # Latin letters and their marks
    f"|\u00e2[\u0080\u20ac]{_CONTINUED}"  # apostrophes and hyphens
    "|\u00ef\u00bf\u00bd"  # U+FFFD
    # what is left of Windows-1252, and so appears where a text was encoded twice too much
    "|\u00c6[\u0092\u2019]|\u00cb[\u0086\u2020\u009c\u0153]|\u00e2[\u0082\u201a]\u00ac|\u00e2[\u0084\u201e]\u00a2"
)
_REPAIRS = 3
"""How often a text may have been encoded once too much."""


@dataclass(frozen=True, slots=True)
class NameParts:
    """One way to read a name: its parts in their order, folded, without particles and titles, none of them empty.

    `damaged` says that some letter was lost, written `?` in the parts; a part of which no letter is left is none.
    """

    family: tuple[str, ...]
    given: tuple[str, ...]
    damaged: bool = False


def fold(text: str) -> str:
    """The same for all ways to write a text: A to Z in upper case, digits, `?` for a lost letter, one space between.

    UTF-8 that was read as Latin-1 or Windows-1252 is repaired. Accents go, ligatures become two letters, everything
    else separates. Letters of other scripts stay, without their marks. At most 256 characters.
    """
    return " ".join(_TOKEN.findall(_plain(text)))


def read_pn(text: str) -> tuple[NameParts, ...]:
    """The ways to read a DICOM person name (PS3.5 section 6.2.1.2), best known first; none if it has no letters.

    Of the component groups the alphabetic one is read, and the others where it is empty. Middle names are given names;
    prefix and suffix are not read. A name that is all in one component is read as `read_text` does.
    """
    value = _plain(text).split("\\", 1)[0]
    return next((readings for group in value.split("=") if (readings := _read_group(group))), ())


def read_fields(family: str, given: str) -> NameParts:
    """A name whose two sides are known, as a CRM has it; a side without letters is empty."""
    return _read_sides(_plain(family), _plain(given))


def read_text(text: str) -> tuple[NameParts, ...]:
    """The ways to read a name in one string: `Marie-Ève Tremblay`, `Tremblay, Marie-Ève`; none if it has no letters.

    With a comma there is one way. Without, every word may be the family name, and so may half of the words.
    """
    plain = _plain(text)
    return _read_plain(plain, damaged=_LOST in plain)


Word = list[str]
"""The parts that hyphens hold together."""


def _read_group(group: str) -> tuple[NameParts, ...]:
    family, *others = group.split("^")
    given = " ".join(others[:2])
    reading = _read_sides(family, given)
    if reading.family and reading.given:
        return (reading,)
    return _read_plain(family if reading.family else given, damaged=reading.damaged)


def _read_sides(family: str, given: str) -> NameParts:
    return _reading(_words(family), _words(given), damaged=_LOST in family or _LOST in given)


def _read_plain(plain: str, *, damaged: bool) -> tuple[NameParts, ...]:
    pieces = [words for piece in _COMMA.split(plain) if (words := _words(piece))]
    if not pieces:
        return ()
    words, *others = pieces
    if others or len(words) == 1:
        return (_reading(words, [word for piece in others for word in piece], damaged=damaged),)
    readings = []
    for cut in sorted({1, len(words) // 2, len(words) - 1}):
        readings.append(_reading(words[cut:], words[:cut], damaged=damaged))
        readings.append(_reading(words[:cut], words[cut:], damaged=damaged))
    return tuple(dict.fromkeys(readings))


def _reading(family: Iterable[Word], given: Iterable[Word], *, damaged: bool) -> NameParts:
    return NameParts(
        family=tuple(part for word in family for part in word),
        given=tuple(part for word in given for part in word),
        damaged=damaged,
    )


def _words(plain: str) -> list[Word]:
    tokens = [(mark, token) for mark, token in _tokens(plain) if token not in _TITLES and token.strip(_LOST)]
    words: list[Word] = []
    stem, first = "", ""
    for place, (mark, token) in enumerate(tokens):
        following = tokens[place + 1] if place + 1 < len(tokens) else None
        if following and _is_particle(token, tokens[place - 1][1] if place else ""):
            continue
        part = f"ST{token.removeprefix(_SAINT)}" if token.startswith(_SAINT) else token
        first = first if stem else mark
        if following and _grows(part, *following):
            stem += part
            continue
        if first == "-" and words:
            words[-1].append((stem + part)[:LONGEST_PART])
        else:
            words.append([(stem + part)[:LONGEST_PART]])
        stem = ""
    return words


def _is_particle(token: str, before: str) -> bool:
    return token in _PARTICLES or (token in _ARTICLES and before == "DE")


def _grows(part: str, mark: str, following: str) -> bool:
    """Whether a part and the one that follows, with that mark between, are one name."""
    if part in _STEMS or (mark == "'" and len(part) <= _LONGEST_ELIDED):
        return True
    return part in _ELIDED and (part == "O" or following[0] in _MUTE_OR_VOWEL) and len(following) > 1


def _tokens(plain: str) -> Iterator[tuple[str, str]]:
    """The runs of letters and digits, each after the mark before it: an apostrophe, a hyphen or a space."""
    end = 0
    for found in _TOKEN.finditer(plain):
        between = plain[end : found.start()]
        yield ("'" if "'" in between else "-" if between == "-" else " "), found[0]
        end = found.end()


def _plain(text: str) -> str:
    text = text[:LONGEST]
    if text.isascii():
        return text.upper().translate(_LETTERS)
    spaced = _repaired(unicodedata.normalize("NFC", text)).translate(_LETTERS)  # NFKD makes a space of an acute accent
    upper = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", spaced).upper()).translate(_LETTERS)
    return upper.translate(_UNMARKED)[:LONGEST]


class _Unmarked(dict[int, int | None]):
    """A table for `str.translate` that takes marks away; each letter is looked up once."""

    def __missing__(self, code: int) -> int | None:
        self[code] = kept = None if unicodedata.category(chr(code)) in {"Cf", "Mc", "Me", "Mn"} else code
        return kept


_UNMARKED = _Unmarked({code: code for code in range(0x80)})


def _repaired(text: str) -> str:
    for _ in range(_REPAIRS):
        before, text = text, _MOJIBAKE.sub(_decoded, text)
        if text == before:
            break
    return text


def _decoded(found: re.Match[str]) -> str:
    return bytes(_AS_BYTE[letter] for letter in found[0]).decode("utf-8", "replace")
