"""Search over all PACS: one question, answers as they come, each PACS with its state, and what was imported of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from flask import render_template, request
from pydantic import BeforeValidator, Field

from relais.database import queries
from relais.domain.document import Document, Name
from relais.domain.querying import Level, SourceState, range_text
from relais.domain.states import FETCHING
from relais.errors import UnknownError
from relais.retrieval.queries import Query
from relais.texts import _
from relais.web.api import queries as api
from relais.web.composition import current_call
from relais.web.pages.shell import pages, say
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing
from relais.web.requests import read_body, read_query

AT_FIRST = 0.25
"""Seconds that the first part waits for the quick ones."""
MODALITIES = ("CR", "CT", "DX", "IO", "MG", "MR", "NM", "OT", "PT", "PX", "US", "XA", "XC")

DIFFERENCES = {
    "PatientName": _("Name"),
    "PatientID": _("Number"),
    "PatientBirthDate": _("Born"),
    "PatientSex": _("Sex"),
    "StudyDate": _("Day"),
    "AccessionNumber": _("Accession number"),
    "StudyDescription": _("Description"),
    "ModalitiesInStudy": _("Modality"),
    "NumberOfStudyRelatedInstances": _("Images"),
}
"""What sources may disagree about, as far as a person needs to know."""


def _several(value: object) -> object:
    """What a form sends once is a text, not a list of one."""
    return (value,) if isinstance(value, str) else value


Day = Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]


class Asking(Document):
    """What a person looks for."""

    text: str = Field("", max_length=200, description="A name, a patient's number, or a StudyInstanceUID.")
    birth_date: Day = Field("", description="When the patient was born.")
    accession_number: str = Field("", max_length=16, description="The study's accession number.")
    first: Day = Field("", description="The first day of the study.")
    last: Day = Field("", description="The last day of the study.")
    modalities: Annotated[tuple[str, ...], BeforeValidator(_several)] = Field((), description="One of these.")
    sources: Annotated[tuple[Name, ...], BeforeValidator(_several)] = Field((), description="Which PACS; all if none.")
    before: Name | None = Field(None, description="The question before this one: nobody looks at its answers any more.")

    @property
    def keys(self) -> dict[str, str]:
        """The keys of the question."""
        text = self.text.strip()
        keys = {
            "PatientBirthDate": self.birth_date.replace("-", ""),
            "AccessionNumber": self.accession_number.strip(),
            "StudyDate": range_text(*(date.fromisoformat(each) if each else None for each in (self.first, self.last)))
            if self.first or self.last
            else "",
            "ModalitiesInStudy": "\\".join(self.modalities),
        }
        if re.fullmatch(r"[0-9]+(\.[0-9]+){3,}", text):
            keys["StudyInstanceUID"] = text
        elif any(letter.isdigit() for letter in text):
            keys["PatientID"] = text
        elif text:
            keys["PatientName"] = "*".join([*re.split(r"[\s,^*]+", text.strip(" ,^*")), ""])
        return {keyword: value for keyword, value in keys.items() if value}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One study of the answers: what the sources say, and what is here of it."""

    uid: str
    values: Mapping[str, Any]
    sources: Sequence[str]
    differs: Sequence[tuple[str, Sequence[Mapping[str, str]]]]
    here: Any | None
    fetched: Any | None

    @property
    def modalities(self) -> str:
        """As a list shows them."""
        return str(self.values.get("ModalitiesInStudy", "")).replace("\\", " ")

    @property
    def importable(self) -> bool:
        """Whether nothing fetches it now."""
        return self.fetched is None or self.fetched["state"] not in FETCHING


@pages.get("/search")
@requires(Permission.AskSources)
def search() -> str:
    """The page: nobody is asked for before a person asks."""
    read_query(request, Nothing)
    call = current_call()
    names = call.relais.retrieval.queries.permitted(call.caller.clinics)
    return render_template("search.html", names=names, modalities=MODALITIES)


@pages.post("/search")
@requires(Permission.AskSources)
def search_begin() -> str:
    """Ask: a POST, because what names a patient never stands in an address."""
    body = read_body(request, Asking)
    call = current_call()
    if body.before is not None:
        with suppress(UnknownError):
            call.relais.retrieval.queries.end(body.before, call.caller.name)
    query = api.start(call, api.QueryBody(query=body.keys, sources=body.sources or None))
    query.wait(AT_FIRST)
    return render_template("search-answers.html", **_shown(query))


class SeriesOf(Document):
    """The study whose series are looked for, and where."""

    source: Name = Field(description="The PACS that is asked.")
    study_instance_uid: str = Field(
        alias="StudyInstanceUID", pattern=r"^[0-9.]{1,64}$", description="The study whose series are wanted."
    )


@pages.get("/search/series")
@requires(Permission.AskSources)
def search_series() -> str:
    """What series a study has at one PACS: asked now."""
    wanted = read_query(request, SeriesOf)
    keys = {"StudyInstanceUID": wanted.study_instance_uid}
    query = api.start(current_call(), api.QueryBody(level=Level.Series, query=keys, sources=(wanted.source,)))
    query.wait(AT_FIRST)
    return render_template("search-series.html", **_series(query))


@pages.get("/search/series/<query_id>/live")
@requires(Permission.AskSources)
def search_series_live(query_id: str) -> str:
    """Those that were answered so far."""
    call = current_call()
    try:
        query = call.relais.retrieval.queries.get(query_id, call.caller.name)
    except UnknownError:
        return render_template("search-gone.html")
    return render_template("search-series.html", **_series(query))


@pages.get("/search/<query_id>/live")
@requires(Permission.AskSources)
def search_live(query_id: str) -> str:
    """What was answered so far, and how far the imports are."""
    call = current_call()
    try:
        query = call.relais.retrieval.queries.get(query_id, call.caller.name)
    except UnknownError:
        return render_template("search-gone.html")
    return render_template("search-answers.html", **_shown(query))


def _series(query: Query) -> dict[str, Any]:
    answer = api.answer_of(query, current_call().texts.language)
    (source,) = answer.sources
    return {
        "id": query.id,
        "running": answer.state == "Running",
        "source": source,
        "series": sorted(answer.answers, key=lambda each: _rank(each.get("SeriesNumber"))),
    }


def _rank(text: str | None) -> int:
    """A number by which to sort; what is none comes last."""
    return int(text) if text is not None and text.isdecimal() else 1 << 31


def _shown(query: Query) -> dict[str, Any]:
    call = current_call()
    answer = api.answer_of(query, call.texts.language)
    uids = [each["StudyInstanceUID"] for each in answer.answers]
    with call.relais.database.read() as connection:
        here = queries.studies.of_uids(connection, uids, call.caller.clinics)
        fetched = queries.fetching.latest_of(connection, uids)
    found = [_found(each, here, fetched) for each in answer.answers]
    running = answer.state == "Running"
    return {
        "id": query.id,
        "running": running,
        "asked": answer.sources,
        "silent": [each for each in answer.sources if each.error],
        "waiting": sum(each.state is SourceState.Waiting for each in answer.sources),
        "found": found,
        "notes": answer.notes,
        "truncated": answer.truncated,
        "seconds": 0.4 if running else 1 if any(not each.importable for each in found) else 5,
    }


def _found(values: Mapping[str, Any], here: Mapping[str, Any], fetched: Mapping[str, Any]) -> Found:
    uid = values["StudyInstanceUID"]
    differs = [
        (say(DIFFERENCES[keyword]), said) for keyword, said in values["Differs"].items() if keyword in DIFFERENCES
    ]
    return Found(
        uid=uid,
        values=values,
        sources=values["Sources"],
        differs=differs,
        here=here.get(uid),
        fetched=fetched.get(uid),
    )
