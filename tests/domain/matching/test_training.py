"""What a model learns, what it never does, and what an evaluation says."""

import json
from random import Random

import pytest

from relais.domain.matching.decision import Candidate, Question
from relais.domain.matching.model import FIRST
from relais.domain.matching.training import ONE_PERSON, Example, evaluate, learn, upper_bound
from tests.domain.matching.pairs import Census, held, seen

SURNAMES = [f"{first}{last}" for first in ("Mon", "Bel", "Char", "Du", "Gau") for last in ("nard", "vigny", "tois")]


def examples(number: int, *, wrong_sex: float = 0.0, phones: float = 1.0) -> list[Example]:
    """Studies of as many people, each known to the CRM; so often sex or phone is another."""
    random = Random(number)
    made = []
    for place in range(number):
        born = f"19{random.randrange(30, 99)}-0{random.randrange(1, 10)}-1{random.randrange(10)}"
        family, given = random.choice(SURNAMES), random.choice(["Odile", "Zoé", "Guy", "Luc"])
        phone = f"514 555 {1000 + place}"
        known = held(family, given, born, "F", phone=phone, mrn=f"B-1{place:05}")
        sex = "M" if random.random() < wrong_sex else "F"
        other = phone if random.random() < phones else "418 555 0000"
        asked = seen(f"{family}^{given}", born, sex, phone=other, mrn=f"B-1{place:05}")
        question = Question.of(asked, [Candidate(str(place), known)], Census(number))
        made.append(Example(question=question, by_person=place % 2 == 0, crm_id=str(place)))
    return made


def test_weights_follow_what_is_seen() -> None:
    clean, noisy = (learn(examples(120, phones=share), FIRST, version="x").weights for share in (0.99, 0.3))
    assert clean["Phone.Same"] > noisy["Phone.Same"]
    assert clean["Phone.Different"] < noisy["Phone.Different"]
    careless = learn(examples(120, wrong_sex=0.3), FIRST, version="x").weights
    assert careless["Sex.Different"] > clean["Sex.Different"]


def test_several_studies_of_one_person_are_not_those_of_strangers() -> None:
    once, often = (learn(examples(24) * times, FIRST, version="x").weights for times in (1, 5))
    for name in ("Identifier.Same", "Phone.Same"):
        assert often[name] > once[name] - 0.1


def test_a_learnt_model_keeps_thresholds_and_shares() -> None:
    model = learn(examples(40), FIRST, version="next")
    document, first = model.to_json(), FIRST.to_json()
    assert {name for name in document if document[name] != first[name]} == {"Version", "Weights"}
    assert model.version == "next"


def test_to_learn_again_is_the_same() -> None:
    assert learn(examples(40), FIRST, version="x") == learn(examples(40), FIRST, version="x")


def test_from_nothing_nothing_is_learnt() -> None:
    assert learn([], FIRST, version="x").weights == pytest.approx(dict(FIRST.weights), abs=1e-5)


def test_what_people_said_is_not_learnt_from() -> None:
    asked = examples(40)
    turned = [Example(question=each.question, by_person=True, crm_id=None) for each in asked]
    assert learn(turned, FIRST, version="x") == learn(asked, FIRST, version="x")


def test_every_learnt_weight_is_one_of_the_model() -> None:
    assert {*ONE_PERSON, "Order.Swapped"} == set(FIRST.weights)


def test_an_evaluation_counts_beside_people() -> None:
    asked = examples(40)
    told = evaluate(asked, FIRST)
    assert (told["Questions"], told["Matched"], told["AnsweredByPeople"], told["Wrong"]) == (40, 40, 20, 0)
    assert (told["Recall"], told["Digest"]) == (1.0, FIRST.digest)
    turned = [Example(question=each.question, by_person=True, crm_id="somebody else") for each in asked]
    told = evaluate(turned, FIRST)
    assert (told["Wrong"], told["WrongAtMost"], told["Recall"]) == (40, 1.0, 0.0)
    assert evaluate([], FIRST)["Recall"] is None


@pytest.mark.parametrize(
    ("wrong", "judged", "bound"), [(0, 100_000, 2.9957e-5), (0, 20, 0.1391), (3, 100, 0.0757), (5, 5, 1.0), (0, 0, 1.0)]
)
def test_the_upper_bound_is_that_of_clopper_and_pearson(wrong: int, judged: int, bound: float) -> None:
    assert upper_bound(wrong, judged) == pytest.approx(bound, rel=2e-3)


def test_an_example_is_read_as_it_was_exported() -> None:
    example = examples(1)[0]
    line = json.dumps({"Question": example.question.to_json(), "ByPerson": True, "CrmId": "0"})
    assert Example.from_json(json.loads(line)) == example
