"""A DICOM file opened as far as its pixels, which pass in pieces and are never whole in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from pydicom.uid import DeflatedExplicitVRLittleEndian

from relais.domain.elements import (
    EXPLICIT,
    PIXELS,
    Elements,
    Encoding,
    MalformedError,
    Reader,
    encoding_of,
    find,
    make,
    put,
    read_beginning,
    read_elements,
    read_pixels,
    write,
)

_GROUP_LENGTH, _SOP_INSTANCE, _SYNTAX = 0x00020000, 0x00020003, 0x00020010


@dataclass(frozen=True, kw_only=True)
class OpenedFile:
    """Its preamble, its file meta information, and the elements before its pixels; the rest can be read once."""

    preamble: bytes
    meta: Elements
    elements: Elements
    syntax: str
    encoding: Encoding
    _reader: Reader

    @classmethod
    def read(cls, chunks: Iterable[bytes]) -> OpenedFile:
        """Open a file (PS3.10) from its bytes; raises MalformedError."""
        reader = Reader(chunks)
        preamble, meta = read_beginning(reader)
        syntax = find(meta, _SYNTAX)
        if syntax is None:
            raise MalformedError("it has no transfer syntax")
        uid = syntax.value.rstrip(b" \0").decode("ascii", "replace")
        reader = Reader(_inflated(reader.rest()) if uid == DeflatedExplicitVRLittleEndian else reader.rest())
        encoding = encoding_of(uid)
        elements = tuple(read_elements(reader, encoding, until=PIXELS))
        if not elements:
            raise MalformedError("it is empty")
        return cls(preamble=preamble, meta=meta, elements=elements, syntax=uid, encoding=encoding, _reader=reader)

    def pixels(self) -> Iterator[bytes]:
        """The element with the pixels, in pieces; nothing where there is none."""
        self._reader.forget()
        if not self._reader.at_end():
            yield from read_pixels(self._reader, self.encoding)

    def tail(self, change: Callable[[Elements], Elements] | None = None) -> Iterator[bytes]:
        """What follows the pixels, as it is or changed."""
        if change is None:
            yield from self._reader.rest()
        elif after := tuple(read_elements(self._reader, self.encoding)):
            yield write(change(after))

    def written(self, preamble: bytes, meta: Elements, content: Iterable[bytes]) -> Iterator[bytes]:
        """A file of this transfer syntax with that content."""
        head = preamble + b"DICM" + write(meta)
        return chain([head], _deflated(content) if self.syntax == DeflatedExplicitVRLittleEndian else content)


def with_instance(meta: Elements, sop_instance_uid: str, kept: frozenset[int] | None = None) -> Elements:
    """File meta information for an instance of that UID, with only the elements in `kept` where given."""
    changed = tuple(each for each in meta if kept is None or each.tag in kept)
    changed = put(changed, make(_SOP_INSTANCE, "UI", sop_instance_uid.encode(), EXPLICIT))
    if changed == meta:
        return meta
    changed = tuple(each for each in changed if each.tag != _GROUP_LENGTH)
    length = EXPLICIT.write(len(write(changed)), 4)
    return put(changed, make(_GROUP_LENGTH, "UL", length, EXPLICIT))


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for chunk in chunks:
            yield inflating.decompress(chunk)
        yield inflating.flush()
    except zlib.error as error:
        raise MalformedError("it cannot be inflated") from error


def _deflated(content: Iterable[bytes]) -> Iterator[bytes]:
    """PS3.5 section A.5: deflated as RFC 1951 says, of an even length."""
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for chunk in chain((deflating.compress(each) for each in content), (deflating.flush() for _ in range(1))):
        size += len(chunk)
        yield chunk
    if size % 2:
        yield b"\0"
