"""A CRM in memory: found by the same keys as in a database, without its cap."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from relais.domain.matching.decision import Candidate, Question
from relais.domain.matching.identity import Identity
from relais.domain.matching.keys import Key, keys_asked, keys_of
from relais.domain.matching.training import Example
from tests.matching.quality import Query


class Memory:
    """People by their CRM id; also the frequencies of their names."""

    def __init__(self, people: Iterable[tuple[str, Identity]]) -> None:
        self._people = dict(people)
        self._found: defaultdict[Key, list[str]] = defaultdict(list)
        self._families, self._givens = Counter[str](), Counter[str]()
        for crm_id, identity in self._people.items():
            for key in keys_of(identity):
                self._found[key].append(crm_id)
            names = (*identity.names, *identity.birth_names)
            self._families.update({part for name in names for part in name.family})
            self._givens.update({part for name in names for part in name.given})

    @property
    def total(self) -> int:
        """People in the CRM."""
        return len(self._people)

    def family(self, part: str) -> int:
        """How many have it in their family name."""
        return self._families[part]

    def given(self, part: str) -> int:
        """How many have it in their given name."""
        return self._givens[part]

    def ask(self, asked: Identity) -> Question:
        """What the kernel is asked of that person."""
        found = {crm_id for key in keys_asked(asked) for crm_id in self._found.get(key, ())}
        return Question.of(asked, [Candidate(crm_id, self._people[crm_id]) for crm_id in sorted(found)], self)

    def example(self, query: Query) -> Example:
        """A question whose answer is known, as a person would have given it."""
        return Example(question=self.ask(query.asked), by_person=True, crm_id=query.crm_id)
