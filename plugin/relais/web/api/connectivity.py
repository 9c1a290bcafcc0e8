"""Tests of a destination's connection: now, and those before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from relais.connectivity import Outcome, TestRunningError
from relais.domain.connectivity import Advice, Grade, StepName
from relais.domain.document import Flag
from relais.texts import _
from relais.texts_connectivity import advise, step_title
from relais.web.answers import Answer, Page
from relais.web.composition import Call
from relais.web.errors import RefusedError, not_found
from relais.web.permissions import Permission
from relais.web.questions import Command, Paging
from relais.web.routes import Routes
from relais.worker import StoppingError

routes = Routes("/relais/v1/destinations/<name:Name>")

RUNNING = _("A test of {name} is under way; wait for its end")
STOPPING = _("Relais stops; try again when it is back")


class ConnectivityCommand(Command):
    """What to test, and why; the audit keeps the reason."""

    store: Flag = Field(
        False,
        description="Whether a test object is stored as well, and found again; most archives cannot delete it.",
        examples=[True],
    )


class ConnectivityAdvice(Answer):
    """What was found, and what to do about it."""

    code: Advice
    text: str = Field(description="In the caller's language.")


class ConnectivityStep(Answer):
    """One step of a test."""

    name: StepName
    title: str = Field(description="In the caller's language.")
    grade: Grade
    milliseconds: int | None = Field(description="Null when it was not tried.")
    facts: dict[str, Any] = Field(description="What was measured or said, by name.")
    advice: list[ConnectivityAdvice]


class ConnectivityTest(Answer):
    """A test of a destination's connection."""

    id: int
    destination: str
    at: datetime
    milliseconds: int
    grade: Grade = Field(description="That of its worst step.")
    actor: str = Field(description="Who asked for it; relais for one from the schedule.")
    steps: list[ConnectivityStep]


@routes.post(
    "/test",
    Permission.ChangeDestinations,
    ConnectivityTest,
    body=ConnectivityCommand,
    statuses={409: "A test of it is under way."},
)
def test(call: Call, Name: str, body: ConnectivityCommand) -> ConnectivityTest:  # noqa: N803
    """Test the connection now: name, network, TLS, protocol, and a test object where asked for.

    The answer comes when the test is done: TimeoutSeconds of the destination and ten seconds at most.
    """
    try:
        outcome = call.relais.connectivity.test(Name, actor=call.caller.name, reason=body.reason, store=body.store)
    except TestRunningError:
        raise RefusedError(409, RUNNING, {"name": Name}) from None
    except StoppingError:
        raise RefusedError(503, STOPPING) from None
    return answer_of(outcome, call.texts.language)


@routes.get("/tests", Permission.ViewDestinations, Page[ConnectivityTest], query=Paging)
def tests(call: Call, Name: str, query: Paging) -> Page[ConnectivityTest]:  # noqa: N803
    """The tests of a destination, the newest first; the newest 500 are kept."""
    if Name not in call.relais.configuration.destinations:
        raise not_found("destination", Name)
    found = call.relais.connectivity.history(Name, query.before, query.limit)
    following = str(found[-1].id) if len(found) == query.limit else None
    return Page(items=[answer_of(each, call.texts.language) for each in found], next=following)


def answer_of(outcome: Outcome, language: str) -> ConnectivityTest:
    """A test in the words of a language."""
    steps = [
        ConnectivityStep(
            name=step["Name"],
            title=step_title(step["Name"], language),
            grade=step["Grade"],
            milliseconds=step["Milliseconds"],
            facts=step["Facts"],
            advice=[
                ConnectivityAdvice(code=code, text=advise(code, step["Facts"], language)) for code in step["Advice"]
            ],
        )
        for step in outcome.steps
    ]
    return ConnectivityTest(
        id=outcome.id,
        destination=outcome.destination,
        at=outcome.at,
        milliseconds=outcome.milliseconds,
        grade=outcome.grade,
        actor=outcome.actor,
        steps=steps,
    )
