"""Words for how sources take questions: why one did not answer, and what a person should know of the answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from relais.domain.querying import SourceState
from relais.texts import _, gettext_for

ERRORS: Mapping[str, str] = {
    "timeout": _("It did not answer in time."),
    "refused": _("Nobody answers at its address: check its host and port, or whether it runs."),
    "unreachable": _("No way leads to it: check the network."),
    "name-not-resolved": _("The name of its host is not known."),
    "tls": _("Its certificate, or ours, is not accepted."),
    "certificate": _("The certificates that Orthanc has for DICOM, or those of the source, cannot be read."),
    "aborted": _("It broke the association off."),
    "interrupted": _("The connection broke off."),
    "rejected-called-aet": _("It does not know the AE title by which we call it (Aet)."),
    "rejected-calling-aet": _("It does not know our AE title (CallingAet): it must be entered there."),
    "rejected-busy": _("It accepts no more associations at the moment."),
    "rejected-protocol": _("It rejects the association: it speaks another protocol."),
    "rejected-without-reason": _("It rejects the association and does not say why."),
    "no-query": _("It accepts the association, but no questions or retrievals: it must be allowed there."),
    "not-dicomweb": _("What it answers is not DICOMweb: check Url."),
    "level-not-asked": _("It is not asked at this level (Levels)."),
    "disordered": _("Its answers were mixed up on their way; ask again."),
    "ended": _("The question was ended before it answered."),
    "broken": _("It could not be asked: the log says why."),
    "0110": _("It failed while it worked on the question."),
    "0120": _("It misses a key in the question: it may need another Root or Profile."),
    "0122": _("It does not do this service."),
    "0124": _("It does not allow this to us: our AE title must be given the right there."),
    "A801": _("It does not know the AE title to which it should send (MoveTo): it must be entered there."),
    "C801": _("It does not know the AE title to which it should send (MoveTo): it must be entered there."),
    "A900": _("It does not take this question: it may need another key, or another Profile."),
    "401": _("It does not accept our name and password, or our token."),
    "403": _("It does not allow this to us."),
    "404": _("Nothing is found at its address: check Url."),
}
RESOURCES = _("It has no resources for this now (status {code}).")
FAILED = _("It failed, such as when its database is away (status {code}).")
REFUSED = _("It refused with status {code}.")

NOTES: Mapping[str, str] = {
    "recent-only": _(
        "The question tells nothing apart, so that only the last {days} days were asked for: "
        "give a name, an id or a date."
    ),
    "several-patients": _("{count} of the studies are said to belong to two patients: see where their sources differ."),
    "dropped": _("{count} answers of {source} had no sound UID and were left out."),
}

STATES: Mapping[SourceState, str] = {
    SourceState.Waiting: _("is being asked"),
    SourceState.Answered: _("answered"),
    SourceState.Truncated: _("has more than it answered"),
    SourceState.TimedOut: _("did not answer in time"),
    SourceState.Refused: _("refused"),
    SourceState.Unreachable: _("cannot be reached"),
}

MESSAGES = frozenset([*ERRORS.values(), *NOTES.values(), *STATES.values(), RESOURCES, FAILED, REFUSED])
"""Every message of this module."""


def say_error(code: str, language: str) -> str:
    """Why a source did not answer, and what to do about it."""
    text = ERRORS.get(code)
    if text is None:
        text = RESOURCES if re.match("A7|0213|429|503", code) else FAILED if re.match("C|B|5", code) else REFUSED
    return gettext_for(language).gettext(text).format(code=code)


def say_note(code: str, values: Mapping[str, Any], language: str) -> str:
    """What a person should know of the answers."""
    return gettext_for(language).gettext(NOTES[code]).format_map(values)


def say_state(state: SourceState, language: str) -> str:
    """How a source took it, in a word or two."""
    return gettext_for(language).gettext(STATES[state])
