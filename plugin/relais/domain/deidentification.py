"""De-identification (PS3.15 annex E) with pseudonyms by a key: what is taken out, and what is refused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from relais.domain.charsets import codecs_of, read_text
from relais.domain.confidentiality import EMPTIED, REMOVED, REPLACED
from relais.domain.elements import (
    Element,
    Elements,
    Encoding,
    Item,
    find,
    is_standard,
    make,
    put,
    rewrite,
)
from relais.domain.identifiers import names_one
from relais.domain.pseudonyms import Patient, Pseudonyms, moved_back

REMOVED_TEXT = "ANONYMIZED"
MARKERS = frozenset(
    {
        *("BurnedInAnnotation", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
        *("LongitudinalTemporalInformationModified", "PatientIdentityRemoved", "RecognizableVisualFeatures"),
    }
)
"""Attributes that say whether, and how, a file was de-identified."""

_PATIENT_NAME, _PATIENT_ID, _ISSUER = 0x00100010, 0x00100020, 0x00100021
_STUDY, _SOP_CLASS, _MODALITY = 0x0020000D, 0x00080016, 0x00080060
_BURNED_IN, _RECOGNIZABLE, _DOCUMENT = 0x00280301, 0x00280302, 0x00420011
_SECONDARY_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
_ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
_OFTEN_ANNOTATED = frozenset({"ES", "GM", "OP", "OT", "SC", "SM", "US", "XC", "IVUS"})
_GRAPHICS = frozenset({0x5000, 0x6000})  # curves and overlays
_OVERLAYS, _OVERLAY_BITS = 0x60, 0x0100
_DATES = frozenset({"DA", "DT"})
_FREE_TEXT = frozenset({"LT", "ST", "UR", "UT"})
_EMPTY_BY_VR = {
    "AS": "000Y",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101",
    "IS": "0",
    "TM": "000000",
    "UR": "urn:none",
}
_METHOD = b", PS3.15 table E.1-1, keyed pseudonyms"
_CODED = frozenset({"InstitutionCodeSequence", "PersonIdentificationCodeSequence"})


class RefusedError(Exception):
    """A file must not be sent as it would be; `code` says why, `keyword` of which attribute, never with a value."""

    def __init__(self, code: str, keyword: str = "") -> None:
        super().__init__(f"{code} {keyword}".strip())
        self.code = code
        self.keyword = keyword


def check(elements: Elements, allowed: Collection[str]) -> None:
    """Refuse what could show who it is in its pixels or pages, unless allowed (words of the option Allow).

    An image of a kind that is often annotated must say that it is not.
    """
    sop_class = _text(elements, _SOP_CLASS)
    burned_in = _text(elements, _BURNED_IN).upper()
    unsaid = burned_in != "NO" and _text(elements, _MODALITY) in _OFTEN_ANNOTATED
    secondary = sop_class == _SECONDARY_CAPTURES or sop_class.startswith(f"{_SECONDARY_CAPTURES}.")
    document = sop_class.startswith(_ENCAPSULATED) or find(elements, _DOCUMENT) is not None
    recognizable = _text(elements, _RECOGNIZABLE).upper() == "YES"
    annotated = burned_in == "YES" or (unsaid and not secondary and not document) or _has_embedded_overlay(elements)
    for code, word, found in (
        ("burned-in-annotation", "BurnedInAnnotation", annotated),
        ("recognizable-features", "RecognizableFeatures", recognizable),
        ("secondary-capture", "SecondaryCapture", secondary),
        ("encapsulated-document", "EncapsulatedDocument", document),
    ):
        if found and word not in allowed:
            raise RefusedError(code)


def patient_of(elements: Elements) -> Patient:
    """Whose pseudonym a file gets."""
    return Patient(_text(elements, _PATIENT_ID), _text(elements, _ISSUER), _text(elements, _STUDY))


def deidentify(elements: Elements, pseudonyms: Pseudonyms, keep: Collection[str] = ()) -> Elements:
    """The data set without what identifies, with pseudonyms and dates moved back; attributes in `keep` stay.

    Only for data sets that `check` lets pass. Raises MalformedError.
    """
    patient = patient_of(elements)
    cleaning = _Cleaning(pseudonyms, patient, pseudonyms.days(patient), frozenset(keep))
    cleaned = rewrite(elements, cleaning.clean)
    return _named(
        _marked(cleaned, b"Relais, PS3.15 table E.1-1, keyed pseudonyms", "113100", "113107"),
        pseudonyms.patient(patient),
    )


def finish(elements: Elements, original: Elements, pseudonyms: Pseudonyms) -> Elements:
    """What Orthanc's anonymization left of `original`, with every UID by the key instead of by chance."""
    named = _with_uids_of(elements, original, pseudonyms)
    return _named(
        _marked(named, b"Orthanc, PS3.15 table E.1-1, keyed pseudonyms", "113100"),
        pseudonyms.patient(patient_of(original)),
    )


@dataclass(frozen=True)
class _Cleaning:
    pseudonyms: Pseudonyms
    patient: Patient
    days: int
    keep: frozenset[str]

    def clean(self, element: Element) -> Element | None:
        """What is left of an element; sequences come back as they are, to be cleaned item by item."""
        keyword = element.keyword
        if _unknown(element):
            return None
        if keyword in self.keep:
            return element
        vr = dictionary_VR(element.tag)  # what is written may be wrong
        if keyword in REMOVED or (vr == "SQ") is not element.is_sequence:
            return None
        if keyword in EMPTIED or (vr == "PN" and keyword not in REPLACED):
            return make(element.tag, element.vr, b"", element.encoding)
        if keyword in REPLACED or (vr in _FREE_TEXT and element.value.strip(b" \0")):
            return _replaced(element)
        return self._renamed(element, vr)

    def _renamed(self, element: Element, vr: str) -> Element:
        if vr == "UI":
            return _renamed(element, element, self.pseudonyms)
        if vr in _DATES:
            return with_values(element, [moved_back(each, self.days) for each in _values(element)])
        return element


def _unknown(element: Element) -> bool:
    """Whether nobody can say what it holds: private, not in the dictionary, or of no known kind; also graphics."""
    if element.is_private or not dictionary_has_tag(element.tag) or element.tag & 0xFFFF == 0:
        return True
    return element.tag >> 16 & 0xFF00 in _GRAPHICS or (element.vr == "UN" and not element.is_sequence)


def with_values(element: Element, values: list[str]) -> Element:
    """The element with these values, in ASCII; itself where it has them already."""
    if values == _values(element):
        return element
    return make(element.tag, element.vr, "\\".join(values).encode(), element.encoding)


def _with_uids_of(elements: Elements, original: Elements, pseudonyms: Pseudonyms) -> Elements:
    """Each UID as the pseudonym of what stood at its place."""
    changed = []
    for element in elements:
        was = find(original, element.tag)
        if element.is_sequence:
            before = was.items() if was and was.is_sequence else ()
            pairs = [(item, before[at].elements if at < len(before) else ()) for at, item in enumerate(element.items())]
            items = [replace(item, elements=_with_uids_of(item.elements, old, pseudonyms)) for item, old in pairs]
            changed.append(element.with_items(items))
        elif element.vr == "UI":
            changed.append(_renamed(element, was or element, pseudonyms))
        elif element.tag & 0xFFFF:
            changed.append(element)
    return tuple(changed)


def _renamed(element: Element, was: Element, pseudonyms: Pseudonyms) -> Element:
    """The element with the pseudonyms of those UIDs; UIDs of DICOM itself and of classes stay."""
    if not names_one(element):
        return element
    uids = [uid if not uid or is_standard(uid) else pseudonyms.uid(uid) for uid in _values(was)]
    return with_values(element, uids)


def _named(elements: Elements, pseudonym: str) -> Elements:
    encoding = elements[0].encoding
    elements = put(elements, make(_PATIENT_NAME, "PN", pseudonym.encode(), encoding))
    return put(elements, make(_PATIENT_ID, "LO", pseudonym.encode(), encoding))


_MEANINGS = {
    "113100": "Basic Application Confidentiality Profile",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}
"""Codes of PS3.16 context group 7050."""


def _marked(elements: Elements, method: bytes, *codes: str) -> Elements:
    """With the marks of PS3.15 section E.1.1."""
    encoding = elements[0].encoding
    dates = b"MODIFIED" if "113107" in codes else b"REMOVED"
    for element in (
        make(0x00120062, "CS", b"YES", encoding),
        make(0x00120063, "LO", method, encoding),
        _coded(0x00120064, [(code, "DCM", _MEANINGS[code]) for code in codes], encoding),
        make(0x00280303, "CS", dates, encoding),
    ):
        elements = put(elements, element)
    return elements


def _coded(tag: int, codes: list[tuple[str, str, str]], encoding: Encoding) -> Element:
    """A sequence of codes (PS3.3 table 8.8-1)."""
    items = [
        Item(
            (
                make(0x00080100, "SH", value.encode(), encoding),
                make(0x00080102, "SH", scheme.encode(), encoding),
                make(0x00080104, "LO", meaning.encode(), encoding),
            ),
            encoding,
            undefined=False,
        )
        for value, scheme, meaning in codes
    ]
    return make(tag, "SQ", b"".join(item.write() for item in items), encoding)


def _replaced(element: Element) -> Element:
    if element.keyword in _CODED:
        return _coded(element.tag, [(REMOVED_TEXT, "99RELAIS", REMOVED_TEXT)], element.encoding)
    if element.vr in {"OB", "OW", "UN"}:
        return make(element.tag, element.vr, bytes(2), element.encoding)
    return with_values(element, [_EMPTY_BY_VR.get(element.vr, REMOVED_TEXT)])


def _has_embedded_overlay(elements: Elements) -> bool:
    """Whether an overlay's plane is in unused bits of the pixels (retired), where it would stay."""
    planes = (each for each in elements if each.tag >> 24 == _OVERLAYS and each.tag & 0xFFFF == _OVERLAY_BITS)
    return any(plane.encoding.number(plane.value) > 1 for plane in planes)  # a plane of its own has one bit


def _values(element: Element) -> list[str]:
    return [each.strip(" \0") for each in element.value.decode("ascii", "replace").split("\\")]


def _text(elements: Elements, tag: int) -> str:
    element = find(elements, tag)
    return read_text(element, codecs_of(elements)).strip() if element else ""
