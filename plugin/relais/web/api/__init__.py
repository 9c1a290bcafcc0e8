"""The API under /relais/v1."""

from relais.web.api import audit, deliveries, destinations, notifications, rules, studies, system, tasks

ALL = (
    system.routes,
    studies.routes,
    rules.routes,
    deliveries.routes,
    destinations.routes,
    notifications.routes,
    tasks.routes,
    audit.routes,
)
"""Every group of routes, in the order of the manual."""
