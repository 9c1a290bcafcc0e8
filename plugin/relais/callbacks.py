"""Orthanc's callbacks: each does one small thing and returns."""

from __future__ import annotations

import ctypes
import logging
from typing import Any

from relais.guard import Guard
from relais.house import STOP_SECONDS, House
from relais.web.bridge import PATTERN, callback_of

log = logging.getLogger(__name__)


def register(orthanc: Any, house: House, token: str) -> None:
    """Give Orthanc's callbacks to the house."""
    new_instance = orthanc.ChangeType.NEW_INSTANCE
    job_ended = {orthanc.ChangeType.JOB_SUCCESS: True, orthanc.ChangeType.JOB_FAILURE: False}
    guard = Guard(lambda: house.relais)
    if not house.relais.surroundings.document.get("DicomModalitiesInDatabase", False):  # where other nodes change them
        house.relais.sending.modalities = 0

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
    answer = callback_of(house)
    # Plugin 5.0 gives back at its end a reference to this callback that it never took: one more is taken here.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(answer))
    orthanc.RegisterRestCallback(PATTERN, answer)
    orthanc.ExtendOrthancExplorer(EXPLORER)
    guard.stand(orthanc, token)


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
