"""One study: who, what, where now, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Response, render_template, request, url_for
from pydantic import Field
from sqlalchemy import Connection, RowMapping

from relais.database import queries
from relais.domain.clinics import Evidence, Level, Resolution
from relais.domain.routing import Decision
from relais.domain.states import DeliveryState, StudyState
from relais.texts import explain, explain_clinic
from relais.web.answers import study_values
from relais.web.api.studies import record_view, visible_study
from relais.web.composition import current_call
from relais.web.pages import actions
from relais.web.pages.ledger import choices, shown
from relais.web.pages.moments import Story, tell
from relais.web.pages.reasons import completion
from relais.web.pages.shell import pages
from relais.web.pages.study_match import answer_seen, whose_images
from relais.web.pages.worklist import orders_for
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing
from relais.web.requests import read_query

ATTEMPTS_SHOWN = 20
MOVING, RESTING = 1, 4
"""Seconds between two looks."""


class LiveStudy(Nothing):
    """What of the study the browser shows."""

    seen: str = Field("", max_length=300, description="The version of it that the page shows.")


@dataclass(frozen=True, kw_only=True)
class Why:
    """One rule, what became of it, and why."""

    rule: str
    verdict: str
    deliver_to: tuple[str, ...]
    hold: str | None
    sentences: tuple[str, ...]


@pages.get("/studies/<uid:StudyInstanceUID>")
@requires(Permission.ViewStudies)
def study(StudyInstanceUID: str) -> str:  # noqa: N803
    """The page; looking at it is audited."""
    call = current_call()
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, StudyInstanceUID)
        series = queries.studies.series_of(connection, row["id"])
        now = _now(connection, row)
        match = _whose(connection, row)
        order = _order(connection, row["order_id"])
    record_view(call, "study.viewed", row, **({"Patient": row["crm_id"]} if match["whose"].who else {}))
    patient = call.caller.may(Permission.ViewPatients)
    return render_template(
        "study.html",
        **now,
        patient=study_values(row, [], patient=patient),
        series=series,
        **match,
        whys=_whys(row, values=patient),
        decided=Decision.from_json(row["document"]) if row["document"] is not None else None,
        sources=call.relais.configuration.sources,
        order=order,
        tied=row["tied_order_id"] is not None,
        awaited=_awaited(row),
        clinic_reason=_clinic_reason(row) if row["clinic_reason"] else None,
    )


@pages.get("/studies/<uid:StudyInstanceUID>/live")
@requires(Permission.ViewStudies)
def study_live(StudyInstanceUID: str) -> str:  # noqa: N803
    """The parts that change, without patient data."""
    query = read_query(request, LiveStudy)
    call = current_call()
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, StudyInstanceUID)
        now = _now(connection, row)
    changed = query.seen != now["version"]
    return render_template("study-live.html", **{**now, "version": query.seen}, changed=changed)


@pages.get("/studies/<uid:StudyInstanceUID>/whose")
@requires(Permission.ViewStudies)
def study_whose(StudyInstanceUID: str) -> Response | str:  # noqa: N803
    """Whose images it has, where the page shows another answer; that it was looked at is audited."""
    query = read_query(request, LiveStudy)
    call = current_call()
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, StudyInstanceUID)
        if query.seen == answer_seen(connection, row):
            return Response(status=204)
        parts = _whose(connection, row)
    if parts["whose"].who:
        record_view(call, "study.viewed", row, Patient=row["crm_id"])
    return render_template("study-match.html", study=study_values(row, [], patient=False), **parts)


def _whose(connection: Connection, row: RowMapping) -> dict[str, Any]:
    match = url_for("PUT /relais/v1/studies/<uid:StudyInstanceUID>/match", StudyInstanceUID=row["study_instance_uid"])
    return {
        "whose": whose_images(connection, row),
        "match_url": match,
        "answer": answer_seen(connection, row),
        "pause": RESTING,
    }


def _order(connection: Connection, order_id: int | None) -> RowMapping | None:
    """The study's order, for those who may see it."""
    call = current_call()
    if order_id is None or not call.caller.may(Permission.ViewOrders):
        return None
    return queries.worklist.of_study(connection, order_id, call.caller.clinics)


def _awaited(row: RowMapping) -> list[tuple[str, str]]:
    """Among which orders a person may choose, for a study that has none."""
    caller = current_call().caller
    if row["order_id"] is not None or not (caller.may(Permission.ChangeOrders) and caller.may(Permission.ViewOrders)):
        return []
    return orders_for(row["clinic"], row["received_at"])


def _now(connection: Connection, row: RowMapping) -> dict[str, Any]:
    deliveries = queries.deliveries.of_studies(connection, [row["id"]])[row["id"]]
    attempts = {
        each["id"]: queries.deliveries.attempts_of(connection, each["id"], ATTEMPTS_SHOWN) for each in deliveries
    }
    moments = queries.timeline.of_study(connection, row["id"], row["study_instance_uid"])
    state = StudyState(row["state"])
    moving = state in (StudyState.Receiving, StudyState.Complete) or any(
        each["state"] == DeliveryState.InProgress for each in deliveries
    )
    return {
        "study": study_values(row, [], patient=False),
        "version": f"{row['decision_id']}-{row['sequence']}",
        "actions": actions.of_study(state, row["held_by"]),
        "deliveries": shown(connection, deliveries),
        "attempts": attempts,
        "completion": completion(row) if state is not StudyState.Receiving else None,
        "choices": {each["id"]: choices(each["destination"]) for each in deliveries},
        "story": with_pauses(tell(moments)),
        "seconds": MOVING if moving else RESTING,
    }


def with_pauses(stories: list[Story]) -> list[tuple[Story, timedelta | None]]:
    """Each part of the story with the time since the one before; the latest first."""
    told: list[tuple[Story, timedelta | None]] = []
    before: datetime | None = None
    for story in stories:
        told.append((story, story.at - before if before else None))
        before = story.at
    return told[::-1]


def _whys(row: RowMapping, *, values: bool) -> list[Why]:
    """Every rule with its sentences; the sentences tell values of the images, so they need the right to see those."""
    if row["document"] is None:
        return []
    language = current_call().texts.language
    return [
        Why(
            rule=outcome.rule,
            verdict=outcome.verdict,
            deliver_to=outcome.deliver_to,
            hold=outcome.hold,
            sentences=explain(outcome, language) if values else (),
        )
        for outcome in Decision.from_json(row["document"]).outcomes
    ]


def _clinic_reason(row: RowMapping) -> str:
    reason = row["clinic_reason"]
    evidence = tuple(
        Evidence(clinic=each["Clinic"], pattern=each["Pattern"], value=each["Value"]) for each in reason["Evidence"]
    )
    level = Level(reason["Level"]) if reason["Level"] else None
    clinic = None if reason["Ambiguous"] else row["clinic"]
    resolution = Resolution(
        clinic=clinic,
        level=level,
        evidence=evidence,
        by_default=reason.get("ByDefault", False) and clinic is not None,
        source=reason.get("Source"),
    )
    return explain_clinic(resolution, current_call().texts.language)
