"""Transactions and the schema's upgrade, on both databases."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, text, update

from relais.database import Database, SchemaTooNewError, configuration_tables
from relais.database.tables import feed

metadata = configuration_tables.version.metadata
NOON = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)


def put(database: Database, cursor: int, moment: datetime = NOON) -> None:
    with database.write() as connection:
        connection.execute(insert(feed).values(name="orthanc", cursor=cursor, anchor="", seen_at=moment))


def test_an_upgrade_gives_the_tables_and_a_second_one_does_nothing(database_url: str) -> None:
    database = Database(database_url)
    assert database.upgrade()
    assert not database.upgrade()
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_an_older_program_refuses_a_newer_schema(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError, match="9999"):
        database.upgrade()


def test_two_nodes_that_start_together_upgrade_once(database_url: str) -> None:
    databases = [Database(database_url), Database(database_url)]
    problems: list[BaseException] = []

    def upgrade(database: Database) -> None:
        try:
            database.upgrade()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            problems.append(error)

    threads = [threading.Thread(target=upgrade, args=(each,)) for each in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in databases:
        each.close()
    assert problems == []


def test_a_time_comes_back_as_the_same_moment_in_utc(database: Database) -> None:
    put(database, 1, NOON.astimezone(timezone(timedelta(hours=-4))))
    with database.read() as connection:
        found = connection.execute(select(feed.c.seen_at)).scalar_one()
    assert found == NOON
    assert found.utcoffset() == timedelta(0)


def test_an_exception_rolls_everything_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute(insert(feed).values(name="orthanc", cursor=1, anchor="", seen_at=NOON))
        _ = 1 / 0
    with database.read() as connection:
        assert connection.execute(select(feed)).all() == []


def test_writers_queue_and_lose_nothing(database: Database) -> None:
    put(database, 0)

    def add() -> None:
        for _ in range(20):
            with database.write() as connection:
                connection.execute(update(feed).values(cursor=feed.c.cursor + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(select(feed.c.cursor)).scalar_one() == 80


def test_sqlite_survives_a_power_cut(database: Database) -> None:
    if not database.sqlite:
        pytest.skip("SQLite only")
    with database.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
