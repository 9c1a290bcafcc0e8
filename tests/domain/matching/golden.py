"""Pairs that are hard to tell, made by hand; all people, numbers and telephones are invented."""

from relais.domain.matching.decision import Candidate
from tests.domain.matching.golden_kin import KIN
from tests.domain.matching.golden_numbers import NUMBERED
from tests.domain.matching.golden_spelling import SPELT
from tests.domain.matching.pairs import MILLION, Census, Pair, held, matched, nam, nobody, review, seen

__all__ = ["PAIRS", "Census", "Pair", "held", "nam", "seen"]

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
    review("one twin known, the other's study", seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F"), EVE),
    review("the other's study, with the phone", seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F", phone=PHONE), EVE),
    review(
        "the other's study under this one's card",
        seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F", nam=nam("TREM", TWIN_BORN, "F", 1)),
        EVE,
    ),
    review(
        "both known, the card of one and the name of the other",
        seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F", nam=nam("TREM", TWIN_BORN, "F", 1)),
        EVE,
        LOU,
    ),
    review("only the shared first part", seen("TREMBLAY^MARIE", TWIN_BORN, "F"), EVE, LOU),
    review("only the shared first part, one known", seen("TREMBLAY^MARIE", TWIN_BORN, "F", phone=PHONE), EVE),
    review("an initial", seen("TREMBLAY^M", TWIN_BORN, "F", phone=PHONE), EVE, LOU),
    review("no given name", seen("TREMBLAY", TWIN_BORN, "F", phone=PHONE), EVE, LOU),
    matched(
        "both known, name and card of one",
        seen("TREMBLAY^MARIE EVE", TWIN_BORN, "F", nam=nam("TREM", TWIN_BORN, "F", 1)),
        EVE,
        LOU,
    ),
    review("Alexia for Alexis", seen("GAGNON^ALEXIA", TWIN_BORN, phone=PHONE), ALEXIS),
    review("Alexia for Alexis, a sex between them", seen("GAGNON^ALEXIA", TWIN_BORN, "F", phone=PHONE), ALEXIS),
    review("Alexi for one of both", seen("GAGNON^ALEXI", TWIN_BORN), ALEXIS, ALEXIA),
    review("Mathis for Mathieu", seen("ROY^MATHIS", TWIN_BORN, "M"), held("Roy", "Mathieu", TWIN_BORN, "M")),
    review(
        "Louise for Louis", seen("ROY^LOUISE", TWIN_BORN, phone=PHONE), held("Roy", "Louis", TWIN_BORN, phone=PHONE)
    ),
    review(
        "Louise for Louis, under his card",
        seen("ROY^LOUISE", TWIN_BORN, nam=nam("ROYL", TWIN_BORN, "M")),
        held("Roy", "Louis", TWIN_BORN, nam=nam("ROYL", TWIN_BORN, "M")),
    ),
    review("Frédérique for Frédéric", seen("ROY^FREDERIQUE", TWIN_BORN), held("Roy", "Frédéric", TWIN_BORN)),
    review(
        "Jean-Pierre for Jean-Paul",
        seen("ROY^JEAN PIERRE", TWIN_BORN, "M", phone=PHONE),
        held("Roy", "Jean-Paul", TWIN_BORN, "M", phone=PHONE),
    ),
    review(
        "Pierre-Luc for Pierre-Olivier",
        seen("MONNERVILLE^PIERRE LUC", TWIN_BORN, "M"),
        held("Monnerville", "Pierre-Olivier", TWIN_BORN, "M"),
    ),
    review(
        "Anne-Sophie for Anne-Marie",
        seen("MONNERVILLE^ANNE SOPHIE", TWIN_BORN, "F"),
        held("Monnerville", "Anne-Marie", TWIN_BORN, "F"),
    ),
)

NAMESAKES = (
    nobody("the son, the father known", seen("BOUCHARD^JEAN", BORN, "M"), FATHER),
    review("the son, the father known, with the phone", seen("BOUCHARD^JEAN", BORN, "M", phone=PHONE), FATHER),
    review(
        "the son under the father's card", seen("BOUCHARD^JEAN", BORN, "M", nam=nam("BOUJ", FATHER_BORN, "M")), FATHER
    ),
    review(
        "the son under the father's card, both known",
        seen("BOUCHARD^JEAN", BORN, "M", nam=nam("BOUJ", FATHER_BORN, "M")),
        FATHER,
        SON,
    ),
    review("no birth date", seen("BOUCHARD^JEAN", "", "M", phone=PHONE), FATHER, SON),
    review("no birth date, one known", seen("BOUCHARD^JEAN", "", "M", phone=PHONE), FATHER),
    review(
        "born in another decade: one digit",
        seen("MONNERVILLE^JEAN", "1985-07-19", "M", phone=PHONE),
        held("Monnerville", "Jean", "1955-07-19", "M", phone=PHONE),
    ),
    matched(
        "the son, both known, with his card", seen("BOUCHARD^JEAN", BORN, "M", nam=nam("BOUJ", BORN, "M")), SON, FATHER
    ),
    review(
        "two of one name and birth date",
        seen("ROY^JEAN", BORN, "M"),
        held("Roy", "Jean", BORN, "M"),
        held("Roy", "Jean", BORN, "M"),
    ),
    review(
        "a common name and birth date alone",
        seen("TREMBLAY^MARIE", BORN, "F"),
        held("Tremblay", "Marie", BORN, "F"),
        since=100_000,
    ),
    review("a rare name alone", seen("MONNERVILLE^HELENE"), MONNERVILLE),
    matched("a rare name and birth date", seen("MONNERVILLE^HELENE", BORN, "F"), MONNERVILLE),
)

CARDS = (
    review(
        "a mother's card for her daughter",
        seen("COTE^SOPHIE", TWIN_BORN, "F", nam=nam("COTN", BORN, "F")),
        MOTHER,
    ),
    review(
        "a mother's card for her daughter, without a birth date",
        seen("COTE^SOPHIE", "", "F", nam=nam("COTN", BORN, "F")),
        MOTHER,
    ),
    review(
        "a mother's card, the daughter known without one",
        seen("COTE^SOPHIE", TWIN_BORN, "F", nam=nam("COTN", BORN, "F")),
        MOTHER,
        held("Côté", "Sophie", TWIN_BORN, "F", phone=PHONE),
    ),
    review("a card alone", seen("", nam=nam("MONH", BORN, "F")), MONNERVILLE),
    review(
        "a husband's card", seen("ROY^LOUISE", BORN, "F", nam=nam("ROYM", BORN, "M")), held("Roy", "Louise", BORN, "F")
    ),
    review("another card", seen("MONNERVILLE^HELENE", BORN, "F", nam=nam("MONH", BORN, "F", 2)), MONNERVILLE),
    review(
        "a card with a slip",
        seen("MONNERVILLE^ELENE", "", "F", nam=nam("MONH", BORN, "F").replace("MONH", "MOMH")),
        MONNERVILLE,
    ),
    matched("a card and a birth date, no name", seen("", BORN, nam=nam("MONH", BORN, "F")), MONNERVILLE),
    matched("a common name with its card", seen("COTE^NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")), MOTHER),
    matched("a card that nobody names", seen("COTE^NATHALIE", BORN, "F", local=nam("COTN", BORN, "F")), MOTHER),
)

NUMBERS = (
    review(
        "a recycled number",
        seen("ROY^PAUL", BORN, "M", mrn="A-100234"),
        held("Nguyen", "Thi", "1990-02-03", "F", mrn="A-100234"),
    ),
    review(
        "a recycled number, its new bearer known",
        seen("MONNERVILLE^HELENE", BORN, "F", mrn="A-100234"),
        held("Nguyen", "Thi", "1990-02-03", "F", mrn="A-100234"),
        MONNERVILLE,
    ),
    review(
        "an earlier link of a recycled number",
        seen("MONNERVILLE^HELENE", BORN, "F", local="4711"),
        Candidate("A", held("Nguyen", "Thi", "1990-02-03", "F"), confirmed=True),
        MONNERVILLE,
    ),
    review(
        "one number of two people",
        seen("ROY^JEAN", BORN, "M", mrn="77120"),
        held("Roy", "Jean", BORN, mrn="77120"),
        held("Roy", "J", BORN, mrn="77120"),
    ),
    review(
        "the next number",
        seen("ROY^PAUL", BORN, "M", mrn="A-100235"),
        held("Roy", "Paul", BORN, "M", mrn="A-100234"),
        since=MILLION,
    ),
    review(
        "a short number of another clinic",
        seen("ROY^PAUL", "", "M", local="1234"),
        held("Roy", "Paul", BORN, "M", local="1234"),
    ),
    nobody(
        "a recycled telephone number",
        seen("ROY^PAUL", "1971-11-30", "M", phone=PHONE),
        held("Nguyen", "Thi", "1990-02-03", "F", phone=PHONE),
    ),
    matched(
        "an earlier link that still agrees",
        seen("TREMBLAY^MARIE", BORN, "F", local="4711"),
        Candidate("A", held("Tremblay", "Marie", BORN, "F"), confirmed=True),
    ),
    review(
        "an earlier link of a twin",
        seen("TREMBLAY^MARIE LOU", TWIN_BORN, "F", local="4711"),
        Candidate("A", EVE, confirmed=True),
    ),
    review("a rejected link", seen("MONNERVILLE^HELENE", BORN, "F"), Candidate("A", MONNERVILLE, rejected=True)),
    matched(
        "an order whose patient agrees",
        seen("TREMBLAY^MARIE", BORN, "F"),
        Candidate("A", held("Tremblay", "Marie", BORN, "F"), ordered=True),
    ),
    review(
        "an order of another", seen("MONNERVILLE^HELENE", BORN, "F"), Candidate("A", FATHER, ordered=True), MONNERVILLE
    ),
)

WRITING = (
    matched("mojibake", seen("MONNERVILLE^HÃ©lÃ¨ne", BORN, "F"), MONNERVILLE),
    review("letters lost, nothing else", seen("MONNERVILLE^H?L?NE", "", "F"), MONNERVILLE),
    matched("letters lost, with the card", seen("C?T?^NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")), MOTHER),
    review("nothing but lost letters", seen("????^????", BORN, "F"), MONNERVILLE),
    matched("accents, case and hyphens", seen("monnerville^hélène", BORN, "F"), MONNERVILLE),
    matched("truncated, with the card", seen("MONNERVIL^HEL", BORN, "F", nam=nam("MONH", BORN, "F")), MONNERVILLE),
    review("Martin for Martineau", seen("MARTIN^LUC", BORN, "M"), held("Martineau", "Luc", BORN, "M")),
    matched("swapped names with the card", seen("NATHALIE^COTE", BORN, "F", nam=nam("COTN", BORN, "F")), MOTHER),
    review(
        "swapped names that are both given names",
        seen("THOMAS^MARTIN", BORN, "M"),
        held("Martin", "Thomas", BORN, "M"),
        since=MILLION,
    ),
    review(
        "swapped day and month, a common name",
        seen("ROY^PAUL", "1984-05-03", "M"),
        held("Roy", "Paul", "1984-03-05", "M"),
        since=100_000,
    ),
    matched(
        "swapped day and month, with the card",
        seen("ROY^PAUL", "1984-05-03", "M", nam=nam("ROYP", "1984-03-05", "M")),
        held("Roy", "Paul", "1984-03-05", "M", nam=nam("ROYP", "1984-03-05", "M")),
    ),
    review("an initial and a birth date", seen("GAGNON^A", TWIN_BORN, "M"), ALEXIS),
    review("an initial, twins known", seen("GAGNON^A", TWIN_BORN, phone=PHONE), ALEXIS, ALEXIA),
    review("the year only", seen("MONNERVILLE^HELENE", "1984-01-02", "F"), MONNERVILLE),
    review("another sex", seen("MONNERVILLE^HELENE", BORN, "M"), MONNERVILLE),
    matched(
        "a husband's name, the birth name known, with the card",
        seen("GAGNON^NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")),
        held("Gagnon", "Nathalie", BORN, "F", birth_name="Côté", nam=nam("COTN", BORN, "F")),
    ),
    matched(
        "a birth name that the CRM has beside the husband's",
        seen("MONNERVILLE^HELENE", BORN, "F"),
        held("Gagnon", "Hélène", BORN, "F", birth_name="Monnerville"),
    ),
    review("a husband's name that the CRM does not know", seen("GAGNON^HELENE", BORN, "F"), MONNERVILLE),
    matched(
        "half of a double surname, with the card",
        seen("COTE^NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")),
        held("Côté-Gagnon", "Nathalie", BORN, "F", nam=nam("COTN", BORN, "F")),
    ),
    review(
        "half of a double surname, the other half another's",
        seen("TREMBLAY GAGNON^SOPHIE", BORN, "F"),
        held("Tremblay-Roy", "Sophie", BORN, "F"),
    ),
    review("a short name, one letter of it", seen("LI^WEI", BORN), held("Li", "Wen", BORN)),
    review("nobody's name", seen("INCONNU^INCONNU", BORN), held("Inconnu", "Inconnu", BORN)),
)

NEWBORN = (
    review("a baby under its mother's card", seen("COTE^BB", "2026-11-20", "F", nam=nam("COTN", BORN, "F")), MOTHER),
    review(
        "a baby under its mother's card and birth date",
        seen("COTE^BB FILLE", BORN, "F", nam=nam("COTN", BORN, "F")),
        MOTHER,
    ),
    review("a baby named after its mother", seen("COTE^BEBE NATHALIE", BORN, "F", nam=nam("COTN", BORN, "F")), MOTHER),
    review(
        "one of two babies",
        seen("COTE^BB1", "2026-11-20", "F", phone=PHONE),
        held("Côté", "BB1", "2026-11-20", "F", phone=PHONE),
        held("Côté", "BB2", "2026-11-20", "F", phone=PHONE),
    ),
    nobody("a baby, its mother known", seen("COTE^GARCON", "2026-11-20", "M"), MOTHER),
)

PAIRS = (*TWINS, *NAMESAKES, *CARDS, *NUMBERS, *WRITING, *NEWBORN, *KIN, *SPELT, *NUMBERED)
