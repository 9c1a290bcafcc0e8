"""A study arrives, finds its patient or waits for a person, and then goes where the rules send it; kills included."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import urllib3
from sqlalchemy import MetaData, func, select

from relais.bootstrap import Relais
from relais.database import Database
from relais.database.patient_tables import match, review
from relais.database.tables import decision, delivery, event, study
from relais.domain.patients import Patient
from relais.domain.routing import Decision
from relais.domain.states import ReviewDecision
from relais.links import Verdict
from relais.texts import explain
from tests.servers.clock import FakeClock
from tests.servers.dicom import SendError, Study, make_study, send
from tests.servers.orthanc import OrthancServer, RestError
from tests.servers.people import TWIN, ZOE, add_namesakes, add_patient
from tests.servers.receiver import Receiver
from tests.servers.router import API, Router, destination, section
from tests.servers.waiting import eventually
from tests.system.conftest import Archives
from tests.system.inside import composed, work

SENDER = {"outremont": {"CallingAets": ["MODALITY"], "Region": "CA-QC"}}
RULES = [
    {"Name": "wait for the patient", "When": {"Field": "Match.State", "In": ["Review"]}, "Hold": "whose is it"},
    {"Name": "at home", "When": {"Field": "Patient.Region", "Equals": "CA-QC"}, "DeliverTo": ["vna1"]},
    {"Name": "nobody's", "When": {"Field": "Match.State", "Equals": "Unmatched"}, "DeliverTo": ["vna2"]},
]
SAID = {
    "PatientName": "GAGNÉ^ZOÉ",
    "PatientID": "Z-1",
    "IssuerOfPatientID": "CLINIC",
    "PatientBirthDate": "19840517",
    "PatientSex": "F",
}
NAME_ALONE = {**SAID, "PatientName": "GAGNE^CHLOE", "PatientBirthDate": "", "PatientSex": ""}
SOMEBODY = {**SAID, "PatientName": "OLAF^NILS", "PatientBirthDate": "19550101", "PatientSex": "M", "PatientID": "Z-2"}


def matching_section(archives: Archives, **options: Any) -> dict[str, Any]:
    owed = {f"vna{number}": destination(each.aet, each.dicom_port) for number, each in enumerate(archives, 1)}
    made = section(owed, **options)
    return {**made, "Rules": RULES, "Clinics": SENDER, "Matching": {"SecondLooks": 0}}


def people(relais: Relais, clock: FakeClock) -> None:
    with relais.database.write() as connection:
        add_namesakes(connection, 60, clock)
    relais.patients.put(Patient.model_validate(ZOE), actor="crm")


def row(relais: Relais, sent: Study) -> Any:
    with relais.database.read() as connection:
        return connection.execute(select(study).where(study.c.study_instance_uid == sent.uid)).one()


def events(relais: Relais, study_id: int) -> list[str]:
    with relais.database.read() as connection:
        found = select(event.c.type).where(event.c.study_id == study_id).order_by(event.c.at)
        return [each for each in connection.execute(found).scalars() if not each.startswith("delivery.")]


def owed(relais: Relais, study_id: int) -> dict[str, str]:
    with relais.database.read() as connection:
        rows = connection.execute(select(delivery).where(delivery.c.study_id == study_id)).all()
    return {each.destination: each.state for each in rows}


def arrive(relais: Relais, orthanc: OrthancServer, clock: FakeClock, tags: Mapping[str, Any]) -> Study:
    made = make_study(instances=2, tags=dict(tags))
    send(made, orthanc.dicom_port)
    work(relais)
    clock.advance(relais.configuration.completeness.quiet_seconds)
    work(relais)
    return made


def test_a_study_finds_its_patient_and_goes_where_they_live(
    vna: OrthancServer, archives: Archives, tmp_path: Path
) -> None:
    clock = FakeClock()
    with composed(vna, tmp_path, matching_section(archives), clock) as relais:
        people(relais, clock)
        sent = arrive(relais, vna, clock, SAID)
        found = row(relais, sent)
        assert (found.match_state, found.crm_id, found.state) == ("Matched", "C-1", "Routed")
        assert owed(relais, found.id) == {"vna1": "Completed"}
        assert events(relais, found.id) == ["study.received", "study.complete", "study.matched", "study.routed"]
        place = f"/studies/{found.orthanc_id}"
        assert vna.rest.get(f"{place}/metadata?expand")["4310"] == "C-1"
        if "Labels" in vna.rest.get(place):
            assert vna.rest.get(f"{place}/labels") == ["relais-matched"]
        relais.matching.links.take_back(sent.uid, actor="alice", reason="another Zoé")
        work(relais)
        assert row(relais, sent).match_state == "Review"
        assert row(relais, sent).state == "Held"
        assert "4310" not in vna.rest.get(f"{place}/metadata?expand")
    assert archives[0].sop_instance_uids(sent.uid) == sent.sop_instance_uids


def test_a_study_waits_for_a_person_and_then_goes(vna: OrthancServer, archives: Archives, tmp_path: Path) -> None:
    clock = FakeClock()
    with composed(vna, tmp_path, matching_section(archives), clock) as relais:
        people(relais, clock)
        relais.patients.put(Patient.model_validate(TWIN), actor="crm")
        sent = arrive(relais, vna, clock, NAME_ALONE)
        found = row(relais, sent)
        assert (found.match_state, found.state, found.hold_reason) == ("Review", "Held", "whose is it")
        assert owed(relais, found.id) == {}
        with relais.database.read() as connection:
            review_id = connection.execute(select(review.c.id).where(review.c.state == "Open")).scalar_one()
        verdict = Verdict(decision=ReviewDecision.Link, crm_id="C-2")
        relais.matching.reviews.resolve(review_id, verdict, actor="alice")
        work(relais)
        assert owed(relais, found.id) == {"vna1": "Completed"}
        assert row(relais, sent).crm_id == "C-2"
        again = arrive(relais, vna, clock, NAME_ALONE)
        assert row(relais, again).match_state == "Matched", "what a person said of this number is looked at first"
        relais.matching.reviews.undo(review_id, actor="bob", reason="the other twin")
        work(relais)
        assert {row(relais, each).match_state for each in (sent, again)} == {"Review"}
        assert {row(relais, each).state for each in (sent, again)} == {"Held"}


def test_a_study_of_nobody_is_matched_when_the_crm_learns_of_the_patient(
    vna: OrthancServer, archives: Archives, tmp_path: Path
) -> None:
    clock = FakeClock()
    with composed(vna, tmp_path, matching_section(archives), clock) as relais:
        people(relais, clock)
        sent = arrive(relais, vna, clock, SOMEBODY)
        assert (row(relais, sent).match_state, owed(relais, row(relais, sent).id)) == (
            "Unmatched",
            {"vna2": "Completed"},
        )
        nils = {"CrmId": "C-7", "Name": "Nils Olaf", "BirthDate": "1955-01-01", "Sex": "M", "Region": "CA-QC"}
        relais.patients.put(Patient.model_validate(nils), actor="crm")
        work(relais)
        found = row(relais, sent)
        assert found.crm_id == "C-7" or found.match_state == "Review"
        if found.crm_id is None:
            relais.matching.links.say(sent.uid, Verdict(decision=ReviewDecision.Link, crm_id="C-7"), actor="alice")
            work(relais)
        assert owed(relais, found.id)["vna1"] == "Completed"


def test_an_installation_without_a_crm_works_as_before(vna: OrthancServer, archives: Archives, tmp_path: Path) -> None:
    clock = FakeClock()
    options = {**matching_section(archives), "Rules": [{"Name": "all", "DeliverTo": ["vna1"]}]}
    with composed(vna, tmp_path, options, clock) as relais:
        found = row(relais, arrive(relais, vna, clock, SAID))
        assert (found.match_state, found.state) == ("Pending", "Routed")
        assert events(relais, found.id) == ["study.received", "study.complete", "study.routed"]
        with relais.database.read() as connection:
            assert connection.execute(select(func.count()).select_from(match)).scalar_one() == 0


def test_a_corrected_image_that_names_another_patient_asks_a_person(
    vna: OrthancServer, archives: Archives, tmp_path: Path
) -> None:
    clock = FakeClock()
    with composed(vna, tmp_path, matching_section(archives), clock) as relais:
        people(relais, clock)
        sent = arrive(relais, vna, clock, SAID)
        relais.matching.links.say(sent.uid, Verdict(decision=ReviewDecision.Link, crm_id="C-1"), actor="alice")
        work(relais)
        late = make_study(tags={**SAID, "PatientName": "ROY^ANNE", "StudyInstanceUID": sent.uid})
        send(late, vna.dicom_port)
        work(relais)
        clock.advance(relais.configuration.completeness.quiet_seconds)
        work(relais)
        assert row(relais, sent).match_state == "Review"


CRASHED = 77
FEWEST_STEPS = 20
MOST_STEPS = 90
POLL_SECONDS = 0.2
"""Each look is audited, and so a commit."""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("moment", "first", "stride"),
    [
        pytest.param("before", 2, 19, id="before every nineteenth"),
        pytest.param("after", 11, 19, id="after every nineteenth"),
        pytest.param("before", 1, 1, id="before each", marks=pytest.mark.chaos),
        pytest.param("after", 1, 1, id="after each", marks=pytest.mark.chaos),
    ],
)
def test_a_crash_at_any_commit_neither_loses_nor_doubles_a_review(
    tmp_path: Path, archives: Archives, moment: str, first: int, stride: int
) -> None:
    with Receiver() as receiver:
        port = receiver.port
        options = matching_section(archives, subscribers={"crm": receiver.url}, quiet=0.1)
    origin = Router(tmp_path / "origin", relais=options)
    origin.start()
    origin.stop()
    database = Database(f"sqlite:///{tmp_path / 'origin' / 'storage' / 'relais.db'}")
    with database.write() as connection:
        add_namesakes(connection, 60, FakeClock())
        for each in (ZOE, TWIN):
            add_patient(connection, each, FakeClock())
    database.close()
    step = first
    while _crashes(tmp_path, origin, options, port, f"{step}{'+' if moment == 'after' else ''}"):
        step += stride
        assert step < MOST_STEPS
    assert step > FEWEST_STEPS


def _crashes(folder: Path, origin: Router, options: dict[str, Any], port: int, step: str) -> bool:
    """A study is sent and its review decided, with a crash at this commit; says whether the flow got that far."""
    here = folder / f"copy{step}"
    shutil.copytree(folder / "origin" / "storage", here / "storage")
    ports: dict[str, Any] = {"http_port": origin.http_port, "dicom_port": origin.dicom_port}
    armed = Router(here, relais=options, environment={"RELAIS_CRASH_AT_COMMIT": step}, **ports)
    again = Router(here, relais=options, **ports)
    sent = make_study(instances=2, tags=NAME_ALONE)
    with Receiver(port=port) as receiver:
        try:
            armed.start(wait=False)
            eventually(
                lambda: not armed.is_running or _through(armed, sent, receiver), 60, "it ends", pause=POLL_SECONDS
            )
            if armed.is_running:
                return False
            assert armed.wait_ended() == CRASHED
            again.start()
            eventually(lambda: _through(again, sent, receiver), 60, f"after step {step} it goes on", pause=POLL_SECONDS)
            _examine(again, sent, receiver, step)
        finally:
            armed.kill()
            again.kill()
    return True


def _through(router: Router, sent: Study, receiver: Receiver) -> bool:
    """Do what sender and reviewer do next; whether all is done."""
    try:
        found = router.studies().get(sent.uid)
        if found is None or found["Instances"] < len(sent.instances):
            send(sent, router.dicom_port)
            return False
        for waiting in router.everything("reviews"):
            decision = {"Decision": "Link", "CrmId": "C-2"}
            router.rest.post(f"{API}/reviews/{waiting['Id']}/resolve", decision)
        return (
            found["Match"]["State"] == "Matched"
            and found["State"] == "Routed"
            and bool(receiver.events("delivery.completed"))
            and not router.everything("tasks")
            and not router.everything("notifications", "&State=Scheduled")
        )
    except (urllib3.exceptions.HTTPError, RestError, SendError, OSError):  # it crashed, or another request was first
        return False


def _examine(router: Router, sent: Study, receiver: Receiver, step: str) -> None:
    assert router.ask("system")["Matching"] == "On", step
    whose = router.ask(f"studies/{sent.uid}/match")
    assert [each["Kind"] for each in whose["History"]].count("Linked") == 1, step
    assert (whose["State"], whose["CrmId"]) == ("Matched", "C-2"), step
    assert [each["State"] for each in router.everything("reviews", "&State=Resolved")] == ["Resolved"], step
    assert len({each["data"]["Match"] for each in receiver.events("study.matched")}) == 1, step
    assert len({each["data"]["Review"] for each in receiver.events("study.review")}) == 1, step
    assert all(each["Intact"] for each in router.everything("audit/verify")), step


ONLY_HERS = {
    "BirthName": "Xyloforest",
    "Phones": ["418 555-7391"],
    "Emails": ["zoe@quokka.example"],
    "Address": "7391, rang Zyzzyva",
    "PostalCode": "J9Z 9Z9",
    "Labels": ["quokka"],
}
"""What the CRM alone says of her: the images do not."""
SECRETS = ("xyloforest", "555-7391", "5557391", "quokka", "zyzzyva", "j9z", "qwyjibo")


def test_nothing_of_a_forgotten_patient_is_in_any_table_or_file(
    vna: OrthancServer, archives: Archives, tmp_path: Path
) -> None:
    clock = FakeClock()
    asked = [
        {"Name": "code", "When": {"Field": "Patient.PostalCode", "Equals": "A1A 1A1"}, "DeliverTo": ["vna2"]},
        {"Name": "label", "When": {"Field": "Patient.Labels", "Equals": "none"}, "DeliverTo": ["vna2"]},
        {"Name": "room", "When": {"Field": "Order.ScheduledProcedureStepLocation", "Equals": "-"}, "Hold": "room"},
    ]
    with composed(vna, tmp_path, {**matching_section(archives), "Rules": [*RULES, *asked]}, clock) as relais:
        people(relais, clock)
        for each in ({**ZOE, **ONLY_HERS}, TWIN, {**ZOE, **ONLY_HERS, "CrmId": "C-9", "GivenNames": "Qwyjibo"}):
            relais.patients.put(Patient.model_validate(each), actor="crm")
        relais.patients.merge("C-9", "C-1", actor="crm", reason="one person")
        step = {"Modality": "PX", "ScheduledProcedureStepStartDate": clock.now().strftime("%Y%m%d")}
        order = {
            "AccessionNumber": "A-77",
            "CrmId": "C-1",
            "RequestedProcedureDescription": "Qwyjibo",
            "ScheduledProcedureStepSequence": [{**step, "ScheduledProcedureStepLocation": "Quokka"}],
            "Clinic": "outremont",
        }
        orders = relais.worklist.orders
        orders.put(orders.read(order, scope=None), actor="crm", scope=None)
        hers = arrive(relais, vna, clock, {**SAID, "AccessionNumber": "A-77"})
        waits = arrive(relais, vna, clock, NAME_ALONE)
        assert [row(relais, each).match_state for each in (hers, waits)] == ["Matched", "Review"]
        facts = decision_of(relais, hers).facts
        assert facts["Patient"]["PostalCode"] == ["J9Z 9Z9"]
        assert "Quokka" in str(facts["Order"])
        assert found_in(relais, tmp_path) == set(SECRETS), "the sweep finds what is there"
        first = row(relais, hers).decision_id
        relais.patients.forget("C-1", actor="officer", reason="asked for it")
        work(relais)
        assert found_in(relais, tmp_path) == set()
        with relais.database.read() as connection:
            kept = connection.execute(select(decision).where(decision.c.id == first)).one()
        assert "Patient" not in kept.facts
        (label,) = [each for each in Decision.from_json(kept.document).outcomes if each.rule == "label"]
        assert explain(label, "en") == ("Patient.Labels is forgotten with the patient; the rule wants none",)
        assert row(relais, waits).match_state in ("Review", "Unmatched")


def decision_of(relais: Relais, sent: Study) -> Any:
    with relais.database.read() as connection:
        return connection.execute(select(decision).where(decision.c.id == row(relais, sent).decision_id)).one()


def found_in(relais: Relais, folder: Path) -> set[str]:
    """Which of the secrets are in a column of any table, or in a file that Relais keeps."""
    with relais.database.read() as connection:
        tables = MetaData()
        tables.reflect(connection)
        rows = [str(each) for table in tables.tables.values() for each in connection.execute(select(table)).all()]
    files = [each.read_bytes().decode("utf-8", "replace") for each in folder.rglob("relais*") if each.is_file()]
    assert files
    return {each for each in SECRETS for kept in (*rows, *files) if each in kept.lower()}
