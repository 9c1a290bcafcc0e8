"""Words for what the domain returns as data, in English and French.

English stands here, French in `web/locales/fr/LC_MESSAGES/relais.po`, read as it is: nothing to compile.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterable
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from relais.domain.clinics import Resolution
from relais.domain.conditions import ConditionOutcome
from relais.domain.document import Problem
from relais.domain.routing import RuleOutcome, Verdict

LOCALES = Path(__file__).parent / "web" / "locales"


def _(message: str) -> str:
    """Marks a message for the catalogue; it is translated where it is used."""
    return message


PROBLEMS: dict[str, str] = {
    "missing": _("is required"),
    "unknown-key": _("there is no option of this name"),
    "later": _('"{name}" is not supported by this version'),
    "string_type": _("must be a text"),
    "string_unicode": _("has characters that Unicode does not know"),
    "bool_type": _("must be true or false"),
    "int_type": _("must be a whole number"),
    "greater_than_equal": _("must be at least {ge}"),
    "less_than_equal": _("must be at most {le}"),
    "tuple_type": _("must be a list"),
    "dict_type": _("must be an object"),
    "mapping_type": _("must be an object"),
    "model_type": _("must be an object"),
    "model_attributes_type": _("must be an object"),
    "empty": _("must not be empty"),
    "duplicate": _('"{name}" is there more than once'),
    "repeated-name": _('another rule is already named "{name}"'),
    "not-one-of": _('"{name}" is not one of these: {known}'),
    "not-number": _("must be a number"),
    "out-of-range": _("must lie between {low} and {high}"),
    "not-scalar": _("must be a text or a number"),
    "not-values": _("must be a text, a number or a list of them"),
    "not-secret": _('must be a text, {{"Env": "NAME"}} or {{"File": "path"}}'),
    "secret-without-variable": _('there is no environment variable "{name}"'),
    "secret-without-file": _('the file "{name}" cannot be read: {reason}'),
    "secret-not-base64": _("must be a key in base64, with or without whsec_ before it"),
    "unknown-destination": _('no destination is named "{name}"'),
    "unknown-clinic": _('no clinic is named "{name}"'),
    "unknown-source": _('no source is named "{name}"'),
    "unknown-keyword": _('"{name}" is not the keyword of a DICOM attribute'),
    "bad-name": _("a name has 1 to 64 letters, digits, - or _, and starts with a letter or a digit"),
    "bad-region": _('"{name}" is not a region such as CA-QC'),
    "bad-time-zone": _('"{name}" is not a time zone such as America/Toronto'),
    "bad-network": _('"{name}" is not a network such as 10.1.0.0/16'),
    "bad-aet": _("an AE title has 1 to 16 characters, without accents, backslashes or control characters"),
    "bad-host": _('"{name}" is neither a host name nor an address'),
    "bad-url": _("must be an http or https address"),
    "url-with-query": _("must not carry a query: paths are added to it"),
    "url-with-extras": _("must not carry a user, a password or a fragment"),
    "bad-database": _("must be sqlite:///path or postgresql+psycopg://user@host/name"),
    "bad-day": _("must be a day such as 2027-04-01"),
    "bad-time": _('"{name}" is not a time of the day such as 19:00'),
    "bad-storage": _("must begin with one of {known}, each followed by :// and a place"),
    "bad-syntax": _('"{name}" is not the UID of a transfer syntax'),
    "bad-sop-class": _('"{name}" is neither the UID nor the keyword of a SOP class'),
    "bad-modality": _('"{name}" is not a modality such as PX'),
    "bad-expression": _("not a regular expression (RE2): {reason}"),
    "unknown-field": _('there is no field "{name}"'),
    "field-without-values": _('"{name}" holds no text or number that a rule could ask for (VR {vr})'),
    "mixed-kinds": _("must be all texts or all numbers"),
    "not-of-kind": _('"{name}" is not {kind}, which {field} holds'),
    "without-order": _('"{name}" has no order: use Equals or In'),
    "not-two": _("must be a list of two values"),
    "not-ordered": _("the first value must not be after the second: {low}, {high}"),
    "not-one-operator": _("must have exactly one of {known}"),
    "group-with-field": _("All, Any and None stand without Field"),
    "without-field": _("needs a Field"),
    "too-deep": _("conditions nest deeper than {limit}"),
    "rule-without-effect": _("must have DeliverTo, Hold or Stop"),
    "not-one-way": _("must have either Hold or DeliverTo"),
    "proof-not-of-kind": _("storage commitment (Proof: Committed) exists for the kind Dicom only"),
    "moved-unchanged": _(
        "what a source sends by itself passes unchanged and whole: no Only, Coerce, Deidentify, Transcode, ZeroPreamble"
    ),
    "user-and-password": _("must have both User and Password, or neither"),
    "key-too-short": _("the key must have at least 16 characters"),
    "failover-to-itself": _("FailoverTo must name another destination"),
    "failover-to-pool": _('"{name}" is a pool: name one destination'),
    "failover-circle": _("FailoverTo leads in a circle: {way}"),
    "pool-in-pool": _('"{name}" is a pool itself: name its destinations'),
    "pool-without-weight": _("at least one destination must have a weight above 0"),
}
"""What is wrong, by a problem's code; a code that is missing here is a defect."""

KINDS: dict[str, str] = {
    "Number": _("a number"),
    "Date": _("a date such as 2026-04-01"),
    "Time": _("a time such as 17:30"),
    "Age": _("an age such as 018Y"),
}

DID_YOU_MEAN = _("; did you mean {nearest}?")

WANTED: dict[str, str] = {
    "Equals": _("{wanted}"),
    "In": _("{wanted}"),
    "StartsWith": _("a value that starts with {wanted}"),
    "Contains": _("a value that contains {wanted}"),
    "Matches": _("a value like {wanted}"),
    "Regex": _("a value that matches {wanted}"),
    "Exists": _("a value"),
    "LessThan": _("less than {wanted}"),
    "AtLeast": _("at least {wanted}"),
    "Between": _("between {low} and {high}"),
}
NO_VALUE = _("no value")
SEEN = _("{field} was {seen}")
MISSING = _("{field} had no value")
WANTS = _("{seen}; the rule wants {wanted}")
EXCLUDES = _("{seen}; the rule excludes {wanted}")
NONE_HOLDS = _("none of these holds: {reasons}")
ALL_HOLD = _("these hold together: {reasons}")
NOT_ASKED = _("a rule above it held and said Stop")
DISABLED = _("the rule is disabled")

LEVELS: dict[str, str] = {
    "CalledAet": _("called AE title {value} is that of {clinic} ({pattern})"),
    "CallingAet": _("calling AE title {value} is that of {clinic} ({pattern})"),
    "Network": _("address {value} is in the network of {clinic} ({pattern})"),
    "InstitutionName": _("institution name {value} is that of {clinic} ({pattern})"),
}
NO_CLINIC = _("no clinic knows the AE titles, the address or the institution name")
SEVERAL_CLINICS = _("several clinics claim the study: {reasons}")

MESSAGES: frozenset[str] = frozenset(
    [
        *(message for table in (PROBLEMS, KINDS, WANTED, LEVELS) for message in table.values()),
        *(DID_YOU_MEAN, NO_VALUE, SEEN, MISSING, WANTS, EXCLUDES, NONE_HOLDS, ALL_HOLD),
        *(NOT_ASKED, DISABLED, NO_CLINIC, SEVERAL_CLINICS),
    ]
)
"""Every message of this module."""


@lru_cache(maxsize=8)
def gettext_for(language: str) -> gettext.NullTranslations:
    """The translations of a language; English, and any without a catalogue, are the messages themselves."""
    catalogue = LOCALES / language / "LC_MESSAGES" / "relais.po"
    if language == "en" or not catalogue.is_file():
        return gettext.NullTranslations()
    compiled = BytesIO()  # gettext reads only the compiled form
    with catalogue.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def word(problem: Problem, language: str) -> str:
    """A problem as one line: `Rules[2].DeliverTo[0]: no destination is named "vna2"`."""
    translate = gettext_for(language).gettext
    values = {name: _shown(value, language) for name, value in problem.values.items()}
    if "kind" in values:
        values["kind"] = translate(KINDS[values["kind"]])
    text = translate(PROBLEMS.get(problem.code, "{detail}")).format_map(values)
    if problem.values.get("nearest"):
        text += translate(DID_YOU_MEAN).format_map(values)
    return f"{problem.path}: {text}" if problem.path else text


def explain(outcome: ConditionOutcome | RuleOutcome, language: str) -> tuple[str, ...]:
    """Why a rule or a condition did not hold, a plain sentence for each reason; nothing if it held."""
    translate = gettext_for(language).gettext
    if isinstance(outcome, ConditionOutcome):
        return () if outcome.held else tuple(_reasons(outcome, language, wanted=True))
    if outcome.verdict is Verdict.NotAsked:
        return (translate(NOT_ASKED),)
    if outcome.verdict is Verdict.Disabled:
        return (translate(DISABLED),)
    return explain(outcome.condition, language) if outcome.condition else ()


def explain_clinic(resolution: Resolution, language: str) -> str:
    """Why a study is that clinic's, or no clinic's."""
    translate = gettext_for(language).gettext
    if resolution.level is None:
        return translate(NO_CLINIC)
    reasons = [
        translate(LEVELS[resolution.level]).format(value=item.value, clinic=item.clinic, pattern=item.pattern)
        for item in resolution.evidence
    ]
    return _joined(translate(SEVERAL_CLINICS), reasons) if resolution.ambiguous else reasons[0]


def _reasons(outcome: ConditionOutcome, language: str, *, wanted: bool) -> list[str]:
    """Why a condition is not what was wanted of it: to hold, or inside a None not to hold."""
    if outcome.field is not None:
        return [_sentence(outcome, language, wanted=wanted)]
    inside = wanted is (outcome.operator != "None")  # what is wanted of the children
    every = wanted is not (outcome.operator == "Any")  # of all of them, or of any
    guilty = [child for child in outcome.children if child.held is not inside]
    reasons = [reason for child in guilty for reason in _reasons(child, language, wanted=inside)]
    if every or len(guilty) == 1:
        return reasons
    message = NONE_HOLDS if inside else ALL_HOLD
    return [_joined(gettext_for(language).gettext(message), reasons)]


def _sentence(outcome: ConditionOutcome, language: str, *, wanted: bool) -> str:
    translate = gettext_for(language).gettext
    seen = translate(SEEN if outcome.seen else MISSING).format(field=outcome.field, seen=", ".join(outcome.seen))
    if outcome.operator == "Between" and isinstance(outcome.wanted, tuple):
        phrase = translate(WANTED["Between"]).format(low=outcome.wanted[0], high=outcome.wanted[1])
    elif outcome.wanted is False:
        phrase = translate(NO_VALUE)
    else:
        phrase = translate(WANTED[outcome.operator]).format(wanted=_shown(outcome.wanted, language))
    return translate(WANTS if wanted else EXCLUDES).format(seen=seen, wanted=phrase)


def _shown(value: object, language: str) -> str:
    """A value in a sentence; several as `IO, PX or DX`."""
    if not isinstance(value, list | tuple):
        return str(value)
    return format_list([str(item) for item in value], style="or", locale=language) if value else ""


def _joined(message: str, reasons: Iterable[str]) -> str:
    return message.format(reasons=" / ".join(reasons))
