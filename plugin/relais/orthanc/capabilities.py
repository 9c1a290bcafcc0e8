"""What this Orthanc and its plugin can do: detected, never assumed from a version number."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHIPPED_LUA = "who-asks.lua"


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

    @property
    def serves_worklist(self) -> bool:
        """Whether another plugin answers worklist requests: Orthanc takes the first that registers, and no second."""
        section = self.document.get("Worklists", {})
        enabled = isinstance(section, Mapping) and bool(section.get("Enable", False))
        return enabled and any("orklist" in path.name for path in _libraries(self.document.get("Plugins", ())))

    @property
    def hides_questions(self) -> bool:
        """Whether others may ask by C-FIND (PS3.4 annex C) without being audited: only Lua is told of it."""
        asked = self.document.get("DicomAlwaysAllowFind", False) or self.document.get("DicomModalities", {})
        scripts = map(str, self.document.get("LuaScripts", ()))
        return bool(asked) and not any(Path(each).name == SHIPPED_LUA for each in scripts)

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
        if self.serves_worklist:
            found.append("another-worklist-plugin")
        if self.hides_questions:
            found.append("questions-unaudited")
        return found


def _libraries(plugins: object) -> Iterator[Path]:
    """The libraries that Orthanc loads as plugins: each is named, or all of a folder."""
    named = plugins if isinstance(plugins, list | tuple) else [plugins]
    for each in named:
        path = Path(str(each))
        yield from path.iterdir() if path.is_dir() else [path]
