"""Text in the character sets of a data set (PS3.5 section 6.1), strictly: what does not decode is no text."""

from __future__ import annotations

import re
from dataclasses import replace

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

from relais.domain.elements import Element, Elements, find, make, put

SPECIFIC_CHARACTER_SET = 0x00080005
TEXT = frozenset(["LO", "LT", "PN", "SH", "ST", "UC", "UT"])
"""Value representations that SpecificCharacterSet speaks of."""
UNICODE = "ISO_IR 192"

_DEFAULT = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_WITH_ESCAPES = frozenset({"iso2022_jp", "iso2022_jp_2"})  # Python's own codecs read the escape sequence

Codecs = tuple[str, ...]
ASCII: Codecs = ("ascii",)


def codecs_of(elements: Elements, inherited: Codecs = ASCII) -> Codecs:
    """Python's names of the character sets, the first for what stands before any escape sequence."""
    element = find(elements, SPECIFIC_CHARACTER_SET)
    return inherited if element is None else codecs_named(element.value)


def codecs_named(value: bytes) -> Codecs:
    """The same from the value of SpecificCharacterSet."""
    terms = [term.strip(" \0") for term in value.decode("ascii", "replace").split("\\")]
    return tuple("ascii" if term in _DEFAULT else python_encoding.get(term, "ascii") for term in terms)


def decode(content: bytes, codecs: Codecs) -> str:
    """The text; raises UnicodeDecodeError."""
    if b"\x1b" not in content:
        return content.decode(codecs[0])
    return "".join(_decode_part(part, codecs[0]) for part in re.split(rb"(?=\x1b)", content))


def encode(text: str, codecs: Codecs) -> bytes:
    """The text without escape sequences; raises UnicodeEncodeError where it needs any."""
    return text.encode("ascii" if codecs[0] in _WITH_ESCAPES else codecs[0])


def read_text(element: Element, codecs: Codecs) -> str:
    """An element's text for a person's eyes, whatever its bytes are."""
    content = element.value.rstrip(b" \0")
    try:
        return decode(content, codecs) if element.vr in TEXT else content.decode("ascii")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def guess_text(content: bytes, codecs: Codecs) -> str:
    """Text of whoever may declare none or the wrong character set: UTF-8 where it can be, for nothing else looks so."""
    content = content.rstrip(b" \0")
    if content.isascii() and b"\x1b" not in content:
        return content.decode("ascii")
    if b"\x1b" not in content and codecs[0].startswith(("ascii", "iso8859", "latin")):
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            pass
    try:
        return decode(content, codecs)
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def in_unicode(elements: Elements) -> Elements:
    """The same texts in ISO_IR 192; bytes that are no text in the declared character set stay as they are."""
    changed = _in_unicode(elements, ASCII)
    return put(changed, make(SPECIFIC_CHARACTER_SET, "CS", UNICODE.encode(), elements[0].encoding))


def _in_unicode(elements: Elements, inherited: Codecs) -> Elements:
    codecs = codecs_of(elements, inherited)
    return tuple(_element_in_unicode(element, codecs) for element in elements)


def _element_in_unicode(element: Element, codecs: Codecs) -> Element:
    if element.is_sequence:
        return element.with_items(
            replace(item, elements=_in_unicode(item.elements, codecs)) for item in element.items()
        )
    if element.tag == SPECIFIC_CHARACTER_SET:
        return make(element.tag, "CS", UNICODE.encode(), element.encoding)
    if element.vr not in TEXT or (element.value.isascii() and b"\x1b" not in element.value):
        return element
    try:
        text = decode(element.value, codecs)
    except UnicodeDecodeError:
        return element
    return make(element.tag, element.vr, text.encode(), element.encoding)


def _decode_part(part: bytes, before: str) -> str:
    for escape, codec in CODES_TO_ENCODINGS.items():
        if part.startswith(escape):
            if codec in _WITH_ESCAPES:
                return part.decode(codec)
            return part[len(escape) :].decode("ascii" if escape == b"\x1b(B" else codec)
    if part.startswith(b"\x1b"):
        raise UnicodeDecodeError(before, part, 0, 1, "an unknown escape sequence")
    return part.decode(before)
