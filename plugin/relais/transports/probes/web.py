"""DICOMweb: QIDO-RS, and a test object by STOW-RS (PS3.18 sections 10.5 and 10.6)."""

from __future__ import annotations

import uuid
from typing import Any

from relais.domain.connectivity import Advice, Found, of_status
from relais.transports.probes.client import Answer, Client, RequestError, clock_of
from relais.transports.probes.sample import PATIENT_ID, encode, make_sample

_JSON = "application/dicom+json"
_FOUND = 200
_EMPTY = 204
_CONFLICT = 409
_UIDS = {"StudyInstanceUID": "0020000D", "SOPInstanceUID": "00080018"}
_FAILED_SEQUENCE, _FAILURE_REASON = "00081198", "00081197"


class WebSteps:
    """The steps that speak DICOMweb with one server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sample = make_sample()
        self._answer: Answer | None = None

    def reach(self, seconds: float) -> Found:
        """Whether it answers and lets us in. The question is a QIDO for the test patient: nobody else comes back."""
        path = f"/studies?PatientID={PATIENT_ID}&limit=1"
        try:
            answer = self._client.request("GET", path, seconds, headers={"Accept": _JSON})
        except RequestError as error:
            return Found(advice=(error.advice,))
        self._answer = answer
        facts: dict[str, Any] = {"Status": answer.status, "RoundTripMilliseconds": answer.milliseconds}
        if "server" in answer.headers:
            facts["Server"] = answer.headers["server"][:100]
        return Found(facts=facts, advice=of_status(answer.status))

    def clock(self, _seconds: float) -> Found:
        """How far its clock is from ours."""
        return Found(advice=(Advice.NoDate,)) if self._answer is None else clock_of(self._answer)

    def query(self, _seconds: float) -> Found:
        """Whether the answer to the QIDO is one."""
        if self._answer is None or _matches(self._answer) is None:
            return Found(advice=(Advice.NotDicomWeb,))
        return Found()

    def store(self, seconds: float) -> Found:
        """STOW-RS of the test object."""
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        headers = {
            "Accept": _JSON,
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        }
        body = head + encode(self._sample) + f"\r\n--{boundary}--\r\n".encode()
        try:
            answer = self._client.request("POST", "/studies", seconds, body=body, headers=headers)
        except RequestError as error:
            return Found(advice=(error.advice,))
        facts: dict[str, Any] = {"Status": answer.status, "StudyInstanceUID": str(self._sample.StudyInstanceUID)}
        reason = _failure(answer.json)
        if reason is not None:
            return Found(facts=facts | {"FailureReason": reason}, advice=(Advice.StoreRefused,))
        if answer.status == _CONFLICT:
            return Found(facts=facts, advice=(Advice.StoreRefused,))
        return Found(facts=facts, advice=of_status(answer.status))

    def find(self, seconds: float) -> Found:
        """QIDO-RS of the test object, by its UIDs."""
        study, instance = str(self._sample.StudyInstanceUID), str(self._sample.SOPInstanceUID)
        path = f"/studies/{study}/instances?SOPInstanceUID={instance}"
        facts = {"StudyInstanceUID": study}
        try:
            answer = self._client.request("GET", path, seconds, headers={"Accept": _JSON})
        except RequestError as error:
            return Found(facts=facts, advice=(error.advice,))
        if answer.status not in (_FOUND, _EMPTY, 404):
            return Found(facts=facts | {"Status": answer.status}, advice=(Advice.FindRefused,))
        seen = [_value(each, "SOPInstanceUID") for each in _matches(answer) or ()]
        return Found(facts=facts, advice=() if instance in seen else (Advice.NotFound,))


def _matches(answer: Answer) -> list[Any] | None:
    """What a QIDO found (PS3.18 section 10.6.3); None where the answer is none."""
    if answer.status == _EMPTY:
        return []
    found = answer.json if answer.status == _FOUND else None
    return found if isinstance(found, list) and all(isinstance(each, dict) for each in found) else None


def _value(match: Any, keyword: str) -> str | None:
    """The first value of an attribute in the DICOM JSON model (PS3.18 annex F)."""
    attribute = match.get(_UIDS[keyword])
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return str(values[0]) if isinstance(values, list) and values else None


def _failure(document: Any) -> str | None:
    """The reason of FailedSOPSequence (PS3.18 table 10.5.3-2) as four hexadecimal digits; None where nothing failed."""
    sequence = document.get(_FAILED_SEQUENCE) if isinstance(document, dict) else None
    items = sequence.get("Value") if isinstance(sequence, dict) else None
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        return None
    reason = items[0].get(_FAILURE_REASON)
    values = reason.get("Value") if isinstance(reason, dict) else None
    return f"{values[0]:04X}" if isinstance(values, list) and values and isinstance(values[0], int) else "?"
