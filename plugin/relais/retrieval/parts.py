"""The parts of the PACS side, composed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.database.tables import task
from relais.journal import Journal
from relais.lanes import Lanes
from relais.orthanc import Orthanc
from relais.orthanc.capabilities import Surroundings
from relais.receive import Feed
from relais.retrieval import imports, prefetch, watch
from relais.retrieval.imports import StudyImports
from relais.retrieval.prefetch import Prefetch
from relais.retrieval.proof import Proof
from relais.retrieval.queries import Queries
from relais.retrieval.retrieve import Retrieve
from relais.retrieval.watch import Watches
from relais.tasks import Tasks
from relais.transports.probes import Ourselves
from relais.transports.sources.opening import open_source
from relais.transports.sources.port import Source
from relais.turns import Turns

LEFT_OVER = "retrieval"
"""The lane of what was to be fetched from a source that is no longer configured: it fails there, and says so."""


def limits_of(configuration: Configuration) -> dict[str, int]:
    """The lanes of watches and prefetches, and how many tasks each runs at once."""
    return {prefetch.LANE: 2, **{watch.LANE + name: 1 for name in configuration.watches}}


def turns_of(configuration: Configuration) -> dict[str, int]:
    """The lanes of sources, and how many studies are fetched from each at once, over all nodes."""
    return {
        LEFT_OVER: 1,
        **{imports.LANE + name: each.concurrency for name, each in configuration.sources.items()},
    }


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """What persons and the API ask of the PACS side, and its tasks."""

    sources: Mapping[str, Source]
    queries: Queries
    imports: StudyImports
    retrieve: Retrieve
    watches: Watches
    prefetch: Prefetch
    database: Database
    lanes: Lanes

    @classmethod
    def of(
        cls,
        *,
        database: Database,
        orthanc: Orthanc,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        lanes: Lanes,
        feed: Feed,
        configuration: Configuration,
        surroundings: Surroundings,
        stopping: threading.Event,
    ) -> Retrieval:
        """Make each; no connection is opened yet."""
        ourselves = Ourselves.of(surroundings.document)
        sources = {name: open_source(orthanc, name, each, ourselves) for name, each in configuration.sources.items()}
        several = StudyImports(database=database, clock=clock, tasks=tasks, journal=journal, sources=sources)
        return cls(
            sources=sources,
            queries=Queries(
                database=database, clock=clock, journal=journal, configuration=configuration, sources=sources
            ),
            imports=several,
            retrieve=Retrieve(
                database=database,
                clock=clock,
                tasks=tasks,
                lanes=lanes,
                feed=feed,
                configuration=configuration,
                imports=several,
                proof=Proof(database=database, orthanc=orthanc, clock=clock),
                turns=Turns(turns_of(configuration), stopping),
                stopping=stopping,
            ),
            watches=Watches(
                database=database,
                clock=clock,
                tasks=tasks,
                journal=journal,
                configuration=configuration,
                imports=several,
                sources=sources,
                stopping=stopping,
            ),
            prefetch=Prefetch(
                database=database,
                clock=clock,
                tasks=tasks,
                journal=journal,
                configuration=configuration,
                imports=several,
                sources=sources,
                stopping=stopping,
            ),
            database=database,
            lanes=lanes,
        )

    @property
    def handlers(self) -> dict[str, Any]:
        """The tasks, by kind."""
        return {imports.KIND: self.retrieve, watch.KIND: self.watches, prefetch.KIND: self.prefetch}

    def schedule(self) -> None:
        """At start: watches poll when their time has come; what no source can bring any more fails, and says so."""
        self.queries.warm()
        self.watches.schedule()
        with self.database.write() as connection:
            connection.execute(
                update(task)
                .where(task.c.kind == imports.KIND, task.c.lane.not_in(list(self.lanes.limits)))
                .values(lane=LEFT_OVER)
            )

    def close(self) -> None:
        """End the questions that run, and let go of connections."""
        self.queries.close()
        for each in self.sources.values():
            each.close()
