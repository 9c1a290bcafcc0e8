"""Identifiers: what is one and what is not, and what Canadian health numbers say. All names are invented."""

import string
from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relais.domain.matching.identifiers import (
    BRITISH_COLUMBIA,
    LONGEST,
    ONTARIO,
    RAMQ,
    Identifier,
    Ramq,
    bc_checks,
    ontario_checks,
    read_identifier,
    read_ramq,
)

law = settings(deadline=None, max_examples=100)


def spaced(data: st.DataObject, text: str, separators: str) -> str:
    """The text with separators between its characters, and each letter in either case."""
    between = st.text(separators, max_size=2)
    cases = [data.draw(st.booleans()) for _ in text]
    parts = [each.lower() if low else each for each, low in zip(text, cases, strict=True)]
    return data.draw(between) + "".join(each + data.draw(between) for each in parts)


# --- any identifier ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "value", "read"),
    [
        (RAMQ, "TEST 5412 2816", Identifier("CA-QC", "TEST54122816")),
        ("ramq", "test-5412-2816", Identifier("CA-QC", "TEST54122816")),
        (" ca \u2013 qc ", "TEST54122816", Identifier("CA-QC", "TEST54122816")),
        (RAMQ, "TEST.5412/2816", Identifier("CA-QC", "TEST54122816")),
        (RAMQ, "TREM 5412 281", Identifier("CA-QC", "TREM5412281")),
        (ONTARIO, "9876-543-217", Identifier("CA-ON", "9876543217")),
        (ONTARIO, "9876-543-217-AB", Identifier("CA-ON", "9876543217")),
        (ONTARIO, "9876543217 a", Identifier("CA-ON", "9876543217")),
        (ONTARIO, "9876543217ABC", Identifier("CA-ON", "9876543217ABC")),
        (BRITISH_COLUMBIA, "9698 658 215", Identifier("CA-BC", "9698658215")),
        ("", "9698 658 215", Identifier("", "9698658215")),
        ("", "9876-543-217-AB", Identifier("", "9876543217AB")),
        ("", "TEST54122816", Identifier("", "TEST54122816")),
        ("Clinique  Éole", "a-00 12", Identifier("CLINIQUE-EOLE", "A0012")),
        ("CA-AB", "1.2/3_4", Identifier("CA-AB", "1.2/3_4")),
        ("\0", "12\0", Identifier("", "12")),
        ("", "7", Identifier("", "7")),
        ("", "TEST12345", Identifier("", "TEST12345")),
        ("", "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}\N{SOFT HYPHEN}\N{MINUS SIGN}3", Identifier("", "123")),
    ],
)
def test_an_identifier_is_read_for_its_system(system: str, value: str, read: Identifier) -> None:
    assert read_identifier(system, value) == read


@pytest.mark.parametrize("system", ["", RAMQ, ONTARIO, "Clinique Éole"])
@pytest.mark.parametrize(
    "value",
    [
        *("", "   ", "\0", "-", " - ", "...", "/"),
        *("0", "00", "000-000-000", "9999999999", "XXXX", "xxxx 0000 0000", "0000000000"),
        *("W/I", "w.i.", "Walk-in", "N/A", "none", "Inconnu", "INCONNUE", "aucun", "anonymous", "1234567890"),
        *("TEST", "test 1", "Test-0001", "phantom 12", "QA", "DÉMO"),
        *("1234*", "12?4", "12\N{FULLWIDTH QUESTION MARK}4", "*", "AB\N{REPLACEMENT CHARACTER}1"),
    ],
)
def test_what_is_put_where_nobody_knows_is_no_identifier(system: str, value: str) -> None:
    assert read_identifier(system, value) is None


def test_a_version_code_alone_does_not_make_a_placeholder_a_number() -> None:
    assert read_identifier(ONTARIO, "0000-000-000-AB") is None


systems = st.sampled_from(["", RAMQ, "RAMQ", ONTARIO, BRITISH_COLUMBIA, "Clinique Éole", "CA-AB"]) | st.text(max_size=9)


@law
@given(systems, st.text(max_size=LONGEST * 2) | st.from_regex(r"[A-Za-z]{4}[ -]?[0-9]{8}|[0-9]{10} ?[A-Z]{0,2}"))
def test_what_was_read_is_read_as_itself(system: str, value: str) -> None:
    found = read_identifier(system, value)
    if found is not None:
        assert read_identifier(found.system, found.value) == found
        assert 0 < len(found.value) <= LONGEST
        assert value.strip()


@law
@given(st.data(), systems, st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=14))
def test_blanks_dashes_and_case_never_matter(data: st.DataObject, system: str, value: str) -> None:
    written = spaced(data, value, " -\t\u00a0\u2011\u2013\u2212")
    assert read_identifier(system, written) == read_identifier(system, value)
    assert read_identifier(f" {system.lower()}\t" if system.isascii() else system, value) == read_identifier(
        system, value
    )


@law
@given(st.sampled_from("*?"), st.text(string.digits, max_size=9), st.text(string.digits, max_size=9))
def test_wild_cards_are_never_an_identifier(card: str, before: str, after: str) -> None:
    assert read_identifier(RAMQ, before + card + after) is None


@law
@given(st.integers(0, 10**10 - 1))
def test_the_issuer_of_ten_digits_is_never_guessed(number: int) -> None:
    for issuer in ("", ONTARIO, BRITISH_COLUMBIA, "CA-NS"):
        found = read_identifier(issuer, f"{number:010}")
        assert found is None or found == Identifier(issuer, f"{number:010}")


@law
@given(st.text())
def test_a_long_text_is_cut_before_it_is_read(text: str) -> None:
    assert read_identifier("", "7" + "A" * LONGEST + text) == Identifier("", "7" + "A" * (LONGEST - 1))
    assert read_ramq(text) == read_ramq(text[:LONGEST])
    for checks in (ontario_checks, bc_checks):
        assert checks(text) in {True, False}


def test_what_unfolds_to_more_is_cut_again() -> None:
    """One letter that stands for two, and one that stands for eighteen."""
    system, value = (
        "\N{LATIN SMALL LIGATURE FI}" * 127 + "a b",
        "1" + "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 99,
    )
    found = read_identifier(system, value)
    assert found is not None
    assert (found.system, len(found.value)) == ("FI" * 127 + "A", LONGEST)
    assert read_identifier(found.system, found.value) == found


# --- Quebec -----------------------------------------------------------------------------------------------------------

EBCDIC = {
    **dict(zip("ABCDEFGHI", range(193, 202), strict=True)),
    **dict(zip("JKLMNOPQR", range(209, 218), strict=True)),
    **dict(zip("STUVWXYZ", range(226, 234), strict=True)),
    **dict(zip("0123456789", range(240, 250), strict=True)),
}
"""Decimal codes of code page 037, written down here so as not to ask the codec that is tested."""
WEIGHTS = [1, 3, 7, 9, 1, 7, 1, 3, 4, 5, 7, 6, 9, 1]


def derive(letters: str, sex: str, born: date, sequence: int) -> str:
    """The NAM of such a person, by the published derivation, written a second time."""
    said = f"{letters}{born:%Y}{sex}{born:%m%d}{sequence}"
    digit = sum(EBCDIC[each] * weight for each, weight in zip(said, WEIGHTS, strict=True)) % 10
    month = born.month + (50 if sex == "F" else 0)
    return f"{letters}{born:%y}{month:02}{born:%d}{sequence}{digit}"


def test_the_published_number_says_who_and_when_and_checks() -> None:
    born = (date(1954, 12, 28), date(2054, 12, 28))
    assert read_ramq("TEST54122816") == Ramq("TES", "T", "M", born, checks=True)
    assert read_ramq("test 5412-2816") == read_ramq("TEST54122816")


@pytest.mark.parametrize("digit", [0, 1, 2, 3, 5, 7, 8, 9])
def test_another_check_digit_is_read_all_the_same(digit: int) -> None:
    found = read_ramq(f"TEST5412281{digit}")
    assert found is not None
    assert not found.checks


def test_the_check_digit_of_either_century_will_do() -> None:
    digits = {derive("TEST", "M", date(year, 12, 28), 1)[-1] for year in (1954, 2054)}
    assert digits == {"6", "4"}
    assert all(getattr(read_ramq(f"TEST5412281{each}"), "checks", False) for each in digits)


@pytest.mark.parametrize(
    ("value", "sex", "births"),
    [
        ("ROYA85511214", "F", (date(1985, 1, 12), date(2085, 1, 12))),
        ("ROYA85621214", "F", (date(1985, 12, 12), date(2085, 12, 12))),
        ("ROYA85561214", "F", (date(1985, 6, 12), date(2085, 6, 12))),
        ("ROYA85061214", "M", (date(1985, 6, 12), date(2085, 6, 12))),
        ("ROYA00022914", "M", (date(2000, 2, 29),)),
        ("LYXA12620114", "F", (date(1912, 12, 1), date(2012, 12, 1))),
        ("ROYA85061204", "M", (date(1985, 6, 12), date(2085, 6, 12))),
    ],
)
def test_sex_and_birth_date_of_a_number(value: str, sex: str, births: tuple[date, ...]) -> None:
    found = read_ramq(value)
    assert found is not None
    assert (found.surname + found.initial, found.sex, found.births) == (value[:4], sex, births)


@pytest.mark.parametrize(
    "value",
    [
        *("", "TEST", "TES154122816", "TEST5412281", "TEST541228166", "54122816TEST", "TEST5412281?", "XXXX00000000"),
        *("TEST54132816", "TEST54002816", "TEST54502816", "TEST54632816", "TEST54123216", "TEST54120016"),
        *("TEST01022916", "TEST\N{ARABIC-INDIC DIGIT FIVE}4122816"),
    ],
)
def test_what_has_not_the_form_of_a_nam_says_nothing(value: str) -> None:
    assert read_ramq(value) is None


def test_a_sequence_of_zero_never_checks() -> None:
    found = read_ramq(derive("TEST", "M", date(1954, 12, 28), 0))
    assert found is not None
    assert not found.checks


@law
@given(
    st.data(),
    st.text(string.ascii_uppercase, min_size=4, max_size=4),
    st.sampled_from("MF"),
    st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    st.integers(1, 9),
)
def test_a_derived_nam_is_read_back(data: st.DataObject, letters: str, sex: str, born: date, sequence: int) -> None:
    nam = derive(letters, sex, born, sequence)
    assume(read_identifier(RAMQ, nam) is not None)
    found = read_ramq(spaced(data, nam, " -"))
    assert found is not None
    assert (found.surname, found.initial, found.sex, found.checks) == (letters[:3], letters[3], sex, True)
    assert born in found.births
    assert {each.year % 100 for each in found.births} == {born.year % 100}
    assert list(found.births) == sorted(set(found.births))


# --- Ontario and British Columbia -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        ("9876-543-217", True),
        ("9876543217AB", True),
        ("9876 543 217 a", True),
        ("9876543290", True),  # a check digit of 0
        ("9876543218", False),
        ("9876453217", False),
        ("987654321", False),
        ("98765432170", False),
        ("9A76543217", False),
        ("0000000000", False),
        ("", False),
    ],
)
def test_ontario(value: str, *, passes: bool) -> None:
    assert ontario_checks(value) is passes


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        ("9698658215", True),
        ("9698 658 215", True),
        ("9698648215", False),
        ("9698658216", False),
        ("5736504210", False),
        ("8698658215", False),
        ("9736A04212", False),
        ("969865821", False),
        ("96986582155", False),
        ("9000000010", False),  # the sum leaves 3: the check digit is 8
        ("9000000018", True),
        ("9000000000", False),  # the sum leaves 0, which asks for 11
        ("9600000000", False),  # the sum leaves 1, which asks for 10
        ("9600000001", False),
    ],
)
def test_british_columbia(value: str, *, passes: bool) -> None:
    assert bc_checks(value) is passes


@law
@given(st.integers(1, 10**9 - 1), st.integers(1, 9))
def test_one_wrong_digit_never_checks_in_ontario(nine: int, wrong: int) -> None:
    passing = [digit for digit in range(10) if ontario_checks(f"{nine:09}{digit}")]
    assume(passing)
    assert len(passing) == 1
    assert not ontario_checks(f"{nine:09}{(passing[0] + wrong) % 10}")


@law
@given(st.integers(0, 10**8 - 1))
def test_at_most_one_digit_checks_in_british_columbia(eight: int) -> None:
    assert sum(bc_checks(f"9{eight:08}{digit}") for digit in range(10)) <= 1
