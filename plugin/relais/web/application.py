"""The Flask application: who calls, what they may do, and one shape for every error, around all routes and pages."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter, IntegerConverter, Map

from relais.database import is_unavailable
from relais.domain.document import DocumentError, Problem
from relais.domain.orders import ACCESSION_NUMBER
from relais.domain.patients import CRM_ID
from relais.errors import ConflictError, OrthancUnavailableError, RefusedByLawError, StateError, UnknownError
from relais.texts import _
from relais.texts_residency import say_refusal
from relais.web import api
from relais.web.bridge import log_failure
from relais.web.composition import Call, Relais, current_call, relais
from relais.web.errors import CONFLICTS, Detail, ErrorAnswer, RefusedError, invalid, not_found
from relais.web.language import LANGUAGE_COOKIE, LANGUAGES, Texts
from relais.web.permissions import NOBODY, identify, permission_of
from relais.web.preview import Previews
from relais.web.requests import check_origin
from relais.web.routes import json_answer, template_of

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer, unless the view set its own."""


HTTP_MESSAGES = {
    404: _("There is nothing at this address"),
    405: _("This address does not take that method"),
    413: _("The request is too large"),
}


class UnprotectedRouteError(Exception):
    """A route was about to be registered that does not say what permission it asks for."""


class UidConverter(BaseConverter):
    """A DICOM UID (PS3.5 section 9.1)."""

    regex = "[0-9.]{1,64}"


class NameConverter(BaseConverter):
    """A key of the configuration."""

    regex = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


class IdConverter(IntegerConverter):
    """A key of a table: 64 bits, as databases have it."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, min=1, max=2**63 - 1)


class CrmConverter(BaseConverter):
    """The CRM's key of a patient."""

    regex = CRM_ID


class AccessionConverter(BaseConverter):
    """An accession number (0008,0050): a value of VR SH, in which a slash is nothing special."""

    regex = ACCESSION_NUMBER
    part_isolating = False


class FhirConverter(BaseConverter):
    """The id of a FHIR resource (hl7.org/fhir/R4/datatypes.html#id)."""

    regex = "[A-Za-z0-9.-]{1,64}"


class Application(Flask):
    """A Flask application in which every view declares its permission."""

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,  # noqa: FBT001 - Flask's own signature
        **options: Any,
    ) -> None:
        """Register a view; raises UnprotectedRouteError when it has no permission."""
        if permission_of(view_func) is None:
            raise UnprotectedRouteError(rule)
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)


def create_application(relais: Relais) -> Application:
    """The web application over what bootstrap composed."""
    application = Application("relais.web", static_folder=None, template_folder=None)
    application.extensions |= {"relais": relais, "relais.routes": api.ALL, "relais.previews": Previews(relais.orthanc)}
    converters = {"uid": UidConverter, "name": NameConverter, "id": IdConverter, "crm": CrmConverter}
    application.url_map.converters |= {**converters, "accession": AccessionConverter, "fhir": FhirConverter}
    application.url_map.strict_slashes = False
    application.url_map.merge_slashes = False  # Orthanc does it, and cannot answer the redirect (308)
    application.before_request(_admit)
    application.after_request(_finish)
    application.register_error_handler(RefusedError, _refused)
    application.register_error_handler(HTTPException, _http_error)
    application.register_error_handler(UnknownError, _unknown)
    application.register_error_handler(StateError, _conflict)
    application.register_error_handler(DocumentError, _invalid)
    application.register_error_handler(OrthancUnavailableError, _unavailable)
    application.register_error_handler(Exception, _failed)
    for routes in api.ALL:
        routes.register(application)
    pages = find_spec("relais.web.pages")
    if pages is not None and pages.origin is not None:
        import_module("relais.web.pages").register(application)
    return application


def _admit() -> None:
    """Let the caller in, or refuse."""
    parts = relais()
    g.call = Call(relais=parts, caller=NOBODY, texts=Texts(_language(None)))
    caller = identify(parts.gate, parts.configuration, request.headers.get("Authorization"))
    g.call = Call(relais=parts, caller=caller, texts=Texts(_language(caller.language)))
    if request.endpoint is None:
        return  # nothing is there: the 404 or 405 follows
    permission = permission_of(current_app.view_functions[request.endpoint])
    if permission is None or not caller.may(permission):
        raise RefusedError(
            403, "{name} has no permission {permission}", {"name": caller.name, "permission": permission}
        )
    check_origin(request)


def _language(of_caller: str | None) -> str:
    """What was chosen on the pages, else what the configuration says of the caller, else what the browser prefers."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return of_caller or request.accept_languages.best_match(LANGUAGES) or relais().configuration.language


def _finish(response: Response) -> Response:
    if request.method not in {"GET", "HEAD"} and response.status_code < 400:  # noqa: PLR2004 - errors begin here
        relais().worker.wake()  # what was asked for may be due at once
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    rule = template_of(request.url_rule.rule) if request.url_rule else "none"
    relais().metrics.observe_request(request.method, rule, response.status_code)
    return response


def _refused(error: RefusedError) -> Response:
    texts = current_call().texts
    details = [Detail(path=problem.path, message=texts.problem(problem)) for problem in error.problems]
    message = texts.say(error.message, **error.values)
    response = json_answer(ErrorAnswer, ErrorAnswer(error=message, details=details), error.status)
    response.headers.update(error.headers)
    return response


def _http_error(error: HTTPException) -> Response:
    """Werkzeug's own refusals, such as 404 and 405, in our shape."""
    refused = RefusedError(error.code or 500, HTTP_MESSAGES.get(error.code or 500, _("The request is refused")))
    response = _refused(refused)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"}))
    return response


def _unknown(error: UnknownError) -> Response:
    return _refused(not_found(error.kind, error.name))


def _conflict(error: StateError) -> Response:
    reasons = error.reasons if isinstance(error, RefusedByLawError) else ()
    words = [say_refusal(each, current_call().texts.language) for each in reasons]
    problems = [Problem("Destination", error.code, {"detail": each}) for each in words]
    problems += error.problems if isinstance(error, ConflictError) else ()
    return _refused(RefusedError(409, CONFLICTS[error.code], error.values, problems=problems))


def _invalid(error: DocumentError) -> Response:
    return _refused(invalid(error.problems))


def _unavailable(_error: OrthancUnavailableError) -> Response:
    return _refused(RefusedError(503, "Orthanc does not answer; try again", headers={"Retry-After": "2"}))


def _failed(error: Exception) -> Response:
    """One of the four boundaries: recorded once, with its trace and without its message."""
    log_failure(error)
    if is_unavailable(error):
        return _refused(RefusedError(503, "The database does not answer; try again", headers={"Retry-After": "2"}))
    return _refused(RefusedError(500, "Relais failed; its log says where"))
