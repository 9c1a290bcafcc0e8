"""Studies: search by anything, filters that live in the address, and rows that stay where they are."""

from __future__ import annotations

from typing import Annotated, Any

from flask import redirect, render_template, request, url_for
from pydantic import Field, StringConstraints
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from relais.database import queries
from relais.database.queries.studies import StudyFilter
from relais.domain.states import StudyState
from relais.errors import OrthancError
from relais.texts import _
from relais.web.answers import study_values
from relais.web.composition import current_call
from relais.web.pages import actions, chips
from relais.web.pages.shell import clinic_name, pages, say
from relais.web.permissions import Permission, requires
from relais.web.questions import Key, StudyQuery, StudySearch
from relais.web.requests import read_body, read_query

Ids = Annotated[str, StringConstraints(pattern=r"^([0-9]{1,18}(,[0-9]{1,18}){0,499})?$")]

FILTERS = (
    ("State", _("State"), _("Any state")),
    ("Clinic", _("Clinic"), _("Any clinic")),
    ("Modality", _("Modality"), _("Any modality")),
    ("Destination", _("Destination"), _("Any destination")),
)


class LiveStudies(StudyQuery):
    """Which rows a browser shows: their `ids`, and the newest study it knows of."""

    ids: Ids = Field("", description="Ids of the rows, with commas.")
    newest: Key = Field("0", description="The id of the newest study that was there.")


@pages.get("/studies")
@requires(Permission.ViewStudies)
def studies() -> str:
    """The page, with its first rows."""
    query = read_query(request, StudyQuery)
    call = current_call()
    with call.relais.database.read() as connection:
        modalities = queries.studies.modalities(connection)
    configuration = call.relais.configuration
    mine = [name for name in configuration.clinics if call.caller.clinics is None or name in call.caller.clinics]
    choices = {
        "State": [(state.value, say(chips.STUDY[state].word)) for state in StudyState],
        "Clinic": [(name, clinic_name(name)) for name in mine],
        "Modality": [(name, name) for name in modalities],
        "Destination": [(name, name) for name in configuration.destinations],
    }
    return render_template("studies.html", filters=FILTERS, choices=choices, **_rows(query, ""))


@pages.get("/studies/rows")
@requires(Permission.ViewStudies)
def studies_rows() -> str:
    """Further rows."""
    return render_template("studies-rows.html", **_rows(read_query(request, StudyQuery), ""))


@pages.post("/studies/search")
@requires(Permission.ViewPatients)
def studies_search() -> str:
    """Rows by words: a POST, because what names a patient never stands in an address."""
    search = read_body(request, StudySearch)
    return render_template("studies-rows.html", **_rows(search, search.text))


@pages.get("/studies/live")
@requires(Permission.ViewStudies)
def studies_live() -> str:
    """What changed in the rows that are shown, without patient data, and how many studies came since."""
    query = read_query(request, LiveStudies)
    call = current_call()
    ids = [int(each) for each in query.ids.split(",") if each]
    with call.relais.database.read() as connection:
        rows = queries.studies.of_ids(connection, ids, call.caller.clinics)
        deliveries = queries.deliveries.of_studies(connection, [row["id"] for row in rows])
        newer = queries.studies.newer(connection, _filter(query, ""), call.caller.clinics, int(query.newest))
    shown = [_shown(row, deliveries[row["id"]], patient=False) for row in rows]
    return render_template("studies-live.html", rows=shown, newer=newer, kept=kept_filters(query))


@pages.get("/orthanc/<orthanc_id>")
@requires(Permission.ViewStudies)
def of_orthanc(orthanc_id: str) -> Response:
    """From Orthanc Explorer's page of a study to the page here."""
    if not all(letter in "0123456789abcdef-" for letter in orthanc_id):
        raise NotFound
    try:
        tags = current_call().relais.orthanc.get(f"/studies/{orthanc_id}")["MainDicomTags"]
    except OrthancError as error:
        raise NotFound from error
    return redirect(url_for("pages.study", StudyInstanceUID=tags["StudyInstanceUID"]))


def kept_filters(query: StudyQuery) -> dict[str, str]:
    """The filters as parameters of an address."""
    return {name: value for name, _word, _any in FILTERS if (value := getattr(query, name.lower())) is not None}


def _filter(query: StudyQuery, text: str) -> StudyFilter:
    return StudyFilter(
        state=query.state, clinic=query.clinic, modality=query.modality, destination=query.destination, text=text
    )


def _rows(query: StudyQuery, text: str) -> dict[str, Any]:
    """One part of the list; that the caller has seen it is written into the audit chain."""
    call = current_call()
    with call.relais.database.read() as connection:
        rows = queries.studies.find(connection, _filter(query, text), call.caller.clinics, query.before, query.limit)
        deliveries = queries.deliveries.of_studies(connection, [row["id"] for row in rows])
    if rows:
        uids = [row["study_instance_uid"] for row in rows]
        with call.relais.database.write() as connection:
            call.relais.journal.record(connection, "studies.listed", actor=call.caller.name, Studies=uids)
    patient = call.caller.may(Permission.ViewPatients)
    return {
        "rows": [_shown(row, deliveries[row["id"]], patient=patient) for row in rows],
        "next": rows[-1]["id"] if len(rows) == query.limit else None,
        "first": query.before is None,
        "kept": kept_filters(query),
        "text": text,
    }


def _shown(row: Any, deliveries: Any, *, patient: bool) -> dict[str, Any]:
    can = actions.of_study(StudyState(row["state"]), row["held_by"])
    return study_values(row, deliveries, patient=patient) | {"actions": can}
