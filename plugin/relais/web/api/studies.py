"""Studies: lists, one of them, its story, its reasons, its image, and what a person may do to it."""

from __future__ import annotations

from flask import Response, request
from sqlalchemy import Connection, RowMapping

from relais.database import queries
from relais.database.queries.studies import StudyFilter
from relais.domain.routing import Decision, Verdict
from relais.journal import Subject
from relais.web import preview
from relais.web.answers import (
    DecisionAnswer,
    DeliveryAnswer,
    Done,
    ExplanationAnswer,
    MomentAnswer,
    Page,
    SeriesAnswer,
    StudyAnswer,
    StudyDetail,
    TimelineAnswer,
    page_of,
    study_values,
)
from relais.web.answers_matching import matched
from relais.web.composition import Call
from relais.web.errors import not_found
from relais.web.explained import explained
from relais.web.permissions import Permission
from relais.web.questions import Command, PreviewQuery, StudyQuery, StudySearch
from relais.web.questions_worklist import TieCommand
from relais.web.routes import Routes

routes = Routes("/relais/v1/studies")

IMAGE_TYPES = "image/jpeg"
ONE = "/<uid:StudyInstanceUID>"


@routes.get("", Permission.ViewStudies, Page[StudyAnswer], query=StudyQuery)
def find(call: Call, query: StudyQuery) -> Page[StudyAnswer]:
    """Studies with filters, the one that arrived last first."""
    return _list(call, query, None)


@routes.post("/search", Permission.ViewPatients, Page[StudyAnswer], body=StudySearch)
def search(call: Call, body: StudySearch) -> Page[StudyAnswer]:
    """Studies by words, with the same filters.

    A POST that changes nothing: what names a patient never stands in a URL.
    """
    return _list(call, body, body.text)


@routes.get(ONE, Permission.ViewStudies, StudyDetail)
def one(call: Call, StudyInstanceUID: str) -> StudyDetail:  # noqa: N803
    """One study: state, match, decision, deliveries, series."""
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, StudyInstanceUID)
        deliveries = queries.deliveries.of_studies(connection, [row["id"]])[row["id"]]
        series = queries.studies.series_of(connection, row["id"])
        held = queries.matches.one(connection, row["match_id"])
    record_view(call, "study.viewed", row)
    may_see_patient = call.caller.may(Permission.ViewPatients)
    values = study_values(row, [DeliveryAnswer.of(each) for each in deliveries], patient=may_see_patient)
    return StudyDetail.model_validate(
        values
        | {
            "match": matched(row, held, call.texts.language) if may_see_patient else values["match"],
            "decision": _decision(row),
            "series": [
                SeriesAnswer.model_validate({**each, "description": each["description"] if may_see_patient else None})
                for each in series
            ],
        }
    )


@routes.get(ONE + "/timeline", Permission.ViewStudies, TimelineAnswer)
def timeline(call: Call, StudyInstanceUID: str) -> TimelineAnswer:  # noqa: N803
    """Everything that happened to a study, oldest first."""
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, StudyInstanceUID)
        moments = queries.timeline.of_study(connection, row["id"], StudyInstanceUID)
    record_view(call, "timeline.viewed", row)
    return TimelineAnswer(items=[MomentAnswer.model_validate(each) for each in moments])


@routes.get(ONE + "/explanation", Permission.ViewPatients, ExplanationAnswer)
def explanation(call: Call, StudyInstanceUID: str) -> ExplanationAnswer:  # noqa: N803
    """Each rule with why it held or not, and the values that it saw."""
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, StudyInstanceUID)
    record_view(call, "explanation.viewed", row)
    decided = None if row["document"] is None else Decision.from_json(row["document"])
    answer = None if decided is None else explained(decided, call.texts.language)
    return ExplanationAnswer.model_validate({**row, "decision": answer})


@routes.get(ONE + "/preview", Permission.ViewPatients, bytes, query=PreviewQuery, media=IMAGE_TYPES)
def study_preview(call: Call, StudyInstanceUID: str, query: PreviewQuery) -> Response:  # noqa: N803
    """A JPEG of the middle instance of the first series with images; an SVG that says what is there if none can be."""
    return _image(call, StudyInstanceUID, None, query.width)


@routes.get(
    ONE + "/series/<uid:SeriesInstanceUID>/preview",
    Permission.ViewPatients,
    bytes,
    query=PreviewQuery,
    media=IMAGE_TYPES,
)
def series_preview(call: Call, StudyInstanceUID: str, SeriesInstanceUID: str, query: PreviewQuery) -> Response:  # noqa: N803
    """A JPEG of the middle instance of a series; an SVG that says what is there when it cannot be drawn."""
    return _image(call, StudyInstanceUID, SeriesInstanceUID, query.width)


@routes.post(ONE + "/route", Permission.ChangeStudies, Done, body=Command, statuses={409: "The study still arrives."})
def route(call: Call, StudyInstanceUID: str, body: Command) -> Done:  # noqa: N803
    """Decide a study again, with the rules of now."""
    _check_visible(call, StudyInstanceUID)
    call.relais.studies.route(StudyInstanceUID, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(ONE + "/hold", Permission.ChangeStudies, Done, body=Command)
def hold(call: Call, StudyInstanceUID: str, body: Command) -> Done:  # noqa: N803
    """Keep a study and its deliveries back until a person releases it."""
    _check_visible(call, StudyInstanceUID)
    call.relais.studies.hold(StudyInstanceUID, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(
    ONE + "/release", Permission.ChangeStudies, Done, body=Command, statuses={409: "No person holds the study."}
)
def release(call: Call, StudyInstanceUID: str, body: Command) -> Done:  # noqa: N803
    """End a person's hold, and decide the study again."""
    _check_visible(call, StudyInstanceUID)
    call.relais.studies.release(StudyInstanceUID, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.post(
    ONE + "/order",
    Permission.ChangeOrders,
    Done,
    body=TieCommand,
    statuses={409: "The order is another clinic's, or was canceled."},
)
def tie(call: Call, StudyInstanceUID: str, body: TieCommand) -> Done:  # noqa: N803
    """Say of which order a study is, where its images do not: it completes the order, and is identified again."""
    _check_visible(call, StudyInstanceUID)
    call.relais.worklist.ties.tie(
        StudyInstanceUID,
        body.accession_number,
        actor=call.caller.name,
        reason=body.reason,
        scope=call.caller.clinics,
    )
    return Done()


@routes.post(
    ONE + "/order/undo", Permission.ChangeOrders, Done, body=Command, statuses={409: "No person said of which."}
)
def untie(call: Call, StudyInstanceUID: str, body: Command) -> Done:  # noqa: N803
    """Take that back: the order waits again, unless another study completed it."""
    _check_visible(call, StudyInstanceUID)
    call.relais.worklist.ties.untie(StudyInstanceUID, actor=call.caller.name, reason=body.reason)
    return Done()


def visible_study(connection: Connection, call: Call, study_instance_uid: str) -> RowMapping:
    """The study's row; raises RefusedError (404) when there is none that the caller may see."""
    row = queries.studies.one(connection, study_instance_uid, call.caller.clinics)
    if row is None:
        raise not_found("study", study_instance_uid)
    return row


def record_view(call: Call, action: str, row: RowMapping, **detail: object) -> None:
    """Looking at a study is an act of its own: write it into the audit chain."""
    subject = Subject(id=row["id"], study_instance_uid=row["study_instance_uid"])
    with call.relais.database.write() as connection:
        call.relais.journal.record(connection, action, actor=call.caller.name, subject=subject, **detail)


def _check_visible(call: Call, study_instance_uid: str) -> None:
    with call.relais.database.read() as connection:
        visible_study(connection, call, study_instance_uid)


def _list(call: Call, query: StudyQuery, text: str | None) -> Page[StudyAnswer]:
    wanted = StudyFilter(
        state=query.state, clinic=query.clinic, modality=query.modality, destination=query.destination, text=text
    )
    with call.relais.database.read() as connection:
        rows = queries.studies.find(connection, wanted, call.caller.clinics, query.before, query.limit)
        deliveries = queries.deliveries.of_studies(connection, [row["id"] for row in rows])
    with call.relais.database.write() as connection:
        shown = [row["study_instance_uid"] for row in rows]
        call.relais.journal.record(connection, "studies.listed", actor=call.caller.name, Studies=shown)
    may_see_patient = call.caller.may(Permission.ViewPatients)

    def answer(row: RowMapping) -> StudyAnswer:
        mine = [DeliveryAnswer.of(each) for each in deliveries[row["id"]]]
        return StudyAnswer.of(row, mine, patient=may_see_patient)

    return page_of(rows, query.limit, answer)


def _decision(row: RowMapping) -> DecisionAnswer | None:
    if row["document"] is None:
        return None
    decided = Decision.from_json(row["document"])
    held = [each.rule for each in decided.outcomes if each.verdict is Verdict.Held]
    return DecisionAnswer(configuration=row["configuration"], decided_at=row["decided_at"], rules=held)


def _image(call: Call, study_instance_uid: str, series_instance_uid: str | None, width: int) -> Response:
    """The image of one series, or of the study's first that has images."""
    with call.relais.database.read() as connection:
        row = visible_study(connection, call, study_instance_uid)
        known = queries.studies.series_of(connection, row["id"])
        if series_instance_uid is None:
            series = preview.pictured(known)
        else:
            series = next((each for each in known if each["series_instance_uid"] == series_instance_uid), None)
        instance = queries.studies.middle_instance(connection, series["id"]) if series else None
    if series is None or instance is None:
        raise not_found("series", series_instance_uid or "1")
    tag = preview.etag(instance["orthanc_id"], row["sequence"], width)
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if request.if_none_match.contains(tag):
        return Response(status=304, headers=headers)
    record_view(call, "image.viewed", row)
    image = preview.previews().jpeg(instance["orthanc_id"], tag, width)
    if image is not None:
        return Response(image, content_type="image/jpeg", headers=headers)
    kind = preview.kind_of(instance["sop_class_uid"])
    what = call.texts.say(kind) if kind else series["modality"] or "?"
    drawing = preview.placeholder(what, call.texts.say("no image to show"), width)
    return Response(drawing, content_type="image/svg+xml", headers=headers)
