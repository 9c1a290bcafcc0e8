"""Who is set aside changes no answer, and everybody is weighed as if they had been compared at length."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relais.domain.matching.compact import compact, expanded
from relais.domain.matching.decision import Candidate, Match, Question, Reason, State
from relais.domain.matching.evidence import total, weigh
from relais.domain.matching.identity import Identity
from relais.domain.matching.keys import keys_of
from relais.domain.matching.model import FIRST, Model
from relais.domain.matching.names import read_fields, read_text
from relais.domain.matching.sieve import SHOWN, Sieve
from relais.domain.patients import Patient, identity_of
from relais.patient_index import WRITTEN
from tests.domain.matching.golden import PAIRS, Census, held, seen
from tests.domain.matching.test_evidence import identities
from tests.matching.quebec import TODAY, crm

OTHER = Model.from_json(
    {
        **FIRST.to_json(),
        "Version": "other",
        "Weights": {
            **FIRST.weights,
            "Address.Different": 3.0,
            "Identifier.Untyped": 30.0,
            "Identifier.Different": -1.5,
        },
        "Overrule": 20.0,
        "Review": 0.0,
        "IdentifierLeast": 2.0000005,
    }
)
"""A model in which little is as usual."""
MODELS = st.sampled_from([FIRST, OTHER])
SIZES = st.sampled_from([1, 500, 1_000_000])
crowds = st.lists(identities, max_size=9)
flags = st.sampled_from([{}, {}, {}, {"confirmed": True}, {"rejected": True}])


def answers(
    asked: Identity, known: Sequence[Candidate], model: Model, census: Census, **options: Any
) -> tuple[Match, Match, Question]:
    """Asked of everybody, and of those whom the sieve lets through."""
    people = {each.crm_id: compact(each.identity) for each in known}
    confirmed = {each.crm_id for each in known if each.confirmed}
    rejected = {each.crm_id for each in known if each.rejected}
    kept, aside = Sieve(asked, model, census).sift(people, confirmed, rejected)
    some = [each for each in known if each.crm_id in kept]
    question = Question.of(asked, some, census, aside=aside, **options)
    return Question.of(asked, known, census, **options).answer(model), question.answer(model), question


def assert_same(whole: Match, sifted: Match) -> None:
    """The same to the last digit, but for the rounding of the posteriors."""
    assert sifted.nobody == pytest.approx(whole.nobody, abs=2e-12)
    assert [each.posterior for each in sifted.candidates] == pytest.approx(
        [each.posterior for each in whole.candidates], abs=2e-12
    )
    assert _without_posteriors(sifted) == _without_posteriors(whole)


def _without_posteriors(found: Match) -> Match:
    return replace(found, nobody=0.0, candidates=tuple(replace(each, posterior=0.0) for each in found.candidates))


@settings(max_examples=150, deadline=None)
@given(identities, crowds, MODELS, SIZES)
def test_everybody_is_weighed_as_if_compared_at_length(
    asked: Identity, crowd: list[Identity], model: Model, people: int
) -> None:
    sieve = Sieve(asked, model, Census(people))
    expected = [total(weigh(asked, each, model, Census(people))) for each in crowd]
    assert sieve.totals(map(compact, crowd)) == expected


@settings(max_examples=200, deadline=None)
@given(identities, st.lists(st.tuples(identities, flags), max_size=9), MODELS, SIZES, st.booleans())
def test_who_is_set_aside_changes_no_answer(
    asked: Identity, crowd: list[tuple[Identity, dict[str, bool]]], model: Model, people: int, capped: bool
) -> None:
    known = [Candidate(letter, each, **flag) for letter, (each, flag) in zip("ABCDEFGHI", crowd, strict=False)]
    whole, sifted, question = answers(asked, known, model, Census(people), capped=capped)
    assert_same(whole, sifted)
    assert Question.from_json(question.to_json()).answer(model) == sifted


@pytest.mark.parametrize("people", [500, 1_000_000])
def test_a_hard_pair_has_the_same_answer_in_a_crowd(people: int) -> None:
    everybody = sorted({each.identity for pair in PAIRS for each in pair.known}, key=compact)
    random = Random(people)
    aside = 0
    for pair in PAIRS:
        crowd = [Candidate(f"Z-{place}", each) for place, each in enumerate(random.sample(everybody, 30))]
        usual = [replace(each, ordered=False) for each in pair.known]
        known = list({each.crm_id: each for each in (*usual, *crowd)}.values())
        whole, sifted, question = answers(pair.asked, known, FIRST, Census(people))
        assert_same(whole, sifted)
        aside += len(known) - len(question.candidates)
    assert aside > 20 * len(PAIRS)


def test_of_a_crowd_only_the_best_matter() -> None:
    asked = seen("MONNERVILLE^HELENE", "1984-07-19", "F")
    names = ("Roy", "Gagnon", "Tremblay", "Monnervile", "Côté", "Le Roy", "Caron-Roy")
    crowd = [
        Candidate(f"C-{number}", held(names[number % 7], "Hélène", f"19{number}-03-05", "F"))
        for number in range(10, 90)
    ]
    whole, sifted, question = answers(asked, crowd, FIRST, Census())
    assert (sifted.state, sifted.reason) == (State.Unmatched, Reason.Nobody)
    assert len(question.candidates) == SHOWN
    assert question.aside > 0
    assert_same(whole, sifted)


def test_a_question_from_before_anybody_was_set_aside_is_answered_as_it_was() -> None:
    asked = seen("MONNERVILLE^HELENE", "1984-07-19", "F")
    question = Question.of(asked, [Candidate("A", held("Monnerville", "Hélène", "1984-07-19", "F"))], Census())
    stored = {key: value for key, value in question.to_json().items() if key != "Aside"}
    assert Question.from_json(stored) == question


# --- the line in which a person is kept -------------------------------------------------------------------------------

written = st.text(max_size=12) | st.text("ABÉ?'-^=,\t\n\x1f\x1e\x85\u2028\xa0 12", max_size=12)


@settings(max_examples=200, deadline=None)
@given(written, written, st.lists(written, max_size=2), identities)
def test_what_is_written_of_a_person_is_read_as_it_was(
    family: str, given_name: str, more: list[str], identity: Identity
) -> None:
    names = (*identity.names, read_fields(family, given_name), *(name for each in more for name in read_text(each)))
    person = replace(identity, names=names)
    assert expanded(compact(person)) == person


def test_what_no_reader_made_is_not_written() -> None:
    with pytest.raises(ValueError, match="8"):
        compact(Identity(phones=("514\n555",)))


def test_who_reads_people_otherwise_raises_the_version() -> None:
    """A new digest needs a new `VERSION` of the line or of the keys: what is stored is then made anew."""
    people = [identity_of(Patient.model_validate(each), TODAY) for each in crm(300, seed=1)]
    people += [each.identity for pair in PAIRS for each in pair.known]
    lines = [f"{compact(each)} {sorted(keys_of(each))}" for each in people]
    assert (WRITTEN, sha256("\n".join(lines).encode()).hexdigest()[:16]) == ("1.2", "19a712ec0e4774e9")
