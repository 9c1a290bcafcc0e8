"""Words for what the domain returns as data, in English and French.

English stands here, French in `web/locales/fr/LC_MESSAGES/relais.po`, read as it is: nothing to compile.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterable, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from relais.domain.clinics import Resolution
from relais.domain.document import Problem
from relais.domain.outcomes import ConditionOutcome, because
from relais.domain.routing import RuleOutcome, Verdict

LOCALES = Path(__file__).parent / "web" / "locales"
LONGEST_SHOWN = 1000
"""Characters of a value that a person wrote or sent; a sentence shows no more of it."""


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
    "nothing-to-import": _("name at least one study or series"),
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
    "group-with-field": _("All, Any, None, SeriesWhere and Condition stand without Field"),
    "without-field": _("needs a Field"),
    "too-deep": _("conditions nest deeper than {limit}"),
    "too-long": _("must have at most {limit} characters"),
    "too-many": _("must not be more than {limit}"),
    "too-many-examples": _("must not have more than {limit} examples in all"),
    "too-many-questions": _("asks more than {limit} questions, with those of the conditions that it names"),
    "unknown-set": _('no set is named "{name}"'),
    "unknown-condition": _('no condition is named "{name}"'),
    "refers-to-fault": _('"{name}" is itself not as it should be'),
    "condition-circle": _("conditions name one another in a circle: {way}"),
    "look-alike-name": _('looks the same as the name of another rule, "{name}", and is another'),
    "not-a-sequence": _('"{name}" is not a sequence: nothing can be looked for inside'),
    "path-too-deep": _("a way through sequences has at most {limit} keywords"),
    "field-without-series": _('"{name}" is the same for the whole study: no Series'),
    "series-without-question": _("Series stands beside Field or SeriesWhere"),
    "series-in-series": _("one series has no series inside: no Series or SeriesWhere within another"),
    "not-a-count": _("AtLeast beside SeriesWhere must be a whole number above 0"),
    "series-and-count": _("must have either Series or AtLeast beside SeriesWhere"),
    "ignore-case-without-text": _('IgnoreCase is for texts; "{name}" has none here'),
    "bad-moment": _("must be a time such as 2026-04-06T17:30 or 2026-04-06T17:30:00-04:00"),
    "rule-without-effect": _("must have DeliverTo, Hold or Stop"),
    "not-one-way": _("must have either Hold or DeliverTo"),
    "not-one-fate": _("must have either Hold or Clinic"),
    "clinics-overlap": _(
        '"{pattern}" can mean the same sender as "{other}" of {clinic}: a study that several clinics claim is held'
    ),
    "clinic-hidden": _(
        'no study that arrives by DICOM is found to come from here: {clinic} claims every one before ("{pattern}")'
    ),
    "clinic-without-senders": _(
        "no study is ever found to come from here: it has no AE titles, no networks and no institution names"
    ),
    "proof-not-of-kind": _("storage commitment (Proof: Committed) exists for the kind Dicom only"),
    "moved-unchanged": _(
        "what a source sends by itself passes unchanged and whole: no Only, Coerce, Deidentify, Transcode, ZeroPreamble"
    ),
    "host-and-port": _("must have both Host and Port, or neither"),
    "moved-unasked": _("to be asked what arrived (Proof: Queried) it needs its own Host and Port"),
    "user-and-password": _("must have both User and Password, or neither"),
    "key-too-short": _("the key must have at least 16 characters"),
    "failover-to-itself": _("FailoverTo must name another destination"),
    "failover-to-pool": _('"{name}" is a pool: name one destination'),
    "failover-circle": _("FailoverTo leads in a circle: {way}"),
    "pool-in-pool": _('"{name}" is a pool itself: name its destinations'),
    "pool-without-weight": _("at least one destination must have a weight above 0"),
    "literal-secret": _('a secret must not stand here: give {{"Env": "NAME"}} or {{"File": "path"}}'),
    "document-not-object": _("a configuration must be an object"),
    "document-too-large": _("a configuration has at most {limit} bytes"),
    "document-too-deep": _("nested deeper than {limit} levels"),
    "document-not-json": _("not JSON: line {line}, column {column}"),
    "document-unreadable": _("not UTF-8 text, or a number in it cannot be kept"),
    "repeated-key": _('the key "{name}" is there more than once in one object'),
    "bad-crm-id": _("must begin with a letter or a digit, and have no more than 128 of these and ._:@~-"),
    "in-the-future": _("must not be in the future"),
    "too-long-ago": _("must not be more than {years} years ago"),
    "bad-folder": _("must be a folder's path that begins with /"),
    "bad-text": _("has a character or a number that cannot be kept"),
    "version-edited": _(
        "version {number} was edited in the database by hand: it is not used. Put its row back, or make another "
        "version active"
    ),
    "no-active-version": _("there are versions in the database, and none is active: somebody edited them by hand"),
    "difference-added": _("added: {after}"),
    "difference-removed": _("removed: {before}"),
    "difference-changed": _("{before} became {after}"),
    "difference-moved": _("moved from place {before} to place {after}"),
    "example-failed": _("expected {expected}, and {came} came"),
    "rule-shadowed": _('never asked: whenever it holds, "{name}" above it holds as well and says Stop'),
    "rule-never-holds": _("never holds: {first} and {second} exclude each other"),
    "rule-over": _("no longer asked: {date} is past"),
    "destination-unreached": _("nothing leads here: no rule that is enabled, no Otherwise, no pool and no failover"),
    "destination-refused": _(
        "may receive studies of no clinic: Jurisdiction, Assessment, Agreement and Purposes refuse them all"
    ),
    "expires-soon": _("expires in {days} days, on {date}"),
    "expired": _("expired on {date}"),
    "fhir-without-patient": _("needs an input named resource with a Patient"),
    "link-without-patient": _("Link needs a CrmId; NoMatch must not have one"),
    "source-cannot-move": _('"{name}" is asked by HTTP: only a source of kind Dicom can C-MOVE'),
    "same-as-pool": _('"{name}" is a pool; name the destination that is the same system'),
    "levels-without-study": _("must have Study among them"),
    "key-not-askable": _('"{name}" cannot be asked for: sequences, bytes and file headers are not matched'),
    "bad-uid": _("must be a UID, or several with a backslash between them"),
    "bad-date-range": _('"{name}" is neither a day such as 20260401 nor a range such as 20260401-20260430'),
    "bad-time-range": _('"{name}" is neither a time such as 0930 nor a range such as 0930-1200'),
    "one-step": _("must be a list of one item: an order has one scheduled step"),
    "not-items": _("must be a list of at most {limit} items"),
    "said-twice": _("is there twice, and differs"),
    "bad-value": _("is not a value of this attribute (VR {vr})"),
    "left-out-time": _("is left out at this clinic on that day: its clocks go forward"),
    "id-differs": _("must be that of the address"),
    "no-such-order": _('there is no order of ServiceRequest "{name}"'),
    "accession-differs": _("must be that of the address"),
    "not-an-object": _("must be an object"),
    "set-unused": _("no condition asks for this set"),
    "condition-unused": _("no rule asks for this condition"),
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
    "InSet": _("a value of the set {wanted}"),
    "StartsWith": _("a value that starts with {wanted}"),
    "Contains": _("a value that contains {wanted}"),
    "Matches": _("a value like {wanted}"),
    "Regex": _("a value that matches {wanted}"),
    "Exists": _("a value"),
    "LessThan": _("less than {wanted}"),
    "AtLeast": _("at least {wanted}"),
    "Between": _("between {low} and {high}"),
}
IN_SERIES: dict[str, str] = {
    "Any": _("{wanted} in one of the series"),
    "All": _("{wanted} in every series"),
    "None": _("{wanted} in no series"),
}
SERIES_FIT = _("{count} of {total} series fit the condition")
SERIES_WANTED: dict[str, str] = {"All": _("all of them"), "None": _("none of them")}
SERIES_COUNTED = _("at least {count} of them")
ONE_SERIES = _("{sentence} (one series: {reasons})")
NO_VALUE = _("no value")
SEEN = _("{field} was {seen}")
MISSING = _("{field} had no value")
FORGOTTEN = _("{field} is forgotten with the patient")
WANTS = _("{seen}; the rule wants {wanted}")
EXCLUDES = _("{seen}; the rule excludes {wanted}")
NONE_HOLDS = _("none of these holds: {reasons}")
ALL_HOLD = _("these hold together: {reasons}")
NOT_ASKED = _("a rule above it held and said Stop")
DISABLED = _("the rule is disabled")
NOT_IN_FORCE = _("the rule is not in force on this day")

LEVELS: dict[str, str] = {
    "CalledAet": _("called AE title {value} is that of {clinic} ({pattern})"),
    "CallingAet": _("calling AE title {value} is that of {clinic} ({pattern})"),
    "Network": _("address {value} is in the network of {clinic} ({pattern})"),
    "InstitutionName": _("institution name {value} is that of {clinic} ({pattern})"),
}
BY_SOURCE = _("What is imported from {source} belongs to {clinic}")
BY_DEFAULT = _("no clinic knows it: UnknownSender makes it that of {clinic}")
NO_CLINIC = _("no clinic knows the AE titles, the address or the institution name")
SEVERAL_CLINICS = _("several clinics claim the study: {reasons}")
HOLDS = (_("several clinics claim the study"), _("no rule matched"))
"""Reasons of holds that Relais gives by itself; they are stored as they stand here."""

MESSAGES: frozenset[str] = frozenset(
    [
        *(message for table in (PROBLEMS, KINDS, WANTED, LEVELS) for message in table.values()),
        *(message for table in (IN_SERIES, SERIES_WANTED) for message in table.values()),
        *(DID_YOU_MEAN, NO_VALUE, SEEN, MISSING, FORGOTTEN, WANTS, EXCLUDES, NONE_HOLDS, ALL_HOLD),
        *(SERIES_FIT, SERIES_COUNTED, ONE_SERIES, NOT_IN_FORCE),
        *(NOT_ASKED, DISABLED, BY_DEFAULT, BY_SOURCE, NO_CLINIC, SEVERAL_CLINICS, *HOLDS),
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


_NOT_ASKED = {Verdict.NotAsked: NOT_ASKED, Verdict.Disabled: DISABLED, Verdict.NotInForce: NOT_IN_FORCE}


def explain(outcome: ConditionOutcome | RuleOutcome, language: str) -> tuple[str, ...]:
    """Why a rule or a condition did not hold, in plain sentences and no more than it takes; nothing if it held."""
    if isinstance(outcome, ConditionOutcome):
        return () if outcome.held else _reasons(because(outcome), language)
    if outcome.verdict in _NOT_ASKED:
        return (gettext_for(language).gettext(_NOT_ASKED[outcome.verdict]),)
    if outcome.verdict is Verdict.Held:
        return ()
    if not outcome.because:  # decided before there were any
        return explain(outcome.condition, language) if outcome.condition else ()
    return _reasons(outcome.because, language)


def explain_clinic(resolution: Resolution, language: str) -> str:
    """Why a study is that clinic's, or no clinic's."""
    translate = gettext_for(language).gettext
    if resolution.by_default:
        return translate(BY_DEFAULT).format(clinic=resolution.clinic)
    if resolution.source is not None:
        return translate(BY_SOURCE).format(clinic=resolution.clinic, source=resolution.source)
    if resolution.level is None:
        return translate(NO_CLINIC)
    reasons = [
        translate(LEVELS[resolution.level]).format(value=item.value, clinic=item.clinic, pattern=item.pattern)
        for item in resolution.evidence
    ]
    return _joined(translate(SEVERAL_CLINICS), reasons) if resolution.ambiguous else reasons[0]


def _reasons(answers: Sequence[ConditionOutcome], language: str) -> tuple[str, ...]:
    """Why a condition failed, by the answers that settle it: one that held is one that the rule excludes."""
    reasons = [answer_text(each, language, wanted=not each.held) for each in answers]
    if len(reasons) == 1:
        return tuple(reasons)
    message = ALL_HOLD if all(each.held for each in answers) else NONE_HOLDS
    return (_joined(gettext_for(language).gettext(message), reasons),)


def answer_text(answer: ConditionOutcome, language: str, *, wanted: bool) -> str:
    """One answer as a sentence: what was seen, and what the rule wants of it, or excludes."""
    translate = gettext_for(language).gettext
    if answer.operator == "SeriesWhere":
        count, total = answer.seen
        seen = translate(SERIES_FIT).format(count=count, total=total)
        message = SERIES_WANTED.get(str(answer.wanted), SERIES_COUNTED)
        phrase = translate(message).format(count=1 if answer.wanted == "Any" else answer.wanted)
    else:
        message = FORGOTTEN if answer.forgotten else SEEN if answer.seen else MISSING
        seen = translate(message).format(field=answer.field, seen=", ".join(answer.seen))
        phrase = _phrase(answer, language)
    text = translate(WANTS if wanted else EXCLUDES).format(seen=seen, wanted=phrase)
    if not answer.children:
        return text
    reasons = [each for child in answer.children for each in _reasons(because(child), language)]
    return translate(ONE_SERIES).format(sentence=text, reasons=" / ".join(reasons))


def _phrase(answer: ConditionOutcome, language: str) -> str:
    translate = gettext_for(language).gettext
    if answer.operator == "Between" and isinstance(answer.wanted, tuple):
        phrase = translate(WANTED["Between"]).format(low=answer.wanted[0], high=answer.wanted[1])
    elif answer.wanted is False:
        phrase = translate(NO_VALUE)
    else:
        phrase = translate(WANTED[answer.operator]).format(wanted=_shown(answer.wanted, language))
    return translate(IN_SERIES[answer.series]).format(wanted=phrase) if answer.series else phrase


def _shown(value: object, language: str) -> str:
    """A value in a sentence; several as `IO, PX or DX`."""
    if not isinstance(value, list | tuple):
        text = str(value)
        return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
    return format_list([str(item) for item in value], style="or", locale=language) if value else ""


def _joined(message: str, reasons: Iterable[str]) -> str:
    return message.format(reasons=" / ".join(reasons))
