"""Foreign systems that fetch from us by C-MOVE: each study is judged by the law as if it were sent there by a rule.

Orthanc hands each request over and waits for the answer, so that its status is the truth. What is permitted Orthanc
sends itself, as it would without us; nothing of a request is sent where any study of it may not go. C-GET, where
Orthanc allows it, stays Orthanc's: no plugin is asked about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from relais.clock import Clock
from relais.configuration import Configuration
from relais.configuration.worklist import UnknownRetrievers
from relais.database import Database
from relais.database.tables import study
from relais.domain.globs import compile_glob
from relais.domain.labels import Purpose
from relais.domain.residency import Reason, Recipient, Refusal, judge
from relais.journal import Journal, Subject
from relais.judgement import case_of, recipient_of
from relais.orthanc import Orthanc
from relais.residency import restrictions_of

IDENTIFIERS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "AccessionNumber", "PatientID")
"""What may say which images are asked for, the narrowest first."""
LEVELS: Mapping[str, str] = {
    "SOPInstanceUID": "Instance",
    "SeriesInstanceUID": "Series",
    "StudyInstanceUID": "Study",
    "AccessionNumber": "Study",
    "PatientID": "Patient",
}
MOST = 1000
"""Studies, series or images in one request."""
LOOK = 0.1
"""Seconds between looks at a job."""
LONGEST = 3600.0
"""Seconds that a request may take; whoever asked has gone long before."""


class RetrievalRefusedError(Exception):
    """A C-MOVE is not carried out; what Orthanc is told of why has no patient data."""


class RetrievalFailedError(Exception):
    """A C-MOVE that is permitted could not be carried out, or not to its end."""


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """A C-MOVE: who asked, to whom it is to be sent, and what, as Orthanc's ids and the studies' UIDs."""

    asking: str
    called: str
    target: str
    number: int
    resources: tuple[str, ...]
    studies: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Judged:
    uid: str
    study_id: int | None
    reasons: tuple[Reason, ...]


class Retrievers:
    """Judges and carries out C-MOVE requests, each in the thread in which Orthanc asks."""

    def __init__(
        self, *, database: Database, orthanc: Orthanc, clock: Clock, journal: Journal, configuration: Configuration
    ) -> None:
        self._database = database
        self._orthanc = orthanc
        self._clock = clock
        self._journal = journal
        self._configuration = configuration

    def move(self, request: Mapping[str, Any]) -> None:
        """Carry out a request as Orthanc's plugin describes it; raises RetrievalRefusedError, OrthancError."""
        asked = self._read(request)
        recipients = list(self._recipients(asked.target))
        with self._database.read() as connection:
            judged = [self._judge(connection, uid, asked.target, recipients) for uid in asked.studies]
        refused = [each for each in judged if each.reasons]
        if refused:
            self._tell(asked, refused, "security.alert", Kind="retrieval-refused")
            message = f"{asked.target} may not receive what {asked.asking} asks for"
            raise RetrievalRefusedError(message)
        name = self._modality(asked.target)
        self._tell(asked, judged, "study.retrieved")
        if asked.resources:
            self._send(asked, name)

    def _send(self, asked: Retrieval, name: str) -> None:
        """Have Orthanc send it, and wait for its end; raises RetrievalFailedError."""
        started = self._orthanc.post(
            f"/modalities/{name}/store",
            {
                "Resources": list(asked.resources),
                "Asynchronous": True,
                "LocalAet": asked.called,
                "MoveOriginatorAet": asked.asking,
                "MoveOriginatorID": asked.number,
            },
        )
        until = self._clock.monotonic() + LONGEST
        while self._clock.monotonic() < until:
            self._orthanc.await_job(started["ID"], LOOK)
            job = self._orthanc.get(f"/jobs/{started['ID']}")
            if job["State"] == "Success":
                return
            if job["State"] not in ("Pending", "Running", "Retry"):
                break
        message = f"not all of it could be sent to {asked.target}"
        raise RetrievalFailedError(message)

    def _read(self, request: Mapping[str, Any]) -> Retrieval:
        """What is asked for; raises RetrievalRefusedError for what nobody can mean."""
        keyword = next((each for each in IDENTIFIERS if request.get(each)), None)
        if keyword is None:
            message = "a C-MOVE must name what is to be moved"
            raise RetrievalRefusedError(message)
        values = [each.strip(" \0") for each in str(request[keyword]).split("\\") if each.strip(" \0")]
        if not 0 < len(values) <= MOST or any("*" in each or "?" in each for each in values):
            message = "a C-MOVE must name what is to be moved, without wild cards"
            raise RetrievalRefusedError(message)
        level = LEVELS[keyword]
        found: list[Mapping[str, Any]] = [
            each for value in values for each in self._find(level, keyword, value) if each["Type"] == level
        ]
        resources = tuple(dict.fromkeys(each["ID"] for each in found))
        return Retrieval(
            asking=str(request.get("OriginatorAET", "")).strip(),
            called=str(request.get("SourceAET", "")).strip(),
            target=str(request.get("TargetAET", "")).strip(),
            number=int(request.get("OriginatorID", 0)),
            resources=resources,
            studies=tuple(dict.fromkeys(uid for each in found for uid in self._studies(level, each["ID"]))),
        )

    def _find(self, level: str, keyword: str, value: str) -> list[Mapping[str, Any]]:
        query = {"Level": level, "Query": {keyword: value}, "Expand": True, "CaseSensitive": True}
        answer: list[Mapping[str, Any]] = self._orthanc.post("/tools/find", query)
        return answer

    def _studies(self, level: str, orthanc_id: str) -> Sequence[str]:
        """The UIDs of the studies of a resource."""
        if level == "Patient":
            answer = self._orthanc.get(f"/patients/{orthanc_id}/studies")
        elif level == "Study":
            answer = [self._orthanc.get(f"/studies/{orthanc_id}")]
        else:
            kind = "series" if level == "Series" else "instances"
            answer = [self._orthanc.get(f"/{kind}/{orthanc_id}/study")]
        return [str(each["MainDicomTags"].get("StudyInstanceUID", "")) for each in answer]

    def _recipients(self, target: str) -> Iterator[tuple[Recipient, frozenset[str]]]:
        """Who the AE title is, with the clinics whose studies they may have: retrievers, or else destinations."""
        configuration = self._configuration
        known = [
            (name, each)
            for name, each in configuration.retrievers.items()
            if any(compile_glob(pattern)(target) for pattern in each.aets)
        ]
        for name, each in known:
            recipient = Recipient(
                destination=name,
                configuration=configuration.digest,
                jurisdiction=each.jurisdiction,
                assessment=each.assessment,
                agreement=each.agreement,
                purposes=tuple(purpose.value for purpose in each.purposes),
            )
            yield recipient, frozenset(each.clinics)
        if known:
            return
        for name, destination in configuration.destinations.items():
            if getattr(destination, "aet", None) == target:
                yield recipient_of(name, destination, configuration.digest), frozenset("*")

    def _judge(
        self,
        connection: Connection,
        uid: str,
        target: str,
        recipients: Sequence[tuple[Recipient, frozenset[str]]],
    ) -> _Judged:
        """Why a study may not go there: for each whom the AE title may be, the objections to all of their purposes."""
        row = connection.execute(_STUDY, {"uid": uid}).one_or_none()
        study_id, clinic = (None, None) if row is None else (row.id, row.clinic)
        reasons: list[Reason] = []
        if not recipients and self._configuration.unknown_retrievers is UnknownRetrievers.Refuse:
            reasons.append(Reason(code="unknown-retriever", values={"aet": target}))
        now = self._clock.now()
        restrictions = () if study_id is None else restrictions_of(connection, study_id, uid, now)
        case = case_of(self._configuration, study_instance_uid=uid, clinic=clinic, restrictions=restrictions)
        for recipient, clinics in recipients:
            if "*" not in clinics and clinic not in clinics:
                reasons.append(Reason(code="retriever-of-other-clinics", values={"destination": recipient.destination}))
                continue
            purposes = recipient.purposes or (Purpose.Care.value,)
            verdicts = [judge(case, recipient, purpose, now) for purpose in purposes]
            if all(isinstance(each, Refusal) for each in verdicts):
                reasons += next((each.reasons for each in verdicts if isinstance(each, Refusal)), ())
        nobody = Recipient(destination=target, configuration=self._configuration.digest)
        reasons += [
            Reason(code="restricted", values={"restriction": str(each.id)})
            for each in (() if recipients else restrictions)
            if each.since <= now and each.forbids(nobody)
        ]
        return _Judged(uid=uid, study_id=study_id, reasons=tuple(reasons))

    def _modality(self, target: str) -> str:
        """Orthanc's name of the modality with this AE title; raises RetrievalRefusedError."""
        known: Mapping[str, Mapping[str, Any]] = self._orthanc.get("/modalities?expand")
        name = next((name for name, each in known.items() if each.get("AET") == target), None)
        if name is None:
            message = f"Orthanc knows no modality with the AE title {target}"
            raise RetrievalRefusedError(message)
        return name

    def _tell(self, asked: Retrieval, studies: Sequence[_Judged], action: str, **detail: Any) -> None:
        """Audit it, for each study; a refusal is an alert."""
        with self._database.write() as connection:
            for each in studies or [_Judged(uid="", study_id=None, reasons=())]:
                subject = None if each.study_id is None else Subject(id=each.study_id, study_instance_uid=each.uid)
                told = {} if subject is not None or not each.uid else {"StudyInstanceUID": each.uid}
                why = {"Reasons": [reason.to_json() for reason in each.reasons]} if each.reasons else {}
                self._journal.record(
                    connection,
                    action,
                    actor=asked.asking or "unknown",
                    subject=subject,
                    **detail,
                    Target=asked.target,
                    Resources=len(asked.resources),
                    **told,
                    **why,
                )


_STUDY = select(study.c.id, study.c.clinic).where(study.c.study_instance_uid == bindparam("uid"))
