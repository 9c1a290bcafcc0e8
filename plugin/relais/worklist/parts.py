"""The parts of the worklist, composed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.decide import Studies
from relais.journal import Journal
from relais.orthanc import Orthanc
from relais.retrievers import Retrievers
from relais.tasks import Tasks
from relais.worklist.orders import EXPIRE, Orders, Prefetch
from relais.worklist.requests import Requests
from relais.worklist.service import Service
from relais.worklist.serving import Serving
from relais.worklist.steps import Steps
from relais.worklist.ties import Ties
from relais.worklist.witness import Witness


@dataclass(frozen=True, kw_only=True)
class Worklist:
    """What orders, machines and foreign systems ask of us."""

    orders: Orders
    ties: Ties
    requests: Requests
    serving: Serving
    steps: Steps
    service: Service
    witness: Witness
    retrievers: Retrievers

    @classmethod
    def of(
        cls,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        studies: Studies,
        prefetch: Prefetch,
        orthanc: Orthanc,
    ) -> Worklist:
        """Make each."""
        witness = Witness(database=database, journal=journal)
        orders = Orders(
            database=database,
            clock=clock,
            tasks=tasks,
            journal=journal,
            configuration=configuration,
            studies=studies,
            prefetch=prefetch,
        )
        serving = Serving(database=database, clock=clock, configuration=configuration, witness=witness)
        steps = Steps(database=database, clock=clock, journal=journal, configuration=configuration, prefetch=prefetch)
        return cls(
            orders=orders,
            ties=Ties(database=database, journal=journal, studies=studies),
            requests=Requests(database=database, configuration=configuration, orders=orders),
            serving=serving,
            steps=steps,
            service=Service(configuration.worklist.mpps, serving=serving, steps=steps),
            witness=witness,
            retrievers=Retrievers(
                database=database, orthanc=orthanc, clock=clock, journal=journal, configuration=configuration
            ),
        )

    @property
    def handlers(self) -> dict[str, Any]:
        """The tasks, by kind."""
        return {EXPIRE: self.orders}

    def start(self) -> None:
        """Begin to work."""
        self.witness.start()
        self.orders.schedule()
        self.service.start()

    def stop(self, seconds: float) -> None:
        """End within so many seconds."""
        self.service.stop(seconds / 2)
        self.witness.stop(seconds / 2)
