"""What the questions of all rules see of one study: each field is read once, however many ask for it."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from relais.domain.facts import Facts, Values
from relais.domain.fields import is_dicom, read_field
from relais.domain.outcomes import ConditionOutcome
from relais.domain.words import fold_blanks

SHOWN_VALUES, SHOWN_CHARACTERS = 20, 200


class Look(dict[str, Values]):
    """The values of the fields by name."""

    def __init__(self, facts: Facts, now: datetime) -> None:
        """See these facts at the instant `now` (aware)."""
        super().__init__()
        self.facts = facts
        self.local = now.astimezone(ZoneInfo(facts.time_zone))
        self.folded = _Folded(self)
        self._shown: dict[str, Values] = {}
        self.answered: dict[str, bool] = {}
        """How questions and named conditions were answered, by what they ask."""
        self.outcomes: dict[str, ConditionOutcome] = {}
        """The same with what was seen, as far as that was asked for."""

    def __missing__(self, name: str) -> Values:
        values = self[name] = read_field(name, self.facts, self.local)
        return values

    def shown(self, name: str) -> Values:
        """The values as they are shown and stored: not too many, and none too long."""
        found = self._shown.get(name)
        if found is None:
            found = self._shown[name] = tuple(map(shorten, self[name][:SHOWN_VALUES]))
        return found

    @cached_property
    def series(self) -> tuple[Look, ...]:
        """A look at each series by itself."""
        anywhere = {keyword for series in self.facts.series for keyword in series}
        study = {keyword: values for keyword, values in self.facts.study.items() if keyword not in anywhere}
        return tuple(
            _OneSeries(self, self.facts.model_copy(update={"study": study, "series": (series,)}))
            for series in self.facts.series
        )


class _OneSeries(Look):
    """Sees the DICOM keywords of one series, and those that no series has of the study; anything else as outside."""

    def __init__(self, whole: Look, facts: Facts) -> None:
        super().__init__(facts, whole.local)
        self._whole = whole

    def __missing__(self, name: str) -> Values:
        values = self[name] = read_field(name, self.facts, self.local) if is_dicom(name) else self._whole[name]
        return values


class _Folded(dict[str, Values]):
    """The same values without case, accents and repeated blanks."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look

    def __missing__(self, name: str) -> Values:
        values = self[name] = tuple(fold_blanks(value).strip() for value in self._look[name])
        return values


def shorten(value: str) -> str:
    """The value, or its beginning."""
    return value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…"
