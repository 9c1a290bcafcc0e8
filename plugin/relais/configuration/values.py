"""The kinds of value that options take, each refused where it stands."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

from relais.domain.document import Whole, fault, nearest

_SOP_CLASSES = {keyword: uid for uid, (_, kind, _, _, keyword) in UID_dictionary.items() if kind == "SOP Class"}
LONGEST = 10_000_000
"""The longest time that can be set, in the option's unit."""


def supported(*known: str, later: tuple[str, ...] = ()) -> BeforeValidator:
    """One of these words; a word of the format that this version does not act on is refused by name."""

    def check(word: object) -> object:
        if word in later:
            raise fault("later", name=word)
        if word not in known:
            raise fault("not-one-of", name=str(word), known=list(known), nearest=nearest(str(word), known))
        return word

    return BeforeValidator(check)


def _aet(title: str) -> str:
    """PS3.5 section 6.2, AE: 1 to 16 characters of the default repertoire, neither backslashes nor only spaces."""
    if not re.fullmatch(r"[ -\[\]-~]{1,16}", title) or not title.strip():
        raise fault("bad-aet", name=title)
    return title.strip()


def _host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", host):
        raise fault("bad-host", name=host)
    return host


def _web_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or re.search(r"[\s\x00-\x1f]", url):
        raise fault("bad-url")
    if parts.username is not None or parts.fragment:
        raise fault("url-with-extras")
    return url


def _database_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "sqlite" and url.startswith("sqlite:///") and parts.path.strip("/") != ""
        valid = valid or (parts.scheme in ("postgresql", "postgresql+psycopg") and parts.port != 0)
    except ValueError:
        valid = False
    if not valid:
        raise fault("bad-database")
    return "postgresql+psycopg" + url.removeprefix("postgresql") if url.startswith("postgresql:") else url


def _storage_url(url: str) -> str:
    parts = urlsplit(url)
    known = ("file", "s3", "sftp")
    if parts.scheme not in known:
        raise fault("bad-storage", known=list(known))
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise fault("url-with-extras")
    if (parts.scheme == "file") is bool(parts.netloc) or not (parts.netloc or parts.path.startswith("/")):
        raise fault("bad-storage", known=list(known))
    return url.rstrip("/")


def _keyword(word: str) -> str:
    if tag_for_keyword(word) is None:
        raise fault("unknown-keyword", name=word)
    return word


def _syntax(uid: str) -> str:
    if not UID(uid).is_transfer_syntax:
        raise fault("bad-syntax", name=uid)
    return uid


def _sop_class(word: str) -> str:
    """The UID, also where the class is named by its keyword (PS3.6 table A-1)."""
    found = _SOP_CLASSES.get(word, word)
    if found not in _SOP_CLASSES.values():
        raise fault("bad-sop-class", name=word)
    return found


def _megabits(value: object) -> object:
    if _amount(value) <= 0:
        raise fault("out-of-range", low="0.001", high=LONGEST)
    return value


def _seconds(value: object) -> object:
    return timedelta(seconds=_amount(value))


def _hours(value: object) -> object:
    return timedelta(hours=_amount(value))


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault("not-number")
    if not 0 <= value <= LONGEST:
        raise fault("out-of-range", low=0, high=LONGEST)
    return value


Aet = Annotated[str, AfterValidator(_aet)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[Whole, Field(ge=1, le=65535)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
_number = WithJsonSchema({"type": "number", "minimum": 0, "maximum": LONGEST})
StorageUrl = Annotated[str, AfterValidator(_storage_url)]
Keyword = Annotated[str, AfterValidator(_keyword)]
SyntaxUid = Annotated[str, AfterValidator(_syntax)]
SopClass = Annotated[str, AfterValidator(_sop_class)]
Megabits = Annotated[float, BeforeValidator(_megabits), _number]
Seconds = Annotated[
    timedelta,
    BeforeValidator(_seconds),
    PlainSerializer(lambda span: span.total_seconds(), return_type=float),
    _number,
]
Hours = Annotated[
    timedelta,
    BeforeValidator(_hours),
    PlainSerializer(lambda span: span.total_seconds() / 3600, return_type=float),
    _number,
]
