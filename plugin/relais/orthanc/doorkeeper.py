"""Orthanc's filter of HTTP requests: whoever is not an administrator does not take Orthanc's own ways out.

Orthanc asks it about every request but those with a token of the plugin's, ours among them, after it has checked the
password [measured on 1.10.1]. It looks at nothing but the values that it is given, and returns at once: Orthanc's
thread holds a lock meanwhile, which a call of Orthanc from here might want.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from relais.orthanc.ways_out import recognise

log = logging.getLogger(__name__)

METHODS: Mapping[int, str] = {1: "GET", 2: "POST", 3: "PUT", 4: "DELETE"}
"""Orthanc's numbers (OrthancPluginHttpMethod)."""
ONCE_IN = 60.0
"""Seconds in which the same caller's refusals at the same route are reported once."""

Admission = Callable[[str | None], tuple[bool, str]]
"""Whether the caller with this Authorization header may take the ways out, and their name."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A caller who was refused; `times` counts what was not reported of the same since the last report as well."""

    caller: str
    method: str
    route: str
    remote_ip: str
    times: int = 1


class Doorkeeper:
    """The filter; safe to be asked by many threads at once.

    `report` is called within Orthanc's request, so it must only pass on.
    """

    def __init__(
        self,
        *,
        admits: Admission,
        report: Callable[[Refused], None],
        token: str | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admits = admits
        self._report = report
        self._token = token
        self._now = now
        self._lock = threading.Lock()
        self._reported: dict[tuple[str, str], tuple[float, int]] = {}  # when, and how many since
        self._thread = threading.local()

    def __call__(self, uri: str, **request: Any) -> bool:
        """Whether Orthanc may answer a request; 403 if not."""
        self._stay()
        try:
            return self._passes(uri, request)
        except Exception:
            log.exception("a request could not be judged, and was refused")
            return False

    def _passes(self, uri: str, request: Mapping[str, Any]) -> bool:
        method = METHODS.get(request["method"], "")
        found = recognise(method, uri)
        if found is None:
            return True
        authorization = request["headers"].get("authorization")
        if self._token is not None and authorization == self._token:
            return True
        admitted, caller = self._admits(authorization)
        if not admitted:
            self._refuse(caller, method, found.route, request.get("ip", ""))
        return admitted

    def _refuse(self, caller: str, method: str, route: str, remote_ip: str) -> None:
        now, key = self._now(), (caller, f"{method} {route}")
        with self._lock:
            since, times = self._reported.get(key, (-ONCE_IN, 0))
            times += 1
            due = now - since >= ONCE_IN
            self._reported[key] = (now, 0) if due else (since, times)
        if due:
            self._report(Refused(caller=caller, method=method, route=route, remote_ip=remote_ip, times=times))

    def _stay(self) -> None:
        """Keep Python's state of this thread: made and given up at each call, it costs more than all the rest."""
        if not hasattr(self._thread, "stays"):
            self._thread.stays = True
            ctypes.pythonapi.PyGILState_Ensure()
