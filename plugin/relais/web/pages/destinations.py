"""Destinations: each lane's health, what waits there, and since when."""

from __future__ import annotations

from flask import render_template

from relais.configuration import Pool
from relais.web.api import destinations as api
from relais.web.composition import current_call
from relais.web.pages.actions import OF_LANE
from relais.web.pages.reasons import KINDS
from relais.web.pages.shell import pages
from relais.web.permissions import Permission, requires


@pages.get("/destinations")
@requires(Permission.ViewDestinations)
def destinations() -> str:
    """The page."""
    return render_template("destinations.html", **_now())


@pages.get("/destinations/live")
@requires(Permission.ViewDestinations)
def destinations_live() -> str:
    """The cards."""
    return render_template("destinations-live.html", **_now())


def _now() -> dict[str, object]:
    call = current_call()
    return {
        "lanes": api.find(call).items,
        "actions": OF_LANE,
        "kinds": KINDS,
        "pools": {name: _shares(pool) for name, pool in call.relais.configuration.pools.items()},
    }


def _shares(pool: Pool) -> list[tuple[str, float]]:
    """The part of the patients that each destination of a pool gets."""
    whole = sum(pool.of.values())
    return [(name, weight / whole) for name, weight in pool.of.items()]
