"""What of a file names the patient, the people and the study, and whether any of it is left elsewhere.

How a value is looked for depends on how often chance would write it. Texts of five letters or more, numbers of eight
digits or more and UIDs are looked for in every byte; shorter names as whole words of texts; shorter numbers as whole
numbers of texts (six digits or more) or as whole values (four). What is shorter says nothing and is not looked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import re2

from relais.domain.charsets import ASCII, TEXT, Codecs, codecs_of, decode
from relais.domain.elements import Element, Elements, MalformedError, is_standard

OVERLAP = 512
"""Bytes of a piece that are looked at again with the next: more than the longest value takes."""

_NUMBERS = frozenset(
    {
        *("AccessionNumber", "AdmissionID", "FillerOrderNumberImagingServiceRequest", "MedicalRecordLocator"),
        *("OtherPatientIDs", "PatientID", "PlacerOrderNumberImagingServiceRequest", "RequestedProcedureID"),
        *("ScheduledProcedureStepID", "ServiceEpisodeID", "StudyID"),
    }
)
_PHONES = frozenset({"PatientTelephoneNumbers", "PersonTelephoneNumbers", "ReferringPhysicianTelephoneNumbers"})
_PLACES = frozenset(
    {
        *("InstitutionAddress", "InstitutionName", "PatientAddress", "PatientTelecomInformation", "PersonAddress"),
        *("PersonTelecomInformation", "ReferringPhysicianAddress"),
    }
)
_WORDS = re.compile(rb"[0-9A-Za-z\x80-\xff]+")
_DIGITS = re.compile(rb"[0-9]+")
_UIDS = re.compile(rb"[0-9][0-9.]{8,}")
_ENCODINGS = ("utf-8", "cp1252", "utf-16-le", "utf-16-be")
_LONG_NAME, _SHORT_NAME, _LONG_NUMBER, _MIDDLE_NUMBER, _SHORT_NUMBER, _IN_PIXELS = 5, 3, 8, 6, 4, 6
_FIRST_OF_EAST_ASIA = "\u2e80"
_MARKS = " -./()"
_MAIN_UIDS = frozenset({"SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"})
_compile: Any = re2.compile  # it takes bytes as well as text


@dataclass(frozen=True, slots=True)
class Identifier:
    """A value and the keyword of the attribute that had it; `kind` is name, number, phone, place, date or uid."""

    keyword: str
    kind: str
    text: str


def identifiers(elements: Elements, kept: Collection[str] = ()) -> frozenset[Identifier]:
    """What identifies, at every level; not what attributes named in `kept` have."""
    return frozenset(_identifiers(elements, codecs_of(elements), frozenset(kept)))


def names_one(element: Element) -> bool:
    """Whether its UIDs name one thing: an instance, a study, a frame of reference; not a class or a syntax."""
    return not ("Class" in element.keyword and element.keyword != "ManufacturerDeviceClassUID") and not (
        element.keyword.endswith(("TransferSyntaxUID", "ContextUID", "CodingSchemeUID", "ResourceUID"))
    )


def _identifiers(elements: Elements, inherited: Codecs, kept: Collection[str]) -> Iterator[Identifier]:
    codecs = codecs_of(elements, inherited)
    for element in elements:
        if element.is_sequence:
            for item in _items(element):
                yield from _identifiers(item.elements, codecs, kept)
            continue
        kind = _kind(element)
        if kind and element.keyword not in kept:
            for text in _texts(element.value, codecs):
                yield from (
                    Identifier(element.keyword, kind, part) for part in _parts(text, kind) if not is_standard(part)
                )


def _items(element: Element) -> tuple[Any, ...]:
    try:
        return element.items()
    except MalformedError:  # what cannot be read as items is searched as bytes all the same
        return ()


def _kind(element: Element) -> str | None:
    keyword = element.keyword
    if element.vr == "PN":
        return "name"
    if element.vr == "UI":
        return "uid" if names_one(element) else None
    if keyword == "PatientBirthDate":
        return "date"
    table = {"number": _NUMBERS, "phone": _PHONES, "place": _PLACES}
    return next((kind for kind, keywords in table.items() if keyword in keywords), None)


def _texts(content: bytes, codecs: Codecs) -> Iterator[str]:
    """What the bytes may say: in the declared character set, and in the two that are used undeclared."""
    seen = set()
    for candidate in (codecs, ("utf-8",), ("cp1252",), ("latin-1",)):
        try:
            text = decode(content, candidate)
        except (UnicodeDecodeError, LookupError):
            continue
        if text not in seen:
            seen.add(text)
            yield text


def _parts(text: str, kind: str) -> Iterator[str]:
    """The values in a text that are looked for one by one."""
    for value in text.split("\\"):
        whole = value.strip(" \0\r\n\t")
        if kind == "name":
            yield from (
                word for word in re.split(r"[^\w]+|_", whole) if _weight(word) >= _SHORT_NAME and not word.isdecimal()
            )
        elif kind == "place":
            yield from (part.strip() for part in re.split(r"[,;^\r\n]+", whole) if _weight(part) > _LONG_NAME)
        elif kind == "date":
            if re.fullmatch(r"\d{8}", re.sub(r"[-.]", "", whole)):
                yield re.sub(r"[-.]", "", whole)
        elif kind == "phone":
            if len(digits := re.sub(r"\D", "", whole)) > _MIDDLE_NUMBER:
                yield digits
        elif len(whole) >= _SHORT_NUMBER:
            yield whole


class Search:
    """Looks for identifiers; each method answers the keyword of the first one it finds, or None.

    `codecs` are the character sets of the file that has them.
    """

    def __init__(self, wanted: Iterable[Identifier], codecs: Codecs = ASCII) -> None:
        known = frozenset(wanted)
        others = frozenset(each for each in known if each.kind != "uid")
        self._encodings = tuple(dict.fromkeys((*_ENCODINGS, *(each for each in codecs if each != "ascii"))))
        self._uids = {each.text.encode("ascii", "replace"): each.keyword for each in known - others}
        self._long = frozenset(each for each in others if _is_long(each))
        self._in_pixels = frozenset(each for each in others if _weight(each.text) >= _IN_PIXELS)
        self._main_uids = [
            uid for uid, keyword in self._uids.items() if keyword in _MAIN_UIDS and len(uid) >= _IN_PIXELS
        ]
        short = list(others - self._long)
        self._words = {form: each.keyword for each in short if each.kind == "name" for form in _forms(each.text)}
        self._numbers = {each.text.encode(): each.keyword for each in short if each.text.isdecimal()}
        self._wholes = {each.text.lower().encode(): each.keyword for each in short if each.kind != "name"}

    def in_bytes(self, content: bytes) -> str | None:
        """In any byte of what is not pixels."""
        uids = (self._uids.get(found.strip(b".")) for found in _UIDS.findall(content))
        return next((each for each in uids if each), None) or self._hit(self._long, content)

    def in_values(self, elements: Elements) -> str | None:
        """In the texts of these elements, at every level: also as words and numbers of their own."""
        return next((found for value in _text_values(elements) if (found := self._in_value(value))), None)

    def in_pixels(self, content: bytes) -> str | None:
        """As text of six characters or more, anywhere; pieces are given with an overlap."""
        uids = (self._uids[uid] for uid in self._main_uids if uid in content)
        return next(uids, None) or self._hit(self._in_pixels, content)

    def _in_value(self, value: bytes) -> str | None:
        found = chain(
            (self._words.get(word.lower()) for word in _WORDS.findall(value)),
            (self._numbers.get(run) for run in _DIGITS.findall(value) if len(run) >= _MIDDLE_NUMBER),
            (self._wholes.get(part.strip(b" \0").lower()) for part in re.split(rb"[\\^=]", value)),
        )
        return next((each for each in found if each), None) or self.in_bytes(value)

    def _hit(self, wanted: frozenset[Identifier], content: bytes) -> str | None:
        if not wanted or not _pattern(wanted, self._encodings).search(content):
            return None
        each = next(each for each in wanted if _pattern(frozenset([each]), self._encodings).search(content))
        return each.keyword


def _is_long(identifier: Identifier) -> bool:
    if identifier.kind == "name":
        return _weight(identifier.text) >= _LONG_NAME
    if identifier.text.isdecimal() and identifier.kind != "phone":
        return len(identifier.text) >= _LONG_NUMBER
    return len(identifier.text) >= _MIDDLE_NUMBER


def _weight(word: str) -> int:
    """How many letters it is worth: a character of Chinese, Japanese or Korean says as much as three."""
    return sum(3 if letter >= _FIRST_OF_EAST_ASIA else 1 for letter in word)


def _text_values(elements: Elements) -> Iterator[bytes]:
    for element in elements:
        if element.is_sequence:
            for item in _items(element):
                yield from _text_values(item.elements)
        elif element.vr in TEXT or element.vr in {"AE", "CS", "UI", "UR"}:
            yield element.value


@lru_cache(maxsize=256)
def _pattern(wanted: frozenset[Identifier], encodings: tuple[str, ...]) -> Any:
    """One expression for all of them, over bytes: RE2 reads half a gigabyte a second with it."""
    options: Any = re2.Options()
    options.encoding = options.Encoding.LATIN1
    options.case_sensitive = False
    options.log_errors = False
    texts = sorted({_expression(each, encoding) for each in wanted for encoding in encodings})
    return _compile(b"(?s)" + b"|".join(texts), options)


def _expression(identifier: Identifier, encoding: str) -> bytes:
    """The identifier in that encoding, whatever its case, accents and separators."""
    text = identifier.text
    if encoding.startswith("iso2022"):  # between escape sequences, two bytes a character
        return _quoted(re.sub(rb"\x1b\$?[(@)]?[A-J]", b"", text.encode(encoding, "ignore"))) or _quoted(text.encode())
    gap = b"(?:" + b"|".join(_quoted(mark.encode(encoding)) for mark in _MARKS) + b"){0,2}"
    between = gap if identifier.kind in {"date", "number", "phone"} else b""
    characters = between.join(_character(letter, encoding) for letter in text if not (between and letter in _MARKS))
    before = b"(?:^|[^0-9])" if text[:1].isdecimal() else b""
    after = b"(?:$|[^0-9])" if text[-1:].isdecimal() else b""
    return before + characters + after


def _character(letter: str, encoding: str) -> bytes:
    """A letter in either case, with or without its accent, composed or not."""
    decomposed = unicodedata.normalize("NFD", letter)
    forms = {form for each in (letter, decomposed, decomposed[0]) for form in (each, each.lower(), each.upper())}
    written = {form.encode(encoding) for form in forms if _can(form, encoding)}
    return b"(?:" + b"|".join(sorted(_quoted(each) for each in written or {letter.encode("utf-8")})) + b")"


def _forms(word: str) -> Iterator[bytes]:
    """A short name as the bytes of a word, in lower case."""
    plain = "".join(each for each in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(each))
    for form in {word.lower(), word.upper(), word, plain}:
        for encoding in ("utf-8", "cp1252"):
            if _can(form, encoding):
                yield form.encode(encoding).lower()


def _can(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _quoted(content: bytes) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in content)
