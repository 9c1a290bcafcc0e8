"""The self-check of Orthanc's own ways out: what its configuration and its live definitions leave open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relais.errors import OrthancError, OrthancUnavailableError
from relais.orthanc.capabilities import SHIPPED_LUA
from relais.orthanc.client import Orthanc

OURS = "relais-"
"""The names of the modalities that Relais defines begin so."""
SENDING_PLUGINS = frozenset({"transfers", "multitenant-dicom", "java"})
"""Plugins that send by themselves, let others fetch, or run somebody's code."""
SHIPPED_SCRIPT = "main.py"


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One way out that is open; `names` tells by whom or by what."""

    code: str
    names: tuple[str, ...] = ()


def configured(document: Mapping[str, Any], *, filters: bool) -> list[Opening]:
    """What Orthanc's configuration leaves open; `filters` tells whether the doorkeeper could be registered."""
    found = [
        Opening(code=code)
        for code, option in (
            ("always-move", "DicomAlwaysAllowMove"),
            ("always-get", "DicomAlwaysAllowGet"),
            ("execute-lua", "ExecuteLuaEnabled"),
            ("write-files", "RestApiWriteToFileSystemEnabled"),
            ("kept-modalities", "DicomModalitiesInDatabase"),
            ("kept-peers", "OrthancPeersInDatabase"),
        )
        if document.get(option, False)
    ]
    if not filters:
        found.append(Opening(code="no-filter"))
    scripts = tuple(each for each in map(str, document.get("LuaScripts", ())) if not each.endswith(f"/{SHIPPED_LUA}"))
    if scripts:
        found.append(Opening(code="lua-scripts", names=scripts))
    script = str(document.get("PythonScript", SHIPPED_SCRIPT)).replace("\\", "/").rpartition("/")[2]
    if script != SHIPPED_SCRIPT:
        found.append(Opening(code="own-script", names=(script,)))
    return found


def defined(orthanc: Orthanc, document: Mapping[str, Any]) -> list[Opening]:
    """Whom Orthanc knows now beside those that Relais defines, and what they may ask for; nothing while it is silent.

    A live definition counts, not the configuration: REST requests and the database change it.
    """
    try:
        modalities = orthanc.get("/modalities?expand")
        found = [
            Opening(code="modalities", names=_others(modalities)),
            Opening(
                code="may-retrieve",
                names=tuple(sorted(name for name, each in modalities.items() if _may_retrieve(each))),
            ),
            Opening(code="peers", names=_others(orthanc.get("/peers"))),
            Opening(code="servers", names=_others(_servers(orthanc, document))),
            Opening(code="plugins", names=tuple(sorted(SENDING_PLUGINS & set(orthanc.get("/plugins"))))),
        ]
    except (OrthancError, OrthancUnavailableError):
        return []
    return [each for each in found if each.names]


def _others(names: object) -> tuple[str, ...]:
    return tuple(
        sorted(name for name in map(str, names if isinstance(names, list | dict) else ()) if not name.startswith(OURS))
    )


def _may_retrieve(modality: Mapping[str, Any]) -> bool:
    """Whether this modality may have Orthanc send by C-GET (PS3.4 annex C); of C-MOVE the law is asked."""
    return bool(modality.get("AllowGet", True))


def _servers(orthanc: Orthanc, document: Mapping[str, Any]) -> object:
    """The DICOMweb plugin's servers; none without the plugin."""
    options = document.get("DicomWeb", {})
    root = str(options.get("Root", "/dicom-web/")).strip("/") if isinstance(options, Mapping) else "dicom-web"
    try:
        return orthanc.get(f"/{root}/servers")
    except OrthancError:
        return []
