"""The composition root: configuration → database → adapters → steps → worker → routes; start and stop.

Everything is made once, here, and handed to whom it concerns; nobody looks anything up elsewhere.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from relais.audit import Audit
from relais.clock import Clock, SharedClock, SystemClock
from relais.configuration import Configuration, ConfigurationErrors, load
from relais.connectivity import LANE as TESTS
from relais.connectivity import Connectivity
from relais.database import Database, upsert
from relais.database.tables import configuration as configuration_table
from relais.decide import Studies
from relais.deliver import Deliver
from relais.digests import Digests, overwrites
from relais.failover import Failover
from relais.intake import Intake
from relais.journal import Journal
from relais.lanes import DESTINATION, SUBSCRIBER, Lanes
from relais.ledger import Ledger
from relais.notify import Notify
from relais.orthanc import Orthanc
from relais.orthanc.capabilities import Surroundings
from relais.orthanc.log import OrthancHandler
from relais.outcomes import Outcomes
from relais.protect import Protect, is_needed
from relais.receive import HURRY, REST, Feed
from relais.tasks import Tasks
from relais.transports.opening import open_transport
from relais.transports.probes import Ourselves
from relais.web.application import create_application
from relais.web.bridge import PATTERN, callback_of
from relais.web.metrics import Metrics
from relais.web.permissions import Gate
from relais.worker import Worker

log = logging.getLogger(__name__)

STUDIES_AT_ONCE = 4
NOTICES_AT_ONCE = 4
SENDING = 24
"""Connections to Orthanc for what is sent; with the others, fewer than its HttpThreadsCount (50)."""
STOP_SECONDS = 4.0
"""Less than the five that are promised, and than the ten that Docker grants."""


@dataclass(frozen=True, kw_only=True)
class Relais:
    """The running application's parts."""

    configuration: Configuration
    surroundings: Surroundings
    gate: Gate
    database: Database
    clock: Clock
    orthanc: Orthanc
    sending: Orthanc
    tasks: Tasks
    audit: Audit
    journal: Journal
    lanes: Lanes
    feed: Feed
    studies: Studies
    ledger: Ledger
    deliver: Deliver
    notify: Notify
    connectivity: Connectivity
    worker: Worker
    metrics: Metrics

    def start(self) -> None:
        """Begin to work, from where the last process ended."""
        self._activate()
        self.connectivity.schedule()
        self.feed.start()
        self.worker.start(self.surroundings.node)

    def stop(self) -> None:
        """Stop working within STOP_SECONDS; what is under way goes back to the task table."""
        self.worker.stopping.set()
        self.feed.stop(STOP_SECONDS / 4)
        self.worker.stop(STOP_SECONDS * 3 / 4)
        self.deliver.close()
        self.database.close()
        self.orthanc.close()
        self.sending.close()

    def _activate(self) -> None:
        """Remember the configuration; where it is another one than before, decide again whatever waits."""
        digest = self.configuration.digest
        with self.database.write() as connection:
            latest = connection.execute(
                select(configuration_table.c.digest).order_by(configuration_table.c.activated_at.desc()).limit(1)
            ).scalar()
            if latest == digest:
                return
            activated_at = self.clock.now()
            connection.execute(
                upsert(connection.dialect.name, configuration_table)
                .values(digest=digest, document=dict(self.configuration.document), activated_at=activated_at)
                .on_conflict_do_update(index_elements=["digest"], set_={"activated_at": activated_at})
            )
            studies = self.studies.ask_again(connection)
            self.journal.record(connection, "configuration.activated", Digest=digest, Studies=studies)


def compose(
    *,
    configuration: Configuration,
    surroundings: Surroundings,
    authorization: str | None,
    clock: Clock | None = None,
) -> Relais:
    """Make every part; nothing runs yet. Raises SchemaTooNewError, or the database's own error."""
    database = Database(configuration.database)
    database.upgrade()
    crash_on_demand(database)
    clock = clock or (SystemClock() if database.sqlite else SharedClock(database.now))
    orthanc = Orthanc(surroundings.url, authorization)
    # What is read for a slow archive holds its connections for long: the feed must not wait for one of those.
    sending = Orthanc(surroundings.url, authorization, connections=SENDING)
    node = surroundings.node
    # A peer that answers nothing keeps one of Orthanc's job threads for a while: half of them stay for those that do.
    suspects = max(1, surroundings.concurrent_jobs // 2)
    tasks = Tasks(database, clock, owner=f"{node}/{uuid.uuid4().hex[:8]}", suspects=suspects)
    audit = Audit(clock, node)
    journal = Journal(audit=audit, clock=clock, tasks=tasks, subscribers=configuration.subscribers)
    limits = {
        "studies": STUDIES_AT_ONCE,
        "storage": 1,
        TESTS: 2,
        **{DESTINATION + name: each.concurrency for name, each in configuration.destinations.items()},
        **{SUBSCRIBER + name: NOTICES_AT_ONCE for name in configuration.subscribers},
    }
    lanes = Lanes(database=database, clock=clock, tasks=tasks, journal=journal, limits=limits)
    protect = Protect(
        database=database, orthanc=orthanc, clock=clock, tasks=tasks, needed=is_needed(surroundings.document)
    )
    ledger = Ledger(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        protect=protect,
        destinations=configuration.destinations,
        pools=configuration.pools,
    )
    handlers: dict[str, Any] = {}
    metrics = Metrics()
    worker = Worker(
        database=database,
        clock=clock,
        tasks=tasks,
        handlers=handlers,
        lanes=limits,
        shared={name: limit for name, limit in limits.items() if name.startswith(DESTINATION)},
        observe=metrics.observe_task,
    )
    feed = Feed(
        database=database,
        orthanc=orthanc,
        clock=clock,
        tasks=tasks,
        intake=Intake(
            clock=clock,
            tasks=tasks,
            journal=journal,
            completeness=configuration.completeness,
            streams=configuration.streams,
        ),
        protect=protect.protect,
        received=worker.wake,
        rest=HURRY if configuration.streams else REST,
    )
    digests = Digests(
        database=database,
        orthanc=orthanc,
        clock=clock,
        tasks=tasks,
        needed=overwrites(surroundings.document),
    )
    studies = Studies(
        database=database,
        orthanc=orthanc,
        clock=clock,
        tasks=tasks,
        journal=journal,
        configuration=configuration,
        feed=feed,
        ledger=ledger,
        protect=protect,
        digests=digests,
    )
    deliver = Deliver(
        database=database,
        clock=clock,
        tasks=tasks,
        lanes=lanes,
        outcomes=Outcomes(
            clock=clock,
            tasks=tasks,
            journal=journal,
            lanes=lanes,
            protect=protect,
            destinations=configuration.destinations,
        ),
        configuration=configuration,
        transports={
            name: open_transport(sending, name, each, configuration.sources)
            for name, each in configuration.destinations.items()
        },
        stopping=worker.stopping,
    )
    notify = Notify(database=database, clock=clock, tasks=tasks, journal=journal, configuration=configuration)
    failover = Failover(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        ledger=ledger,
        destinations=configuration.destinations,
    )
    connectivity = Connectivity(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        configuration=configuration,
        ourselves=Ourselves.of(surroundings.document),
        stopping=worker.stopping,
    )
    handlers |= {
        "receive": feed,
        "begin": studies.begin,
        "route": studies,
        "deliver": deliver,
        "failover": failover,
        "notify": notify,
        "unprotect": protect,
        "digest": digests,
        "test": connectivity,
    }
    return Relais(
        configuration=configuration,
        surroundings=surroundings,
        gate=Gate(remote_access=surroundings.remote_access, authentication=surroundings.authentication),
        database=database,
        clock=clock,
        orthanc=orthanc,
        sending=sending,
        tasks=tasks,
        audit=audit,
        journal=journal,
        lanes=lanes,
        feed=feed,
        studies=studies,
        ledger=ledger,
        deliver=deliver,
        notify=notify,
        connectivity=connectivity,
        worker=worker,
        metrics=metrics,
    )


def crash_on_demand(database: Database) -> None:
    """For the crash tests: RELAIS_CRASH_AT_COMMIT=7 ends the process right before its 7th commit, 7+ right after."""
    wanted = os.environ.get("RELAIS_CRASH_AT_COMMIT")
    if wanted is None:
        return
    number, after = int(wanted.rstrip("+")), wanted.endswith("+")
    commits = iter(range(1, number + 1))

    def count() -> None:
        if next(commits, None) == number:
            os._exit(77)

    if after:
        database.after_commit = count
    else:
        database.before_commit = count


def start(orthanc: Any) -> Relais:
    """Compose Relais inside Orthanc and register its callbacks; called once, while Orthanc imports its script.

    A bad `Relais` section raises ConfigurationErrors, and Orthanc does not start: each problem is a line of its log.
    """
    logging.getLogger("relais").addHandler(
        OrthancHandler(info=orthanc.LogInfo, warning=orthanc.LogWarning, error=orthanc.LogError)
    )
    logging.getLogger("relais").setLevel(logging.INFO)
    document: Mapping[str, Any] = json.loads(orthanc.GetConfiguration())
    surroundings = Surroundings.of(document)
    try:
        configuration = load(document.get("Relais", {}), directory=Path(surroundings.storage))
    except ConfigurationErrors as errors:
        for line in str(errors).splitlines():
            log.error("%s", line)  # noqa: TRY400 - each problem has its own line; a traceback says nothing more
        raise
    relais = compose(
        configuration=configuration,
        surroundings=surroundings,
        authorization=orthanc.GenerateRestApiAuthorizationToken(),
    )
    for finding in surroundings.findings():
        log.warning("self-check: %s", finding)
    _register(orthanc, relais)
    return relais


def _register(orthanc: Any, relais: Relais) -> None:
    """Orthanc's callbacks: each does one small thing and returns."""
    new_instance = orthanc.ChangeType.NEW_INSTANCE

    def on_change(change: Any, _level: Any, _resource: str) -> None:
        # Not OnStoredInstance: that one holds up the C-STORE until it has the interpreter lock.
        if change == new_instance:
            relais.feed.ring()
            return
        try:
            if change == orthanc.ChangeType.ORTHANC_STARTED:
                # Orthanc reports every change from this one thread, four for each image. Python makes and unmaps a
                # stack for a foreign thread at each call, unless something keeps its state: one Ensure too many does.
                ctypes.pythonapi.PyGILState_Ensure()
                relais.start()
            elif change == orthanc.ChangeType.ORTHANC_STOPPED:
                relais.stop()
        except Exception:
            log.exception("Relais could not follow Orthanc's start or stop")

    orthanc.RegisterOnChangeCallback(on_change)
    answer = callback_of(create_application(relais))
    # Plugin 5.0 gives back at its end a reference to this callback that it never took: one more is taken here.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(answer))
    orthanc.RegisterRestCallback(PATTERN, answer)
    orthanc.ExtendOrthancExplorer(EXPLORER)


EXPLORER = """
$(document).on('pagebeforeshow', '#study', function () {
  var uuid = $.mobile.pageData.uuid;
  $('#relais-link').remove();
  $('#study-info').after($('<a>', {
    id: 'relais-link', text: 'Relais', 'data-role': 'button', 'data-icon': 'forward',
    href: '../relais/app/orthanc/' + uuid, rel: 'external'
  }).button());
});
"""
"""Orthanc Explorer's study page gets a link to the study's page here."""
