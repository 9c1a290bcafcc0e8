"""Which earlier studies are the patient's own, and which matter to an order."""

from datetime import date

import pytest

from relais.domain.asked import Demographics, asked_of
from relais.domain.priors import Chosen, Found, choose, matters

TODAY = date(2026, 11, 22)
PERSON = asked_of(Demographics(tags={"PatientName": "Gagné^Éloïse", "PatientBirthDate": "19840517"}), TODAY)


def found(uid: str, source: str = "pacs", **values: str) -> Found:
    usual = {
        "StudyInstanceUID": uid,
        "PatientID": "123",
        "PatientName": "GAGNE^ELOISE",
        "PatientBirthDate": "19840517",
        "ModalitiesInStudy": "PX",
        "StudyDate": "20250101",
    }
    return Found(source=source, answer={**usual, **values})


def chosen(*several: Found, at_most: int = 5, issuer: str = "") -> Chosen:
    return choose(
        several,
        person=PERSON,
        ids=["123"],
        issuer=issuer,
        modalities=["IO"],
        texts=["Bitewing"],
        today=TODAY,
        at_most=at_most,
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"PatientID": "1234"}, "another-id"),
        ({"PatientID": ""}, "another-id"),
        ({"PatientBirthDate": "19840518"}, "born-apart"),
        ({"PatientBirthDate": ""}, "no-birth-date"),
        ({"PatientBirthDate": "18991230"}, "no-birth-date"),
        ({"PatientName": "Tremblay^Jean"}, "named-apart"),
        ({"IssuerOfPatientID": "OTHER"}, "another-issuer"),
    ],
)
def test_somebody_elses_study_is_left_out_and_it_is_said_why(values: dict[str, str], reason: str) -> None:
    answer = chosen(found("1.2.1", **values), issuer="OURS")
    assert answer.studies == ()
    assert answer.left_out == {reason: 1}


def test_a_study_on_whose_patient_sources_disagree_is_left_out() -> None:
    answer = chosen(found("1.2.1"), found("1.2.1", "other", PatientBirthDate="19990101"))
    assert (answer.studies, answer.left_out) == ((), {"sources-differ": 1})


def test_the_newest_that_matter_are_taken_from_the_first_source_that_has_them() -> None:
    answer = chosen(
        found("1.2.1", StudyDate="20230101"),
        found("1.2.2", StudyDate="20250101"),
        found("1.2.2", "other", StudyDate="20250101"),
        found("1.2.3", StudyDate="20240101"),
        found("1.2.4", ModalitiesInStudy="MR", StudyDescription="Genou"),
        at_most=2,
    )
    assert [(each.uid, each.source) for each in answer.studies] == [("1.2.2", "pacs"), ("1.2.3", "pacs")]
    assert (answer.of_patient, answer.left_out) == (4, {"not-relevant": 1, "too-many": 1})


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        ({"ModalitiesInStudy": "PX"}, True),
        ({"ModalitiesInStudy": "CT", "StudyDescription": "CBCT mâchoire"}, True),
        ({"ModalitiesInStudy": "CT", "StudyDescription": "Thorax"}, False),
        ({"ModalitiesInStudy": "PR\\KO"}, False),
        ({"ModalitiesInStudy": ""}, True),
        ({"ModalitiesInStudy": "", "StudyDescription": "Knee"}, False),
    ],
)
def test_what_matters_is_of_the_same_kind_or_the_same_part_of_the_body(prior: dict[str, str], expected: bool) -> None:
    assert matters(["IO"], ["Bitewing"], prior) is expected
