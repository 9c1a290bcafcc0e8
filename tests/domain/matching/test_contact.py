"""Telephone numbers and postal codes: one form each, and nothing for placeholders. All numbers are fictitious."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relais.domain.matching.contact import read_address, read_phone, read_postal_code

law = settings(deadline=None, max_examples=100)
dashes = "-\u2010\u2011\u2013\u2014\u2212"


@pytest.mark.parametrize(
    "text",
    [
        *("5145550199", "514-555-0199", "(514) 555-0199", "514.555.0199", "514 555 0199", "514\u00a0555\u20110199"),
        *("15145550199", "1-514-555-0199", "+1 514 555 0199", "+1 (514) 555-0199", "+15145550199", "0015145550199"),
        *("514-555-0199 x123", "514-555-0199 ext. 12", "514 555-0199 poste 4", "5145550199#12", "514-555-0199;ext=4"),
        *("Tél. : 514-555-0199", "tel:+1-514-555-0199", "(514) 555-0199 (maison)", "514-555-0199 ou 450-555-0188"),
        *("2: 514-555-0199", "514-555-0199\\450-555-0188", "\N{FULLWIDTH DIGIT FIVE}14 555 0199"),
    ],
)
def test_a_north_american_number_is_its_ten_digits(text: str) -> None:
    assert read_phone(text) == "5145550199"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("+33 1 23 45 67 89", "+33123456789"),
        ("0033 1 23 45 67 89", "+33123456789"),
        ("011 33 1 23 45 67 89", "+33123456789"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("(+33) 1 23 45 67 89", "+33123456789"),
    ],
)
def test_a_number_of_elsewhere_keeps_its_country(text: str, read: str) -> None:
    assert read_phone(text) == read


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0", "-", "inconnu", "x123", "+", "()"),
        *("0000000000", "9999999999", "514-000-0000", "514-555-5555", "1234567890", "514-123-4567", "999-999-9999"),
        *("555-0199", "5550199", "514-555-019", "514-555-01990", "01 23 45 67 89", "0145550199", "+1 514 555 019"),
        *("514-055-0199", "+0 123 456 789", "+1234567", "+33 1", "+3312345678901234", "514-555-0199/450-555-0188"),
        "+99999999999",
    ],
)
def test_what_reaches_nobody_for_sure_is_missing(text: str) -> None:
    assert read_phone(text) is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        *(
            (each, "H2V1A1")
            for each in ("H2V1A1", "h2v 1a1", " H2V-1A1 ", "H2V\u00a01A1", "H 2 V 1 A 1", "H2V\u20131A1")
        ),
        *((each, each) for each in ("K1A0B1", "V5K0A1", "X0A0H0", "T1W2Z3", "A1A1A2")),
    ],
)
def test_a_canadian_postal_code_has_one_form(text: str, read: str) -> None:
    assert read_postal_code(text) == read


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "H2V", "H2V1A", "H2V1A11", "12345", "75001", "SW1A 1AA", "2H1V1A", "H2V 1A1 Canada", "HHV1A1"),
        *("D2V1A1", "W2V1A1", "Z2V1A1", "H2D1A1", "H2V1O1", "H2U1A1", "I2V1A1", "HOV1A1", "H2V1AI"),
        *("A1A1A1", "h0h 0h0", "H1H1H1", "\N{GREEK CAPITAL LETTER ETA}2V1A1", "H\N{ARABIC-INDIC DIGIT TWO}V1A1"),
    ],
)
def test_what_is_no_canadian_postal_code_is_missing(text: str) -> None:
    assert read_postal_code(text) is None


north_american = st.from_regex(r"[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True)
codes = st.from_regex(r"[A-Z][0-9][A-Z][0-9][A-Z][0-9]", fullmatch=True)


@law
@given(st.data(), north_american, st.sampled_from(["", "1", "+1", "001", "tel: "]), st.sampled_from(["", " x12", "#3"]))
def test_how_a_number_is_written_never_matters(data: st.DataObject, number: str, before: str, after: str) -> None:
    between = st.text(" ().\t" + dashes, max_size=2)
    written = before + "".join(each + data.draw(between) for each in number) + after
    assert read_phone(written) == read_phone(number)
    assert read_phone(number) in {number, None}
    assert (read_phone(number) is None) == (len(set(number[3:])) == 1)


@law
@given(st.data(), codes)
def test_how_a_code_is_written_never_matters(data: st.DataObject, code: str) -> None:
    between = st.text(" \t\u00a0" + dashes, max_size=2)
    written = "".join(each + data.draw(between) for each in code)
    assert read_postal_code(written) == read_postal_code(written.lower()) == read_postal_code(code)
    assert read_postal_code(code) in {code, None}


@law
@given(st.text() | st.text(string.digits + "+()- ", max_size=30))
def test_any_text_has_an_answer_and_what_was_read_is_read_as_itself(text: str) -> None:
    phone, code = read_phone(text), read_postal_code(text)
    assert phone is None or (read_phone(phone) == phone and phone.lstrip("+").isdecimal() and 8 <= len(phone) <= 16)
    assert code is None or read_postal_code(code) == code


@law
@given(st.text(string.digits + " -", max_size=20))
def test_only_the_first_256_characters_are_read(text: str) -> None:
    assert read_phone("514-555-0199" + " " * 244 + text) == "5145550199"
    assert read_postal_code("H2V 1A1" + " " * 249 + text) == "H2V1A1"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("123, rue de l'Église, app. 4, Laval (Québec) H7A 1A1", "123 EGLISE 4 LAVAL QC H7A1A1"),
        ("123 RUE EGLISE APP 4^^LAVAL^QC^H7A1A1", "123 EGLISE 4 LAVAL QC H7A1A1"),
        ("9 boul. Saint-Joseph", "9 ST JOSEPH"),
        ("9 BOULEVARD ST JOSEPH", "9 ST JOSEPH"),
        ("12 Main Street", "12 MAIN ST"),
        ("5 milne cove, beaconsfield 2602", "5 MILNE COVE BEACONSFIELD 2602"),
    ],
)
def test_an_address_has_one_form(written: str, read: str) -> None:
    assert read_address(written) == read


@pytest.mark.parametrize("written", ["", "Laval", "Montréal (Québec)", "12", "12 rue", "...", "H7A 1A1", "\x00"])
def test_a_town_or_a_number_alone_is_no_address(written: str) -> None:
    assert read_address(written) is None


@law
@given(st.text() | st.text(string.ascii_letters + string.digits + " ,.-", max_size=60))
def test_any_text_is_an_address_or_none_and_reads_as_itself(text: str) -> None:
    read = read_address(text)
    assert read is None or read_address(read) == read
