"""Another Orthanc: its version, its clock, and a test object that is stored and taken away again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from relais.domain.connectivity import Advice, Found, of_status
from relais.transports.probes.client import HALF_SECOND, Answer, Client, RequestError, clock_of, difference
from relais.transports.probes.sample import encode, make_sample

_OK = 200


class PeerSteps:
    """The steps that speak Orthanc's REST API."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sample = make_sample()
        self._answer: Answer | None = None
        self._stored: str | None = None

    def reach(self, seconds: float) -> Found:
        """Whether it answers, lets us in, and is an Orthanc."""
        try:
            answer = self._client.request("GET", "/system", seconds, headers={"Accept": "application/json"})
        except RequestError as error:
            return Found(advice=(error.advice,))
        self._answer = answer
        facts: dict[str, Any] = {"Status": answer.status, "RoundTripMilliseconds": answer.milliseconds}
        advice = of_status(answer.status)
        system = answer.json
        if not advice and not (isinstance(system, dict) and isinstance(system.get("Version"), str)):
            return Found(facts=facts, advice=(Advice.NotOrthanc,))
        if not advice:
            facts |= {key: system[key] for key in ("Version", "ApiVersion", "DicomAet") if key in system}
        return Found(facts=facts, advice=advice)

    def clock(self, seconds: float) -> Found:
        """How far its clock is from ours; Orthanc sends no Date of its own, and has a route instead."""
        if self._answer is not None and "date" in self._answer.headers:
            return clock_of(self._answer)
        try:
            answer = self._client.request("GET", "/tools/now", seconds, headers=None)
            said = datetime.strptime(answer.body.decode("ascii"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except (RequestError, ValueError):
            return Found(advice=(Advice.NoDate,))
        return difference(said + HALF_SECOND, answer.at)

    def store(self, seconds: float) -> Found:
        """POST the test object."""
        facts: dict[str, Any] = {"StudyInstanceUID": str(self._sample.StudyInstanceUID)}
        headers = {"Content-Type": "application/dicom"}
        try:
            answer = self._client.request("POST", "/instances", seconds, body=encode(self._sample), headers=headers)
        except RequestError as error:
            return Found(facts=facts, advice=(error.advice,))
        facts["Status"] = answer.status
        stored = answer.json
        if answer.status != _OK or not isinstance(stored, dict) or not isinstance(stored.get("ID"), str):
            return Found(facts=facts, advice=of_status(answer.status) or (Advice.StoreRefused,))
        self._stored = quote(stored["ID"], safe="")
        return Found(facts=facts)

    def find(self, seconds: float) -> Found:
        """Ask for it by the id that it got."""
        facts = {"StudyInstanceUID": str(self._sample.StudyInstanceUID)}
        try:
            answer = self._client.request("GET", f"/instances/{self._stored}", seconds, headers=None)
        except RequestError as error:
            return Found(facts=facts, advice=(error.advice,))
        tags = answer.json.get("MainDicomTags", {}) if isinstance(answer.json, dict) else {}
        seen = tags.get("SOPInstanceUID") == self._sample.SOPInstanceUID
        return Found(facts=facts, advice=() if seen else (Advice.NotFound,))

    def delete(self, seconds: float) -> Found:
        """Take it away again."""
        facts: dict[str, Any] = {"Path": f"/instances/{self._stored}"}
        try:
            answer = self._client.request("DELETE", f"/instances/{self._stored}", seconds, headers=None)
        except RequestError:
            return Found(facts=facts, advice=(Advice.NotDeleted,))
        facts["Status"] = answer.status
        return Found(facts=facts, advice=() if answer.status == _OK else (Advice.NotDeleted,))
