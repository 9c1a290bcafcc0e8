"""Versions over the API, in two languages and by several people; a crash around an activation."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3
from sqlalchemy import select, update

from relais.audit import verify
from relais.configuration.documents import LARGEST, digest_of
from relais.database import Database
from relais.database.configuration_tables import version as table
from relais.database.tables import audit
from relais.database.tables import task as task_table
from tests.servers.orthanc import OrthancDiedError
from tests.servers.router import Router, destination, section
from tests.servers.waiting import eventually
from tests.system.serving import SECTION, Web, basic, compose_web

ROOT = "/relais/v1/configuration"
VERSIONS = ROOT + "/versions"
CRASHED = 77
MOST_STEPS = 40


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """The database is the source, and a person's change that bears on residency needs a second one."""
    found = compose_web(tmp_path, ConfigurationSource="Database", Subscribers={})
    yield found
    found.relais.ground.close()


def document(web: Web) -> dict[str, Any]:
    found: dict[str, Any] = web.get(ROOT, user="admin").get_json()["Document"]
    return found


def draft(web: Web, proposed: Any, *, user: str = "admin", **more: Any) -> dict[str, Any]:
    answer = web.post(VERSIONS, {"Document": proposed, **more}, user=user)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def put(web: Web, path: str, body: Any, *, user: str = "admin") -> Any:
    return web.application.test_client().put(path, json=body, headers=basic(user))


def test_a_change_from_draft_to_roll_back(web: Web) -> None:
    first = web.get(ROOT, user="auditor").get_json()
    assert (first["Version"], first["Source"], first["Digest"]) == (1, "Database", digest_of(first["Document"]))
    assert set(first["Document"]) & {"Database", "ConfigurationSource"} == set()
    proposed = {**first["Document"], "Completeness": {"QuietSeconds": 5}}
    drafted = draft(web, proposed, Comment="shorter")
    assert (drafted["State"], drafted["BasedOn"], drafted["NeedsApproval"]) == ("Draft", 1, False)
    assert web.get(f"{VERSIONS}/2/differences", user="privacy").get_json()["Items"] == [
        {
            "Path": "Completeness",
            "Change": "Added",
            "Before": None,
            "After": {"QuietSeconds": 5},
            "Message": 'added: {"QuietSeconds": 5}',
        }
    ]
    proposed["Completeness"] = {"QuietSeconds": 4}
    revised = put(web, f"{VERSIONS}/2", {"Document": proposed, "Digest": drafted["Digest"]}).get_json()
    checked = web.get(f"{VERSIONS}/2/check", user="auditor").get_json()
    assert (checked["Valid"], checked["Digest"], checked["Problems"]) == (True, revised["Digest"], [])
    answer = web.post(f"{VERSIONS}/2/activate", {"Comment": "go"}, user="admin").get_json()
    assert (answer["State"], answer["ActivatedBy"]) == ("Active", "admin")
    assert document(web) == proposed
    exported = web.get(f"{VERSIONS}/2/export", user="auditor")
    assert exported.headers["Content-Disposition"] == 'attachment; filename="relais-2.json"'
    assert json.loads(exported.text) == {"Relais": proposed}
    assert draft(web, json.loads(exported.text))["Digest"] == revised["Digest"]
    back = web.post(f"{VERSIONS}/1/rollback", {}, user="admin").get_json()
    assert (back["Number"], back["State"], back["Digest"]) == (4, "Active", first["Digest"])
    listed = web.get(f"{VERSIONS}?Limit=2", user="auditor").get_json()
    assert [(each["Number"], each["State"]) for each in listed["Items"]] == [(4, "Active"), (3, "Draft")]
    assert listed["Next"] == "3"
    listed = web.get(f"{VERSIONS}?Limit=2&Since=3", user="auditor").get_json()
    assert [each["Number"] for each in listed["Items"]] == [2, 1]
    events = web.get("/relais/v1/audit?Action=configuration.activated", user="auditor").get_json()["Items"]
    assert [each["Actor"] for each in events] == ["admin", "admin", "relais"]
    assert [each.reason for each in verify(web.relais.database)] == [None]


def test_a_second_person_approves_what_bears_on_residency(web: Web) -> None:
    proposed = document(web)
    proposed["Destinations"]["vna"]["Host"] = "203.0.113.9"
    drafted = draft(web, proposed)
    one = f"{VERSIONS}/{drafted['Number']}"
    assert drafted["NeedsApproval"] is True
    refused = web.post(f"{one}/activate", {}, user="admin")
    assert (refused.status_code, "second person" in refused.get_json()["Error"]) == (409, True)
    assert web.post(f"{one}/approve", {"Digest": drafted["Digest"]}, user="admin").status_code == 409
    assert web.post(f"{one}/approve", {"Digest": drafted["Digest"]}, user="operator").status_code == 403
    assert web.post(f"{one}/approve", {"Digest": "0" * 64}, user="privacy").status_code == 409
    approved = web.post(f"{one}/approve", {"Digest": drafted["Digest"], "Comment": "yes"}, user="privacy").get_json()
    assert (approved["ApprovedBy"], approved["ApprovalComment"]) == ("privacy", "yes")
    assert web.post(f"{one}/activate", {}, user="privacy").status_code == 403
    assert web.post(f"{one}/activate", {}, user="admin").get_json()["State"] == "Active"


def test_who_comes_second_hears_what_changed_in_their_language(web: Web) -> None:
    before = document(web)
    late = draft(web, {**before, "Completeness": {"QuietSeconds": 1}})
    early = draft(web, {**before, "Completeness": {"QuietSeconds": 2}})
    assert web.post(f"{VERSIONS}/{early['Number']}/activate", {}, user="admin").status_code == 200
    refused = web.post(f"{VERSIONS}/{late['Number']}/activate", {}, user="francine")
    assert refused.status_code == 409
    assert refused.get_json() == {
        "Error": "La version 2 partait de la version 1, et la version 3 est devenue active depuis\u00a0; "
        "voyez ce qui a changé",
        "Details": [{"Path": "Completeness", "Message": 'ajouté\u00a0: {"QuietSeconds": 2}'}],
    }
    body = {"Document": late["Document"], "Digest": late["Digest"], "BasedOn": early["Number"]}
    assert put(web, f"{VERSIONS}/{late['Number']}", body).status_code == 200
    assert web.post(f"{VERSIONS}/{late['Number']}/activate", {}, user="francine").get_json()["State"] == "Active"


def test_every_problem_is_told_at_once(web: Web) -> None:
    wrong = {**document(web), "Otherwise": {}, "Rules": [{"Name": "a", "DeliverTo": ["vnaa"]}]}
    checked = web.post(f"{ROOT}/check", {"Document": wrong}, user="francine").get_json()
    assert checked["Valid"] is False
    told = {each["Path"]: each["Message"] for each in checked["Problems"]}
    assert told.keys() == {"Otherwise", "Rules[0].DeliverTo[0]"}
    assert told["Otherwise"] == "doit contenir soit Hold, soit DeliverTo"
    drafted = draft(web, wrong)
    refused = web.post(f"{VERSIONS}/{drafted['Number']}/activate", {}, user="admin")
    assert refused.status_code == 422
    assert {each["Path"] for each in refused.get_json()["Details"]} == {"Otherwise", "Rules[0].DeliverTo[0]"}


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        (b'{"Document": []}', 422, "objet"),
        (b'{"Document": "x"}', 422, "objet"),
        (b"[]", 422, "objet"),
        (b"{}", 422, "obligatoire"),
        (b'{"Document": {"Rules": [], "Rules": []}}', 400, "plusieurs fois"),
        (b'{"Document": {}} // note', 400, "JSON"),
        (b'{"Document": {"Completeness": {"QuietSeconds": 1e999}}}', 400, "nombre"),
        (b'{"Document": {"a": "\\u0000"}}', 422, "conserv"),
        (b'{"Document": {"Otherwise": {"Hold": "' + b"x" * (LARGEST + 70_000) + b'"}}}', 413, "octets"),
        (b'{"Document": {"Otherwise": {"Hold": "' + b"x" * LARGEST + b'"}}}', 422, "octets"),
        (b'{"Document": {}, "BasedOn": 99}', 404, "version 99"),
        (b'{"Document": {"Subscribers": {"crm": {"Url": "http://x", "Secret": "aHVzaA=="}}}}', 422, "secret"),
        (b'{"Document": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}", 400, "niveaux"),
    ],
)
def test_what_cannot_be_a_draft_is_refused_in_the_callers_language(
    web: Web, body: bytes, status: int, part: str
) -> None:
    before = web.get(ROOT, user="admin").get_json()
    refused = web.post(VERSIONS, body, user="francine")
    told = refused.get_json()
    assert refused.status_code == status
    assert part in told["Error"] + " ".join(each["Message"] for each in told["Details"])
    assert "aHVzaA" not in refused.text
    assert web.get(ROOT, user="admin").get_json() == before
    assert len(web.get(VERSIONS, user="admin").get_json()["Items"]) == 1


def test_a_document_of_four_megabytes_is_kept(web: Web) -> None:
    large = {**document(web), "Otherwise": {"Hold": "x" * 3_990_000}}
    drafted = draft(web, large)
    assert drafted["Document"] == large
    refused = web.post(f"{VERSIONS}/{drafted['Number']}/activate", {}, user="admin")
    assert refused.status_code == 422
    assert len(refused.text) < 10_000


def test_a_version_that_was_edited_by_hand_is_refused(web: Web) -> None:
    drafted = draft(web, {**document(web), "Completeness": {"QuietSeconds": 1}})
    with web.relais.database.write() as connection:
        connection.execute(
            update(table).where(table.c.number == drafted["Number"]).values(document={"Otherwise": {"Hold": "x"}})
        )
    refused = web.post(f"{VERSIONS}/{drafted['Number']}/activate", {}, user="francine")
    assert (refused.status_code, "modifiée à la main" in refused.get_json()["Error"]) == (409, True)
    assert web.get(ROOT, user="admin").get_json()["Version"] == 1


@pytest.mark.parametrize("verb", ["activate", "rollback", "withdraw", "discard"])
def test_an_unknown_version_is_not_found(web: Web, verb: str) -> None:
    assert web.post(f"{VERSIONS}/99/{verb}", {}, user="admin").status_code == 404
    assert web.get(f"{VERSIONS}/99", user="admin").status_code == 404
    assert web.get(f"{VERSIONS}/1/differences?Against=99", user="admin").status_code == 404


def test_while_the_file_is_the_source_nothing_is_activated(tmp_path: Path) -> None:
    web = compose_web(tmp_path)
    active = web.get(ROOT, user="admin").get_json()
    assert SECTION["Subscribers"]["crm"]["Secret"] == "c2VjcmV0"
    assert (active["Source"], active["Document"]["Subscribers"]["crm"]["Secret"]) == ("File", "***")
    drafted = draft(web, {**active["Document"], "Completeness": {"QuietSeconds": 1}})
    checked = web.get(f"{VERSIONS}/{drafted['Number']}/check", user="auditor").get_json()
    assert (checked["Valid"], checked["Problems"]) == (True, [])
    refused = web.post(f"{VERSIONS}/{drafted['Number']}/activate", {}, user="admin")
    assert (refused.status_code, "ConfigurationSource" in refused.get_json()["Error"]) == (409, True)
    assert web.get(ROOT, user="admin").get_json() == active
    web.relais.ground.close()


class Beginning:
    """A router with a draft, stopped: each crash begins with a copy of its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._relais = {
            **section({"vna": destination("VNA", 1)}),
            "ConfigurationSource": "Database",
            "Approval": "Never",
        }
        router = Router(folder / "origin", relais=self._relais)
        router.start()
        try:
            proposed = {**router.ask("configuration")["Document"], "Completeness": {"QuietSeconds": 2}}
            router.rest.post(VERSIONS, {"Document": proposed})
        finally:
            router.stop()
        self._ports = router.http_port, router.dicom_port

    def routers(self, step: str) -> tuple[Router, Router, Path]:
        """One that crashes at this commit, the same without the crash, and their database; neither is started."""
        folder = self._folder / f"copy{step}"
        shutil.copytree(self._folder / "origin" / "storage", folder / "storage")
        http_port, dicom_port = self._ports
        again = Router(folder, relais=self._relais, http_port=http_port, dicom_port=dicom_port)
        crash = {"RELAIS_CRASH_AT_COMMIT": step}
        armed = Router(folder, relais=self._relais, http_port=http_port, dicom_port=dicom_port, environment=crash)
        return armed, again, folder / "storage" / "relais.db"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("later", "moment", "stride"),
    [
        pytest.param(False, "", 7, id="now, before every seventh"),
        pytest.param(False, "", 1, id="now, before each", marks=pytest.mark.chaos),
        pytest.param(True, "+", 1, id="at a time, after each", marks=pytest.mark.chaos),
        pytest.param(False, "+", 1, id="now, after each", marks=pytest.mark.chaos),
        pytest.param(True, "", 1, id="at a time, before each", marks=pytest.mark.chaos),
    ],
)
def test_a_crash_around_an_activation_leaves_one_active_version(
    tmp_path: Path, later: bool, moment: str, stride: int
) -> None:
    beginning = Beginning(tmp_path)
    for number in range(1, MOST_STEPS, stride):
        armed, again, file = beginning.routers(f"{number}{moment}")
        try:
            crashed = _activate(armed, later=later) or _crashes_at_its_stop(armed)
            if crashed:
                assert armed.wait_ended() == CRASHED
            again.start()
            if later and _states(file)[2] == "Scheduled":
                eventually(partial(_is_active, file), 20, "the scheduled version is active")
            again.stop()
            _is_whole(file)
        finally:
            armed.kill()
            again.kill()
        if not crashed:
            assert _states(file) == {1: "Past", 2: "Active"}
            assert number > 2, "nothing crashed but the start"
            return
    pytest.fail("the activation never got through")


def _crashes_at_its_stop(router: Router) -> bool:
    try:
        router.stop()
    except OrthancDiedError:
        if router.is_running or router.wait_ended() != CRASHED:
            raise
        return True
    return False


def _activate(router: Router, *, later: bool) -> bool:
    """Start and activate version 2; says whether the router crashed on the way."""
    router.start(wait=False)
    try:
        router.wait_ready()
        soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
        router.rest.post(f"{VERSIONS}/2/activate", {"At": soon} if later else {})
        eventually(lambda: _follows(router), 20, "it is active, and the parts are composed from it")
    except (urllib3.exceptions.HTTPError, OrthancDiedError):  # it crashed this very moment
        eventually(lambda: not router.is_running, 20, "the router crashed")
    return not router.is_running


def _follows(router: Router) -> bool:
    active = router.ask("configuration")
    return bool(active["Version"] == 2 and router.ask("system")["Configuration"] == active["Digest"])


def _is_active(file: Path) -> bool:
    return _states(file)[2] == "Active"


def _states(file: Path) -> dict[int, str]:
    with closing(Database(f"sqlite:///{file}")) as database, database.read() as connection:
        return {row.number: row.state for row in connection.execute(select(table.c.number, table.c.state))}


def _is_whole(file: Path) -> None:
    """Exactly one active version, an activation in the audit for each that is or was, and no task that goes astray."""
    with closing(Database(f"sqlite:///{file}")) as database:
        states = _states(file)
        assert list(states.values()).count("Active") == 1
        with database.read() as connection:
            activated = connection.execute(select(audit.c.detail).where(audit.c.action == "configuration.activated"))
            numbers = [row.detail["Version"] for row in activated]
            tasks = connection.execute(select(task_table.c.state).where(task_table.c.kind == "activate")).all()
        assert numbers == [number for number, state in sorted(states.items()) if state in ("Active", "Past")]
        assert [each.reason for each in verify(database)] == [None]
        assert tasks == []
