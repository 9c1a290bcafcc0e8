"""What a test of a source looks at: the network and the protocol as for destinations, and then it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from relais.configuration.sources import DicomSource
from relais.configuration.sources import Source as Configured
from relais.domain.connectivity import Advice, Found, StepName
from relais.domain.querying import Answer, Level, SourceState, range_text
from relais.transports.probes import Action, Ourselves, Plan, dicom_source, web_source
from relais.transports.sources.port import AskingError, Source

DAYS = 7
MOST = 10
"""Studies of the last days that are asked for; they are counted and forgotten."""
_ADVICE = {
    SourceState.TimedOut: Advice.QuestionSilent,
    SourceState.Unreachable: Advice.QuestionBroken,
    SourceState.Refused: Advice.QuestionRefused,
}


def plan_of_source(configured: Configured, source: Source, ourselves: Ourselves) -> Plan:
    """The plan of a test."""
    if isinstance(configured, DicomSource):
        plan = dicom_source(configured, ourselves)
    else:
        plan = web_source(configured, configured.token.resolve() if configured.token else None)
    ended = threading.Event()

    def close() -> None:
        ended.set()
        plan.close()

    steps: Mapping[StepName, Action | None] = {**plan.steps, StepName.Question: _question(source, ended)}
    return Plan(steps=steps, close=close)


def _question(source: Source, ended: threading.Event) -> Callable[[float], Found]:
    def ask(seconds: float) -> Found:
        today = datetime.now(UTC).date()
        keys = {"StudyDate": range_text(today - timedelta(days=DAYS), today + timedelta(days=1))}
        answers: list[Answer] = []
        facts: dict[str, Any] = {"Days": DAYS}
        try:
            found = source.find(Level.Study, keys, limit=MOST, seconds=seconds, stopping=ended, take=answers.append)
        except AskingError as error:
            return Found(facts={**facts, "Code": error.code}, advice=(_ADVICE[error.state],))
        return Found(facts={**facts, "Answers": len(answers), "More": found.truncated, "WithoutUid": found.dropped})

    return ask
