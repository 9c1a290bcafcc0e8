"""What the web layer needs of the composition root, and of one request."""

# ruff: noqa: D102 - each property of the protocol is named by its type

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from flask import current_app, g

from relais.clock import Clock
from relais.configuration import Configuration
from relais.connectivity import Connectivity
from relais.database import Database
from relais.decide import Studies
from relais.deliver import Deliver
from relais.journal import Journal
from relais.lanes import Lanes
from relais.ledger import Ledger
from relais.matching_parts import Matching
from relais.notify import Notify
from relais.orthanc import Orthanc
from relais.orthanc.capabilities import Surroundings
from relais.patient_imports import Imports
from relais.patient_pull import Pull
from relais.patients import Patients
from relais.receive import Feed
from relais.replay import Replay
from relais.restrictions import Restrictions
from relais.retrieval.parts import Retrieval
from relais.tasks import Tasks
from relais.versions import Versions
from relais.web.language import Texts
from relais.web.metrics import Metrics
from relais.web.permissions import Caller, Gate
from relais.worker import Worker
from relais.worklist.parts import Worklist


class Relais(Protocol):
    """The running application's parts, as bootstrap composes them."""

    @property
    def configuration(self) -> Configuration: ...
    @property
    def surroundings(self) -> Surroundings: ...
    @property
    def gate(self) -> Gate: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def orthanc(self) -> Orthanc: ...
    @property
    def tasks(self) -> Tasks: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def lanes(self) -> Lanes: ...
    @property
    def feed(self) -> Feed: ...
    @property
    def studies(self) -> Studies: ...
    @property
    def matching(self) -> Matching: ...
    @property
    def patients(self) -> Patients: ...
    @property
    def patient_imports(self) -> Imports: ...
    @property
    def patient_pull(self) -> Pull: ...
    @property
    def retrieval(self) -> Retrieval: ...
    @property
    def worklist(self) -> Worklist: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def restrictions(self) -> Restrictions: ...
    @property
    def deliver(self) -> Deliver: ...
    @property
    def connectivity(self) -> Connectivity: ...
    @property
    def notify(self) -> Notify: ...
    @property
    def replay(self) -> Replay: ...
    @property
    def versions(self) -> Versions: ...
    @property
    def worker(self) -> Worker: ...
    @property
    def metrics(self) -> Metrics: ...


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request: the application's parts, who calls, and the words of their language."""

    relais: Relais
    caller: Caller
    texts: Texts


def relais() -> Relais:
    """The parts that bootstrap composed."""
    return cast("Relais", current_app.extensions["relais"])


def current_call() -> Call:
    """The request that this thread answers."""
    return cast("Call", g.call)
