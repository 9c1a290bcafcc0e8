"""What is changed on the way, by laws and by example; the rest stays as it is, to the byte."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from relais.configuration import ConfigurationErrors, load
from relais.configuration.transformations import Coerce
from relais.domain.deidentification import RefusedError
from relais.domain.document import DocumentError, parse
from relais.domain.elements import (
    DEEPEST,
    Element,
    Elements,
    Encoding,
    Item,
    MalformedError,
    Reader,
    make,
    read_elements,
    rewrite,
    write,
)
from relais.domain.transformation import Change, coerce, compare
from tests.domain.files import BIG, EXPLICIT, IMPLICIT, dataset_of, elements_of, hostile_elements
from tests.servers.dicom import make_study

LITTLE = Encoding(implicit=False, little=True)
encodings = st.sampled_from([LITTLE, Encoding(implicit=True, little=True), Encoding(implicit=False, little=False)])


def changed(elements: Elements, **options: Any) -> Elements:
    return coerce(elements, parse(Coerce, options))


def instance(**options: Any) -> Dataset:
    return make_study(**options).instances[0]


@given(st.data(), encodings)
def test_what_is_read_is_written_to_the_byte(data: st.DataObject, encoding: Encoding) -> None:
    elements = data.draw(hostile_elements(st.binary(max_size=20), st.just("1.2.3"), encoding))
    content = write(elements)
    assert write(tuple(read_elements(Reader([content]), encoding))) == content


@given(st.data(), encodings)
def test_coercion_without_options_is_the_identity(data: st.DataObject, encoding: Encoding) -> None:
    elements = data.draw(hostile_elements(st.binary(max_size=20), st.just("1.2.3"), encoding))
    assert changed(elements) is elements
    assert rewrite(elements, lambda element: element) is elements


@given(st.data(), encodings)
def test_a_rewritten_sequence_is_what_it_was(data: st.DataObject, encoding: Encoding) -> None:
    elements = data.draw(hostile_elements(st.binary(max_size=20), st.just("1.2.3"), encoding))
    for element in elements:
        if element.is_sequence:
            assert element.with_items(element.items()) == element


@given(st.data(), encodings)
def test_what_is_removed_is_nowhere_left(data: st.DataObject, encoding: Encoding) -> None:
    elements = data.draw(hostile_elements(st.just(b"text"), st.just("1.2.3"), encoding))
    without = changed(elements, Remove=["PatientComments", "ReferencedSeriesSequence"])
    left: list[str] = []
    rewrite(without, lambda element: left.append(element.keyword) or element)  # type: ignore[func-returns-value]
    assert not {"PatientComments", "ReferencedSeriesSequence"} & set(left)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_tags_are_set_in_every_encoding(syntax: str) -> None:
    elements = elements_of(instance(transfer_syntax=UID(syntax)))
    after = changed(elements, Set={"InstitutionName": "Clinique Ébène", "RepresentativeFrameNumber": "300"})
    read = dataset_of(after, syntax)
    assert (read.InstitutionName, read.RepresentativeFrameNumber) == ("Clinique Ébène", 300)
    assert [each for each in after if each.keyword not in {"InstitutionName", "RepresentativeFrameNumber"}] == [
        each for each in elements if each.keyword != "InstitutionName"
    ]


def test_a_letter_that_the_character_set_lacks_makes_the_whole_data_set_unicode() -> None:
    study = instance(character_set="ISO_IR 100", tags={"PatientName": "Tremblay^Émilie"})
    item = Dataset()
    item.StudyDescription = "à côté"
    study.RequestAttributesSequence = Sequence([item])
    after = dataset_of(changed(elements_of(study), Set={"InstitutionName": "Łódź"}))
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert after["InstitutionName"].value == "Łódź"
    assert str(after.PatientName) == "Tremblay^Émilie"
    assert after.RequestAttributesSequence[0].StudyDescription == "à côté"


def test_a_letter_that_the_character_set_has_leaves_it() -> None:
    study = instance(character_set="ISO_IR 100", tags={"PatientName": "Tremblay^Émilie"})
    after = changed(elements_of(study), Set={"InstitutionName": "Ébène"})
    assert b"Tremblay^\xc9milie" in write(after)
    assert dataset_of(after).InstitutionName == "Ébène"


def test_japanese_survives_the_change_to_unicode() -> None:
    name = "Yamada^Tarou=山田^太郎"
    study = instance(character_set=["ISO 2022 IR 6", "ISO 2022 IR 87"], tags={"PatientName": name})
    after = dataset_of(changed(elements_of(study), Set={"InstitutionName": "Ébène"}))
    assert str(after.PatientName) == name


@pytest.mark.parametrize("told", [{"Remove": ["PatientComments"]}, {"Set": {"InstitutionName": "Ébène"}}])
def test_broken_bytes_pass_as_they_are(told: dict[str, Any]) -> None:
    study = instance(missing=["SpecificCharacterSet"], raw={"PatientName": b"Gagn\xe9, \xc9lo\xefse"})
    assert b"Gagn\xe9, \xc9lo\xefse" in write(changed(elements_of(study), **told))


def test_the_prefix_stands_before_every_accession_number_but_those_of_the_past() -> None:
    study, request, past, original = (instance(), Dataset(), Dataset(), Dataset())
    request.AccessionNumber = "B2"
    original.AccessionNumber = "C3-as-it-was-eve"
    past.ModifiedAttributesSequence = Sequence([original])
    study.RequestAttributesSequence, study.OriginalAttributesSequence = Sequence([request]), Sequence([past])
    once = changed(elements_of(study), AccessionPrefix="OUT-")
    read = dataset_of(once)
    assert (read.AccessionNumber, read.RequestAttributesSequence[0].AccessionNumber) == ("OUT-A0001", "OUT-B2")
    assert read.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].AccessionNumber == "C3-as-it-was-eve"
    assert changed(once, AccessionPrefix="OUT-") is once


def test_an_accession_number_is_never_cut() -> None:
    study = instance(tags={"AccessionNumber": "1234567890123"})
    with pytest.raises(RefusedError) as refusal:
        changed(elements_of(study), AccessionPrefix="OUT-")
    assert (refusal.value.code, refusal.value.keyword) == ("accession-too-long", "AccessionNumber")
    assert "1234567890123" not in str(refusal.value)


def test_a_study_without_accession_number_gets_none() -> None:
    elements = elements_of(instance(tags={"AccessionNumber": ""}))
    assert changed(elements, AccessionPrefix="OUT-") is elements


@pytest.mark.parametrize(
    ("issuer", "after"), [(None, "OUTREMONT"), ("", "OUTREMONT"), ("CHUM", "CA-QC-CHUM"), ("other", "other")]
)
def test_issuers_are_mapped(issuer: str | None, after: str) -> None:
    tags = {} if issuer is None else {"IssuerOfPatientID": issuer}
    elements = elements_of(instance(tags=tags))
    read = dataset_of(changed(elements, IssuerOfPatientID={"": "OUTREMONT", "CHUM": "CA-QC-CHUM"}))
    assert read.IssuerOfPatientID == after


def test_removal_comes_before_setting() -> None:
    after = changed(
        elements_of(instance()), Remove=["InstitutionName", "StudyDescription"], Set={"InstitutionName": "X"}
    )
    read = dataset_of(after)
    assert read.InstitutionName == "X"
    assert "StudyDescription" not in read


def test_lengths_of_changed_groups_go() -> None:
    elements = elements_of(instance())
    counted = (make(0x00080000, "UL", bytes(4), LITTLE), *elements)
    assert write(changed(counted, Set={"StudyID": "2"}))[:8] == write(counted)[:8]
    assert 0x00080000 not in {each.tag for each in changed(counted, Remove=["InstitutionName"])}


def test_what_nests_without_end_is_refused() -> None:
    elements: Elements = ()
    for _ in range(DEEPEST + 2):
        sequence = make(0x0040A730, "SQ", b"", LITTLE)
        elements = (sequence.with_items([Item(elements, LITTLE, undefined=False)]),)
    with pytest.raises(MalformedError):
        changed(elements, Remove=["PatientComments"])
    bottomless = (b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 2000
    with pytest.raises(MalformedError):
        list(read_elements(Reader([bottomless]), LITTLE))


@given(st.binary(max_size=400))
def test_noise_is_refused_and_nothing_worse(noise: bytes) -> None:
    with suppress(MalformedError):
        assert noise.startswith(write(read_elements(Reader([noise]), LITTLE)))


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"Set": {"InstitutionName": "x" * 65}}, "bad-value"),
        ({"Set": {"StudyDate": "2026-01-01"}}, "bad-value"),
        ({"Set": {"SeriesNumber": "one"}}, "bad-value"),
        ({"Set": {"RepresentativeFrameNumber": "70000"}}, "bad-value"),
        ({"Set": {"PatientID": "a\\b"}}, "bad-value"),
        ({"Set": {"RequestAttributesSequence": "x"}}, "cannot-be-set"),
        ({"Set": {"StudyInstanceUID": "1.2"}}, "must-stay"),
        ({"Set": {"TransferSyntaxUID": "1.2"}}, "must-stay"),
        ({"Remove": ["PixelData"]}, "must-stay"),
        ({"Remove": ["Rows"]}, "must-stay"),
        ({"Remove": ["NoSuchKeyword"]}, "unknown-keyword"),
        ({"IssuerOfPatientID": {"": "x" * 65}}, "bad-value"),
        ({"AccessionPrefix": "x" * 16}, "bad-prefix"),
        ({"AccessionPrefix": "é"}, "bad-prefix"),
    ],
)
def test_what_cannot_fit_is_refused_at_load(values: dict[str, Any], code: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        parse(Coerce, values)
    assert [problem.code for problem in refusal.value.problems] == [code]


def test_a_mistake_is_told_with_its_place() -> None:
    section = {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104, "Coerce": {"Remove": ["Rows"]}}
    with pytest.raises(ConfigurationErrors) as refusal:
        load({"Destinations": {"vna": section}}, directory=Path())
    assert [problem.path for problem in refusal.value.problems] == ["Destinations.vna.Coerce.Remove[0]"]


def test_changes_are_shown_with_their_path() -> None:
    study, request = instance(tags={"RepresentativeFrameNumber": 1}), Dataset()
    request.AccessionNumber = "B2"
    study.RequestAttributesSequence = Sequence([request])
    before = elements_of(study)
    after = changed(
        before, Remove=["StudyDescription"], Set={"RepresentativeFrameNumber": "300"}, AccessionPrefix="OUT-"
    )
    assert compare(before, after) == [
        Change(path="AccessionNumber", before="A0001", after="OUT-A0001"),
        Change(path="StudyDescription", before="Examen dentaire", after=None),
        Change(path="RepresentativeFrameNumber", before="1", after="300"),
        Change(path="RequestAttributesSequence[0].AccessionNumber", before="B2", after="OUT-B2"),
    ]
    assert compare(before, before) == []


def test_a_private_sequence_without_a_written_kind_is_shown() -> None:
    encoding = Encoding(implicit=True, little=True)
    item = Item((make(0x00100010, "PN", b"A", encoding),), encoding, undefined=True)
    head = make(0x00111010, "UN", b"", encoding).head[:4] + b"\xff" * 4
    sequence = Element(0x00111010, "UN", head, b"", encoding, undefined=True).with_items([item])
    assert compare((sequence,), ())[-1] == Change(path="00111010[0].PatientName", before="A", after=None)
