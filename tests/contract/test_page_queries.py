"""What only the pages ask, over SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from relais.database import Database, queries
from relais.database.queries.deliveries import DeliveryFilter
from relais.database.queries.studies import StudyFilter
from relais.database.tables import attempt, gap, instance, series
from tests.servers.rows import START, add_audit, add_delivery, add_notification, add_study


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    database = Database(database_url)
    database.upgrade()
    with database.write() as connection:
        yield connection
    database.close()


def add_instance(connection: Connection, study_id: int, sequence: int) -> int:
    """An image of a study, in a series of its own."""
    uid = f"1.2.{study_id}"
    row = {"study_id": study_id, "series_instance_uid": f"{uid}.0.{sequence}", "orthanc_id": "s", "modality": "PX"}
    values = row | {"number": "1", "description": "", "instances": 1}
    series_id = connection.execute(insert(series).values(values).returning(series.c.id)).scalar_one()
    image = {
        "study_id": study_id,
        "series_id": series_id,
        "sop_instance_uid": f"{uid}.{sequence}",
        "orthanc_id": f"image-{sequence}",
        "sequence": sequence,
        "file": "f",
        "bytes": 10,
    }
    made: int = connection.execute(insert(instance).values(image).returning(instance.c.id)).scalar_one()
    return made


def add_attempt(connection: Connection, delivery_id: int, at: datetime, **values: Any) -> None:
    """An attempt that ended then."""
    row = {"delivery_id": delivery_id, "started_at": at, "finished_at": at, "instances": 1, "bytes": 500, **values}
    connection.execute(insert(attempt).values(row))


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
    counts = queries.deliveries.count_owed(connection, None)
    assert counts == {"vna": {"Failed": 1}, "far": {"Scheduled": 1}}
    assert queries.deliveries.count_owed(connection, ["outremont"]) == counts
    assert queries.deliveries.count_owed(connection, ["laval"]) == {}
    assert queries.deliveries.destinations(connection) == ["cloud", "far", "vna"]
    rows = queries.deliveries.find(connection, DeliveryFilter(states=["Failed", "Scheduled"]), None, None, 50)
    assert [row["destination"] for row in rows] == ["far", "vna"]


def test_several_states_page_as_one_list(connection: Connection) -> None:
    wanted = DeliveryFilter(states=["Failed", "Held", "Scheduled"])
    ids = [
        add_delivery(connection, add_study(connection), state=state)
        for state in ("Failed", "Scheduled", "Completed", "Held", "Failed", "Canceled", "Scheduled")
    ]
    open_ids = [each for index, each in enumerate(ids) if index not in (2, 5)][::-1]
    seen: list[int] = []
    before = None
    while page := queries.deliveries.find(connection, wanted, None, before, 2):
        seen += [row["id"] for row in page]
        before = seen[-1]
    assert seen == open_ids
    assert queries.deliveries.ids(connection, wanted, None, None, 50) == open_ids
    assert queries.deliveries.ids(connection, wanted, ["nowhere"], None, 50) == []
    assert queries.deliveries.count(connection, wanted, None, open_ids[1], 50) == len(open_ids) - 2
    assert queries.deliveries.count(connection, wanted, None, None, 3) == 3


def test_deliveries_are_narrowed_by_priority_and_age(connection: Connection) -> None:
    old = add_delivery(connection, add_study(connection), priority=0, owed_since=START - timedelta(hours=2))
    new = add_delivery(connection, add_study(connection), priority=0, owed_since=START)
    other = add_delivery(connection, add_study(connection), priority=3, owed_since=START)

    def found(wanted: DeliveryFilter) -> list[int]:
        return queries.deliveries.ids(connection, wanted, None, None, 50)

    assert found(DeliveryFilter(priority=0)) == [new, old]
    assert found(DeliveryFilter(priority=3)) == [other]
    assert found(DeliveryFilter(owed_before=START)) == [old]
    assert found(DeliveryFilter(ids=[old, other, 999])) == [other, old]


def test_gaps_name_their_images_in_order(connection: Connection) -> None:
    study_id = add_study(connection, instances=3)
    delivery_id = add_delivery(connection, study_id, mark=3)
    images = [add_instance(connection, study_id, sequence) for sequence in (3, 1, 2)]
    for image, wanted in zip(images[:2], (True, False), strict=True):
        error = {"Class": "Permanent", "Code": "A900", "Text": "no"}
        connection.execute(insert(gap).values(delivery_id=delivery_id, instance_id=image, error=error, wanted=wanted))
    rows = queries.deliveries.gaps_of(connection, delivery_id)
    assert [(row["sop_instance_uid"][-2:], row["wanted"]) for row in rows] == [(".1", False), (".3", True)]
    assert queries.deliveries.count_gaps(connection, delivery_id) == 2


def test_an_image_is_found_by_its_uid_or_is_the_first(connection: Connection) -> None:
    study_id = add_study(connection)
    assert queries.studies.image(connection, study_id, None) is None
    for sequence in (2, 1):
        add_instance(connection, study_id, sequence)
    first = queries.studies.image(connection, study_id, None)
    assert first is not None
    assert first["sop_instance_uid"].endswith(".1")
    second = queries.studies.image(connection, study_id, f"1.2.{study_id}.2")
    assert second is not None
    assert second["orthanc_id"].endswith("-2")
    assert queries.studies.image(connection, study_id, "9.9") is None


NOW = START + timedelta(hours=3, minutes=10)


def test_history_tells_hour_by_hour(connection: Connection) -> None:
    slow = add_delivery(
        connection,
        add_study(connection),
        state="Completed",
        owed_since=START + timedelta(minutes=10),
        finished_at=START + timedelta(hours=1, minutes=10),
    )
    for seconds in (10, 20):
        add_delivery(
            connection,
            add_study(connection),
            state="Completed",
            owed_since=START + timedelta(hours=1),
            finished_at=START + timedelta(hours=1, seconds=seconds),
        )
    add_delivery(connection, add_study(connection), owed_since=START + timedelta(hours=2))
    add_delivery(connection, add_study(connection), owed_since=START - timedelta(days=9))
    add_delivery(connection, add_study(connection), "other", owed_since=START)
    refused = {"Class": "Permanent", "Code": "A900", "Text": "no"}
    for hours, instances, error in ((1, 5, None), (1, 4, refused | {"Refused": 1}), (2, 3, refused)):
        add_attempt(connection, slow, START + timedelta(hours=hours, minutes=5), instances=instances, error=error)

    first, second, third, fourth = queries.history.of_destination(connection, "vna", NOW, 4)

    assert [each.at for each in (first, second, third, fourth)] == [START + timedelta(hours=n) for n in range(4)]
    assert (first.instances, first.completed, first.latency_median, first.backlog) == (0, 0, None, 2)
    assert (second.instances, second.bytes, second.failures, second.completed) == (8, 500, 1, 3)
    assert (second.latency_median, second.latency_p95) == (20, 3600)
    assert second.backlog == 1
    assert (third.instances, third.failures, third.backlog) == (0, 1, 2)
    assert (fourth.failures, fourth.backlog) == (0, 2)
    other = queries.history.of_destination(connection, "other", NOW, 4)
    assert [each.backlog for each in other] == [1, 1, 1, 1]
    assert [each.instances for each in other] == [0, 0, 0, 0]


def test_a_delivery_has_a_story_of_its_own(connection: Connection) -> None:
    study_id = add_study(connection, study_instance_uid="1.9.1")
    mine, other = (add_delivery(connection, study_id, name) for name in ("vna", "cloud"))
    for delivery_id in (mine, other, mine):
        add_audit(connection, study_instance_uid="1.9.1", action="delivery.held", detail={"Delivery": delivery_id})
    add_audit(connection, study_instance_uid="1.9.1", action="study.routed")
    assert [each.kind for each in queries.timeline.of_delivery(connection, mine, "1.9.1")] == ["delivery.held"] * 2


def test_one_state_is_counted(connection: Connection) -> None:
    for state in ("Held", "Held", "Routed"):
        add_study(connection, state=state)
    add_notification(connection, None)
    assert queries.studies.count_in_state(connection, "Held", None) == 2
    assert queries.studies.count_in_state(connection, "Held", ["nowhere"]) == 0
    assert queries.notifications.count_in_state(connection, "Failed") == 0
