"""Tasks: above all the dead letters, which wait for a person."""

from __future__ import annotations

from relais.database import queries
from relais.web.answers import Done, Page, page_of
from relais.web.answers_operation import TaskAnswer
from relais.web.composition import Call
from relais.web.errors import not_found
from relais.web.permissions import Permission
from relais.web.questions import Command, TaskQuery
from relais.web.routes import Routes

routes = Routes("/relais/v1/tasks")


@routes.get("", Permission.ViewTasks, Page[TaskAnswer], query=TaskQuery)
def find(call: Call, query: TaskQuery) -> Page[TaskAnswer]:
    """Tasks, the one made last first."""
    with call.relais.database.read() as connection:
        rows = queries.tasks.find(connection, query.state, query.before, query.limit)
    return page_of(rows, query.limit, TaskAnswer.model_validate)


@routes.post("/<id:Id>/restart", Permission.ChangeTasks, Done, body=Command)
def restart(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """Try a dead letter afresh, now."""
    with call.relais.database.write() as connection:
        if not call.relais.tasks.restart(connection, Id):
            raise not_found("task", Id)
        call.relais.journal.record(connection, "task.restarted", actor=call.caller.name, Task=Id, Reason=body.reason)
    return Done()
