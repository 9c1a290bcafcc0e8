"""The read side answers the same over SQLite and PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, insert

from relais.database import Database, queries
from relais.database.queries.audit import AuditFilter, AuditKey
from relais.database.queries.deliveries import DeliveryFilter
from relais.database.queries.notifications import NotificationFilter
from relais.database.queries.studies import NARROW, StudyFilter
from relais.database.tables import attempt, lane, series, study_modality
from tests.servers.rows import START, add_audit, add_delivery, add_notification, add_study


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    database = Database(database_url)
    database.upgrade()
    with database.write() as connection:
        yield connection
    database.close()


def found(connection: Connection, scope: list[str] | None = None, **wanted: str) -> list[int]:
    return [row["id"] for row in queries.studies.find(connection, StudyFilter(**wanted), scope, None, 50)]


def test_studies_come_newest_first_and_page_by_key(connection: Connection) -> None:
    ids = [add_study(connection) for _ in range(5)]
    first = queries.studies.find(connection, StudyFilter(), None, None, 2)
    add_study(connection)  # arrives between two pages: nothing is skipped or seen twice
    rest = queries.studies.find(connection, StudyFilter(), None, first[-1]["id"], 10)
    assert [row["id"] for row in [*first, *rest]] == ids[::-1]


def test_studies_are_narrowed_by_each_filter(connection: Connection) -> None:
    one = add_study(connection, state="Held", clinic="outremont", modality="IO")
    other = add_study(connection, state="Routed", clinic="laval", modality="CT")
    add_delivery(connection, other, "cloud")
    assert found(connection, state="Held") == [one]
    assert found(connection, clinic="laval") == [other]
    assert found(connection, modality="IO") == [one]
    assert found(connection, destination="cloud") == [other]
    assert found(connection, state="Held", modality="CT") == []


@pytest.mark.parametrize("text", ["gagne", "GAGNÉ", "gag", "zoé gagné", "p77", "1.2.826.77", "1.2.826"])
def test_search_finds_words_and_their_beginnings(connection: Connection, text: str) -> None:
    wanted = add_study(connection, patient_name="Gagné^Zoé", patient_id="P77", study_instance_uid="1.2.826.77")
    add_study(connection, patient_name="Tremblay^Luc", patient_id="Q1", study_instance_uid="1.3.1")
    assert found(connection, text=text) == [wanted]


def test_search_wants_every_word(connection: Connection) -> None:
    add_study(connection, patient_name="Gagné^Zoé")
    assert found(connection, text="gagné luc") == []
    assert found(connection, text="% _") != []  # no words: no filter, and no wildcards


def test_search_finds_among_more_than_it_turns_into_ids(connection: Connection) -> None:
    ids = [add_study(connection, patient_name="Roy^Luc") for _ in range(NARROW + 5)]
    add_study(connection, patient_name="Roy^Anne")
    assert found(connection, text="luc") == ids[: -50 - 1 : -1]
    assert found(connection, text="roy luc") == ids[: -50 - 1 : -1]


def test_two_common_words_that_nobody_has_together_find_nothing(connection: Connection) -> None:
    for name in ("Roy^Luc", "Morin^Anne"):
        for _ in range(NARROW + 1):
            add_study(connection, patient_name=name)
    assert found(connection, text="roy anne") == []


def test_a_clinics_caller_sees_that_clinic_only(connection: Connection) -> None:
    mine = add_study(connection, clinic="outremont", study_instance_uid="1.9.1")
    other = add_study(connection, clinic="laval", study_instance_uid="1.9.2")
    nobodys = add_study(connection, clinic=None, study_instance_uid="1.9.3")
    deliveries = [add_delivery(connection, each) for each in (mine, other, nobodys)]
    notices = [add_notification(connection, each) for each in (mine, other, nobodys, None)]
    for uid in ("1.9.1", "1.9.2", "1.9.3", None):
        add_audit(connection, study_instance_uid=uid)
    scope = ["outremont"]

    assert found(connection, scope) == [mine]
    assert queries.studies.one(connection, "1.9.2", scope) is None
    assert queries.studies.one(connection, "1.9.3", scope) is None
    rows = queries.deliveries.find(connection, DeliveryFilter(), scope, None, 50)
    assert [row["id"] for row in rows] == deliveries[:1]
    assert queries.deliveries.one(connection, deliveries[1], scope) is None
    rows = queries.notifications.find(connection, NotificationFilter(), scope, None, 50)
    assert [row["id"] for row in rows] == notices[:1]
    rows = queries.audit.find(connection, AuditFilter(), scope, None, 50)
    assert [row["study_instance_uid"] for row in rows] == ["1.9.1"]
    assert queries.studies.count_by_state(connection, scope) == {"Routed": 1}


def test_nobody_is_shown_anything_with_an_empty_scope(connection: Connection) -> None:
    add_study(connection, clinic="outremont")
    assert found(connection, []) == []


def test_deliveries_are_narrowed_and_carry_their_study(connection: Connection) -> None:
    study_id = add_study(connection, study_instance_uid="1.9.1", instances=7)
    wanted = add_delivery(connection, study_id, "vna", state="Failed", delivered=3)
    add_delivery(connection, study_id, "cloud")
    add_delivery(connection, add_study(connection), "vna")
    asked = DeliveryFilter(state="Failed", destination="vna", study_instance_uid="1.9.1")
    (row,) = queries.deliveries.find(connection, asked, None, None, 50)
    assert (row["id"], row["study_instance_uid"], row["instances"], row["delivered"]) == (wanted, "1.9.1", 7, 3)
    by_study = queries.deliveries.of_studies(connection, [study_id])
    assert [each["destination"] for each in by_study[study_id]] == ["cloud", "vna"]


def test_a_lane_tells_backlog_age_and_state(connection: Connection) -> None:
    for minutes, state in ((5, "Scheduled"), (9, "InProgress"), (60, "Failed")):
        add_delivery(connection, add_study(connection), state=state, owed_since=START + timedelta(minutes=minutes))
    add_delivery(connection, add_study(connection), state="Completed", finished_at=START)
    add_delivery(connection, add_study(connection), state="Completed", finished_at=START - timedelta(days=2))
    connection.execute(insert(lane).values(name="destination:vna", failures=3, down_since=START))
    vna, empty = queries.lanes.of_destinations(connection, ["vna", "empty"], START - timedelta(days=1))
    assert (vna.backlog, vna.counts["Failed"], vna.completed, vna.state) == (2, 1, 1, "Down")
    assert vna.oldest == START + timedelta(minutes=5)
    assert (empty.backlog, empty.oldest, empty.state) == (0, None, "Open")


def test_the_audit_pages_over_events_of_the_same_instant(connection: Connection) -> None:
    for node in ("a", "b"):
        for number in (1, 2):
            add_audit(connection, node=node, number=number, at=START)
    seen: list[tuple[str, int]] = []
    before = None
    for _ in range(4):
        (row,) = queries.audit.find(connection, AuditFilter(), None, before, 1)
        seen.append((row["node"], row["number"]))
        before = AuditKey(at=row["at"], node=row["node"], number=row["number"])
    assert seen == [("b", 2), ("b", 1), ("a", 2), ("a", 1)]
    assert queries.audit.find(connection, AuditFilter(), None, before, 1) == []


def test_the_audit_is_narrowed_by_study_actor_and_action(connection: Connection) -> None:
    add_audit(connection, study_instance_uid="1.2", actor="alice", action="study.held")
    add_audit(connection, study_instance_uid="1.3", actor="bob", action="study.viewed")
    for wanted in (AuditFilter(study_instance_uid="1.2"), AuditFilter(actor="alice"), AuditFilter(action="study.held")):
        (row,) = queries.audit.find(connection, wanted, None, None, 50)
        assert row["actor"] == "alice"


def test_a_timeline_tells_all_but_the_looks_in_order(connection: Connection) -> None:
    study_id = add_study(connection, study_instance_uid="1.9.1")
    delivery_id = add_delivery(connection, study_id)
    add_audit(connection, study_instance_uid="1.9.1", action="study.received", at=START)
    add_audit(connection, study_instance_uid="1.9.1", action="study.viewed", actor="alice", at=START)
    connection.execute(
        insert(attempt).values(
            delivery_id=delivery_id,
            started_at=START + timedelta(seconds=1),
            finished_at=START + timedelta(seconds=3),
            instances=1,
            bytes=10,
        )
    )
    moments = queries.timeline.of_study(connection, study_id, "1.9.1")
    assert [moment.kind for moment in moments] == ["study.received", "delivery.attempt"]
    assert moments[1].detail["Seconds"] == 2


def test_series_come_by_number_whatever_their_number_is(connection: Connection) -> None:
    study_id = add_study(connection)
    for place, number in enumerate(("10", "", "2", "²", "99999999999999999999")):
        connection.execute(
            insert(series).values(
                study_id=study_id,
                series_instance_uid=f"1.{place}",
                orthanc_id=str(place),
                modality="PX",
                number=number,
                description="",
                instances=1,
            )
        )
    numbers = [row["number"] for row in queries.studies.series_of(connection, study_id)]
    assert numbers[:2] == ["2", "10"]


def test_flows_count_from_source_to_destination(connection: Connection) -> None:
    for _ in range(2):
        add_delivery(connection, add_study(connection), state="Completed")
    add_study(connection, origin={"CallingAet": "PACS"})
    add_study(connection, received_at=START - timedelta(days=3))
    rows = queries.studies.flows_since(connection, START, None)
    flows = {(row["source"], row["destination"], row["state"]): row["studies"] for row in rows}
    assert flows == {("CS8100", "vna", "Completed"): 2, ("PACS", None, None): 1}


def test_a_study_with_two_modalities_is_found_by_both(connection: Connection) -> None:
    study_id = add_study(connection, modality="PX")
    connection.execute(insert(study_modality).values(modality="IO", study_id=study_id))
    assert found(connection, modality="PX") == found(connection, modality="IO") == [study_id]
