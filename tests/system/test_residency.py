"""Residency, whole: what the law refuses does not leave, whatever happens between plan and send, over real servers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from relais.database.tables import audit, delivery, task
from relais.domain.residency import Reason
from tests.servers.clock import FakeClock
from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.ports import free_port
from tests.servers.receiver import Receiver
from tests.servers.router import API, QUEBEC, Router, destination, section
from tests.servers.rows import add_delivery, add_study
from tests.servers.scp import ArchiveScp
from tests.servers.waiting import eventually
from tests.system.conftest import RouterFactory
from tests.system.inside import composed, work
from tests.system.serving import Web, compose_web

ONTARIO = {"Storage": "CA-ON", "Access": ["CA-ON"]}
REFUSED = ["no-assessment", "no-agreement"]


@pytest.fixture
def scp() -> Iterator[ArchiveScp]:
    with ArchiveScp("SCP") as scp:
        yield scp


def to(scp: ArchiveScp, **options: Any) -> dict[str, Any]:
    return destination("SCP", scp.port, TimeoutSeconds=5, **options)


def owed(router: Router, study: Study, name: str = "scp") -> Any:
    """The study's delivery to this destination."""
    found = router.delivery(study.uid, name)
    assert found is not None
    return found


def codes(found: Any) -> list[str]:
    return [each["Refused"] for each in found["Reasons"] if "Refused" in each]


def with_label(router: Router, jurisdiction: Any, name: str = "scp") -> None:
    """Restart the router with another jurisdiction of its destination."""
    router.configuration["Relais"]["Destinations"][name]["Jurisdiction"] = jurisdiction
    router.start()


SLOWLY = {"BatchInstances": 1, "Bandwidth": 0.3}


def under_way(router: Router, scp: ArchiveScp) -> Study:
    """Send a study, image by image; answers it when some are through and most are not."""
    study = make_study(instances=8, size=20_000)
    send(study, router.dicom_port)
    eventually(lambda: len(scp.receptions) >= 2, 30, "it is under way")
    assert len(scp.receptions) < 6
    return study


def arrived(scp: ArchiveScp) -> int:
    """How many images arrived, once nothing is on its way any more."""
    eventually(lambda: not scp.callers, 20, "nothing is on its way")
    return len(scp.receptions)


# --- planned ----------------------------------------------------------------------------------------------------------


def test_what_may_not_go_is_blocked_told_once_and_sent_by_itself_once_it_may(
    router_factory: RouterFactory, scp: ArchiveScp, receiver: Receiver
) -> None:
    relais = section({"scp": to(scp, Jurisdiction=ONTARIO)}, subscribers={"crm": receiver.url})
    study = make_study(instances=2)
    with router_factory(relais) as router:
        send(study, router.dicom_port)
        blocked = router.wait_for_delivery(study.uid, "scp", "Blocked")
        assert codes(blocked) == REFUSED
        assert {"Rule": "everything"} in blocked["Reasons"]
        told = eventually(lambda: receiver.events("delivery.blocked"), 20, "it is told")
        assert told[0]["data"]["Reasons"] == REFUSED
        alert = eventually(lambda: receiver.events("security.alert"), 20, "an alert is given")
        assert alert[0]["data"]["Kind"] == "delivery-refused"

        decided = router.ask(f"studies/{study.uid}")["Decision"]["DecidedAt"]
        router.command(f"studies/{study.uid}/route")
        eventually(lambda: router.ask(f"studies/{study.uid}")["Decision"]["DecidedAt"] != decided, 20, "decided again")
        assert codes(owed(router, study)) == REFUSED

        answer = router.rest.request("POST", f"{API}/deliveries/{blocked['Id']}/retry", {"Reason": "please"})
        assert answer.status == 409
        message = json.loads(answer.data)["Details"][0]["Message"]
        assert message.startswith("images would be stored in or seen from CA-ON, without a privacy assessment")
        assert message.endswith("(P-39.1 s. 17, R-22.1 s. 78)")
        assert owed(router, study)["State"] == "Blocked"

        router.stop()
        assert scp.receptions == ()
        with_label(router, QUEBEC)
        router.wait_for_delivery(study.uid, "scp", "Completed", timeout=40)
        assert codes(owed(router, study)) == []
    assert scp.kept == study.sop_instance_uids
    assert len(receiver.events("delivery.blocked")) == len(receiver.events("security.alert")) == 1


def test_nothing_is_sent_while_a_study_arrives_either(router_factory: RouterFactory, scp: ArchiveScp) -> None:
    study = make_study(instances=3)
    relais = section({"scp": to(scp, Start="WhileReceiving", Jurisdiction=ONTARIO)}, quiet=2)
    with router_factory(relais) as router:
        send(study, router.dicom_port)
        router.wait_for_delivery(study.uid, "scp", "Blocked")
        router.wait_for_study(study.uid, "Routed")
        assert codes(owed(router, study)) == REFUSED
    assert scp.receptions == ()


def test_nobody_steps_in_and_nothing_is_redirected_where_it_may_not_go(
    router_factory: RouterFactory, scp: ArchiveScp
) -> None:
    study = make_study()
    first = destination("GONE", free_port(), FailoverTo="scp", FailoverAfterSeconds=0.5)
    rules = [{"Name": "all", "DeliverTo": ["first"]}]
    with router_factory(section({"first": first, "scp": to(scp, Jurisdiction=ONTARIO)}, Rules=rules)) as router:
        send(study, router.dicom_port)
        blocked = router.wait_for_delivery(study.uid, "scp", "Blocked")
        assert codes(blocked) == REFUSED
        assert {"FailoverOf": "first"} in blocked["Reasons"]
        order = {"Destination": "scp", "Reason": "it is urgent"}
        first_id = owed(router, study, "first")["Id"]
        assert router.rest.request("POST", f"{API}/deliveries/{first_id}/redirect", order).status == 409
        bulk = {"Action": "redirect", "Ids": [first_id], **order}
        (refused,) = router.rest.post(f"{API}/deliveries/bulk", bulk)["Refused"]
        assert "without a privacy assessment" in refused["Error"]
        assert owed(router, study, "first")["State"] in ("Scheduled", "InProgress")
    assert scp.receptions == ()


# --- between plan and send --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_configuration_that_forbids_lets_not_one_further_image_out(
    router_factory: RouterFactory, scp: ArchiveScp, end: str
) -> None:
    """The process ends with a delivery under way, and begins again under another law."""
    with router_factory(section({"scp": to(scp, **SLOWLY)})) as router:
        study = under_way(router, scp)
        getattr(router, end)()
        there = arrived(scp)
        assert there < len(study.instances)
        with_label(router, ONTARIO)
        blocked = router.wait_for_delivery(study.uid, "scp", "Blocked", timeout=40)
        assert codes(blocked) == REFUSED
        decided = router.ask(f"studies/{study.uid}")["Decision"]["DecidedAt"]
        router.command(f"studies/{study.uid}/route")
        eventually(lambda: router.ask(f"studies/{study.uid}")["Decision"]["DecidedAt"] != decided, 20, "decided again")
        assert owed(router, study)["State"] == "Blocked"
        eventually(lambda: not _sending(router), 60, "the killed process's claim has run out, and its task ended")
        assert len(scp.receptions) == there
        router.stop()
        with_label(router, QUEBEC)
        router.wait_for_delivery(study.uid, "scp", "Completed", timeout=40)
    assert scp.kept == study.sop_instance_uids


def test_a_restriction_stops_what_is_not_sent_yet_and_its_end_lets_it_go(
    router_factory: RouterFactory, scp: ArchiveScp
) -> None:
    with router_factory(section({"scp": to(scp, **SLOWLY)})) as router:
        study = under_way(router, scp)
        wish = {"PatientID": str(study.instances[0].PatientID), "Regions": ["CA"], "Reason": "the patient asks for it"}
        number = router.rest.post(f"{API}/restrictions", wish)["Restriction"]
        before = len(scp.receptions)
        stopped = owed(router, study)
        assert (stopped["State"], codes(stopped)) == ("Blocked", ["restricted"])
        eventually(lambda: not _sending(router), 20, "the batch under way has ended")
        there = arrived(scp)
        assert there <= before + 1
        answer = router.rest.request("POST", f"{API}/deliveries/{stopped['Id']}/retry", {"Reason": "please"})
        assert answer.status == 409
        assert len(scp.receptions) == there < len(study.instances)
        router.command(f"restrictions/{number}/lift")
        router.wait_for_delivery(study.uid, "scp", "Completed")
    assert scp.kept == study.sop_instance_uids


def _sending(router: Router) -> list[Any]:
    return [each for each in router.everything("tasks") if each["Kind"] == "deliver"]


# --- time -------------------------------------------------------------------------------------------------------------


def test_time_makes_it_right_and_wrong_by_itself(
    archives: tuple[OrthancServer, ...], vna: OrthancServer, tmp_path: Path
) -> None:
    """An assessment that begins lets go what waited for it; one that has expired stops what is not sent yet."""
    clock = FakeClock(datetime(2026, 7, 2, 10, 15, tzinfo=UTC))
    dated = {"Begins": "2026-07-04", "Expires": "2026-07-06"}
    far = destination(
        "VNA1",
        archives[0].dicom_port,
        Jurisdiction=ONTARIO,
        Assessment={"Reference": "E", "Result": "Adequate", **dated},
        Agreement={"Reference": "C", "Expires": "2027-01-01"},
    )
    first, second = make_study(), make_study()

    def states() -> list[str]:
        with relais.database.read() as connection:
            return list(connection.execute(select(delivery.c.state).order_by(delivery.c.id)).scalars())

    def pass_until(moment: datetime) -> None:
        clock.advance(moment - clock.now())
        work(relais)

    with composed(vna, tmp_path, section({"far": far}, quiet=1), clock) as relais:
        send(first, vna.dicom_port)
        work(relais)
        clock.advance(timedelta(seconds=2))
        work(relais)
        assert states() == ["Blocked"]
        pass_until(datetime(2026, 7, 3, 23, 59, 59, tzinfo=UTC))
        assert states() == ["Blocked"]
        pass_until(datetime(2026, 7, 4, tzinfo=UTC))
        assert states() == ["Completed"]
        pass_until(datetime(2026, 7, 6, tzinfo=UTC))
        send(second, vna.dicom_port)
        work(relais)
        clock.advance(timedelta(seconds=2))
        work(relais)
        assert states() == ["Completed", "Blocked"]
        with relais.database.read() as connection:
            assert connection.execute(select(task.c.key).where(task.c.kind == "judge")).all() == []
    assert archives[0].sop_instance_uids(first.uid) == first.sop_instance_uids
    assert archives[0].sop_instance_uids(second.uid) == []


def test_an_assessment_that_expires_between_two_batches_lets_nothing_more_out(
    scp: ArchiveScp, vna: OrthancServer, tmp_path: Path
) -> None:
    clock = FakeClock(datetime(2026, 7, 5, 23, 59, 50, tzinfo=UTC))
    far = to(
        scp,
        BatchInstances=1,
        Jurisdiction=ONTARIO,
        Assessment={"Reference": "E", "Result": "Adequate", "Expires": "2026-07-06"},
        Agreement={"Reference": "C", "Expires": "2027-01-01"},
    )
    study = make_study(instances=3)
    scp.released.clear()
    with composed(vna, tmp_path, section({"far": far}, quiet=1), clock) as relais:
        send(study, vna.dicom_port)
        work(relais)
        clock.advance(timedelta(seconds=2))

        def moves() -> tuple[str, ...]:
            relais.feed.step()
            relais.worker.turn()
            return scp.callers

        eventually(moves, 20, "the first image is on its way")
        clock.advance(timedelta(seconds=10))
        scp.released.set()
        eventually(lambda: not relais.worker.running(), 20, "the batch under way has ended")
        work(relais)
        with relais.database.read() as connection:
            assert connection.execute(select(delivery.c.state)).scalars().all() == ["Blocked"]
    assert len(scp.receptions) == 1


# --- restrictions, asked directly -------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path, database_url: str) -> Iterator[Web]:
    made = compose_web(tmp_path, database_url)
    yield made
    made.relais.database.close()


WISH = {"PatientID": "P1", "Destinations": ["vna"], "Reason": "asked on paper"}


@pytest.mark.parametrize(
    ("user", "status"),
    [("privacy", 200), ("admin", 200), ("operator", 403), ("viewer", 403), ("auditor", 403), ("outremont", 403)],
)
def test_restrictions_are_the_privacy_officer_s(web: Web, user: str, status: int) -> None:
    assert web.post(f"{API}/restrictions", WISH, user=user).status_code == status
    assert web.get(f"{API}/restrictions", user=user).status_code == status


def test_a_restriction_is_listed_lifted_once_and_audited_without_the_patient(web: Web) -> None:
    number = web.post(f"{API}/restrictions", WISH, user="privacy").get_json()["Restriction"]
    lift = f"{API}/restrictions/{number}/lift"
    assert web.post(lift, {"Reason": "withdrawn"}, user="privacy").status_code == 200
    assert web.post(lift, {"Reason": "withdrawn"}, user="privacy").status_code == 409
    assert web.post(f"{API}/restrictions/999/lift", {"Reason": "withdrawn"}, user="privacy").status_code == 404
    (item,) = web.get(f"{API}/restrictions", user="privacy").get_json()["Items"]
    assert (item["PatientID"], item["Destinations"], item["By"], item["LiftedBy"]) == (
        "P1",
        ["vna"],
        "privacy",
        "privacy",
    )
    with web.relais.database.read() as connection:
        rows = connection.execute(select(audit.c.action, audit.c.detail).order_by(audit.c.number)).all()
    assert [row.action for row in rows][-3:] == ["restriction.set", "restriction.lifted", "restrictions.viewed"]
    assert "P1" not in str([row.detail for row in rows])


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "StudyInstanceUID"),
        ({"PatientID": "P1", "StudyInstanceUID": "1.2"}, "StudyInstanceUID"),
        ({"StudyInstanceUID": "1.2", "IssuerOfPatientID": "RAMQ"}, "IssuerOfPatientID"),
        ({"PatientID": "P1", "Destinations": ["vnaa"]}, "Destinations[0]"),
        ({"PatientID": "P1", "Regions": ["Quebec"]}, "Regions[0]"),
        ({"PatientID": "P1", "Until": "2020-01-01T00:00:00Z"}, "Until"),
        ({"PatientID": "P1", "Since": "2036-01-02T00:00:00Z", "Until": "2036-01-01T00:00:00Z"}, "Until"),
        ({"PatientID": "P1", "Since": "2036-01-02T00:00:00"}, "Since"),
        ({"PatientID": " "}, "PatientID"),
    ],
)
def test_a_restriction_that_cannot_be_meant_is_refused(web: Web, body: dict[str, Any], path: str) -> None:
    answer = web.post(f"{API}/restrictions", {"Reason": "a test", **body}, user="privacy")
    assert answer.status_code == 422
    assert [each["Path"] for each in answer.get_json()["Details"]] == [path]


# --- the pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("viewer", "Refused: the privacy assessment EFVP-1 expired on 2026-06-15 (R-22.1 s. 78)"),
        ("francine", "évaluation EFVP-1 est échue depuis le 2026-06-15 (R-22.1, art. 78)"),
    ],
)
def test_the_pages_say_why_nothing_is_sent(web: Web, user: str, words: str) -> None:
    expired = {"reference": "EFVP-1", "day": "2026-06-15"}
    reason = Reason(code="assessment-expired", values=expired, articles=("R-22.1 s. 78",)).to_json()
    with web.relais.database.write() as connection:
        study_id = add_study(connection, clinic="outremont", study_instance_uid="1.2.3.4")
        number = add_delivery(connection, study_id, state="Blocked", reasons=[{"Rule": "all"}, reason])
    for path in (f"/relais/app/deliveries/{number}", "/relais/app/studies/1.2.3.4"):
        page = web.get(path, user=user)
        assert page.status_code == 200, path
        assert words in page.text, path
        assert 'class="chip blocked"' in page.text, path
