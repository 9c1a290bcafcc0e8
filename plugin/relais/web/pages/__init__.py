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
    notices,
    studies,
    study,
    system,
)
from relais.web.pages.shell import furnish, pages

VIEWS = (dashboard, studies, study, deliveries, delivery, destinations, destination, notices, audit, system)
"""Every module that adds views to `pages`."""


def register(application: Flask) -> None:
    """Add the pages to the application."""
    furnish(application)
    application.register_blueprint(pages)
