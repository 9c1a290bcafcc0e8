"""English and French for what imports, watches and prefetches tell as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relais.texts import _, gettext_for
from relais.texts_sources import say_error as say_of_source

ERRORS: Mapping[str, str] = {
    "not-at-source": _("It has nothing of this study: it was deleted or merged there, or we may not see it."),
    "list-cut": _("It cuts the list of the study's images, so that nothing can be proven: raise the limit there."),
    "not-received": _("It says that it sent everything, and not all of it came: what is missing is named."),
    "no-source": _("It is no longer configured: configure it again, then retry."),
    "orthanc": _("Orthanc did not answer; it is tried again by itself."),
    "truncated": _("It cuts its answers, so that not every study can be seen: raise the limit there, or lower Days."),
    "untimed": _("It cuts its answers for a day: of studies without StudyTime, some may not be seen."),
    "broken-uids": _("It names studies by broken identifiers; they were left out."),
}
"""What happened, by the code of the error; other codes are the source's own."""

WRONG_STUDY = _("Meanwhile a study came from this source that nobody had asked for.")
SUB_OPERATIONS = _("The source reported status {Code}: {Failed} images failed, {Warnings} with warnings.")

NOTES: Mapping[str, str] = {
    "patient-unclear": _("The order does not say whose images to look for: an id and a birth date are needed."),
    "not-asked": _("{Source} did not answer."),
    "another-id": _("Left out, as the id is another: {Count}"),
    "another-issuer": _("Left out, as another system gave the id: {Count}"),
    "no-birth-date": _("Left out, as no birth date is known: {Count}"),
    "born-apart": _("Left out, as the birth date is another: {Count}"),
    "named-apart": _("Left out, as the name is another: {Count}"),
    "sources-differ": _("Left out, as the sources disagree on whose it is: {Count}"),
    "not-relevant": _("Of another part of the body and another modality: {Count}"),
    "too-many": _("Older, and more than are fetched for an order: {Count}"),
}
"""What a prefetch left out, by code."""

MESSAGES = frozenset([*ERRORS.values(), *NOTES.values(), WRONG_STUDY, SUB_OPERATIONS])
"""Every message of this module."""


def say_error(error: Mapping[str, Any], language: str) -> str:
    """Why something did not come from a source, and what helps."""
    code = str(error.get("Code", ""))
    if code in ERRORS:
        return gettext_for(language).gettext(ERRORS[code])
    return say_of_source(code, language)


def say_warning(warning: Mapping[str, Any], language: str) -> str:
    """A warning of a retrieval."""
    text = WRONG_STUDY if warning["Code"] == "wrong-study" else SUB_OPERATIONS
    return gettext_for(language).gettext(text).format_map(warning)


def say_note(note: Mapping[str, Any], language: str) -> str:
    """A note of a prefetch."""
    return gettext_for(language).gettext(NOTES[str(note["Code"])]).format_map(note)
