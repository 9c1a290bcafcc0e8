"""Clinics: which one a study comes from, and by what."""

from __future__ import annotations

from itertools import product
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.clinic_warnings import clinic_warnings, globs_meet
from relais.domain.clinics import SEVERAL, Clinic, Level, UnknownSender, resolve_clinic
from relais.domain.document import DocumentError, References, parse
from relais.domain.globs import compile_glob
from relais.domain.rules import Origin
from relais.texts import PROBLEMS, explain_clinic, word

CLINICS = {
    "outremont": parse(
        Clinic,
        {
            "CalledAets": ["OUTREMONT*"],
            "CallingAets": ["CS8100"],
            "Networks": ["10.1.0.0/16", "fd00:1::/32"],
            "InstitutionNames": ["Clinique Évangéline*"],
        },
    ),
    "laval": parse(
        Clinic,
        {"CalledAets": ["LAVAL"], "CallingAets": ["CS?200", "CS8100"], "Networks": ["10.2.0.0/16", "10.1.9.0/24"]},
    ),
}


@pytest.mark.parametrize(
    ("origin", "names", "clinic", "level"),
    [
        (Origin(called_aet="OUTREMONT2", calling_aet="CS9200"), [], "outremont", Level.CalledAet),
        (Origin(called_aet="outremont", calling_aet="CS9200"), [], "laval", Level.CallingAet),  # case counts
        (Origin(called_aet=" LAVAL "), [], "laval", Level.CalledAet),  # padding does not
        (Origin(calling_aet="CS8100", remote_ip="10.2.0.1"), [], None, Level.CallingAet),  # two: ambiguous
        (Origin(remote_ip="10.1.2.3"), ["nowhere"], "outremont", Level.Network),
        (Origin(remote_ip="10.1.9.3"), [], None, Level.Network),
        (Origin(remote_ip="fd00:1::5"), [], "outremont", Level.Network),
        (Origin(remote_ip="::ffff:10.2.0.1"), [], "laval", Level.Network),  # IPv4 seen through IPv6
        (Origin(remote_ip="not an address"), ["CLINIQUE EVANGELINE (Nord) "], "outremont", Level.InstitutionName),
        (Origin(), ["Nord", "clinique évangéline"], "outremont", Level.InstitutionName),
        (Origin(called_aet="X", calling_aet="Y", remote_ip="1.2.3.4"), ["Z"], None, None),
        (Origin(), [], None, None),
    ],
)
def test_the_strongest_level_at_which_a_clinic_is_known_decides(
    origin: Origin, names: list[str], clinic: str | None, level: Level | None
) -> None:
    resolution = resolve_clinic(origin, names, CLINICS)
    assert (resolution.clinic, resolution.level) == (clinic, level)
    assert resolution.ambiguous is (clinic is None and level is not None)


def test_without_clinics_there_is_none() -> None:
    assert resolve_clinic(Origin(called_aet="A"), ["B"], {}).clinic is None


def test_several_patterns_of_one_clinic_are_not_ambiguous() -> None:
    clinics = {"a": parse(Clinic, {"CalledAets": ["A*", "*B"]})}
    resolution = resolve_clinic(Origin(called_aet="AB"), [], clinics)
    assert resolution.clinic == "a"
    assert [item.pattern for item in resolution.evidence] == ["A*", "*B"]


def test_a_resolution_says_why() -> None:
    known = resolve_clinic(Origin(remote_ip="10.1.2.3"), [], CLINICS)
    assert explain_clinic(known, "en") == "address 10.1.2.3 is in the network of outremont (10.1.0.0/16)"
    assert (
        explain_clinic(known, "fr")
        == "l\u2019adresse 10.1.2.3 fait partie du réseau de la clinique outremont (10.1.0.0/16)"
    )
    several = resolve_clinic(Origin(calling_aet="CS8100"), [], CLINICS)
    assert explain_clinic(several, "en") == (
        "several clinics claim the study: calling AE title CS8100 is that of outremont (CS8100) / "
        "calling AE title CS8100 is that of laval (CS8100)"
    )
    nobody = resolve_clinic(Origin(), [], CLINICS)
    assert explain_clinic(nobody, "en") == "no clinic knows the AE titles, the address or the institution name"
    given = resolve_clinic(Origin(), [], CLINICS, UnknownSender(clinic="laval"))
    assert explain_clinic(given, "en") == "no clinic knows it: UnknownSender makes it that of laval"
    assert "UnknownSender" in explain_clinic(given, "fr")


def test_what_several_clinics_claim_is_held_whatever_unknown_senders_get() -> None:
    for unknown in (None, UnknownSender(clinic="laval"), UnknownSender(hold="who is this?")):
        several = resolve_clinic(Origin(calling_aet="CS8100"), [], CLINICS, unknown)
        assert (several.clinic, several.hold, several.by_default) == (None, SEVERAL, False)


def test_an_unknown_sender_is_held_or_given_to_a_clinic() -> None:
    held = resolve_clinic(Origin(called_aet="X"), [], CLINICS, UnknownSender(hold="who is this?"))
    assert (held.clinic, held.hold, held.by_default, held.ambiguous) == (None, "who is this?", False, False)
    given = resolve_clinic(Origin(called_aet="X"), [], CLINICS, UnknownSender(clinic="laval"))
    assert (given.clinic, given.hold, given.by_default) == ("laval", None, True)
    known = resolve_clinic(Origin(called_aet="LAVAL"), [], CLINICS, UnknownSender(hold="who is this?"))
    assert (known.clinic, known.hold, known.by_default) == ("laval", None, False)


@pytest.mark.parametrize(
    ("document", "path", "code"),
    [
        ({}, "", "not-one-fate"),
        ({"Hold": "x", "Clinic": "laval"}, "", "not-one-fate"),
        ({"Clinic": "lavaal"}, "Clinic", "unknown-clinic"),
        ({"Hold": " "}, "Hold", "empty"),
        ({"DeliverTo": ["vna"]}, "DeliverTo", "unknown-key"),
    ],
)
def test_an_unknown_sender_has_one_fate(document: object, path: str, code: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        parse(UnknownSender, document, References(clinics=frozenset({"laval"})))
    assert (path, code) in [(problem.path, problem.code) for problem in refusal.value.problems]


@pytest.mark.parametrize(
    ("document", "path", "code"),
    [
        ({"Networks": ["10.1.0.0/16", "10.1.0.1/16"]}, "Networks[1]", "bad-network"),
        ({"TimeZone": "America/Montréal"}, "TimeZone", "bad-time-zone"),
        ({"Region": "Quebec"}, "Region", "bad-region"),
        ({"CalledAets": [""]}, "CalledAets[0]", "empty"),
        ({"CalledAets": "A"}, "CalledAets", "tuple_type"),
        ({"CalledAETs": ["A"]}, "CalledAETs", "unknown-key"),
        ({"Defaults": {"QuietSeconds": -1}}, "Defaults.QuietSeconds", "out-of-range"),
        ({"Defaults": {"QuietSeconds": "30"}}, "Defaults.QuietSeconds", "not-number"),
        ({"Defaults": {"QuietSeconds": True}}, "Defaults.QuietSeconds", "not-number"),
        ({"Defaults": {"Priority": "Fast"}}, "Defaults.Priority", "not-one-of"),
        ({"Defaults": {"Otherwise": {}}}, "Defaults.Otherwise", "not-one-way"),
    ],
)
def test_a_clinic_that_cannot_be_is_refused(document: object, path: str, code: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        parse(Clinic, document)
    assert [(problem.path, problem.code) for problem in refusal.value.problems] == [(path, code)]


@given(
    st.builds(Origin, called_aet=st.text(max_size=9), calling_aet=st.text(max_size=9), remote_ip=st.text(max_size=9)),
    st.lists(st.text(max_size=9), max_size=3),
)
def test_any_origin_has_an_answer_and_its_reason(origin: Origin, names: list[str]) -> None:
    clinics = CLINICS | {"any": parse(Clinic, {"InstitutionNames": ["?*"]})}
    resolution = resolve_clinic(origin, names, clinics)
    assert (resolution.level is None) is (resolution.evidence == ())
    assert explain_clinic(resolution, "fr")


def warned(clinics: dict[str, object], unknown: UnknownSender | None = None) -> list[tuple[str, str]]:
    found = clinic_warnings({name: parse(Clinic, each) for name, each in clinics.items()}, unknown)
    assert all(word(problem, "en") and word(problem, "fr") and problem.code in PROBLEMS for problem in found)
    return [(problem.path, problem.code) for problem in found]


@pytest.mark.parametrize(
    ("clinics", "expected"),
    [
        ({"a": {"CalledAets": ["A"]}, "b": {"CalledAets": ["B"]}}, []),
        ({"a": {"CalledAets": ["A"]}, "b": {"CallingAets": ["A"]}}, []),  # at different levels
        ({"a": {"CalledAets": ["A*", "AB"]}}, []),  # of one clinic
        (
            {"a": {"CalledAets": ["A"]}, "b": {"CalledAets": ["B", "A"]}},
            [("Clinics.b.CalledAets[1]", "clinics-overlap")],
        ),
        (
            {"a": {"CallingAets": ["CS?100"]}, "b": {"CallingAets": ["*00"]}},
            [("Clinics.b.CallingAets[0]", "clinics-overlap")],
        ),
        (
            {"a": {"Networks": ["10.1.0.0/16"]}, "b": {"Networks": ["10.2.0.0/16", "10.1.9.0/24", "fd00::/8"]}},
            [("Clinics.b.Networks[1]", "clinics-overlap")],
        ),
        (
            {"a": {"InstitutionNames": ["Évangéline*"]}, "b": {"InstitutionNames": ["EVANGELINE"]}},
            [("Clinics.b.InstitutionNames[0]", "clinics-overlap")],
        ),
        ({"a": {"CalledAets": ["A"]}, "b": {}}, [("Clinics.b", "clinic-without-senders")]),
        (
            {"a": {"CalledAets": ["*"]}, "b": {"Networks": ["10.0.0.0/8"]}, "c": {"InstitutionNames": ["C"]}},
            [("Clinics.b", "clinic-hidden"), ("Clinics.c", "clinic-hidden")],
        ),
        (
            {"a": {"CallingAets": ["*"]}, "b": {"CalledAets": ["B"]}, "c": {}},
            [("Clinics.c", "clinic-without-senders")],
        ),
    ],
)
def test_clinics_that_get_in_each_others_way_are_warned_of(
    clinics: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    assert warned(clinics) == expected


def test_a_default_clinic_needs_no_senders() -> None:
    clinics: dict[str, object] = {"a": {"CalledAets": ["A"]}, "b": {}}
    assert warned(clinics, UnknownSender(clinic="b")) == []
    assert warned(clinics, UnknownSender(hold="x")) == [("Clinics.b", "clinic-without-senders")]


GLOBS = st.text(alphabet="AB*?", max_size=6)


@given(GLOBS, GLOBS, st.text(alphabet="AB", max_size=6))
def test_globs_that_match_one_text_meet(one: str, other: str, text: str) -> None:
    if compile_glob(one)(text) and compile_glob(other)(text):
        assert globs_meet(one, other)
    assert globs_meet(one, other) == globs_meet(other, one)


@given(GLOBS, GLOBS)
def test_globs_that_meet_match_one_text(one: str, other: str) -> None:
    """Where they meet, a text of no more than both their letters is matched by both."""
    shortest = len(one.replace("*", "")) + len(other.replace("*", ""))
    texts = ("".join(each) for size in range(min(shortest, 7) + 1) for each in product("AB", repeat=size))
    if globs_meet(one, other) and shortest <= 7:
        assert any(compile_glob(one)(text) and compile_glob(other)(text) for text in texts)


def test_fifty_clinics_are_compared_quickly() -> None:
    clinics: dict[str, object] = {
        f"c{number}": {"CalledAets": [f"C{number}*", f"*D{number}?"], "Networks": [f"10.{number}.0.0/16"]}
        for number in range(50)
    }
    began = perf_counter()
    warned(clinics)
    assert perf_counter() - began < 3  # some 0.3 s alone
