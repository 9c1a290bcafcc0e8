"""What a test of a destination's connection finds: steps, their grades, and codes of advice.

Every code of advice has its grade in one table; a step is as bad as its worst advice, a test as its worst step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

DAYS_LEFT = 30
"""A certificate with fewer days than these is near its end."""
CLOCK_DIFFERS = 5.0
CLOCK_WRONG = 300.0
"""Seconds between two clocks: Kerberos, signed webhooks and tokens refuse what is further apart."""
SLOW_NAME = 1.0
"""Seconds after which the resolution of a name is slow."""
SPACE_LEFT = 1 << 30
"""Free bytes under which a place for files is nearly full."""


class Grade(StrEnum):
    """How a step, or a whole test, went."""

    Passed = "Passed"
    Warning = "Warning"
    Failed = "Failed"
    Skipped = "Skipped"


class StepName(StrEnum):
    """What a test looks at, one thing a step."""

    Name = "Name"  # its name is resolved
    Connection = "Connection"  # it takes a TCP connection
    Tls = "Tls"
    Association = "Association"  # A-ASSOCIATE and what it accepts
    Echo = "Echo"  # C-ECHO
    Http = "Http"  # it answers a request, and lets us in
    Clock = "Clock"
    Query = "Query"  # QIDO-RS
    Question = "Question"  # a source is asked, as people ask it
    Write = "Write"
    Store = "Store"  # a test object is stored
    Find = "Find"  # the test object is found again
    Read = "Read"
    Delete = "Delete"
    Space = "Space"


S = StepName

NEEDS: Mapping[StepName, tuple[StepName, ...]] = {
    S.Connection: (S.Name,),
    S.Tls: (S.Connection,),
    S.Association: (S.Connection, S.Tls),
    S.Echo: (S.Association,),
    S.Http: (S.Connection, S.Tls),
    S.Clock: (S.Http,),
    S.Query: (S.Http,),
    S.Question: (S.Association, S.Http),
    S.Store: (S.Association, S.Http),
    S.Find: (S.Store,),
    S.Write: (S.Connection, S.Tls),
    S.Read: (S.Write,),
    S.Delete: (S.Store, S.Write),
    S.Space: (S.Connection, S.Tls),
}
"""What must not have failed before a step can be tried; a step that a test does not have stands in nobody's way."""


class Advice(StrEnum):
    """What was found, as a code; `relais.texts_connectivity` says what to do about it."""

    AfterFailure = "after-failure"
    NotAskedFor = "not-asked-for"
    NoAnswer = "no-answer"
    Broken = "broken"

    NameUnknown = "name-unknown"
    NameServerSilent = "name-server-silent"
    NameSlow = "name-slow"
    Refused = "refused"
    ConnectionTimeout = "connection-timeout"
    HostUnreachable = "host-unreachable"
    AddressesDead = "addresses-dead"

    TlsNotSpoken = "tls-not-spoken"
    TlsVersion = "tls-version"
    TlsFailed = "tls-failed"
    CertificateFile = "certificate-file"
    CertificateExpired = "certificate-expired"
    CertificateNotYet = "certificate-not-yet"
    CertificateEnds = "certificate-ends"
    CertificateName = "certificate-name"
    CertificateNameUnchecked = "certificate-name-unchecked"
    CertificateIssuer = "certificate-issuer"
    CertificateSelfSigned = "certificate-self-signed"
    CertificateInvalid = "certificate-invalid"
    ClientCertificateAsked = "client-certificate-asked"
    ClientCertificateRequired = "client-certificate-required"

    RejectedCalledAet = "rejected-called-aet"
    RejectedCallingAet = "rejected-calling-aet"
    RejectedBusy = "rejected-busy"
    RejectedProtocol = "rejected-protocol"
    RejectedWithoutReason = "rejected-without-reason"
    AssociationAborted = "association-aborted"
    AssociationSilent = "association-silent"
    NothingAccepted = "nothing-accepted"
    NoStorage = "no-storage"
    ClassesRejected = "classes-rejected"
    EchoNotAccepted = "echo-not-accepted"
    QueriedImpossible = "queried-impossible"
    CommitmentNotAccepted = "commitment-not-accepted"
    MoveNotAccepted = "move-not-accepted"
    EchoRefused = "echo-refused"

    StoreNotAccepted = "store-not-accepted"
    StoreRefused = "store-refused"
    StoreWarned = "store-warned"
    FindNotAccepted = "find-not-accepted"
    FindRefused = "find-refused"
    FindBroken = "find-broken"
    NotFound = "not-found"
    QuestionRefused = "question-refused"
    QuestionSilent = "question-silent"
    QuestionBroken = "question-broken"

    Unauthorized = "unauthorized"
    Forbidden = "forbidden"
    NoSuchPath = "no-such-path"
    Redirected = "redirected"
    HttpRefused = "http-refused"
    ServerError = "server-error"
    NotDicomWeb = "not-dicomweb"
    NotOrthanc = "not-orthanc"
    NoDate = "no-date"
    ClockDiffers = "clock-differs"
    ClockWrong = "clock-wrong"

    HostKeyUnknown = "host-key-unknown"
    HostKeyChanged = "host-key-changed"
    PrivateKey = "private-key"
    FolderMissing = "folder-missing"
    NotPermitted = "not-permitted"
    DiskFull = "disk-full"
    FilesFailed = "files-failed"
    ReadDiffers = "read-differs"
    NotDeleted = "not-deleted"
    SpaceLow = "space-low"
    SpaceUnknown = "space-unknown"


A = Advice

_NOTES = (A.ClassesRejected, A.StoreWarned)
_WARNINGS = (
    *(A.NameSlow, A.AddressesDead, A.CertificateEnds, A.CertificateNameUnchecked, A.ClientCertificateAsked),
    *(A.EchoNotAccepted, A.FindNotAccepted, A.FindRefused, A.FindBroken),
    *(A.ClockDiffers, A.NotDeleted, A.SpaceLow),
)
_SKIPS = (A.AfterFailure, A.NotAskedFor, A.NoDate, A.SpaceUnknown)

SEVERITY: Mapping[Advice, Grade] = {
    **dict.fromkeys(Advice, Grade.Failed),
    **dict.fromkeys(_NOTES, Grade.Passed),
    **dict.fromkeys(_WARNINGS, Grade.Warning),
    **dict.fromkeys(_SKIPS, Grade.Skipped),
}
"""How bad it is; what is not said to be less is a failure."""

_BAD = (Grade.Failed, Grade.Warning)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a step found: `facts` by PascalCase key, as JSON has them, and what to say of it."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step as it went; `milliseconds` is None where it was not tried."""

    name: StepName
    grade: Grade
    milliseconds: int | None
    facts: Mapping[str, Any]
    advice: tuple[Advice, ...]

    @classmethod
    def of(cls, name: StepName, found: Found, milliseconds: int) -> Step:
        """A step that was tried."""
        grade = grade_of(found.advice)
        return cls(name=name, grade=grade, milliseconds=milliseconds, facts=dict(found.facts), advice=found.advice)

    @classmethod
    def skipped(cls, name: StepName, why: Advice) -> Step:
        """A step that was not tried."""
        return cls(name=name, grade=Grade.Skipped, milliseconds=None, facts={}, advice=(why,))

    def to_json(self) -> dict[str, Any]:
        """As the history keeps it."""
        return {
            "Name": self.name,
            "Grade": self.grade,
            "Milliseconds": self.milliseconds,
            "Facts": dict(self.facts),
            "Advice": list(self.advice),
        }


def grade_of(advice: Iterable[Advice]) -> Grade:
    """The grade of a step: that of its worst advice, and Passed without any."""
    grades = [SEVERITY[each] for each in advice]
    for grade in (*_BAD, Grade.Skipped):
        if grade in grades:
            return grade
    return Grade.Passed


def grade_of_test(steps: Iterable[Step]) -> Grade:
    """The grade of a whole test: that of its worst step; Skipped when nothing was tried."""
    grades = [step.grade for step in steps]
    for grade in (*_BAD, Grade.Passed):
        if grade in grades:
            return grade
    return Grade.Skipped


def is_ready(name: StepName, done: Sequence[Step]) -> bool:
    """Whether a step can be tried: nothing that it needs has failed or was skipped."""
    grades = {step.name: step.grade for step in done}
    return all(grades.get(needed, Grade.Passed) in (Grade.Passed, Grade.Warning) for needed in NEEDS.get(name, ()))


def of_certificate(not_before: datetime, not_after: datetime, now: datetime) -> tuple[Advice, ...]:
    """What to say of a certificate's validity (RFC 5280 section 4.1.2.5)."""
    if now < not_before:
        return (A.CertificateNotYet,)
    if now > not_after:
        return (A.CertificateExpired,)
    return (A.CertificateEnds,) if not_after - now < timedelta(days=DAYS_LEFT) else ()


def of_clock(seconds: float) -> tuple[Advice, ...]:
    """What to say of a clock that is so many seconds ahead of ours, or behind if negative."""
    if abs(seconds) > CLOCK_WRONG:
        return (A.ClockWrong,)
    return (A.ClockDiffers,) if abs(seconds) > CLOCK_DIFFERS else ()


def of_rejection(source: int, diagnostic: int) -> Advice:
    """What an A-ASSOCIATE-RJ says (PS3.8 table 9-21): its source, and the reason or diagnostic."""
    return _REJECTIONS.get((source, diagnostic), A.RejectedWithoutReason)


_REJECTIONS = {
    (1, 2): A.RejectedProtocol,  # application context name not supported
    (1, 3): A.RejectedCallingAet,
    (1, 7): A.RejectedCalledAet,
    (2, 2): A.RejectedProtocol,
    (3, 1): A.RejectedBusy,  # temporary congestion
    (3, 2): A.RejectedBusy,  # local limit exceeded
}


def of_status(status: int) -> tuple[Advice, ...]:
    """What an HTTP status says of whether we are let in (RFC 9110 section 15)."""
    if status in _STATUSES:
        return (_STATUSES[status],)
    if status >= 500:  # noqa: PLR2004 - RFC 9110
        return (A.ServerError,)
    if status >= 400:  # noqa: PLR2004
        return (A.HttpRefused,)
    return (A.Redirected,) if status >= 300 else ()  # noqa: PLR2004


_STATUSES = {401: A.Unauthorized, 403: A.Forbidden, 404: A.NoSuchPath}
