"""What a destination receives of an instance when something is changed on the way."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import IO, Any

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEG2000MC,
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from relais.configuration import Destination
from relais.configuration.transformations import Deidentify, Profile
from relais.domain.charsets import codecs_of
from relais.domain.deidentification import RefusedError, check, deidentify, finish, patient_of
from relais.domain.elements import Elements, MalformedError, find, make, put, write
from relais.domain.identifiers import OVERLAP, Identifier, Search, identifiers
from relais.domain.pseudonyms import Pseudonyms, derived_uid
from relais.domain.retry import ErrorClass
from relais.domain.transformation import Change, coerce, compare
from relais.errors import OrthancError
from relais.transports.content import refused_by_orthanc
from relais.transports.opened import OpenedFile, with_instance
from relais.transports.port import Item, OrthancApi, SendingError

CHUNK = 1 << 18
IN_MEMORY = 4 << 20
"""Bytes of one made file that are kept in memory; a larger one waits in an unnamed temporary file."""
WHOLE = threading.BoundedSemaphore(2)
"""What Orthanc makes comes whole, into memory: so many files at once, over all destinations."""
Bytes = Generator[bytes, None, None]
LOSSY: frozenset[str] = frozenset(
    {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, JPEG2000MC, HTJ2K}
)
"""Transfer syntaxes whose images are others than those they were made of (PS3.3 section C.7.6.1.1.5)."""
TEXTS: Mapping[str, str] = {
    "accession-too-long": "with its prefix the accession number would have more than 16 characters",
    "burned-in-annotation": "the image shows annotations, or is of a kind that often does and does not deny it",
    "recognizable-features": "the image shows features by which a person can be recognized",
    "secondary-capture": "secondary captures often show names",
    "encapsulated-document": "documents often name people",
    "identifier-left": "de-identified, it would still have somewhere the value of",
    "cannot-transcode": "Orthanc cannot write it in the transfer syntax that was asked for",
    "cannot-deidentify": "Orthanc cannot de-identify it",
    "cannot-read": "the stored file is malformed and cannot be changed without harm",
}
"""Why an instance is refused, by the code of the error."""

_SOP_INSTANCE, _SOURCE_IMAGES = 0x00080018, 0x00082112
_KEPT_META = frozenset({0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013})
_TAIL = frozenset({"DataSetTrailingPadding", "DigitalSignaturesSequence"})
_UNABLE = frozenset({400, 415, 500, 501})  # how Orthanc says that it cannot do it, then or ever


class Transformed:
    """The stored file, changed as the destination asks; in Orthanc nothing changes.

    Transcoded, de-identified, coerced, its preamble zeroed, in this order. What is de-identified is searched for what
    identifies before its first byte is handed out.
    """

    as_stored = False

    def __init__(self, orthanc: OrthancApi, destination: Destination) -> None:
        self._orthanc = orthanc
        self._destination = destination
        self._deidentify = destination.deidentify
        self._pseudonyms = Pseudonyms(self._deidentify.key.resolve() if self._deidentify else "")

    def read(self, item: Item) -> Bytes:
        """The changed file, in chunks; raises SendingError where it may or can not be made."""
        try:
            if self._deidentify is None:
                yield from self._changed(item)
            else:
                yield from self._deidentified(item, self._deidentify)
        except MalformedError as error:
            raise refused("cannot-read") from error
        except RefusedError as error:
            raise refused(error.code, error.keyword) from error
        except OrthancError as error:
            raise refused_by_orthanc(error) from error

    def named(self, item: Item) -> Item:
        """The item under the UIDs that it has at the destination; asks Orthanc only where images become lossy."""
        if self._deidentify is None:
            return self._renamed(item, self._syntax_to_make(item) if self._destination.transcode in LOSSY else None)
        uid = self._pseudonyms.uid
        return replace(
            item,
            study_instance_uid=uid(item.study_instance_uid),
            series_instance_uid=uid(item.series_instance_uid),
            sop_instance_uid=uid(item.sop_instance_uid),
        )

    def changes(self, item: Item) -> list[Change]:
        """What differs between the stored file and what the destination would receive, for a person's eyes."""
        with closing(self._stored(item)) as stored:
            before = OpenedFile.read(stored)
        with closing(self.read(item)) as made:
            after = OpenedFile.read(made)
        return compare(before.meta + before.elements, after.meta + after.elements)

    def _changed(self, item: Item) -> Bytes:
        syntax, options = self._syntax_to_make(item), self._destination.coerce
        named = self._renamed(item, syntax)
        with closing(self._source(item, syntax)) as source:
            file = _made_in(source, syntax)
            elements = file.elements if syntax not in LOSSY else _with_instance(file.elements, named.sop_instance_uid)
            elements = coerce(elements, options) if options else elements
            meta = file.meta if syntax not in LOSSY else with_instance(file.meta, named.sop_instance_uid)

            def content() -> Iterator[bytes]:
                yield write(elements)
                yield from file.pixels()
                in_tail = options is not None and not _TAIL.isdisjoint(options.remove)
                yield from file.tail((lambda tail: coerce(tail, options)) if options and in_tail else None)

            preamble = bytes(128) if self._destination.zero_preamble else file.preamble
            yield from file.written(preamble, meta, content())

    def _deidentified(self, item: Item, options: Deidentify) -> Bytes:
        syntax = self._syntax_to_make(item)
        with closing(self._stored(item)) as stored:
            original = OpenedFile.read(stored)
            check(original.elements, [each.value for each in options.allow])
            if syntax is None and options.profile is Profile.Keyed:
                yield from self._verified(item, options, original, original)
                return
        with closing(self._made(*self._question(item, options, original, syntax))) as source:
            yield from self._verified(item, options, original, _made_in(source, syntax))

    def _verified(self, item: Item, options: Deidentify, original: OpenedFile, file: OpenedFile) -> Iterator[bytes]:
        named = self.named(item)
        if options.profile is Profile.Keyed:
            elements = deidentify(file.elements, self._pseudonyms, options.keep)
        else:
            elements = finish(file.elements, original.elements, self._pseudonyms)
        if find(original.elements, _SOURCE_IMAGES) is None:  # lossy compression names the image that it came from
            elements = tuple(each for each in elements if each.tag != _SOURCE_IMAGES)
        elements = _with_instance(elements, named.sop_instance_uid)
        if self._destination.coerce is not None:
            elements = coerce(elements, self._destination.coerce)
        meta = with_instance(file.meta, named.sop_instance_uid, _KEPT_META)

        search = Search(identifiers(original.elements, options.keep) | _uids_of(item), codecs_of(original.elements))
        head = write(elements)
        left = search.in_values(meta + elements) or search.in_bytes(write(meta)) or search.in_bytes(head)
        if left is not None:
            raise RefusedError("identifier-left", left)

        def content() -> Iterator[bytes]:
            yield head
            yield from _searched(file.pixels(), search)

        yield from spooled(file.written(bytes(128), meta, content()))

    def _source(self, item: Item, syntax: str | None) -> Bytes:
        if syntax is None:
            return self._stored(item)
        keep = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
        question = {"Transcode": syntax, "Keep": keep, "Force": True}
        return self._made(f"/instances/{item.orthanc_id}/modify", question, "cannot-transcode")

    def _question(
        self, item: Item, options: Deidentify, original: OpenedFile, syntax: str | None
    ) -> tuple[str, Mapping[str, Any], str]:
        """What Orthanc is asked to make before the rest is done here: path, body, and the refusal if it cannot."""
        named, transcode = self.named(item), {} if syntax is None else {"Transcode": syntax}
        if options.profile is Profile.Keyed:
            keep = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
            question = {"Keep": keep, "Force": True, **transcode}
            return f"/instances/{item.orthanc_id}/modify", question, "cannot-transcode"
        pseudonym = self._pseudonyms.patient(patient_of(original.elements))
        instead = {
            "StudyInstanceUID": named.study_instance_uid,
            "SeriesInstanceUID": named.series_instance_uid,
            "SOPInstanceUID": named.sop_instance_uid,
            "PatientID": pseudonym,
            "PatientName": pseudonym,
        }
        question = {"Replace": instead, "Keep": list(options.keep), "Force": True, **transcode}
        return f"/instances/{item.orthanc_id}/anonymize", question, "cannot-deidentify"

    def _stored(self, item: Item) -> Bytes:
        yield from self._orthanc.stream(f"/instances/{item.orthanc_id}/file")

    def _made(self, path: str, question: Mapping[str, Any], code: str) -> Bytes:
        """A file that Orthanc makes; `code` is the refusal where it cannot."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            with WHOLE:
                try:
                    _fill(file, [self._orthanc.read_answer(path, question)])
                except OrthancError as error:
                    if error.status not in _UNABLE:
                        raise
                    raise refused("cannot-transcode" if "ranscode" in error.text else code) from error
            yield from _chunks(file)

    def _syntax_to_make(self, item: Item) -> str | None:
        """The transfer syntax that Orthanc must make; None where the stored one will do."""
        wanted = self._destination.transcode
        if wanted is None:
            return None
        path = f"/instances/{item.orthanc_id}"
        metadata = self._orthanc.get(f"{path}/metadata?expand")
        if metadata.get("TransferSyntax") == wanted:
            return None
        if UID(wanted).is_encapsulated and "PixelDataOffset" not in metadata:
            return wanted if "7fe0-0010" in self._orthanc.get(f"{path}/content") else None
        return wanted

    def _renamed(self, item: Item, syntax: str | None) -> Item:
        if syntax is None or syntax not in LOSSY:
            return item
        return replace(item, sop_instance_uid=derived_uid(item.sop_instance_uid, syntax))


def _made_in(source: Iterable[bytes], syntax: str | None) -> OpenedFile:
    """The opened file; refused where Orthanc passed over the transfer syntax that it should have."""
    file = OpenedFile.read(source)
    if syntax is not None and file.syntax != syntax:
        raise RefusedError("cannot-transcode")
    return file


def refused(code: str, keyword: str = "") -> SendingError:
    """The refusal of one instance, in words; `keyword` is the attribute it is about."""
    return SendingError(ErrorClass.Permanent, code, f"{TEXTS[code]} {keyword}".strip())


def spooled(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, the first one only when the last is there."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        _fill(file, chunks)
        yield from _chunks(file)


def _fill(file: IO[bytes], chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        try:
            file.write(chunk)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SendingError(
                ErrorClass.Transient, "no-space", f"no temporary file could be written: {reason}"
            ) from error


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


def _searched(pieces: Iterable[bytes], search: Search) -> Iterator[bytes]:
    before = b""
    for piece in pieces:
        seen = before + piece
        left = search.in_pixels(seen)
        if left is not None:
            raise RefusedError("identifier-left", left)
        before = seen[-OVERLAP:]
        yield piece


def _uids_of(item: Item) -> frozenset[Identifier]:
    return frozenset(
        {
            Identifier("StudyInstanceUID", "uid", item.study_instance_uid),
            Identifier("SeriesInstanceUID", "uid", item.series_instance_uid),
            Identifier("SOPInstanceUID", "uid", item.sop_instance_uid),
        }
    )


def _with_instance(elements: Elements, sop_instance_uid: str) -> Elements:
    return put(elements, make(_SOP_INSTANCE, "UI", sop_instance_uid.encode(), elements[0].encoding))
