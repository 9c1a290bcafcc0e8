"""The parts of the CRM's patients, composed: how they are kept, how they come in bulk, and who is asked for them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.decide import Studies
from relais.journal import Journal
from relais.patient_imports import INDEX, Imports
from relais.patient_imports import KIND as IMPORT
from relais.patient_pull import KIND as PULL
from relais.patient_pull import Pull
from relais.patient_rebuild import Rebuild
from relais.patient_store import PatientStore
from relais.patients import FORGET, Patients
from relais.tasks import Tasks


@dataclass(frozen=True, kw_only=True)
class People:
    """What persons and the API ask of the CRM's patients, and the tasks."""

    patients: Patients
    imports: Imports
    pull: Pull
    rebuild: Rebuild

    @classmethod
    def of(
        cls,
        studies: Studies,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        interpreter: str | None,
        stopping: threading.Event,
    ) -> People:
        """Make each."""
        store = PatientStore(database=database, clock=clock, tasks=tasks)
        patients = Patients(database=database, clock=clock, tasks=tasks, journal=journal, store=store, studies=studies)
        imports = Imports(
            database=database,
            clock=clock,
            tasks=tasks,
            journal=journal,
            configuration=configuration,
            store=store,
            interpreter=interpreter,
            stopping=stopping,
        )
        pull = Pull(
            database=database,
            clock=clock,
            tasks=tasks,
            configuration=configuration,
            imports=imports,
            patients=patients,
            stopping=stopping,
        )
        rebuild = Rebuild(
            database=database,
            clock=clock,
            tasks=tasks,
            imports=imports,
            store=store,
            interpreter=interpreter,
            stopping=stopping,
        )
        return cls(patients=patients, imports=imports, pull=pull, rebuild=rebuild)

    @property
    def handlers(self) -> dict[str, Any]:
        """The tasks, by kind."""
        return {FORGET: self.patients, IMPORT: self.imports, PULL: self.pull, INDEX: self.rebuild}
