"""The `Relais` section of Orthanc's configuration: parsed once into frozen models, every error at once."""

from relais.configuration.loading import Configuration, ConfigurationErrors, load
from relais.configuration.models import (
    Completeness,
    Destination,
    Language,
    Retry,
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
    "Language",
    "Retry",
    "Role",
    "Secret",
    "Source",
    "Subscriber",
    "User",
    "load",
    "schema",
]
