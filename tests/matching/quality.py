"""What became of many questions whose answers are known: wrong ones, recall, reviews, calibration, time, replay."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from relais.domain.matching.decision import Match, Question, State
from relais.domain.matching.identity import Identity
from relais.domain.matching.model import Model
from relais.domain.matching.training import upper_bound

Ask = Callable[[Identity], Question]


@dataclass(frozen=True)
class Query:
    """A person as a study says them, who it is (None: not in the CRM), and what evidence the study carries."""

    asked: Identity
    crm_id: str | None
    evidence: str


@dataclass
class Tally:
    """Answers counted beside the truth."""

    present: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    useful: int = 0
    unlike_replayed: int = 0
    wrong: list[tuple[Query, Match]] = field(default_factory=list)
    looked: list[float] = field(default_factory=list)
    decided: list[float] = field(default_factory=list)
    calibration: defaultdict[int, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def count(self, query: Query, answer: Match) -> None:
        """One answer; a review is useful where the right person is among those shown."""
        outcome = answer.state.value
        if answer.state is State.Matched and answer.crm_id != query.crm_id:
            outcome = "Wrong"
            self.wrong.append((query, answer))
        (self.absent if query.crm_id is None else self.present)[outcome] += 1
        if answer.state is State.Review:
            self.reasons[answer.reason.value] += 1
            self.useful += query.crm_id in {each.crm_id for each in answer.candidates}
        for each in answer.candidates[:1]:
            self.calibration[min(int(each.posterior * 10), 9)].append(each.crm_id == query.crm_id)

    @property
    def asked(self) -> int:
        """How many questions."""
        return self.present.total() + self.absent.total()

    @property
    def matched(self) -> int:
        """How many were matched without a person, rightly or wrongly."""
        return self.present["Matched"] + len(self.wrong)

    @property
    def recall(self) -> float:
        """Which share of those in the CRM was matched rightly, without a person."""
        return self.present["Matched"] / max(self.present.total(), 1)

    @property
    def found(self) -> float:
        """Which share of those in the CRM was matched, or shown to a person."""
        return 1 - (self.present["Unmatched"] + self.present["Wrong"]) / max(self.present.total(), 1)

    @property
    def reviews(self) -> float:
        """Which share of all a person must look at."""
        return (self.present["Review"] + self.absent["Review"]) / max(self.asked, 1)

    @property
    def review_precision(self) -> float:
        """Which share of the reviews has the right person among those shown; all of none."""
        reviews = self.present["Review"] + self.absent["Review"]
        return self.useful / reviews if reviews else 1.0

    @property
    def false_nobody(self) -> float:
        """Which share of those in the CRM is said to be nobody."""
        return self.present["Unmatched"] / max(self.present.total(), 1)

    @property
    def wrong_share(self) -> float:
        """Which share of the questions was matched wrongly."""
        return len(self.wrong) / max(self.asked, 1)

    @property
    def wrong_at_most(self) -> float:
        """The upper bound of that share with 95 % confidence."""
        return upper_bound(len(self.wrong), self.asked)


def measure(queries: Iterable[Query], ask: Ask, model: Model) -> dict[str, Tally]:
    """Ask one by one, and replay each from its JSON; by kind of evidence, and all under the name "all"."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    stored = json.loads(json.dumps(model.to_json()))
    again = Model.from_json(stored)
    for query in queries:
        began = perf_counter()
        question = ask(query.asked)
        asked = perf_counter()
        answer = question.answer(model)
        ended = perf_counter()
        document = json.loads(json.dumps([question.to_json(), answer.to_json()]))
        replayed = Question.from_json(document[0]).answer(again).to_json()
        for name in {"all", query.evidence} - {""}:
            tallies[name].count(query, answer)
        whole = tallies["all"]
        whole.unlike_replayed += json.dumps(replayed) != json.dumps(document[1])
        whole.looked.append(asked - began)
        whole.decided.append(ended - began)
    return tallies


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed, in milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
