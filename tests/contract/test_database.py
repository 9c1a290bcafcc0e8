"""Transactions and the schema's upgrade, on both databases."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, insert, inspect, select, text, update

from relais.database import Database, SchemaTooNewError, configuration_tables
from relais.database.database import MIGRATIONS
from relais.database.tables import feed

metadata = configuration_tables.version.metadata
NOON = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)


def put(database: Database, cursor: int, moment: datetime = NOON) -> None:
    with database.write() as connection:
        connection.execute(insert(feed).values(name="orthanc", cursor=cursor, anchor="", seen_at=moment))


def schema(connection: Connection) -> dict[str, object]:
    """All that the database says of its tables."""
    found = inspect(connection)

    def of(table: str) -> dict[str, object]:
        keys = sorted(found.get_foreign_keys(table), key=lambda key: key["constrained_columns"])
        return {
            "columns": {each["name"]: {**each, "type": repr(each["type"])} for each in found.get_columns(table)},
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "keys": [{name: value for name, value in each.items() if name != "name"} for each in keys],
            "uniques": sorted(each["column_names"] for each in found.get_unique_constraints(table)),
            "indexes": {
                each["name"]: (
                    each["column_names"],
                    each["unique"],
                    {k: str(v) for k, v in each["dialect_options"].items()},
                )
                for each in found.get_indexes(table)
            },
            "options": found.get_table_options(table),
        }

    return {table: of(table) for table in found.get_table_names()}


def test_an_upgrade_gives_the_tables_and_a_second_one_does_nothing(empty_url: str) -> None:
    database = Database(empty_url)
    assert database.upgrade()
    assert not database.upgrade()
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_a_new_database_is_like_one_that_every_migration_went_over(empty_url: str) -> None:
    database = Database(empty_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    assert database.upgrade()
    with database.read() as connection:
        migrated = schema(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    with database.write() as connection:
        for each in (*reversed(metadata.sorted_tables), Table("alembic_version", MetaData())):
            each.drop(connection)
    assert database.upgrade()
    with database.read() as connection:
        assert schema(connection) == migrated
    database.close()


def test_an_older_program_refuses_a_newer_schema(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError, match="9999"):
        database.upgrade()


def test_two_nodes_that_start_together_upgrade_once(empty_url: str) -> None:
    databases = [Database(empty_url), Database(empty_url)]
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
