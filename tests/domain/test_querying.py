"""Questions to a PACS: what may be asked, what an answer to them is, and many answers as one list."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.charsets import codecs_named, guess_text
from relais.domain.merging import merged
from relais.domain.querying import (
    Level,
    faults,
    halves,
    is_bounded,
    is_cut,
    is_uid,
    matches,
    range_text,
    read_range,
    ways,
)

DAYS = st.dates(date(1900, 1, 1), date(2099, 12, 31))


@given(first=DAYS, days=st.integers(0, 4000))
def test_halves_of_a_window_are_the_window(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    two = halves(first, last)
    if days == 0:
        assert two is None
        return
    assert two is not None
    (later, end), (begin, earlier) = two
    assert (begin, end, later - earlier) == (first, last, timedelta(days=1))


@given(first=DAYS, last=DAYS, day=DAYS)
def test_a_day_matches_a_range_as_it_is_written(first: date, last: date, day: date) -> None:
    text = range_text(first, last)
    assert read_range(text) == ((first, last) if first <= last else None)
    if first <= last:
        assert matches({"StudyDate": text}, {"StudyDate": day.strftime("%Y%m%d")}) is (first <= day <= last)


@given(st.text(max_size=12), st.text(max_size=12))
def test_whatever_is_asked_and_answered_is_judged(wanted: str, said: str) -> None:
    for keyword in (
        "PatientName",
        "PatientID",
        "StudyDate",
        "StudyTime",
        "StudyInstanceUID",
        "Modality",
        "SeriesNumber",
    ):
        assert matches({keyword: wanted}, {keyword: said}) in (True, False)


@pytest.mark.parametrize(
    ("keys", "answer", "holds"),
    [
        ({"PatientName": "gagné, éloïse"}, {"PatientName": "GAGNE^ELOISE^^"}, True),
        ({"PatientName": "Gagné"}, {"PatientName": "Gagné^Éloïse"}, True),
        ({"PatientName": "Gagn"}, {"PatientName": "Gagné^Éloïse"}, False),
        ({"PatientName": "Gag*"}, {"PatientName": "Gagné^Éloïse"}, True),
        ({"PatientName": "Yamada"}, {"PatientName": "Yamada^Tarou=山田^太郎"}, True),
        ({"PatientID": "123"}, {"PatientID": "1234"}, False),
        ({"PatientID": "123"}, {}, True),  # what is not answered does not stand against it
        ({"StudyInstanceUID": "1.2"}, {"StudyInstanceUID": "1.3"}, False),
        ({"StudyInstanceUID": "1.2\\1.3"}, {"StudyInstanceUID": "1.3"}, True),
        ({"ModalitiesInStudy": "PX\\CT"}, {"ModalitiesInStudy": "SR\\CT"}, True),
        ({"ModalitiesInStudy": "PX"}, {"ModalitiesInStudy": "CT"}, False),
        ({"StudyTime": "09-1130"}, {"StudyTime": "101500.123"}, True),
        ({"StudyTime": "09-1130"}, {"StudyTime": "114500"}, False),
        ({"StudyDate": "20260401-"}, {"StudyDate": "2026.04.02"}, True),
        ({"StudyDate": "20260401-"}, {"StudyDate": "unknown"}, True),  # a person sees it
        ({"SeriesNumber": "7"}, {"SeriesNumber": "07"}, True),
        ({"InstitutionName": "Outremont*"}, {"InstitutionName": "OUTREMONT Dentaire"}, True),
        ({"PatientID": "*"}, {}, True),
    ],
)
def test_an_answer_is_one_to_the_question_or_not(keys: dict[str, str], answer: dict[str, str], holds: bool) -> None:
    assert matches(keys, answer) is holds


def test_what_is_sent_is_wider_than_what_is_asked() -> None:
    keys = {"PatientName": "Gagné, Éloïse", "ModalitiesInStudy": "PX", "AccessionNumber": "A*"}
    wide, narrow = ways(keys, wildcards=True)
    assert wide == {"PatientName": "Gag?*l?*s?*", "ModalitiesInStudy": "", "AccessionNumber": "A*"}
    assert narrow == {**wide, "PatientName": "Gagné*Éloïse*"}
    assert ways(keys, wildcards=False)[0] == {**keys, "ModalitiesInStudy": "", "AccessionNumber": ""}
    assert [each["PatientName"] for each in ways({"PatientName": "gagne"}, wildcards=True)] == ["gag??*", "gagne*"]
    assert [each["PatientName"] for each in ways({"PatientName": "山田"}, wildcards=True)] == ["山田*"]


@pytest.mark.parametrize(
    ("level", "keys", "found"),
    [
        (Level.Study, {"PatientName": "x", "StudyDate": "20260401-20260430"}, []),
        (Level.Study, {"PatientNam": "x"}, [("Query.PatientNam", "unknown-keyword")]),
        (Level.Study, {"RequestAttributesSequence": ""}, [("Query.RequestAttributesSequence", "key-not-askable")]),
        (Level.Study, {"PixelData": ""}, [("Query.PixelData", "key-not-askable")]),
        (Level.Study, {"TransferSyntaxUID": "1.2"}, [("Query.TransferSyntaxUID", "key-not-askable")]),
        (Level.Study, {"StudyInstanceUID": "1.2/../x"}, [("Query.StudyInstanceUID", "bad-uid")]),
        (Level.Study, {"StudyDate": "20261301"}, [("Query.StudyDate", "bad-date-range")]),
        (Level.Study, {"StudyDate": "-"}, [("Query.StudyDate", "bad-date-range")]),
        (Level.Study, {"StudyDate": "20260402-20260401"}, [("Query.StudyDate", "bad-date-range")]),
        (Level.Study, {"StudyTime": "noon"}, [("Query.StudyTime", "bad-time-range")]),
        (
            Level.Series,
            {"SeriesNumber": "one"},
            [("Query.SeriesNumber", "not-number"), ("Query.StudyInstanceUID", "missing")],
        ),
        (Level.Study, {"PatientName": "x" * 300}, [("Query.PatientName", "too-long")]),
        (Level.Study, {"PatientName": "x\ny"}, [("Query.PatientName", "string_unicode")]),
        (Level.Instance, {"StudyInstanceUID": "1.2"}, [("Query.SeriesInstanceUID", "missing")]),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    level: Level, keys: dict[str, str], found: list[tuple[str, str]]
) -> None:
    assert [(each.path, each.code) for each in faults(level, keys)] == found


@pytest.mark.parametrize(
    ("keys", "bounded"),
    [
        ({}, False),
        ({"PatientName": "*", "PatientID": "", "AccessionNumber": "?*"}, False),
        ({"StudyDescription": "pano"}, False),  # archives do not match it
        ({"PatientName": "G*"}, True),
        ({"StudyDate": "20260401"}, True),
    ],
)
def test_a_question_that_tells_nothing_apart_is_known(keys: dict[str, str], bounded: bool) -> None:
    assert is_bounded(keys) is bounded


def test_a_list_as_long_as_the_limit_is_cut() -> None:
    assert [is_cut(count, 500) for count in (499, 500, 501)] == [False, True, True]
    assert [is_cut(count, None) for count in (0, 99, 100, 500)] == [False, False, True, True]
    assert not is_cut(500, 0)
    assert is_uid("1.2.840.10008")
    assert not any(map(is_uid, ("1..2", "1." + "2" * 64, "x", "")))


def test_sources_that_disagree_are_both_told() -> None:
    one = {"StudyInstanceUID": "1.2", "PatientID": "7", "PatientBirthDate": "19800101", "PatientName": "A^B^^"}
    other = {**one, "PatientID": "8", "PatientBirthDate": "19900101", "PatientName": "A^B", "StudyDate": "20260402"}
    newer = {"StudyInstanceUID": "1.3", "StudyDate": "20260403", "ModalitiesInStudy": "CT\\PX"}
    again = {"StudyInstanceUID": "1.3", "StudyDate": "20260403", "ModalitiesInStudy": "PX\\CT", "StudyTime": ""}
    first, second = merged(Level.Study, [("a", one), ("b", newer), ("b", other), ("a", again)])
    assert (first.sources, dict(first.differs)) == (("b", "a"), {})
    assert second.sources == ("a", "b")
    assert second.values["PatientID"] == "7"
    assert second.values["StudyDate"] == "20260402"
    assert dict(second.differs) == {
        "PatientID": (("a", "7"), ("b", "8")),
        "PatientBirthDate": (("a", "19800101"), ("b", "19900101")),
    }
    assert second.several_patients
    patients = merged(Level.Patient, [("a", one), ("b", {**one, "PatientName": "A^B"}), ("b", other)])
    assert sorted(each.sources for each in patients) == [("a", "b"), ("b",)]


@given(st.text("abcdefghijklmnopqrstuvwxyzàâçéèêëîïôùûüÿÀÉ^ ", max_size=20))
def test_a_name_is_read_whatever_its_sender_says_of_its_letters(text: str) -> None:
    """Nothing, or the wrong character set, is declared by many (PS3.5 section 6.1.1)."""
    name = text.strip()
    for declared in (b"", b"ISO_IR 100", b"ISO_IR 192"):
        assert guess_text(name.encode("utf-8"), codecs_named(declared)) == name
    for declared in (b"", b"ISO_IR 100"):
        assert guess_text(name.encode("cp1252"), codecs_named(declared)) == name
