"""The `Relais` section of Orthanc's configuration: parsed once into frozen models, every error at once."""

from relais.configuration.destinations import (
    Destination,
    DicomDestination,
    DicomWebDestination,
    FilesDestination,
    MoveDestination,
    PeerDestination,
    Pool,
    Proof,
    Retry,
    Start,
)
from relais.configuration.loading import Configuration, ConfigurationErrors, load
from relais.configuration.models import (
    Completeness,
    Language,
    Role,
    Subscriber,
    User,
    schema,
)
from relais.configuration.secrets import Secret
from relais.configuration.sources import DicomSource, DicomWebSource, Prefetch, Source, Watch
from relais.configuration.worklist import Retriever, Worklist

__all__ = [
    "Completeness",
    "Configuration",
    "ConfigurationErrors",
    "Destination",
    "DicomDestination",
    "DicomSource",
    "DicomWebDestination",
    "DicomWebSource",
    "FilesDestination",
    "Language",
    "MoveDestination",
    "PeerDestination",
    "Pool",
    "Prefetch",
    "Proof",
    "Retriever",
    "Retry",
    "Role",
    "Secret",
    "Source",
    "Start",
    "Subscriber",
    "User",
    "Watch",
    "Worklist",
    "load",
    "schema",
]
