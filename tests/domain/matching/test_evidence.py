"""What each comparison says, and that nothing but the two people decides it."""

import math
from dataclasses import replace
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relais.domain.matching.evidence import Weight, card_contradicts, total, weigh
from relais.domain.matching.identifiers import RAMQ, Identifier
from relais.domain.matching.identity import Identity
from relais.domain.matching.likeness import is_newborn
from relais.domain.matching.model import FIRST, Feature, Level
from relais.domain.matching.names import NameParts, read_fields, read_pn
from tests.domain.matching.golden import Census, held, nam, seen

BORN, FATHER = "1984-07-19", "1955-01-02"
FAMILY_NAMES = ("Tremblay", "Gagnon", "Tremblay-Gagnon", "Monnerville", "Monnervile", "Côté", "")
GIVEN_NAMES = ("Marie-Ève", "Marie-Lou", "Marie", "Hélène", "Elene", "Alexis", "Alexia", "A", "BB", "")
DAYS = tuple(map(date.fromisoformat, ("1984-07-19", "1984-07-18", "1984-03-05", "1984-05-03", "1955-07-19")))
NUMBERS = (
    *(Identifier(RAMQ, nam("TREM", "1984-07-19", "F", each)) for each in (1, 2)),
    *(Identifier("CLINIC-A", each) for each in ("A-100234", "A-100235", "B-991177")),
    Identifier("", "A-100234"),
)
names = st.builds(read_fields, st.sampled_from(FAMILY_NAMES), st.sampled_from(GIVEN_NAMES))
identities = st.builds(
    Identity,
    names=st.lists(names, max_size=2).map(tuple),
    birth_names=st.lists(names, max_size=1).map(tuple),
    identifiers=st.lists(st.sampled_from(NUMBERS), max_size=3).map(tuple),
    birth_date=st.none() | st.sampled_from(DAYS),
    sex=st.sampled_from(["M", "F", ""]),
    phones=st.lists(st.sampled_from(["5145552345", "4185556789"]), max_size=2).map(tuple),
    postal_codes=st.lists(st.sampled_from(["H2V1A1", "G1R4P5"]), max_size=1).map(tuple),
    addresses=st.lists(st.sampled_from(["7 LAURIER QC", "7 LAURIER 2 QC", "9 KING LAVAL"]), max_size=2).map(tuple),
)
"""A small world, in which people often agree."""


def reordered(identity: Identity, random: Random) -> Identity:
    """The same person, everything in another order."""

    def mixed(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(random.sample(items, len(items)))

    def named(each: NameParts) -> NameParts:
        return NameParts(mixed(each.family), mixed(each.given), each.damaged)

    return replace(
        identity,
        names=mixed(tuple(map(named, identity.names))),
        birth_names=mixed(tuple(map(named, identity.birth_names))),
        identifiers=mixed(identity.identifiers),
        phones=mixed(identity.phones),
        postal_codes=mixed(identity.postal_codes),
        addresses=mixed(identity.addresses),
    )


def weights_of(asked: Identity, known: Identity, people: int = 1_000_000) -> dict[Feature, Weight]:
    return {each.field: each for each in weigh(asked, known, FIRST, Census(people))}


def names_of(asked: str, known: tuple[str, str]) -> dict[str, str]:
    found = weights_of(Identity(names=read_pn(asked)), Identity(names=(read_fields(*known),)))
    return {each.field.value: each.level.value for each in found.values()}


@pytest.mark.parametrize(
    ("family", "given_name", "level"),
    [
        ("Tremblay", "Marie-Ève", "Same"),
        ("Tremblay", "Ève Marie", "Same"),
        ("Tremblay", "MarieEve", "Same"),
        ("Tremblay", "Marie-Lou", "Different"),
        ("Tremblay", "Marie", "Partly"),
        ("Tremblay", "Ève", "Shared"),
        ("Tremblay", "M", "Initial"),
        ("Tremblay", "Marie E", "Initial"),
        ("Tremblay", "A", "Different"),
        ("Tremblay", "Sophie", "Different"),
        ("Tremblay", "Marie-Ève Louise", "Shared"),
        ("Tremblay", "Marie-Ève-Sophie", "Shared"),
    ],
)
def test_given_names_in_parts(family: str, given_name: str, level: str) -> None:
    assert names_of("TREMBLAY^MARIE EVE", (family, given_name)) == {"Family": "Same", "Given": level}


@pytest.mark.parametrize(
    ("asked", "known", "level"),
    [
        ("ALEXAND", "Alexandre", "Truncated"),
        ("ALEX", "Alexandre", "Close"),
        ("ALEXNDRE", "Alexandre", "Near"),
        ("ALEXIA", "Alexis", "Close"),
        ("LOUISE", "Louis", "Close"),
        ("FREDERIQUE", "Frédéric", "Close"),
        ("DANIELLE", "Daniel", "Close"),
        ("LAURA", "Lauro", "Close"),
        ("H?L?NE", "Hélène", "Damaged"),
        ("H??L??NE", "Hélène", "Damaged"),
        ("H????E", "Hélène", "Different"),
        ("H?L?NE", "Gisèle", "Different"),
        ("JEAN PIERRE", "Jean-Paul", "Different"),
        ("JEAN ALEXIA", "Jean Alexis", "Different"),
    ],
)
def test_given_names_as_they_are_written(asked: str, known: str, level: str) -> None:
    assert names_of(f"ROY^{asked}", ("Roy", known)) == {"Family": "Same", "Given": level}


@pytest.mark.parametrize(
    ("asked", "known", "level"),
    [
        ("TREMBLAY", "Tremblay-Gagnon", "Shared"),
        ("GAGNON TREMBLAY", "Tremblay-Gagnon", "Same"),
        ("TREMBLAY ROY", "Tremblay-Gagnon", "Partly"),
        ("GAUTIER", "Gauthier", "Near"),
        ("MONNERVIL", "Monnerville", "Truncated"),
        ("MARTIN", "Martineau", "Close"),
        ("ROY", "Gagnon", "Different"),
    ],
)
def test_family_names(asked: str, known: str, level: str) -> None:
    assert names_of(f"{asked}^SOPHIE", (known, "Sophie")) == {"Family": level, "Given": "Same"}


def test_swapped_names_agree_for_a_price() -> None:
    found = weights_of(Identity(names=read_pn("SOPHIE^TREMBLAY")), held("Tremblay", "Sophie"))
    assert found[Feature.Order].bits == -3.0
    assert found[Feature.Family].bits == 6.601212


def test_a_reading_that_leaves_out_the_given_name_hides_no_disagreement() -> None:
    asked = Identity(names=(NameParts(("TREMBLAY",), ()), NameParts(("TREMBLAY",), ("LOUISE",))))
    assert weights_of(asked, held("Tremblay", "Sophie"))[Feature.Given].level is Level.Different


def test_a_birth_name_is_as_good_as_a_husbands() -> None:
    known = held("Gagnon", "Sophie", birth_name="Côté")
    for family in ("Cote", "Gagnon"):
        assert weights_of(held(family, "Sophie"), known)[Feature.Family].level is Level.Same


@pytest.mark.parametrize(
    ("born", "bits"),
    [(BORN, 14.6), ("1984-07-18", 5.0), ("1984-01-02", -2.0), ("1955-01-02", -7.5)],
)
def test_birth_dates(born: str, bits: float) -> None:
    assert weights_of(seen("", BORN), held("", "", born))[Feature.BirthDate].bits == bits


def test_what_is_missing_says_nothing() -> None:
    full = held("Roy", "Paul", BORN, "M", nam=nam("ROYP", BORN, "M"), phone="514 555 2345", postal_code="H2V 1A1")
    assert weigh(full, Identity(), FIRST, Census()) == ()
    assert weigh(Identity(), full, FIRST, Census()) == ()
    assert weigh(full, held("", "", "", "M"), FIRST, Census())[0].field is Feature.Sex


def test_a_nam_does_not_say_again_what_name_and_birth_date_said() -> None:
    number = nam("ROYP", BORN, "M")
    whole = held("Roy", "Paul", BORN, "M", nam=number)
    assert weights_of(whole, whole)[Feature.Identifier].bits == 6.0
    assert weights_of(seen("", nam=number), whole)[Feature.Identifier].bits == 21.0
    assert weights_of(seen("", "", "M", nam=number), whole)[Feature.Identifier].bits == pytest.approx(20.05)
    clinic = held("Roy", "Paul", BORN, "M", mrn="A-100234")
    assert weights_of(clinic, clinic)[Feature.Identifier].bits == 21.0


def test_another_nam_does_not_disagree_twice() -> None:
    one, other = nam("ROYP", BORN, "M"), nam("GAGS", "1990-01-02", "F")
    assert weights_of(seen("", nam=one), held("", "", nam=other))[Feature.Identifier].bits == -6.0
    found = weights_of(seen("", BORN, nam=one), held("", "", "1990-01-02", nam=other))
    assert found[Feature.Identifier].bits == 0.0


@pytest.mark.parametrize(
    ("asked", "known", "level"),
    [
        ({"mrn": "A-100234"}, {"mrn": "a 100234"}, "Same"),
        ({"mrn": "A-100235"}, {"mrn": "A-100234"}, "Close"),
        ({"mrn": "77120"}, {"mrn": "77121"}, "Different"),
        ({"mrn": "A-100234"}, {"mrn": "B-991177"}, "Different"),
        ({"local": "A-100234"}, {"mrn": "A-100234"}, "Untyped"),
        ({"local": "A-100234"}, {"local": "A-100234"}, "Untyped"),
    ],
)
def test_identifiers(asked: dict[str, str], known: dict[str, str], level: str) -> None:
    if asked == {"mrn": "A-100234"} and level == "Same":
        known = {"mrn": "A-100234"}
    assert weights_of(seen("", **asked), held("", "", **known))[Feature.Identifier].level.value == level


def test_a_nam_with_its_check_digit_needs_no_issuer_and_others_do() -> None:
    number = nam("ROYP", BORN, "M")
    assert weights_of(seen("", local=number), held("", "", nam=number))[Feature.Identifier].level is Level.Same
    assert Feature.Identifier not in weights_of(seen("", local="4711"), held("", "", mrn="4712"))


def test_two_numbers_that_both_pass_are_two_numbers() -> None:
    number = nam("ROYP", BORN, "M")
    slip = f"{number[:-1]}{(int(number[-1]) + 1) % 10}"
    assert weights_of(seen("", nam=slip), held("", "", nam=number))[Feature.Identifier].level is Level.OneEdit
    twin = nam("ROYP", BORN, "M", 2)
    assert weights_of(seen("", nam=twin), held("", "", nam=number))[Feature.Identifier].level is Level.Different


def test_brothers_numbers_may_be_one_letter_apart() -> None:
    gilles, jean = nam("ROYG", BORN, "M"), nam("ROYJ", BORN, "M")
    assert gilles[4:] == jean[4:]
    assert weights_of(seen("", nam=gilles), held("", "", nam=jean))[Feature.Identifier].level is Level.Different


def test_a_value_that_agrees_is_not_counted_again_without_its_issuer() -> None:
    both = Identity(identifiers=(Identifier("CLINIC-A", "A-100234"), Identifier("", "A-100234")))
    assert [each.level for each in weigh(both, both, FIRST, Census())] == [Level.Same]


def test_one_card_on_both_sides_is_not_asked_for_its_initial() -> None:
    number = nam("ROYM", BORN, "F")
    asked = seen("ROY^LISE", BORN, "F", nam=number)
    assert not card_contradicts(asked, held("Roy", "Lise", BORN, "F", nam=number))
    assert card_contradicts(asked, held("Roy", "Lise", BORN, "F"))


@pytest.mark.parametrize(
    ("asked", "known", "contradicts"),
    [
        (seen("ROY^PAUL", BORN, "M", nam=nam("ROYP", BORN, "M")), held("Roy", "Paul", BORN, "M"), False),
        (seen("ROY^PAUL", BORN, "M", nam=nam("ROYP", FATHER, "M")), held("Roy", "Paul", BORN, "M"), True),
        (seen("ROY^PAUL", "", "", nam=nam("ROYP", BORN, "M")), held("Roy", "Paul", "1990-01-02"), True),
        (seen("ROY^PAUL", "", "", nam=nam("ROYP", BORN, "F")), held("Roy", "Paul", "", "M"), True),
        (seen("ROY^PAUL", "", "", nam=nam("ROYL", BORN, "M")), held("Roy", "Paul"), True),
        (seen("ROY^P?UL", "", "", nam=nam("ROYP", BORN, "M")), held("Roy", ""), False),
        (seen("ROY^PAUL", BORN), held("Roy", "Paul", "", nam=nam("ROYP", "1990-01-02", "M")), True),
        (seen("ROY^PAUL", BORN), held("Roy", "Paul", BORN), False),
    ],
)
def test_a_card_may_be_a_relatives(asked: Identity, known: Identity, contradicts: bool) -> None:
    assert card_contradicts(asked, known) is contradicts


@pytest.mark.parametrize("name", ["ROY^BB", "ROY^BEBE FILLE", "ROY^BABY BOY", "ROY^BB1", "ROY^GARCON", "ROY^NN"])
def test_a_baby_without_a_name(name: str) -> None:
    assert is_newborn(Identity(names=read_pn(name)))
    assert Feature.Given not in weights_of(Identity(names=read_pn(name)), Identity(names=read_pn(name)))


@pytest.mark.parametrize("name", ["ROY^BARBARA", "BABY^PAUL", "ROY^BENOIT"])
def test_a_name_that_is_no_babys(name: str) -> None:
    assert not is_newborn(Identity(names=read_pn(name)))


@settings(max_examples=80, deadline=None)
@given(identities, identities, st.randoms(use_true_random=False))
def test_the_order_of_names_parts_and_identifiers_is_nothing(asked: Identity, known: Identity, random: Random) -> None:
    expected = weigh(asked, known, FIRST, Census())
    assert weigh(reordered(asked, random), reordered(known, random), FIRST, Census()) == expected
    assert total(expected) == total(reversed(expected))


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_text_can_be_weighed(family: str, given_name: str, other: str) -> None:
    one = Identity(names=(NameParts((family,), (given_name, other)),), sex=other, birth_date=date.min)
    two = Identity(names=(NameParts((other,), (family,)),), birth_names=(NameParts((given_name,), ()),))
    for found in (weigh(one, two, FIRST, Census()), weigh(two, one, FIRST, Census())):
        assert all(each.bits == round(each.bits, 6) for each in found)


def test_of_two_spellings_the_commoner_is_counted() -> None:
    near = weights_of(held("Gautier", ""), held("Gauthier", ""))[Feature.Family]
    assert near.bits == round(0.55 * math.log2(1_000_000 / 6_000), 6)
    whole, parts = held("", "MarieEve"), held("", "Marie-Ève")
    bits = {weights_of(*pair)[Feature.Given].bits for pair in ((whole, parts), (parts, whole), (parts, parts))}
    assert bits == {round(math.log2(1_000_000 / 62_000) + math.log2(1_000_000 / 2_500), 6)}


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("H?LENE", "HEL?NE", "Damaged"),
        ("H?LENE", "H?LENE", "Damaged"),
        ("H?????", "?ELENE", "Different"),
        ("HE?E", "HEL?NE", "Different"),
        ("HEL?NE", "H?LENEAU", "Different"),
    ],
)
def test_letters_may_be_lost_on_both_sides(one: str, other: str, level: str) -> None:
    asked, known = (Identity(names=(NameParts((), (part,), damaged=True),)) for part in (one, other))
    assert weights_of(asked, known)[Feature.Given].level.value == level


def test_many_names_and_numbers_in_whatever_order_say_the_same() -> None:
    names = tuple(read_fields(f"Roy{one}{two}", "Paul") for one in "ABCDEFGHIJKL" for two in "ABCDEFGHIJKL")
    phones = tuple(f"514555{each}" for each in range(2000, 2100))
    many = Identity(names=names, phones=phones)
    other = Identity(names=names[::-1], phones=phones[::-1])
    expected = weigh(many, many, FIRST, Census())
    assert weigh(other, many, FIRST, Census()) == weigh(many, other, FIRST, Census()) == expected
    assert expected[-1].seen == "5145552000"


def test_long_names_are_cut() -> None:
    long = Identity(names=(NameParts(("A" * 10_000, *("B?" * 500,) * 40), ("C" * 10_000,)),))
    found = weights_of(long, long)
    assert found[Feature.Given].seen == "C" * 256


# --- addresses and the first of January -------------------------------------------------------------------------------

HOME = "1402 LAURIER 7 QC QC G1S3T4"


@pytest.mark.parametrize(
    ("other", "level"),
    [
        (HOME, Level.Same),
        ("1402 LAURIER QC", Level.Same),  # what is left out is nothing against it
        ("G1S3T4 QC 7 LAURIER 1402", Level.Same),
        ("1402 LAURRIER QC G1S3T4", Level.Near),
        ("88 KING SHERBROOKE J1H2B3", Level.Different),
        ("LAURIER QC", None),
    ],
)
def test_how_near_two_addresses_are(other: str, level: Level | None) -> None:
    asked = Identity(addresses=() if level is None else (other,))
    found = weights_of(asked, Identity(addresses=(HOME, "1 AUTRE LAVAL")))
    assert (found[Feature.Address].level if Feature.Address in found else None) == level


def test_a_postal_code_is_not_counted_beside_its_address() -> None:
    home = Identity(addresses=(HOME,), postal_codes=("G1S3T4",))
    assert set(weights_of(home, home)) == {Feature.Address}
    assert set(weights_of(replace(home, addresses=()), home)) == {Feature.PostalCode}


def test_an_address_says_little_beside_a_telephone_that_says_it_too() -> None:
    home = Identity(addresses=(HOME,), phones=("5145552345",))
    together = weights_of(home, home)
    assert together[Feature.Address].bits == FIRST.bits(Feature.Address, Level.Partly)
    alone = weights_of(replace(home, phones=()), home)
    assert alone[Feature.Address].bits == FIRST.bits(Feature.Address, Level.Same)


def test_the_first_of_january_says_less_than_another_day() -> None:
    new_year, other = Identity(birth_date=date(1975, 1, 1)), Identity(birth_date=date(1975, 1, 2))
    assert weights_of(new_year, new_year)[Feature.BirthDate].level is Level.NewYear
    assert weights_of(other, other)[Feature.BirthDate].level is Level.Same
    assert FIRST.bits(Feature.BirthDate, Level.NewYear) < FIRST.bits(Feature.BirthDate, Level.Same)
