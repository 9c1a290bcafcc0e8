"""Which module sends to a destination: one a kind, imported only where a destination is of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from relais.clock import Clock
from relais.configuration import (
    Destination,
    DicomDestination,
    DicomSource,
    DicomWebDestination,
    FilesDestination,
    MoveDestination,
    Source,
)
from relais.transports.content import Stored
from relais.transports.port import WALL, Content, OrthancApi, Transport
from relais.transports.probes import Ourselves


def open_transport(
    orthanc: OrthancApi,
    name: str,
    destination: Destination,
    sources: Mapping[str, Source],
    ourselves: Ourselves,
    clock: Clock = WALL,
) -> Transport:
    """The way to the destination of this name, to which we are `ourselves`; `clock` is that of the permits."""
    content = _content(orthanc, destination)
    match destination:
        case DicomDestination():
            from relais.transports.dicom import DicomTransport

            return DicomTransport(orthanc, name, destination, content, ourselves, clock)
        case MoveDestination():
            from relais.transports.move import MoveTransport

            source = cast("DicomSource", sources[destination.source])  # the configuration takes no other
            return MoveTransport(orthanc, name, destination, content, source, clock)
        case DicomWebDestination():
            from relais.transports.dicomweb import DicomWebTransport

            return DicomWebTransport(orthanc, name, destination, content, clock)
        case FilesDestination():
            from relais.transports.files import FilesTransport

            return FilesTransport(orthanc, name, destination, content, clock)
        case _:
            from relais.transports.peer import PeerTransport

            return PeerTransport(orthanc, name, destination, content, clock)


def _content(orthanc: OrthancApi, destination: Destination) -> Content:
    if not destination.transforms:
        return Stored(orthanc)
    from relais.transports.transformed import Transformed

    return Transformed(orthanc, destination)
