"""What only the pages ask, over SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from relais.database import Database, queries
from relais.database.queries.deliveries import DeliveryFilter
from relais.database.queries.studies import StudyFilter
from tests.servers.rows import START, add_delivery, add_notification, add_study


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    database = Database(database_url)
    database.upgrade()
    with database.write() as connection:
        yield connection
    database.close()


def test_newer_studies_are_counted_by_the_same_filters(connection: Connection) -> None:
    first = add_study(connection, modality="PX")
    for modality in ("PX", "IO", "PX"):
        add_study(connection, modality=modality)
    assert queries.studies.newer(connection, StudyFilter(), None, first) == 3
    assert queries.studies.newer(connection, StudyFilter(modality="PX"), None, first) == 2
    assert queries.studies.newer(connection, StudyFilter(), None, first, limit=1) == 1
    assert queries.studies.newer(connection, StudyFilter(), ["laval"], first) == 0


def test_shown_rows_are_asked_again_within_the_scope(connection: Connection) -> None:
    mine, other = add_study(connection, clinic="outremont"), add_study(connection, clinic="laval")
    deliveries = [add_delivery(connection, each) for each in (mine, other)]
    notices = [add_notification(connection, each) for each in (mine, other)]
    scope = ["outremont"]
    assert [row["id"] for row in queries.studies.of_ids(connection, [mine, other], scope)] == [mine]
    assert [row["id"] for row in queries.deliveries.of_ids(connection, deliveries, scope)] == deliveries[:1]
    assert [row["id"] for row in queries.notifications.of_ids(connection, notices, scope)] == notices[:1]


def test_every_modality_is_named_once(connection: Connection) -> None:
    assert queries.studies.modalities(connection) == []
    for modality in ("PX", "CT", "PX", "IO"):
        add_study(connection, modality=modality)
    assert queries.studies.modalities(connection) == ["CT", "IO", "PX"]


def test_a_source_is_counted_once_a_study(connection: Connection) -> None:
    study_id = add_study(connection)
    add_delivery(connection, study_id, "vna")
    add_delivery(connection, study_id, "cloud")
    add_study(connection)
    counted = queries.studies.sources_since(connection, START - timedelta(days=1), None)
    assert list(counted.values()) == [2]
    assert queries.studies.sources_since(connection, START + timedelta(days=1000), None) == {}


def test_what_is_owed_is_counted_and_listed(connection: Connection) -> None:
    study_id = add_study(connection, clinic="outremont")
    for destination, state in (("vna", "Failed"), ("cloud", "Completed"), ("far", "Scheduled")):
        add_delivery(connection, study_id, destination, state=state)
    counts = queries.deliveries.count_owed(connection, None, None)
    assert counts == {"Failed": 1, "Scheduled": 1}
    assert queries.deliveries.count_owed(connection, "vna", ["outremont"]) == {"Failed": 1}
    assert queries.deliveries.count_owed(connection, None, ["laval"]) == {}
    rows = queries.deliveries.find(connection, DeliveryFilter(owed=True), None, None, 50)
    assert [row["destination"] for row in rows] == ["far", "vna"]


def test_one_state_is_counted(connection: Connection) -> None:
    for state in ("Held", "Held", "Routed"):
        add_study(connection, state=state)
    add_notification(connection, None)
    assert queries.studies.count_in_state(connection, "Held", None) == 2
    assert queries.studies.count_in_state(connection, "Held", ["nowhere"]) == 0
    assert queries.notifications.count_in_state(connection, "Failed") == 0
