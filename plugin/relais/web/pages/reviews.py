"""What waits for a person to say whose images they are: by clinic, age and urgency."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import redirect, render_template, request, url_for
from pydantic import Field
from sqlalchemy import Connection, RowMapping
from werkzeug.wrappers import Response

from relais.database import queries
from relais.database.queries.reviews import Place, ReviewFilter
from relais.domain.document import Document
from relais.domain.priority import Priority
from relais.domain.states import ReviewKind, ReviewState
from relais.texts import _
from relais.texts_matching import say_reason
from relais.web.composition import current_call
from relais.web.pages.display import person
from relais.web.pages.reasons import PRIORITIES
from relais.web.pages.shell import clinic_name, pages, say
from relais.web.pages.studies import Ids
from relais.web.permissions import Permission, requires
from relais.web.questions import Key
from relais.web.questions_matching import ReviewQuery
from relais.web.requests import read_query

LOOKED_AT = 200
"""Reviews that are looked at to find the next one that nobody has."""

TABS = ((ReviewState.Open, _("Waiting")), (ReviewState.Resolved, _("Decided")), (ReviewState.Withdrawn, _("Withdrawn")))

KINDS = {ReviewKind.Match: _("Whose images?"), ReviewKind.SecondLook: _("Second look")}


class LiveReviews(ReviewQuery):
    """Which rows a browser shows."""

    ids: Ids = Field("", description="Ids of the rows, with commas.")


class NextReview(Document):
    """Which review comes next."""

    after: Key | None = Field(None, description="The review that was looked at last.")


@pages.get("/reviews")
@requires(Permission.ViewReviews)
def reviews() -> str:
    """The page, with its first rows."""
    query = read_query(request, ReviewQuery)
    return render_template("reviews.html", **(_frame(query) | _rows(query)))


@pages.get("/reviews/rows")
@requires(Permission.ViewReviews)
def reviews_rows() -> str:
    """Further rows."""
    return render_template("reviews-rows.html", **_rows(read_query(request, ReviewQuery)))


@pages.get("/reviews/live")
@requires(Permission.ViewReviews)
def reviews_live() -> str:
    """How much waits, and who looks at which row."""
    query = read_query(request, LiveReviews)
    call = current_call()
    ids = [int(each) for each in query.ids.split(",") if each][:LOOKED_AT]
    with call.relais.database.read() as connection:
        rows = queries.reviews.of_ids(connection, ids, call.caller.clinics)
    return render_template("reviews-live.html", rows=[_shown(row, patient=False) for row in rows], **_frame(query))


@pages.get("/reviews/next")
@requires(Permission.ViewReviews)
def review_next() -> Response:
    """The next review that nobody else looks at; the list when there is none."""
    query = read_query(request, NextReview)
    call = current_call()
    with call.relais.database.read() as connection:
        last = None if query.after is None else queries.reviews.one(connection, int(query.after), call.caller.clinics)
        row = following(connection, last)
    return redirect(url_for("pages.reviews") if row is None else url_for("pages.review", Id=row["id"]))


def following(connection: Connection, last: RowMapping | None) -> RowMapping | None:
    """The first open review after this one that the caller may decide now; else the first of all others."""
    call = current_call()
    scope = call.caller.clinics
    places = [Place.of(last), None] if last is not None else [None]
    for place in places:
        for row in queries.reviews.find(connection, ReviewFilter(), scope, place, LOOKED_AT):
            if (last is None or row["id"] != last["id"]) and is_free(row):
                return row
    return None


def is_free(row: RowMapping) -> bool:
    """Whether the caller may decide it: nobody else looks at it, and of four eyes two were not theirs."""
    name = current_call().caller.name
    return holder(row) in (None, name) and (row["first"] is None or row["first"]["By"] != name)


def holder(row: RowMapping) -> str | None:
    """Who looks at it now."""
    held = row["claimed_until"] is not None and row["claimed_until"] > current_call().relais.clock.now()
    return row["claimed_by"] if held else None


def _frame(query: ReviewQuery) -> dict[str, Any]:
    """How much waits, how long, and where."""
    call = current_call()
    with call.relais.database.read() as connection:
        waiting = queries.reviews.waiting(connection, call.caller.clinics)
        breaker = call.relais.matching.safety_net.tripped(connection)
        patients = call.relais.matching.identify.patients(connection)
    by_clinic: dict[str | None, tuple[int, datetime]] = {}
    for row in waiting:
        amount, oldest = by_clinic.get(row["clinic"], (0, row["oldest"]))
        by_clinic[row["clinic"]] = amount + row["amount"], min(oldest, row["oldest"])
    return {
        "tabs": TABS,
        "query": query,
        "kept": kept_filters(query),
        "clinics": sorted(by_clinic.items(), key=lambda each: each[1][1]),
        "amount": sum(row["amount"] for row in waiting),
        "looks": sum(row["amount"] for row in waiting if row["kind"] == ReviewKind.SecondLook),
        "oldest": min((row["oldest"] for row in waiting), default=None),
        "breaker": breaker,
        "off": patients == 0,
    }


def kept_filters(query: ReviewQuery) -> dict[str, str]:
    """The filters as parameters of an address."""
    given = {"State": None if query.state is ReviewState.Open else query.state, "Kind": query.kind}
    return {name: str(value) for name, value in (given | {"Clinic": query.clinic}).items() if value is not None}


def _rows(query: ReviewQuery) -> dict[str, Any]:
    """One part of the list; that the caller has seen it is written into the audit chain."""
    call = current_call()
    wanted = ReviewFilter(state=query.state, kind=query.kind, clinic=query.clinic)
    with call.relais.database.read() as connection:
        rows = queries.reviews.find(connection, wanted, call.caller.clinics, query.place, query.limit)
    if rows:
        uids = list(dict.fromkeys(row["study_instance_uid"] for row in rows))
        with call.relais.database.write() as connection:
            call.relais.journal.record(connection, "reviews.listed", actor=call.caller.name, Studies=uids)
    patient = call.caller.may(Permission.ViewPatients)
    return {
        "rows": [_shown(row, patient=patient) for row in rows],
        "next": str(Place.of(rows[-1])) if len(rows) == query.limit else None,
        "first": query.since is None,
        "query": query,
        "kept": kept_filters(query),
    }


def _shown(row: RowMapping, *, patient: bool) -> dict[str, Any]:
    texts = current_call().texts
    second = row["kind"] == ReviewKind.SecondLook and row["state"] == ReviewState.Open
    return {
        **row,
        "name": (person(row["patient_name"]) or say("No name")) if patient else None,
        "birth_date": row["patient_birth_date"] if patient else None,
        "why": say(KINDS[ReviewKind.SecondLook]) if second else say_reason(row["reason"], texts.language),
        "priority": Priority(row["urgency"]).name,
        "urgent": say(PRIORITIES[Priority(row["urgency"]).name]),
        "clinic_name": clinic_name(row["clinic"]) or say("no clinic"),
        "modalities": row["modalities"].replace("\\", " ") or "?",
        "holder": holder(row),
    }
