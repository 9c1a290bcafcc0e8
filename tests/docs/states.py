"""States and transitions from the tables that guard them, error classes and waits from the code that draws them."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from relais.configuration import Retry
from relais.domain.retry import NOTIFICATION_SCHEDULE, Backoff, ErrorClass, notification_delay
from relais.domain.states import (
    DELIVERY,
    IMPORT,
    NOTIFICATION,
    ORDER,
    OWED,
    PREFETCH,
    RETRIEVAL,
    REVIEW,
    STUDY,
    TASK,
    VERSION,
    DeliveryState,
    ImportState,
    NotificationState,
    OrderState,
    PrefetchState,
    RetrievalState,
    ReviewState,
    State,
    StudyState,
    TaskState,
    VersionState,
)
from relais.transports import SendingError
from relais.transports.dimse import of_query, of_store
from relais.transports.web import Answer, refusal
from relais.worker import ATTEMPTS, BACKOFF
from tests.docs.markdown import code, fenced, table

MEANINGS: Mapping[str, Mapping[StrEnum, str]] = {
    "Study": {
        StudyState.Receiving: "Images arrive, or the last one arrived less than the quiet time ago.",
        StudyState.Complete: "Quiet long enough. The rules are asked next.",
        StudyState.Held: "Waits for a person: a rule, `Otherwise` or a person says so. `HoldReason` says why.",
        StudyState.Routed: "Decided. Its deliveries say how far each destination is.",
    },
    "Delivery": {
        DeliveryState.Scheduled: "Waits: `Waits` says for what, and until when.",
        DeliveryState.InProgress: "Images are being sent.",
        DeliveryState.Completed: "The destination has every image, and `Proof` says how that is known.",
        DeliveryState.Failed: "Given up: the destination refuses these images, or time ran out. A person must look.",
        DeliveryState.Held: "A person holds it back.",
        DeliveryState.Blocked: "[The law](../explanation/residency.md) refuses it. It is judged anew by itself.",
        DeliveryState.Canceled: "No longer owed: a person says so, or no rule asks for it any more.",
    },
    "Order": {
        OrderState.Scheduled: "Offered to machines.",
        OrderState.InProgress: "A machine said that it began (MPPS).",
        OrderState.Completed: "Its study is here, or a machine said that it ended.",
        OrderState.Canceled: "The CRM, a person or a machine says that it will not be carried out.",
        OrderState.Expired: "Nobody carried it out in time. A study that comes still later completes it.",
    },
    "Notification": {
        NotificationState.Scheduled: "Waits for its first or next attempt.",
        NotificationState.Completed: "The subscriber answered 2xx.",
        NotificationState.Failed: "The schedule is used up. A person can redeliver.",
        NotificationState.Canceled: "Not sent: the subscriber was disabled, or is no longer configured.",
    },
    "Task": {
        TaskState.Waiting: "Due at `RunAt`, or as soon after as its lane has a place.",
        TaskState.Running: "Leased to a node. A lease that is not renewed within 30 s is void.",
        TaskState.Dead: "A dead letter: it failed again and again for a reason nobody foresaw. A person restarts it.",
    },
    "Version": {
        VersionState.Draft: "Somebody writes on it. It may have problems, and changes nothing.",
        VersionState.Scheduled: "Becomes active at `ActivateAt`, if its gates are still open then.",
        VersionState.Active: "Decides. There is exactly one.",
        VersionState.Past: "Was active. Rolling back makes a new version of it.",
        VersionState.Discarded: "Put away; it can still be read.",
    },
    "Review": {
        ReviewState.Open: "Waits for a person, or with four eyes for the second one.",
        ReviewState.Resolved: "A person said whose the study is, or that it is nobody's. It can be undone.",
        ReviewState.Withdrawn: "No longer asked: the study was matched by itself, or is nobody's by now.",
    },
    "Import": {
        ImportState.Running: "Patients, or studies, come in. A restart goes on where it was.",
        ImportState.Completed: "Of patients: every line was read; `Refused` counts those that were not taken. "
        "Of studies: every instance that the source has is here.",
        ImportState.Failed: "Broken off: `Error` says why, or what is missing is named. What was taken stays.",
        ImportState.Canceled: "A person ended it. What was taken stays; of studies it can be begun again.",
    },
    "Retrieval": {
        RetrievalState.Scheduled: "Waits for its turn, or for another round: `NextAttempt` says until when.",
        RetrievalState.InProgress: "The source is asked what it has, or told to send what is missing.",
        RetrievalState.Completed: "Every instance that the source has of it is here.",
        RetrievalState.Failed: "Given up: `LastError` says why, and `MissingInstances` what is not here.",
        RetrievalState.Canceled: "A person ended it, or its order was dropped.",
    },
    "Prefetch": {
        PrefetchState.Scheduled: "Waits for `RunAt`, or for sources that did not answer.",
        PrefetchState.Completed: "The sources were asked, and what matters is imported; `Notes` say what was left out.",
        PrefetchState.Failed: "No source answered.",
        PrefetchState.Canceled: "The order was canceled, or expired.",
    },
}
"""What each state means, by the heading of its table."""

FAILURES = (
    ("Job has failed with DIMSE status 0xA700", "The destination is out of resources (A7xx, PS3.4 table B.2-1)"),
    ("Job has failed with DIMSE status 0xA900", "The image does not match its SOP class, for the destination"),
    ("Job has failed with DIMSE status 0xC000", "The destination cannot understand the image"),
    ("Job has failed with DIMSE status 0x0124", "Not authorised (PS3.7 annex C)"),
    ("No valid presentation context for this SOP class", "The destination does not take this kind of image"),
    ("Association Rejected: Called AE Title Not Recognized", "The destination does not know the AE title"),
    ("TCP Initialization Error: Connection refused", "Nobody listens there"),
    ("Peer aborted Association (or never connected)", "The connection broke"),
)
"""What Orthanc says of a failed store job, and what that means."""

QUERIES = (
    (
        "C-FIND SCU failed with DIMSE status 0xC000",
        "The source cannot look now: archives say so while their database is away",
    ),
    ("C-MOVE SCU failed with DIMSE status 0xA801", "The source does not know the destination's AE title"),
    ("C-MOVE SCU failed with DIMSE status 0x0122", "The source does not offer this"),
)
"""The same of a query, or of a C-MOVE."""

STATUSES = (401, 403, 404, 409, 413, 415, 429, 500, 503, 507)
"""HTTP statuses of note: what is not success is a refusal."""

CONSEQUENCES: Mapping[ErrorClass, str] = {
    ErrorClass.Transient: "Tried again after a growing, random wait.",
    ErrorClass.Permanent: "Not tried again. The other images are sent; then the delivery is Failed: see its `Gaps`.",
    ErrorClass.Configuration: "Tried again at the longest interval, until somebody mends the setting.",
}


def describe_study() -> str:
    """The states of a study."""
    return _describe("Study", STUDY)


def describe_delivery() -> str:
    """The states of a delivery."""
    owed = ", ".join(code(each) for each in DeliveryState if each in OWED)
    return _describe("Delivery", DELIVERY) + f"\n\nWhile a delivery is {owed}, its patient is protected from deletion."


def describe_notification() -> str:
    """The states of a notification."""
    return _describe("Notification", NOTIFICATION)


def describe_task() -> str:
    """The states of a task."""
    return _describe("Task", TASK)


def describe_version() -> str:
    """The states of a version of the configuration."""
    return _describe("Version", VERSION)


def describe_review() -> str:
    """The states of a review."""
    return _describe("Review", REVIEW)


def describe_import() -> str:
    """The states of a bulk import of patients."""
    return _describe("Import", IMPORT)


def describe_retrieval() -> str:
    """The states of the fetching of one study."""
    return _describe("Retrieval", RETRIEVAL)


def describe_prefetch() -> str:
    """The states of the search for an order's priors."""
    return _describe("Prefetch", PREFETCH)


def describe_order() -> str:
    """The states of an order."""
    return _describe("Order", ORDER)


def describe_errors() -> str:
    """The error classes, and how failures are read."""
    classes = [f"### {each}\n\n{CONSEQUENCES[each]}" for each in ErrorClass]
    rows = [_row("C-STORE", code(words), meaning, of_store(words)) for words, meaning in FAILURES]
    rows += [_row("C-FIND, C-MOVE", code(words), meaning, of_query(words)) for words, meaning in QUERIES]
    for status in STATUSES:
        error = refusal(Answer(status=status, body=b""))
        rows.append(_row("HTTP", code(status), error.text[0].upper() + error.text[1:], error))
    known = table(("Way", "What is said", "Meaning", "Class", "`Code`", "Whole lane waits"), rows)
    return "\n\n".join([*classes, "### How failures are read", known])


def _row(way: str, said: str, meaning: str, error: SendingError) -> tuple[str, ...]:
    return (way, said, meaning, error.error_class, code(error.code), "yes" if error.unreachable else "no")


def describe_retry() -> str:
    """The longest waits of a delivery, with the defaults of `Retry`, and of any other task."""
    retry = Retry()
    backoff = Backoff(first=retry.first_delay, maximum=retry.maximum_delay)
    rows = [
        (str(failures), _span(backoff.bound(failures)), _span(BACKOFF.bound(failures)))
        for failures in range(1, ATTEMPTS)
    ]
    end = (f"{ATTEMPTS}", _span(backoff.bound(ATTEMPTS)), "dead letter")
    return table(("Failures in a row", "Delivery waits at most", "Other task waits at most"), [*rows, end])


def describe_schedule() -> str:
    """The waits of a notification."""
    rows, sum_least, sum_most = [], timedelta(), timedelta()
    for failures, least in enumerate(NOTIFICATION_SCHEDULE, start=1):
        most = notification_delay(failures, 1.0, None)
        assert most is not None
        sum_least, sum_most = sum_least + least, sum_most + most
        rows.append((str(failures), f"{_span(least)} to {_span(most)}", f"{_span(sum_least)} to {_span(sum_most)}"))
    rows.append((str(len(rows) + 1), "Failed", ""))
    return table(("After failure", "Wait", "Since the event"), rows)


def _describe(title: str, transitions: Mapping[State, frozenset[State]]) -> str:
    parts = []
    for state in transitions:
        then = ", ".join(code(each) for each in transitions if each in transitions[state] and each is not state)
        parts.append(f"### {title} {state}\n\n{MEANINGS[title][state]}\n\nMay become: {then or 'nothing else'}.")
    arrows = [
        f"    {state} --> {each}"
        for state in transitions
        for each in transitions
        if each in transitions[state] and each is not state
    ]
    parts.append(fenced("\n".join(["stateDiagram-v2", *arrows]), "mermaid"))
    return "\n\n".join(parts)


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
