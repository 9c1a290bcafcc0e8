"""Orthanc's callbacks: each does one small thing and returns."""

from __future__ import annotations

import ctypes
import json
import logging
from typing import Any

from pydicom.datadict import keyword_for_tag

from relais.guard import Guard
from relais.house import STOP_SECONDS, House
from relais.retrievers import RetrievalRefusedError
from relais.web.bridge import PATTERN, callback_of

log = logging.getLogger(__name__)


def register(orthanc: Any, house: House, token: str) -> None:
    """Give Orthanc's callbacks to the house."""
    new_instance = orthanc.ChangeType.NEW_INSTANCE
    job_ended = {orthanc.ChangeType.JOB_SUCCESS: True, orthanc.ChangeType.JOB_FAILURE: False}
    guard = Guard(lambda: house.relais)
    house.listen_to_modalities()

    def on_change(change: Any, _level: Any, resource: str) -> None:
        # Not OnStoredInstance: that one holds up the C-STORE until it has the interpreter lock.
        if change == new_instance:
            house.ring()
            return
        try:
            if change in job_ended:
                house.hear(resource, succeeded=job_ended[change])
            elif change == orthanc.ChangeType.UPDATED_MODALITIES:
                house.hear_modalities()
            elif change == orthanc.ChangeType.ORTHANC_STARTED:
                # Orthanc reports every change from this one thread, four for each image. Python makes and unmaps a
                # stack for a foreign thread at each call, unless something keeps its state: one Ensure too many does.
                ctypes.pythonapi.PyGILState_Ensure()
                house.start()
                guard.start()
            elif change == orthanc.ChangeType.ORTHANC_STOPPED:
                guard.stop(STOP_SECONDS / 8)
                house.stop()
        except Exception:
            log.exception("Relais could not follow Orthanc's start or stop")

    orthanc.RegisterOnChangeCallback(on_change)
    _serve(orthanc, PATTERN, callback_of(house))
    _serve(orthanc, WHO_ASKS, who_asks_of(house))
    orthanc.ExtendOrthancExplorer(EXPLORER)
    if not house.relais.surroundings.serves_worklist and hasattr(orthanc, "RegisterWorklistCallback"):
        orthanc.RegisterWorklistCallback(worklist_of(house))
    if hasattr(orthanc, "RegisterMoveCallback"):
        orthanc.RegisterMoveCallback(move_of(house))
    guard.stand(orthanc, token)


def _serve(orthanc: Any, pattern: str, answer: Any) -> None:
    """Have requests whose path is of this pattern answered."""
    # Plugin 5.0 gives back at its end a reference to the callback that it never took: one more is taken here.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(answer))
    orthanc.RegisterRestCallback(pattern, answer)


def worklist_of(house: House) -> Any:
    """The callback that answers worklist requests; one that fails is answered as failed, and not as nothing to do."""

    def answer(answers: Any, query: Any, calling: str, called: str) -> None:
        parts = house.relais
        try:
            if not parts.configuration.worklist.enabled:
                return
            encoding = str(parts.surroundings.document.get("DefaultEncoding", "Latin1"))
            found = parts.worklist.serving.answer(query.WorklistGetDicomQuery(), calling, called, encoding)
            for file in found.files:
                answers.WorklistAddAnswer(query, file)
            if found.cut:
                answers.WorklistMarkIncomplete()
        except Exception:
            log.exception("a worklist request could not be answered")
            raise

    return answer


def who_asks_of(house: House) -> Any:
    """The callback of who-asks.lua, within Orthanc: its requests have no headers, as those of HTTP have."""

    def take(output: Any, _uri: str, **request: Any) -> None:
        try:
            if request.get("headers") or request.get("method") != "POST":
                output.SendHttpStatusCode(404)
                return
            output.AnswerBuffer("{}", "application/json")
            told = json.loads(request["body"])
            keys = sorted(keyword_for_tag(int(each.replace(",", ""), 16)) or each for each in told["Keys"][:MOST_KEYS])
            house.relais.worklist.witness.tell(
                "find.asked",
                str(told["Asking"])[:64] or "unknown",
                Called=str(told.get("Called", ""))[:64],
                RemoteIp=str(told.get("RemoteIp", ""))[:64],
                Level=str(told.get("Level", ""))[:16],
                Keys=keys,
            )
        except Exception:
            log.exception("it could not be written down who asked by C-FIND")

    return take


def move_of(house: House) -> Any:
    """The callback that carries out C-MOVE requests; Orthanc answers one that raises as failed."""

    def move(**request: Any) -> None:
        try:
            house.relais.worklist.retrievers.move(request)
        except RetrievalRefusedError as error:
            log.warning("a C-MOVE was refused: %s", error)
            raise
        except Exception:
            log.exception("a C-MOVE could not be carried out")
            raise

    return move


WHO_ASKS = "/relais-who-asks"
"""Where who-asks.lua tells who asks."""
MOST_KEYS = 100
EXPLORER = """
$(document).on('pagebeforeshow', '#study', function () {
  var uuid = $.mobile.pageData.uuid;
  $('#relais-link').remove();
  $('#study-info').after($('<a>', {
    id: 'relais-link', text: 'Relais', 'data-role': 'button', 'data-icon': 'forward',
    href: '../relais/app/orthanc/' + uuid, rel: 'external'
  }).button());
});
"""
"""Orthanc Explorer's study page gets a link to the study's page here."""
