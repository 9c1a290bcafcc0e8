"""Another version becomes active while Orthanc runs: the house is built anew, and nothing is lost or goes astray."""

import sqlite3
import threading
from contextlib import closing
from typing import Any

from tests.servers.dicom import make_study, send
from tests.servers.ports import free_port
from tests.servers.router import SECRET, Router, destination, section
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually
from tests.system.conftest import Archives, RouterFactory

VERSIONS = "/relais/v1/configuration/versions"


def kept(relais: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The section as a database keeps it: nobody need approve, and nothing secret is in it."""
    return {**relais, "ConfigurationSource": "Database", "Approval": "Never", "Subscribers": {}, **changes}


def activate(router: Router, document: dict[str, Any]) -> int:
    """Make this document the active version, and wait until the router works by it; answers its number."""
    drafted = router.rest.post(VERSIONS, {"Document": document, "Comment": "a test asks for it"})
    number: int = drafted["Number"]
    router.rest.post(f"{VERSIONS}/{number}/activate", {"Comment": "a test asks for it"})
    follows(router, drafted["Digest"])
    return number


def follows(router: Router, digest: str) -> None:
    """Wait until the parts are those of the version with this digest."""
    eventually(lambda: router.ask("system")["Configuration"] == digest, 10, "the version is followed")


def everything(*names: str) -> dict[str, Any]:
    return {"Name": "everything", "DeliverTo": list(names)}


def test_another_version_takes_over_without_a_restart(archives: Archives, router_factory: RouterFactory) -> None:
    one, two = archives
    relais = kept(
        section(
            {"one": destination(one.aet, one.dicom_port), "two": destination(two.aet, two.dicom_port)},
            Rules=[everything("one")],
        )
    )
    with router_factory(relais) as router:
        pid, first = router.pid, make_study()
        send(first, router.dicom_port)
        router.wait_for_delivery(first.uid, "one", "Completed")
        assert activate(router, {**relais, "Rules": [everything("two")]}) == 2
        second = make_study()
        send(second, router.dicom_port)
        router.wait_for_delivery(second.uid, "two", "Completed")
        assert router.delivery(second.uid, "one") is None
        assert router.delivery(first.uid, "two") is None, "what was done is not done again"
        assert router.pid == pid
        router.stop()
        router.start()
        third = make_study()
        send(third, router.dicom_port)
        router.wait_for_delivery(third.uid, "two", "Completed")


def test_what_waits_is_decided_again(archives: Archives, router_factory: RouterFactory) -> None:
    one, _ = archives
    relais = kept(
        section(
            {"dead": destination("DEAD", free_port()), "one": destination(one.aet, one.dicom_port)},
            Rules=[everything("dead")],
        )
    )
    with router_factory(relais) as router:
        study = make_study()
        send(study, router.dicom_port)
        eventually(
            lambda: (router.delivery(study.uid, "dead") or {}).get("LastError") is not None, 20, "it was tried in vain"
        )
        activate(router, {**relais, "Rules": [everything("one")]})
        router.wait_for_delivery(study.uid, "one", "Completed")
        router.wait_for_delivery(study.uid, "dead", "Canceled")


def test_a_destination_that_is_forbidden_gets_not_one_image_more(router_factory: RouterFactory) -> None:
    with StorageScp("SLOW") as slow:
        lane = destination("SLOW", slow.port, BatchInstances=1, Concurrency=1)
        relais = kept(section({"slow": lane}))
        with router_factory(relais) as router:
            study = make_study(instances=12)
            slow.released.clear()
            send(study, router.dicom_port)
            router.wait_for_delivery(study.uid, "slow", "InProgress")
            drafted = router.rest.post(
                VERSIONS,
                {"Document": {**relais, "Destinations": {"slow": {**lane, "Jurisdiction": None}}}, "Comment": "forbid"},
            )
            router.rest.post(f"{VERSIONS}/{drafted['Number']}/activate", {"Comment": "forbid"})
            slow.released.set()
            blocked = router.wait_for_delivery(study.uid, "slow", "Blocked")
            assert blocked["Delivered"] <= 1
            assert len(slow.receptions) <= 1, "the image that was under way, and none after it"


def test_many_versions_leave_nothing_behind(archives: Archives, router_factory: RouterFactory) -> None:
    one, _ = archives
    relais = kept(section({"one": destination(one.aet, one.dicom_port)}))
    with router_factory(relais) as router:
        studies = [make_study(instances=3) for _ in range(4)]
        activate(router, {**relais, "Completeness": {"QuietSeconds": 0.2}})
        before = router.threads

        def send_all() -> None:
            for each in studies:
                send(each, router.dicom_port)

        sender = threading.Thread(target=send_all)
        sender.start()
        for number in range(4):
            activate(router, {**relais, "Completeness": {"QuietSeconds": 0.2 + number / 100 + 0.01}})
        sender.join()
        for study in studies:
            router.wait_for_delivery(study.uid, "one", "Completed")
        eventually(lambda: router.threads <= before + 2, 10, "the threads of former versions ended")


def test_no_secret_of_the_file_is_in_the_database(archives: Archives, router_factory: RouterFactory) -> None:
    one, _ = archives
    relais = section({"one": destination(one.aet, one.dicom_port)}, subscribers={"crm": "http://127.0.0.1:9/hook"})
    assert relais["Subscribers"]["crm"]["Secret"] == SECRET
    with router_factory(relais) as router:
        assert router.ask("configuration")["Document"]["Subscribers"]["crm"]["Secret"] != SECRET
        assert router.rest.get(f"{VERSIONS}/1")["Document"]["Subscribers"]["crm"]["Secret"] != SECRET
        router.stop()
        database = b"".join(path.read_bytes() for path in router.folder.rglob("relais.db*"))
    assert b"QuietSeconds" in database
    assert SECRET.encode() not in database


def test_a_version_that_cannot_be_followed_stops_decisions_and_says_so(
    archives: Archives, router_factory: RouterFactory
) -> None:
    one, _ = archives
    relais = kept(section({"one": destination(one.aet, one.dicom_port)}))
    with router_factory(relais) as router:
        (database,) = router.folder.rglob("relais.db")

        def edit(digest: str) -> None:
            with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
                connection.execute(
                    "UPDATE version SET digest = ?, activated_at = '2020-01-01' WHERE state = 'Active'", (digest,)
                )

        def configuration_is_well() -> bool:
            checks = {each["Name"]: each for each in router.rest.request("GET", "/relais/v1/health").json()["Checks"]}
            return bool(checks["Configuration"]["Healthy"])

        assert configuration_is_well()
        digest = router.ask("system")["Configuration"]
        edit("somebody was here")
        assert not configuration_is_well()
        study = make_study()
        send(study, router.dicom_port)
        router.wait_for_study(study.uid, "Complete")
        eventually(lambda: "edited" in router.log_text, 20, "the log says why")
        assert router.deliveries(study.uid) == []
        edit(digest)
        router.wait_for_delivery(study.uid, "one", "Completed")
        assert configuration_is_well()
