"""The pages under /relais/app: each reads like the API does, and writes through the API's own routes."""

from __future__ import annotations

from flask import Flask

from relais.web.pages import (
    audit,
    dashboard,
    deliveries,
    delivery,
    destination,
    destinations,
    find_patient,
    network,
    network_editor,
    notices,
    patients,
    replays,
    review,
    reviews,
    rule_builder,
    rules,
    studies,
    study,
    system,
    try_it,
    versions,
)
from relais.web.pages.shell import furnish, pages

VIEWS = (
    *(reviews, review, patients, find_patient),
    *(dashboard, studies, study, deliveries, delivery, destinations, destination, notices, audit, system),
    *(network, network_editor, rules, rule_builder, try_it, versions, replays),
)
"""Every module that adds views to `pages`."""


def register(application: Flask) -> None:
    """Add the pages to the application."""
    furnish(application)
    application.register_blueprint(pages)
