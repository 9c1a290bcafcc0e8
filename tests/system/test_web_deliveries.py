"""What the API tells of deliveries and destinations, and what a person may do to one or to many."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from relais import bulk
from relais.database.tables import attempt, audit, delivery, gap, instance, lane, series, study
from relais.web.permissions import ROLES, Permission
from relais.web.troubles import TROUBLES, UNKNOWN, trouble_of
from tests.servers.rows import add_delivery, add_study
from tests.system.serving import Web, compose_web

THREE: dict[str, dict[str, Any]] = {
    "vna": {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104, "FailoverTo": "cloud"},
    "cloud": {"Kind": "DicomWeb", "Url": "https://cloud.example/dicom-web", "Bandwidth": 20},
    "folder": {"Kind": "Files", "Url": "file:///nowhere", "Proof": "Queried", "Coerce": {"Set": {"StudyID": "1"}}},
}
DELIVERIES = "/relais/v1/deliveries"


@pytest.fixture
def web(tmp_path: Path, database_url: str) -> Iterator[Web]:
    made = compose_web(tmp_path, database_url, Destinations=THREE)
    yield made
    made.relais.database.close()


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Web]:
    """For what no database decides: on SQLite only."""
    made = compose_web(tmp_path, Destinations=THREE)
    yield made
    made.relais.database.close()


def owe(web: Web, *states: str, destination: str = "vna", clinic: str = "outremont", **values: Any) -> list[int]:
    """A delivery of a study of its own for each state; answers their ids."""
    with web.relais.database.write() as connection:
        return [
            add_delivery(connection, add_study(connection, clinic=clinic), destination, state=state, **values)
            for state in states
        ]


def states(web: Web, ids: list[int]) -> list[str]:
    with web.relais.database.read() as connection:
        found = {row.id: row.state for row in connection.execute(select(delivery.c.id, delivery.c.state))}
        return [found[each] for each in ids]


def audited(web: Web) -> list[tuple[str, str, Any]]:
    with web.relais.database.read() as connection:
        statement = select(audit.c.actor, audit.c.action, audit.c.detail).order_by(audit.c.number)
        rows = connection.execute(statement.where(audit.c.action != "configuration.activated"))
        return [(row.actor, row.action, row.detail.get("Delivery")) for row in rows]


def order(web: Web, *, user: str = "operator", **body: Any) -> Any:
    answer = web.post(f"{DELIVERIES}/bulk", {"Reason": "test", **body}, user=user)
    return answer.get_json() if answer.status_code == 200 else answer


# One


def test_a_delivery_tells_its_proof_its_gaps_and_its_attempts_in_words(web: Web) -> None:
    (number,) = owe(web, "Failed", mark=1, proof={"Kind": "Queried", "Instances": 1, "At": "2026-04-01T12:00:00+00:00"})
    error = {"Class": "Permanent", "Code": "A900", "Text": "DIMSE status 0xA900", "Refused": 1}
    with web.relais.database.write() as connection:
        image = add_image(connection, number)
        values = {"delivery_id": number, "instance_id": image, "error": error, "wanted": False}
        connection.execute(insert(gap).values(values))
        now = datetime.now(UTC)
        for each in (None, error):
            row = {"delivery_id": number, "started_at": now, "finished_at": now, "instances": 2, "bytes": 9}
            connection.execute(insert(attempt).values(**row, error=each))
    found = web.get(f"{DELIVERIES}/{number}", user="viewer").get_json()
    assert found["Proof"]["Kind"] == "Queried"
    assert found["GapsInAll"] == 1
    (missing,) = found["Gaps"]
    assert (missing["SOPInstanceUID"], missing["Wanted"]) == ("1.9.9", False)
    assert missing["Error"]["What"] == "vna refused an image (status A900)."
    assert missing["Error"]["Advice"]
    latest, first = found["History"]
    assert (latest["Error"]["Code"], latest["Error"]["Refused"], first["Error"]) == ("A900", 1, None)
    french = web.get(f"{DELIVERIES}/{number}", user="francine").get_json()
    assert french["History"][0]["Error"]["What"].startswith("vna a refusé")


def test_a_delivery_tells_what_it_waits_for(web: Web) -> None:
    now = datetime.now(UTC)
    soon = now + timedelta(minutes=5)
    error = {"Class": "Transient", "Code": "A700", "Text": "full"}
    asked = {"Kind": "Committed", "Transaction": "1.2", "AskedAt": now.isoformat()}
    expected: dict[int, str | None] = {
        **dict.fromkeys(owe(web, "Scheduled"), "Turn"),
        **dict.fromkeys(owe(web, "Failed", "Held"), "Person"),
        **dict.fromkeys(owe(web, "Completed", "Canceled", "InProgress")),
        **dict.fromkeys(owe(web, "Scheduled", next_attempt=soon, last_error=error), "Backoff"),
        **dict.fromkeys(owe(web, "InProgress", proof=asked, next_attempt=soon), "Proof"),
        **dict.fromkeys(owe(web, "Scheduled", destination="cloud", next_attempt=soon), "Bandwidth"),
        **dict.fromkeys(owe(web, "Scheduled", destination="folder"), "Paused"),
        **dict.fromkeys(owe(web, "Scheduled", destination="gone"), "Down"),
    }
    (receiving,) = owe(web, "Scheduled", mark=1)
    with web.relais.database.write() as connection:
        owner = select(delivery.c.study_id).where(delivery.c.id == receiving).scalar_subquery()
        connection.execute(update(study).where(study.c.id == owner).values(state="Receiving"))
        gates: dict[str, dict[str, Any]] = {
            "cloud": {"failures": 0, "bandwidth_free_at": soon},
            "folder": {"failures": 0, "paused_at": now},
            "gone": {"failures": 3, "probe_at": soon},
        }
        for name, values in gates.items():
            connection.execute(insert(lane).values(name=f"destination:{name}", **values))
    for number, reason in (expected | {receiving: "Images"}).items():
        waits = web.get(f"{DELIVERIES}/{number}", user="viewer").get_json()["Waits"]
        assert (waits and waits["For"]) == reason
        assert not waits or (waits["Until"] is not None) == (reason in ("Backoff", "Proof", "Bandwidth", "Down"))


def test_a_closed_window_is_what_a_delivery_waits_for(tmp_path: Path) -> None:
    someday = datetime.now(UTC) + timedelta(days=3)
    window = {"Days": [f"{someday:%A}"], "From": "10:00", "To": "11:00"}
    web = compose_web(tmp_path, Destinations={"vna": THREE["cloud"] | {"Windows": [window]}})
    (number,) = owe(web, "Scheduled")
    waits = web.get(f"{DELIVERIES}/{number}", user="viewer").get_json()["Waits"]
    assert waits == {"For": "Window", "Until": f"{someday:%Y-%m-%d}T10:00:00Z"}
    web.relais.database.close()


def test_a_delivery_is_redirected(web: Web) -> None:
    (number,) = owe(web, "Failed")
    body = {"Reason": "the VNA is being moved", "Destination": "cloud"}
    answer = web.post(f"{DELIVERIES}/{number}/redirect", body, user="operator")
    there = answer.get_json()["Delivery"]
    assert states(web, [number, there]) == ["Canceled", "Scheduled"]
    found = web.get(f"{DELIVERIES}/{there}", user="viewer").get_json()
    assert found["Destination"] == "cloud"
    assert {"RedirectedFrom": "vna", "By": "operator", "Reason": "the VNA is being moved"} in found["Reasons"]
    again = web.post(f"{DELIVERIES}/{there}/redirect", {**body, "Destination": "cloud"}, user="operator")
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"Reason": "x"}, "Destination"),
        ({"Reason": "x", "Destination": "clowd"}, "Destination"),
        ({"Reason": "x", "Destination": "a b"}, "Destination"),
        ({"Destination": "cloud"}, "Reason"),
    ],
)
def test_a_redirection_needs_a_destination_and_a_reason(lonely: Web, body: Any, path: str) -> None:
    (number,) = owe(lonely, "Failed")
    answer = lonely.post(f"{DELIVERIES}/{number}/redirect", body, user="operator")
    assert answer.status_code == 422
    assert [each["Path"] for each in answer.get_json()["Details"]] == [path]
    assert states(lonely, [number]) == ["Failed"]


# Many


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("retry", "Failed", "Scheduled"),
        ("hold", "Scheduled", "Held"),
        ("release", "Held", "Scheduled"),
        ("cancel", "Failed", "Canceled"),
    ],
)
def test_many_are_changed_each_with_its_own_event(web: Web, action: str, before: str, after: str) -> None:
    ids = owe(web, before, before, before)
    answer = order(web, Action=action, Ids=ids)
    assert (answer["Done"], sorted(answer["Changed"]), answer["Refused"], answer["Left"]) == (3, ids, [], 0)
    assert states(web, ids) == [after] * 3
    words = {"retry": "retried", "hold": "held", "release": "released", "cancel": "canceled"}
    assert audited(web) == [("operator", f"delivery.{words[action]}", each) for each in reversed(ids)]


def test_many_are_redirected(web: Web) -> None:
    ids = owe(web, "Failed", "Held")
    answer = order(web, Action="redirect", Filter={"Destination": "vna"}, Destination="cloud")
    assert (answer["Done"], answer["Left"]) == (2, 0)
    assert states(web, ids) == ["Canceled", "Canceled"]


def test_a_filter_is_worked_off_in_pieces_until_nothing_is_left(web: Web) -> None:
    ids = owe(web, *["Scheduled"] * 5)
    others = owe(web, "Failed", "Completed", destination="vna") + owe(web, "Scheduled", destination="cloud")
    before = states(web, others)
    body: dict[str, Any] = {"Action": "retry", "Filter": {"State": "Scheduled", "Destination": "vna"}, "Limit": 2}
    seen: list[int] = []
    left: list[int] = []
    since: dict[str, str] = {}
    while not left or left[-1]:
        answer = order(web, **body, **since)
        seen += answer["Changed"]
        left.append(answer["Left"])
        since = {"Since": answer["Next"]}
    assert seen == ids[::-1]  # each once, although a retried one stays scheduled
    assert left == [3, 1, 0]
    assert answer["Next"] is None
    assert states(web, others) == before


def test_what_arrives_meanwhile_is_left_alone(web: Web) -> None:
    owe(web, "Scheduled", "Scheduled")
    first = order(web, Action="hold", Filter={}, Limit=1)
    late = owe(web, "Scheduled")
    second = order(web, Action="hold", Filter={}, Limit=10, Since=first["Next"])
    assert (second["Done"], second["Left"]) == (1, 0)
    assert states(web, late) == ["Scheduled"]


def test_a_filter_without_state_means_those_to_which_it_can_be_done(web: Web) -> None:
    ids = owe(web, "Scheduled", "InProgress", "Completed", "Failed", "Held", "Blocked", "Canceled")
    answer = order(web, Action="release", Filter={})
    assert (answer["Changed"], answer["Refused"]) == ([ids[4]], [])
    for act, possible in bulk.APPLIES.items():
        assert possible, act


def test_filters_narrow_by_priority_and_age(web: Web) -> None:
    now = datetime.now(UTC)
    (old,) = owe(web, "Scheduled", priority=0, owed_since=now - timedelta(hours=2))
    owe(web, "Scheduled", priority=0, owed_since=now)
    owe(web, "Scheduled", priority=3, owed_since=now - timedelta(hours=2))
    narrowed = {"Priority": "Stat", "OlderThanMinutes": 60}
    listed = web.get(f"{DELIVERIES}?Priority=Stat&OlderThanMinutes=60", user="viewer").get_json()["Items"]
    assert [each["Id"] for each in listed] == [old]
    assert order(web, Action="hold", Filter=narrowed)["Changed"] == [old]


def test_what_cannot_be_done_is_told_one_by_one(web: Web) -> None:
    good, bad = owe(web, "Failed", "Completed")
    answer = order(web, Action="retry", Ids=[good, bad, 10**9])
    assert answer["Changed"] == [good]
    refused = {each["Id"]: each["Error"] for each in answer["Refused"]}
    assert refused[bad] == "A delivery that is Completed cannot become Scheduled"
    assert refused[10**9] == f"There is no delivery {10**9} that you may see"
    french = order(web, user="francine", Action="retry", Ids=[bad])
    assert french["Refused"][0]["Error"] != refused[bad]


def test_what_a_caller_may_not_see_is_neither_changed_nor_counted(web: Web) -> None:
    mine = owe(web, "Failed")
    others = owe(web, "Failed", "Failed", clinic="laval")
    answer = order(web, user="outremont", Action="retry", Filter={})
    assert (answer["Changed"], answer["Left"]) == (mine, 0)
    answer = order(web, user="outremont", Action="cancel", Ids=others)
    assert (answer["Done"], len(answer["Refused"])) == (0, 2)
    assert states(web, others) == ["Failed", "Failed"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"Action": "retry"}, "Ids"),
        ({"Action": "retry", "Ids": [1], "Filter": {}}, "Ids"),
        ({"Action": "retry", "Ids": []}, "Ids"),
        ({"Action": "retry", "Ids": list(range(1, 502))}, "Ids"),
        ({"Action": "retry", "Ids": ["1"]}, "Ids[0]"),
        ({"Action": "retry", "Ids": [0]}, "Ids[0]"),
        ({"Action": "retri", "Filter": {}}, "Action"),
        ({"Action": "retry", "Filter": {"State": "Lost"}}, "Filter.State"),
        ({"Action": "retry", "Filter": {"Limit": 3}}, "Filter.Limit"),
        ({"Action": "retry", "Filter": {}, "Limit": 501}, "Limit"),
        ({"Action": "retry", "Filter": {}, "Since": "x"}, "Since"),
        ({"Action": "retry", "Filter": {}, "Destination": "cloud"}, "Destination"),
        ({"Action": "redirect", "Filter": {}}, "Destination"),
        ({"Action": "redirect", "Filter": {}, "Destination": "clowd"}, "Destination"),
        ({"Action": "retry", "Filter": {}, "Reason": ""}, "Reason"),
    ],
)
def test_a_bad_order_is_refused_and_changes_nothing(lonely: Web, body: Any, path: str) -> None:
    ids = owe(lonely, "Failed", "Scheduled")
    answer = order(lonely, **body)
    assert answer.status_code == 422
    assert [each["Path"] for each in answer.get_json()["Details"]] == [path]
    assert all(each["Message"] for each in answer.get_json()["Details"])
    assert states(lonely, ids) == ["Failed", "Scheduled"]


# Who may


@pytest.mark.parametrize("user", ["viewer", "auditor", "privacy"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("deliveries/bulk", {"Action": "retry", "Filter": {}}),
        ("deliveries/1/redirect", {"Destination": "cloud"}),
        ("destinations/vna/test", {}),
    ],
)
def test_whoever_only_looks_may_not_act(lonely: Web, user: str, path: str, body: Any) -> None:
    owe(lonely, "Failed")
    assert lonely.post(f"/relais/v1/{path}", {"Reason": "x", **body}, user=user).status_code == 403


@pytest.mark.parametrize(
    ("user", "status"),
    [("viewer", 403), ("auditor", 403), ("operator", 200), ("privacy", 200), ("admin", 200), ("outremont", 200)],
)
def test_a_comparison_shows_patients_to_those_who_may_see_them(lonely: Web, user: str, status: int) -> None:
    with lonely.relais.database.write() as connection:
        study_id = add_study(connection, study_instance_uid="1.9.1", clinic="outremont")
        add_image(connection, add_delivery(connection, study_id))
        other = add_study(connection, study_instance_uid="1.9.2", clinic="laval")
        add_image(connection, add_delivery(connection, other))
    body = {"Reason": "what do they see?", "StudyInstanceUID": "1.9.1"}
    answer = lonely.post("/relais/v1/destinations/vna/compare", body, user=user)
    assert answer.status_code == status
    looked = [each for each in audited(lonely) if each[1] == "study.compared"]
    assert len(looked) == (1 if status == 200 else 0)
    if status == 200:
        assert answer.get_json()["Changes"] == []  # this one receives what is stored
    hidden = lonely.post("/relais/v1/destinations/vna/compare", {**body, "StudyInstanceUID": "1.9.2"}, user=user)
    assert hidden.status_code == (404 if user == "outremont" else status)


def test_whoever_may_compare_may_see_patients() -> None:
    comparing = [permissions for permissions in ROLES.values() if Permission.EvaluateRules in permissions]
    assert comparing
    assert all(Permission.ViewPatients in permissions for permissions in comparing)


# Destinations


def test_destinations_of_every_kind_tell_where_and_how(lonely: Web) -> None:
    found = {each["Name"]: each for each in lonely.get("/relais/v1/destinations", user="viewer").get_json()["Items"]}
    assert {name: (each["Kind"], each["Address"]) for name, each in found.items()} == {
        "vna": ("Dicom", "VNA@10.0.0.9:104"),
        "cloud": ("DicomWeb", "https://cloud.example/dicom-web"),
        "folder": ("Files", "file:///nowhere"),
    }
    assert (found["vna"]["FailoverTo"], found["cloud"]["Bandwidth"], found["folder"]["Proof"]) == (
        "cloud",
        20,
        "Queried",
    )
    assert [each["Transforms"] for each in found.values()] == [False, False, True]


def test_history_has_an_hour_for_each_that_was_asked_for(lonely: Web) -> None:
    now = datetime.now(UTC)
    owe(lonely, "Completed", owed_since=now - timedelta(seconds=3), finished_at=now)
    items = lonely.get("/relais/v1/destinations/vna/history?Hours=3", user="viewer").get_json()["Items"]
    assert len(items) == 3
    assert items[-1]["Completed"] == 1
    assert 2.9 < items[-1]["LatencyP95"] < 3.1
    for query in ("Hours=0", "Hours=169", "Hours=x"):
        assert lonely.get(f"/relais/v1/destinations/vna/history?{query}", user="viewer").status_code == 422
    assert lonely.get("/relais/v1/destinations/none/history", user="viewer").status_code == 404


# Words


@pytest.mark.parametrize("path", ["deliveries", "deliveries/{id}", "destinations", "destinations/vna", "studies/{uid}"])
def test_every_page_of_them_speaks_of_every_error(lonely: Web, path: str) -> None:
    for code in ("refused", "A700", "503", "burned-in-annotation", "something else"):
        error = {"Class": "Permanent", "Code": code, "Text": "technical"}
        (number,) = owe(lonely, "Failed", last_error=error)
        uid = lonely.get(f"{DELIVERIES}/{number}", user="viewer").get_json()["StudyInstanceUID"]
        page = lonely.get(f"/relais/app/{path.format(id=number, uid=uid)}", user="francine")
        assert page.status_code == 200


@pytest.mark.parametrize(
    ("code", "known"),
    [
        *((code, code) for code in TROUBLES),
        ("407", "401"),
        ("NoSuchBucket", "404"),
        ("EROFS", "EACCES"),
        ("sftp-failure", "ENOSPC"),
    ],
)
def test_known_errors_have_their_own_words(code: str, known: str) -> None:
    assert trouble_of({"Code": code}) == TROUBLES[known]


@pytest.mark.parametrize("code", ["A701", "C000", "0110", "409", "502", "orthanc-500"])
def test_errors_of_a_kind_have_words_too(code: str) -> None:
    assert trouble_of({"Code": code}) != UNKNOWN


def test_an_error_that_nobody_knows_still_is_told() -> None:
    assert trouble_of({}) == trouble_of({"Code": "?"}) == UNKNOWN


def add_image(connection: Connection, delivery_id: int) -> int:
    """An image of a delivery's study; answers its id."""
    owner = connection.execute(select(delivery.c.study_id).where(delivery.c.id == delivery_id)).scalar_one()
    values = {
        "study_id": owner,
        "series_instance_uid": "1.9",
        "orthanc_id": "s",
        "modality": "PX",
        "number": "1",
        "description": "",
        "instances": 1,
    }
    series_id = connection.execute(insert(series).values(values).returning(series.c.id)).scalar_one()
    image = {
        "study_id": owner,
        "series_id": series_id,
        "sop_instance_uid": "1.9.9",
        "orthanc_id": "i",
        "sequence": 1,
        "file": "f",
        "bytes": 10,
    }
    made: int = connection.execute(insert(instance).values(image).returning(instance.c.id)).scalar_one()
    return made


def test_what_a_command_makes_due_begins_at_once(lonely: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relais.worker.POLL", 60.0)  # nobody looks by himself
    parts = lonely.relais
    assert lonely.post("/relais/v1/destinations/vna/pause", {"Reason": "a test"}, user="admin").status_code == 200
    with parts.database.write() as connection:
        parts.tasks.schedule(
            connection, kind="deliver", lane="destination:vna", key="a", run_at=parts.clock.now(), payload={}
        )
    turned = threading.Event()
    monkeypatch.setattr(parts.worker, "_observe", lambda _kind, _seconds: turned.set())
    parts.worker.start("here")
    try:
        assert not turned.wait(0.5)
        assert lonely.post("/relais/v1/destinations/vna/resume", {"Reason": "a test"}, user="admin").status_code == 200
        assert turned.wait(10)
    finally:
        parts.worker.stop(5)
