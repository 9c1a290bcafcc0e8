"""The checks behind /relais/v1/health: each answers one question about whether studies flow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from relais.database import queries
from relais.errors import OrthancError, OrthancUnavailableError
from relais.texts import _
from relais.texts_matching import say_breaker
from relais.web.answers_operation import Check
from relais.web.composition import Call
from relais.web.ways_out import open_ways

VITAL = frozenset({"Database", "Orthanc", "Feed", "Worker"})
"""Without one of these Relais does not work; what the other checks find is a matter for a person, not for a restart."""

BEHIND = timedelta(minutes=1)
"""A feed that has not caught up for so long is behind."""

TAKEN_OVER = timedelta(seconds=15)
"""How long it may take to follow another version."""

FINDINGS = {
    "few-concurrent-jobs": _("ConcurrentJobs is small: destinations wait for each other"),
    "short-jobs-history": _(
        "JobsHistorySize is small: Orthanc may forget how a delivery ended before Relais has asked"
    ),
    "save-jobs": _("SaveJobs is true: Orthanc repeats deliveries after a restart that Relais repeats as well"),
    "keeps-old-instances": _("OverwriteInstances is false: a corrected image that arrives again is dropped by Orthanc"),
    "another-worklist-plugin": _("Another plugin answers worklist requests: machines do not get the orders of Relais"),
    "questions-unaudited": _("Who asks Orthanc by C-FIND is not audited: the script that tells of it is not loaded"),
    "remote-access-without-authentication": _(
        "Remote access is allowed without authentication: Relais refuses every request"
    ),
}
"""What the self-check finds in Orthanc's configuration, by its code."""


def checks(call: Call) -> list[Check]:
    """Every check, worded in the caller's language."""
    asked: list[tuple[str, Callable[[Call], str | None]]] = [
        ("Database", _database),
        ("Orthanc", _orthanc),
        ("Feed", _feed),
        ("Worker", _worker),
        ("Configuration", _configuration),
        ("DeadTasks", _dead_tasks),
        ("Destinations", _destinations),
        ("Matching", _matching),
    ]
    found = [(name, check(call)) for name, check in asked]
    return [
        Check(name=name, healthy=wrong is None, message=wrong or call.texts.say("is well")) for name, wrong in found
    ]


def findings(call: Call) -> list[str]:
    """What in Orthanc's configuration makes Relais slower or less safe than it could be."""
    found = [call.texts.say(FINDINGS[code]) for code in call.relais.surroundings.findings()]
    return found + [what for what, _advice in open_ways(call)]


def _database(call: Call) -> str | None:
    try:
        with call.relais.database.read() as connection:
            connection.execute(select(1))
    except SQLAlchemyError:
        return call.texts.say("the database does not answer")
    return None


def _orthanc(call: Call) -> str | None:
    try:
        call.relais.orthanc.get("/system")
    except (OrthancError, OrthancUnavailableError):
        return call.texts.say("Orthanc does not answer over the loopback")
    return None


def _feed(call: Call) -> str | None:
    feed = call.relais.feed
    if not feed.alive():
        return call.texts.say("the change feed is not read")
    if feed.caught_up_at is None or call.relais.clock.now() - feed.caught_up_at > BEHIND:
        return call.texts.say("the change feed is {count} changes behind", count=feed.lag)
    return None


def _worker(call: Call) -> str | None:
    return None if call.relais.worker.alive() else call.texts.say("the worker does not run")


def _configuration(call: Call) -> str | None:
    try:
        active = call.relais.versions.active()
    except SQLAlchemyError:
        return call.texts.say("the database does not answer")
    since = active.activated_at
    if active.digest == call.relais.configuration.digest or (since and call.relais.clock.now() - since < TAKEN_OVER):
        return None
    return call.texts.say(
        "version {number} is active, and this server cannot follow it: it decides and sends nothing; its log says why",
        number=active.number,
    )


def _dead_tasks(call: Call) -> str | None:
    try:
        with call.relais.database.read() as connection:
            dead = queries.tasks.dead(connection)
    except SQLAlchemyError:
        return call.texts.say("the database does not answer")
    return call.texts.say("tasks that were given up and wait for a person: {count}", count=dead) if dead else None


def _destinations(call: Call) -> str | None:
    names = list(call.relais.configuration.destinations)
    try:
        with call.relais.database.read() as connection:
            lanes = queries.lanes.of_destinations(connection, names, call.relais.clock.now())
    except SQLAlchemyError:
        return call.texts.say("the database does not answer")
    down = [lane.destination for lane in lanes if lane.down_since is not None]
    return call.texts.say("these destinations are down: {names}", names=", ".join(down)) if down else None


def _matching(call: Call) -> str | None:
    try:
        with call.relais.database.read() as connection:
            breaker = call.relais.matching.safety_net.tripped(connection)
    except SQLAlchemyError:
        return call.texts.say("the database does not answer")
    if breaker is None:
        return None
    reason = say_breaker(breaker.reason, breaker.counts, call.texts.language)
    return call.texts.say("automatic matching is stopped: {reason}", reason=reason)
