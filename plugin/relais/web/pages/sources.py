"""Sources: the PACS that can be asked, whether they are well, and what tests of them say."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from relais.texts import _
from relais.web.api import sources as api
from relais.web.composition import current_call
from relais.web.pages import reasons
from relais.web.pages.shell import pages
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing, Paging
from relais.web.requests import read_query

TESTS_SHOWN = 10

KINDS = {"Dicom": _("DICOM (C-FIND)"), "DicomWeb": _("DICOMweb (QIDO-RS)")}
LEVELS = {"Patient": _("patients"), "Study": _("studies"), "Series": _("series"), "Instance": _("images")}


@pages.get("/sources")
@requires(Permission.ViewDestinations)
def sources() -> str:
    """The page."""
    return render_template("sources.html", **_now())


@pages.get("/sources-live")
@requires(Permission.ViewDestinations)
def sources_live() -> str:
    """The cards."""
    return render_template("sources-live.html", **_now())


@pages.get("/sources/<name:Name>")
@requires(Permission.ViewDestinations)
def source(Name: str) -> str:  # noqa: N803
    """One of them."""
    read_query(request, Nothing)
    call = current_call()
    found = api.one(call, Name)
    known = call.relais.configuration.sources[Name]
    return render_template(
        "source.html",
        source=found,
        kinds=KINDS,
        levels=LEVELS,
        windows=reasons.windows(known.windows),
        watches=[name for name, each in call.relais.configuration.watches.items() if each.source == Name],
        tests=_tests(Name),
    )


@pages.get("/sources/<name:Name>/tests")
@requires(Permission.ViewDestinations)
def source_tests(Name: str) -> str:  # noqa: N803
    """The latest tests of its connection."""
    read_query(request, Nothing)
    call = current_call()
    return render_template("source-tests.html", source=api.one(call, Name), tests=_tests(Name))


def _tests(name: str) -> Any:
    return api.tests(current_call(), name, Paging(limit=TESTS_SHOWN)).items


def _now() -> dict[str, Any]:
    call = current_call()
    return {"sources": api.find(call).items, "kinds": KINDS}
