"""What is changed in images on their way to one destination, what of a study goes there, and what a change changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydicom.datadict import dictionary_VR, tag_for_keyword

from relais.domain.charsets import TEXT, Codecs, codecs_of, encode, in_unicode, read_text
from relais.domain.deidentification import RefusedError
from relais.domain.elements import EXPLICIT, Element, Elements, Encoding, find, make, put, rewrite

LONGEST_ACCESSION = 16
"""PS3.5 section 6.2, SH."""
INTEGERS = {"SS": (2, True), "US": (2, False), "SL": (4, True), "UL": (4, False)}
"""Value representations of whole numbers: bytes each, and whether they can be negative."""

_ACCESSION, _ISSUER = 0x00080050, 0x00100021
_ORIGINAL_ATTRIBUTES = 0x04000561
_SHOWN = 256


class Coercion(Protocol):
    """What is changed, in this order: `remove`, `set_`, `issuers`, `accession_prefix`."""

    @property
    def remove(self) -> Collection[str]:
        """Keywords of what is taken out, wherever it stands."""
        ...

    @property
    def set_(self) -> Mapping[str, str]:
        """Keywords and the text that they get at the top."""
        ...

    @property
    def issuers(self) -> Mapping[str, str]:
        """Issuers of patient ids, the empty one for ids without, and what takes their place."""
        ...

    @property
    def accession_prefix(self) -> str | None:
        """What is put before accession numbers that do not begin with it."""
        ...


def coerce(elements: Elements, coercion: Coercion) -> Elements:
    """The data set changed; the very same where nothing had to be.

    The history of former values (Original Attributes Sequence) is left as it is but for what is removed. Raises
    RefusedError `accession-too-long`.
    """
    removed = frozenset(coercion.remove)
    if removed:
        elements = rewrite(elements, lambda element: None if element.keyword in removed else element)
    for keyword, text in coercion.set_.items():
        elements = _with_text(elements, keyword, text)
    if coercion.issuers:
        there = find(elements, _ISSUER)
        issuer = read_text(there, codecs_of(elements)).strip() if there else ""
        if issuer in coercion.issuers:
            elements = _with_text(elements, "IssuerOfPatientID", coercion.issuers[issuer])
    if coercion.accession_prefix:
        elements = _with_prefix(elements, coercion.accession_prefix.encode("ascii"))
    return elements


def encoded(keyword: str, text: str, codecs: Codecs, encoding: Encoding = EXPLICIT) -> bytes:
    """The text as a value of that attribute.

    Raises UnicodeEncodeError where the character set lacks a letter, ValueError where the attribute takes none such.
    """
    vr = dictionary_VR(keyword)
    if vr in INTEGERS:
        size, signed = INTEGERS[vr]
        return b"".join(encoding.write(int(part), size, signed=signed) for part in text.split("\\"))
    return encode(text, codecs) if vr in TEXT else text.encode("ascii")


def _with_text(elements: Elements, keyword: str, text: str) -> Elements:
    tag, encoding = tag_for_keyword(keyword), elements[0].encoding
    if tag is None:
        raise ValueError(keyword)
    vr = dictionary_VR(tag)
    try:
        value = encoded(keyword, text, codecs_of(elements), encoding)
    except UnicodeEncodeError:
        elements = in_unicode(elements)
        value = text.encode()
    element, there = make(tag, vr, value, encoding), find(elements, tag)
    return elements if there == element else put(elements, element)


def _with_prefix(elements: Elements, prefix: bytes) -> Elements:
    history = find(elements, _ORIGINAL_ATTRIBUTES)
    present = elements if history is None else tuple(each for each in elements if each is not history)
    changed = rewrite(present, lambda element: _prefixed(element, prefix))
    if changed is present:
        return elements
    return changed if history is None else put(changed, history)


def _prefixed(element: Element, prefix: bytes) -> Element:
    number = element.value.strip(b" \0")
    if element.tag != _ACCESSION or not number or number.startswith(prefix):
        return element
    if len(prefix + number) > LONGEST_ACCESSION:
        raise RefusedError("accession-too-long", element.keyword)
    return make(element.tag, element.vr, prefix + number, element.encoding)


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that differs: where it is, and its value before and after, None where it is not there.

    A path is like `RequestAttributesSequence[0].AccessionNumber`.
    """

    path: str
    before: str | None
    after: str | None


def compare(before: Elements, after: Elements) -> list[Change]:
    """What differs, in the order of the tags."""
    old, new = dict(_shown(before)), dict(_shown(after))
    return [
        Change(path=path, before=old.get(path), after=new.get(path))
        for path in sorted({**old, **new}, key=_order)
        if old.get(path) != new.get(path)
    ]


def _shown(elements: Elements, inherited: Codecs = ("ascii",), above: str = "") -> Iterator[tuple[str, str]]:
    codecs = codecs_of(elements, inherited)
    for element in elements:
        path = above + element.keyword
        if not element.is_sequence:
            yield path, _value(element, codecs)
            continue
        items = element.items()
        yield path, f"[{len(items)}]"
        for index, item in enumerate(items):
            yield from _shown(item.elements, codecs, f"{path}[{index}].")


def _value(element: Element, codecs: Codecs) -> str:
    if element.vr in INTEGERS:
        size, signed = INTEGERS[element.vr]
        parts = [element.value[at : at + size] for at in range(0, min(len(element.value), _SHOWN), size)]
        return "\\".join(str(element.encoding.number(part, signed=signed)) for part in parts)
    text = read_text(element, codecs)
    return text[:_SHOWN] if text.isprintable() or element.vr in TEXT else f"<{len(element.value)} bytes>"


def _order(path: str) -> tuple[tuple[int, int], ...]:
    """The tags and item numbers of a path."""
    steps = (step.rstrip("]").partition("[") for step in path.split("."))
    return tuple((tag_for_keyword(keyword) or int(keyword, 16), int(at or 0)) for keyword, _, at in steps)
