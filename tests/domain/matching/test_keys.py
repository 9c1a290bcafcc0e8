"""Blocking keys: what a person is stored under, and what finds that person again."""

import random
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relais.domain.matching.identifiers import Identifier
from relais.domain.matching.identity import Identity
from relais.domain.matching.keys import MOST_SOUNDS, Kind, keys_asked, keys_of
from relais.domain.matching.names import NameParts, read_fields, read_pn, read_text

BORN = date(1980, 3, 4)
NAMED = {Kind.GivenAndDate, Kind.FamilyAndDate, Kind.NamesAndYear, Kind.NamesAndDay}


def person(family: str = "Tremblay", given: str = "Marie-Ève", **known: object) -> Identity:
    return replace(Identity(names=(read_fields(family, given),), birth_date=BORN), **known)  # type: ignore[arg-type]


def sent(name: str, birth_date: date | None = BORN) -> Identity:
    return Identity(names=read_pn(name), birth_date=birth_date)


# --- what keys there are ----------------------------------------------------------------------------------------------


def test_the_keys_of_a_person() -> None:
    known = person(
        "Côté-Tremblay",
        "Ève",
        identifiers=(Identifier("CA-QC", "TREE80530412"),),
        phones=("5145550123",),
        postal_codes=("H2V1A1",),
        sex="F",
    )
    assert keys_of(known) == {
        (Kind.Identifier, "TREE80530412"),
        (Kind.Phone, "5145550123"),
        (Kind.GivenAndDate, "EV 1980-03-04"),
        (Kind.FamilyAndDate, "KO 1980-03-04"),
        (Kind.FamilyAndDate, "TR 1980-03-04"),
        (Kind.NamesAndYear, "EVE KOTE 1980"),
        (Kind.NamesAndYear, "EVE TRENBLE 1980"),
        (Kind.NamesAndDay, "EVE KOTE 03-04"),
        (Kind.NamesAndDay, "EVE TRENBLE 03-04"),
        (Kind.DateAndCode, "1980-03-04 H2V1A1"),
        (Kind.NameAndCode, "EVE H2V1A1"),
        (Kind.NameAndCode, "KOTE H2V1A1"),
        (Kind.NameAndCode, "TRENBLE H2V1A1"),
    }


def test_a_study_asks_for_swapped_names_and_days_too() -> None:
    assert keys_asked(person("Côté", "Ève")) == {
        (Kind.GivenAndDate, "EV 1980-03-04"),
        (Kind.GivenAndDate, "EV 1980-04-03"),
        (Kind.GivenAndDate, "KO 1980-03-04"),
        (Kind.GivenAndDate, "KO 1980-04-03"),
        (Kind.FamilyAndDate, "EV 1980-03-04"),
        (Kind.FamilyAndDate, "EV 1980-04-03"),
        (Kind.FamilyAndDate, "KO 1980-03-04"),
        (Kind.FamilyAndDate, "KO 1980-04-03"),
        (Kind.NamesAndYear, "EVE KOTE 1980"),
        (Kind.NamesAndDay, "EVE KOTE 03-04"),
        (Kind.NamesAndDay, "EVE KOTE 04-03"),
        (Kind.Names, "EVE KOTE"),
    }


def test_a_birth_name_is_a_way_to_be_found_with_the_given_names() -> None:
    known = person("Gagnon", "Marie", birth_names=(NameParts(("TREMBLAY",), ()),))
    assert (Kind.FamilyAndDate, "TR 1980-03-04") in keys_of(known)
    assert (Kind.NamesAndYear, "MARIE TRENBLE 1980") in keys_of(known)
    assert keys_of(known) & keys_asked(sent("Tremblay^Marie", date(1980, 12, 25)))


@pytest.mark.parametrize(
    ("known", "kinds"),
    [
        (Identity(), set()),
        (Identity(birth_date=BORN), set()),
        (Identity(names=(read_fields("Tremblay", "Ève"),)), {Kind.Names}),
        (Identity(names=(read_fields("Tremblay", ""),), birth_date=BORN), {Kind.FamilyAndDate}),
        (Identity(names=(read_fields("", "Ève"),), birth_date=BORN), {Kind.GivenAndDate}),
        (Identity(names=(read_fields("Tremblay", "M"),), birth_date=BORN), {Kind.FamilyAndDate}),
        (Identity(names=read_pn("李^小龙"), birth_date=BORN), NAMED),
        (Identity(phones=("5145550123",)), {Kind.Phone}),
    ],
)
def test_what_is_not_known_and_an_initial_make_no_key(known: Identity, kinds: set[Kind]) -> None:
    assert {kind for kind, _ in keys_of(known)} == kinds
    assert {kind for kind, _ in keys_asked(known)} >= kinds


# --- who is found -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Côté-Tremblay^Marie-Ève",
        "COTE TREMBLAY^MARIE EVE",
        "TREMBLAY^EVE",
        "Tremblé^Marie",
        "COTE^MARIE",
        "Marie-Ève^Tremblay",
        "COTE TREMBLAY MARIE EVE",
        "Tremblay, Marie",
        "CÃ\u00b4tÃ©^Marie",
        "C?t?^Marie",
        "C??t??^X",
        f"C\ufffdt\ufffd^{'?' * 3}",
        "GAGNON^EVE",
        "TREMBLAY^JULIE",
    ],
)
@pytest.mark.parametrize("day", [BORN, date(1980, 4, 3)])
def test_one_part_and_the_birth_date_find_the_person(name: str, day: date) -> None:
    known = person("Côté-Tremblay", "Marie-Ève")
    assert keys_of(known) & keys_asked(sent(name, day))


@pytest.mark.parametrize("day", [date(1980, 7, 19), date(1981, 3, 4), date(1975, 4, 3)])
def test_both_names_find_the_person_by_the_year_or_by_the_day(day: date) -> None:
    assert keys_of(person()) & keys_asked(sent("Tremblay^Ève", day))
    assert keys_of(person()) & keys_asked(sent("Ève^Tremblay", day))
    assert not keys_of(person()) & keys_asked(sent("Gagnon^Ève", day))


@pytest.mark.parametrize(
    ("stored", "asked"),
    [("Andr?e", "Andrée"), ("G?n?vi?ve", "Généviève"), ("Fran?ois", "François"), ("L?Heureux", "Lheureux")],
)
def test_lost_letters_of_the_crm_are_guessed_too(stored: str, asked: str) -> None:
    assert keys_of(person("Zed", stored)) & keys_asked(sent(f"Abel^{asked}"))


@pytest.mark.parametrize(("given", "guesses"), [("Ren?", 6), ("R?n?e", 4), ("G?n?vi?ve", 1)])
def test_the_more_letters_are_lost_the_fewer_are_guessed(given: str, guesses: int) -> None:
    assert len([kind for kind, _ in keys_of(person(given=given)) if kind is Kind.NamesAndYear]) == guesses


def test_the_beginning_of_one_name_and_the_birth_date_find_the_person() -> None:
    assert keys_of(person("Tremblay", "Kimberly")) & keys_asked(sent("Gagnon^Kinberley"))
    assert not keys_of(person("Tremblay", "Luc")) & keys_asked(sent("Gagnon^Zoé"))
    assert keys_of(person("Tremblay", "Luc")) & keys_asked(sent("Trembaly^Zoé"))


HOME = "123 EGLISE LAVAL QC H7A1B2"


@pytest.mark.parametrize(
    ("name", "day", "address"),
    [
        ("Gagnon^Zoé", BORN, "9 AUTRE LAVAL H7A1B2"),  # moved within the block, another name
        ("Tremblay^Zoé", date(1999, 1, 1), "321 AUTRE LAVAL H7A1B2"),
        ("Tremblay^Zoé", None, "123 EGLISE LAVAL QC"),
        ("Gagnon^Ève", None, "123 EGLIZE MONTREAL"),
    ],
)
def test_an_address_finds_the_person_with_one_name_or_the_birth_date(name: str, day: date | None, address: str) -> None:
    known = person(addresses=(HOME,))
    assert keys_of(known) & keys_asked(replace(sent(name, day), addresses=(address,)))
    assert not keys_of(known) & keys_asked(replace(sent("Gagnon^Zoé", None), addresses=(address,)))


@pytest.mark.parametrize("day", [None, date(1999, 1, 1)])
def test_who_has_no_birth_date_is_found_by_both_names(day: date | None) -> None:
    known = replace(person(), birth_date=None)
    assert keys_of(known) & keys_asked(sent("Ève^Tremblay", day))
    assert not keys_of(known) & keys_asked(sent("Gagnon^Ève", day))
    assert not keys_of(person()) & keys_asked(sent("Tremblay^Ève", date(1999, 1, 1)))


def test_who_lives_there_is_found_without_a_name_or_a_birth_date() -> None:
    known = person(addresses=("123 EGLISE 4 LAVAL QC H7A1B2",))
    stranger = sent("Gagnon^Zoé", date(1999, 1, 1))
    for address, is_found in (
        ("123 EGLIZE 4 LAVAL H7A1B2", True),
        ("4 123 EGLISE H7A1B2", False),  # the house's number is read first
        ("123 EGLISE 5 LAVAL QC H7A1B2", False),  # the neighbours
        ("123 EGLISE 4 LAVAL QC H7A1B3", False),
    ):
        assert bool(keys_of(known) & keys_asked(replace(stranger, addresses=(address,)))) is is_found


def test_a_postal_code_apart_is_as_good_as_in_the_address() -> None:
    assert keys_of(person(postal_codes=("H7A1B2",))) & keys_asked(
        replace(sent("Tremblay^Zoé", None), addresses=(HOME,))
    )


def test_a_flat_is_no_postal_code() -> None:
    kinds = {kind for kind, _ in keys_of(person(addresses=("123 EGLISE 7 LAVAL",)))}
    assert kinds == {*NAMED, Kind.NameAndHome}


def test_a_postal_code_of_one_digit_is_nobodys() -> None:
    kinds = {kind for kind, _ in keys_of(person(addresses=("123 EGLISE SPRINGFIELD 00000",)))}
    assert kinds == {*NAMED, Kind.NameAndHome}


def test_guesses_never_take_the_place_of_what_is_known() -> None:
    known = keys_of(person("Lévesque-Roy", "B?lingham Fr?d?gonde Montr?al Z?phirine Ève"))
    assert {(Kind.FamilyAndDate, "RO 1980-03-04"), (Kind.GivenAndDate, "EV 1980-03-04")} <= known


def test_a_stranger_is_not_found() -> None:
    assert not keys_of(person()) & keys_asked(sent("Gagnon^Luc", date(1975, 8, 9)))
    assert not keys_of(person()) & keys_asked(sent("Gagnon^Luc"))


# --- laws -------------------------------------------------------------------------------------------------------------

FAMILIES = [
    "Côté",
    "Tremblay",
    "Lévesque",
    "St-Pierre",
    "L'Heureux",
    "Le Blanc",
    "O'Brien",
    "de Tilly",
    "Gauthier",
    "Roy",
]
GIVEN = ["Marie", "Ève", "Jean", "François", "Noël", "Zoë", "Anne", "Ophélie", "Loïc", "Roy", "Fran?ois"]
families = st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=3, unique=True)
givens = st.lists(st.sampled_from(GIVEN), min_size=1, max_size=3, unique=True)
days = st.dates(date(1900, 1, 1), date(2026, 1, 1))
orders = st.randoms(use_true_random=False)

free_parts = st.lists(st.text("ABCEGHIMNOSTUXYZ?山И", min_size=1, max_size=8), max_size=20).map(tuple)
free_names = st.lists(st.builds(NameParts, free_parts, free_parts), max_size=3).map(tuple)
people = st.builds(
    Identity,
    names=free_names,
    birth_names=free_names,
    identifiers=st.lists(st.builds(Identifier, st.sampled_from(["", "CA-QC"]), st.text(max_size=5)), max_size=2).map(
        tuple
    ),
    birth_date=st.none() | days,
    phones=st.lists(st.text("0123456789", max_size=10), max_size=2).map(tuple),
)


def bare(name: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFD", name) if not unicodedata.combining(each))


def spaced(name: str) -> str:
    return f"  {name.replace(' ', '     ')} "


WRITERS: list[Callable[[str], str]] = [str, str.upper, str.lower, bare, spaced]


@given(families, givens, days, orders)
@settings(max_examples=100, deadline=None)
def test_accents_case_hyphens_order_and_blanks_never_matter(
    family: list[str], given: list[str], day: date, order: random.Random
) -> None:
    one = Identity(names=(read_fields("-".join(family), "-".join(given)),), birth_date=day)
    shuffled = [order.sample(each, len(each)) for each in (family, given)]
    written = "^".join(order.choice([" ", "-", "   "]).join(each) for each in shuffled)
    other = sent(order.choice(WRITERS)(written), day)
    assert keys_of(one) == keys_of(other)
    assert keys_asked(one) == keys_asked(other)


def swapped(name: NameParts) -> NameParts:
    return replace(name, family=name.given, given=name.family)


@given(people)
@settings(max_examples=100, deadline=None)
def test_whatever_a_person_is_stored_under_the_same_person_asks_for(known: Identity) -> None:
    turned = replace(
        known,
        names=tuple(swapped(name) for name in known.names),
        birth_names=tuple(swapped(name) for name in known.birth_names),
    )
    assert keys_of(known) <= keys_asked(known)
    assert keys_of(known) <= keys_asked(turned)
    if known.birth_date and known.birth_date.day <= 12:
        day = known.birth_date.replace(month=known.birth_date.day, day=known.birth_date.month)
        assert keys_of(known) <= keys_asked(replace(known, birth_date=day))
        assert keys_of(known) <= keys_asked(replace(turned, birth_date=day))


@given(people)
@settings(max_examples=100, deadline=None)
def test_names_of_many_words_ask_for_a_bounded_number_of_keys(known: Identity) -> None:
    most = MOST_SOUNDS * 4 + MOST_SOUNDS * (MOST_SOUNDS + 1) // 2 * 4
    assert len(keys_asked(known)) <= most + len(known.identifiers) + len(known.phones)


@given(families, givens, days)
@settings(max_examples=100, deadline=None)
def test_a_string_read_both_ways_finds_who_is_stored_by_fields(family: list[str], given: list[str], day: date) -> None:
    stored = keys_of(Identity(names=(read_fields("-".join(family), "-".join(given)),), birth_date=day))
    for text in (f"{'-'.join(given)} {'-'.join(family)}", f"{'-'.join(family)}, {'-'.join(given)}"):
        assert stored <= keys_asked(Identity(names=read_text(text), birth_date=day))


def test_a_name_cut_at_64_characters_finds_the_whole_one() -> None:
    whole = "Tremblay-Villeneuve de la Chevrotière^Marie-Antoinette Alexandrine Bernadette"
    assert {kind for kind, _ in keys_of(sent(whole)) & keys_asked(sent(whole[:64]))} == {
        *(Kind.GivenAndDate, Kind.FamilyAndDate, Kind.NamesAndYear, Kind.NamesAndDay)
    }
