"""Words for what the law refuses: why, and by which article."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relais.domain.labels import Purpose
from relais.texts import _, gettext_for

REASONS: Mapping[str, str] = {
    "no-jurisdiction": _("the destination does not say under which law it stands (Jurisdiction)"),
    "no-destination": _("the configuration no longer has the destination {destination}"),
    "purpose-unknown": _("the purpose “{purpose}” is not known"),
    "purpose-not-listed": _("the destination may not receive images for the purpose “{purpose}”"),
    "no-assessment": _("images would be stored in or seen from {regions}, without a privacy assessment"),
    "assessment-not-begun": _("the privacy assessment {reference} holds only from {day} on"),
    "assessment-expired": _("the privacy assessment {reference} expired on {day}"),
    "assessment-inadequate": _("the privacy assessment {reference} found the protection in {regions} inadequate"),
    "not-deidentified": _("the privacy assessment {reference} allows only de-identified images in {regions}"),
    "purpose-needs-deidentification": _("for the purpose “{purpose}” only de-identified images may leave Quebec"),
    "no-agreement": _("there is no written agreement with whoever receives in {regions}"),
    "agreement-not-begun": _("the agreement {reference} holds only from {day} on"),
    "agreement-expired": _("the agreement {reference} expired on {day}"),
    "restricted": _("the restriction number {restriction} forbids it"),
    "undecidable": _("it could not be judged ({error})"),
}
"""Why it is refused, by the code of a reason."""

RETRIEVALS: Mapping[str, str] = {
    "unknown-retriever": _(
        "nobody with the AE title {aet} is among Retrievers or Destinations: add who it is to Retrievers"
    ),
    "retriever-of-other-clinics": _("{destination} may not fetch images of this clinic"),
}
"""The same, where somebody fetches by C-MOVE whom the law is not asked about."""

PURPOSES: Mapping[Purpose, str] = {
    Purpose.Care: _("care"),
    Purpose.Quality: _("quality of care"),
    Purpose.Teaching: _("teaching"),
    Purpose.Research: _("research"),
    Purpose.PublicHealth: _("public health"),
    Purpose.Patient: _("a request of the patient"),
    Purpose.Insurance: _("insurance"),
    Purpose.Legal: _("a court or an inquiry"),
}

ARTICLE = _("{law} s. {section}")
WITH_ARTICLES = _("{reason} ({articles})")

MESSAGES = frozenset([*REASONS.values(), *RETRIEVALS.values(), *PURPOSES.values(), ARTICLE, WITH_ARTICLES])
"""Every message of this module."""


def say_purpose(purpose: str, language: str) -> str:
    """What a purpose is called; one that is not known stays as it is."""
    known = PURPOSES.get(Purpose(purpose)) if purpose in tuple(Purpose) else None
    return purpose if known is None else gettext_for(language).gettext(known)


def say_refusal(reason: Mapping[str, Any], language: str) -> str:
    """One reason of a refusal, as it is stored with a delivery, with its articles."""
    translate = gettext_for(language).gettext
    values = {name: str(value) for name, value in reason.get("Values", {}).items()}
    if "purpose" in values:
        values["purpose"] = say_purpose(values["purpose"], language)
    text = translate({**REASONS, **RETRIEVALS}[reason["Refused"]]).format_map(values)
    articles = [translate(ARTICLE).format(law=law, section=section) for law, section in _articles(reason)]
    return translate(WITH_ARTICLES).format(reason=text, articles=", ".join(articles)) if articles else text


def _articles(reason: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [each.partition(" s. ") for each in reason.get("Articles", ())]
    return [(law, section) for law, _between, section in found]
