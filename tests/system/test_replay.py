"""Replays as people ask for them: inside a real Orthanc that is killed meanwhile, and over the REST API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from relais.apart import NICE
from relais.database.tables import decision, study
from relais.replay import LANE
from tests.bench.seed import seed
from tests.servers.ports import free_port
from tests.servers.router import API, Router, destination, section
from tests.servers.rows import START, add_study
from tests.servers.waiting import eventually
from tests.system.conftest import RouterFactory
from tests.system.serving import Web, compose_web

REPLAYS = f"{API}/configuration/replays"
STUDIES = 6_000


def judges(router: Router) -> list[int]:
    """The processes in which this router's replays are judged."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            command = (process / "cmdline").read_text()
        except (OSError, IndexError):
            continue
        if parent == str(router.pid) and "relais.replay_process" in command:
            found.append(int(process.name))
    return found


def test_a_router_that_is_killed_goes_on_and_counts_each_study_once(
    router_factory: RouterFactory, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'relais.db'}"
    nobody = {"vna": destination("VNA", free_port()), "cloud": destination("VNA", free_port())}
    router = router_factory(section(nobody, Rules=[{"Name": "all", "DeliverTo": ["vna"]}], Database=url)).start()
    seed(url, studies=STUDIES, deliveries=False)
    panoramics = {"Name": "px", "When": {"Field": "Modality", "Equals": "PX"}, "DeliverTo": ["cloud"]}
    many = [{"Name": f"n{each}", "When": panoramics["When"], "DeliverTo": ["vna"]} for each in range(100)]
    proposed = section(nobody, Rules=[{"Name": "all", "DeliverTo": ["vna"]}, panoramics, *many])
    replay = router.rest.post(REPLAYS, {"Document": proposed, "Studies": STUDIES * 2})["Id"]

    def asked() -> Any:
        return router.rest.get(f"{REPLAYS}/{replay}")

    eventually(lambda: asked()["Done"], 120, "a page is done")
    (judge,) = judges(router)
    assert (Path("/proc") / str(judge) / "stat").read_text().rpartition(")")[2].split()[16] == str(NICE)
    router.kill()
    eventually(lambda: not Path("/proc", str(judge)).exists(), what="the other process ended with it")
    router.start()
    assert asked()["Done"] < STUDIES
    ended = eventually(lambda: asked()["FinishedAt"] and asked(), 200, "the replay is over")
    assert (ended["State"], ended["Total"], ended["Done"], ended["Error"]) == ("Completed", STUDIES, STUDIES, None)
    changes = router.everything(f"configuration/replays/{replay}/changes")
    assert len({each["StudyInstanceUID"] for each in changes}) == len(changes) == ended["Changed"] > STUDIES / 10
    assert {(each["Kind"], each["Destination"]) for each in changes} == {("Added", "cloud")}
    assert ended["Summary"] == [
        {
            "Kind": "Added",
            "Destination": "cloud",
            "Studies": len(changes),
            "Text": f"{len(changes):,} studies would also go to cloud",
        }
    ]
    (vna,) = [each for each in ended["Destinations"] if each["Destination"] == "vna"]
    assert (vna["Before"], vna["After"]) == (STUDIES, STUDIES)
    assert sum(each["After"] for each in ended["Flows"] if each["Destination"] == "cloud") == len(changes)
    assert router.stop() < 10


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = compose_web(tmp_path)
    with made.relais.database.write() as connection:
        for clinic, called in (("outremont", "OUTREMONT"), ("laval", "LAVAL"), ("laval", "LAVAL")):
            study_id = add_study(connection, clinic=clinic)
            facts = {"Series": [{"Modality": ["CT"]}], "Origin": {"CalledAet": called}}
            row = {"study_id": study_id, "configuration": "x", "decided_at": START, "facts": facts, "document": {}}
            made_id = connection.execute(insert(decision).values(row).returning(decision.c.id)).scalar_one()
            connection.execute(update(study).where(study.c.id == study_id).values(decision_id=made_id))
    yield made
    made.relais.database.close()


PROPOSED = {
    "Clinics": {"outremont": {"CalledAets": ["OUTREMONT"]}, "laval": {"CalledAets": ["LAVAL"]}},
    "Destinations": {"vna": destination("VNA", 104)},
    "Rules": [{"Name": "everything", "DeliverTo": ["vna"]}],
}


def run(web: Web) -> None:
    for claim in web.relais.tasks.claim(web.relais.tasks.due({LANE: 1})):
        web.relais.replay(claim)


def start(web: Web, user: str = "admin", **body: Any) -> Any:
    return web.post(REPLAYS, {"Document": PROPOSED, "Studies": 100, **body}, user=user)


@pytest.mark.parametrize(
    ("user", "may_start", "may_look"),
    [
        ("admin", True, True),
        ("privacy", False, True),
        ("operator", False, False),
        ("viewer", False, False),
        ("auditor", False, False),
        ("outremont", False, False),
        (None, False, False),
    ],
)
def test_who_may_start_and_who_may_look(web: Web, user: str | None, may_start: bool, may_look: bool) -> None:
    first = start(web).get_json()["Id"]
    refused = (401, 403)
    assert (web.post(REPLAYS, {"Document": PROPOSED, "Days": 7}, user=user).status_code == 200) is may_start
    for path in (REPLAYS, f"{REPLAYS}/{first}", f"{REPLAYS}/{first}/changes"):
        status = web.get(path, user=user).status_code
        assert status == 200 if may_look else status in refused
    status = web.post(f"{REPLAYS}/{first}/cancel", {}, user=user).status_code
    assert status == 200 if may_start else status in refused


def test_changes_are_those_of_the_callers_clinics(tmp_path: Path, web: Web) -> None:
    replay = start(web).get_json()["Id"]
    run(web)
    answer = web.get(f"{REPLAYS}/{replay}", user="privacy", headers={"Accept-Language": "fr"}).get_json()
    assert (answer["State"], answer["Done"], answer["Changed"]) == ("Completed", 3, 3)
    assert [each["Text"] for each in answer["Summary"]] == [
        "3 examens iraient aussi à vna",
        "3 examens ne seraient plus retenus",
    ]
    everywhere = web.get(f"{REPLAYS}/{replay}/changes?Limit=4", user="privacy").get_json()
    rest = web.get(f"{REPLAYS}/{replay}/changes?Since={everywhere['Next']}", user="privacy").get_json()
    assert [len(everywhere["Items"]), len(rest["Items"]), rest["Next"]] == [4, 2, None]
    assert {each["Kind"] for each in everywhere["Items"]} == {"Released", "Added"}
    assert {"Clinic", "Kind", "Number", "Destination", "Before", "After", "StudyInstanceUID"} == set(rest["Items"][0])
    limited = web.relais.configuration.users["outremont"].model_copy(update={"roles": ("PrivacyOfficer",)})
    web.relais.configuration.users["outremont"] = limited  # type: ignore[index]  # a dict all the same
    mine = web.get(f"{REPLAYS}/{replay}/changes", user="outremont").get_json()["Items"]
    assert {each["Clinic"] for each in mine} == {"outremont"}
    assert len(mine) == 2
    added = web.get(f"{REPLAYS}/{replay}/changes?Kind=Added&Destination=vna", user="outremont").get_json()["Items"]
    assert [each["Kind"] for each in added] == ["Added"]
    audited = web.get(f"{API}/audit?Action=replay.started", user="privacy").get_json()["Items"]
    assert (audited[0]["Actor"], audited[0]["Detail"]["Studies"]) == ("admin", 100)


def test_what_is_asked_must_make_sense(web: Web) -> None:
    bad = start(web, Document={**PROPOSED, "Rules": [{"Name": "typo", "DeliverTo": ["vna2"]}]})
    assert bad.status_code == 422
    assert [each["Path"] for each in bad.get_json()["Details"]] == ["Document.Rules[0].DeliverTo[0]"]
    assert start(web, Days=3).status_code == 422
    assert start(web, Studies=None).status_code == 422
    assert start(web, Studies=0).status_code == 422
    assert web.post(REPLAYS, {"Studies": 7}, user="admin").status_code == 422
    assert web.get(REPLAYS, user="admin").get_json()["Items"] == []
    assert web.get(f"{REPLAYS}/1", user="admin").status_code == 404
    assert web.get(f"{REPLAYS}/1/changes", user="admin").status_code == 404
    assert web.get(f"{REPLAYS}/1/changes?Kind=Moved", user="admin").status_code == 422
    assert web.post(f"{REPLAYS}/1/cancel", {}, user="admin").status_code == 404
    replay = start(web).get_json()["Id"]
    assert web.post(f"{REPLAYS}/{replay}/cancel", {}, user="admin").status_code == 200
    assert web.post(f"{REPLAYS}/{replay}/cancel", {}, user="admin").status_code == 409
    for _ in range(5):
        assert start(web).status_code == 200
    assert start(web).status_code == 409


def test_a_version_is_replayed_by_its_number(web: Web) -> None:
    number = web.relais.versions.draft(PROPOSED, actor="admin").number
    path = f"{API}/configuration/versions/{number}/replay"
    assert web.get(path, user="privacy").status_code == 404
    started = web.post(path, {"Days": 3650}, user="admin").get_json()
    assert (started["Version"], started["State"], started["Days"]) == (number, "Waiting", 3650)
    run(web)
    latest = web.get(path, user="privacy").get_json()
    assert (latest["Id"], latest["State"], latest["Done"]) == (started["Id"], "Completed", 3)
    assert web.post(path.replace(f"/{number}/", "/999/"), {"Days": 1}, user="admin").status_code == 404
    unfinished = web.relais.versions.draft({"Rules": [{"Name": "typo", "DeliverTo": ["vna2"]}]}, actor="admin").number
    refused = web.post(path.replace(f"/{number}/", f"/{unfinished}/"), {"Days": 1}, user="admin")
    assert refused.status_code == 422
    assert [each["Path"] for each in refused.get_json()["Details"]] == ["Rules[0].DeliverTo[0]"]
