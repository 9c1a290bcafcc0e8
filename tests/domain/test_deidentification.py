"""De-identification: by laws over hostile data sets, and by example for what the standard asks."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, generate_uid

from relais.configuration.transformations import Deidentify
from relais.domain.charsets import codecs_of
from relais.domain.confidentiality import EMPTIED, REMOVED, REPLACED
from relais.domain.deidentification import RefusedError, check, deidentify, finish
from relais.domain.document import DocumentError, parse
from relais.domain.elements import Element, Elements, Encoding, find, make, put, rewrite, write
from relais.domain.identifiers import Identifier, Search, identifiers
from relais.domain.pseudonyms import Patient, Pseudonyms, derived_uid, moved_back
from tests.domain.files import EXPLICIT, dataset_of, elements_of, hostile_elements
from tests.servers.dicom import make_study

KEY = Pseudonyms("a key of sixteen characters")
LITTLE = Encoding(implicit=False, little=True)
NAMES = ("Tremblay", "Éloïse", "Gagné", "Nguyễn", "O'Brien", "Lévesque-Roy")
BASE: Elements = elements_of(make_study(modality="CT").instances[0])


def instance(**options: Any) -> Dataset:
    return make_study(**{"modality": "CT", **options}).instances[0]


def cleaned(study: Dataset, keep: Iterable[str] = (), key: Pseudonyms = KEY) -> Dataset:
    return dataset_of(deidentify(elements_of(study), key, list(keep)))


def left_in(original: Elements, made: Elements) -> str | None:
    search = Search(identifiers(original), codecs_of(original))
    return search.in_values(made) or search.in_bytes(write(made))


@st.composite
def datasets(draw: st.DrawFn) -> Elements:
    """A data set with a patient whose name stands in hostile places, in the declared character set or another."""
    family, given_name = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    encoding = draw(st.sampled_from(["utf-8", "cp1252"]))
    words = st.sampled_from([f"{family}^{given_name}", f"vu avec {given_name.upper()}", f"x{family.lower()}x", "rien"])
    texts = words.map(lambda text: text.encode(encoding, "ignore"))
    inside = draw(hostile_elements(texts, st.sampled_from(["1.2.3.4.5.6.7", "1.2.840.10008.1.1"]), LITTLE))
    elements = BASE
    for element in inside:
        elements = put(elements, element)
    return put(elements, make(0x00100010, "PN", f"{family}^{given_name}".encode(encoding, "ignore"), LITTLE))


@settings(max_examples=60)
@given(datasets())
def test_no_name_is_left_that_the_search_does_not_find(original: Elements) -> None:
    made = deidentify(original, KEY)
    naive = write(made).decode("latin-1").lower()
    name = find(original, 0x00100010)
    assert name is not None
    words = [each for each in re.split(r"[\^ ]", name.value.decode("latin-1").lower()) if len(each) > 5]
    assert left_in(original, made) or not any(word in naive for word in words)
    without_device = rewrite(made, lambda element: None if element.keyword == "Manufacturer" else element)
    assert left_in(original, without_device) is None


@settings(max_examples=60)
@given(datasets())
def test_the_same_key_makes_the_same_and_another_key_nothing_in_common(original: Elements) -> None:
    once, again, other = deidentify(original, KEY), deidentify(original, KEY), deidentify(original, Pseudonyms("other"))
    assert write(once) == write(again)
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        values = [find(each, tag_for_keyword(keyword) or 0) for each in (original, once, other)]
        assert len({each.value for each in values if each}) == 3


@settings(max_examples=60)
@given(datasets())
def test_nothing_private_unknown_or_drawn_is_left(original: Elements) -> None:
    seen: list[Element] = []
    rewrite(deidentify(original, KEY), lambda element: seen.append(element) or element)  # type: ignore[func-returns-value]
    assert not [each for each in seen if each.is_private or each.tag >> 24 == 0x60 or each.tag == 0x0018103F]


@given(st.text(alphabet="0123456789.", min_size=1, max_size=64), st.text(min_size=1, max_size=30))
def test_uids_are_valid(uid: str, key: str) -> None:
    made = [Pseudonyms(key).uid(uid), derived_uid(uid, EXPLICIT)]
    assert all(UID(each).is_valid and len(each) <= 44 for each in made)
    assert len(set(made)) == 2


@given(st.dates(date(1900, 1, 1)), st.dates(date(1900, 1, 1)), st.text(min_size=1))
def test_intervals_between_dates_stay(first: date, second: date, patient: str) -> None:
    days = KEY.days(Patient(patient, "", "1.2"))
    assert 1 <= days <= 3650
    moved = [moved_back(f"{each:%Y%m%d}".rjust(8, "0"), days) for each in (first, second)]
    read = [date(int(each[:4]), int(each[4:6]), int(each[6:])) for each in moved]
    assert read[1] - read[0] == second - first
    assert read[0] == first - timedelta(days)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("20260702101530.25-0500", "20260622101530.25-0500"),
        ("1984-05-17", "19840507"),
        ("1984.05.17", "19840507"),
        ("2026", "2026"),
        ("202607", "202607"),
        ("", ""),
        ("20261301", ""),
        ("00010105", ""),
        ("20260702 Tremblay", ""),
        ("yesterday", ""),
    ],
)
def test_dates_are_moved_whatever_they_look_like(before: str, after: str) -> None:
    assert moved_back(before, 10) == after


def test_an_id_belongs_to_its_issuer_and_nobody_without_id_is_another() -> None:
    patients = [Patient("1", "A", "9"), Patient("1", "B", "9"), Patient("", "A", "9"), Patient("", "A", "8")]
    assert len({KEY.patient(each) for each in patients}) == 4
    assert KEY.patient(Patient("1 ", "A", "7")) == KEY.patient(Patient("1", "A", "9"))


def test_references_inside_a_set_stay_references() -> None:
    study = make_study(modality="CT", series=2, instances=2)
    reference, first = Dataset(), study.instances[0]
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = first.SOPClassUID, first.SOPInstanceUID
    for each in study.instances:
        each.ReferencedImageSequence, each.FrameOfReferenceUID = Sequence([reference]), "1.2.3.4"
    made = [cleaned(each) for each in study.instances]
    assert {each.ReferencedImageSequence[0].ReferencedSOPInstanceUID for each in made} == {made[0].SOPInstanceUID}
    assert {each.ReferencedImageSequence[0].ReferencedSOPClassUID for each in made} == {first.SOPClassUID}
    assert len({each.StudyInstanceUID for each in made}) == len({each.FrameOfReferenceUID for each in made}) == 1
    assert (len({each.SeriesInstanceUID for each in made}), len({each.SOPInstanceUID for each in made})) == (2, 4)


def test_what_the_standard_asks_is_done() -> None:
    study, past, observer = instance(tags={"StudyDate": "20260702", "OperatorsName": "Roy^Jean"}), Dataset(), Dataset()
    past.SourceOfPreviousValues = "Clinique"
    observer.VerifyingObserverName, observer.VerificationDateTime = "Roy^Jean", "20260703"
    study.OriginalAttributesSequence, study.VerifyingObserverSequence = Sequence([past]), Sequence([observer])
    study.PatientAge, study.OtherPatientIDs, study.DeviceSerialNumber = "042Y", ["A1", "B2"], "S-17"
    made = cleaned(study)
    gone = ("OriginalAttributesSequence", "PatientAge", "OtherPatientIDs", "StudyDescription")
    assert not [keyword for keyword in gone if keyword in made]
    assert (made.PatientBirthDate, made.PatientSex, made.AccessionNumber, made.ReferringPhysicianName) == ("",) * 4
    assert made.DeviceSerialNumber == made.OperatorsName == made.InstitutionName == "ANONYMIZED"
    assert made.VerifyingObserverSequence[0].VerifyingObserverName == "ANONYMIZED"
    assert made.PatientName == made.PatientID
    assert re.fullmatch("[0-9A-F]{20}", made.PatientID)
    assert (made.PatientIdentityRemoved, made.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
    assert [each.CodeValue for each in made.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    assert (made.StudyTime, made.Modality, made.SOPClassUID) == (study.StudyTime, "CT", study.SOPClassUID)
    shifted = [
        date(int(each[:4]), int(each[4:6]), int(each[6:8]))
        for each in (made.StudyDate, made.VerifyingObserverSequence[0].VerificationDateTime)
    ]
    assert shifted[1] - shifted[0] == timedelta(1)
    assert shifted[0] < date(2026, 7, 2)


def test_what_is_to_stay_stays() -> None:
    study = instance(tags={"PatientAge": "042Y", "StudyDate": "20260702"})
    made = cleaned(study, keep=["PatientSex", "PatientAge", "StudyDate"])
    assert (made.PatientSex, made.PatientAge, made.StudyDate) == ("F", "042Y", "20260702")


def test_the_table_speaks_of_attributes_that_there_are() -> None:
    every = [*REMOVED, *EMPTIED, *REPLACED]
    assert len(every) == len(set(every))
    assert not set(every) - set(keyword_dict)
    assert not [keyword for keyword in every if dictionary_VR(keyword) == "UI" and keyword not in REMOVED]


def orthanc_like(study: Dataset) -> Elements:
    """What an anonymization leaves that draws its UIDs by chance."""
    made = elements_of(study)
    for keyword, tag in (("SOPInstanceUID", 0x00080018), ("FrameOfReferenceUID", 0x00200052)):
        assert keyword in study
        made = put(made, make(tag, "UI", generate_uid().encode(), LITTLE))
    return made


def test_uids_drawn_by_chance_become_those_of_the_key() -> None:
    study = instance(tags={"FrameOfReferenceUID": "1.2.3.4"})
    original = elements_of(study)
    once, again = (dataset_of(finish(orthanc_like(study), original, KEY)) for _ in range(2))
    assert once == again
    keyed = dataset_of(deidentify(original, KEY))
    for keyword in ("PatientID", "SOPInstanceUID", "FrameOfReferenceUID", "StudyInstanceUID"):
        assert once[keyword].value == keyed[keyword].value


SC, PDF, STL = (f"1.2.840.10008.5.1.4.1.1.{each}" for each in ("7", "104.1", "104.3"))


@pytest.mark.parametrize(
    ("tags", "code", "word"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned-in-annotation", "BurnedInAnnotation"),
        ({"Modality": "US"}, "burned-in-annotation", "BurnedInAnnotation"),
        ({"Modality": "XC"}, "burned-in-annotation", "BurnedInAnnotation"),
        ({"Modality": "OT", "SOPClassUID": SC}, "secondary-capture", "SecondaryCapture"),
        ({"BurnedInAnnotation": "NO", "SOPClassUID": f"{SC}.2"}, "secondary-capture", "SecondaryCapture"),
        ({"Modality": "DOC", "SOPClassUID": PDF}, "encapsulated-document", "EncapsulatedDocument"),
        ({"Modality": "M3D", "SOPClassUID": STL}, "encapsulated-document", "EncapsulatedDocument"),
        ({"EncapsulatedDocument": b"%PDF"}, "encapsulated-document", "EncapsulatedDocument"),
        ({"RecognizableVisualFeatures": "YES"}, "recognizable-features", "RecognizableFeatures"),
    ],
)
def test_what_could_show_a_name_is_refused_unless_allowed(tags: dict[str, Any], code: str, word: str) -> None:
    elements = elements_of(instance(tags=tags))
    with pytest.raises(RefusedError) as refusal:
        check(elements, [])
    assert refusal.value.code == code
    check(elements, [word])


@pytest.mark.parametrize("tags", [{}, {"BurnedInAnnotation": "NO", "Modality": "US"}, {"Modality": "PX"}])
def test_other_images_pass(tags: dict[str, Any]) -> None:
    check(elements_of(instance(tags=tags)), [])


def test_an_overlay_in_the_pixels_is_an_annotation() -> None:
    study = instance()
    study.add_new(0x60000100, "US", 16)
    with pytest.raises(RefusedError) as refusal:
        check(elements_of(study), [])
    assert refusal.value.code == "burned-in-annotation"


WANTED = {
    "name": [Identifier("PatientName", "name", each) for each in ("Tremblay", "Éloïse", "Roy")],
    "number": [Identifier("PatientID", "number", each) for each in ("TREM 8405 1718", "123456", "1984051712", "7788")],
    "phone": [Identifier("PatientTelephoneNumbers", "phone", "5145551234")],
    "date": [Identifier("PatientBirthDate", "date", "19840517")],
    "uid": [Identifier("StudyInstanceUID", "uid", "1.2.826.0.1.77")],
}
SEARCH = Search([each for group in WANTED.values() for each in group])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["TREMBLAY", "xtremblayx", "éloïse", "ÉLOÏSE", "Eloise", "TREM84051718", "1984-05-17"])
def test_identifiers_are_found_in_any_byte(text: str, encoding: str) -> None:
    assert SEARCH.in_bytes(b"\x01\xff" + text.encode(encoding) + b"\x80\0")


@pytest.mark.parametrize("text", ["514-555-1234", "(514) 555.1234", "1.2.826.0.1.77", "1984051712", "Eloi\u0308se"])
def test_identifiers_are_found_with_their_separators(text: str) -> None:
    assert SEARCH.in_bytes(b"x " + text.encode() + b" x")


@pytest.mark.parametrize("text", ["royal", "x119840517", "1.2.826.0.1.779", "9912345699", "77881", "anything"])
def test_what_only_resembles_is_not_found(text: str) -> None:
    element = make(0x00080070, "LO", text.encode(), LITTLE)
    assert SEARCH.in_bytes(text.encode()) is None
    assert SEARCH.in_values([element]) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["vu par ROY le", "roy", "no 123456", "7788", "1.2.826.0.1.77", "19840517"])
@pytest.mark.parametrize("depth", [0, 3])
def test_short_identifiers_are_found_as_words_of_texts(text: str, depth: int) -> None:
    item = Dataset()
    item.Manufacturer = text
    for _ in range(depth):
        above = Dataset()
        above.ContentSequence = Sequence([item])
        item = above
    item.SOPClassUID, item.SOPInstanceUID = "1.2.3", "1.2.4"
    item.file_meta = instance().file_meta
    assert SEARCH.in_values(elements_of(item))


def test_a_value_at_whose_end_a_digit_follows_by_chance_is_found() -> None:
    birth = (make(0x00280301, "LO", b"19840517", LITTLE), make(0x00320032, "DA", b"20260101", LITTLE))
    assert SEARCH.in_values(birth) == "PatientBirthDate"


def test_pixels_are_searched_for_text_of_six_characters() -> None:
    pixels = bytes(range(256)) * 100
    assert SEARCH.in_pixels(pixels) is None
    assert SEARCH.in_pixels(pixels + "Tremblay".encode("utf-16-le") + pixels) == "PatientName"
    assert SEARCH.in_pixels(pixels + b"\xff1.2.826.0.1.77\0" + pixels) == "StudyInstanceUID"


def test_names_of_china_and_japan_are_found_in_their_own_encoding() -> None:
    study = instance(character_set=["ISO 2022 IR 6", "ISO 2022 IR 87"], tags={"PatientName": "Yamada^Tarou=山田^太郎"})
    original = elements_of(study)
    search = Search(identifiers(original), codecs_of(original))
    for encoding in ("iso2022_jp", "utf-8", "utf-16-le"):
        assert search.in_bytes(b"\0" + "山田".encode(encoding) + b"\0") == "PatientName"


def test_identifiers_come_from_every_level_and_never_from_what_is_kept() -> None:
    study, past = instance(tags={"PatientID": "ABC-123456"}), Dataset()
    past.PatientName, past.OtherPatientIDs = "Gagnon^Marie", "OLD-98765"
    study.OriginalAttributesSequence = Sequence([past])
    texts = {each.text for each in identifiers(elements_of(study), ["AccessionNumber"])}
    assert {"Tremblay", "Émilie", "Gagnon", "Marie", "ABC-123456", "OLD-98765", "19840517"} <= texts
    assert study.StudyInstanceUID in texts
    assert not texts & {"A0001", str(study.SOPClassUID)}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"Keep": ["PatientName"]}, "cannot-be-kept"),
        ({"Keep": ["StudyInstanceUID"]}, "cannot-be-kept"),
        ({"Keep": ["OriginalAttributesSequence"]}, "cannot-be-kept"),
        ({"Keep": ["PatientIdentityRemoved"]}, "cannot-be-kept"),
        ({"Key": "short"}, "key-too-short"),
        ({"Allow": ["Everything"]}, "not-one-of"),
    ],
)
def test_what_would_undo_it_is_refused_at_load(options: dict[str, Any], code: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        parse(Deidentify, {"Key": "0123456789abcdef", **options})
    assert [problem.code for problem in refusal.value.problems] == [code]
