"""Pseudonyms by a key: the same every time, and without the key nothing of what they stand for."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import date, timedelta

LONGEST_SHIFT = 3650
_UUID_VERSION, _UUID_VARIANT = 8 << 76, 2 << 62  # RFC 9562 section 5.8: a UUID made in one's own way
_DATE = re.compile(r"(?P<year>\d{4})(?P<mark>[-.]?)(?P<month>\d\d)(?P=mark)(?P<day>\d\d)(?P<time>[0-9.]*([+-]\d{4})?)")


class Pseudonyms:
    """The pseudonyms of one key: HMAC-SHA-256 (RFC 2104), a label apart for each kind."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def uid(self, uid: str) -> str:
        """A UID of 2.25. and a UUID (PS3.5 section B.2)."""
        return _uid(self._digest("uid", uid))

    def patient(self, patient: Patient) -> str:
        """20 hexadecimal digits for a patient's name and id."""
        return self._digest("patient", *patient.words).hex()[:20].upper()

    def days(self, patient: Patient) -> int:
        """By how many days the patient's dates move back: 1 to 3650, so that intervals between them stay."""
        return 1 + int.from_bytes(self._digest("days", *patient.words)[:8]) % LONGEST_SHIFT

    def _digest(self, *words: str) -> bytes:
        return hmac.digest(self._key, "\0".join(words).encode(), "sha256")


class Patient:
    """Whom a pseudonym stands for: an id and who issued it; without an id nobody but the study's patient."""

    def __init__(self, patient_id: str, issuer: str, study_instance_uid: str) -> None:
        named = patient_id.strip(" \0")
        self.words = ("id", issuer.strip(" \0"), named) if named else ("study", study_instance_uid)


def derived_uid(uid: str, transfer_syntax: str) -> str:
    """The UID of the image that lossy compression makes of another (PS3.3 section C.7.6.1.1.5)."""
    return _uid(hashlib.sha256(f"relais lossy\0{uid}\0{transfer_syntax}".encode()).digest())


def moved_back(text: str, days: int) -> str:
    """A date (PS3.5 DA) or the date of a date and time (DT) so many days before; empty where it is neither."""
    found = _DATE.fullmatch(text)
    if found:
        year, month, day, time = found["year"], found["month"], found["day"], found["time"]
    elif re.fullmatch(r"\d{4}(\d\d)?", text):  # less than a day is known: the same of the middle of that time
        year, month, day, time = text[:4], text[4:] or "06", "15", ""
    else:
        return ""
    try:
        moved = date(int(year), int(month), int(day)) - timedelta(days)
    except (ValueError, OverflowError):
        return ""
    whole = f"{moved:%Y%m%d}".rjust(8, "0") + time
    return whole if found else whole[: len(text)]


def _uid(digest: bytes) -> str:
    number = int.from_bytes(digest[:16])
    number = number & ~(0xF << 76) | _UUID_VERSION
    return f"2.25.{number & ~(3 << 62) | _UUID_VARIANT}"
