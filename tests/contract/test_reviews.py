"""Reviews: claims, decisions, four eyes, undo, second looks and the breaker, on both databases."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from relais.bootstrap import Relais, settle
from relais.database.patient_tables import match, review
from relais.database.queries import reviews as review_rows
from relais.database.queries.reviews import Place, ReviewFilter
from relais.database.tables import audit, decision, event, study, task
from relais.domain.priority import Priority
from relais.domain.states import ReviewDecision, ReviewState
from relais.drafts import Seat
from relais.errors import StateError, UnknownError
from relais.house import Ground
from relais.links import Verdict
from relais.orthanc.capabilities import Surroundings
from tests.servers.clock import FakeClock
from tests.servers.people import TAGS, TWIN, ZOE, add_asked_study, add_namesakes, add_patient, known, row_of
from tests.servers.router import destination
from tests.servers.rows import add_delivery

SECTION: dict[str, Any] = {
    "Clinics": {"outremont": {"CalledAets": ["OUTREMONT"]}, "laval": {"CalledAets": ["LAVAL"]}},
    "Destinations": {"vna": destination("VNA", 104), "other": destination("OTHER", 104)},
    "Rules": [
        {"Name": "quebec", "When": {"Field": "Patient.Region", "Equals": "CA-QC"}, "DeliverTo": ["vna"]},
        {"Name": "waits", "When": {"Field": "Match.State", "Equals": "Review"}, "Hold": "whose is it"},
    ],
    "Otherwise": {"DeliverTo": ["other"]},
    "Matching": {"SecondLooks": 0},
}
LINK = Verdict(decision=ReviewDecision.Link, crm_id="C-1", comment="I called them")
TWINS = Verdict(decision=ReviewDecision.Link, crm_id="C-2")
NOBODY = Verdict(decision=ReviewDecision.NoMatch)
UNSURE = {**TAGS, "0010,0010": "GAGNE^C", "0010,2154": ""}
FOUR_EYES = {"Matching": {"FourEyes": True, "SecondLooks": 0}}
ALWAYS_LOOK = {"Matching": {"SecondLooks": 1, "Breaker": {"Errors": 2}}}


@pytest.fixture
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    marked: dict[str, Any] = getattr(request, "param", {})
    return marked


@pytest.fixture
def relais(database_url: str, tmp_path: Path, clock: FakeClock, options: dict[str, Any]) -> Iterator[Relais]:
    seat = Seat.of({**SECTION, "Database": database_url, **options}, directory=tmp_path)
    surroundings = Surroundings.of({"HttpPort": 9, "StorageDirectory": str(tmp_path)})
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None, clock=clock)
    relais = settle(ground)
    with relais.database.write() as connection:
        add_namesakes(connection, 60, clock)
        add_patient(connection, ZOE, clock)
        add_patient(connection, TWIN, clock)
    yield relais
    ground.close()


def row(relais: Relais, study_id: int) -> Any:
    with relais.database.read() as connection:
        return row_of(connection, study_id)


def ask(relais: Relais, study_id: int, answer: dict[str, Any]) -> None:
    said = known(answer)
    found = relais.matching.identify.ask(row(relais, study_id), said)
    with relais.database.write() as connection:
        assert relais.matching.identify.write(connection, row_of(connection, study_id), said, found)


def asked(relais: Relais, answer: dict[str, Any] = UNSURE, **values: Any) -> tuple[int, int]:
    """A study that was identified; its id, and that of its open review, or 0."""
    with relais.database.write() as connection:
        study_id = add_asked_study(connection, **values)
    ask(relais, study_id, answer)
    with relais.database.read() as connection:
        statement = select(review.c.id).where(review.c.study_id == study_id, review.c.state == "Open")
        return study_id, connection.execute(statement).scalar() or 0


def read(relais: Relais, review_id: int) -> Any:
    with relais.database.read() as connection:
        return connection.execute(select(review).where(review.c.id == review_id)).one()


def column(relais: Relais, what: Any, *where: Any) -> list[Any]:
    with relais.database.read() as connection:
        return list(connection.execute(select(what).where(*where)).scalars())


def amount(relais: Relais, table: Any) -> int:
    with relais.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_link_holds_is_told_and_asks_the_rules_again(relais: Relais) -> None:
    study_id, review_id = asked(relais)
    reviews = relais.matching.reviews
    assert reviews.resolve(review_id, LINK, actor="alice") is ReviewState.Resolved
    now, resolved = row(relais, study_id), read(relais, review_id)
    assert (now.match_state, now.crm_id) == ("Matched", "C-1")
    assert (resolved.state, resolved.resolved_by, resolved.resolution_id) == ("Resolved", "alice", now.match_id)
    assert set(column(relais, task.c.key)) == {f"route:{study_id}", f"label:{study_id}"}
    assert column(relais, event.c.data, event.c.type == "study.matched")[0]["CrmId"] == "C-1"
    with pytest.raises(StateError, match="review-over"):
        reviews.resolve(review_id, NOBODY, actor="alice")
    details = column(relais, audit.c.detail)
    assert not any("GAGN" in str(each).upper() for each in details)


def test_a_review_is_of_one_person_at_a_time(relais: Relais, clock: FakeClock) -> None:
    _, review_id = asked(relais)
    reviews = relais.matching.reviews
    until = reviews.claim(review_id, actor="alice")
    assert until == clock.now() + timedelta(minutes=10)
    for act in (
        lambda: reviews.claim(review_id, actor="bob"),
        lambda: reviews.resolve(review_id, LINK, actor="bob"),
        lambda: reviews.ask_crm(review_id, actor="bob"),
    ):
        with pytest.raises(StateError, match="review-claimed") as refused:
            act()
        assert refused.value.values == {"name": "alice"}
    clock.advance(timedelta(minutes=9))
    reviews.claim(review_id, actor="alice")
    clock.advance(timedelta(minutes=9))
    with pytest.raises(StateError, match="review-claimed"):
        reviews.claim(review_id, actor="bob")
    reviews.unclaim(review_id, actor="bob")
    assert read(relais, review_id).claimed_by == "alice"
    clock.advance(timedelta(minutes=2))
    reviews.claim(review_id, actor="bob")
    reviews.unclaim(review_id, actor="bob")
    reviews.resolve(review_id, LINK, actor="alice")


def test_of_many_who_decide_at_once_one_does(relais: Relais) -> None:
    study_id, review_id = asked(relais)
    ended: list[str] = []

    def decide(name: str) -> None:
        try:
            relais.matching.reviews.resolve(review_id, LINK, actor=name)
            ended.append(name)
        except StateError as error:
            ended.append(error.code)

    threads = [threading.Thread(target=decide, args=(f"user{number}",)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert ended.count("review-over") == 5
    assert len(column(relais, match.c.id, match.c.study_id == study_id, match.c.kind == "Linked")) == 1


def test_what_was_not_shown_is_not_decided(relais: Relais, clock: FakeClock) -> None:
    study_id, review_id = asked(relais)
    before = read(relais, review_id).match_id
    with relais.database.write() as connection:
        add_patient(connection, {**TWIN, "CrmId": "C-3", "GivenNames": "Clara"}, clock)
    ask(relais, study_id, UNSURE)
    assert read(relais, review_id).match_id != before
    with pytest.raises(StateError, match="review-changed"):
        relais.matching.reviews.resolve(review_id, LINK, actor="alice", match_id=before)


def test_an_unknown_patient_or_one_of_another_clinic_is_refused(relais: Relais, clock: FakeClock) -> None:
    study_id, review_id = asked(relais)
    with relais.database.write() as connection:
        add_patient(connection, {**TWIN, "CrmId": "L-1", "Clinic": "laval"}, clock)
    for crm_id in ("nobody", "L-1"):
        verdict = Verdict(decision=ReviewDecision.Link, crm_id=crm_id)
        with pytest.raises(UnknownError):
            relais.matching.reviews.resolve(review_id, verdict, actor="alice")
    assert row(relais, study_id).match_state == "Review"


def test_undo_brings_the_review_back(relais: Relais) -> None:
    study_id, review_id = asked(relais)
    reviews = relais.matching.reviews
    with pytest.raises(StateError, match="review-open"):
        reviews.undo(review_id, actor="alice", reason="no")
    reviews.resolve(review_id, NOBODY, actor="alice")
    assert row(relais, study_id).match_state == "Unmatched"
    ask(relais, study_id, UNSURE)
    assert row(relais, study_id).match_state == "Unmatched", "nobody outlives a new decision"
    reviews.undo(review_id, actor="bob", reason="a slip")
    assert (row(relais, study_id).match_state, read(relais, review_id).state) == ("Pending", "Open")
    ask(relais, study_id, UNSURE)
    assert row(relais, study_id).match_state == "Review"
    assert column(relais, review.c.reason) != ["Rejected"], "what nobody rejected is not rejected any more"
    reviews.resolve(review_id, LINK, actor="alice")
    relais.matching.links.say(row(relais, study_id).study_instance_uid, TWINS, actor="bob")
    with pytest.raises(StateError, match="review-overtaken"):
        reviews.undo(review_id, actor="alice", reason="late")
    assert row(relais, study_id).crm_id == "C-2"


@pytest.mark.parametrize("options", [FOUR_EYES], indirect=True)
def test_four_eyes_must_see_the_same(relais: Relais) -> None:
    study_id, review_id = asked(relais)
    reviews = relais.matching.reviews
    assert reviews.resolve(review_id, LINK, actor="alice") is ReviewState.Open
    assert reviews.resolve(review_id, LINK, actor="alice") is ReviewState.Open
    assert reviews.resolve(review_id, TWINS, actor="bob") is ReviewState.Open
    assert row(relais, study_id).match_state == "Review"
    assert reviews.resolve(review_id, TWINS, actor="alice") is ReviewState.Resolved
    assert row(relais, study_id).crm_id == "C-2"
    by_hand, _ = asked(relais, {**TAGS, "0010,0020": "P-78"})
    assert row(relais, by_hand).crm_id == "C-1"
    uid = row(relais, by_hand).study_instance_uid
    assert relais.matching.links.say(uid, TWINS, actor="alice") is ReviewState.Open
    assert row(relais, by_hand).crm_id == "C-1"
    assert column(relais, review.c.reason, review.c.state == "Open") == ["ByHand"]
    ask(relais, by_hand, {**TAGS, "0010,0020": "P-78"})
    assert column(relais, review.c.reason, review.c.state == "Open") == ["ByHand"]


def test_the_crm_is_asked_once(relais: Relais) -> None:
    _, review_id = asked(relais)
    relais.matching.reviews.ask_crm(review_id, actor="alice")
    assert column(relais, event.c.data, event.c.type == "patient.requested")[0]["Review"] == review_id
    with pytest.raises(StateError, match="crm-asked"):
        relais.matching.reviews.ask_crm(review_id, actor="alice")


def test_a_review_is_withdrawn_when_nothing_is_asked_any_more(relais: Relais) -> None:
    study_id, review_id = asked(relais)
    ask(relais, study_id, TAGS)
    assert row(relais, study_id).crm_id == "C-1"
    assert read(relais, review_id).state == "Withdrawn"
    with pytest.raises(StateError, match="review-over"):
        relais.matching.reviews.claim(review_id, actor="alice")


@pytest.mark.parametrize("options", [ALWAYS_LOOK], indirect=True)
def test_a_second_look_sees_nothing_and_errors_stop_automatic_matching(relais: Relais, clock: FakeClock) -> None:
    reviews, net = relais.matching.reviews, relais.matching.safety_net
    study_id, review_id = asked(relais, TAGS)
    with relais.database.read() as connection:
        found = review_rows.one(connection, review_id, None)
        assert found is not None
        shown = reviews.shown(connection, found)
    assert shown.blinded
    assert shown.answer is None
    assert {(each.bits, each.posterior, each.weights) for each in shown.candidates} == {(0.0, 0.0, ())}
    reviews.resolve(review_id, LINK, actor="alice")
    assert (row(relais, study_id).crm_id, read(relais, review_id).agreed) == ("C-1", True)
    for number in range(2):
        study_id, review_id = asked(relais, TAGS)
        reviews.resolve(review_id, TWINS, actor="alice")
        now = row(relais, study_id)
        assert (now.match_state, now.crm_id, read(relais, review_id).agreed) == ("Review", None, False)
        ask(relais, study_id, TAGS)
        assert row(relais, study_id).match_state == "Review", "Relais does not overrule the doubt"
        with relais.database.read() as connection:
            assert (net.tripped(connection) is not None) is (number == 1)
    assert column(relais, event.c.data, event.c.type == "security.alert")[0]["Kind"] == "matching-stopped"
    stopped, _ = asked(relais, TAGS)
    assert (row(relais, stopped).match_state, row(relais, stopped).crm_id) == ("Review", None)
    assert column(relais, review.c.reason, review.c.study_id == stopped) == ["Breaker"]
    clock.advance(timedelta(seconds=1))
    net.reset(actor="alice", reason="weights corrected")
    assert f"rematch:study:{stopped}" in column(relais, task.c.key)
    with relais.database.read() as connection:
        assert relais.matching.identify.would_change(connection, row_of(connection, stopped))
    ask(relais, stopped, TAGS)
    assert row(relais, stopped).crm_id == "C-1"
    with pytest.raises(StateError, match="matching-runs"):
        net.reset(actor="alice", reason="again")


@pytest.mark.parametrize(
    "options", [{"Matching": {"SecondLooks": 0, "Breaker": {"Decisions": 5, "Vetoes": 0.4}}}], indirect=True
)
def test_many_vetoes_stop_automatic_matching(relais: Relais) -> None:
    other_sex = {**TAGS, "0010,0040": "M"}
    for _ in range(3):
        asked(relais, TAGS)
    asked(relais, other_sex)
    with relais.database.read() as connection:
        assert relais.matching.safety_net.tripped(connection) is None
    asked(relais, other_sex)
    with relais.database.read() as connection:
        assert relais.matching.safety_net.tripped(connection) is None, "2 of 5 are not more than 0.4"
    asked(relais, other_sex)
    with relais.database.read() as connection:
        breaker = relais.matching.safety_net.tripped(connection)
    assert breaker is not None
    assert (breaker.reason, breaker.counts["Vetoes"], breaker.counts["Decisions"]) == ("Vetoes", 3, 6)


def test_the_queue_is_by_urgency_and_age_and_by_clinic(relais: Relais, clock: FakeClock) -> None:
    ids = []
    for clinic in ("outremont", "laval", "outremont"):
        ids.append(asked(relais, clinic=clinic)[1])
        clock.advance(timedelta(minutes=1))
    with relais.database.write() as connection:
        connection.execute(update(review).where(review.c.id == ids[2]).values(urgency=Priority.Stat))
    with relais.database.read() as connection:
        rows = review_rows.find(connection, ReviewFilter(), None, None, 2)
        assert [each["id"] for each in rows] == [ids[2], ids[0]]
        following = Place.read(str(Place.of(rows[-1])))
        assert [each["id"] for each in review_rows.find(connection, ReviewFilter(), None, following, 9)] == [ids[1]]
        mine = review_rows.find(connection, ReviewFilter(clinic="laval"), {"laval"}, None, 9)
        assert [each["id"] for each in mine] == [ids[1]]
        assert review_rows.one(connection, ids[0], {"laval"}) is None
        waits = review_rows.waiting(connection, None)
        assert [(each["clinic"], each["amount"]) for each in waits] == [("laval", 1), ("outremont", 2)]


def test_what_was_decided_last_stands_first(relais: Relais, clock: FakeClock) -> None:
    ids = [asked(relais, clinic=clinic)[1] for clinic in ("outremont", "laval", "outremont")]
    with relais.database.write() as connection:
        connection.execute(update(review).where(review.c.id == ids[0]).values(urgency=Priority.Stat))
    for each in (ids[1], ids[0], ids[2]):
        clock.advance(timedelta(minutes=1))
        relais.matching.reviews.resolve(each, Verdict(decision=ReviewDecision.NoMatch), actor="alice")
    over = ReviewFilter(state="Resolved")
    with relais.database.read() as connection:
        rows = review_rows.find(connection, over, None, None, 2)
        assert [each["id"] for each in rows] == [ids[2], ids[0]]
        following = Place.read(str(Place.of(rows[-1])))
        assert [each["id"] for each in review_rows.find(connection, over, None, following, 9)] == [ids[1]]


def test_consequences_are_told_before_a_link_is_taken_back(relais: Relais) -> None:
    study_id, _ = asked(relais, TAGS)
    facts = relais.matching.identify.ask(row(relais, study_id), known(TAGS)).facts(known(TAGS).facts)
    with relais.database.write() as connection:
        made = connection.execute(
            decision.insert()
            .values(
                study_id=study_id,
                configuration=relais.configuration.digest,
                decided_at=relais.clock.now(),
                facts=facts.to_json(),
                document={},
            )
            .returning(decision.c.id)
        ).scalar_one()
        connection.execute(update(study).where(study.c.id == study_id).values(decision_id=made))
        add_delivery(connection, study_id, "vna", state="Completed", delivered=1, mark=1)
    uid = row(relais, study_id).study_instance_uid
    before = [amount(relais, each) for each in (match, audit, task, decision)]
    nobody = relais.matching.foresight.tell(uid, None)
    assert [each["destination"] for each in nobody.sent] == ["vna"]
    assert (nobody.added, nobody.dropped, nobody.hold) == (("other",), ("vna",), None)
    undone = relais.matching.foresight.tell(uid, None, undone=True)
    assert (undone.now, undone.hold) == ((), "whose is it")
    same = relais.matching.foresight.tell(uid, "C-1")
    assert (same.added, same.dropped) == ((), ())
    assert [amount(relais, each) for each in (match, audit, task, decision)] == before
