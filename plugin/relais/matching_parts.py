"""The parts of matching, composed: those that a decision asks, and those that ask for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from relais.clock import Clock
from relais.configuration import Configuration
from relais.consequences import Foresight
from relais.database import Database
from relais.decide import Studies
from relais.identify import Identify
from relais.journal import Journal
from relais.labels import Labels
from relais.links import Links
from relais.matching_models import Models
from relais.orthanc import Orthanc
from relais.patient_index import Index
from relais.reading import Reading
from relais.rematch import Rematch
from relais.review_queue import ReviewQueue
from relais.reviews import Reviews
from relais.safety_net import SafetyNet
from relais.tasks import Tasks


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What finds out whose a study is."""

    models: Models
    queue: ReviewQueue
    safety_net: SafetyNet
    labels: Labels
    identify: Identify

    @classmethod
    def of(
        cls,
        *,
        database: Database,
        orthanc: Orthanc,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
    ) -> Asked:
        """Make each."""
        index = Index(clock=clock, configuration=configuration)
        models = Models(database=database, clock=clock, tasks=tasks, journal=journal)
        queue = ReviewQueue(clock=clock, journal=journal)
        safety_net = SafetyNet(
            database=database, clock=clock, tasks=tasks, journal=journal, configuration=configuration
        )
        labels = Labels(database=database, orthanc=orthanc, clock=clock, tasks=tasks)
        return cls(
            models=models,
            queue=queue,
            safety_net=safety_net,
            labels=labels,
            identify=Identify(
                database=database,
                clock=clock,
                journal=journal,
                configuration=configuration,
                reading=Reading(database=database, orthanc=orthanc, configuration=configuration),
                index=index,
                models=models,
                queue=queue,
                safety_net=safety_net,
                labels=labels,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Matching:
    """What persons and the API ask of matching, and its tasks."""

    models: Models
    safety_net: SafetyNet
    identify: Identify
    links: Links
    reviews: Reviews
    foresight: Foresight
    rematch: Rematch
    labels: Labels

    @classmethod
    def of(
        cls,
        asked: Asked,
        studies: Studies,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
    ) -> Matching:
        """Make each."""
        links = Links(
            database=database,
            clock=clock,
            journal=journal,
            configuration=configuration,
            identify=asked.identify,
            studies=studies,
            queue=asked.queue,
            safety_net=asked.safety_net,
            labels=asked.labels,
        )
        return cls(
            models=asked.models,
            safety_net=asked.safety_net,
            identify=asked.identify,
            links=links,
            reviews=Reviews(
                database=database,
                clock=clock,
                journal=journal,
                configuration=configuration,
                links=links,
                queue=asked.queue,
                safety_net=asked.safety_net,
            ),
            foresight=Foresight(
                database=database,
                clock=clock,
                configuration=configuration,
                identify=asked.identify,
                studies=studies,
            ),
            rematch=Rematch(database=database, clock=clock, tasks=tasks, identify=asked.identify, studies=studies),
            labels=asked.labels,
        )

    @property
    def handlers(self) -> dict[str, Any]:
        """The tasks, by kind."""
        return {"rematch": self.rematch, "label": self.labels}
