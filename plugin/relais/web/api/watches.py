"""Watches: what is new at a source; and prefetches: an order's priors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, select

from relais.database import queries
from relais.database.tables import lane, task
from relais.domain.states import Cause, TaskState
from relais.retrieval.watch import KIND, LANE
from relais.texts_retrieval import say_note
from relais.web.answers import Done, Page, page_of
from relais.web.answers_import import PollAnswer, PrefetchAnswer, WatchAnswer, WatchDetail
from relais.web.api.imports import words
from relais.web.composition import Call
from relais.web.errors import not_found
from relais.web.permissions import Permission
from relais.web.questions import Command
from relais.web.questions_import import PrefetchQuery
from relais.web.routes import Routes

routes = Routes("/relais/v1")

ONE = "/watches/<name:Name>"


@routes.get("/watches", Permission.ViewImports, Page[WatchAnswer])
def find(call: Call) -> Page[WatchAnswer]:
    """Every watch of a source that you may ask, and how it stands."""
    names = [name for name in call.relais.configuration.watches if _visible(call, name)]
    return Page(items=[WatchAnswer.model_validate(each) for each in _values(call, names)], next=None)


@routes.get(ONE, Permission.ViewImports, WatchDetail)
def one(call: Call, Name: str) -> WatchDetail:  # noqa: N803
    """One watch, and its last polls that found something, or failed."""
    _check(call, Name)
    with call.relais.database.read() as connection:
        rows = queries.retrievals.polls(connection, Name)
    polls = [PollAnswer.model_validate({**row, "error": words(call, row["error"])}) for row in rows]
    return WatchDetail.model_validate({**_values(call, [Name])[0], "polls": polls})


@routes.post(ONE + "/poll", Permission.ChangeWatches, Done, body=Command)
def poll(call: Call, Name: str, body: Command) -> Done:  # noqa: N803
    """Ask the source now."""
    _check(call, Name)
    call.relais.retrieval.watches.poll(Name, actor=call.caller.name, reason=body.reason)
    call.relais.worker.wake()
    return Done()


@routes.post(ONE + "/pause", Permission.ChangeWatches, Done, body=Command, statuses={409: "It is paused already."})
def pause(call: Call, Name: str, body: Command) -> Done:  # noqa: N803
    """Poll no more until it is resumed; what was missed is seen then."""
    _check(call, Name)
    call.relais.lanes.pause(LANE + Name, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/resume", Permission.ChangeWatches, Done, body=Command, statuses={409: "It is open already."})
def resume(call: Call, Name: str, body: Command) -> Done:  # noqa: N803
    """Poll again."""
    _check(call, Name)
    call.relais.lanes.resume(LANE + Name, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.get("/prefetches", Permission.ViewImports, Page[PrefetchAnswer], query=PrefetchQuery)
def prefetches(call: Call, query: PrefetchQuery) -> Page[PrefetchAnswer]:
    """For which orders earlier studies were looked for, and what came of it; the newest first."""
    with call.relais.database.read() as connection:
        rows = queries.retrievals.prefetches(
            connection, query.state, query.accession_number, call.caller.clinics, query.before, query.limit
        )
        imports = queries.retrievals.imports_of(connection, Cause.Prefetch, [str(row["id"]) for row in rows])

    def answer(row: RowMapping) -> PrefetchAnswer:
        notes = [say_note(each, call.texts.language) for each in row["notes"]]
        values = {**row, "order": row["accession_number"], "notes": notes, "imports": imports.get(str(row["id"]), [])}
        return PrefetchAnswer.model_validate(values)

    return page_of(rows, query.limit, answer)


def _values(call: Call, names: list[str]) -> list[Mapping[str, Any]]:
    configured = call.relais.configuration.watches
    with call.relais.database.read() as connection:
        known = queries.retrievals.watches(connection)
        keys = [f"{KIND}:{name}" for name in names]
        tasks = {row.key: row for row in connection.execute(select(task).where(task.c.key.in_(keys)))}
        lanes = [LANE + name for name in names]
        paused = select(lane.c.name).where(lane.c.name.in_(lanes), lane.c.paused_at.is_not(None))
        still = set(connection.execute(paused).scalars())
    answers: list[Mapping[str, Any]] = []
    for name in names:
        each, row, due = configured[name], known.get(name), tasks.get(f"{KIND}:{name}")
        state = "Failing" if row is not None and row["failures"] else "Waiting"
        if LANE + name in still:
            state = "Paused"
        elif due is not None and due.state == TaskState.Running:
            state = "Polling"
        answers.append(
            {
                "name": name,
                "source": each.source,
                "then": each.then.value,
                "state": state,
                "every_seconds": each.every.total_seconds(),
                "polled_at": row and row["polled_at"],
                "succeeded_at": row and row["succeeded_at"],
                "next_poll": due.run_at if due is not None and state not in ("Paused", "Polling") else None,
                "failures": row["failures"] if row else 0,
                "last_error": words(call, row["error"]) if row else None,
                "seen": row["seen"] if row else 0,
            }
        )
    return answers


def _visible(call: Call, name: str) -> bool:
    watched = call.relais.configuration.watches.get(name)
    return watched is not None and watched.source in call.relais.retrieval.queries.permitted(call.caller.clinics)


def _check(call: Call, name: str) -> None:
    if not _visible(call, name):
        raise not_found("watch", name)
