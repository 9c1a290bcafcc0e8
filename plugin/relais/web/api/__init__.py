"""The API under /relais/v1."""

from relais.web.api import audit, connectivity, deliveries, destinations, notifications, rules, studies, system, tasks

ALL = (
    system.routes,
    studies.routes,
    rules.routes,
    deliveries.routes,
    destinations.routes,
    connectivity.routes,
    notifications.routes,
    tasks.routes,
    audit.routes,
)
"""Every group of routes, in the order of the manual."""
