"""Orthanc's own ways out: the requests by which images leave, or are made to leave, without Relais being asked.

A download by whoever asked for it is an access, not a way out: it is Orthanc's users who decide about those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Manner(StrEnum):
    """How images would leave."""

    Send = "Send"  # to a modality, a peer or a server
    Move = "Move"  # another archive is told to send them, to whom the request's body says
    Define = "Define"  # who a modality, a peer or a server is
    Repeat = "Repeat"  # a job that sends is run again
    Serve = "Serve"  # another Orthanc fetches them, block by block
    Write = "Write"  # files are written where the server can write
    Script = "Script"  # Lua, which may do all of this


@dataclass(frozen=True)
class WayOut:
    """One kind of request: `route` is its path with `{…}` where names and ids stand, so that it has none of them."""

    route: str
    manner: Manner

    @property
    def parts(self) -> tuple[str, ...]:
        """The components of the path."""
        return tuple(self.route.split("/")[1:])


WAYS_OUT = (
    WayOut("/modalities/{name}/store", Manner.Send),
    WayOut("/modalities/{name}/store-straight", Manner.Send),
    WayOut("/modalities/{name}/move", Manner.Move),
    WayOut("/modalities/{name}", Manner.Define),
    WayOut("/queries/{id}/retrieve", Manner.Move),
    WayOut("/queries/{id}/answers/{index}/retrieve", Manner.Move),
    WayOut("/peers/{name}/store", Manner.Send),
    WayOut("/peers/{name}/store-straight", Manner.Send),
    WayOut("/peers/{name}", Manner.Define),
    WayOut("/jobs/{id}/resubmit", Manner.Repeat),
    WayOut("/jobs/{id}/resume", Manner.Repeat),
    WayOut("/instances/{id}/export", Manner.Write),
    WayOut("/tools/execute-script", Manner.Script),
    WayOut("/transfers/send", Manner.Send),  # transfers accelerator
    WayOut("/transfers/lookup", Manner.Serve),
    WayOut("/transfers/chunks/{id}", Manner.Serve),
    WayOut("/move-storage", Manner.Write),  # object storage
)
"""The routes of Orthanc and of plugins that always have the same path; POST, PUT and DELETE of them."""

AT_ANY_ROOT = (
    WayOut("/servers/{name}/stow", Manner.Send),
    WayOut("/servers/{name}", Manner.Define),
)
"""The routes of the DICOMweb plugin, whose root is an option."""

_BY_FIRST: Mapping[str, tuple[WayOut, ...]] = {
    first: tuple(each for each in WAYS_OUT if each.parts[0] == first) for first in {each.parts[0] for each in WAYS_OUT}
}


def recognise(method: str, path: str) -> WayOut | None:
    """The way out that a request is, or None.

    `path` is decoded and without query, as Orthanc hands it to its filters; `method` the one that Orthanc acts on,
    where a request names another (X-HTTP-Method-Override, `_method`).
    """
    parts = _parts(path)
    if not parts:
        return None
    for each in _BY_FIRST.get(parts[0], ()):
        if _fits(parts, each.parts) and (method != "GET" or each.manner is Manner.Serve):
            return each
    if method != "GET":
        for each in AT_ANY_ROOT:
            size = len(each.parts)
            if len(parts) > size and _fits(parts[-size:], each.parts):
                return each
    return None


def _parts(path: str) -> list[str]:
    """The components of a path, as Orthanc's HTTP server reads it (RFC 3986 section 5.2.4)."""
    parts: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _fits(parts: list[str], wanted: tuple[str, ...]) -> bool:
    return len(parts) == len(wanted) and all(
        text.startswith("{") or text == part for part, text in zip(parts, wanted, strict=True)
    )
