"""Pairs that are hard to tell, made by hand: what a study says, whom the CRM knows, and what must not come of it.

All people, numbers and telephones are invented. Names are as common as in a CRM of a million.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from relais.domain.matching.contact import read_phone, read_postal_code
from relais.domain.matching.decision import Candidate, State
from relais.domain.matching.identifiers import RAMQ, read_identifier, read_ramq
from relais.domain.matching.identity import Identity
from relais.domain.matching.names import read_fields, read_pn

MILLION = 1_000_000
FAMILIES: Mapping[str, int] = {
    "TREMBLAY": 10_300,
    "GAGNON": 7_900,
    "ROY": 7_500,
    "COTE": 6_900,
    "BOUCHARD": 6_200,
    "GAUTHIER": 6_000,
    "NGUYEN": 2_500,
    "LEFEBVRE": 3_700,
    "MARTINEAU": 400,
    "MARTIN": 1_600,
    "SINGH": 1_500,
    "LI": 900,
    "MONNERVILLE": 60,
    "THOMAS": 500,
}
GIVENS: Mapping[str, int] = {
    "MARIE": 62_000,
    "JEAN": 31_000,
    "PIERRE": 14_000,
    "LOUIS": 8_000,
    "LOUISE": 11_000,
    "MICHEL": 16_000,
    "MICHELE": 3_000,
    "EVE": 2_500,
    "LOU": 300,
    "LUC": 6_000,
    "PAUL": 6_500,
    "SOPHIE": 5_500,
    "ANNE": 7_000,
    "CLAUDE": 9_000,
    "ALEXIS": 3_000,
    "ALEXIA": 1_200,
    "ALEXANDRE": 6_500,
    "ALEX": 2_000,
    "MATHIS": 2_500,
    "MATHIEU": 5_500,
    "HELENE": 6_000,
    "FRANCOIS": 9_000,
    "FRANCOISE": 3_000,
    "NATHALIE": 10_000,
    "STEPHANE": 6_000,
    "OLIVIER": 4_500,
    "FREDERIC": 4_500,
    "FREDERIQUE": 1_500,
    "THI": 1_500,
    "WEI": 500,
    "THOMAS": 4_000,
    "MARTIN": 3_000,
}


@dataclass(frozen=True)
class Census:
    """Frequencies in a CRM of so many people, with the names above as common as they are in any."""

    total: int = MILLION

    def family(self, part: str) -> int:
        return self._scaled(FAMILIES.get(part, 0))

    def given(self, part: str) -> int:
        return self._scaled(GIVENS.get(part, 0))

    def _scaled(self, count: int) -> int:
        return -(-count * self.total // MILLION)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """`to`: whom it should be matched to; `never`: whom it must not be matched to.

    `since` is the size of the CRM from which on chance alone makes such pairs; 1 where it is no matter of chance.
    """

    name: str
    asked: Identity
    known: tuple[Candidate, ...]
    should: State
    to: str | None = None
    since: int = 1

    @property
    def never(self) -> frozenset[str]:
        return frozenset(each.crm_id for each in self.known) - {self.to}


def nam(letters: str, born: str, sex: str, sequence: int = 1) -> str:
    """A NAM with the check digit that it needs."""
    day = date.fromisoformat(born)
    month = day.month + (50 if sex == "F" else 0)
    stem = f"{letters}{day:%y}{month:02}{day:%d}{sequence}"
    read = ((f"{stem}{digit}", read_ramq(f"{stem}{digit}")) for digit in range(10))
    return next(value for value, ramq in read if ramq is not None and ramq.checks)


def seen(pn: str, born: str = "", sex: str = "", *, birth_name: str = "", **others: str) -> Identity:
    """What a study says: PN, birth date and sex; `nam`, `mrn`, `local`, `phone`, `postal_code`."""
    names = read_pn(birth_name) if birth_name else ()
    return _identity(Identity(names=read_pn(pn), birth_names=names), born, sex, others)


def held(family: str, given: str, born: str = "", sex: str = "", *, birth_name: str = "", **others: str) -> Identity:
    """What the CRM says."""
    births = (read_fields(birth_name, ""),) if birth_name else ()
    return _identity(Identity(names=(read_fields(family, given),), birth_names=births), born, sex, others)


def _identity(named: Identity, born: str, sex: str, others: Mapping[str, str]) -> Identity:
    systems = {"nam": RAMQ, "mrn": "CLINIC-A", "local": ""}
    identifiers = [read_identifier(system, others[key]) for key, system in systems.items() if key in others]
    phone, code = read_phone(others.get("phone", "")), read_postal_code(others.get("postal_code", ""))
    return Identity(
        names=named.names,
        birth_names=named.birth_names,
        identifiers=tuple(each for each in identifiers if each is not None),
        birth_date=date.fromisoformat(born) if born else None,
        sex=sex,
        phones=(phone,) if phone else (),
        postal_codes=(code,) if code else (),
    )


def _review(name: str, asked: Identity, *known: Identity | Candidate, since: int = 1) -> Pair:
    return Pair(name=name, asked=asked, known=_people(known), should=State.Review, since=since)


def _nobody(name: str, asked: Identity, *known: Identity | Candidate) -> Pair:
    return Pair(name=name, asked=asked, known=_people(known), should=State.Unmatched)


def _matched(name: str, asked: Identity, *known: Identity | Candidate) -> Pair:
    """The first is who it is."""
    people = _people(known)
    return Pair(name=name, asked=asked, known=people, should=State.Matched, to=people[0].crm_id)


def _people(known: tuple[Identity | Candidate, ...]) -> tuple[Candidate, ...]:
    numbered = zip("ABCDEFGH", known, strict=False)
    return tuple(each if isinstance(each, Candidate) else Candidate(letter, each) for letter, each in numbered)


PHONE, OTHER_PHONE = "514 555 2345", "418 555 6789"
BORN, TWIN_BORN, FATHER_BORN = "1984-07-19", "2011-03-05", "1955-07-19"
EVE = held("Tremblay", "Marie-Ève", TWIN_BORN, "F", phone=PHONE, nam=nam("TREM", TWIN_BORN, "F", 1))
LOU = held("Tremblay", "Marie-Lou", TWIN_BORN, "F", phone=PHONE, nam=nam("TREM", TWIN_BORN, "F", 2))
ALEXIS = held("Gagnon", "Alexis", TWIN_BORN, "M", phone=PHONE)
ALEXIA = held("Gagnon", "Alexia", TWIN_BORN, "F", phone=PHONE)
FATHER = held("Bouchard", "Jean", FATHER_BORN, "M", phone=PHONE, nam=nam("BOUJ", FATHER_BORN, "M"))
SON = held("Bouchard", "Jean", BORN, "M", phone=PHONE, nam=nam("BOUJ", BORN, "M"))
MOTHER = held("Côté", "Nathalie", BORN, "F", phone=PHONE, nam=nam("COTN", BORN, "F"))
MONNERVILLE = held("Monnerville", "Hélène", BORN, "F", nam=nam("MONH", BORN, "F"))

TWINS = (
    _review("one twin known, the other's study", seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F"), EVE),
    _review("the other's study, with the phone", seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F", phone=PHONE), EVE),
    _review(
        "the other's study under this one's card",
        seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F", nam=nam("TREM", TWIN_BORN, "F", 1)),
        EVE,
    ),
    _review(
        "both known, the card of one and the name of the other",
        seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F", nam=nam("TREM", TWIN_BORN, "F", 1)),
        EVE,
        LOU,
    ),
    _review("only the shared first part", seen("TREMBLAY^MARIE", TWIN_BORN, "F"), EVE, LOU),
    _review("only the shared first part, one known", seen("TREMBLAY^MARIE", TWIN_BORN, "F", phone=PHONE), EVE),
    _review("an initial", seen("TREMBLAY^M", TWIN_BORN, "F", phone=PHONE), EVE, LOU),
    _review("no given name", seen("TREMBLAY", TWIN_BORN, "F", phone=PHONE), EVE, LOU),
    _matched(
        "both known, name and card of one",
        seen("TREMBLAY^MARIE EVE", TWIN_BORN, "F", nam=nam("TREM", TWIN_BORN, "F", 1)),
        EVE,
        LOU,
    ),
    _review("Alexia for Alexis", seen("GAGNON^ALEXIA", TWIN_BORN, phone=PHONE), ALEXIS),
    _review("Alexia for Alexis, a sex between them", seen("GAGNON^ALEXIA", TWIN_BORN, "F", phone=PHONE), ALEXIS),
    _review("Alexi for one of both", seen("GAGNON^ALEXI", TWIN_BORN), ALEXIS, ALEXIA),
    _review("Mathis for Mathieu", seen("ROY^MATHIS", TWIN_BORN, "M"), held("Roy", "Mathieu", TWIN_BORN, "M")),
    _review(
        "Louise for Louis", seen("ROY^LOUISE", TWIN_BORN, phone=PHONE), held("Roy", "Louis", TWIN_BORN, phone=PHONE)
    ),
    _review(
        "Louise for Louis, under his card",
        seen("ROY^LOUISE", TWIN_BORN, nam=nam("ROYL", TWIN_BORN, "M")),
        held("Roy", "Louis", TWIN_BORN, nam=nam("ROYL", TWIN_BORN, "M")),
    ),
    _review("Frédérique for Frédéric", seen("ROY^FREDERIQUE", TWIN_BORN), held("Roy", "Frédéric", TWIN_BORN)),
    _review(
        "Jean-Pierre for Jean-Paul",
        seen("ROY^JEAN PIERRE", TWIN_BORN, "M", phone=PHONE),
        held("Roy", "Jean-Paul", TWIN_BORN, "M", phone=PHONE),
    ),
    _review(
        "Pierre-Luc for Pierre-Olivier",
        seen("MONNERVILLE^PIERRE LUC", TWIN_BORN, "M"),
        held("Monnerville", "Pierre-Olivier", TWIN_BORN, "M"),
    ),
    _review(
        "Anne-Sophie for Anne-Marie",
        seen("MONNERVILLE^ANNE SOPHIE", TWIN_BORN, "F"),
        held("Monnerville", "Anne-Marie", TWIN_BORN, "F"),
    ),
)

NAMESAKES = (
    _nobody("the son, the father known", seen("BOUCHARD^JEAN", BORN, "M"), FATHER),
    _review("the son, the father known, with the phone", seen("BOUCHARD^JEAN", BORN, "M", phone=PHONE), FATHER),
    _review(
        "the son under the father's card", seen("BOUCHARD^JEAN", BORN, "M", nam=nam("BOUJ", FATHER_BORN, "M")), FATHER
    ),
    _review(
        "the son under the father's card, both known",
        seen("BOUCHARD^JEAN", BORN, "M", nam=nam("BOUJ", FATHER_BORN, "M")),
        FATHER,
        SON,
    ),
    _review("no birth date", seen("BOUCHARD^JEAN", "", "M", phone=PHONE), FATHER, SON),
    _review("no birth date, one known", seen("BOUCHARD^JEAN", "", "M", phone=PHONE), FATHER),
    _review(
        "born in another decade: one digit",
        seen("MONNERVILLE^JEAN", "1985-07-19", "M", phone=PHONE),
        held("Monnerville", "Jean", "1955-07-19", "M", phone=PHONE),
    ),
    _matched(
        "the son, both known, with his card", seen("BOUCHARD^JEAN", BORN, "M", nam=nam("BOUJ", BORN, "M")), SON, FATHER
    ),
    _review(
        "two of one name and birth date",
        seen("ROY^JEAN", BORN, "M"),
        held("Roy", "Jean", BORN, "M"),
        held("Roy", "Jean", BORN, "M"),
    ),
    _review(
        "a common name and birth date alone",
        seen("TREMBLAY^MARIE", BORN, "F"),
        held("Tremblay", "Marie", BORN, "F"),
        since=100_000,
    ),
    _review("a rare name alone", seen("MONNERVILLE^HELENE"), MONNERVILLE),
    _matched("a rare name and birth date", seen("MONNERVILLE^HELENE", BORN, "F"), MONNERVILLE),
)

CARDS = (
    _review(
        "a mother's card for her daughter",
        seen("COTE^SOPHIE", TWIN_BORN, "F", nam=nam("COTN", BORN, "F")),
        MOTHER,
    ),
    _review(
        "a mother's card for her daughter, without a birth date",
        seen("COTE^SOPHIE", "", "F", nam=nam("COTN", BORN, "F")),
        MOTHER,
    ),
    _review(
        "a mother's card, the daughter known without one",
        seen("COTE^SOPHIE", TWIN_BORN, "F", nam=nam("COTN", BORN, "F")),
        MOTHER,
        held("Côté", "Sophie", TWIN_BORN, "F", phone=PHONE),
    ),
    _review("a card alone", seen("", nam=nam("MONH", BORN, "F")), MONNERVILLE),
    _review(
        "a husband's card", seen("ROY^LOUISE", BORN, "F", nam=nam("ROYM", BORN, "M")), held("Roy", "Louise", BORN, "F")
    ),
    _review("another card", seen("MONNERVILLE^HELENE", BORN, "F", nam=nam("MONH", BORN, "F", 2)), MONNERVILLE),
    _review(
        "a card with a slip",
        seen("MONNERVILLE^ELENE", "", "F", nam=nam("MONH", BORN, "F").replace("MONH", "MOMH")),
        MONNERVILLE,
    ),
    _matched("a card and a birth date, no name", seen("", BORN, nam=nam("MONH", BORN, "F")), MONNERVILLE),
    _matched("a common name with its card", seen("COTE^NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")), MOTHER),
    _matched("a card that nobody names", seen("COTE^NATHALIE", BORN, "F", local=nam("COTN", BORN, "F")), MOTHER),
)

NUMBERS = (
    _review(
        "a recycled number",
        seen("ROY^PAUL", BORN, "M", mrn="A-100234"),
        held("Nguyen", "Thi", "1990-02-03", "F", mrn="A-100234"),
    ),
    _review(
        "a recycled number, its new bearer known",
        seen("MONNERVILLE^HELENE", BORN, "F", mrn="A-100234"),
        held("Nguyen", "Thi", "1990-02-03", "F", mrn="A-100234"),
        MONNERVILLE,
    ),
    _review(
        "an earlier link of a recycled number",
        seen("MONNERVILLE^HELENE", BORN, "F", local="4711"),
        Candidate("A", held("Nguyen", "Thi", "1990-02-03", "F"), confirmed=True),
        MONNERVILLE,
    ),
    _review(
        "one number of two people",
        seen("ROY^JEAN", BORN, "M", mrn="77120"),
        held("Roy", "Jean", BORN, mrn="77120"),
        held("Roy", "J", BORN, mrn="77120"),
    ),
    _review(
        "the next number",
        seen("ROY^PAUL", BORN, "M", mrn="A-100235"),
        held("Roy", "Paul", BORN, "M", mrn="A-100234"),
        since=MILLION,
    ),
    _review(
        "a short number of another clinic",
        seen("ROY^PAUL", "", "M", local="1234"),
        held("Roy", "Paul", BORN, "M", local="1234"),
    ),
    _nobody(
        "a recycled telephone number",
        seen("ROY^PAUL", "1971-11-30", "M", phone=PHONE),
        held("Nguyen", "Thi", "1990-02-03", "F", phone=PHONE),
    ),
    _matched(
        "an earlier link that still agrees",
        seen("TREMBLAY^MARIE", BORN, "F", local="4711"),
        Candidate("A", held("Tremblay", "Marie", BORN, "F"), confirmed=True),
    ),
    _review(
        "an earlier link of a twin",
        seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F", local="4711"),
        Candidate("A", EVE, confirmed=True),
    ),
    _review("a rejected link", seen("MONNERVILLE^HELENE", BORN, "F"), Candidate("A", MONNERVILLE, rejected=True)),
    _matched(
        "an order whose patient agrees",
        seen("TREMBLAY^MARIE", BORN, "F"),
        Candidate("A", held("Tremblay", "Marie", BORN, "F"), ordered=True),
    ),
    _review(
        "an order of another", seen("MONNERVILLE^HELENE", BORN, "F"), Candidate("A", FATHER, ordered=True), MONNERVILLE
    ),
)

WRITING = (
    _matched("mojibake", seen("MONNERVILLE^HÃ©lÃ¨ne", BORN, "F"), MONNERVILLE),
    _review("letters lost, nothing else", seen("MONNERVILLE^H?L?NE", "", "F"), MONNERVILLE),
    _matched("letters lost, with the card", seen("C?T?^NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")), MOTHER),
    _review("nothing but lost letters", seen("????^????", BORN, "F"), MONNERVILLE),
    _matched("accents, case and hyphens", seen("monnerville^hélène", BORN, "F"), MONNERVILLE),
    _matched("truncated, with the card", seen("MONNERVIL^HEL", BORN, "F", nam=nam("MONH", BORN, "F")), MONNERVILLE),
    _review("Martin for Martineau", seen("MARTIN^LUC", BORN, "M"), held("Martineau", "Luc", BORN, "M")),
    _matched("swapped names with the card", seen("NATHALIE^COTE", BORN, "F", nam=nam("COTN", BORN, "F")), MOTHER),
    _review(
        "swapped names that are both given names",
        seen("THOMAS^MARTIN", BORN, "M"),
        held("Martin", "Thomas", BORN, "M"),
        since=MILLION,
    ),
    _review(
        "swapped day and month, a common name",
        seen("ROY^PAUL", "1984-05-03", "M"),
        held("Roy", "Paul", "1984-03-05", "M"),
        since=100_000,
    ),
    _matched(
        "swapped day and month, with the card",
        seen("ROY^PAUL", "1984-05-03", "M", nam=nam("ROYP", "1984-03-05", "M")),
        held("Roy", "Paul", "1984-03-05", "M", nam=nam("ROYP", "1984-03-05", "M")),
    ),
    _review("an initial and a birth date", seen("GAGNON^A", TWIN_BORN, "M"), ALEXIS),
    _review("an initial, twins known", seen("GAGNON^A", TWIN_BORN, phone=PHONE), ALEXIS, ALEXIA),
    _review("the year only", seen("MONNERVILLE^HELENE", "1984-01-02", "F"), MONNERVILLE),
    _review("another sex", seen("MONNERVILLE^HELENE", BORN, "M"), MONNERVILLE),
    _matched(
        "a husband's name, the birth name known, with the card",
        seen("GAGNON^NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")),
        held("Gagnon", "Nathalie", BORN, "F", birth_name="Côté", nam=nam("COTN", BORN, "F")),
    ),
    _matched(
        "a birth name that the CRM has beside the husband's",
        seen("MONNERVILLE^HELENE", BORN, "F"),
        held("Gagnon", "Hélène", BORN, "F", birth_name="Monnerville"),
    ),
    _review("a husband's name that the CRM does not know", seen("GAGNON^HELENE", BORN, "F"), MONNERVILLE),
    _matched(
        "half of a double surname, with the card",
        seen("COTE^NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")),
        held("Côté-Gagnon", "Nathalie", BORN, "F", nam=nam("COTN", BORN, "F")),
    ),
    _review(
        "half of a double surname, the other half another's",
        seen("TREMBLAY GAGNON^SOPHIE", BORN, "F"),
        held("Tremblay-Roy", "Sophie", BORN, "F"),
    ),
    _review("a short name, one letter of it", seen("LI^WEI", BORN), held("Li", "Wen", BORN)),
    _review("nobody's name", seen("INCONNU^INCONNU", BORN), held("Inconnu", "Inconnu", BORN)),
)

NEWBORN = (
    _review("a baby under its mother's card", seen("COTE^BB", "2026-11-20", "F", nam=nam("COTN", BORN, "F")), MOTHER),
    _review(
        "a baby under its mother's card and birth date",
        seen("COTE^BB FILLE", BORN, "F", nam=nam("COTN", BORN, "F")),
        MOTHER,
    ),
    _review("a baby named after its mother", seen("COTE^BEBE NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")), MOTHER),
    _review(
        "one of two babies",
        seen("COTE^BB1", "2026-11-20", "F", phone=PHONE),
        held("Côté", "BB1", "2026-11-20", "F", phone=PHONE),
        held("Côté", "BB2", "2026-11-20", "F", phone=PHONE),
    ),
    _nobody("a baby, its mother known", seen("COTE^GARCON", "2026-11-20", "M"), MOTHER),
)

PAIRS = (*TWINS, *NAMESAKES, *CARDS, *NUMBERS, *WRITING, *NEWBORN)
