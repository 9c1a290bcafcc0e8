"""The parts of the configuration's versions, composed: their way to activation, and their replay over past studies."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.drafts import Seat
from relais.journal import Journal
from relais.replay import Replay
from relais.tasks import Tasks
from relais.versions import Versions


@dataclass(frozen=True, kw_only=True)
class Versioning:
    """What persons and the API ask of versions, and the tasks."""

    versions: Versions
    replay: Replay

    @classmethod
    def of(
        cls,
        seat: Seat,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        interpreter: str | None,
        stopping: threading.Event,
    ) -> Versioning:
        """Make each."""
        versions = Versions(database=database, clock=clock, tasks=tasks, journal=journal, seat=seat)
        return cls(
            versions=versions,
            replay=Replay(
                database=database,
                clock=clock,
                tasks=tasks,
                journal=journal,
                configuration=configuration,
                versions=versions,
                directory=seat.directory,
                stopping=stopping,
                interpreter=interpreter,
            ),
        )

    @property
    def handlers(self) -> dict[str, Any]:
        """The tasks, by kind."""
        return {"replay": self.replay, "activate": self.versions}
