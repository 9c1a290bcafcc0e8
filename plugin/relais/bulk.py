"""What a person does to many deliveries at once: piece by piece, each delivery as if it were the only one.

A piece ends after some seconds, so that whoever asked sees progress and can stop; the next one goes on below the last
delivery that was looked at. What arrives meanwhile is not touched.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from relais.database import Database, queries
from relais.database.queries import Scope
from relais.database.queries.deliveries import DeliveryFilter
from relais.domain.states import DeliveryState as D
from relais.errors import StateError, UnknownError
from relais.ledger import Ledger

AT_ONCE = 500
"""Deliveries of one piece at most."""
SECONDS = 2.0
"""How long a piece may take; one delivery is always done."""
COUNTED = 100_000
"""What is left is counted up to here."""


class Act(StrEnum):
    """What a person may do to many deliveries."""

    Retry = "retry"
    Hold = "hold"
    Release = "release"
    Cancel = "cancel"
    Redirect = "redirect"


APPLIES: Mapping[Act, tuple[D, ...]] = {
    Act.Retry: (D.Scheduled, D.Failed, D.Blocked),
    Act.Hold: (D.Scheduled, D.InProgress),
    Act.Release: (D.Held,),
    Act.Cancel: (D.Scheduled, D.InProgress, D.Failed, D.Held, D.Blocked),
    Act.Redirect: (D.Scheduled, D.InProgress, D.Failed, D.Held, D.Blocked),
}
"""The deliveries that are meant where no state is named."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Who wants what done to which deliveries, and why; `destination` is where they are redirected."""

    act: Act
    wanted: DeliveryFilter
    scope: Scope
    actor: str
    reason: str
    destination: str = ""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A delivery to which it could not be done."""

    id: int
    error: StateError | UnknownError


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What was done, what could not be, and how many are `left` below the key `last`."""

    changed: tuple[int, ...]
    refused: tuple[Refusal, ...]
    left: int
    last: int | None


def work(database: Database, ledger: Ledger, order: Order, *, since: int | None, limit: int) -> Piece:
    """Do the next piece: at most `limit` deliveries, from below the key `since`; each in a transaction of its own."""
    wanted = order.wanted
    if wanted.state is None and wanted.ids is None:
        wanted = replace(wanted, states=APPLIES[order.act])
    with database.read() as connection:
        chosen = queries.deliveries.ids(connection, wanted, order.scope, since, limit)
    refused: list[Refusal] = []
    if wanted.ids is not None and since is None:
        unknown = sorted(set(wanted.ids) - set(chosen)) if len(chosen) < limit else []
        refused += [Refusal(id=each, error=UnknownError("delivery", each)) for each in unknown]
    changed: list[int] = []
    last = since
    until = time.monotonic() + SECONDS
    for last in chosen:
        try:
            _do(ledger, order, last)
            changed.append(last)
        except (StateError, UnknownError) as error:
            refused.append(Refusal(id=last, error=error))
        if time.monotonic() >= until:
            break
    with database.read() as connection:
        left = queries.deliveries.count(connection, wanted, order.scope, last, COUNTED) if chosen else 0
    return Piece(changed=tuple(changed), refused=tuple(refused), left=left, last=last)


def _do(ledger: Ledger, order: Order, delivery_id: int) -> None:
    if order.act is Act.Redirect:
        ledger.redirect(delivery_id, order.destination, actor=order.actor, reason=order.reason)
        return
    act = {Act.Retry: ledger.retry, Act.Hold: ledger.hold, Act.Release: ledger.release, Act.Cancel: ledger.cancel}
    act[order.act](delivery_id, actor=order.actor, reason=order.reason)
