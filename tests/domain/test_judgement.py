"""From facts to judged deliveries: what the kernel is told, and what pools make of its verdicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from relais.configuration import Configuration, load
from relais.domain.facts import Facts
from relais.domain.labels import Agreement, Assessment, Finding, Jurisdiction, Purpose, Regime
from relais.domain.pools import choose
from relais.domain.residency import Case, Permit, Recipient, Refusal, Restriction
from relais.domain.routing import Explain, Verdict
from relais.judgement import Judged, case_of, judged, patients_of, recipient_of

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
VNA = {"Kind": "Dicom", "Aet": "VNA", "Host": "h", "Port": 104}
HERE = {**VNA, "Jurisdiction": {"Storage": "CA-QC", "Access": ["CA-QC"]}}
THERE = {
    **VNA,
    "Jurisdiction": {"Storage": "CA-ON", "Access": ["CA-ON", "CA-QC"]},
    "Assessment": {"Reference": "EFVP-1", "Result": "Adequate", "Expires": "2027-01-01"},
    "Agreement": {"Reference": "C-1", "Expires": "2027-01-01"},
    "Purposes": ["Care", "Quality"],
}
STUDY = Facts(study={"StudyInstanceUID": ("1.2",), "PatientID": ("P1",)})
CARE = {"Name": "care", "DeliverTo": ["here"]}


def configured(*rules: dict[str, Any], **section: Any) -> Configuration:
    destinations = {
        "here": HERE,
        "second": HERE,
        "there": THERE,
        "bare": VNA,
        "masked": {**THERE, "Purposes": ["Research"], "Deidentify": {"Key": "hidden-key-of-pseudonyms"}},
        "pool": {"Kind": "Pool", "Of": {"here": 1, "second": 1}},
        "uneven": {"Kind": "Pool", "Of": {"here": 1, "bare": 1000}},
        "other": {"Kind": "Pool", "Of": {"here": 1}},
        "empty": {"Kind": "Pool", "Of": {"here": 0, "second": 1}},
    }
    return load({"Destinations": destinations, "Rules": list(rules), **section}, directory=Path())


def ask(configuration: Configuration, facts: Facts = STUDY, *, patient: str = "P1", **more: Any) -> Judged:
    return judged(facts, configuration, NOON, patient=patient, **more)


def permit_of(found: Judged) -> Permit:
    (only,) = found.deliveries
    assert isinstance(only.verdict, Permit)
    return only.verdict


# --- what the kernel is told ------------------------------------------------------------------------------------------


def test_the_kernel_is_told_the_clinic_its_region_regime_and_zone() -> None:
    clinic = {"Region": "CA-QC", "Regime": "R-22.1", "TimeZone": "America/Toronto"}
    configuration = configured(CARE, Clinics={"laval": clinic})
    stop = Restriction(id=1, since=NOON)
    assert case_of(configuration, study_instance_uid="1.2", clinic="laval", restrictions=[stop]) == Case(
        study_instance_uid="1.2",
        clinic="laval",
        region="CA-QC",
        regime=Regime.Health,
        time_zone="America/Toronto",
        restrictions=(stop,),
    )
    for unknown in (None, "", "closed"):
        case = case_of(configuration, study_instance_uid="1.2", clinic=unknown, restrictions=())
        assert case == Case(study_instance_uid="1.2", time_zone="UTC")


def test_the_kernel_is_told_every_label_of_a_destination() -> None:
    configuration = configured(CARE)
    assert recipient_of("there", configuration.destinations["there"], "digest") == Recipient(
        destination="there",
        configuration="digest",
        jurisdiction=Jurisdiction(storage="CA-ON", access=("CA-ON", "CA-QC")),
        assessment=Assessment(reference="EFVP-1", result=Finding.Adequate, expires=date(2027, 1, 1)),
        agreement=Agreement(reference="C-1", expires=date(2027, 1, 1)),
        purposes=("Care", "Quality"),
        deidentifies=False,
    )
    bare = recipient_of("bare", configuration.destinations["bare"], "digest")
    assert (bare.jurisdiction, bare.purposes) == (None, (Purpose.Care,))
    assert recipient_of("masked", configuration.destinations["masked"], "digest").deidentifies is True


def test_research_outside_is_for_a_destination_that_deidentifies() -> None:
    permit = permit_of(ask(configured({"Name": "all", "DeliverTo": ["masked"], "Purpose": "Research"})))
    assert permit.facts["Deidentified"] is True


def test_a_study_has_the_patients_that_it_or_one_of_its_series_names() -> None:
    facts = Facts(
        study={"PatientID": ("P1", "P2"), "IssuerOfPatientID": ("RAMQ",)},
        series=({"PatientID": ("P3",)}, {"PatientID": ("P4",), "IssuerOfPatientID": ("OHIP", "x")}, {}),
    )
    assert patients_of(facts) == {("P1", "RAMQ"), ("P2", "RAMQ"), ("P3", ""), ("P4", "OHIP")}
    assert patients_of(Facts(study={"IssuerOfPatientID": ("RAMQ",)})) == frozenset()


# --- what comes of it -------------------------------------------------------------------------------------------------


def test_a_permit_is_for_this_study_destination_purpose_and_configuration() -> None:
    configuration = configured(
        {"Name": "quality", "DeliverTo": ["there"], "Purpose": "Quality"}, Clinics={"laval": {"Regime": "P-39.1"}}
    )
    permit = permit_of(ask(configuration, STUDY.model_copy(update={"clinic": "laval"})))
    assert permit.covers("there", {"1.2"})
    assert permit.configuration == configuration.digest
    assert permit.purpose == "Quality"
    assert permit.holds(NOON)
    assert (permit.facts["Clinic"], permit.facts["Regime"]) == ("laval", "P-39.1")
    assert permit_of(ask(configuration, Facts())).study_instance_uid == ""


def test_a_document_ends_with_the_day_of_the_clinic() -> None:
    configuration = configured(
        {"Name": "all", "DeliverTo": ["there"]}, Clinics={"laval": {"TimeZone": "America/Toronto"}}
    )
    late = datetime(2027, 1, 1, 4, tzinfo=UTC)  # still the old year in Laval
    for clinic, refused in (("laval", False), (None, True)):
        facts = STUDY.model_copy(update={"clinic": clinic})
        (only,) = judged(facts, configuration, late, patient="P1").deliveries
        assert only.refused is refused


def test_a_judged_delivery_is_told_with_its_reasons() -> None:
    found = ask(configured({"Name": "all", "DeliverTo": ["here", "bare"]}))
    here, bare = (each.to_json() for each in found.deliveries)
    assert here == {"Destination": "here", "Purpose": "Care", "Permitted": True, "Reasons": []}
    articles = ["P-39.1 s. 17", "R-22.1 s. 78"]
    assert bare == {
        "Destination": "bare",
        "Purpose": "Care",
        "Permitted": False,
        "Reasons": [{"Refused": "no-jurisdiction", "Values": {}, "Articles": articles}],
    }


def test_a_restriction_holds_for_what_is_held_back_too() -> None:
    stop = Restriction(id=7, patient_id="P1", since=NOON - timedelta(days=1))
    configuration = configured(CARE, {"Name": "odd", "Hold": "wait"})
    found = ask(configuration, restrictions=[stop])
    assert found.deliveries == ()
    (back,) = found.held_back
    assert isinstance(back.verdict, Refusal)
    assert [each.code for each in back.verdict.reasons] == ["restricted"]
    other = replace(stop, patient_id="P9")
    (back,) = ask(configuration, restrictions=[other]).held_back
    assert isinstance(back.verdict, Permit)
    assert back.verdict.covers("here", {"1.2"})


def test_a_stranger_waits_where_the_configuration_says_so() -> None:
    section = {"Clinics": {"laval": {"CalledAets": ["LAVAL"]}}, "UnknownSender": {"Hold": "who is it?"}}
    found = ask(configured(CARE, **section))
    assert found.decision.hold == "who is it?"
    assert [each.planned.destination for each in found.held_back] == ["here"]
    assert ask(configured(CARE)).decision.hold is None


def test_the_defaults_of_the_clinic_and_of_the_house_count() -> None:
    section = {
        "Clinics": {"laval": {"CalledAets": ["L"], "Defaults": {"Purpose": "Quality"}}},
        "Otherwise": {"DeliverTo": ["there"]},
    }
    found = ask(configured(**section), Facts(clinic="laval"))
    assert [(each.planned.destination, each.planned.purpose) for each in found.deliveries] == [("there", "Quality")]
    assert permit_of(found).purpose == "Quality"


def test_as_much_is_explained_as_is_asked_for() -> None:
    question = {"Name": "asked", "When": {"Field": "PatientID", "Equals": "P2"}, "DeliverTo": ["here"]}
    configuration = configured(question)
    (usual,) = ask(configuration).decision.outcomes
    assert (usual.verdict, len(usual.because), usual.condition) == (Verdict.Failed, 1, None)
    (whole,) = ask(configuration, explain=Explain.Everything).decision.outcomes
    assert whole.condition is not None
    assert ask(configuration, explain=Explain.Nothing).decision.outcomes == ()


def test_rules_are_asked_at_the_instant_that_is_given() -> None:
    rule = {**CARE, "ValidUntil": "2026-06-15"}
    assert len(ask(configured(rule)).deliveries) == 1
    assert judged(STUDY, configured(rule), NOON + timedelta(days=1), patient="P1").deliveries == ()


# --- pools ------------------------------------------------------------------------------------------------------------


def test_a_pool_gives_all_studies_of_a_patient_to_one_of_its_destinations() -> None:
    configuration = configured({"Name": "all", "DeliverTo": ["pool"], "Purpose": "Care"})
    patients = [f"P{number}" for number in range(40)]
    for patient in patients:
        (only,) = ask(configuration, patient=patient).deliveries
        assert only.planned.destination == choose({"here": 1, "second": 1}, patient)
        assert (only.planned.pool, only.planned.rules) == ("pool", ("all",))
        assert isinstance(only.verdict, Permit)
        assert only.verdict.destination == only.planned.destination


def test_without_a_patient_the_study_decides_in_its_pool_and_held_back_too() -> None:
    for hold in (None, "wait"):
        rule = {"Name": "all", "DeliverTo": ["pool"], **({"Hold": hold} if hold else {})}
        configuration = configured(rule)
        for number in range(40):
            facts = Facts(study={"StudyInstanceUID": (f"1.{number}",)})
            for patient in ("", "P1"):
                found = ask(configuration, facts, patient=patient)
                (only,) = found.held_back if hold else found.deliveries
                assert only.planned.destination == choose({"here": 1, "second": 1}, patient or f"1.{number}")


def test_a_pool_sends_where_the_law_permits_however_small_the_weight() -> None:
    (only,) = ask(configured({"Name": "all", "DeliverTo": ["uneven"]})).deliveries
    assert (only.planned.destination, only.refused) == ("here", False)
    everywhere = Restriction(id=1, study_instance_uid="1.2", since=NOON - timedelta(days=1))
    (only,) = ask(configured({"Name": "all", "DeliverTo": ["uneven"]}), restrictions=[everywhere]).deliveries
    assert only.planned.destination == choose({"here": 1, "bare": 1000}, "P1")
    assert only.refused


def test_where_the_law_permits_none_of_a_pool_the_patient_decides_all_the_same() -> None:
    everywhere = Restriction(id=1, study_instance_uid="1.2", since=NOON - timedelta(days=1))
    configuration = configured({"Name": "all", "DeliverTo": ["pool"]})
    for patient in (f"P{number}" for number in range(40)):
        (only,) = ask(configuration, patient=patient, restrictions=[everywhere]).deliveries
        assert (only.planned.destination, only.refused) == (choose({"here": 1, "second": 1}, patient), True)


def test_what_a_rule_names_itself_outweighs_what_a_pool_chose_whatever_stands_first() -> None:
    for order in (["other", "here"], ["here", "other"]):
        (only,) = ask(configured({"Name": "all", "DeliverTo": order})).deliveries
        assert (only.planned.destination, only.planned.pool) == ("here", None)


def test_of_two_pools_that_choose_one_destination_the_first_counts_and_the_next_is_still_asked() -> None:
    found = ask(configured({"Name": "all", "DeliverTo": ["other", "uneven", "empty", "there"]})).deliveries
    assert [(each.planned.destination, each.planned.pool) for each in found] == [
        ("here", "other"),
        ("second", "empty"),
        ("there", None),
    ]
