"""A sender that survives the router."""

import gc
import logging
import threading
import time
from collections import defaultdict
from contextlib import suppress

from pydicom import Dataset

from tests.servers.dicom import SendError, Study, send

PAUSE = 0.05
LEFT_OPEN = "ignore:unclosed <socket:ResourceWarning"
"""The warning filter for tests that send while the router dies: see `Sender.end`."""

logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # that the router is away is no news here


class Sender:
    """A modality that does not rest until each of its images is acknowledged.

    `acknowledged` are the SOPInstanceUIDs that were, by StudyInstanceUID.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.acknowledged: dict[str, list[str]] = defaultdict(list)
        self._threads: list[threading.Thread] = []
        self._given_up = threading.Event()

    def begin(self, study: Study) -> None:
        """Send the study from a thread of its own."""
        thread = threading.Thread(target=self._send, args=(study,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def end(self, timeout: float) -> None:
        """Wait until everything was acknowledged; raises AssertionError when that takes too long."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._given_up.set()
        gc.collect()  # pynetdicom leaves the socket of a refused connection to the collector: here, and not in a test
        assert not any(thread.is_alive() for thread in self._threads), "some images were never acknowledged"

    def _send(self, study: Study) -> None:
        done = self.acknowledged[study.uid]

        def note(instance: Dataset) -> None:
            done.append(str(instance.SOPInstanceUID))

        while len(done) < len(study.instances) and not self._given_up.is_set():
            left = [each for each in study.instances if str(each.SOPInstanceUID) not in done]
            with suppress(SendError, RuntimeError):  # pynetdicom's word for an association that ended under it
                send(left, self._port, acknowledged=note)
                return
            self._given_up.wait(PAUSE)
