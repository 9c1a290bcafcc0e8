"""What a modality asks of the worklist, and which orders answer it (PS3.4 sections C.2.2.2, K.4.1 and annex K.6).

Keys are asked by keyword, those of the scheduled step as `ScheduledProcedureStepSequence.Modality`. A key of no length
matches everything and is answered. What is not known of an order is answered with no length.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from relais.domain.charsets import Codecs, codecs_of, decode
from relais.domain.elements import (
    EXPLICIT,
    LONG,
    Element,
    Elements,
    Reader,
    encoding_of,
    make,
    read_beginning,
    read_elements,
    write,
)
from relais.domain.globs import compile_glob
from relais.domain.orders import CODES, REFERENCES, ROOT, SEQUENCE, STEP
from relais.domain.words import fold

WORKLIST = "1.2.840.10008.5.1.4.31"
"""Modality Worklist Information Model - FIND."""
STATION = "ScheduledStationAETitle"
STATUS = "ScheduledProcedureStepStatus"
_WITHOUT_WILDCARDS = frozenset({"DA", "TM", "DT", "UI", "US", "SS", "UL", "SL", "IS", "DS", "AS", "AT", "FL", "FD"})
_WITH_ITEMS = {"ReferencedStudySequence": REFERENCES}
_CHARACTER_SET = 0x00080005
_TRANSFER_SYNTAX = 0x00020010
_ITEM = b"\xfe\xff\x00\xe0"

Test = Callable[[str], object]


class Wanted(NamedTuple):
    """An asked tag: what is written before its length, in how many bytes that is; `items` of a sequence."""

    keyword: str
    vr: str
    head: bytes
    size: int
    pad: bytes
    items: tuple[Wanted, ...] | None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request: `keys` are the tests of the order's own values and of its sequences', `plan` what to answer.

    `exact` are keys with one plain value, and `ranges` those of dates with two ends, for a database to look first.
    """

    keys: Mapping[str, Test]
    nested: Mapping[str, Mapping[str, Test]]
    exact: Mapping[str, str]
    ranges: Mapping[str, tuple[str, str]]
    name: str
    plan: tuple[Wanted, ...]
    character_sets: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The keywords of the keys that were matched, without their values, for the audit trail."""
        inner = [f"{sequence}.{each}" for sequence, keys in self.nested.items() for each in keys]
        return sorted([*self.keys, *inner])


@dataclass(kw_only=True)
class _Keys:
    exact: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[str, str]] = field(default_factory=dict)
    name: str = ""


def read_request(file: bytes) -> Asked:
    """The request, as a file of PS3.10; raises MalformedError."""
    reader = Reader([file])
    _, meta = read_beginning(reader)
    syntax = next((each.value for each in meta if each.tag == _TRANSFER_SYNTAX), b"")
    elements = tuple(read_elements(reader, encoding_of(syntax.decode("ascii", "replace").strip("\0 "))))
    codecs = codecs_of(elements)
    keys, nested, plain = {}, {}, _Keys()
    for element in elements:
        if element.is_sequence:
            nested[element.keyword] = _nested(element, codecs, plain)
        elif (found := _key(element, codecs, plain)) is not None:
            keys[element.keyword] = found
    sets = next((each.value for each in elements if each.tag == _CHARACTER_SET), b"").decode("ascii", "replace")
    return Asked(
        keys={keyword: each for keyword, each in keys.items() if keyword in ROOT},
        nested={keyword: each for keyword, each in nested.items() if each},
        exact=plain.exact,
        ranges=plain.ranges,
        name=plain.name,
        plan=_plan(elements),
        character_sets=tuple(each.strip(" \0") for each in sets.split("\\") if each.strip(" \0")),
    )


def matches(asked: Asked, document: Mapping[str, Any]) -> bool:
    """Whether this order answers the request."""
    if not all(test(document.get(keyword, "")) for keyword, test in asked.keys.items()):
        return False
    return all(_matches_items(sequence, tests, document) for sequence, tests in asked.nested.items())


def answer(asked: Asked, document: Mapping[str, Any], station: str, codecs: Codecs, term: str) -> bytes:
    """The order as the file that answers the request, with the asked tags only, in this character set.

    An order for any machine of the clinic is answered to `station` as if it were its own.
    """
    known = dict(document)
    known.setdefault(STATION, station)
    known[STATUS] = "SCHEDULED"
    declared = write([make(_CHARACTER_SET, "CS", term.encode(), EXPLICIT)]) if term else b""
    return _HEAD + declared + _written(asked.plan, known, codecs)


def codecs_for(terms: tuple[str, ...], default: str) -> tuple[Codecs, str]:
    """The character set of an answer: the one that was asked for if it is known, else the default; and its term."""
    element = make(_CHARACTER_SET, "CS", "\\".join(terms).encode("ascii", "replace"), EXPLICIT)
    codecs = codecs_of((element,)) if terms else ()
    if terms and (codecs[0] != "ascii" or terms[0] in ("ISO_IR 6", "ISO 2022 IR 6")):
        return codecs[:1], terms[0]
    return codecs_of((make(_CHARACTER_SET, "CS", default.encode(), EXPLICIT),)), default


def encoded(text: str, codecs: Codecs) -> bytes:
    """The text; letters that the character set has not lose their accents, and what is left is a question mark."""
    try:
        return text.encode(codecs[0])
    except UnicodeEncodeError:
        return "".join(each if _fits(each, codecs[0]) else _plain(each) for each in text).encode(codecs[0], "replace")


def _fits(letter: str, codec: str) -> bool:
    try:
        letter.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


_LIGATURES = {"œ": "oe", "Œ": "OE", "\u2019": "'", "\u2018": "'", "\u2013": "-", "ł": "l", "Ł": "L"}


def _plain(letter: str) -> str:
    plain = _LIGATURES.get(letter) or fold(letter)
    return plain.upper() if letter.isupper() else plain


def _written(plan: Iterable[Wanted], known: Mapping[str, Any], codecs: Codecs) -> bytes:
    """The elements of the plan, with what is known of each: thousands are written for one request."""
    parts: list[bytes] = []
    for each in plan:
        if each.items is None:
            text = known.get(each.keyword, "")
            content = _value(each.vr, text, codecs) if text and isinstance(text, str) else b""
            if len(content) % 2:
                content += each.pad
        else:
            items = (known,) if each.keyword == SEQUENCE else known.get(each.keyword, ())
            written = [_written(each.items, item, codecs) for item in items]
            content = b"".join(_ITEM + len(item).to_bytes(4, "little") + item for item in written)
        parts += (each.head, len(content).to_bytes(each.size, "little"), content)
    return b"".join(parts)


def _value(vr: str, text: str, codecs: Codecs) -> bytes:
    if vr == "US":
        return b"".join(int(each).to_bytes(2, "little") for each in text.split("\\"))
    return text.encode() if text.isascii() else encoded(text, codecs)


def _wanted(tag: int, items: tuple[Wanted, ...] | None) -> Wanted:
    """How an asked tag is answered, explicitly and little endian (PS3.5 section 7.1.2)."""
    keyword, vr = _named(tag)
    if vr == "SQ" and items is None:  # a key of no length asks for everything
        items = tuple(_wanted(each, None) for each in _all_of(keyword))
    long = vr in LONG
    head = EXPLICIT.write_tag(tag) + vr.encode() + (bytes(2) if long else b"")
    return Wanted(keyword, vr, head, 4 if long else 2, b"\0" if vr == "UI" else b" ", items if vr == "SQ" else None)


@cache
def _all_of(sequence: str) -> tuple[int, ...]:
    """Everything that an item of this sequence may have: what a key of no length asks for."""
    keywords = STEP | {STATUS} if sequence == SEQUENCE else _WITH_ITEMS.get(sequence, CODES)
    return tuple(sorted(tag for each in keywords if (tag := tag_for_keyword(each)) is not None))


@cache
def _named(tag: int) -> tuple[str, str]:
    """The keyword and the value representation of a tag; a tag that nobody knows is text."""
    try:
        return keyword_for_tag(tag), dictionary_VR(tag)[:2]
    except KeyError:
        return "", "LO"


def _plan(elements: Elements) -> tuple[Wanted, ...]:
    """Every asked tag in its order, with those in its items."""
    found: dict[int, Wanted] = {}
    for element in elements:
        if element.tag == _CHARACTER_SET or element.tag & 0xFFFF == 0:
            continue
        items = element.items() if element.is_sequence else ()
        found[element.tag] = _wanted(element.tag, _plan(items[0].elements) or None if items else None)
    return tuple(each for _, each in sorted(found.items()))


def _nested(sequence: Element, codecs: Codecs, plain: _Keys) -> dict[str, Test]:
    """The tests of a sequence's item; further items are against the standard, and nothing of them is asked."""
    items = sequence.items()
    allowed = STEP | {STATUS} if sequence.keyword == SEQUENCE else _WITH_ITEMS.get(sequence.keyword, CODES)
    found: dict[str, Test] = {}
    for element in items[0].elements if items else ():
        inside = plain if sequence.keyword == SEQUENCE else _Keys()
        if not element.is_sequence and (test := _key(element, codecs, inside)) and element.keyword in allowed:
            found[element.keyword] = test
    return found


def _key(element: Element, codecs: Codecs, plain: _Keys) -> Test | None:
    """The test of a key; None for one of no length, or of something that orders do not have."""
    text = _text(element, codecs)
    if not text or element.tag == _CHARACTER_SET:
        return None
    keyword, vr = _named(element.tag)
    if vr in ("DA", "TM"):
        first, dash, last = text.partition("-")
        low, high = _moment(vr, first), _moment(vr, last if dash else first)
        if vr == "DA":
            plain.ranges[keyword] = low, high
        return _between(low, high, vr)
    if vr == "PN":
        plain.name = fold(text)
        return _of_name(text)
    if vr in _WITHOUT_WILDCARDS:
        return _one_of(text.split("\\"))
    if "*" in text or "?" in text:
        return _any_of([compile_glob(each) for each in text.split("\\")])
    if "\\" not in text:
        plain.exact[keyword] = text
    return _one_of(text.split("\\"))


def _text(element: Element, codecs: Codecs) -> str:
    if element.vr == "US" and len(element.value) == 2:  # noqa: PLR2004 - bytes
        return str(element.encoding.number(element.value))
    try:
        text = decode(element.value, codecs)
    except (UnicodeDecodeError, LookupError):
        text = element.value.decode("cp1252", "replace")
    return text.strip(" \0\r\n")


def _moment(vr: str, text: str) -> str:
    """One end of a range, with nothing but digits."""
    digits = "".join(each for each in text.partition(".")[0] if each.isdigit())
    return digits[: 8 if vr == "DA" else 6]


def _between(low: str, high: str, vr: str) -> Test:
    """Both ends belong to it; a time that is not written to the second means all that begins so."""
    top = high.ljust(6, "9") if vr == "TM" and high else high

    def test(value: str) -> bool:
        found = value[: 8 if vr == "DA" else 6]
        if vr == "TM":
            found = found.ljust(6, "0")
        return found != "" and (not low or found >= low) and (not top or found <= top)

    return test


def _of_name(text: str) -> Test:
    """Names are compared whatever their case and accents (PS3.4 section C.2.2.2.1), each group of components alone."""
    pattern = fold(text)
    glob = compile_glob(pattern if "*" in pattern or "?" in pattern else pattern.rstrip("^ "))

    def test(value: str) -> bool:
        groups = [fold(each) for each in value.split("=")]
        return any(glob(each) or glob(each.rstrip("^ ")) for each in (*groups, "=".join(groups)) if each)

    return test


def _one_of(values: Collection[str]) -> Test:
    wanted = {each.strip() for each in values}
    return lambda value: any(each in wanted for each in value.split("\\"))


def _any_of(globs: Collection[Test]) -> Test:
    return lambda value: any(glob(each) for glob in globs for each in value.split("\\"))


def _matches_items(sequence: str, tests: Mapping[str, Test], document: Mapping[str, Any]) -> bool:
    if sequence == SEQUENCE:
        known = {STATUS: "SCHEDULED", **document}
        # An order without a station is for any machine of the clinic.
        return all(
            test(known.get(keyword, "")) or (keyword == STATION and STATION not in known)
            for keyword, test in tests.items()
        )
    items = document.get(sequence, ())
    return any(all(test(item.get(keyword, "")) for keyword, test in tests.items()) for item in items)


def _head() -> bytes:
    """The beginning of each answer: the preamble and the meta information, without which Orthanc reads no file."""
    meta = [
        make(0x00020002, "UI", WORKLIST.encode(), EXPLICIT),
        make(0x00020003, "UI", b"1.2.826.0.1.3680043.8.498.1", EXPLICIT),
        make(_TRANSFER_SYNTAX, "UI", b"1.2.840.10008.1.2.1", EXPLICIT),
    ]
    content = write(meta)
    length = make(0x00020000, "UL", EXPLICIT.write(len(content), 4), EXPLICIT)
    return bytes(128) + b"DICM" + write([length]) + content


_HEAD = _head()
