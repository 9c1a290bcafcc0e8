"""Which module asks a source: one a kind, imported only where a source is of it."""

from __future__ import annotations

from relais.configuration.sources import DicomSource
from relais.configuration.sources import Source as Configured
from relais.transports.port import OrthancApi
from relais.transports.probes import Ourselves
from relais.transports.sources.port import Source


def open_source(orthanc: OrthancApi, name: str, source: Configured, ourselves: Ourselves) -> Source:
    """The way to the source of this name; `ourselves` is what Orthanc's configuration says of us."""
    if isinstance(source, DicomSource):
        from relais.transports.sources.dicom import DicomPacs

        return DicomPacs(orthanc, name, source, ourselves)
    from relais.transports.sources.dicomweb import WebPacs

    return WebPacs(orthanc, name, source)
