"""Hard pairs of numbers: cards, recycled, mistyped and missing ones, orders, earlier links, addresses."""

from relais.domain.matching.decision import Candidate
from tests.domain.matching.pairs import MILLION, held, matched, nam, nobody, review, seen

BORN, OTHER = "1970-06-21", "1995-12-30"
PHONE, HOME = "581 555 8765", "1402, boulevard Laurier, app. 7, Québec (Québec) G1S 3T4"
PEL = nam("PELR", BORN, "M")
PELLETIER = held("Pelletier", "Robert", BORN, "M", nam=PEL, mrn="E-400177", phone=PHONE, address=HOME)
ZWIRNER = held("Zwirner", "Wilhelmine", OTHER, "F", nam=nam("ZWIW", OTHER, "F"), mrn="E-400178")
BARE = held("Pelletier", "Robert", BORN, "M")
TYPED = f"{PEL[:-2]}4{PEL[-1]}"
SWAPPED = PEL[:4] + PEL[5] + PEL[4] + PEL[6:]

CARDS = (
    matched("the card, spaced", seen("PELLETIER^ROBERT", BORN, "M", nam=f"{PEL[:4]} {PEL[4:8]} {PEL[8:]}"), PELLETIER),
    matched("the card, in small letters", seen("PELLETIER^ROBERT", BORN, "M", nam=PEL.lower()), PELLETIER),
    matched("the card, of whom nobody says whose it is", seen("PELLETIER^ROBERT", BORN, "M", local=PEL), PELLETIER),
    matched("the card and a name like it", seen("PELETIER^ROBERT", BORN, "M", nam=PEL), PELLETIER),
    matched("the card and an initial", seen("PELLETIER^R", BORN, "M", nam=PEL), PELLETIER),
    review("the card and another given name", seen("PELLETIER^PHILIPPE", BORN, "M", nam=PEL), PELLETIER),
    review("the card and another surname and given name", seen("ROY^PHILIPPE", BORN, "M", nam=PEL), PELLETIER),
    review("the card and another sex", seen("PELLETIER^ROBERTE", BORN, "F", nam=PEL), PELLETIER),
    review("the card, another day", seen("PELLETIER^ROBERT", OTHER, "M", nam=PEL), PELLETIER),
    review("the card, another day, no name", seen("", OTHER, "M", nam=PEL), PELLETIER),
    review(
        "the card of one, the name and day of another",
        seen("ZWIRNER^WILHELMINE", OTHER, "F", nam=PEL),
        PELLETIER,
        ZWIRNER,
    ),
    review(
        "the card of one, the clinic's number of another",
        seen("PELLETIER^ROBERT", BORN, "M", nam=PEL, mrn="E-400178"),
        PELLETIER,
        ZWIRNER,
    ),
    review(
        "the card with a letter wrong, no birth date",
        seen("PELLETIER^ROBERT", "", "M", nam=PEL.replace("PELR", "PEKR")),
        PELLETIER,
    ),
    matched("the card with a digit wrong, name and day", seen("PELLETIER^ROBERT", BORN, "M", nam=TYPED), PELLETIER),
    review(
        "the card with two digits swapped, a common name", seen("TREMBLAY^ROBERT", BORN, "M", nam=SWAPPED), PELLETIER
    ),
    review(
        "two people hold one card",
        seen("PELLETIER^ROBERT", BORN, "M", nam=PEL),
        PELLETIER,
        held("Pelletier", "Robert", BORN, "M", nam=PEL),
    ),
    review(
        "a father and his son hold one card by mistake",
        seen("PELLETIER^ROBERT", BORN, "M", nam=PEL),
        PELLETIER,
        held("Pelletier", "Robert", "1998-01-02", "M", nam=PEL),
    ),
    review(
        "another valid card of one who looks the same",
        seen("PELLETIER^ROBERT", BORN, "M", nam=nam("PELR", BORN, "M", 4)),
        held("Pelletier", "Robert", BORN, "M", nam=PEL),
    ),
    matched(
        "a test card",
        seen("TEST^TEST", "1954-12-28", "M", nam="TEST54122816"),
        held("Test", "Test", "1954-12-28", "M", nam="TEST54122816"),
    ),
    review("a card only", seen("", "", "", nam=PEL), PELLETIER),
    review("a card and a sex", seen("", "", "M", nam=PEL), PELLETIER),
    matched("a card and a birth date", seen("", BORN, "", nam=PEL), PELLETIER),
    review("a card and the surname", seen("PELLETIER", "", "", nam=PEL), PELLETIER),
)
CLINIC = (
    matched("the clinic's number, name and day", seen("PELLETIER^ROBERT", BORN, "M", mrn="E-400177"), PELLETIER),
    matched("the clinic's number and the name", seen("PELLETIER^ROBERT", "", "M", mrn="E-400177"), PELLETIER),
    matched("the clinic's number, name cut", seen("PELLETI^ROBERT", BORN, "M", mrn="E-400177"), PELLETIER),
    review("the clinic's number alone", seen("", "", "M", mrn="E-400177"), PELLETIER),
    review(
        "the clinic's number, another's name and day", seen("ZWIRNER^WILHELMINE", OTHER, "F", mrn="E-400177"), PELLETIER
    ),
    review(
        "the clinic's number, another's name and day, both known",
        seen("ZWIRNER^WILHELMINE", OTHER, "F", mrn="E-400177"),
        PELLETIER,
        ZWIRNER,
    ),
    review(
        "another number of that clinic, name and day", seen("ZWIRNER^WILHELMINE", OTHER, "F", mrn="F-999111"), ZWIRNER
    ),
    review(
        "the next number, name and day of many",
        seen("ROY^JEAN", BORN, "M", mrn="E-400176"),
        held("Roy", "Jean", BORN, "M", mrn="E-400177"),
        since=MILLION,
    ),
    matched(
        "the next number, a rare name and its day", seen("ZWIRNER^WILHELMINE", OTHER, "F", mrn="E-400179"), ZWIRNER
    ),
    review(
        "the number of one, with a digit that makes it another's",
        seen("PELLETIER^ROBERT", BORN, "M", mrn="E-400178"),
        PELLETIER,
        ZWIRNER,
    ),
    review(
        "a number recycled to a namesake",
        seen("ROY^JEAN", OTHER, "M", mrn="E-1007"),
        held("Roy", "Jean", BORN, "M", mrn="E-1007"),
    ),
    review(
        "a number recycled within a family",
        seen("ROY^JEANNE", OTHER, "F", mrn="E-1007", phone=PHONE),
        held("Roy", "Jean", BORN, "M", mrn="E-1007", phone=PHONE),
    ),
    review(
        "a number that two hold",
        seen("ROY^JEAN", BORN, "M", mrn="E-1007"),
        held("Roy", "Jean", BORN, "M", mrn="E-1007"),
        held("Roy", "Jeanne", OTHER, "F", mrn="E-1007"),
    ),
    review(
        "a number of nobody says whom, a name alone", seen("PELLETIER^ROBERT", "", "M", local="E-400177"), PELLETIER
    ),
    nobody(
        "a short number of nobody says whom, another's name",
        seen("SIMARD^LISE", BORN, "F", local="1007"),
        held("Roy", "Jean", OTHER, "M", local="1007"),
    ),
    nobody(
        "a number of another clinic",
        seen("SIMARD^LISE", BORN, "F", mrn="Z-1"),
        held("Roy", "Jean", OTHER, "M", mrn="Z-2"),
    ),
    matched(
        "a placeholder beside a rare name and its day", seen("ZWIRNER^WILHELMINE", OTHER, "F", local="000000"), ZWIRNER
    ),
    nobody(
        "a placeholder that two have",
        seen("SIMARD^LISE", BORN, "F", local="TEST"),
        held("Roy", "Jean", OTHER, "M", local="TEST"),
    ),
    nobody("wild cards for a number", seen("SIMARD^LISE", BORN, "F", local="E-4*"), PELLETIER),
    review("a number and a phone, no name", seen("", "", "", local="E-400177", phone=PHONE), PELLETIER),
)
PHONES = (
    nobody("a phone that was another's", seen("SIMARD^LISE", BORN, "F", phone=PHONE), PELLETIER),
    review("a phone and a name, no day", seen("PELLETIER^ROBERT", "", "M", phone=PHONE), PELLETIER),
    matched("a common name, its day and phone", seen("PELLETIER^ROBERT", BORN, "M", phone=PHONE), PELLETIER),
    matched("a common name, its day and address", seen("PELLETIER^ROBERT", BORN, "M", address=HOME), PELLETIER),
    matched(
        "a common name, its day and the address written otherwise",
        seen("PELLETIER^ROBERT", BORN, "M", address="1402 BOUL LAURIER APT 7 QUEBEC QC G1S3T4"),
        PELLETIER,
    ),
    review(
        "a common name and its day, another address",
        seen("ROY^JEAN", BORN, "M", address="12 RUE KING SHERBROOKE"),
        held("Roy", "Jean", BORN, "M", address=HOME),
        since=MILLION,
    ),
    review("an address and a name, no day", seen("PELLETIER^ROBERT", "", "M", address=HOME), PELLETIER),
    review("an address and a day, no name", seen("", BORN, "M", address=HOME), PELLETIER),
    review("an address and a day, another given name", seen("PELLETIER^RENE", BORN, "M", address=HOME), PELLETIER),
    review(
        "phone, address and day, another given name",
        seen("PELLETIER^RENE", BORN, "M", address=HOME, phone=PHONE),
        PELLETIER,
    ),
    nobody(
        "a neighbour",
        seen("SIMARD^LISE", OTHER, "F", address="1402, boulevard Laurier, app. 8, Québec (Québec) G1S 3T4"),
        PELLETIER,
    ),
    nobody("a tenant before", seen("SIMARD^LISE", OTHER, "F", address=HOME, phone=PHONE), PELLETIER),
    review(
        "a namesake next door",
        seen("PELLETIER^ROBERT", OTHER, "M", address="1402, boulevard Laurier, app. 8, Québec (Québec) G1S 3T4"),
        PELLETIER,
    ),
    review(
        "two namesakes of one day, one phone",
        seen("ROY^JEAN", BORN, "M", phone=PHONE),
        held("Roy", "Jean", BORN, "M", phone=PHONE),
        held("Roy", "Jean", BORN, "M", phone=PHONE),
    ),
    matched(
        "two namesakes of one day, the phone of one",
        seen("ROY^JEAN", BORN, "M", phone=PHONE),
        held("Roy", "Jean", BORN, "M", phone=PHONE),
        held("Roy", "Jean", BORN, "M", phone="514 555 9911"),
    ),
)
EARLIER = (
    matched(
        "linked before, the same",
        seen("PELLETIER^ROBERT", BORN, "M", local="R-1"),
        Candidate("A", BARE, confirmed=True),
    ),
    matched(
        "linked before, no birth date now",
        seen("PELLETIER^ROBERT", "", "M", local="R-1"),
        Candidate("A", BARE, confirmed=True),
    ),
    matched(
        "linked before, a namesake beside",
        seen("PELLETIER^ROBERT", BORN, "M", local="R-1"),
        Candidate("A", BARE, confirmed=True),
        held("Pelletier", "Robert", OTHER, "M"),
    ),
    review(
        "linked before, a namesake of the same day beside",
        seen("PELLETIER^ROBERT", BORN, "M", local="R-1"),
        Candidate("A", BARE, confirmed=True),
        BARE,
    ),
    review(
        "linked before, another day now",
        seen("PELLETIER^ROBERT", OTHER, "M", local="R-1"),
        Candidate("A", BARE, confirmed=True),
    ),
    review(
        "linked before, another name now",
        seen("ROY^JEAN", BORN, "M", local="R-1"),
        Candidate("A", BARE, confirmed=True),
    ),
    review(
        "linked before, another sex now",
        seen("PELLETIER^ROBERT", BORN, "F", local="R-1"),
        Candidate("A", BARE, confirmed=True),
    ),
    review(
        "linked to two before",
        seen("PELLETIER^ROBERT", BORN, "M", local="R-1"),
        Candidate("A", BARE, confirmed=True),
        Candidate("B", PELLETIER, confirmed=True),
    ),
    review(
        "linked before, and another holds the card",
        seen("PELLETIER^ROBERT", BORN, "M", nam=PEL),
        Candidate("A", BARE, confirmed=True),
        PELLETIER,
    ),
    review("rejected before", seen("ZWIRNER^WILHELMINE", OTHER, "F"), Candidate("A", ZWIRNER, rejected=True)),
    review(
        "rejected before, with the card",
        seen("ZWIRNER^WILHELMINE", OTHER, "F", nam=nam("ZWIW", OTHER, "F")),
        Candidate("A", ZWIRNER, rejected=True),
    ),
    review(
        "rejected and linked before",
        seen("ZWIRNER^WILHELMINE", OTHER, "F"),
        Candidate("A", ZWIRNER, confirmed=True, rejected=True),
    ),
    nobody("somebody unlike, rejected before", seen("SIMARD^LISE", BORN, "F"), Candidate("A", ZWIRNER, rejected=True)),
)
ORDERS = (
    matched(
        "an order and a common name",
        seen("ROY^JEAN", BORN, "M"),
        Candidate("A", held("Roy", "Jean", BORN, "M"), ordered=True),
    ),
    review("an order of another, a common name", seen("ROY^JEAN", BORN, "M"), Candidate("A", PELLETIER, ordered=True)),
    review(
        "an order of a brother",
        seen("ROY^JEAN", BORN, "M"),
        Candidate("A", held("Roy", "Guy", OTHER, "M"), ordered=True),
        held("Roy", "Jean", BORN, "M"),
    ),
    review(
        "an order of a twin",
        seen("ROY^JULIE", BORN, "F"),
        Candidate("A", held("Roy", "Julia", BORN, "F"), ordered=True),
    ),
    review(
        "an order of two",
        seen("ROY^JEAN", BORN, "M"),
        Candidate("A", held("Roy", "Jean", BORN, "M"), ordered=True),
        Candidate("B", held("Roy", "Jean", BORN, "M"), ordered=True),
    ),
    review(
        "an order whose patient was rejected",
        seen("ROY^JEAN", BORN, "M"),
        Candidate("A", held("Roy", "Jean", BORN, "M"), ordered=True, rejected=True),
    ),
    review(
        "an order, the card of another",
        seen("PELLETIER^ROBERT", BORN, "M", nam=PEL),
        Candidate("A", BARE, ordered=True),
        PELLETIER,
    ),
)
CHANCE = (
    nobody(
        "an everyday name of another year",
        seen("TREMBLAY^MICHEL", "1961-03-04", "M"),
        held("Tremblay", "Michel", "1974-11-20", "M"),
    ),
    review(
        "an everyday name and its day",
        seen("TREMBLAY^MICHEL", "1961-03-04", "M"),
        held("Tremblay", "Michel", "1961-03-04", "M"),
        since=MILLION,
    ),
    review(
        "two of an everyday name and one day",
        seen("TREMBLAY^MICHEL", "1961-03-04", "M"),
        held("Tremblay", "Michel", "1961-03-04", "M"),
        held("Tremblay", "Michel", "1961-03-04", "M"),
    ),
    review(
        "an everyday name, day and postal code",
        seen("ROY^MARIE", "1961-03-04", "F", postal_code="H2V 1A1"),
        held("Roy", "Marie", "1961-03-04", "F", postal_code="G1S 3T4"),
        since=MILLION,
    ),
    review(
        "an everyday compound of half a class",
        seen("TREMBLAY^MARIE", "1961-03-04", "F"),
        held("Tremblay", "Marie-Louise", "1961-03-04", "F"),
        held("Tremblay", "Marie-Paule", "1961-03-04", "F"),
    ),
    nobody(
        "nobody like it", seen("OUELLETTE^FIRMIN", "1961-03-04", "M"), held("Tremblay", "Michel", "1961-03-04", "M")
    ),
    nobody("only the year the same", seen("ROY^JULIE", "1961-03-04", "F"), held("Roy", "Julie", "1961-11-20", "F")),
)

NUMBERED = (*CARDS, *CLINIC, *PHONES, *EARLIER, *ORDERS, *CHANCE)
