"""The hash chain: every change that a person or Relais makes, in the order it was committed.

Each event carries the hash of the one before it; the event is written in the transaction of what it records. One chain
a node, so that nodes never wait for each other. A chain alone can be rewritten by whoever owns the database: its head
is meant to be kept elsewhere as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from relais.clock import Clock
from relais.database import Database, upsert
from relais.database.tables import audit, audit_head

GENESIS = "0" * 64

_HEAD = select(audit_head).where(audit_head.c.node == bindparam("chain")).with_for_update()
_EVENT = insert(audit)
_MOVE_HEAD = (
    update(audit_head)
    .where(audit_head.c.node == bindparam("chain"))
    .values(number=bindparam("last"), hash=bindparam("digest"))
)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a check of one node's chain found; `broken_at` is the first event that does not fit."""

    node: str
    events: int
    head: str
    broken_at: int | None
    reason: str | None


class Audit:
    """One node's chain."""

    def __init__(self, clock: Clock, node: str) -> None:
        self._clock = clock
        self.node = node

    def append(
        self,
        connection: Connection,
        *,
        actor: str,
        action: str,
        study_instance_uid: str | None,
        detail: Mapping[str, Any],
    ) -> None:
        """Append an event within the caller's transaction; the chain's head stays locked until that ends."""
        mine = {"chain": self.node}
        head = connection.execute(_HEAD, mine).one_or_none()
        if head is None:
            first = upsert(connection.dialect.name, audit_head).values(node=self.node, number=0, hash=GENESIS)
            connection.execute(first.on_conflict_do_nothing())
            head = connection.execute(_HEAD, mine).one()
        row = {
            "node": self.node,
            "number": head.number + 1,
            "at": self._clock.now(),
            "actor": actor,
            "action": action,
            "study_instance_uid": study_instance_uid,
            "detail": dict(detail),
            "previous": head.hash,
        }
        digest = _digest(row)
        connection.execute(_EVENT, row | {"hash": digest})
        connection.execute(_MOVE_HEAD, mine | {"last": row["number"], "digest": digest})


def verify(database: Database) -> list[Verification]:
    """Walk every node's chain from its beginning to its head."""
    with database.read() as connection:
        heads = connection.execute(select(audit_head).order_by(audit_head.c.node)).all()
        return [_verify(connection, head.node, head.number, head.hash) for head in heads]


def _verify(connection: Connection, node: str, number: int, head: str) -> Verification:
    previous, count = GENESIS, 0
    statement = select(audit).where(audit.c.node == node).order_by(audit.c.number)
    with connection.execution_options(yield_per=1000).execute(statement) as events:
        for row in events:
            count += 1
            reason = None
            if row.number != count:
                reason = f"event {count} is missing"
            elif row.previous != previous:
                reason = "it does not name the event before it"
            elif row.hash != _digest(row._asdict()):
                reason = "it was changed after it was written"
            if reason is not None:
                return Verification(node=node, events=count, head=head, broken_at=count, reason=reason)
            previous = row.hash
    if count != number or previous != head:
        return Verification(
            node=node,
            events=count,
            head=head,
            broken_at=count + 1,
            reason=f"{number} events were written, {count} are here",
        )
    return Verification(node=node, events=count, head=head, broken_at=None, reason=None)


def _digest(row: Mapping[str, Any]) -> str:
    """SHA-256 over the event's canonical JSON, the previous hash included."""
    at: datetime = row["at"]
    document = {
        "Node": row["node"],
        "Number": row["number"],
        "At": at.isoformat(timespec="microseconds"),
        "Actor": row["actor"],
        "Action": row["action"],
        "StudyInstanceUID": row["study_instance_uid"],
        "Detail": row["detail"],
        "Previous": row["previous"],
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
