"""The rows of the table `version`, each call within its caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy import insert as insert_into

from relais.configuration.documents import digest_of
from relais.database.configuration_tables import version as table
from relais.domain.states import VERSION, VersionState
from relais.drafts import Version
from relais.errors import StateError, UnknownError

LOCK = 7363003
"""PostgreSQL's advisory lock of whoever changes versions."""
MOST = 500
"""The most versions that one list holds."""


def lock(connection: Connection) -> None:
    """Others that change versions wait until this transaction ends; SQLite has one writer at a time by itself."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def active(connection: Connection) -> Version | None:
    """The active version; None before the first one."""
    row = connection.execute(select(table).where(table.c.state == VersionState.Active)).one_or_none()
    return None if row is None else Version.of(row)


def active_digest(connection: Connection) -> str:
    """Its digest, empty before the first one."""
    return connection.execute(select(table.c.digest).where(table.c.state == VersionState.Active)).scalar() or ""


def get(connection: Connection, number: int) -> Version:
    """The version of this number; raises UnknownError."""
    row = connection.execute(select(table).where(table.c.number == number)).one_or_none()
    if row is None:
        raise UnknownError("version", number)
    return Version.of(row)


def in_state(connection: Connection, state: VersionState) -> list[Version]:
    """Every version in this state."""
    return [Version.of(row) for row in connection.execute(select(table).where(table.c.state == state)).all()]


def page(connection: Connection, since: int | None, limit: int) -> list[Version]:
    """The newest ones, those before number `since` if it is given."""
    statement = select(table).order_by(table.c.number.desc()).limit(min(limit, MOST))
    if since is not None:
        statement = statement.where(table.c.number < since)
    return [Version.of(row) for row in connection.execute(statement).all()]


def expect(connection: Connection, number: int, *states: VersionState, digest: str | None = None) -> Version:
    """The version, locked, in one of these states and with the digest that was seen; raises StateError otherwise."""
    lock(connection)
    found = get(connection, number)
    if found.state not in states:
        raise StateError("version-state", number=str(number), state=found.state.value)
    if digest is not None and found.digest != digest:
        raise StateError("draft-changed", number=str(number), editor=found.editors[-1])
    return found


def insert(
    connection: Connection,
    document: Mapping[str, Any],
    base: Version | None,
    *,
    actor: str,
    comment: str,
    now: datetime,
    digest: str | None = None,
) -> Version:
    """A new draft, with the next number."""
    number = (connection.execute(select(func.max(table.c.number))).scalar() or 0) + 1
    connection.execute(
        insert_into(table).values(
            number=number,
            document=dict(document),
            digest=digest or digest_of(document),
            based_on=None if base is None else base.number,
            state=VersionState.Draft,
            author=actor,
            editors=[actor],
            comment=comment,
            created_at=now,
            changed_at=now,
        )
    )
    return get(connection, number)


def move(connection: Connection, version: Version, state: VersionState, **values: Any) -> Version:
    """Change the row, if its state is still the one it was read with and may become this one; else StateError."""
    allowed = state in VERSION[version.state]
    statement = update(table).where(table.c.number == version.number, table.c.state == version.state)
    if not allowed or connection.execute(statement.values(state=state, **values)).rowcount == 0:
        raise StateError("version-state", number=str(version.number), state=version.state.value)
    return get(connection, version.number)
