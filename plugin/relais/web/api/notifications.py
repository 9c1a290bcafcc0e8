"""Notifications and their subscribers: did my webhook arrive?"""

from __future__ import annotations

from relais.database import queries
from relais.database.queries.notifications import NotificationFilter
from relais.web.answers import Done, Page, page_of
from relais.web.answers_operation import (
    NotificationAnswer,
    NotificationAttempt,
    NotificationDetail,
    SubscriberAnswer,
)
from relais.web.composition import Call
from relais.web.errors import not_found
from relais.web.permissions import Permission
from relais.web.questions import Command, NotificationQuery
from relais.web.routes import Routes

routes = Routes("/relais/v1")

ONE = "/notifications/<id:Id>"


@routes.get("/notifications", Permission.ViewNotifications, Page[NotificationAnswer], query=NotificationQuery)
def find(call: Call, query: NotificationQuery) -> Page[NotificationAnswer]:
    """Notifications with filters, the newest first."""
    wanted = NotificationFilter(
        state=query.state, subscriber=query.subscriber, study_instance_uid=query.study_instance_uid
    )
    with call.relais.database.read() as connection:
        rows = queries.notifications.find(connection, wanted, call.caller.clinics, query.before, query.limit)
    return page_of(rows, query.limit, NotificationAnswer.model_validate)


@routes.get(ONE, Permission.ViewNotifications, NotificationDetail)
def one(call: Call, Id: int) -> NotificationDetail:  # noqa: N803
    """One notification with its data and its attempts."""
    with call.relais.database.read() as connection:
        row = queries.notifications.one(connection, Id, call.caller.clinics)
        if row is None:
            raise not_found("notification", Id)
        attempts = queries.notifications.attempts_of(connection, Id)
    return NotificationDetail.model_validate(
        {**row, "history": [NotificationAttempt.model_validate(each) for each in attempts]}
    )


@routes.post(
    ONE + "/redeliver",
    Permission.ChangeNotifications,
    Done,
    body=Command,
    statuses={409: "The subscriber is disabled."},
)
def redeliver(call: Call, Id: int, body: Command) -> Done:  # noqa: N803
    """Tell the subscriber again, with the same webhook-id."""
    with call.relais.database.read() as connection:
        if queries.notifications.one(connection, Id, call.caller.clinics) is None:
            raise not_found("notification", Id)
    call.relais.notify.redeliver(Id, actor=call.caller.name, reason=body.reason)
    return Done()


@routes.get("/subscribers", Permission.ViewNotifications, Page[SubscriberAnswer])
def find_subscribers(call: Call) -> Page[SubscriberAnswer]:
    """Every subscriber, whether it is enabled, and how its notifications stand."""
    with call.relais.database.read() as connection:
        disabled = queries.lanes.disabled_subscribers(connection)
        counts = queries.notifications.count_by_state(connection)
    items = []
    for name, subscriber in call.relais.configuration.subscribers.items():
        disabled_at, reason = disabled.get(name, (None, None))
        items.append(
            SubscriberAnswer(
                name=name,
                url=subscriber.url,
                events=list(subscriber.events),
                include_patient=subscriber.include_patient,
                enabled=disabled_at is None,
                disabled_at=disabled_at,
                reason=reason,
                counts={state: count for (owner, state), count in counts.items() if owner == name},
            )
        )
    return Page(items=items, next=None)


@routes.post(
    "/subscribers/<name:Name>/enable",
    Permission.ChangeNotifications,
    Done,
    body=Command,
    statuses={409: "It is enabled."},
)
def enable(call: Call, Name: str, body: Command) -> Done:  # noqa: N803
    """Tell a subscriber again that was disabled because it answered 410 Gone."""
    call.relais.notify.enable(Name, actor=call.caller.name, reason=body.reason)
    return Done()
