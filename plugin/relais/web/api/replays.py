"""Replays: what past studies would have become under another configuration, before it is activated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import RowMapping

from relais.database import queries
from relais.database.queries.replays import ChangeFilter
from relais.domain.comparison import Fate, Kind, Line, ReplayState, Tally, summary
from relais.domain.document import Document, DocumentError, OneOf, Problem
from relais.replay import Span
from relais.texts_replay import sentence
from relais.web.answers import Answer, Done, Page, page_of
from relais.web.composition import Call
from relais.web.errors import invalid, not_found
from relais.web.permissions import Permission
from relais.web.questions import Nothing, Paging
from relais.web.routes import Routes

routes = Routes("/relais/v1/configuration")

Studies = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Days = Annotated[int, Field(strict=True, ge=1, le=3_650)]


class ReplayCommand(Document):
    """Which past studies: the newest so many, or all that were decided in the last so many days."""

    studies: Studies | None = Field(None, description="How many studies, the newest first.", examples=[1000])
    days: Days | None = Field(None, description="The studies of how many days.", examples=[30])

    def span(self) -> Span:
        """As the step takes it; raises RefusedError."""
        if (self.studies is None) is (self.days is None):
            raise invalid([Problem("Studies", "studies-or-days")])
        return Span(studies=self.studies, days=self.days)


class ProposedReplay(ReplayCommand):
    """A whole `Relais` section that a file may become, and which past studies."""

    document: Mapping[str, Any] = Field(
        description="The section; nothing of it is kept but what decides, and no secret.",
        examples=[{"Rules": [{"Name": "all", "DeliverTo": ["vna-qc"]}]}],
    )


class ChangeQuery(Paging):
    """Which changes."""

    kind: Annotated[Kind, OneOf(Kind)] | None = Field(None, description="What changes.", examples=["Added"])
    destination: str | None = Field(None, description="At which destination.", examples=["cloud"])


class ReplayLine(Answer):
    """So many studies, and what would become of them."""

    kind: Kind
    destination: str | None = Field(description="Null where the study itself changes.")
    studies: int
    text: str = Field(description="In the caller's language.")


class ReplayAnswer(Answer):
    """A comparison of the active with a proposed configuration, over past studies."""

    id: int
    state: ReplayState
    version: int | None = Field(description="The proposed version; null for a proposed section.")
    active: str = Field(description="SHA-256 of the configuration that was active.")
    proposed: str = Field(description="SHA-256 of the proposed one.")
    studies: int | None = Field(description="How many studies were asked for.")
    days: int | None = Field(description="The studies of how many days were asked for.")
    total: int | None = Field(description="How many studies there are to compare; null until that is known.")
    done: int = Field(description="How many were compared.")
    seconds_left: int | None
    changed: int = Field(description="How many studies would change.")
    unreadable: int = Field(description="How many have facts that this version cannot read.")
    changes: int = Field(description="How many changes can be listed, 50,000 at most.")
    summary: list[ReplayLine]
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None


class ReplayDestination(Answer):
    """How many studies go to a destination, and would."""

    destination: str | None = Field(description="Null for those that are held.")
    before: int
    after: int
    refused_before: int
    refused_after: int
    changes: dict[Kind, int] = Field(description="Studies by what changes for them here.")


class ReplayFlow(Answer):
    """How many studies take one way, and would."""

    calling_aet: str | None = Field(description="AE title of the sender; … for all beyond the first 300.")
    clinic: str | None
    destination: str | None = Field(description="Null where they are held.")
    fate: Fate
    before: int
    after: int


class ReplayDetail(ReplayAnswer):
    """A replay with its destinations and flows."""

    destinations: list[ReplayDestination]
    flows: list[ReplayFlow]


class ReplayChange(Answer):
    """One change of one study."""

    number: int
    study_instance_uid: str = Field(alias="StudyInstanceUID")
    clinic: str | None = Field(description="Of which clinic the study is now.")
    kind: Kind
    destination: str | None
    before: dict[str, Any] | None = Field(description="Null where there was nothing.")
    after: dict[str, Any] | None = Field(description="Null where there would be nothing.")


@routes.post(
    "/versions/<id:Number>/replay",
    Permission.ChangeConfiguration,
    ReplayDetail,
    body=ReplayCommand,
    statuses={404: "No such version.", 409: "Too many replays wait."},
)
def replay_version(call: Call, Number: int, body: ReplayCommand) -> ReplayDetail:  # noqa: N803
    """Compare the active configuration with this version, over past studies; answers at once, the work goes on."""
    return _started(call, Number, body)


@routes.get(
    "/versions/<id:Number>/replay", Permission.ViewReplays, ReplayDetail, statuses={404: "It was never replayed."}
)
def version_replay(call: Call, Number: int) -> ReplayDetail:  # noqa: N803
    """The newest replay of this version."""
    with call.relais.database.read() as connection:
        row = queries.replays.latest(connection, Number)
    if row is None:
        raise not_found("replay", Number)
    return detail_of(row, call.texts.language)


@routes.post(
    "/replays",
    Permission.ChangeConfiguration,
    ReplayDetail,
    body=ProposedReplay,
    statuses={409: "Too many replays wait."},
)
def replay_document(call: Call, body: ProposedReplay) -> ReplayDetail:
    """Compare the active configuration with a section that the file may become; answers at once, the work goes on."""
    return _started(call, body.document, body)


@routes.get("/replays", Permission.ViewReplays, Page[ReplayAnswer], query=Paging)
def find(call: Call, query: Paging) -> Page[ReplayAnswer]:
    """Replays, the newest first; the newest ten that are over are kept."""
    with call.relais.database.read() as connection:
        rows = queries.replays.find(connection, query.before, query.limit)
    return page_of(rows, query.limit, lambda row: answer_of(row, call.texts.language))


@routes.get("/replays/<id:Id>", Permission.ViewReplays, ReplayDetail, statuses={404: "No such replay."})
def one(call: Call, Id: int) -> ReplayDetail:  # noqa: N803
    """A replay as it stands, with what it found so far."""
    return _detail(call, Id)


@routes.get(
    "/replays/<id:Id>/changes",
    Permission.ViewReplays,
    Page[ReplayChange],
    query=ChangeQuery,
    statuses={404: "No such replay."},
)
def changes(call: Call, Id: int, query: ChangeQuery) -> Page[ReplayChange]:  # noqa: N803
    """What would change for which study, the newest study first; only studies of the caller's clinics."""
    wanted = ChangeFilter(kind=query.kind, destination=query.destination)
    with call.relais.database.read() as connection:
        if queries.replays.one(connection, Id) is None:
            raise not_found("replay", Id)
        rows = queries.replays.changes(connection, Id, wanted, call.caller.clinics, query.before, query.limit)
    following = str(rows[-1]["number"]) if len(rows) == query.limit else None
    return Page(items=[ReplayChange.model_validate(row) for row in rows], next=following)


@routes.post(
    "/replays/<id:Id>/cancel",
    Permission.ChangeConfiguration,
    Done,
    body=Nothing,
    statuses={404: "No such replay.", 409: "It is over."},
)
def cancel(call: Call, Id: int, body: Nothing) -> Done:  # noqa: ARG001, N803
    """End a replay; what it found so far stays."""
    call.relais.replay.cancel(Id, actor=call.caller.name)
    return Done()


def answer_of(row: RowMapping, language: str) -> ReplayAnswer:
    """A replay, without its tables."""
    return ReplayAnswer(**_fields(row, Tally.from_json(row["tally"]), language))


def detail_of(row: RowMapping, language: str) -> ReplayDetail:
    """A replay with its tables."""
    tally = Tally.from_json(row["tally"])
    return ReplayDetail(**_fields(row, tally, language), destinations=_destinations(tally), flows=_flows(tally))


def _started(call: Call, proposed: int | Mapping[str, Any], body: ReplayCommand) -> ReplayDetail:
    try:
        replay_id = call.relais.replay.start(proposed, body.span(), actor=call.caller.name)
    except DocumentError as error:
        prefix = "" if isinstance(proposed, int) else "Document."
        raise invalid(Problem(prefix + each.path, each.code, each.values) for each in error.problems) from None
    return _detail(call, replay_id)


def _detail(call: Call, replay_id: int) -> ReplayDetail:
    with call.relais.database.read() as connection:
        row = queries.replays.one(connection, replay_id)
    if row is None:
        raise not_found("replay", replay_id)
    return detail_of(row, call.texts.language)


def _fields(row: RowMapping, tally: Tally, language: str) -> dict[str, Any]:
    return {
        **{name: row[name] for name in row if name in ReplayAnswer.model_fields},
        "active": row["before_digest"],
        "proposed": row["after_digest"],
        "changed": tally.changed,
        "unreadable": tally.unreadable,
        "summary": [_line(line, language) for line in summary(tally)],
    }


def _line(line: Line, language: str) -> ReplayLine:
    text = sentence(line, language)
    return ReplayLine(kind=line.kind, destination=line.destination, studies=line.studies, text=text)


def _destinations(tally: Tally) -> list[ReplayDestination]:
    found = tally.totals()
    kinds: dict[str | None, dict[Kind, int]] = {name: {} for name in found}
    for (kind, destination), count in tally.ways.items():
        kinds[destination][kind] = count
    for kind in (Kind.Held, Kind.Released):
        if kind in tally.kinds:
            kinds[None][kind] = tally.kinds[kind]
    answers = []
    for name, changed in kinds.items():
        before, after = found[name]
        sent = Fate.Held if name is None else Fate.Sent
        answers.append(
            ReplayDestination(
                destination=name,
                before=before[sent],
                after=after[sent],
                refused_before=before[Fate.Refused],
                refused_after=after[Fate.Refused],
                changes=changed,
            )
        )
    return sorted(answers, key=lambda each: (each.destination is None, each.destination))


def _flows(tally: Tally) -> list[ReplayFlow]:
    return [
        ReplayFlow(**flow._asdict(), before=tally.before[flow], after=tally.after[flow])
        for flow in {**tally.before, **tally.after}
    ]
