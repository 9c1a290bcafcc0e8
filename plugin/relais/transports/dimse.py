"""What a failed DIMSE operation means, from Orthanc's words for it.

Orthanc tells a status, or why there is none, in the `ErrorDetails` of a job and in the `Details` of a refused request.
"""

from __future__ import annotations

import re

from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports.port import SendingError

MISSING = 404

_STATUS = re.compile(r"DIMSE status 0x([0-9A-Fa-f]{4})")
_DETAILS = re.compile(r'"Details"\s*:\s*"((?:[^"\\]|\\.)*)"')

NO_CONTEXT = "no-presentation-context"

# Words that are not a status, in the order in which they are looked for: the class of the failure, its code, and
# whether it is the peer's rather than the batch's.
_CAUSES = (
    ("dicom tls|tls error", ErrorClass.Configuration, "tls", True),
    # Orthanc names what the peer accepts of the class between the brackets.
    (r"presentation context|one of \[\s*\]", ErrorClass.Permanent, NO_CONTEXT, False),
    ("cannot transcode", ErrorClass.Permanent, "cannot-transcode", False),
    ("association rejected|ae title not recognized", ErrorClass.Configuration, "association-rejected", True),
    ("connecting to aet|tcp initialization error|connection refused", ErrorClass.Transient, "unreachable", True),
    ("timed out|timeout", ErrorClass.Transient, "timeout", True),
    ("", ErrorClass.Transient, "interrupted", False),
)

_HANGS_UP = re.compile("aborted|reset by peer|broken pipe", re.IGNORECASE)

_TRANSIENT = frozenset({"0110", "0213"})  # PS3.7 annex C: processing failure, resource limitation
_DUPLICATE = "0111"  # PS3.7 section C.5.4: it is there already
_WARNINGS = frozenset({"0001", "0107", "0116"})  # PS3.7 annex C.3
_NOT_AUTHORIZED = "0124"


def is_stored(error: SendingError) -> bool:
    """Whether Orthanc calls failure what says that the peer has the instance: warnings (PS3.4 table B.2-1), 0111."""
    return error.code == _DUPLICATE or error.code in _WARNINGS or re.fullmatch("B[0-9A-F]{3}", error.code) is not None


def of_store(details: str, *, tls: bool = False) -> SendingError:
    """A failed C-STORE (PS3.4 table B.2-1).

    A7xx, out of resources, passes; a status that says that the object itself is not wanted does not. With `tls`, a
    peer that hangs up while we connect does not trust our certificate: TLS 1.3 does not say so (RFC 8446 section 4.4).
    """
    code, error = _read(details)
    if code is None:
        if tls and error.code == "unreachable" and _HANGS_UP.search(error.text):
            return SendingError(ErrorClass.Configuration, "tls", error.text, unreachable=True)
        return error
    return of_status(code, error.text)


def of_status(code: str, text: str) -> SendingError:
    """A status of C-STORE that is not success, in hexadecimal."""
    if code.startswith("A7") or code in _TRANSIENT:
        return SendingError(ErrorClass.Transient, code, text)
    return SendingError(ErrorClass.Configuration if code == _NOT_AUTHORIZED else ErrorClass.Permanent, code, text)


def of_query(details: str, *, tls: bool = False) -> SendingError:
    """A failed C-FIND or C-MOVE (PS3.4 tables C.4-1 and C.4-2).

    Out of resources, sub-operations that failed and C0xx pass: archives answer them while their database is away.
    Anything else (A801, C801, A900, 0122) is refused for how we ask, or for whom.
    """
    code, error = _read(details)
    if code is None:
        if error.code == NO_CONTEXT:
            return SendingError(ErrorClass.Configuration, "no-query", error.text)
        return of_store(details, tls=tls)
    passes = re.fullmatch("A7..|B...|C0..|FE00", code) is not None or code in _TRANSIENT
    return SendingError(ErrorClass.Transient if passes else ErrorClass.Configuration, code, error.text)


def of_commitment(details: str, *, tls: bool = False) -> SendingError:
    """A failed N-ACTION (PS3.4 section J.3.2), of which Orthanc tells no status."""
    error = of_store(details, tls=tls)
    if error.code == NO_CONTEXT:
        return SendingError(ErrorClass.Configuration, "no-commitment", error.text)
    return error


def details_of(error: OrthancError) -> str:
    """Orthanc's words for a request that it refused."""
    found = _DETAILS.search(error.text)
    return found.group(1).replace('\\"', '"') if found else error.text


def _read(details: str) -> tuple[str | None, SendingError]:
    """The status, if the words tell one; and what they mean if they do not."""
    text = details.strip() or "Orthanc gave no reason"
    status = _STATUS.search(text)
    cause = next(each for each in _CAUSES if re.search(each[0], text, re.IGNORECASE))
    error = SendingError(cause[1], cause[2], text, unreachable=cause[3])
    return status.group(1).upper() if status else None, error
