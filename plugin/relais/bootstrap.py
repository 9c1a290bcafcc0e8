"""The composition root: configuration → database → adapters → steps → worker → routes; start and stop.

Everything is made once, here, and handed to whom it concerns; nobody looks anything up elsewhere.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relais import version_rows
from relais.apart import find_interpreter
from relais.audit import Audit
from relais.blocking import Blocking
from relais.callbacks import register
from relais.clock import Clock
from relais.configuration import Configuration, ConfigurationErrors
from relais.connectivity import LANE as TESTS
from relais.connectivity import Connectivity
from relais.database import Database
from relais.decide import Studies
from relais.deliver import Deliver
from relais.digests import DIGESTS, Digests, overwrites
from relais.drafts import FROM_FILE, Seat, load_stored
from relais.failover import Failover
from relais.house import STOP_SECONDS, Ground, House
from relais.intake import Intake
from relais.journal import Journal
from relais.lanes import DESTINATION, SUBSCRIBER, Lanes
from relais.ledger import Ledger
from relais.matching_parts import Asked, Matching
from relais.notify import Notify
from relais.orthanc import Orthanc
from relais.orthanc.capabilities import Surroundings
from relais.orthanc.log import OrthancHandler
from relais.outcomes import Outcomes
from relais.patient_imports import Imports
from relais.patient_parts import People
from relais.patient_pull import Pull
from relais.patient_rebuild import Rebuild
from relais.patients import LANE as PATIENTS
from relais.patients import Patients
from relais.protect import Protect, is_needed
from relais.receive import HURRY, REST, Feed
from relais.replay import LANE as REPLAYS
from relais.replay import Replay
from relais.residency import Residency
from relais.restrictions import Restrictions
from relais.retrieval.parts import Retrieval, limits_of, turns_of
from relais.tasks import AHEAD, Tasks
from relais.transports.opening import open_transport
from relais.transports.probes import Ourselves
from relais.turns import Turns
from relais.version_parts import Versioning
from relais.versions import FILE, Versions
from relais.web.application import create_application
from relais.web.metrics import Metrics
from relais.web.permissions import Gate
from relais.worker import Worker
from relais.worklist.parts import Worklist

log = logging.getLogger(__name__)

STUDIES_AT_ONCE, NOTICES_AT_ONCE = 4, 4


@dataclass(frozen=True, kw_only=True)
class Relais:
    """The parts of one version of the configuration."""

    ground: Ground
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
    matching: Matching
    patients: Patients
    patient_imports: Imports
    patient_pull: Pull
    patient_rebuild: Rebuild
    retrieval: Retrieval
    worklist: Worklist
    ledger: Ledger
    restrictions: Restrictions
    deliver: Deliver
    notify: Notify
    connectivity: Connectivity
    versions: Versions
    replay: Replay
    worker: Worker
    metrics: Metrics

    def start(self) -> None:
        """Begin to work, from where the last process ended; decide again what waits since another version."""
        with self.database.write() as connection:
            if studies := self.studies.ask_again(connection):
                log.info("%d studies that wait are decided again, as another version is active", studies)
        for each in (self.connectivity, self.patient_pull, self.patient_rebuild, self.retrieval):
            each.schedule()
        self.feed.start()
        self.worklist.start()
        self.worker.start(self.surroundings.node)

    def stop(self) -> None:
        """Stop working within STOP_SECONDS; what is under way goes back to the task table."""
        self.worker.stopping.set()
        self.feed.stop(STOP_SECONDS / 4)
        self.worklist.stop(STOP_SECONDS / 8)
        self.worker.stop(STOP_SECONDS * 5 / 8)
        self.retrieval.close()
        self.deliver.close()


def settle(ground: Ground) -> Relais:
    """Compose the active version: that of the file, or of the database where that is the source.

    Raises ConfigurationErrors where it is not valid, or somebody edited it in the database.
    """
    with ground.database.read() as connection:
        active = version_rows.active(connection)
    if ground.seat.source == FROM_FILE or (active is not None and active.author == FILE):
        active = None
    relais = compose(load_stored(ground.seat, active), ground)
    # What the database keeps must have no secret in it; of a file's section they are hidden.
    document = relais.configuration.document if ground.seat.source == FROM_FILE else ground.seat.section
    relais.versions.seed(document, relais.configuration.digest)
    return relais


def compose(configuration: Configuration, ground: Ground) -> Relais:
    """Make every part; nothing runs yet."""
    surroundings, database, clock, node = ground.surroundings, ground.database, ground.clock, ground.surroundings.node
    orthanc, sending, metrics = ground.orthanc, ground.sending, ground.metrics
    # A peer that answers nothing keeps one of Orthanc's job threads for a while: half of them stay for those that do.
    suspects = max(1, surroundings.concurrent_jobs // 2)
    tasks = Tasks(database, clock, owner=f"{node}/{uuid.uuid4().hex[:8]}", suspects=suspects)
    audit = Audit(clock, node)
    journal = Journal(audit=audit, clock=clock, tasks=tasks, subscribers=configuration.subscribers)
    at_once = {DESTINATION + name: each.concurrency for name, each in configuration.destinations.items()}
    at_once |= turns_of(configuration)
    limits = {
        "studies": STUDIES_AT_ONCE,
        "storage": 1,
        DIGESTS: 1,
        TESTS: 2,
        REPLAYS: 1,
        PATIENTS: 2,
        "worklist": 1,
        **limits_of(configuration),
        **{lane: limit * AHEAD for lane, limit in at_once.items()},
        **{SUBSCRIBER + name: NOTICES_AT_ONCE for name in configuration.subscribers},
    }
    lanes = Lanes(database=database, clock=clock, tasks=tasks, journal=journal, limits=limits)
    protect = Protect(
        database=database, orthanc=orthanc, clock=clock, tasks=tasks, needed=is_needed(surroundings.document)
    )
    residency = Residency(configuration=configuration, clock=clock)
    blocking = Blocking(clock=clock, tasks=tasks, journal=journal)
    ledger = Ledger(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        protect=protect,
        residency=residency,
        blocking=blocking,
        destinations=configuration.destinations,
    )
    handlers: dict[str, Any] = {}
    worker = Worker(
        database=database,
        clock=clock,
        tasks=tasks,
        handlers=handlers,
        lanes=limits,
        shared=at_once,
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
            clinics=configuration.clinics,
            unknown=configuration.unknown_sender,
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
        stopping=worker.stopping,
    )
    asked = Asked.of(
        database=database, orthanc=orthanc, clock=clock, tasks=tasks, journal=journal, configuration=configuration
    )
    studies = Studies(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        configuration=configuration,
        feed=feed,
        identify=asked.identify,
        ledger=ledger,
        protect=protect,
        digests=digests,
    )
    matching = Matching.of(
        asked, studies, database=database, clock=clock, tasks=tasks, journal=journal, configuration=configuration
    )
    people = People.of(
        studies,
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        configuration=configuration,
        interpreter=find_interpreter(),
        stopping=worker.stopping,
    )
    retrieval = Retrieval.of(
        database=database,
        orthanc=orthanc,
        clock=clock,
        tasks=tasks,
        journal=journal,
        lanes=lanes,
        feed=feed,
        configuration=configuration,
        surroundings=surroundings,
        stopping=worker.stopping,
    )
    worklist = Worklist.of(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        configuration=configuration,
        studies=studies,
        prefetch=retrieval.prefetch,
        orthanc=orthanc,
    )
    restrictions = Restrictions(
        database=database, clock=clock, tasks=tasks, journal=journal, ledger=ledger, studies=studies
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
            blocking=blocking,
            destinations=configuration.destinations,
        ),
        residency=residency,
        configuration=configuration,
        transports={
            name: open_transport(sending, name, each, configuration.sources, Ourselves.of(surroundings.document), clock)
            for name, each in configuration.destinations.items()
        },
        turns=Turns(at_once, worker.stopping),
        stopping=worker.stopping,
    )
    notify = Notify(database=database, clock=clock, tasks=tasks, journal=journal, configuration=configuration)
    failover = Failover(
        database=database, clock=clock, tasks=tasks, journal=journal, ledger=ledger, configuration=configuration
    )
    connectivity = Connectivity(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        configuration=configuration,
        ourselves=Ourselves.of(surroundings.document),
        sources=retrieval.sources,
        stopping=worker.stopping,
    )
    versioning = Versioning.of(
        ground.seat,
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        configuration=configuration,
        interpreter=find_interpreter(),
        stopping=worker.stopping,
    )
    handlers |= {
        "receive": feed,
        "begin": studies.begin,
        "route": studies,
        "deliver": deliver,
        "judge": restrictions,
        "failover": failover,
        "notify": notify,
        "unprotect": protect,
        "digest": digests,
        "test": connectivity,
        **people.handlers,
        **versioning.handlers,
        **matching.handlers,
        **retrieval.handlers,
        **worklist.handlers,
    }
    return Relais(
        ground=ground,
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
        matching=matching,
        patients=people.patients,
        patient_imports=people.imports,
        patient_pull=people.pull,
        patient_rebuild=people.rebuild,
        retrieval=retrieval,
        worklist=worklist,
        ledger=ledger,
        restrictions=restrictions,
        deliver=deliver,
        notify=notify,
        connectivity=connectivity,
        versions=versioning.versions,
        replay=versioning.replay,
        worker=worker,
        metrics=metrics,
    )


def start(orthanc: Any) -> House:
    """Compose Relais inside Orthanc and register its callbacks; called once, while Orthanc imports its script.

    A bad `Relais` section raises ConfigurationErrors, and Orthanc does not start: each problem is a line of its log.
    """
    logging.getLogger("relais").addHandler(
        OrthancHandler(info=orthanc.LogInfo, warning=orthanc.LogWarning, error=orthanc.LogError)
    )
    logging.getLogger("relais").setLevel(logging.INFO)
    document: Mapping[str, Any] = json.loads(orthanc.GetConfiguration())
    token = orthanc.GenerateRestApiAuthorizationToken()
    surroundings = Surroundings.of(document, filters=hasattr(orthanc, "RegisterIncomingHttpRequestFilter"))
    try:
        ground = Ground.lay(
            Seat.of(document.get("Relais", {}), directory=Path(surroundings.storage)),
            surroundings=surroundings,
            authorization=token,
        )
        relais = settle(ground)
    except ConfigurationErrors as errors:
        for line in str(errors).splitlines():
            log.error("%s", line)  # noqa: TRY400 - each problem has its own line; a traceback says nothing more
        raise
    for finding in surroundings.findings():
        log.warning("self-check: %s", finding)
    house = House(relais, compose=lambda following: compose(following, ground), application=create_application)
    register(orthanc, house, token)
    return house
