"""Reading names: what is folded, what is one part, and how many ways there are."""

import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relais.domain.matching.names import LONGEST, LONGEST_PART, NameParts, fold, read_fields, read_pn, read_text

REPLACEMENT = "\ufffd"


def parts(family: str, given: str = "", *, damaged: bool = False) -> NameParts:
    return NameParts(tuple(family.split()), tuple(given.split()), damaged=damaged)


# --- folding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Marie-Ève", "MARIE EVE"),
        ("  jean   françois ", "JEAN FRANCOIS"),
        ("L'Heureux", "L HEUREUX"),
        ("L\u2019Heureux", "L HEUREUX"),
        ("Cœur Lætitia Weiß Øster Łuk Þór", "COEUR LAETITIA WEISS OSTER LUK THOR"),
        ("\ufb01ls", "FILS"),
        ("Tremblay\x00\x07", "TREMBLAY"),
        ("Trem\u200bblay", "TREMBLAY"),
        ("Trembl?y", "TREMBL?Y"),
        (f"Trembl{REPLACEMENT}y", "TREMBL?Y"),
        ("Anne\u00b4s", "ANNE S"),
        ("山田", "山田"),
        ("Иванов", "ИВАНОВ"),
        ("سعيد", "سعيد"),
        ("สมชาย", "สมชาย"),
        ("सीता", "सत"),
        ("-.,;:!()", ""),
        ("", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


MOJIBAKE = [
    "Trembléy",
    "Ève Côté",
    "Éloïse",
    "François",
    "Noël",
    "Œuvrard",
    "Zoë Brûlé",
    "Àngel",
    "L\u2019Écuyer",
    "Škoda",
]


@pytest.mark.parametrize("name", MOJIBAKE)
@pytest.mark.parametrize("codec", ["latin-1", "cp1252"])
def test_utf_8_that_was_read_as_another_character_set_is_repaired(name: str, codec: str) -> None:
    for written in (name, unicodedata.normalize("NFD", name)):
        once = "".join(_misread(byte, codec) for byte in written.encode())
        twice = "".join(_misread(byte, codec) for byte in once.encode())
        assert once != name
        assert fold(once) == fold(unicodedata.normalize("NFD", once)) == fold(name)
        assert fold(twice) == fold(name)


def _misread(byte: int, codec: str) -> str:
    """As browsers and Windows do: what the code page has not is a control character."""
    return bytes([byte]).decode(codec, "ignore") or chr(byte)


@pytest.mark.parametrize(
    "name", ["MÍŠEK", "Ångström", "JOÃO", "Ävar", "Mårten", "ÂNGELO", "Ìsola", "Naïve", "Tâche", "BÂŒUF"]
)
def test_what_is_no_mojibake_is_left_alone(name: str) -> None:
    bare = "".join(each for each in unicodedata.normalize("NFD", name) if not unicodedata.combining(each))
    assert fold(name) == bare.upper().replace("Œ", "OE")


def test_a_replacement_that_was_encoded_once_more_is_a_lost_letter() -> None:
    assert fold("Tremblï¿½y") == "TREMBL?Y"


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_folding_is_final_and_bounded(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert len(folded) <= LONGEST
    assert folded == folded.strip()
    assert "  " not in folded


names = st.text("abcdefghijklmnopqrstuvwxyzàâçéèêëîïôöùûüœæ '-", max_size=60)


@given(names)
@settings(max_examples=100, deadline=None)
def test_accents_case_hyphens_and_blanks_do_not_matter(name: str) -> None:
    bare = name.replace("œ", "oe").replace("æ", "ae")
    bare = "".join(each for each in unicodedata.normalize("NFD", bare) if not unicodedata.combining(each))
    assert fold(name) == fold(bare) == fold(name.upper()) == fold(unicodedata.normalize("NFD", name))
    assert fold(name) == fold(f"  {name.replace(' ', '    ')} ") == fold(name.replace("-", " "))


# --- one name, one part -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variants", "read"),
    [
        (("Côté-Tremblay", "Côté Tremblay", "COTE - TREMBLAY", "cote\u2013tremblay"), "COTE TREMBLAY"),
        (("St-Pierre", "Saint-Pierre", "St. Pierre", "Saint Pierre", "Stpierre", "SAINTPIERRE"), "STPIERRE"),
        (("Ste-Marie", "Sainte-Marie", "STE MARIE", "SainteMarie"), "STEMARIE"),
        (("St-Onge", "Saintonge"), "STONGE"),
        (("L'Heureux", "L\u2019Heureux", "Lheureux", "L Heureux", "L-Heureux", "L` Heureux"), "LHEUREUX"),
        (("O'Brien", "OBrien", "O Brien"), "OBRIEN"),
        (("D'Amours", "Damours", "D Amours"), "DAMOURS"),
        (("N'Diaye", "N`Diaye", "Ndiaye"), "NDIAYE"),
        (("Le Blanc", "LeBlanc", "Leblanc"), "LEBLANC"),
        (("La Pointe", "Lapointe"), "LAPOINTE"),
        (("Du Fresne", "Dufresne"), "DUFRESNE"),
        (("Des Jardins", "Desjardins"), "DESJARDINS"),
        (("Mc Donald", "McDonald"), "MCDONALD"),
        (("Di Stefano", "DiStefano"), "DISTEFANO"),
        (("de los Santos", "Santos"), "SANTOS"),
        (("El Khoury", "Elkhoury", "EL-KHOURY"), "ELKHOURY"),
        (("de la Durantaye", "De-La-Durantaye", "Durantaye"), "DURANTAYE"),
        (("de Repentigny", "Repentigny"), "REPENTIGNY"),
        (("da Silva dos Santos", "Silva Santos"), "SILVA SANTOS"),
        (("Côté dit Lafleur", "Côté-Lafleur"), "COTE LAFLEUR"),
        (("Tremblay (née Gagnon)", "Tremblay Gagnon"), "TREMBLAY GAGNON"),
        (("Dr Tremblay", "Tremblay Jr.", "TREMBLAY, SR", "Mme Tremblay", "Tremblay III"), "TREMBLAY"),
        (("De", "DE"), "DE"),
        (("La",), "LA"),
        (("Tremblay L",), "TREMBLAY L"),
        (("M L Tremblay",), "M L TREMBLAY"),
        (("D A Tremblay", "D.A. Tremblay"), "D A TREMBLAY"),
    ],
)
def test_however_a_name_is_written_its_parts_are_the_same(variants: tuple[str, ...], read: str) -> None:
    for each in variants:
        assert read_fields(each, "") == parts(read), each
        assert read_fields("", each) == parts("", read), each


@pytest.mark.parametrize(
    "text", ["", "^", "-.,;!", "\x00\x1b\n", "^^^^", "==", "???", "Mme", "\ud800", "\u0301\u0301", "\\", " '-' "]
)
def test_where_no_letter_is_left_there_is_nothing_to_read(text: str) -> None:
    assert read_pn(text) == ()
    assert read_text(text) == ()
    assert (read_fields(text, text).family, read_fields(text, text).given) == ((), ())


# --- DICOM ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("Tremblay^Marie-Ève", [parts("TREMBLAY", "MARIE EVE")]),
        ("Côté-Tremblay^Jean^François^Dr^Jr", [parts("COTE TREMBLAY", "JEAN FRANCOIS")]),
        ("Tremblay^Marie^Ève^Notaire^Montréal", [parts("TREMBLAY", "MARIE EVE")]),
        ("TREMBLAY^MARIE EVE MME", [parts("TREMBLAY", "MARIE EVE")]),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", [parts("YAMADA", "TAROU")]),
        ("=山田^太郎", [parts("山田", "太郎")]),
        ("Tremblay^Marie\\Gagnon^Jean", [parts("TREMBLAY", "MARIE")]),
        ("TREMBLAY", [parts("TREMBLAY")]),
        ("TREMBLAY^MME", [parts("TREMBLAY")]),
        ("TREMBLAY MARIE", [parts("MARIE", "TREMBLAY"), parts("TREMBLAY", "MARIE")]),
        ("^Marie Tremblay", [parts("TREMBLAY", "MARIE"), parts("MARIE", "TREMBLAY")]),
        ("Tremblay, Marie", [parts("TREMBLAY", "MARIE")]),
        ("Trembl?y^Marie", [parts("TREMBL?Y", "MARIE", damaged=True)]),
        (f"Tremblay^?{REPLACEMENT}", [parts("TREMBLAY", damaged=True)]),
        ("TremblÃ©^Ã\u02c6ve", [parts("TREMBLE", "EVE")]),
    ],
)
def test_person_names(text: str, readings: list[NameParts]) -> None:
    assert list(read_pn(text)) == readings


def test_a_name_cut_at_64_characters_keeps_all_but_its_end() -> None:
    whole = "Tremblay-Villeneuve de la Chevrotière^Marie-Antoinette Alexandrine Bernadette"
    assert len(whole) > 64
    reading = parts("TREMBLAY VILLENEUVE CHEVROTIERE", "MARIE ANTOINETTE ALEXANDRI")
    assert read_pn(whole[:64]) == (reading,)


# --- one string -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("Marie-Ève Tremblay", {parts("TREMBLAY", "MARIE EVE"), parts("MARIE EVE", "TREMBLAY")}),
        ("Tremblay, Marie-Ève", {parts("TREMBLAY", "MARIE EVE")}),
        ("Côté-Tremblay, Jr., Jean", {parts("COTE TREMBLAY", "JEAN")}),
        ("Dr. Jean St-Pierre, PhD", {parts("STPIERRE", "JEAN"), parts("JEAN", "STPIERRE")}),
        (
            "Jean Côté Tremblay",
            {
                *(parts("TREMBLAY", "JEAN COTE"), parts("COTE TREMBLAY", "JEAN")),
                *(parts("JEAN COTE", "TREMBLAY"), parts("JEAN", "COTE TREMBLAY")),
            },
        ),
        ("Marie de la Durantaye", {parts("DURANTAYE", "MARIE"), parts("MARIE", "DURANTAYE")}),
    ],
)
def test_one_string_is_read_both_ways(text: str, readings: set[NameParts]) -> None:
    assert set(read_text(text)) == readings


def test_half_of_four_words_may_be_the_family_name() -> None:
    assert parts("COTE TREMBLAY", "MARIE ANNE") in read_text("Marie Anne Côté Tremblay")


# --- anything ---------------------------------------------------------------------------------------------------------

hostile = st.text() | st.text("^=\\,-'? \x00\x1bÃ©âSTLADEM", max_size=80)


@given(hostile, hostile)
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_into_folded_parts(one: str, other: str) -> None:
    for reading in (*read_pn(one), *read_text(one), read_fields(one, other)):
        for part in (*reading.family, *reading.given):
            assert part
            assert " " not in part
            assert len(part) <= LONGEST_PART
            assert fold(part) == part
            assert "?" not in part or reading.damaged


def test_ten_thousand_characters_are_read_to_the_limit() -> None:
    name = "Tremblay-" * 1_200
    assert read_fields(name, "") == read_fields(name[:LONGEST], "")
    assert read_pn("T" * 10_000) == (parts("T" * LONGEST_PART),)
    assert len(read_text("Marie " * 2_000)) <= 6


word = st.sampled_from(
    ["Ève", "Côté", "St-Pierre", "L'Heureux", "Le Blanc", "O'Brien", "François", "de Tilly", "Nguyen"]
)


@given(
    st.lists(word, min_size=1, max_size=4), st.lists(word, min_size=1, max_size=3), st.randoms(use_true_random=False)
)
@settings(max_examples=100, deadline=None)
def test_the_order_of_parts_changes_their_order_only(family: list[str], given: list[str], order: random.Random) -> None:
    shuffled = order.sample(family, len(family))
    (one,) = read_pn(f"{'-'.join(family)}^{' '.join(given)}")
    other = read_fields(" ".join(shuffled), "-".join(given))
    assert sorted(one.family) == sorted(other.family)
    assert one.given == other.given
