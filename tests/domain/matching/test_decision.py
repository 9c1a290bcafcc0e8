"""Whose images these are: hard pairs, each rule alone, and what must hold whatever the people are."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relais.domain.matching.decision import Candidate, Grade, Judged, Match, Question, Reason, State, Veto, match
from relais.domain.matching.identifiers import Identifier
from relais.domain.matching.identity import Identity
from relais.domain.matching.model import FIRST, Model
from relais.domain.matching.names import NameParts, read_fields, read_pn
from tests.domain.matching.golden import PAIRS, Census, Pair, held, nam, seen
from tests.domain.matching.test_evidence import identities, reordered

BORN = "1984-07-19"
RARE = held("Monnerville", "Hélène", BORN, "F")
SIZES = (10, 500, 5_000, 100_000, 1_000_000, 10_000_000)


def asked_of(asked: Identity, *known: Identity | Candidate, people: int = 1_000_000, **options: Any) -> Match:
    candidates = [
        each if isinstance(each, Candidate) else Candidate(letter, each)
        for letter, each in zip("ABCDEFGH", known, strict=False)
    ]
    return match(asked, candidates, FIRST, Census(people), **options)


# --- the hard pairs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_hard_pair_has_its_answer(pair: Pair) -> None:
    found = match(pair.asked, pair.known, FIRST, Census())
    assert (found.state, found.crm_id) == (pair.should, pair.to), found


@pytest.mark.parametrize("people", SIZES)
def test_no_hard_pair_is_matched_wrongly_in_a_crm_of_whatever_size(people: int) -> None:
    asked = [pair for pair in PAIRS if pair.since <= people]
    wrong = [pair.name for pair in asked if match(pair.asked, pair.known, FIRST, Census(people)).crm_id in pair.never]
    assert wrong == []


@pytest.mark.parametrize("people", SIZES)
def test_no_hard_pair_is_matched_wrongly_when_one_field_was_not_sent(people: int) -> None:
    wrong = [
        (pair.name, field)
        for pair in PAIRS
        if pair.to is not None
        for field in ("birth_date", "sex", "phones", "identifiers", "names")
        if match(without(pair.asked, field), pair.known, FIRST, Census(people)).crm_id in pair.never
    ]
    assert wrong == []


def test_hard_pairs_have_names_of_their_own() -> None:
    assert len({pair.name for pair in PAIRS}) == len(PAIRS) >= 300
    assert [pair.name for pair in PAIRS if pair.since > 1 and pair.to is not None] == []


# --- rules, one by one ------------------------------------------------------------------------------------------------


def test_nobody_is_found() -> None:
    found = asked_of(seen("ROY^PAUL", BORN))
    assert (found.state, found.reason, found.nobody, found.candidates) == (
        State.Unmatched,
        Reason.NoCandidate,
        1.0,
        (),
    )


def test_of_whom_nothing_is_known_nothing_is_said() -> None:
    for asked in (Identity(), seen("ROY^PAUL"), seen("", BORN), seen("", "", "M")):
        assert asked_of(asked).reason is Reason.TooLittle, asked


def test_a_capped_key_leaves_everything_open() -> None:
    for known in ((), (RARE,), (held("Roy", "Paul", "1955-01-02", "M"),)):
        assert asked_of(RARE, *known, capped=True).state is State.Review
    assert asked_of(RARE, RARE, capped=True).reason is Reason.Capped


@pytest.mark.parametrize(
    ("known", "veto"),
    [
        (replace(RARE, sex="M"), Veto.Sex),
        (replace(RARE, birth_date=RARE.birth_date and RARE.birth_date.replace(day=1, month=1)), Veto.BirthDate),
        (held("Monnerville", "Hélène", BORN, "F", mrn="B-991177"), Veto.Identifier),
        (held("Monnerville", "Hélène", BORN, "F", nam=nam("MONA", BORN, "F")), Veto.Card),
    ],
)
def test_a_veto_forbids_a_match_whatever_else_agrees(known: Identity, veto: Veto) -> None:
    asked = seen("MONNERVILLE^HELENE", BORN, "F", mrn="A-100234", phone="514 555 2345")
    found = asked_of(asked, replace(known, phones=asked.phones))
    assert found.state is State.Review
    assert found.reason is Reason.Vetoed
    assert found.candidates[0].vetoes == (veto,)
    assert found.candidates[0].grade is Grade.Possible


@pytest.mark.parametrize(
    ("asked", "known", "reason"),
    [
        ([seen("MONNERVILLE^HELENE", phone="514 555 2345")], [replace(RARE, phones=("5145552345",))], "OneIdentifier"),
        ([seen("ROY^PAUL", BORN)], [held("Roy", "Paul", BORN)], "Unsure"),
        ([RARE], [RARE, replace(RARE, sex="")], "RunnerUp"),
        ([RARE], [RARE, Candidate("B", held("Roy", "Paul", BORN), ordered=True)], "RunnerUp"),
        ([RARE], [Candidate("A", RARE), Candidate("A", held("Roy", "Paul"))], "RepeatedId"),
        ([RARE], [Candidate("A", RARE, rejected=True)], "Rejected"),
        ([RARE], [Candidate("A", held("Roy", "Paul"), confirmed=True), RARE], "EarlierLinkDisagrees"),
        ([RARE], [Candidate("A", replace(RARE, sex="M"), confirmed=True)], "EarlierLinkDisagrees"),
        ([RARE], [Candidate("A", RARE, confirmed=True), Candidate("B", RARE, confirmed=True)], "EarlierLinkDisagrees"),
        ([seen("MONNERVILLE^BB", BORN, mrn="A-1002")], [held("Monnerville", "", BORN, mrn="A-1002")], "Newborn"),
    ],
)
def test_a_review_says_why(asked: list[Identity], known: list[Identity | Candidate], reason: str) -> None:
    found = asked_of(asked[0], *known)
    assert (found.state, found.reason.value) == (State.Review, reason)


@pytest.mark.parametrize(
    ("asked", "known", "reason"),
    [
        (RARE, Candidate("A", RARE), "Evidence"),
        (seen("ROY^PAUL", BORN), Candidate("A", held("Roy", "Paul", BORN), confirmed=True), "EarlierLink"),
        (seen("ROY^PAUL"), Candidate("A", held("Roy", "Paul", BORN), confirmed=True), "EarlierLink"),
        (seen("ROY^PAUL", BORN), Candidate("A", held("Roy", "Paul", BORN), ordered=True), "Order"),
        (seen("ROY^PAUL", mrn="A-1002"), Candidate("A", held("Roy", "Paul", BORN, mrn="A-1002")), "Identifier"),
        (seen("", BORN, mrn="A-1002"), Candidate("A", held("Roy", "Paul", BORN, mrn="A-1002")), "Identifier"),
    ],
)
def test_a_match_says_why(asked: Identity, known: Candidate, reason: str) -> None:
    found = asked_of(asked, known)
    assert (found.state, found.crm_id, found.reason.value) == (State.Matched, "A", reason)
    assert found.candidates[0].grade is Grade.Certain


def test_a_match_must_lead_whichever_field_was_sent() -> None:
    asked = seen("MONNERVILLE^HELENE", BORN, "F", phone="514 555 2345")
    by_phone = held("Monnerville", "Hélène", "1955-01-02", "F", phone="514 555 2345")
    assert asked_of(asked, RARE).crm_id == "A"
    found = asked_of(asked, RARE, by_phone)
    assert (found.state, found.reason) == (State.Review, Reason.OneField)
    assert found.candidates[0].bits - found.candidates[1].bits > FIRST.margin


def test_an_identifier_and_a_birth_date_need_a_name_that_does_not_differ() -> None:
    asked = seen("GAGNON^P", BORN, mrn="A-1002")
    assert asked_of(asked, held("Gagnon", "Paul", BORN, mrn="A-1002")).state is State.Matched
    assert asked_of(asked, held("Roy", "Paul", BORN, mrn="A-1002")).reason is Reason.NameDiffers


def test_no_number_of_bits_is_too_many() -> None:
    numbers = tuple(Identifier(f"CLINIC-{each}", "A-1002") for each in range(100))
    found = asked_of(replace(RARE, identifiers=numbers), replace(RARE, identifiers=numbers))
    assert (found.state, found.candidates[0].posterior, found.nobody) == (State.Matched, 1.0, 0.0)
    assert found.candidates[0].bits > 2_000


def test_a_name_that_may_be_a_slip_needs_a_crm_that_knows_names() -> None:
    known = held("Monnerville", "Élodie", BORN, "F")
    asked = seen("MONNERVILLE^ELODDIE", BORN, "F")
    assert asked_of(asked, known, people=1_000).state is State.Matched
    assert asked_of(asked, known, people=999).state is State.Review


def test_bits_overrule_what_differs_only_in_a_model_that_says_so() -> None:
    asked = seen("MONNERVILLE^ODILE", BORN, "F", mrn="A-100234", phone="514 555 2345")
    known = held("Monnerville", "Hélène", BORN, "F", mrn="A-100234", phone="514 555 2345")
    assert asked_of(asked, known).reason is Reason.NameDiffers
    bits = asked_of(asked, known).candidates[0].bits
    for overrule, state in ((bits - 1, State.Matched), (bits + 1, State.Review)):
        model = Model.from_json({**FIRST.to_json(), "Overrule": overrule})
        assert match(asked, [Candidate("A", known)], model, Census()).state is state
    model = Model.from_json({**FIRST.to_json(), "Overrule": 0.0})
    for held_by, flags, reason in (
        ((known, known), {}, Reason.RunnerUp),
        ((known,), {"rejected": True}, Reason.Rejected),
    ):
        people = [Candidate(letter, each, **flags) for letter, each in zip("AB", held_by, strict=False)]
        assert match(asked, people, model, Census()).reason is reason


def test_nobody_is_said_only_where_everybody_would_be_found() -> None:
    for asked in (seen("MONNERVILLE^HELENE", "", "F", mrn="A-1"), seen("", BORN, "F", mrn="A-1")):
        assert asked_of(asked).reason is Reason.TooLittle
    assert asked_of(seen("MONNERVILLE^HELENE", BORN, "F", mrn="A-1")).state is State.Unmatched


class Everybody:
    """A CRM in which every name is known."""

    total = 1_000

    def family(self, part: str) -> int:
        return len(part)

    def given(self, part: str) -> int:
        return 2 * len(part)


def test_a_long_name_is_replayed_as_it_was_cut() -> None:
    long = Identity(names=(NameParts(("A" * 300,), ("B" * 300,)),))
    candidates = [Candidate("A", long)]
    question = Question.of(long, candidates, Everybody())
    assert question.answer(FIRST) == match(long, candidates, FIRST, Everybody())


@pytest.mark.parametrize("nonsense", [None, 7, "x", [None], [7], object()])
def test_nonsense_is_for_a_person(nonsense: Any) -> None:
    for arguments in (
        (nonsense, [Candidate("A", RARE)], FIRST, Census()),
        (RARE, [Candidate("A", nonsense)], FIRST, Census()),
        (RARE, [nonsense], FIRST, Census()),
        (RARE, [Candidate("A", RARE)], nonsense, Census()),
        (RARE, [Candidate("A", RARE)], FIRST, nonsense),
    ):
        found = cast("Callable[..., Match]", match)(*arguments)
        assert (found.state, found.reason, found.crm_id) == (State.Review, Reason.Failed, None)


# --- what holds for everybody -----------------------------------------------------------------------------------------

FIELDS = ("names", "birth_names", "identifiers", "birth_date", "sex", "phones", "postal_codes", "addresses")
EMPTY = Identity()
flags = st.sampled_from([{}, {}, {}, {"confirmed": True}, {"rejected": True}, {"ordered": True}])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Identity, list[Candidate]]:
    """A study, and people who are it, nearly it, or anybody."""
    asked = draw(identities)
    drawn = draw(st.lists(st.tuples(identities, st.sets(st.sampled_from(FIELDS), min_size=3), flags), max_size=3))
    candidates = [
        Candidate(
            letter, replace(asked, **{field: getattr(other, field) for field in FIELDS if field not in same}), **flag
        )
        for letter, (other, same, flag) in zip("ABC", drawn, strict=False)
    ]
    return asked, candidates


def without(identity: Identity, field: str) -> Identity:
    return replace(identity, **{field: getattr(EMPTY, field)})


def posteriors(found: Match) -> dict[str, float]:
    return {each.crm_id: each.posterior for each in found.candidates}


sizes = st.sampled_from(SIZES)


@settings(max_examples=100, deadline=None)
@given(worlds(), sizes, st.randoms(use_true_random=False))
def test_the_order_of_rows_names_and_identifiers_has_no_effect(
    world: tuple[Identity, list[Candidate]], people: int, random: Random
) -> None:
    asked, known = world
    mixed = [replace(each, identity=reordered(each.identity, random)) for each in random.sample(known, len(known))]
    assert match(reordered(asked, random), mixed, FIRST, Census(people)) == match(asked, known, FIRST, Census(people))


@settings(max_examples=100, deadline=None)
@given(worlds(), sizes, st.booleans())
def test_an_answer_is_replayed_bit_for_bit_from_what_is_stored(
    world: tuple[Identity, list[Candidate]], people: int, capped: bool
) -> None:
    asked, known = world
    found = match(asked, known, FIRST, Census(people), capped=capped)
    question = Question.of(asked, known, Census(people), capped=capped)
    stored = json.loads(json.dumps([question.to_json(), FIRST.to_json(), found.to_json()]))
    again = Question.from_json(stored[0])
    assert again == question
    assert again.answer(Model.from_json(stored[1])) == found == Match.from_json(stored[2])
    assert json.dumps(again.answer(FIRST).to_json()) == json.dumps(found.to_json())


@settings(max_examples=100, deadline=None)
@given(worlds(), sizes)
def test_an_answer_is_sound(world: tuple[Identity, list[Candidate]], people: int) -> None:
    asked, known = world
    found = match(asked, known, FIRST, Census(people))
    assert found.reason is not Reason.Failed
    assert [each.bits for each in found.candidates] == sorted((each.bits for each in found.candidates), reverse=True)
    assert sum(posteriors(found).values()) + found.nobody == pytest.approx(1.0, abs=1e-9)
    assert (found.crm_id is None) is (found.state is not State.Matched)
    if found.state is State.Matched:
        best = found.candidates[0]
        assert best.crm_id == found.crm_id
        assert best.vetoes == ()
        assert not next(each for each in known if each.crm_id == best.crm_id).rejected
        assert len({each.field for each in best.weights if each.bits > 0}) > 1
    if found.state is State.Unmatched:
        assert all(each.posterior < FIRST.review for each in found.candidates)


@settings(max_examples=100, deadline=None)
@given(worlds(), sizes, st.sampled_from(FIELDS))
def test_dropping_a_field_never_makes_it_somebody_else(
    world: tuple[Identity, list[Candidate]], people: int, field: str
) -> None:
    asked, known = world
    whole = match(asked, known, FIRST, Census(people))
    less = match(without(asked, field), known, FIRST, Census(people))
    if less.state is State.Matched:
        assert whole.state is not State.Unmatched
        assert whole.crm_id in {None, less.crm_id}
        assert less.crm_id in posteriors(whole)


@settings(max_examples=100, deadline=None)
@given(worlds(), sizes, identities, flags)
def test_one_more_person_never_raises_confidence_in_another(
    world: tuple[Identity, list[Candidate]], people: int, twin: Identity, flag: dict[str, bool]
) -> None:
    asked, known = world
    before = match(asked, known, FIRST, Census(people))
    for added in (twin, replace(asked, names=twin.names), *(each.identity for each in known)):
        after = match(asked, [*known, Candidate("Z", added, **flag)], FIRST, Census(people))
        assert after.nobody <= before.nobody
        assert all(each.posterior <= posteriors(before).get(each.crm_id, 1.0) for each in after.candidates)
        assert after.crm_id in {before.crm_id, None, "Z"}
        assert after.state is not State.Unmatched or before.state is State.Unmatched


@settings(max_examples=100, deadline=None)
@given(worlds(), st.sampled_from([1, 50, 5_000, 1_000_000]), st.integers(2, 1000))
def test_a_larger_crm_never_raises_a_posterior(
    world: tuple[Identity, list[Candidate]], people: int, times: int
) -> None:
    asked, known = world
    small = match(asked, known, FIRST, Times(people, known, 1))
    large = match(asked, known, FIRST, Times(people, known, times))
    assert large.nobody >= small.nobody
    for crm_id, posterior in posteriors(small).items():
        assert posterior >= _of(large.candidates, crm_id)
    if small.reason is Reason.Unsure:
        assert large.state is not State.Matched


class Times:
    """So many CRMs of the same people in one; whoever is known is counted."""

    def __init__(self, people: int, known: Sequence[Candidate], times: int) -> None:
        names = [name for each in known for name in (*each.identity.names, *each.identity.birth_names)]
        self._census, self._times = Census(people), times
        self._parts = {part for name in names for part in (*name.family, *name.given)}

    @property
    def total(self) -> int:
        return self._census.total * self._times

    def family(self, part: str) -> int:
        return max(self._census.family(part), part in self._parts) * self._times

    def given(self, part: str) -> int:
        return max(self._census.given(part), part in self._parts) * self._times


def _of(candidates: Sequence[Judged], crm_id: str) -> float:
    return next(each.posterior for each in candidates if each.crm_id == crm_id)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["Côté-Gagnon", "Lefèvre", "Monnerville"]),
    st.sampled_from(["Marie-Ève", "Hélène", "François Noël"]),
    st.sampled_from([str.upper, str.lower, str.title]),
    st.sampled_from(["NFC", "NFD", "bare"]),
    st.sampled_from(["-", " ", "  "]),
)
def test_accents_case_and_hyphens_have_no_effect(
    family: str, given_name: str, case: Callable[[str], str], form: str, hyphen: str
) -> None:
    def spelt(text: str) -> str:
        text = unicodedata.normalize("NFC" if form == "NFC" else "NFD", case(text))
        if form == "bare":
            text = "".join(each for each in text if not unicodedata.combining(each))
        return text.replace("-", hyphen)

    known = Candidate("A", held(family, given_name, BORN, "F"))
    plain = match(seen(f"{family}^{given_name}", BORN, "F"), [known], FIRST, Census())
    assert match(seen(f"{spelt(family)}^{spelt(given_name)}", BORN, "F"), [known], FIRST, Census()) == plain
    assert plain.state is State.Matched


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_has_an_answer(one: str, other: str) -> None:
    asked = Identity(names=(*read_pn(one), NameParts((one,), (other,))), phones=(other,), sex=one)
    known = Identity(names=(read_fields(one, other),), phones=(one, other))
    found = match(asked, [Candidate(one, known), Candidate(f"{one}2", asked)], FIRST, Census())
    assert found.reason is not Reason.Failed
    assert found.state is not State.Matched
