"""Whom the images name beside one of the CRM's people: line by line, what differs marked, with what each line says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import RowMapping

from relais.domain.matching.decision import Candidate, Judged
from relais.domain.matching.evidence import Weight
from relais.domain.matching.model import Feature
from relais.domain.patients import NOBODY, NameUse, Patient, PersonName
from relais.texts import _
from relais.texts_matching import say_bits, say_veto, say_weight
from relais.web.pages import display
from relais.web.pages.likeness import Compare, Pieces, by_best, by_character, by_word, whole
from relais.web.pages.shell import clinic_name, language, number, say

WIDEST = 24.0
"""Bits that fill a bar's half; what says more is as wide."""
HALF = 50.0

SEXES = {"F": _("Female"), "M": _("Male"), "O": _("Other"), "X": "X", "U": _("Unknown")}
"""PatientSex (PS3.3 section C.7.1.1), and a CRM's words for another, and for what nobody knows."""

USES = {
    NameUse.Official: _("official"),
    NameUse.Birth: _("at birth"),
    NameUse.Maiden: _("maiden name"),
    NameUse.Usual: _("usual"),
    NameUse.Former: _("former"),
}
_AT_BIRTH = (NameUse.Birth, NameUse.Maiden)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What one comparison says: its words, its bits, and where its bar lies in a drawing of 100 units."""

    text: str
    bits: float
    x: float
    width: float
    tone: str  # for, against, or none


@dataclass(frozen=True, kw_only=True)
class Value:
    """A text of one side, and what it is, such as an identifier's system."""

    pieces: Pieces
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What both sides say of one thing, and what that is worth."""

    name: str
    seen: Sequence[Value]
    known: Sequence[Value]
    bars: Sequence[Bar] = ()


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A candidate, ready for the page; without evidence where whoever looks shall not be led."""

    crm_id: str
    name: str
    clinic: str
    lines: Sequence[Line]
    judged: Judged | None = None
    notes: Sequence[str] = ()
    vetoes: Sequence[str] = ()
    studies: Sequence[RowMapping] = ()

    @property
    def prior(self) -> Bar | None:
        """What it says against each that there are so many."""
        if self.judged is None or not self.judged.weights:
            return None
        bits = self.judged.bits - sum(each.bits for each in self.judged.weights)
        return bar(
            say("one of {count} people: {bits}", count=number(round(2**-bits)), bits=say_bits(bits, language())), bits
        )


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A line: whose words it has on either side, how they are compared, and which features tell of it."""

    name: str
    compare: Compare
    seen: Sequence[tuple[str, str]]  # text and label
    known: Sequence[tuple[str, str]]
    features: frozenset[Feature] = frozenset()


def beside(
    tags: Mapping[str, str],
    patient: Patient | None,
    crm_id: str,
    *,
    judged: Judged | None = None,
    candidate: Candidate | None = None,
    clinic: str | None = None,
) -> Beside:
    """The study's `tags` beside a patient; `judged` is the evidence, where it may be shown."""
    weights = () if judged is None else judged.weights
    shapes = list(_shapes(tags, patient, clinic))
    lines = [_line(each, weights) for each in shapes]
    told = frozenset[Feature]().union(*(each.features for each in shapes))
    rest = [bar(say_weight(each, language()), each.bits) for each in weights if each.field not in told]
    if rest:
        lines.append(Line(name=say("Other"), seen=(), known=(), bars=rest))
    return Beside(
        crm_id=crm_id,
        name=name_of(patient) or say("CRM number {number}", number=crm_id),
        clinic=clinic_name(patient.clinic) if patient is not None else "",
        lines=[each for each in lines if each.seen or each.known or each.bars],
        judged=judged,
        notes=_notes(candidate, patient),
        vetoes=[] if judged is None else [say_veto(each, language()) for each in judged.vetoes],
    )


def alone(tags: Mapping[str, str], clinic: str | None) -> Sequence[Line]:
    """What the images say, where there is nobody to put beside it."""
    return [line for each in _shapes(tags, None, clinic) if (line := _line(each, ())).seen]


def about(patient: Patient) -> Sequence[Line]:
    """What the CRM says of somebody."""
    return [line for each in _shapes({}, patient, None) if (line := _line(each, ())).known]


def with_studies(beside: Beside, studies: Sequence[RowMapping]) -> Beside:
    """The same with the studies that are the patient's already."""
    return replace(beside, studies=studies)


def name_of(patient: Patient | None) -> str:
    """A patient's name as lists show it."""
    return "" if patient is None else _full(patient)


def bar(text: str, bits: float) -> Bar:
    """Bits as a bar to the right of the middle, or, below zero, to its left."""
    width = round(min(abs(bits), WIDEST) / WIDEST * HALF, 2)
    tone = "for" if bits > 0 else "against" if bits < 0 else "none"
    return Bar(text=text, bits=bits, x=HALF if bits > 0 else HALF - width, width=width, tone=tone)


def _line(shape: _Shape, weights: Iterable[Weight]) -> Line:
    seen, known = by_best(shape.compare, [text for text, _ in shape.seen], [text for text, _ in shape.known])
    return Line(
        name=say(shape.name),
        seen=[Value(pieces=each, label=label) for each, (_, label) in zip(seen, shape.seen, strict=True)],
        known=[Value(pieces=each, label=label) for each, (_, label) in zip(known, shape.known, strict=True)],
        bars=[bar(say_weight(each, language()), each.bits) for each in weights if each.field in shape.features],
    )


def _shapes(tags: Mapping[str, str], patient: Patient | None, clinic: str | None) -> Iterable[_Shape]:
    """The lines in the order in which a person reads them."""
    known = patient or NOBODY
    names = [(display.person(each), "") for each in _values(tags, "PatientName", "OtherPatientNames")]
    yield _Shape(
        name=_("Name"),
        compare=by_word,
        seen=names,
        known=_clean([(name_of(known), ""), *_other_names(known, at_birth=False)]),
        features=frozenset({Feature.Family, Feature.Given, Feature.Order}),
    )
    yield _Shape(
        name=_("Name at birth"),
        compare=by_word,
        seen=_clean((display.person(each), "") for each in _values(tags, "PatientBirthName")),
        known=_clean([(known.birth_name, ""), *_other_names(known, at_birth=True)]),
    )
    yield _Shape(
        name=_("Born"),
        compare=by_character,
        seen=_clean([(_day(tags.get("PatientBirthDate", "")), "")]),
        known=_clean([(str(known.birth_date or ""), "")]),
        features=frozenset({Feature.BirthDate}),
    )
    yield _Shape(
        name=_("Sex"),
        compare=whole,
        seen=_clean([(_sex(tags.get("PatientSex", "")), "")]),
        known=_clean([(_sex(known.sex.value), "")]),
        features=frozenset({Feature.Sex}),
    )
    yield _Shape(
        name=_("Identifiers"),
        compare=by_character,
        seen=_identifiers(tags),
        known=[(each.value, each.system) for each in known.identifiers],
        features=frozenset({Feature.Identifier}),
    )
    yield _Shape(
        name=_("Telephone"),
        compare=by_character,
        seen=[(each, "") for each in _values(tags, "PatientTelephoneNumbers")],
        known=[(each, "") for each in known.phones],
        features=frozenset({Feature.Phone}),
    )
    yield _Shape(
        name=_("Address"),
        compare=by_word,
        seen=[(each, "") for each in _values(tags, "PatientAddress")],
        known=_clean([(", ".join(each for each in (known.address, known.postal_code) if each), "")]),
        features=frozenset({Feature.PostalCode, Feature.Address}),
    )
    yield _Shape(
        name=_("Accession number"),
        compare=whole,
        seen=[(each, "") for each in _values(tags, "AccessionNumber")],
        known=(),
    )
    yield _Shape(
        name=_("Clinic"),
        compare=whole,
        seen=_clean([(clinic_name(clinic), "")]),
        known=_clean([(clinic_name(known.clinic), "")]),
    )


def _notes(candidate: Candidate | None, patient: Patient | None) -> list[str]:
    """What was said of the candidate before, and what is known no more."""
    said = [] if patient is not None else [say("The CRM no longer has this patient.")]
    if candidate is None:
        return said
    notes = (
        (candidate.rejected, _("A person said before that it is somebody else.")),
        (candidate.confirmed, _("A person linked this sender's patient number to this patient before.")),
        (candidate.ordered, _("The order with this accession number is this patient's.")),
    )
    return said + [say(text) for holds, text in notes if holds]


def _identifiers(tags: Mapping[str, str]) -> list[tuple[str, str]]:
    own = [(each, tags.get("IssuerOfPatientID", "")) for each in _values(tags, "PatientID")]
    return own + [(each, "") for each in _values(tags, "OtherPatientIDs")]


def _other_names(patient: Patient, *, at_birth: bool) -> list[tuple[str, str]]:
    mine = (each for each in patient.names if (each.use in _AT_BIRTH) == at_birth)
    return [(_full(each), say(USES[each.use])) for each in mine]


def _full(named: Patient | PersonName) -> str:
    parts = ", ".join(each for each in (named.family_name, named.given_names) if each)
    return parts or (display.person(named.name) if "^" in named.name else named.name)


def _values(tags: Mapping[str, str], *keywords: str) -> list[str]:
    values = [each.strip() for keyword in keywords for each in tags.get(keyword, "").split("\\")]
    return list(dict.fromkeys(each for each in values if each))


def _clean(texts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [each for each in texts if each[0]]


def _sex(value: str) -> str:
    code = value.strip().upper()
    return say(SEXES[code]) if code in SEXES else value


def _day(text: str) -> str:
    """A DICOM date (PS3.5 section 6.2, DA) as the CRM writes its own; as it stands when it is none."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return text
