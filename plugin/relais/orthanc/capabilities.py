"""What this Orthanc and its plugin can do: detected, never assumed from a version number."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What of Orthanc's own configuration matters to Relais."""

    url: str
    node: str
    authentication: bool
    remote_access: bool
    storage: str
    filters: bool  # whether the plugin can filter Orthanc's own routes
    document: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any], *, filters: bool = True) -> Surroundings:
        """Read Orthanc's configuration; raises ValueError when Orthanc cannot carry Relais at all."""
        if not document.get("HttpServerEnabled", True):
            message = "HttpServerEnabled is false: Relais talks to Orthanc over its REST API and cannot work without it"
            raise ValueError(message)
        scheme = "https" if document.get("SslEnabled", False) else "http"
        remote = bool(document.get("RemoteAccessAllowed", False))
        return cls(
            url=f"{scheme}://127.0.0.1:{document.get('HttpPort', 8042)}",
            node=str(document.get("DatabaseServerIdentifier") or socket.gethostname()),
            authentication=bool(document.get("AuthenticationEnabled", remote)),
            remote_access=remote,
            storage=str(document.get("StorageDirectory", "OrthancStorage")),
            filters=filters,
            document=document,
        )

    @property
    def concurrent_jobs(self) -> int:
        """How many of its jobs Orthanc runs at once."""
        return int(self.document.get("ConcurrentJobs", 2))

    def findings(self) -> list[str]:
        """Codes of settings that make Relais slower or less safe than it could be; the pages word them."""
        found = []
        if self.concurrent_jobs < 4:  # noqa: PLR2004 - two lanes of two
            found.append("few-concurrent-jobs")
        if int(self.document.get("JobsHistorySize", 10)) < 100:  # noqa: PLR2004 - ends must be seen before they are forgotten
            found.append("short-jobs-history")
        if self.document.get("SaveJobs", True):
            found.append("save-jobs")
        if not self.document.get("OverwriteInstances", False):
            found.append("keeps-old-instances")
        if self.remote_access and not self.authentication:
            found.append("remote-access-without-authentication")
        return found
