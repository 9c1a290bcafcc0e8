"""The grades of tests of destinations, and the words for what they find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from string import Formatter

import pytest

from relais.domain.connectivity import (
    NEEDS,
    SEVERITY,
    Advice,
    Found,
    Grade,
    Step,
    StepName,
    grade_of,
    grade_of_test,
    is_ready,
    of_certificate,
    of_clock,
    of_rejection,
    of_status,
)
from relais.texts import gettext_for
from relais.texts_connectivity import ADVICE, MESSAGES, STEPS, advise, step_title

NOW = datetime(2026, 7, 2, tzinfo=UTC)


def step(name: StepName, *advice: Advice) -> Step:
    return Step.of(name, Found(advice=advice), 1)


@pytest.mark.parametrize(
    ("advice", "grade"),
    [
        ((), Grade.Passed),
        ((Advice.ClassesRejected,), Grade.Passed),
        ((Advice.NoDate,), Grade.Skipped),
        ((Advice.CertificateEnds,), Grade.Warning),
        ((Advice.NoDate, Advice.CertificateEnds), Grade.Warning),
        ((Advice.CertificateEnds, Advice.CertificateName), Grade.Failed),
    ],
)
def test_a_step_is_as_bad_as_its_worst_advice(advice: tuple[Advice, ...], grade: Grade) -> None:
    assert grade_of(advice) is grade
    assert step(StepName.Tls, *advice).grade is grade


def test_a_test_is_as_bad_as_its_worst_step() -> None:
    passed, warned = step(StepName.Name), step(StepName.Tls, Advice.CertificateEnds)
    failed, skipped = step(StepName.Echo, Advice.Broken), Step.skipped(StepName.Store, Advice.NotAskedFor)
    assert grade_of_test([passed, warned, failed, skipped]) is Grade.Failed
    assert grade_of_test([passed, warned, skipped]) is Grade.Warning
    assert grade_of_test([skipped, passed]) is Grade.Passed
    assert grade_of_test([skipped]) is Grade.Skipped
    assert grade_of_test([]) is Grade.Skipped


def test_a_step_waits_for_what_it_needs_and_for_nothing_else() -> None:
    name, refused = step(StepName.Name), step(StepName.Connection, Advice.Refused)
    assert is_ready(StepName.Connection, [name])
    assert not is_ready(StepName.Association, [name, refused])
    assert not is_ready(StepName.Echo, [name, refused, Step.skipped(StepName.Association, Advice.AfterFailure)])
    wrong_clock = [name, step(StepName.Connection), step(StepName.Http), step(StepName.Clock, Advice.ClockWrong)]
    assert is_ready(StepName.Store, wrong_clock)
    warned = [name, step(StepName.Connection, Advice.AddressesDead)]
    assert is_ready(StepName.Association, warned)  # no TLS in this test: it stands in nobody's way


def test_what_a_step_needs_comes_before_it() -> None:
    order = list(StepName)
    assert all(order.index(each) < order.index(name) for name, needed in NEEDS.items() for each in needed)


@pytest.mark.parametrize(
    ("starts", "ends", "advice"),
    [
        (-10, 31, ()),
        (-10, 29, (Advice.CertificateEnds,)),
        (-10, -1, (Advice.CertificateExpired,)),
        (1, 400, (Advice.CertificateNotYet,)),
    ],
)
def test_a_certificate_has_its_days(starts: int, ends: int, advice: tuple[Advice, ...]) -> None:
    assert of_certificate(NOW + timedelta(days=starts), NOW + timedelta(days=ends), NOW) == advice


@pytest.mark.parametrize(
    ("seconds", "advice"),
    [
        (0.0, ()),
        (-5.0, ()),
        (5.1, (Advice.ClockDiffers,)),
        (-299.0, (Advice.ClockDiffers,)),
        (301.0, (Advice.ClockWrong,)),
        (-86400.0, (Advice.ClockWrong,)),
    ],
)
def test_a_clock_may_differ_a_little(seconds: float, advice: tuple[Advice, ...]) -> None:
    assert of_clock(seconds) == advice


def test_rejections_of_ps3_8_table_9_21() -> None:
    assert of_rejection(1, 7) is Advice.RejectedCalledAet
    assert of_rejection(1, 3) is Advice.RejectedCallingAet
    assert of_rejection(1, 1) is Advice.RejectedWithoutReason
    assert of_rejection(2, 1) is Advice.RejectedWithoutReason
    assert of_rejection(3, 2) is Advice.RejectedBusy
    assert of_rejection(9, 9) is Advice.RejectedWithoutReason


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (200, ()),
        (204, ()),
        (302, (Advice.Redirected,)),
        (401, (Advice.Unauthorized,)),
        (403, (Advice.Forbidden,)),
        (404, (Advice.NoSuchPath,)),
        (418, (Advice.HttpRefused,)),
        (503, (Advice.ServerError,)),
    ],
)
def test_http_says_whether_we_are_let_in(status: int, advice: tuple[Advice, ...]) -> None:
    assert of_status(status) == advice


def test_everything_has_a_grade_and_words() -> None:
    assert set(SEVERITY) == set(ADVICE) == set(Advice)
    assert set(STEPS) == set(StepName)
    assert {step_title(each, "fr") for each in StepName} >= {"Résolution du nom", "C-ECHO"}


@pytest.mark.parametrize("message", sorted(MESSAGES))
def test_every_message_is_in_french_with_the_same_values(message: str) -> None:
    french = gettext_for("fr").gettext(message)
    assert french != message or message == "C-ECHO"
    assert {name for _, name, _, _ in Formatter().parse(french)} == {
        name for _, name, _, _ in Formatter().parse(message)
    }


def test_advice_names_what_it_is_about() -> None:
    facts = {"Host": "vna.example", "Names": ["a.example", "b.example"], "Port": 104}
    assert advise("name-unknown", facts, "en").startswith("The name vna.example is not known to this machine's DNS.")
    assert "a.example, b.example, non pour vna.example" in advise("certificate-name", facts, "fr")
    assert advise("refused", {}, "en") == (
        " answers, but nothing listens at port . Start the service there, or check the port."
    )
    assert "{0.__class__}" in advise("name-unknown", {"Host": "{0.__class__}"}, "en")
