"""The residency kernel: its whole truth table against rules written a second time, its laws, and its edges."""

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.configuration import Configuration, ConfigurationErrors, load
from relais.domain.facts import Facts
from relais.domain.labels import Agreement, Assessment, Finding, Jurisdiction, Purpose, Regime
from relais.domain.residency import LIFE, Case, Permit, Reason, Recipient, Refusal, Restriction, judge
from relais.judgement import judged
from relais.texts import gettext_for
from relais.texts_residency import MESSAGES, PURPOSES, REASONS, WITH_ARTICLES, say_purpose, say_refusal
from tests.domain.test_texts import placeholders

PLUGIN = Path(__file__).parents[2] / "plugin"
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
QUEBEC, ONTARIO = "CA-QC", "CA-ON"
BEFORE, TODAY, AFTER = date(2026, 5, 1), date(2026, 6, 15), date(2027, 1, 1)
HERE = Jurisdiction(storage=QUEBEC, access=(QUEBEC,))
THERE = Jurisdiction(storage=ONTARIO, access=(ONTARIO,))


def assessment(**values: Any) -> Assessment:
    return Assessment(**{"reference": "EFVP-1", "result": Finding.Adequate, "expires": AFTER, **values})


def agreement(**values: Any) -> Agreement:
    return Agreement(**{"reference": "C-1", "expires": AFTER, **values})


def recipient(**values: Any) -> Recipient:
    """A destination in Ontario to which everything is in order, unless `values` say otherwise."""
    order = {
        "jurisdiction": THERE,
        "assessment": assessment(),
        "agreement": agreement(),
        "purposes": tuple(Purpose),
    }
    return Recipient(**{"destination": "cloud", "configuration": "digest", **order, **values})


def restriction(**values: Any) -> Restriction:
    return Restriction(**{"id": 1, "since": NOON - timedelta(days=1), **values})


def codes(verdict: Permit | Refusal) -> list[str]:
    return [] if isinstance(verdict, Permit) else [each.code for each in verdict.reasons]


# --- the truth table --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table, in words that the kernel does not use."""

    storage: str | None
    access: str | None
    assessed: str | None
    assessed_until: str
    agreed_until: str | None
    purpose: str
    listed: bool
    deidentified: bool
    regime: Regime | None
    restricted: bool

    def permitted(self) -> bool:
        """Written from the law as the manual tells it, and not from the kernel."""
        if self.restricted or self.storage is None or self.purpose == "Curiosity" or not self.listed:
            return False
        if self.storage == QUEBEC and self.access == QUEBEC:
            return True
        if self.assessed is None or self.assessed_until == "over" or self.agreed_until in (None, "over"):
            return False
        if self.assessed == "no" or (self.assessed == "masked" and not self.deidentified):
            return False
        return self.deidentified or self.purpose not in ("Research", "Teaching")

    def ask(self) -> Permit | Refusal:
        ends = {"over": TODAY, "on": AFTER}
        results = {"yes": Finding.Adequate, "masked": Finding.AdequateIfDeidentified, "no": Finding.Inadequate}
        place = Jurisdiction(storage=self.storage, access=(self.access,)) if self.storage and self.access else None
        found = assessment(result=results[self.assessed], expires=ends[self.assessed_until]) if self.assessed else None
        return judge(
            Case(regime=self.regime, restrictions=(restriction(),) if self.restricted else ()),
            recipient(
                jurisdiction=place,
                assessment=found,
                agreement=agreement(expires=ends[self.agreed_until]) if self.agreed_until else None,
                purposes=(self.purpose,) if self.listed else (Purpose.Legal,),
                deidentifies=self.deidentified,
            ),
            self.purpose,
            NOON,
        )


def lines() -> Iterator[Line]:
    places = [(None, None), (QUEBEC, QUEBEC), (QUEBEC, ONTARIO), (ONTARIO, QUEBEC), ("US-NY", "US-NY")]
    for (
        storage,
        access,
    ), assessed, assessed_until, agreed_until, purpose, listed, masked, regime, stopped in itertools.product(
        places,
        (None, "yes", "masked", "no"),
        ("over", "on"),
        (None, "over", "on"),
        ("Care", "Research", "Teaching", "Quality", "Curiosity"),
        (True, False),
        (True, False),
        (None, Regime.Private, Regime.Health),
        (True, False),
    ):
        yield Line(
            storage=storage,
            access=access,
            assessed=assessed,
            assessed_until=assessed_until,
            agreed_until=agreed_until,
            purpose=purpose,
            listed=listed,
            deidentified=masked,
            regime=regime,
            restricted=stopped,
        )


def test_the_whole_table_is_as_the_law_was_read() -> None:
    asked = list(lines())
    assert len(asked) > 5000
    wrong = [each for each in asked if isinstance(each.ask(), Permit) is not each.permitted()]
    assert wrong == []
    assert sum(each.permitted() for each in asked) > 100


@pytest.mark.parametrize(
    ("changes", "purpose", "expected"),
    [
        ({}, "Care", []),
        ({"jurisdiction": None}, "Care", ["no-jurisdiction"]),
        ({"assessment": None}, "Care", ["no-assessment"]),
        ({"agreement": None}, "Care", ["no-agreement"]),
        ({"assessment": None, "agreement": None}, "Care", ["no-assessment", "no-agreement"]),
        ({"assessment": assessment(expires=TODAY)}, "Care", ["assessment-expired"]),
        ({"assessment": assessment(begins=date(2026, 6, 16))}, "Care", ["assessment-not-begun"]),
        ({"assessment": assessment(result=Finding.Inadequate)}, "Care", ["assessment-inadequate"]),
        ({"assessment": assessment(result=Finding.AdequateIfDeidentified)}, "Care", ["not-deidentified"]),
        ({"agreement": agreement(expires=BEFORE)}, "Care", ["agreement-expired"]),
        ({"agreement": agreement(begins=date(2026, 6, 16))}, "Care", ["agreement-not-begun"]),
        ({"purposes": (Purpose.Care,)}, "Research", ["purpose-not-listed", "purpose-needs-deidentification"]),
        ({}, "Teaching", ["purpose-needs-deidentification"]),
        ({"deidentifies": True}, "Teaching", []),
        ({}, "care", ["purpose-unknown"]),
        ({}, "", ["purpose-unknown"]),
        ({"purposes": ()}, "Care", ["purpose-not-listed"]),
        ({"jurisdiction": HERE, "assessment": None, "agreement": None}, "Research", []),
        ({"jurisdiction": HERE, "purposes": (Purpose.Care,)}, "Research", ["purpose-not-listed"]),
        (
            {"jurisdiction": Jurisdiction(storage=QUEBEC, access=(QUEBEC, "FR")), "agreement": None},
            "Care",
            ["no-agreement"],
        ),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, Any], purpose: str, expected: list[str]) -> None:
    assert codes(judge(Case(), recipient(**changes), purpose, NOON)) == expected


@pytest.mark.parametrize(
    ("regime", "articles"),
    [
        (Regime.Private, ("P-39.1 s. 17",)),
        (Regime.Health, ("R-22.1 s. 78",)),
        (None, ("P-39.1 s. 17", "R-22.1 s. 78")),
    ],
)
def test_the_articles_are_those_of_the_clinic_s_regime_or_of_both(regime: Regime | None, articles: Any) -> None:
    refusal = judge(Case(regime=regime), recipient(assessment=None), "Care", NOON)
    assert isinstance(refusal, Refusal)
    assert refusal.reasons[0].articles == articles
    assert refusal.reasons[0].values == {"regions": ONTARIO}


BOTH_17_78, BOTH_17_77 = ("P-39.1 s. 17", "R-22.1 s. 78"), ("P-39.1 s. 17", "R-22.1 s. 77")
BOTH_PURPOSE = ("P-39.1 s. 13", "R-22.1 s. 84")
TOMORROW = date(2026, 6, 16)


@pytest.mark.parametrize(
    ("changes", "purpose", "code", "values", "articles"),
    [
        ({"jurisdiction": None}, "Care", "no-jurisdiction", {}, BOTH_17_78),
        ({"assessment": None}, "Care", "no-assessment", {"regions": ONTARIO}, BOTH_17_78),
        ({"agreement": None}, "Care", "no-agreement", {"regions": ONTARIO}, BOTH_17_77),
        (
            {"jurisdiction": Jurisdiction(storage="FR", access=(QUEBEC, ONTARIO, "FR")), "agreement": None},
            "Care",
            "no-agreement",
            {"regions": "FR, CA-ON"},
            BOTH_17_77,
        ),
        (
            {"assessment": assessment(expires=TODAY)},
            "Care",
            "assessment-expired",
            {"reference": "EFVP-1", "day": "2026-06-15"},
            BOTH_17_78,
        ),
        (
            {"assessment": assessment(begins=TOMORROW)},
            "Care",
            "assessment-not-begun",
            {"reference": "EFVP-1", "day": "2026-06-16"},
            BOTH_17_78,
        ),
        (
            {"agreement": agreement(expires=TODAY)},
            "Care",
            "agreement-expired",
            {"reference": "C-1", "day": "2026-06-15"},
            BOTH_17_77,
        ),
        (
            {"agreement": agreement(begins=TOMORROW)},
            "Care",
            "agreement-not-begun",
            {"reference": "C-1", "day": "2026-06-16"},
            BOTH_17_77,
        ),
        (
            {"assessment": assessment(result=Finding.AdequateIfDeidentified)},
            "Care",
            "not-deidentified",
            {"reference": "EFVP-1", "regions": ONTARIO},
            BOTH_17_78,
        ),
        (
            {"assessment": assessment(result=Finding.Inadequate)},
            "Care",
            "assessment-inadequate",
            {"reference": "EFVP-1", "regions": ONTARIO},
            BOTH_17_78,
        ),
        ({}, "Curiosity", "purpose-unknown", {"purpose": "Curiosity"}, BOTH_PURPOSE),
        ({"purposes": (Purpose.Legal,)}, "Care", "purpose-not-listed", {"purpose": "Care"}, BOTH_PURPOSE),
        (
            {},
            "Research",
            "purpose-needs-deidentification",
            {"purpose": "Research"},
            ("P-39.1 s. 21", "R-22.1 s. 48"),
        ),
        (
            {},
            "Teaching",
            "purpose-needs-deidentification",
            {"purpose": "Teaching"},
            ("P-39.1 s. 12", "R-22.1 s. 48"),
        ),
    ],
)
def test_a_refusal_says_all_that_it_is_about(
    changes: dict[str, Any], purpose: str, code: str, values: dict[str, str], articles: tuple[str, ...]
) -> None:
    def refused(regime: Regime | None) -> tuple[Reason, ...]:
        verdict = judge(Case(regime=regime), recipient(**changes), purpose, NOON)
        assert isinstance(verdict, Refusal)
        return verdict.reasons

    assert refused(None) == (Reason(code=code, values=values, articles=articles),)
    for regime in Regime:
        of_one = tuple(each for each in articles if each.startswith(regime.value))
        assert refused(regime) == (Reason(code=code, values=values, articles=of_one),)


def test_a_restriction_is_told_with_its_number_and_what_cannot_be_judged_with_its_error() -> None:
    case = Case(restrictions=(restriction(id=12),))
    articles = ("P-39.1 s. 8", "R-22.1 s. 7", "R-22.1 s. 8")
    told = Reason(code="restricted", values={"restriction": "12"}, articles=articles)
    assert judge(case, recipient(), "Care", NOON) == Refusal(reasons=(told,))
    naive = judge(Case(), recipient(), "Care", NOON.replace(tzinfo=None))
    assert naive == Refusal(reasons=(Reason(code="undecidable", values={"error": "TypeError"}),))
    assert told.to_json() == {"Refused": "restricted", "Values": {"restriction": "12"}, "Articles": list(articles)}


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["America/Toronto", "UTC", "Pacific/Kiritimati", "America/St_Johns"])
@pytest.mark.parametrize("kind", ["assessment", "agreement"])
def test_a_document_ends_with_the_day_before_in_the_clinic_s_zone(zone: str, kind: str) -> None:
    ends = datetime(2026, 6, 15, tzinfo=ZoneInfo(zone))
    make: Any = {"assessment": assessment, "agreement": agreement}[kind]
    there = recipient(**{kind: make(expires=date(2026, 6, 15))})
    last = judge(Case(time_zone=zone), there, "Care", ends - timedelta(microseconds=1))
    assert isinstance(last, Permit)
    assert last.expires == ends
    assert codes(judge(Case(time_zone=zone), there, "Care", ends)) == [f"{kind}-expired"]


@pytest.mark.parametrize("kind", ["assessment", "agreement"])
def test_a_document_begins_with_its_day_and_the_refusal_says_when(kind: str) -> None:
    begins = datetime(2026, 6, 16, tzinfo=ZoneInfo("America/Toronto"))
    make: Any = {"assessment": assessment, "agreement": agreement}[kind]
    there = recipient(**{kind: make(begins=date(2026, 6, 16))})
    case = Case(time_zone="America/Toronto")
    refusal = judge(case, there, "Care", begins - timedelta(microseconds=1))
    assert isinstance(refusal, Refusal)
    assert refusal.until == begins
    assert refusal.until.tzinfo is UTC
    assert isinstance(judge(case, there, "Care", begins), Permit)


def test_time_helps_only_where_it_ends_every_reason() -> None:
    waits = {"assessment": assessment(begins=date(2026, 6, 20)), "agreement": agreement(begins=date(2026, 7, 1))}
    refusal = judge(Case(), recipient(**waits), "Care", NOON)
    assert isinstance(refusal, Refusal)
    assert refusal.until == datetime(2026, 7, 1, tzinfo=UTC)
    never = judge(Case(), recipient(**waits, purposes=()), "Care", NOON)
    assert isinstance(never, Refusal)
    assert never.until is None


def test_a_permit_lasts_some_minutes_and_no_longer_than_what_it_rests_on() -> None:
    here = recipient(jurisdiction=HERE, assessment=assessment(expires=TODAY), agreement=None)
    permit = judge(Case(), here, "Care", NOON)
    assert isinstance(permit, Permit)  # within Quebec no assessment is asked for
    assert permit.expires == NOON + LIFE
    assert permit.holds(NOON + LIFE - timedelta(microseconds=1))
    assert not permit.holds(NOON + LIFE)
    soon = restriction(since=NOON + timedelta(minutes=1))
    permit = judge(Case(restrictions=(soon,)), here, "Care", NOON)
    assert isinstance(permit, Permit)
    assert permit.expires == soon.since
    assert codes(judge(Case(restrictions=(soon,)), here, "Care", soon.since)) == ["restricted"]


def test_only_a_restriction_to_come_that_is_about_the_destination_shortens_a_permit() -> None:
    day, minute = timedelta(days=1), timedelta(minutes=1)
    for idle in (
        restriction(since=NOON - day, until=NOON),
        restriction(since=NOON, until=NOON),
        restriction(since=NOON + minute, destinations=("vna",)),
    ):
        permit = judge(Case(restrictions=(idle,)), recipient(), "Care", NOON)
        assert isinstance(permit, Permit), idle
        assert permit.expires == NOON + LIFE
        assert permit.expires.tzinfo is UTC


# --- permits ----------------------------------------------------------------------------------------------------------


def test_a_permit_says_what_it_rests_on_and_covers_nothing_else() -> None:
    case = Case(study_instance_uid="1.2", clinic="outremont", regime=Regime.Health, time_zone="America/Toronto")
    permit = judge(case, recipient(), "Care", NOON)
    assert isinstance(permit, Permit)
    assert (permit.destination, permit.configuration, permit.purpose) == ("cloud", "digest", "Care")
    assert permit.facts == {
        "Clinic": "outremont",
        "Regime": "R-22.1",
        "Storage": ONTARIO,
        "Access": (ONTARIO,),
        "Deidentified": False,
        "Assessment": "EFVP-1",
        "Agreement": "C-1",
    }
    assert permit.covers("cloud", {"1.2"})
    assert not permit.covers("vna", {"1.2"})
    assert not permit.covers("cloud", {"1.2", "1.3"})


def test_nobody_else_can_make_a_permit_or_change_one() -> None:
    permit = judge(Case(), recipient(), "Care", NOON)
    assert isinstance(permit, Permit)
    with pytest.raises(TypeError, match=r"^only judge\(\) makes a permit$"):
        Permit(
            study_instance_uid="1.2",
            destination="vna",
            configuration="",
            purpose="Care",
            facts={},
            expires=NOON,
            seal=object(),
        )
    with pytest.raises((ValueError, TypeError)):
        replace(permit, destination="vna")  # type: ignore[call-arg]  # no seal, no permit
    with pytest.raises(AttributeError):
        permit.destination = "vna"  # type: ignore[misc]
    with pytest.raises(TypeError):
        cast("dict[str, Any]", permit.facts)["Storage"] = QUEBEC


def _calls(name: str) -> set[str]:
    found = set()
    for module in PLUGIN.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                found.add(module.name)
    return found


def test_only_the_kernel_makes_permits_and_knows_their_seal() -> None:
    assert _calls("Permit") == {"residency.py"}
    sealed = {path for path in PLUGIN.rglob("*.py") if re.search(r"\b_SEAL\b", path.read_text())}
    assert sealed == {PLUGIN / "relais/domain/residency.py"}


def test_every_send_of_a_transport_asks_for_a_permit_first() -> None:
    senders = []
    for module in sorted((PLUGIN / "relais/transports").glob("*.py")):
        for holder in ast.walk(ast.parse(module.read_text())):
            if not isinstance(holder, ast.ClassDef) or not holder.name.endswith("Transport"):
                continue
            (send,) = [each for each in holder.body if isinstance(each, ast.FunctionDef) and each.name == "send"]
            assert "permit" in {each.arg for each in send.args.kwonlyargs}, holder.name
            if holder.name != "Transport":  # the port itself
                senders.append(holder.name)
                first = send.body[1]
                assert isinstance(first, ast.Expr)
                assert ast.unparse(first) == "admit(permit, self._name, items, self._clock)", holder.name
    assert senders == ["DicomTransport", "DicomWebTransport", "FilesTransport", "MoveTransport", "PeerTransport"]


def test_one_call_in_the_house_sends() -> None:
    calls = []
    for module in sorted((PLUGIN / "relais").rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "send":
                calls += [module.name] if any(each.arg == "permit" for each in node.keywords) else []
    assert calls == ["deliver.py"]


# --- restrictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "forbidden"),
    [
        ({}, True),
        ({"destinations": ("cloud",)}, True),
        ({"destinations": ("vna",)}, False),
        ({"regions": (ONTARIO,)}, True),
        ({"regions": ("CA",)}, True),
        ({"regions": ("C",)}, False),
        ({"regions": ("US",)}, False),
        ({"regions": ("US",), "destinations": ("cloud",)}, True),
        ({"until": NOON}, False),
        ({"until": NOON + timedelta(seconds=1)}, True),
        ({"since": NOON}, True),
        ({"since": NOON + timedelta(seconds=1)}, False),
    ],
)
def test_a_restriction_forbids_what_it_names_while_it_lasts(values: dict[str, Any], *, forbidden: bool) -> None:
    verdict = judge(Case(restrictions=(restriction(**values),)), recipient(), "Care", NOON)
    assert codes(verdict) == (["restricted"] if forbidden else [])
    if isinstance(verdict, Refusal):
        assert verdict.until == values.get("until")


def test_a_destination_without_labels_is_restricted_by_its_name_alone() -> None:
    bare = recipient(jurisdiction=None)
    assert not restriction(regions=("US",)).forbids(bare)
    assert restriction(regions=("US",), destinations=("cloud",)).forbids(bare)
    assert restriction().forbids(bare)


def test_access_from_a_restricted_region_is_enough() -> None:
    seen_from = Jurisdiction(storage=QUEBEC, access=(QUEBEC, ONTARIO))
    case = Case(restrictions=(restriction(regions=(ONTARIO,)),))
    assert codes(judge(case, recipient(jurisdiction=seen_from), "Care", NOON)) == ["restricted"]
    assert codes(judge(case, recipient(jurisdiction=HERE), "Care", NOON)) == []


@pytest.mark.parametrize(
    ("values", "study", "patients", "concerned"),
    [
        ({"study_instance_uid": "1.2"}, "1.2", set(), True),
        ({"study_instance_uid": "1.2"}, "1.3", {("P1", "")}, False),
        ({"patient_id": "P1"}, "1.2", {("P1", "RAMQ")}, True),
        ({"patient_id": "P1", "issuer_of_patient_id": "RAMQ"}, "1.2", {("P1", "RAMQ")}, True),
        ({"patient_id": "P1", "issuer_of_patient_id": "RAMQ"}, "1.2", {("P1", "")}, True),
        ({"patient_id": "P1", "issuer_of_patient_id": "RAMQ"}, "1.2", {("P1", "OHIP")}, False),
        ({"patient_id": "P1"}, "1.2", {("P2", ""), ("P1", "OHIP")}, True),
        ({"patient_id": "P1"}, "1.2", set(), False),
    ],
)
def test_whom_a_restriction_is_about(values: Any, study: str, patients: Any, *, concerned: bool) -> None:
    assert restriction(**values).concerns(study, patients) is concerned


# --- laws -------------------------------------------------------------------------------------------------------------

regions = st.sampled_from([QUEBEC, ONTARIO, "US", "FR"])
days = st.dates(date(2026, 6, 10), date(2026, 6, 20))
moments = st.datetimes(datetime(2026, 6, 9), datetime(2026, 6, 21), timezones=st.just(UTC))  # noqa: DTZ001
ends = st.dates(date(2026, 6, 21), date(2026, 6, 30)) | st.dates(date(2026, 6, 11), date(2026, 6, 20))
begins = st.none() | st.just(date(2026, 6, 10))
restrictions = st.builds(
    Restriction,
    id=st.integers(1, 9),
    destinations=st.lists(st.sampled_from(["cloud", "vna"]), max_size=2).map(tuple),
    regions=st.lists(regions, max_size=2).map(tuple),
    since=moments,
    until=st.none() | moments,
)
recipients = st.builds(
    Recipient,
    destination=st.just("cloud"),
    configuration=st.just("digest"),
    jurisdiction=st.none()
    | st.builds(
        lambda storage, access: Jurisdiction(storage=storage, access=tuple(access)),
        regions,
        st.lists(regions, min_size=1, max_size=3),
    ),
    assessment=st.none()
    | st.builds(
        lambda result, first, last: assessment(result=result, begins=first, expires=last),
        st.sampled_from(Finding),
        begins,
        ends,
    ),
    agreement=st.none() | st.builds(lambda first, last: agreement(begins=first, expires=last), begins, ends),
    purposes=st.lists(st.sampled_from(Purpose), max_size=4).map(tuple),
    deidentifies=st.booleans(),
)
cases = st.builds(
    Case,
    study_instance_uid=st.just("1.2"),
    regime=st.none() | st.sampled_from(Regime),
    time_zone=st.sampled_from(["UTC", "America/Toronto", "Asia/Tokyo"]),
    restrictions=st.lists(restrictions, max_size=2).map(tuple),
)
purposes = st.sampled_from([*Purpose, "Curiosity"])


@given(cases, recipients, purposes, moments)
def test_a_verdict_is_a_permit_that_holds_now_or_a_refusal_with_reasons_that_can_be_told(
    case: Case, there: Recipient, purpose: str, now: datetime
) -> None:
    verdict = judge(case, there, purpose, now)
    if isinstance(verdict, Permit):
        assert verdict.holds(now)
        assert verdict.expires <= now + LIFE
        assert verdict.covers("cloud", {"1.2"})
        return
    assert verdict.reasons
    assert verdict.until is None or verdict.until > now
    for each in verdict.reasons:
        assert Reason.from_json(each.to_json()) == each
        for language in ("fr", "en"):
            assert "{" not in say_refusal(each.to_json(), language)


@given(cases, recipients, purposes, moments)
def test_until_it_expires_a_permit_would_be_given_again(
    case: Case, there: Recipient, purpose: str, now: datetime
) -> None:
    verdict = judge(case, there, purpose, now)
    if isinstance(verdict, Permit):
        assert isinstance(judge(case, there, purpose, verdict.expires - timedelta(microseconds=1)), Permit)


LABELS: dict[str, Any] = {
    "jurisdiction": None,
    "assessment": None,
    "agreement": None,
    "purposes": (),
    "deidentifies": False,
}


@given(cases, recipients, purposes, moments, st.sampled_from(sorted(LABELS)), restrictions)
def test_what_is_refused_stays_so_with_a_label_less_or_a_restriction_more(
    case: Case, there: Recipient, purpose: str, now: datetime, label: str, added: Restriction
) -> None:
    if isinstance(judge(case, there, purpose, now), Permit):
        return
    assert isinstance(judge(case, replace(there, **{label: LABELS[label]}), purpose, now), Refusal)
    assert isinstance(judge(replace(case, restrictions=(*case.restrictions, added)), there, purpose, now), Refusal)
    assert isinstance(judge(replace(case, regime=None), there, purpose, now), Refusal)
    fewer = tuple(each for each in there.purposes if each != purpose)
    assert isinstance(judge(case, replace(there, purposes=fewer), purpose, now), Refusal)


anything = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()) | st.just(object())


@given(anything, anything, anything, anything)
def test_nonsense_is_refused_and_never_raises(case: Any, there: Any, purpose: Any, now: Any) -> None:
    assert isinstance(judge(case, there, purpose, now), Refusal)
    assert isinstance(judge(Case(), recipient(), purpose, NOON), Refusal)
    assert isinstance(judge(Case(time_zone=case), recipient(), "Care", NOON), Refusal)
    assert isinstance(judge(Case(restrictions=there), recipient(), "Care", cast("Any", now)), Refusal)


@given(anything)
def test_a_label_of_another_kind_never_permits(wrong: Any) -> None:
    for name in ("jurisdiction", "assessment", "agreement", "purposes"):
        assert isinstance(judge(Case(), recipient(**{name: wrong}), "Care", NOON), Refusal), name
    assert isinstance(judge(Case(regime=cast("Any", object())), recipient(), "Care", NOON), Refusal)


def test_what_is_only_like_a_label_does_not_permit() -> None:
    for values in (
        {"purposes": "Care"},
        {"deidentifies": "no", "assessment": assessment(result="AdequateIfDeidentified")},
    ):
        assert isinstance(judge(Case(), recipient(**values), "Care", NOON), Refusal), values
    naive = NOON.replace(tzinfo=None)
    assert codes(judge(Case(), recipient(), "Care", naive)) == ["undecidable"]


# --- with the rules ---------------------------------------------------------------------------------------------------


def configured(**section: Any) -> Configuration:
    vna = {"Kind": "Dicom", "Aet": "VNA", "Host": "h", "Port": 104}
    here = {"Jurisdiction": {"Storage": QUEBEC, "Access": [QUEBEC]}}
    there = {"Jurisdiction": {"Storage": ONTARIO, "Access": [ONTARIO]}}
    destinations = {
        "here": {**vna, **here},
        "there": {**vna, **there},
        "bare": vna,
        "either": {"Kind": "Pool", "Of": {"here": 1, "there": 1000}},
        "neither": {"Kind": "Pool", "Of": {"bare": 1, "there": 1}},
    }
    return load({"Destinations": destinations, **section}, directory=Path())


def verdicts(configuration: Configuration, facts: Facts, *restricted: Restriction) -> dict[str, list[str]]:
    found = judged(facts, configuration, NOON, patient="P1", restrictions=restricted)
    return {each.planned.destination: codes(each.verdict) for each in found.deliveries}


def test_the_rules_plan_and_the_law_judges_each_destination() -> None:
    rules = [{"Name": "all", "DeliverTo": ["here", "there", "bare"]}]
    assert verdicts(configured(Rules=rules), Facts()) == {
        "here": [],
        "there": ["no-assessment", "no-agreement"],
        "bare": ["no-jurisdiction"],
    }


def test_a_pool_chooses_only_whom_the_law_permits() -> None:
    assert verdicts(configured(Rules=[{"Name": "all", "DeliverTo": ["either"]}]), Facts()) == {"here": []}
    ((name, why),) = verdicts(configured(Rules=[{"Name": "all", "DeliverTo": ["neither"]}]), Facts()).items()
    assert (name, bool(why)) in {("bare", True), ("there", True)}


def test_restrictions_count_where_they_concern_the_study() -> None:
    configuration = configured(Rules=[{"Name": "all", "DeliverTo": ["here"]}])
    facts = Facts(study={"StudyInstanceUID": ("1.2",)}, series=({"PatientID": ("P1",)}, {"PatientID": ("P2",)}))
    assert verdicts(configuration, facts, restriction(study_instance_uid="1.2")) == {"here": ["restricted"]}
    assert verdicts(configuration, facts, restriction(study_instance_uid="1.3")) == {"here": []}
    assert verdicts(configuration, facts, restriction(patient_id="P2")) == {"here": ["restricted"]}


def test_the_regime_and_the_zone_are_those_of_the_clinic() -> None:
    clinics = {"a": {"Regime": "P-39.1"}, "b": {"Regime": "R-22.1"}, "c": {}}
    configuration = configured(Rules=[{"Name": "all", "DeliverTo": ["there"]}], Clinics=clinics)
    for clinic, articles in (("a", 1), ("b", 1), ("c", 2), (None, 2), ("closed", 2)):
        found = judged(Facts(clinic=clinic), configuration, NOON, patient="P1").deliveries[0].verdict
        assert isinstance(found, Refusal)
        assert len(found.reasons[0].articles) == articles, clinic


def test_what_a_hold_keeps_back_is_judged_too() -> None:
    rules = [{"Name": "all", "DeliverTo": ["there"], "Hold": "wait"}]
    found = judged(Facts(), configured(Rules=rules), NOON, patient="P1")
    assert found.deliveries == ()
    assert [each.refused for each in found.held_back] == [True]
    assert found.held_back[0].to_json()["Permitted"] is False


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"Rules": [{"Name": "a", "DeliverTo": ["here"], "Purpose": "Cares"}]}, "Care"),
        ({"Clinics": {"a": {"Regime": "P-39"}}}, "P-39.1"),
    ],
)
def test_an_unknown_word_is_a_mistake_of_the_configuration(section: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationErrors) as refused:
        configured(**section)
    assert refused.value.problems[0].code == "not-one-of"
    assert refused.value.problems[0].values["nearest"] == problem


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ({"Jurisdiction": {"Storage": "CA-QC", "Access": []}}, "empty"),
        ({"Jurisdiction": {"Storage": "CA-QC"}}, "missing"),
        ({"Purposes": []}, "empty"),
        ({"Purposes": ["Cures"]}, "not-one-of"),
        ({"Agreement": {"Reference": "C", "Begins": "2027-01-01", "Expires": "2027-01-01"}}, "not-ordered"),
        ({"Agreement": {"Reference": "C", "Begins": "soon", "Expires": "2027-01-01"}}, "bad-day"),
    ],
)
def test_a_label_that_cannot_be_meant_is_a_mistake(label: dict[str, Any], code: str) -> None:
    vna = {"Kind": "Dicom", "Aet": "VNA", "Host": "h", "Port": 104, **label}
    with pytest.raises(ConfigurationErrors) as refused:
        load({"Destinations": {"vna": vna}}, directory=Path())
    assert [each.code for each in refused.value.problems] == [code]


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", sorted(MESSAGES - {WITH_ARTICLES}))
def test_every_word_is_in_french_with_the_same_values(message: str) -> None:
    french = gettext_for("fr").gettext(message)
    assert french != message
    assert placeholders(french) == placeholders(message)


def test_every_purpose_has_a_name_and_every_code_its_words() -> None:
    assert set(PURPOSES) == set(Purpose)
    assert say_purpose("Research", "fr") == "recherche"
    assert say_purpose("Curiosity", "fr") == "Curiosity"
    source = (PLUGIN / "relais/domain/residency.py").read_text() + (PLUGIN / "relais/residency.py").read_text()
    told = set(re.findall(r'code="([a-z-]+)"', source))
    told |= {f"{kind}-{end}" for kind in ("assessment", "agreement") for end in ("expired", "not-begun")}
    assert told | {"no-assessment", "no-agreement"} == set(REASONS)


def test_a_refusal_is_told_with_its_article_in_both_languages() -> None:
    refusal = judge(Case(regime=Regime.Private), recipient(assessment=assessment(expires=TODAY)), "Care", NOON)
    assert isinstance(refusal, Refusal)
    (reason,) = refusal.reasons
    assert say_refusal(reason.to_json(), "en") == "the privacy assessment EFVP-1 expired on 2026-06-15 (P-39.1 s. 17)"
    french = "évaluation EFVP-1 est échue depuis le 2026-06-15 (P-39.1, art. 17)"
    assert say_refusal(reason.to_json(), "fr").endswith(french)
