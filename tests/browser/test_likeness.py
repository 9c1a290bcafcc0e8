"""What two texts beside each other mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.web.pages.likeness import LONGEST, Pieces, by_best, by_character, by_word, cut, plain, whole

MARKS = {"same": "{}", "near": "~{}~", "differs": "[{}]"}


def written(pieces: Pieces) -> str:
    """The pieces as text: [what differs], ~what is the same but for accents and case~."""
    return "".join(MARKS[each.mark].format(each.text) for each in pieces)


@pytest.mark.parametrize(
    ("seen", "known", "left", "right"),
    [
        ("Tremblay, Émilie", "Tremblay, Émilie", "Tremblay, Émilie", "Tremblay, Émilie"),
        ("Tremblay, Emilie", "Tremblay, Émilie", "Tremblay, ~E~milie", "Tremblay, ~É~milie"),
        ("TREMBLAY", "Tremblay", "T~REMBLAY~", "T~remblay~"),
        ("Tremblai, Émilie", "Tremblay, Émilie", "Trembla[i], Émilie", "Trembla[y], Émilie"),
        ("Émilie Tremblay", "Tremblay, Émilie", "Émilie Tremblay", "Tremblay, Émilie"),
        ("Roy, Marie-Ève", "Roy, Marie-Lou", "Roy, Marie-[Ève]", "Roy, Marie-[Lou]"),
        ("Gauthier", "Gautier", "Gaut[h]ier", "Gautier"),
        ("Côté-Roy, Zoé", "Roy, Zoé", "[Côté]-Roy, Zoé", "Roy, Zoé"),
        ("Tremblay", "", "Tremblay", ""),
        ("李小龙", "李小龍", "李小[龙]", "李小[龍]"),
        ("...", "Roy", "...", "[Roy]"),
    ],
)
def test_names_are_compared_word_by_word(seen: str, known: str, left: str, right: str) -> None:
    assert tuple(map(written, by_word(seen, known))) == (left, right)


@pytest.mark.parametrize(
    ("seen", "known", "left", "right"),
    [
        ("1984-05-17", "1984-05-17", "1984-05-17", "1984-05-17"),
        ("1984-05-17", "1984-05-11", "1984-05-1[7]", "1984-05-1[1]"),
        ("TREE 8405 1712", "TREE84051712", "TREE 8405 1712", "TREE84051712"),
        ("tree84051712", "TREE84051713", "~tree~8405171[2]", "~TREE~8405171[3]"),
        ("514 555-0134", "(514) 555-0135", "514 555-013[4]", "(514) 555-013[5]"),
    ],
)
def test_numbers_are_compared_without_what_stands_between(seen: str, known: str, left: str, right: str) -> None:
    assert tuple(map(written, by_character(seen, known))) == (left, right)


def test_of_many_texts_the_likest_stand_beside_each_other() -> None:
    seen, known = by_best(by_character, ["514 555-0134"], ["819 555-9999", "5145550134"])
    assert [written(each) for each in seen] == ["514 555-0134"]
    assert written(known[1]) == "5145550134"
    assert by_best(by_character, [], ["1"]) == ([], [plain("1")])
    seen, known = by_best(by_word, ["Zoé Roy"], ["Roy, Zoe", "Gagnon, Zoé"])
    assert ([*map(written, seen)], written(known[0])) == (["Zo~é~ Roy"], "Roy, Zo~e~")


def test_a_word_is_the_same_or_not() -> None:
    assert tuple(map(written, whole("M", "F"))) == ("[M]", "[F]")
    assert tuple(map(written, whole("F", "F"))) == ("F", "F")
    assert tuple(map(written, whole("F", ""))) == ("F", "")


def test_what_is_long_is_cut_and_control_characters_go() -> None:
    assert cut("a\x00b\nc\u202ed") == "a b c d"
    assert len(cut("x" * 10_000)) == LONGEST + 1
    ours, theirs = by_word("x y " * 5000, "y x " * 5000)
    assert len(ours) < 1000
    assert len(theirs) < 1000


@given(seen=st.text(max_size=60), known=st.text(max_size=60))
def test_nothing_is_lost_and_the_same_is_never_marked(seen: str, known: str) -> None:
    for compare in (by_word, by_character):
        ours, theirs = compare(seen, known)
        assert "".join(each.text for each in ours) == cut(seen)
        assert "".join(each.text for each in theirs) == cut(known)
        assert {each.mark for pieces in compare(seen, seen) for each in pieces} <= {"same"}
