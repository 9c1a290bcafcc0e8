"""Clinics: which one a study comes from, and by what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.clinics import Clinic, Level, resolve_clinic
from relais.domain.document import DocumentError, parse
from relais.domain.rules import Origin
from relais.texts import explain_clinic

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


@pytest.mark.parametrize(
    ("document", "path", "code"),
    [
        ({"Networks": ["10.1.0.0/16", "10.1.0.1/16"]}, "Networks[1]", "bad-network"),
        ({"TimeZone": "America/Montréal"}, "TimeZone", "bad-time-zone"),
        ({"Region": "Quebec"}, "Region", "bad-region"),
        ({"CalledAets": [""]}, "CalledAets[0]", "empty"),
        ({"CalledAets": "A"}, "CalledAets", "tuple_type"),
        ({"CalledAETs": ["A"]}, "CalledAETs", "unknown-key"),
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
