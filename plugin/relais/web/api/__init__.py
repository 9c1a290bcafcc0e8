"""The API under /relais/v1."""

from relais.web.api import (
    audit,
    configuration,
    connectivity,
    deliveries,
    destinations,
    fhir,
    matches,
    notifications,
    patients,
    replays,
    restrictions,
    reviews,
    rules,
    studies,
    system,
    tasks,
)

ALL = (
    system.routes,
    studies.routes,
    matches.routes,
    fhir.routes,
    reviews.routes,
    rules.routes,
    configuration.routes,
    replays.routes,
    deliveries.routes,
    destinations.routes,
    connectivity.routes,
    notifications.routes,
    patients.routes,
    tasks.routes,
    restrictions.routes,
    audit.routes,
)
"""Every group of routes, in the order of the manual."""
