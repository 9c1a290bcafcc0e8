"""A delivery as pages show it: how far it is, what it waits for, why it is owed, and what a person may do to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, RowMapping

from relais.domain.priority import Priority
from relais.domain.states import DeliveryState
from relais.web.composition import current_call
from relais.web.pages import actions
from relais.web.pages.reasons import PRIORITIES, reasons
from relais.web.pages.shell import say
from relais.web.waits import WORDS, Waiting


def shown(connection: Connection, rows: Iterable[RowMapping]) -> list[dict[str, Any]]:
    """Rows of `queries.deliveries`, ready for the templates."""
    relais = current_call().relais
    waiting = Waiting(connection, relais.configuration, relais.clock.now())
    return [_shown(row, waiting) for row in rows]


def _shown(row: RowMapping, waiting: Waiting) -> dict[str, Any]:
    state = DeliveryState(row["state"])
    waits = waiting.of(row)
    under_way = current_call().relais.deliver.progress.get(row["id"], 0)
    through = min(row["delivered"] + under_way, row["instances"])
    return {
        **row,
        "delivered": through,
        # A destination that does not receive all of a study is done with what it receives.
        "instances": through if state is DeliveryState.Completed else row["instances"],
        "priority": Priority(row["priority"]).name,
        "urgency": say(PRIORITIES[Priority(row["priority"]).name]),
        "waits": None if waits is None else say("waits for {what}", what=say(WORDS[waits.for_])),
        "until": None if waits is None else waits.until,
        "whys": reasons(row["reasons"], canceled=state is DeliveryState.Canceled),
        "actions": actions.OF_DELIVERY[state],
    }


def choices(current: str | None = None) -> list[tuple[str, str]]:
    """Where a delivery may be redirected: what is posted, and what is read."""
    return [(name, name) for name in current_call().relais.configuration.destinations if name != current]
