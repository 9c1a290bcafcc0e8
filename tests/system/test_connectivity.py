"""Tests of destinations, as people ask for them: inside a real Orthanc, over its REST API."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relais.connectivity import LANE
from tests.conftest import OrthancFactory
from tests.servers.orthanc import OrthancServer, RestError
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.router import API, Router, destination, section
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory
from tests.system.serving import Web, compose_web

REASON = {"Reason": "a test asks for it"}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = compose_web(tmp_path)
    yield made
    made.relais.database.close()


def test(router: Router, name: str, **body: Any) -> Any:
    return router.rest.post(f"{API}/destinations/{name}/test", {**REASON, **body})


test.__test__ = False  # type: ignore[attr-defined]  # what the router is asked to do, not a test of its own


def grades(answer: Any) -> dict[str, str]:
    return {step["Name"]: step["Grade"] for step in answer["Steps"]}


def test_every_kind_is_tested_and_remembered(
    router_factory: RouterFactory, orthanc_factory: OrthancFactory, archives: Archives, tmp_path: Path
) -> None:
    peer = orthanc_factory("peer", plugins=("DicomWeb",)).start()
    router = router_factory(
        section(
            {
                "vna": destination("VNA1", archives[0].dicom_port),
                "gone": destination("GONE", free_port()),
                "web": {"Kind": "DicomWeb", "Url": f"{peer.url}/dicom-web"},
                "peer": {"Kind": "OrthancPeer", "Url": peer.url},
                "files": {"Kind": "Files", "Url": f"file://{tmp_path}/archive"},
            },
            Rules=[],
        )
    ).start()
    took = time.monotonic()
    first = test(router, "vna", Store=True)
    assert time.monotonic() - took < 5  # pynetdicom's import included
    assert {name for name, grade in grades(first).items() if grade != "Passed"} == {"Find"}
    assert first["Steps"][-1]["Advice"][0]["Code"] == "find-broken"  # it does not know our title, as Orthanc's log says
    archives[0].rest.put("/modalities/router", ["ORTHANC", "127.0.0.1", router.dicom_port])
    try:
        known = test(router, "vna", Store=True)
    finally:
        archives[0].rest.delete("/modalities/router")
    assert set(grades(known).values()) == {"Passed"}
    stored = next(step["Facts"]["StudyInstanceUID"] for step in first["Steps"] if step["Name"] == "Store")
    assert len(archives[0].sop_instance_uids(stored)) == 1
    refused = test(router, "gone")
    (advice,) = refused["Steps"][1]["Advice"]
    assert (refused["Grade"], advice["Code"]) == ("Failed", "refused")
    assert advice["Text"].startswith("127.0.0.1 answers, but nothing listens at port")
    for name in ("web", "peer", "files"):
        answer = test(router, name, Store=True)
        assert answer["Grade"] == "Passed", answer
    assert peer.rest.get("/statistics")["CountInstances"] == 1  # DICOMweb's is kept, the peer's was deleted

    again = test(router, "vna")
    page = router.ask("destinations/vna/tests?Limit=1")
    assert [each["Id"] for each in page["Items"]] == [again["Id"]]
    page = router.ask(f"destinations/vna/tests?Limit=1&Since={page['Next']}")
    assert page["Items"] == [known]
    french = router.rest.request("GET", f"{API}/destinations/gone/tests", headers={"Accept-Language": "fr"})
    assert "mais rien n\u2019écoute au port" in french.data.decode()
    (event,) = [each for each in router.everything("audit") if each["Detail"].get("Test") == again["Id"]]
    assert (event["Action"], event["Detail"]["Reason"]) == ("destination.tested", REASON["Reason"])


def test_a_silent_destination_holds_up_nobody(
    router_factory: RouterFactory, archives: Archives, tmp_path: Path
) -> None:
    with Proxy(archives[1].dicom_port) as proxy:  # the other one: an idle connection holds an Orthanc up
        proxy.fault = Fault.BLACK_HOLE
        router = router_factory(
            section(
                {
                    "silent": destination("VNA2", proxy.port, TimeoutSeconds=20),
                    "vna": destination("VNA1", archives[0].dicom_port),
                },
                Rules=[],
            )
        ).start()
        asked = threading.Thread(target=_ignoring_the_end, args=(router, "silent"))
        asked.start()
        eventually(lambda: proxy.connections >= 2, what="the association is under way")
        began = time.monotonic()
        assert router.ask("health")["Healthy"]
        assert test(router, "vna")["Grade"] == "Passed"
        with pytest.raises(RestError) as busy:
            test(router, "silent")
        assert (busy.value.status, busy.value.json["Error"]) == (
            409,
            "A test of silent is under way; wait for its end",
        )
        assert time.monotonic() - began < 5
        assert router.stop() < 10  # and not 20
        asked.join()


def _ignoring_the_end(router: OrthancServer, name: str) -> None:
    router.rest.request("POST", f"{API}/destinations/{name}/test", REASON)


def test_the_schedule_runs_by_itself_over_restarts(router_factory: RouterFactory, archives: Archives) -> None:
    often = section({"vna": destination("VNA1", archives[0].dicom_port, TestEveryHours=0.0002)}, Rules=[])
    router = router_factory(often).start()

    def tests() -> list[Any]:
        return router.everything("destinations/vna/tests")

    eventually(lambda: len(tests()) >= 2, what="it was tested twice")
    assert {each["Actor"] for each in tests()} == {"relais"}
    router.stop()
    router.start()
    count = len(tests())
    eventually(lambda: len(tests()) > count, what="it is tested again")
    (waiting,) = [each for each in router.everything("tasks") if each["Kind"] == "test"]
    assert waiting["Lane"] == LANE
    router.stop()
    del router.configuration["Relais"]["Destinations"]["vna"]["TestEveryHours"]
    router.start()
    eventually(lambda: not router.everything("tasks"), what="the schedule is gone")


@pytest.mark.parametrize(
    ("user", "may_test", "may_look"),
    [
        ("operator", True, True),
        ("admin", True, True),
        ("viewer", False, True),
        ("privacy", False, True),
        ("outremont", False, True),  # reaches beyond one clinic
        (None, False, False),
    ],
)
def test_who_may_test_and_who_may_look(web: Web, user: str | None, may_test: bool, may_look: bool) -> None:
    answer = web.post("/relais/v1/destinations/vna/test", REASON, user=user)
    assert (answer.status_code == 200) is may_test
    assert may_test or answer.status_code in (401, 403)
    assert (web.get("/relais/v1/destinations/vna/tests", user=user).status_code == 200) is may_look


def test_what_is_asked_must_make_sense(web: Web) -> None:
    path = "/relais/v1/destinations/vna/test"
    assert web.post(path, {}, user="operator").status_code == 422
    assert web.post(path, {**REASON, "Store": "yes"}, user="operator").status_code == 422
    assert web.post(path.replace("vna", "nowhere"), REASON, user="operator").status_code == 404
    assert web.get("/relais/v1/destinations/nowhere/tests", user="operator").status_code == 404
    assert web.get("/relais/v1/destinations/vna/tests", user="operator").get_json() == {"Items": [], "Next": None}
