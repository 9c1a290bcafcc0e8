"""What a test of a destination looks at, step by step: a plan for each kind."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from relais.configuration import (
    Destination,
    DicomDestination,
    DicomWebDestination,
    FilesDestination,
    MoveDestination,
    PeerDestination,
    Proof,
)
from relais.configuration.sources import DicomSource, Retrieval, Source
from relais.configuration.web_access import WebAccess
from relais.domain.connectivity import Found, StepName
from relais.transports.probes.client import Client
from relais.transports.probes.dicom import COMMITMENT, FIND, MOVE, DicomSteps, Peer
from relais.transports.probes.files import FilesSteps
from relais.transports.probes.network import Endpoint, TlsOptions
from relais.transports.probes.peer import PeerSteps
from relais.transports.probes.web import WebSteps

Action = Callable[[float], Found]
"""One step; it is told how many seconds it may take."""

_PORTS = {"http": 80, "https": 443, "sftp": 22}
_NEEDS = {Proof.Stored: (), Proof.Queried: (FIND,), Proof.Committed: (COMMITMENT,)}


@dataclass(frozen=True, kw_only=True)
class Ourselves:
    """What Orthanc's configuration says of us towards DICOM peers: its AE title and its TLS files."""

    aet: str
    tls: TlsOptions

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Ourselves:
        """Read Orthanc's configuration."""
        tls = TlsOptions(
            authority=document.get("DicomTlsTrustedCertificates") or None,
            certificate=document.get("DicomTlsCertificate") or None,
            key=document.get("DicomTlsPrivateKey") or None,
            checks_name=False,
        )
        return cls(aet=str(document.get("DicomAet", "ORTHANC")), tls=tls)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps in their order; one without an action was not asked for. `close` ends whatever is still under way."""

    steps: Mapping[StepName, Action | None]
    close: Callable[[], None]


def plan_of(
    destination: Destination, *, sources: Mapping[str, Source], ourselves: Ourselves, store: bool = False
) -> Plan:
    """The plan for a destination; with `store` a test object is stored there, and found again."""
    if isinstance(destination, DicomDestination):
        return _dicom(destination, ourselves, store=store)
    if isinstance(destination, MoveDestination):
        return dicom_source(cast("DicomSource", sources[destination.source]), ourselves)
    if isinstance(destination, DicomWebDestination):
        return _web(destination, store=store)
    if isinstance(destination, PeerDestination):
        return _peer(destination, store=store)
    return _files(destination)


def _dicom(destination: DicomDestination, ourselves: Ourselves, *, store: bool) -> Plan:
    endpoint = Endpoint(destination.host, destination.port)
    tls = ourselves.tls if destination.tls else None
    local_aet = destination.local_aet or ourselves.aet
    peer = Peer(aet=destination.aet, local_aet=local_aet, tls=tls, needs=_NEEDS[destination.proof])
    steps = DicomSteps(endpoint, peer)
    plan = {
        **_network(endpoint, tls),
        StepName.Association: steps.associate,
        StepName.Echo: steps.echo,
        StepName.Store: steps.store if store else None,
        StepName.Find: steps.find if store else None,
    }
    return Plan(steps=plan, close=steps.close)


def dicom_source(source: DicomSource, ourselves: Ourselves) -> Plan:
    """The source of a C-MOVE: whether it would send cannot be known without a study that it has."""
    endpoint = Endpoint(source.host, source.port)
    tls = ourselves.tls if source.tls else None
    local_aet = source.calling_aet or ourselves.aet
    needs = (MOVE,) if source.manners.retrieve is Retrieval.Move else ()
    steps = DicomSteps(endpoint, Peer(aet=source.aet, local_aet=local_aet, tls=tls, needs=needs, images=False))
    plan = {**_network(endpoint, tls), StepName.Association: steps.associate, StepName.Echo: steps.echo}
    return Plan(steps=plan, close=steps.close)


def web_source(source: WebAccess, token: str | None) -> Plan:
    """A DICOMweb server that is asked."""
    client, network = _http(source, token)
    steps = WebSteps(client)
    plan = {**network, StepName.Http: steps.reach, StepName.Clock: steps.clock}
    return Plan(steps=plan, close=client.close)


def _web(destination: DicomWebDestination, *, store: bool) -> Plan:
    client, network = _http(destination, destination.token.resolve() if destination.token else None)
    steps = WebSteps(client)
    plan = {
        **network,
        StepName.Http: steps.reach,
        StepName.Clock: steps.clock,
        StepName.Query: steps.query,
        StepName.Store: steps.store if store else None,
        StepName.Find: steps.find if store else None,
    }
    return Plan(steps=plan, close=client.close)


def _peer(destination: PeerDestination, *, store: bool) -> Plan:
    client, network = _http(destination, None)
    steps = PeerSteps(client)
    plan = {
        **network,
        StepName.Http: steps.reach,
        StepName.Clock: steps.clock,
        StepName.Store: steps.store if store else None,
        StepName.Find: steps.find if store else None,
        StepName.Delete: steps.delete if store else None,
    }
    return Plan(steps=plan, close=client.close)


def _files(destination: FilesDestination) -> Plan:
    steps = FilesSteps(destination)
    parts = urlsplit(destination.url)
    network: Mapping[StepName, Action] = {}
    if parts.scheme == "sftp":
        network = _network(Endpoint(parts.hostname or "", parts.port or _PORTS["sftp"]), None)
    elif parts.scheme == "s3":
        network = _of_url(destination.endpoint or "https://s3.amazonaws.com", TlsOptions())
    plan = {
        **network,
        StepName.Write: steps.write,
        StepName.Read: steps.read,
        StepName.Delete: steps.delete,
        StepName.Space: steps.space,
    }
    return Plan(steps=plan, close=steps.close)


def _http(destination: WebAccess, token: str | None) -> tuple[Client, Mapping[StepName, Action]]:
    options = TlsOptions(authority=destination.authority, certificate=destination.certificate)
    headers = {"User-Agent": "Relais"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    elif destination.user is not None and destination.password is not None:
        credentials = f"{destination.user}:{destination.password.resolve()}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
    return Client(destination.url, headers, options), _of_url(destination.url, options)


def _of_url(url: str, options: TlsOptions) -> Mapping[StepName, Action]:
    parts = urlsplit(url)
    endpoint = Endpoint(parts.hostname or "", parts.port or _PORTS[parts.scheme])
    return _network(endpoint, options if parts.scheme == "https" else None)


def _network(endpoint: Endpoint, tls: TlsOptions | None) -> dict[StepName, Action]:
    steps: dict[StepName, Action] = {StepName.Name: endpoint.resolve, StepName.Connection: endpoint.connect}
    if tls is not None:
        steps[StepName.Tls] = lambda seconds: endpoint.secure(tls, seconds)
    return steps
