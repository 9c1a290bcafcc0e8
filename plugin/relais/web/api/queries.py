"""Questions to many sources at once; answered when all have answered, or as they come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Response
from pydantic import Field

from relais.domain.document import Document, Flag, Name, NotEmpty, OneOf, Problem, Whole, path_of
from relais.domain.querying import Level
from relais.retrieval.queries import LIMIT, MOST_ANSWERS, MOST_SECONDS, Query, Question
from relais.texts_sources import say_error, say_note
from relais.web.answers import Done
from relais.web.answers_source import AskedAnswer, QueryAnswer
from relais.web.composition import Call
from relais.web.errors import invalid
from relais.web.permissions import Permission
from relais.web.routes import Routes, json_answer

routes = Routes("/relais/v1")

BEYOND = 5.0
"""Seconds beyond the sources' own in which their ends come in."""


class QueryBody(Document):
    """What is asked, and whom."""

    sources: Annotated[tuple[Name, ...], NotEmpty] | None = Field(
        None, description="Which sources; all that the caller may ask if not given.", examples=[["intelepacs"]]
    )
    level: Annotated[Level, OneOf(Level)] = Field(
        Level.Study, description="What is asked for: Patient, Study, Series or Instance.", examples=["Study"]
    )
    query: dict[str, Any] = Field(
        {},
        description="What must match, by DICOM keyword: a text with * and ?, a range of dates such as "
        "20260401-20260430, a list of texts; an empty text is only wanted back.",
        examples=[{"PatientName": "Gagné*", "StudyDate": "20260101-", "ModalitiesInStudy": ["PX", "CT"]}],
    )
    timeout: Annotated[Whole, Field(ge=1, le=MOST_SECONDS)] | None = Field(
        None,
        alias="TimeoutSeconds",
        description="How many seconds each source may take; its own TimeoutSeconds if not given.",
        examples=[20],
    )
    limit: Annotated[Whole, Field(ge=1, le=MOST_ANSWERS)] = Field(
        LIMIT, description="The most answers, of each source and of all.", examples=[100]
    )
    asynchronous: Flag = Field(
        False,
        description="Whether to answer at once (202); queries/{Id} then has what there is so far.",
        examples=[True],
    )


@routes.post(
    "/query",
    Permission.AskSources,
    QueryAnswer,
    body=QueryBody,
    statuses={
        202: "Asynchronous: what there is so far.",
        409: "There is no source to ask, or too much is being asked.",
    },
)
def ask(call: Call, body: QueryBody) -> Response | QueryAnswer:
    """Ask sources, each with its own time; the answers are put together, each with everyone who has it.

    Who asked which sources by which keywords is audited. Nothing of the answers is stored.
    """
    query = start(call, body)
    if body.asynchronous:
        return json_answer(QueryAnswer, answer_of(query, call.texts.language), 202)
    query.wait(_patience(call, query) + BEYOND)
    answer = answer_of(query, call.texts.language)
    call.relais.retrieval.queries.end(query.id, call.caller.name)
    return answer


@routes.get("/queries/<name:Id>", Permission.AskSources, QueryAnswer)
def one(call: Call, Id: str) -> QueryAnswer:  # noqa: N803
    """What there is so far of a question of one's own; it is forgotten a quarter of an hour after the last look."""
    return answer_of(call.relais.retrieval.queries.get(Id, call.caller.name), call.texts.language)


@routes.delete("/queries/<name:Id>", Permission.AskSources, Done)
def end(call: Call, Id: str) -> Done:  # noqa: N803
    """Ask no further, and forget the answers."""
    call.relais.retrieval.queries.end(Id, call.caller.name)
    return Done()


def start(call: Call, body: QueryBody) -> Query:
    """Begin to ask."""
    question = Question(
        level=body.level,
        keys=_texts(body.query),
        sources=body.sources,
        limit=body.limit,
        seconds=None if body.timeout is None else float(body.timeout),
    )
    return call.relais.retrieval.queries.ask(question, actor=call.caller.name, clinics=call.caller.clinics)


def answer_of(query: Query, language: str) -> QueryAnswer:
    """What there is so far, in the words of a language."""
    found = query.snapshot()
    dropped = [
        Problem("", "dropped", {"count": each.dropped, "source": each.name}) for each in found.sources if each.dropped
    ]
    return QueryAnswer(
        id=query.id,
        state=found.state,
        sources=[
            AskedAnswer(
                name=each.name,
                state=each.state,
                milliseconds=each.milliseconds,
                count=each.count,
                error=None if each.code is None else say_error(each.code, language),
            )
            for each in found.sources
        ],
        answers=[
            {
                **each.values,
                "Sources": list(each.sources),
                "Differs": {
                    keyword: [{"Source": source, "Value": value} for source, value in said]
                    for keyword, said in each.differs.items()
                },
            }
            for each in found.answers
        ],
        truncated=found.truncated,
        notes=[say_note(each.code, each.values, language) for each in (*found.notes, *dropped)],
    )


def _patience(call: Call, query: Query) -> float:
    """Seconds until the last source is through."""
    if query.question.seconds is not None:
        return query.question.seconds
    configured = call.relais.configuration.sources
    return float(max(configured[each.name].manners.timeout for each in query.snapshot().sources))


def _texts(query: Mapping[str, Any]) -> dict[str, str]:
    """The keys as texts; raises RefusedError where one is a sequence or another object."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for keyword, value in query.items():
        several = value if isinstance(value, list) else [value]
        if all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in several):
            found[keyword] = "\\".join(map(str, several))
        else:
            problems.append(Problem(path_of(("Query", keyword)), "key-not-askable", {"name": keyword[:64]}))
    if problems:
        raise invalid(problems)
    return found
