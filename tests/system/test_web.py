"""The web application: who may do what, what is refused and how, and what the answers hold."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from relais.configuration import Role
from relais.database.tables import audit, delivery, lane, study
from relais.orthanc.capabilities import Surroundings
from relais.web import api
from relais.web.application import UnprotectedRouteError
from relais.web.errors import CONFLICTS, KINDS
from relais.web.health import FINDINGS
from relais.web.permissions import ROLES, WHOLE, Permission, permission_of
from tests.servers.rows import add_delivery, add_notification, add_study
from tests.system.serving import Web, compose_web

PLUGIN = Path(__file__).parents[2] / "plugin"
UID = "1.2.826.1"
READS = [route.path for group in api.ALL for route in group if route.method == "GET"]


@pytest.fixture
def web(tmp_path: Path, database_url: str) -> Iterator[Web]:
    made = compose_web(tmp_path, database_url)
    yield made
    made.relais.database.close()


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Web]:
    """For what no database decides: on SQLite only."""
    made = compose_web(tmp_path)
    yield made
    made.relais.database.close()


def actions(web: Web) -> list[tuple[str, str]]:
    """Who did what since the configuration became active."""
    with web.relais.database.read() as connection:
        rows = connection.execute(select(audit.c.actor, audit.c.action).order_by(audit.c.number))
        first, *others = [(row.actor, row.action) for row in rows]
    assert first == ("relais", "configuration.activated")
    return others


# Who calls


def test_every_view_declares_a_permission(lonely: Web) -> None:
    views = {
        rule.endpoint: lonely.application.view_functions[rule.endpoint]
        for rule in lonely.application.url_map.iter_rules()
    }
    assert len(views) >= len([route for group in api.ALL for route in group])
    assert [name for name, view in views.items() if permission_of(view) is None] == []


def test_a_view_without_permission_cannot_be_registered(lonely: Web) -> None:
    with pytest.raises(UnprotectedRouteError, match="/relais/open"):
        lonely.application.add_url_rule("/relais/open", "open", lambda: "in")


def test_every_role_has_its_permissions_and_every_permission_a_role() -> None:
    assert set(ROLES) == {role.value for role in Role}
    assert frozenset[Permission]().union(*ROLES.values()) == frozenset(Permission)


@pytest.mark.parametrize("path", ["/relais/v1/studies", "/relais/v1/system", "/relais/metrics", "/relais/openapi.json"])
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer abc", 401),
        ("Basic", 401),
        ("Basic !!!", 401),
        ("Basic /w==", 401),
        ("Basic bm9jb2xvbg==", 401),
        ("Basic c3RyYW5nZXI6eA==", 403),  # stranger:x
    ],
)
def test_whoever_is_not_known_is_refused(lonely: Web, path: str, authorization: str | None, status: int) -> None:
    answer = lonely.get(path, headers={} if authorization is None else {"Authorization": authorization})
    assert answer.status_code == status
    assert set(answer.get_json()) == {"Error", "Details"}


def test_an_open_door_lets_nobody_in(tmp_path: Path) -> None:
    web = compose_web(tmp_path, authentication=False, remote=True)
    for path in READS:
        answer = web.get(path.replace("<uid:StudyInstanceUID>", "1").replace("<id:Id>", "1"), user="admin")
        assert (answer.status_code, "remote access" in answer.get_json()["Error"]) == (403, True)


def test_without_authentication_the_local_person_may_do_all(tmp_path: Path) -> None:
    web = compose_web(tmp_path, authentication=False, remote=False)
    assert web.get("/relais/v1/audit").status_code == 200
    assert web.post("/relais/v1/destinations/vna/pause", {"Reason": "test"}).status_code == 200
    assert actions(web)[-1] == ("local", "lane.paused")


@pytest.mark.parametrize(
    ("user", "method", "path", "allowed"),
    [
        ("viewer", "GET", "/relais/v1/studies", True),
        ("viewer", "GET", "/relais/v1/audit", False),
        ("viewer", "POST", "/relais/v1/destinations/vna/pause", False),
        ("operator", "POST", "/relais/v1/destinations/vna/pause", True),
        ("operator", "GET", "/relais/v1/configuration", False),
        ("auditor", "GET", "/relais/v1/audit", True),
        ("auditor", "POST", "/relais/v1/studies/search", False),
        ("privacy", "POST", "/relais/v1/studies/search", True),
        ("privacy", "POST", "/relais/v1/destinations/vna/pause", False),
        ("outremont", "POST", "/relais/v1/destinations/vna/pause", False),  # reaches beyond one clinic
        ("outremont", "GET", "/relais/v1/tasks", False),
        ("admin", "GET", "/relais/v1/configuration", True),
    ],
)
def test_roles(lonely: Web, user: str, method: str, path: str, allowed: bool) -> None:
    body = {"Text": "roy"} if path.endswith("search") else {"Reason": "test"}
    answer = lonely.get(path, user=user) if method == "GET" else lonely.post(path, body, user=user)
    assert (answer.status_code == 200) is allowed
    assert allowed or answer.status_code == 403


def test_a_clinics_caller_may_not_reach_other_clinics(web: Web) -> None:
    with web.relais.database.write() as connection:
        other = add_study(connection, clinic="laval", study_instance_uid=UID)
        delivery_id = add_delivery(connection, other)
        notification_id = add_notification(connection, other)
    for path in ("", "/timeline", "/explanation", "/preview"):
        assert web.get(f"/relais/v1/studies/{UID}{path}", user="outremont").status_code == 404
    for path in (
        f"studies/{UID}/hold",
        f"studies/{UID}/route",
        f"deliveries/{delivery_id}/cancel",
        f"notifications/{notification_id}/redeliver",
    ):
        assert web.post(f"/relais/v1/{path}", {"Reason": "test"}, user="outremont").status_code == 404
    evaluated = web.post("/relais/v1/rules/evaluate", {"StudyInstanceUID": UID}, user="outremont")
    assert evaluated.status_code == 404
    assert web.get("/relais/v1/studies", user="outremont").get_json()["Items"] == []
    with web.relais.database.read() as connection:
        assert connection.execute(select(delivery.c.state)).scalar() == "Scheduled"
        assert connection.execute(select(study.c.held_by)).scalar() is None


def test_an_auditor_sees_no_patient(web: Web) -> None:
    with web.relais.database.write() as connection:
        add_study(connection, study_instance_uid=UID, patient_name="Gagné^Zoé", patient_id="P77")
    for path in ("/relais/v1/studies", f"/relais/v1/studies/{UID}", f"/relais/v1/studies/{UID}/timeline"):
        text = web.get(path, user="auditor").text
        assert not any(word in text for word in ("Gagn", "P77", "1984", "Panoramique"))
    assert "P77" in web.get("/relais/v1/studies", user="viewer").text


# What is refused


@pytest.mark.parametrize("marker", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_write_from_a_browser_needs_our_header(lonely: Web, marker: dict[str, str]) -> None:
    path, body = "/relais/v1/destinations/vna/pause", {"Reason": "test"}
    assert lonely.post(path, body, user="admin", headers=marker).status_code == 403
    assert lonely.post(path, body, user="admin", headers={**marker, "X-Relais": "1"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (b"", 400, None),
        (b"   ", 400, None),
        (b"{", 400, None),
        (b"\xff\xfe{}", 400, None),
        (b'{"Reason": NaN}', 400, None),
        (b'{"Reason": Infinity}', 400, None),
        (b'{"Reason": 1e999}', 400, None),
        (b'{"Reason": ' + b"9" * 5000 + b"}", 400, None),
        (b"[" * 500 + b"]" * 500, 400, None),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, None),
        (b"x" * 1_000_001, 413, None),
        (b"null", 422, ""),
        (b"[]", 422, ""),
        (b"{}", 422, "Reason"),
        (b'{"Reason": ""}', 422, "Reason"),
        (b'{"Reason": "  "}', 422, "Reason"),
        (b'{"Reason": 7}', 422, "Reason"),
        (b'{"Reason": null}', 422, "Reason"),
        (b'{"Reason": "a\\u0000b"}', 422, "Reason"),
        (b'{"Reason": "\\ud800"}', 422, "Reason"),
        (b'{"Reason": "ok", "Reasons": 1}', 422, "Reasons"),
        (b'{"Reason": "ok", "\\u0000": 1}', 422, '["\\u0000"]'),
        (json.dumps({"Reason": "x" * 501}).encode(), 422, "Reason"),
    ],
)
def test_a_bad_body_is_refused_and_changes_nothing(lonely: Web, body: bytes, status: int, path: str | None) -> None:
    answer = lonely.post("/relais/v1/destinations/vna/pause", body, user="admin")
    assert answer.status_code == status
    refused = answer.get_json()
    assert refused["Error"]
    assert [detail["Path"] for detail in refused["Details"]] == ([] if path is None else [path])
    assert all(detail["Message"] for detail in refused["Details"])
    assert actions(lonely) == []
    with lonely.relais.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(lane)).scalar() == 0


def test_every_problem_of_a_body_is_told_at_once(lonely: Web) -> None:
    body = {"Limit": 0, "State": "Lost", "Colour": 1}
    details = lonely.post("/relais/v1/studies/search", body, user="admin").get_json()["Details"]
    assert sorted(detail["Path"] for detail in details) == ["Colour", "Limit", "State"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_other_kinds_of_body_are_refused(lonely: Web, kind: str) -> None:
    path = "/relais/v1/destinations/vna/pause"
    answer = lonely.post(path, b'{"Reason": "a"}', user="admin", headers={"Content-Type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "query",
    [
        "Limit=0",
        "Limit=501",
        "Limit=x",
        "Limit=" + "9" * 30,
        "Since=x",
        "Since=" + "9" * 19,
        "State=Lost",
        "Nonsense=1",
        "Clinic=%00",
        "Modality=a%00",
    ],
)
def test_a_bad_query_is_refused_with_its_path(lonely: Web, query: str) -> None:
    answer = lonely.get(f"/relais/v1/studies?{query}", user="admin")
    assert answer.status_code == 422
    assert [detail["Path"] for detail in answer.get_json()["Details"]] == [query.partition("=")[0]]


@pytest.mark.parametrize(
    "since", ["x", "2026-01-01", "2026-01-01T00:00:00/1/a", "9999-12-31T23:59:59-23:59/1/a", "a/b/c"]
)
def test_a_bad_page_of_the_audit_is_refused(lonely: Web, since: str) -> None:
    assert lonely.get(f"/relais/v1/audit?Since={since}", user="admin").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "studies/1.2.3",
        "studies/not-a-uid",
        "studies/" + "1" * 65,
        "deliveries/0",
        "deliveries/99999999999999999999999",
        "deliveries/-1",
        "destinations/none",
        "destinations/..",
        "nothing",
        "studies/%00",
        "destinations/%F0%9F%92%A9",
    ],
)
def test_what_is_not_there_is_not_found(lonely: Web, path: str) -> None:
    answer = lonely.get(f"/relais/v1/{path}", user="admin")
    assert answer.status_code == 404
    assert answer.get_json()["Error"]


def test_another_method_is_refused_with_those_that_work(lonely: Web) -> None:
    for method, path, allowed in (("GET", "studies/search", "POST"), ("POST", "studies", "GET")):
        answer = (
            lonely.get(f"/relais/v1/{path}", user="admin")
            if method == "GET"
            else lonely.post(f"/relais/v1/{path}", user="admin")
        )
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


def test_a_state_that_does_not_allow_it_conflicts(web: Web) -> None:
    with web.relais.database.write() as connection:
        delivery_id = add_delivery(connection, add_study(connection), state="Completed")
    answer = web.post(f"/relais/v1/deliveries/{delivery_id}/cancel", {"Reason": "test"}, user="operator")
    assert answer.status_code == 409
    assert answer.get_json()["Error"] == "A delivery that is Completed cannot become Canceled"


def test_what_needs_orthanc_says_so_when_it_is_gone(lonely: Web) -> None:
    answer = lonely.get("/relais/v1/health", user="viewer")
    assert answer.status_code == 503
    unhealthy = {check["Name"] for check in answer.get_json()["Checks"] if not check["Healthy"]}
    assert unhealthy == {"Orthanc", "Feed", "Worker"}


# What is answered


def test_errors_speak_the_callers_language(lonely: Web) -> None:
    missing = "/relais/v1/destinations/none"
    assert lonely.get(missing, user="admin").get_json()["Error"] == "There is no destination none"
    french = "Il n\u2019y a pas de destination none"
    assert lonely.get(missing, user="admin", headers={"Accept-Language": "fr-CA"}).get_json()["Error"] == french
    asked = lonely.get(missing, user="francine", headers={"Accept-Language": "en"})
    assert asked.get_json()["Error"] == french


def test_whatever_the_steps_refuse_has_its_words(tmp_path: Path) -> None:
    steps = "".join(path.read_text() for path in (PLUGIN / "relais").rglob("*.py"))
    codes, kinds = (set(re.findall(rf'{name}\(\s*"([\w-]+)"', steps)) for name in ("StateError", "UnknownError"))
    assert len(codes) > 5
    assert codes <= set(CONFLICTS)
    assert len(kinds) > 3
    assert kinds <= set(KINDS)
    worst = {"ConcurrentJobs": 1, "JobsHistorySize": 1, "RemoteAccessAllowed": True, "AuthenticationEnabled": False}
    worklists = {
        "Plugins": ["/usr/share/orthanc/plugins/libModalityWorklists.so"],
        "Worklists": {"Enable": True},
        "DicomAlwaysAllowFind": True,
    }
    found = Surroundings.of({**worst, **worklists, "StorageDirectory": str(tmp_path)}).findings()
    assert set(found) == set(FINDINGS)


def test_every_answer_guards_the_browser(lonely: Web) -> None:
    for path, user in (("/relais/v1/studies", "admin"), ("/relais/nothing", "admin"), ("/relais/v1/studies", None)):
        headers = lonely.get(path, user=user).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_a_list_has_pages_until_it_ends(web: Web) -> None:
    with web.relais.database.write() as connection:
        for _ in range(5):
            add_study(connection)
    seen: list[str] = []
    path: str | None = "/relais/v1/studies?Limit=2"
    while path:
        page = web.get(path, user="viewer").get_json()
        seen += [item["StudyInstanceUID"] for item in page["Items"]]
        path = f"/relais/v1/studies?Limit=2&Since={page['Next']}" if page["Next"] else None
    assert len(seen) == len(set(seen)) == 5


def test_the_audit_has_pages_until_it_ends(web: Web) -> None:
    for _ in range(3):
        web.get("/relais/v1/studies", user="viewer")
    seen: list[int] = []
    since = ""
    while True:
        page = web.get(f"/relais/v1/audit?Limit=1{since}", user="auditor").get_json()
        seen += [item["Number"] for item in page["Items"]]
        if not page["Next"]:
            break
        since = f"&Since={page['Next']}"
    assert seen == [4, 3, 2, 1]  # the first is the activation at the start


def test_looking_at_a_study_is_written_down(web: Web) -> None:
    with web.relais.database.write() as connection:
        add_study(connection, study_instance_uid=UID)
    web.get("/relais/v1/studies", user="viewer")
    web.get(f"/relais/v1/studies/{UID}", user="viewer")
    web.post("/relais/v1/studies/search", {"Text": "gagné"}, user="privacy")
    assert actions(web) == [("viewer", "studies.listed"), ("viewer", "study.viewed"), ("privacy", "studies.listed")]
    (verified,) = web.get("/relais/v1/audit/verify", user="auditor").get_json()["Items"]
    assert (verified["Intact"], verified["Events"]) == (True, 4)


def test_search_takes_text_and_filters(web: Web) -> None:
    with web.relais.database.write() as connection:
        add_study(connection, study_instance_uid=UID, patient_name="Gagné^Zoé", state="Held")
        add_study(connection, patient_name="Gagné^Zoé")
    found = web.post("/relais/v1/studies/search", {"Text": "zoe", "State": "Held"}, user="viewer").get_json()
    assert [item["StudyInstanceUID"] for item in found["Items"]] == [UID]


def test_a_person_holds_and_releases_a_study(web: Web) -> None:
    with web.relais.database.write() as connection:
        add_study(connection, study_instance_uid=UID)
    held = web.post(f"/relais/v1/studies/{UID}/hold", {"Reason": "wrong patient"}, user="operator")
    assert held.get_json() == {"Done": True}
    shown = web.get(f"/relais/v1/studies/{UID}", user="operator").get_json()
    assert (shown["State"], shown["HoldReason"], shown["HeldBy"]) == ("Held", "wrong patient", "operator")
    assert web.post(f"/relais/v1/studies/{UID}/release", {"Reason": "solved"}, user="operator").status_code == 200
    assert web.post(f"/relais/v1/studies/{UID}/release", {"Reason": "again"}, user="operator").status_code == 409


def test_rules_are_tried_on_given_facts_without_a_trace(web: Web) -> None:
    facts = {"Series": [{"Modality": "PX"}], "Clinic": "outremont"}
    answer = web.post("/relais/v1/rules/evaluate", {"Facts": facts}, user="operator").get_json()
    assert [each["Destination"] for each in answer["Decision"]["Deliveries"]] == ["vna"]
    assert answer["Facts"]["Clinic"] == "outremont"
    assert actions(web) == []
    refused = web.post("/relais/v1/rules/evaluate", {"Facts": {"Study": {"Sutdy": "1"}}}, user="operator")
    assert refused.status_code == 422
    assert refused.get_json()["Details"][0]["Path"] == "Facts.Study.Sutdy"
    assert web.post("/relais/v1/rules/evaluate", {}, user="operator").status_code == 422


def test_secrets_are_not_shown(lonely: Web) -> None:
    text = lonely.get("/relais/v1/configuration", user="admin").text
    assert "c2VjcmV0" not in text
    assert "/hook" in text


def test_metrics_name_routes_not_patients(web: Web) -> None:
    with web.relais.database.write() as connection:
        add_delivery(connection, add_study(connection, study_instance_uid=UID))
    web.get(f"/relais/v1/studies/{UID}", user="admin")
    web.relais.metrics.observe_task("deliver", 0.3)
    text = web.get("/relais/metrics", user="admin").text
    assert 'route="/relais/v1/studies/{StudyInstanceUID}",status="200"' in text
    assert UID not in text
    assert 'relais_lane_backlog{destination="vna"} 1.0' in text
    assert 'relais_task_duration_seconds_count{kind="deliver"} 1.0' in text


def test_the_document_describes_every_route(lonely: Web) -> None:
    document = lonely.get("/relais/openapi.json", user="viewer").get_json()
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert len(described) == len([route for group in api.ALL for route in group])
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert operation["x-permission"] in set(Permission)
            assert "403" in operation["responses"]
    assert set(Permission) >= WHOLE
