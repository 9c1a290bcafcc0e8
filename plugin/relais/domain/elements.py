"""A DICOM file as the bytes it is made of (PS3.5 section 7, PS3.10 section 7.1).

What is not changed is written as it was read, well formed or not; pydicom would decode it and encode it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
"""Value representations whose length has 32 bits (PS3.5 section 7.1.2)."""
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
DEEPEST = 40
"""How deep sequences may nest: deeper ones kill Orthanc 1.10.1, and no machine writes them."""

_PREAMBLE = 128
_SHORTEST = 8
_LONGEST_SHORT = 0xFFFF


class MalformedError(Exception):
    """The bytes are not a DICOM file that can be changed without harm."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is written."""

    implicit: bool
    little: bool

    def number(self, content: bytes, *, signed: bool = False) -> int:
        """A number."""
        return int.from_bytes(content, "little" if self.little else "big", signed=signed)

    def tag(self, content: bytes) -> int:
        """A tag, as one number."""
        return self.number(content[:2]) << 16 | self.number(content[2:4])

    def write(self, number: int, size: int, *, signed: bool = False) -> bytes:
        """A number in `size` bytes."""
        return number.to_bytes(size, "little" if self.little else "big", signed=signed)

    def write_tag(self, tag: int) -> bytes:
        """A tag."""
        return self.write(tag >> 16, 2) + self.write(tag & 0xFFFF, 2)


EXPLICIT = Encoding(implicit=False, little=True)
IMPLICIT = Encoding(implicit=True, little=True)


def encoding_of(transfer_syntax: str) -> Encoding:
    """How the data set of a file of this transfer syntax is written (PS3.5 annex A)."""
    if transfer_syntax == ImplicitVRLittleEndian:
        return IMPLICIT
    return Encoding(implicit=False, little=transfer_syntax != ExplicitVRBigEndian)


@dataclass(frozen=True, slots=True)
class Element:
    """One element: `head` is its tag, VR and length as written; `value` includes the delimiter that ends it, if any.

    Where no VR is written, `vr` is the dictionary's, UN for what it does not know.
    """

    tag: int
    vr: str
    head: bytes
    value: bytes
    encoding: Encoding
    undefined: bool = False

    @property
    def keyword(self) -> str:
        """Its keyword (PS3.6), or else its tag as `ggggeeee`."""
        return _keyword(self.tag)

    @property
    def is_private(self) -> bool:
        """Whether its group is odd."""
        return bool(self.tag >> 16 & 1)

    @property
    def is_sequence(self) -> bool:
        """Whether its value is items."""
        return self.vr == "SQ" or (self.undefined and self.vr == "UN")

    @property
    def inside(self) -> Encoding:
        """How its items are written: those of UN always implicitly (PS3.5 section 6.2.2)."""
        return IMPLICIT if self.head[4:6] == b"UN" and not self.encoding.implicit else self.encoding

    def items(self) -> tuple[Item, ...]:
        """The items of a sequence; raises MalformedError."""
        reader, encoding = Reader([self.value]), self.inside
        found = []
        while not reader.at_end():
            tag, length = encoding.tag(reader.peek(4)), encoding.number(reader.take(8)[4:])
            if tag == SEQUENCE_END:
                break
            if tag != ITEM:
                raise MalformedError("a sequence holds what is no item")
            if length == UNDEFINED:
                found.append(Item(tuple(read_elements(reader, encoding)), encoding, undefined=True))
                reader.take(_SHORTEST)
            else:
                content = Reader([reader.take(length)])
                found.append(Item(tuple(read_elements(content, encoding)), encoding, undefined=False))
        return tuple(found)

    def with_items(self, items: Iterable[Item]) -> Element:
        """The same sequence with other items, its length as defined or undefined as before."""
        value = b"".join(item.write() for item in items)
        if self.undefined:
            end = self.inside.write_tag(SEQUENCE_END) + bytes(4)
            return replace(self, value=value + end)
        return replace(self, head=self.head[:-4] + self.encoding.write(len(value), 4), value=value)


Elements = tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a sequence."""

    elements: Elements
    encoding: Encoding
    undefined: bool

    def write(self) -> bytes:
        """Its bytes."""
        content = write(self.elements)
        head = self.encoding.write_tag(ITEM)
        if self.undefined:
            end = self.encoding.write_tag(ITEM_END) + bytes(4)
            return head + self.encoding.write(UNDEFINED, 4) + content + end
        return head + self.encoding.write(len(content), 4) + content


class Reader:
    """Bytes that come in chunks, read in pieces of any size; `taken` has what was read since the last `forget`."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = bytearray()
        self._position = 0

    @property
    def taken(self) -> bytes:
        """What was read."""
        return bytes(self._buffer[: self._position])

    @property
    def position(self) -> int:
        """How many bytes `taken` has."""
        return self._position

    def forget(self) -> None:
        """Let go of what was read."""
        del self._buffer[: self._position]
        self._position = 0

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return not self._has(1)

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay; fewer at the end."""
        self._has(size)
        return bytes(self._buffer[self._position : self._position + size])

    def take(self, size: int) -> bytes:
        """The next bytes; raises MalformedError where there are fewer."""
        if not self._has(size):
            raise MalformedError("it ends too early")
        self._position += size
        return bytes(self._buffer[self._position - size : self._position])

    def since(self, position: int) -> bytes:
        """What was read since then."""
        return bytes(self._buffer[position : self._position])

    def copy(self, size: int) -> Iterator[bytes]:
        """The next bytes in pieces, none of them kept; raises MalformedError where there are fewer."""
        self.forget()
        while size > 0:
            if not self._has(1):
                raise MalformedError("it ends too early")
            piece = bytes(self._buffer[:size])
            del self._buffer[:size]
            size -= len(piece)
            yield piece

    def rest(self) -> Iterator[bytes]:
        """All that is left, in pieces, none of them kept."""
        self.forget()
        yield bytes(self._buffer)
        self._buffer.clear()
        yield from self._chunks

    def _has(self, size: int) -> bool:
        while len(self._buffer) - self._position < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._buffer += chunk
        return True


def read_beginning(reader: Reader) -> tuple[bytes, Elements]:
    """The preamble and the file meta information (PS3.10 section 7.1)."""
    preamble = reader.take(_PREAMBLE)
    if reader.take(4) != b"DICM":
        raise MalformedError("it is no file of PS3.10")
    meta = []
    while reader.peek(2) == b"\x02\x00":
        meta.append(_read_element(reader, EXPLICIT, 0))
    return preamble, tuple(meta)


def read_elements(
    reader: Reader, encoding: Encoding, *, until: frozenset[int] = frozenset(), depth: int = 0
) -> Iterator[Element]:
    """The elements up to one of these tags, the end of the item, or the end of all."""
    while not reader.at_end():
        tag = encoding.tag(reader.peek(4))
        if tag in until or tag == ITEM_END:
            return
        yield _read_element(reader, encoding, depth)


def read_pixels(reader: Reader, encoding: Encoding) -> Iterator[bytes]:
    """The pixel data element (PS3.5 section 8 and annex A.4), in pieces, none of them kept."""
    head, _, length = _read_head(reader, encoding)
    yield head
    if length != UNDEFINED:
        yield from reader.copy(length)
        return
    while True:
        reader.forget()
        head = reader.take(8)
        yield head
        tag = encoding.tag(head)
        if tag == SEQUENCE_END:
            return
        if tag != ITEM:
            raise MalformedError("a fragment is missing")
        yield from reader.copy(encoding.number(head[4:]))


def write(elements: Iterable[Element]) -> bytes:
    """The elements' bytes."""
    return b"".join(part for element in elements for part in (element.head, element.value))


def make(tag: int, vr: str, value: bytes, encoding: Encoding) -> Element:
    """An element of defined length, padded to an even one (PS3.5 section 6.2)."""
    if len(value) % 2:
        value += b"\0" if vr in {"UI", "OB", "UN"} else b" "
    if encoding.implicit:
        head = encoding.write(len(value), 4)
    elif vr in LONG or len(value) > _LONGEST_SHORT:
        head = (vr if vr in LONG else "UN").encode() + bytes(2) + encoding.write(len(value), 4)
    else:
        head = vr.encode() + encoding.write(len(value), 2)
    return Element(tag, vr, encoding.write_tag(tag) + head, value, encoding)


def find(elements: Iterable[Element], tag: int) -> Element | None:
    """The element of that tag, if it is there."""
    return next((element for element in elements if element.tag == tag), None)


def put(elements: Elements, element: Element) -> Elements:
    """The elements with this one, in its place."""
    others = [each for each in elements if each.tag != element.tag and not _counts(each, element.tag)]
    place = next((index for index, each in enumerate(others) if each.tag > element.tag), len(others))
    return (*others[:place], element, *others[place:])


def rewrite(elements: Elements, change: Callable[[Element], Element | None], depth: int = 0) -> Elements:
    """The elements of every level as `change` makes them: another, none, or the same, whose items then come in turn.

    Answers the very same tuple where nothing changed. Raises MalformedError.
    """
    if depth > DEEPEST:
        raise MalformedError("sequences nest too deep")
    changed = [(element, _rewrite(element, change, depth)) for element in elements]
    touched = {old.tag >> 16 for old, new in changed if new is not old}
    if not touched:
        return elements
    return tuple(new for _, new in changed if new and not (_is_group_length(new) and new.tag >> 16 in touched))


def _rewrite(element: Element, change: Callable[[Element], Element | None], depth: int) -> Element | None:
    new = change(element)
    if new is not element or not element.is_sequence:
        return new
    items = element.items()
    changed = [replace(item, elements=rewrite(item.elements, change, depth + 1)) for item in items]
    if all(new.elements is old.elements for new, old in zip(changed, items, strict=True)):
        return element
    return element.with_items(changed)


def _is_group_length(element: Element) -> bool:
    """Whether it counts the bytes of its group (retired, PS3.5 section 7.2): wrong as soon as the group changes."""
    return element.tag & 0xFFFF == 0


def _counts(element: Element, tag: int) -> bool:
    return _is_group_length(element) and element.tag >> 16 == tag >> 16


def _read_element(reader: Reader, encoding: Encoding, depth: int) -> Element:
    if depth > DEEPEST:
        raise MalformedError("sequences nest too deep")
    head, vr, length = _read_head(reader, encoding)
    tag = encoding.tag(head)
    vr = vr or _dictionary_vr(tag)
    if length != UNDEFINED:
        return Element(tag, vr, head, reader.take(length), encoding)
    element = Element(tag, vr, head, b"", encoding, undefined=True)
    began = reader.position
    _pass_items(reader, element.inside, depth)
    return replace(element, value=reader.since(began))


def _pass_items(reader: Reader, encoding: Encoding, depth: int) -> None:
    while True:
        head = reader.take(8)
        tag, length = encoding.tag(head), encoding.number(head[4:])
        if tag == SEQUENCE_END:
            return
        if tag != ITEM:
            raise MalformedError("a sequence holds what is no item")
        if length != UNDEFINED:
            reader.take(length)
            continue
        for _ in read_elements(reader, encoding, depth=depth + 1):
            pass
        reader.take(8)


def _read_head(reader: Reader, encoding: Encoding) -> tuple[bytes, str, int]:
    """The tag, VR and length as they stand; the VR, empty where none is written; the length."""
    head = reader.take(8)
    written = head[4:6]
    if encoding.implicit or not (written.isalpha() and written.isupper()):  # some writers fall back within a file
        return head, "", encoding.number(head[4:])
    vr = written.decode()
    if vr in LONG:
        head += reader.take(4)
        return head, vr, encoding.number(head[8:])
    return head, vr, encoding.number(head[6:])


@lru_cache(maxsize=8192)
def _keyword(tag: int) -> str:
    return (dictionary_keyword(tag) if dictionary_has_tag(tag) else "") or f"{tag:08X}"


@lru_cache(maxsize=8192)
def _dictionary_vr(tag: int) -> str:
    if dictionary_has_tag(tag):
        return dictionary_VR(tag)
    return "LO" if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF else "UN"  # noqa: PLR2004 - PS3.5 section 7.8.1


def is_standard(uid: str) -> bool:
    """Whether the UID is in DICOM's registry (PS3.6 annex A), and the same everywhere."""
    return uid in UID_dictionary
