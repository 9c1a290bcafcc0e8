"""The API under /relais/v1."""

from relais.web.api import (
    audit,
    configuration,
    connectivity,
    deliveries,
    destinations,
    notifications,
    replays,
    restrictions,
    rules,
    studies,
    system,
    tasks,
)

ALL = (
    system.routes,
    studies.routes,
    rules.routes,
    configuration.routes,
    replays.routes,
    deliveries.routes,
    destinations.routes,
    connectivity.routes,
    notifications.routes,
    tasks.routes,
    restrictions.routes,
    audit.routes,
)
"""Every group of routes, in the order of the manual."""
