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
    imports,
    network,
    network_editor,
    notices,
    patient_records,
    patients,
    replays,
    review,
    reviews,
    rule_builder,
    rules,
    search,
    sources,
    studies,
    study,
    system,
    try_it,
    versions,
    watches,
    worklist,
)
from relais.web.pages.shell import furnish, pages

VIEWS = (
    *(reviews, review, patients, patient_records, find_patient),
    *(dashboard, studies, study, deliveries, delivery, destinations, destination, notices, audit, system),
    *(search, imports, watches, sources, worklist),
    *(network, network_editor, rules, rule_builder, try_it, versions, replays),
)
"""Every module that adds views to `pages`."""


def register(application: Flask) -> None:
    """Add the pages to the application."""
    furnish(application)
    application.register_blueprint(pages)
