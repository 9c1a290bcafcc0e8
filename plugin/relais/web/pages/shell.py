"""What all pages share: navigation, words, times, chips, static files, and errors that a browser can show."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from babel.numbers import format_percent
from flask import Blueprint, Flask, Response, render_template, request, send_from_directory, url_for
from jinja2 import StrictUndefined
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from relais.texts import _, gettext_for
from relais.texts_matching import say_bits, say_breaker, say_grade
from relais.web.bridge import MOUNT
from relais.web.composition import current_call
from relais.web.pages import display
from relais.web.pages.actions import action_of, route_of
from relais.web.pages.chips import chip_of
from relais.web.permissions import Permission, requires
from relais.web.troubles import tell

STATIC = Path(__file__).parents[1] / "static"
UNCHANGING = "private, max-age=31536000, immutable"
THEME_COOKIE = "relais-theme"
THEMES = ("light", "dark")
BRIEF = 3

pages = Blueprint("pages", __name__, url_prefix=f"{MOUNT}/app", template_folder="../templates")


@dataclass(frozen=True)
class Place:
    """One entry of the navigation, for those who have the permission."""

    endpoint: str
    name: str
    permission: Permission
    unless: Permission | None = None
    """Whoever has this one finds it under another place."""


PLACES = (
    Place("pages.dashboard", _("Dashboard"), Permission.Enter),
    Place("pages.studies", _("Studies"), Permission.ViewStudies),
    Place("pages.reviews", _("Reviews"), Permission.ViewReviews),
    Place("pages.deliveries", _("Deliveries"), Permission.ViewDeliveries),
    Place("pages.destinations", _("Destinations"), Permission.ViewDestinations),
    Place("pages.search", _("Search"), Permission.AskSources),
    Place("pages.imports", _("Imports"), Permission.ViewImports, unless=Permission.AskSources),
    Place("pages.worklist", _("Worklist"), Permission.ViewOrders),
    Place("pages.patients", _("Patients"), Permission.ViewPatients),
    Place("pages.network", _("Network"), Permission.ViewConfiguration),
    Place("pages.notices", _("Notices"), Permission.ViewNotifications),
    Place("pages.audit", _("Audit"), Permission.ViewAudit),
    Place("pages.system", _("System"), Permission.Enter),
)

PARTS_OF = {
    "pages.study": "pages.studies",
    **dict.fromkeys(
        ("pages.imports", "pages.import_", "pages.watches", "pages.watch", "pages.sources", "pages.source"),
        "pages.search",
    ),
    "pages.order": "pages.worklist",
    "pages.review": "pages.reviews",
    "pages.patient": "pages.patients",
    "pages.delivery": "pages.deliveries",
    "pages.destination": "pages.destinations",
    "pages.notice": "pages.notices",
    "pages.network_new": "pages.network",
    "pages.network_part": "pages.network",
    "pages.rules": "pages.network",
    "pages.rule_new": "pages.network",
    "pages.rule_edit": "pages.network",
    "pages.try_it": "pages.network",
    "pages.versions": "pages.network",
    "pages.version": "pages.network",
    "pages.replay": "pages.network",
}
"""Pages that stand below a place."""


def furnish(application: Flask) -> None:
    """Give templates their words."""
    application.jinja_env.undefined = StrictUndefined
    application.jinja_env.trim_blocks = application.jinja_env.lstrip_blocks = True
    application.jinja_env.filters["given"] = given
    application.jinja_env.globals |= {
        "t": say,
        "n": count,
        "ago": ago,
        "span": lambda start, end: display.duration(end - start, language()),
        "seconds_of": lambda seconds: display.duration(timedelta(seconds=seconds), language()),
        "moment": datetime.fromisoformat,
        "lasted": lambda span: display.duration(span, language()),
        "percent": lambda share: format_percent(share, locale=language()),
        "brief": brief,
        "stored": stored,
        "drop": lambda given, name: {key: value for key, value in given.items() if key != name},
        "zip": zip,
        "number": number,
        "share": lambda probability: display.share(probability, language()),
        "bits": lambda value: say_bits(value, language()),
        "broken": lambda breaker: say_breaker(breaker.reason, breaker.counts, language()),
        "grade": lambda value: say_grade(value, language()),
        "size": lambda amount: display.size(amount, language()),
        "day": lambda text: display.day(text, language()),
        "person": display.person,
        "shortened": display.shortened,
        "clinic_name": clinic_name,
        "chip": chip,
        "tone": lambda kind, state: chip_of(kind, state).tone,
        "word": lambda kind, state: say(chip_of(kind, state).word),
        "trouble": trouble,
        "action_of": action_of,
        "post_to": lambda kind, name, values: api(route_of(kind, name), **values),
        "may": may,
        "api": api,
        "static": static_url,
    }


@pages.context_processor
def shell() -> dict[str, Any]:
    """What the frame around every page shows."""
    call = current_call()
    theme = request.cookies.get(THEME_COOKIE)
    return {
        "caller": call.caller,
        "language": call.texts.language,
        "theme": theme if theme in THEMES else None,
        "places": [place for place in PLACES if _is_shown(place)],
        "here": {request.endpoint, PARTS_OF.get(request.endpoint or "")},
    }


def _is_shown(place: Place) -> bool:
    caller = current_call().caller
    return caller.may(place.permission) and (place.unless is None or not caller.may(place.unless))


@pages.get("/static/<digest>/<path:name>")
@requires(Permission.Enter)
def static(digest: str, name: str) -> Response:
    """A style sheet, a script or an icon; its address changes with its content, so it is kept for ever."""
    response = send_from_directory(STATIC, name)
    response.direct_passthrough = False
    if digest == _digest(name):
        response.headers["Cache-Control"] = UNCHANGING
    return response


@pages.get("/<path:address>")
@requires(Permission.Enter)
def nothing(address: str) -> NoReturn:
    """Whatever no page answers to."""
    raise NotFound(address)


@pages.after_request
def speak(response: Response) -> Response:
    """Show an error as a page to a browser that asked for one; scripts get the API's document."""
    script = "HX-Request" in request.headers or "X-Relais" in request.headers
    if response.is_json and request.accept_mimetypes.accept_html and not script:
        message = (response.get_json() or {}).get("Error", "")
        page = render_template("error.html", status=response.status_code, message=message)
        response.set_data(page)
        response.content_type = "text/html; charset=utf-8"
    return response


def say(message: str, **values: object) -> str:
    """A message in the caller's language."""
    return current_call().texts.say(message, **values)


def stored(text: str | None) -> str | None:
    """What Relais stored in its own words, in the caller's language; anybody else's words stay as they are."""
    return gettext_for(language()).gettext(text) if text else text


def count(one: str, many: str, amount: int, **values: object) -> str:
    """A message about so many things, in the caller's language."""
    return current_call().texts.count(one, many, amount, number(amount), **values)


def language() -> str:
    """The caller's language."""
    return current_call().texts.language


def number(value: float) -> str:
    """A number with the language's separators."""
    return display.number(value, language())


def may(permission: str) -> bool:
    """Whether the caller has this permission."""
    return current_call().caller.may(Permission(permission))


def zone_of(clinic: str | None) -> tzinfo:
    """The clinic's time zone; for what is no clinic's, the one that all clinics share, if they do, else UTC."""
    clinics = current_call().relais.configuration.clinics
    if clinic is not None and clinic in clinics:
        return ZoneInfo(clinics[clinic].time_zone)
    zones = {each.time_zone for each in clinics.values()}
    return ZoneInfo(zones.pop()) if len(zones) == 1 else UTC


def clinic_name(clinic: str | None) -> str:
    """What people call a clinic."""
    known = current_call().relais.configuration.clinics.get(clinic or "")
    return (known.name if known else None) or clinic or ""


def ago(moment: datetime | None, clinic: str | None = None, *, planned: bool = False) -> Markup:
    """A moment relative to now, the exact time on hover, in the clinic's zone; nothing when there is none.

    What is `planned` and due happens now, never in the past.
    """
    if moment is None:
        return Markup()
    now = current_call().relais.clock.now()
    text = say("now") if planned and moment <= now else display.relative(moment, now, language())
    title = display.exact(moment, zone_of(clinic), language())
    markup = Markup('<time datetime="{}" title="{}" data-{}>{}</time>')
    return markup.format(moment.isoformat(timespec="seconds"), title, "planned" if planned else "past", text)


def brief(value: object) -> str:
    """A value of a document on one line."""
    if isinstance(value, list):
        more = f" + {number(len(value) - BRIEF)}" if len(value) > BRIEF else ""
        return ", ".join(display.shortened(str(each)) for each in value[:BRIEF]) + more
    return textwrap.shorten(str(value), 160, placeholder=display.ELLIPSIS)


def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an address that have a value."""
    return {name: value for name, value in parameters.items() if value is not None}


def chip(kind: str, state: Any) -> Markup:
    """A state as word, shape and colour."""
    found = chip_of(kind, state)
    markup = Markup('<span class="chip {0}"><svg class="shape" aria-hidden="true"><use href="#{0}"/></svg>{1}</span>')
    return markup.format(found.tone, say(found.word))


def trouble(error: Mapping[str, Any], destination: str) -> tuple[str, str]:
    """What happened on the way to a destination, and what helps."""
    call = current_call()
    return tell(error, destination, call.relais.configuration, call.texts)


def api(route: str, **values: object) -> str:
    """The address of a route of the API: `api("deliveries/<id:Id>/retry", Id=7)` is where to POST."""
    return url_for(f"POST {MOUNT}/v1/{route}", **values)  # type: ignore[arg-type]


def static_url(name: str) -> str:
    """Where a static file is; the address changes with its content."""
    return url_for("pages.static", digest=_digest(name), name=name)


@lru_cache(maxsize=64)
def _digest(name: str) -> str:
    path = STATIC / name
    if not path.is_file():
        return "none"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
