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
    Source,
    Subscriber,
    User,
    schema,
)
from relais.configuration.secrets import Secret

__all__ = [
    "Completeness",
    "Configuration",
    "ConfigurationErrors",
    "Destination",
    "DicomDestination",
    "DicomWebDestination",
    "FilesDestination",
    "Language",
    "MoveDestination",
    "PeerDestination",
    "Pool",
    "Proof",
    "Retry",
    "Role",
    "Secret",
    "Source",
    "Start",
    "Subscriber",
    "User",
    "load",
    "schema",
]
