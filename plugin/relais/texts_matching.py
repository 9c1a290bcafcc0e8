"""Words for what matching finds: why, what speaks for and against, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping

from babel.numbers import format_decimal

from relais.domain.matching.decision import Grade, Reason, Veto
from relais.domain.matching.evidence import Weight
from relais.domain.matching.model import Feature, Level
from relais.domain.states import BreakerReason, ReviewReason
from relais.texts import _, gettext_for

COMMON, RARE = 7.0, 10.5
"""Bits below which a name is called common, and from which on it is called rare: one in 128, one in 1,450."""

REASONS: Mapping[str, str] = {
    Reason.EarlierLink: _("a person linked this number to the patient before"),
    Reason.Identifier: _("the identifier is this patient's, and nobody else's"),
    Reason.Order: _("the order is this patient's"),
    Reason.Evidence: _("what agrees leaves no doubt"),
    Reason.Failed: _("it could not be judged"),
    Reason.RepeatedId: _("two patients of the CRM have the same id"),
    Reason.TooLittle: _("the images say too little about their patient"),
    Reason.Capped: _("too many patients are alike to compare them all"),
    Reason.Rejected: _("a person said before that it is not this patient"),
    Reason.EarlierLinkDisagrees: _("a person linked this number before, and the images name somebody else now"),
    Reason.Newborn: _("a newborn without a name of its own"),
    Reason.Vetoed: _("something speaks plainly against it"),
    Reason.NameDiffers: _("the name is another"),
    Reason.IdentifierElsewhere: _("somebody else has the identifier"),
    Reason.OneIdentifier: _("only one thing agrees; two are needed"),
    Reason.RunnerUp: _("another patient is nearly as likely, such as a twin or a namesake"),
    Reason.OneField: _("without one of the values it would be somebody else"),
    Reason.Unsure: _("it is likely, but not sure enough"),
    Reason.NoCandidate: _("nobody in the CRM is like this"),
    Reason.Nobody: _("nobody who was found is likely"),
    ReviewReason.NoClinic: _("it is not known of which clinic the study is"),
    ReviewReason.SeriesDiffer: _("the series of the study name different patients"),
    ReviewReason.Breaker: _("automatic matching is stopped"),
    ReviewReason.Changed: _("the images name their patient otherwise than when a person decided"),
    ReviewReason.SecondLook: _("drawn at random, to be looked at once more"),
    ReviewReason.Doubted: _("a second look came to something else"),
    ReviewReason.Undone: _("a person took the match back"),
    ReviewReason.ByHand: _("a person decided it; a second must agree"),
}
"""Why it was answered so, or why a person is asked."""

VETOES: Mapping[Veto, str] = {
    Veto.Sex: _("the sex is another"),
    Veto.Identifier: _("an identifier is another"),
    Veto.BirthDate: _("the birth date is another"),
    Veto.Card: _("the health number says another birth date, sex or initial"),
}

GRADES: Mapping[Grade, str] = {
    Grade.Certain: _("certain"),
    Grade.Probable: _("probable"),
    Grade.Possible: _("possible"),
    Grade.CertainlyNot: _("certainly not"),
}

FEATURES: Mapping[Feature, str] = {
    Feature.Family: _("Family name"),
    Feature.Given: _("Given names"),
    Feature.Order: _("Order of the names"),
    Feature.BirthDate: _("Birth date"),
    Feature.Sex: _("Sex"),
    Feature.Identifier: _("Identifier"),
    Feature.Phone: _("Telephone"),
    Feature.PostalCode: _("Postal code"),
    Feature.Address: _("Address"),
}

LEVELS: Mapping[Level, str] = {
    Level.Same: _("the same"),
    Level.Shared: _("a part is the same"),
    Level.Truncated: _("cut short"),
    Level.Damaged: _("letters were lost"),
    Level.Near: _("a slip"),
    Level.Close: _("alike"),
    Level.Partly: _("a little alike"),
    Level.Initial: _("an initial"),
    Level.Swapped: _("swapped"),
    Level.DayMonthSwapped: _("day and month swapped"),
    Level.OneDigit: _("one digit differs"),
    Level.YearOnly: _("the year only"),
    Level.NewYear: _("January 1, for lack of the day"),
    Level.OneEdit: _("one character differs"),
    Level.Untyped: _("the same, issuer unknown"),
    Level.Different: _("different"),
}

NAMES: Mapping[Level, str] = {
    Level.Shared: _("{seen} and {known} share a part"),
    Level.Truncated: _("{seen} and {known}: one is cut short"),
    Level.Damaged: _("{seen} lost letters; the others fit {known}"),
    Level.Near: _("{seen} is {known}, but for a slip"),
    Level.Close: _("{seen} is like {known}"),
    Level.Partly: _("{seen} is a little like {known}"),
    Level.Initial: _("{seen} fits {known} as an initial"),
    Level.Different: _("{seen} is not {known}"),
}
COMMON_NAME = _("{known} is common")
USUAL_NAME = _("{known} is neither common nor rare")
RARE_NAME = _("{known} is rare")

OTHERS: Mapping[tuple[Feature, Level], str] = {
    (Feature.Order, Level.Swapped): _("family name and given name are swapped"),
    (Feature.BirthDate, Level.Same): _("the same birth date"),
    (Feature.BirthDate, Level.NewYear): _("both on January 1, which is noted where nobody knows the day"),
    (Feature.BirthDate, Level.DayMonthSwapped): _("day and month of the birth date are swapped"),
    (Feature.BirthDate, Level.OneDigit): _("one digit of the birth date differs: {seen}, {known}"),
    (Feature.BirthDate, Level.YearOnly): _("only the year of birth is the same: {seen}, {known}"),
    (Feature.BirthDate, Level.Different): _("another birth date: {seen}, {known}"),
    (Feature.Sex, Level.Same): _("the same sex"),
    (Feature.Sex, Level.Different): _("another sex"),
    (Feature.Identifier, Level.Same): _("the same identifier"),
    (Feature.Identifier, Level.OneEdit): _("the identifiers differ in one character: {seen}, {known}"),
    (Feature.Identifier, Level.Close): _("the identifiers are alike: {seen}, {known}"),
    (Feature.Identifier, Level.Untyped): _("the same number; one side does not say who gave it"),
    (Feature.Identifier, Level.Different): _("another identifier: {seen}, {known}"),
    (Feature.Phone, Level.Same): _("the same telephone, which a family may share"),
    (Feature.Phone, Level.Different): _("another telephone"),
    (Feature.PostalCode, Level.Same): _("the same postal code"),
    (Feature.PostalCode, Level.Different): _("another postal code"),
    (Feature.Address, Level.Same): _("the same address"),
    (Feature.Address, Level.Near): _("nearly the same address"),
    (Feature.Address, Level.Partly): _("a part of the address is the same"),
    (Feature.Address, Level.Different): _("another address"),
}
EVIDENCE = _("{text}: {bits}")

BREAKER: Mapping[BreakerReason, str] = {
    BreakerReason.Vetoes: _("{vetoes} of {decisions} decisions met something that speaks plainly against the match"),
    BreakerReason.Errors: _("{errors} automatic matches turned out to be wrong, of {looks} that were looked at again"),
}

MESSAGES = frozenset(
    [
        *(
            text
            for table in (REASONS, VETOES, GRADES, FEATURES, LEVELS, NAMES, OTHERS, BREAKER)
            for text in table.values()
        ),
        *(COMMON_NAME, USUAL_NAME, RARE_NAME, EVIDENCE),
    ]
)
"""Every message of this module."""


def say_reason(reason: str, language: str) -> str:
    """Why it was answered so, or why a person is asked; a reason that is not known stays as it is."""
    known = REASONS.get(reason)
    return reason if known is None else gettext_for(language).gettext(known)


def say_veto(veto: Veto, language: str) -> str:
    """What forbids the match."""
    return gettext_for(language).gettext(VETOES[veto])


def say_grade(grade: Grade, language: str) -> str:
    """How sure a candidate is."""
    return gettext_for(language).gettext(GRADES[grade])


def say_feature(feature: Feature, language: str) -> str:
    """What was compared."""
    return gettext_for(language).gettext(FEATURES[feature])


def say_level(level: Level, language: str) -> str:
    """How near the two are."""
    return gettext_for(language).gettext(LEVELS[level])


def say_bits(bits: float, language: str) -> str:
    """Bits with their sign: `+6.6`, in French `+6,6`."""
    return str(format_decimal(bits, "+0.0;\N{MINUS SIGN}0.0", locale=language))


def say_weight(weight: Weight, language: str) -> str:
    """What one comparison says, in words and bits: `Tremblay is common: +6.6`."""
    translate = gettext_for(language).gettext
    text = translate(_text(weight)).format(seen=_shown(weight.seen, weight), known=_shown(weight.known, weight))
    return translate(EVIDENCE).format(text=text, bits=say_bits(weight.bits, language))


def say_breaker(reason: BreakerReason, counts: Mapping[str, int], language: str) -> str:
    """Why automatic matching stopped."""
    values = {name.lower(): count for name, count in counts.items()}
    return gettext_for(language).gettext(BREAKER[reason]).format_map(values)


def _text(weight: Weight) -> str:
    if weight.field not in (Feature.Family, Feature.Given):
        return OTHERS.get((weight.field, weight.level)) or LEVELS[weight.level]
    if weight.level in NAMES:
        return NAMES[weight.level]
    if weight.bits < COMMON:
        return COMMON_NAME
    return RARE_NAME if weight.bits >= RARE else USUAL_NAME


def _shown(value: str | None, weight: Weight) -> str:
    """Names were folded to capitals; a person reads them better without."""
    return (value or "").title() if weight.field in (Feature.Family, Feature.Given) else value or ""
