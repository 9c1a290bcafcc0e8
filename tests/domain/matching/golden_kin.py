"""Hard pairs of one family: twins, brothers and sisters, parents and children, spouses, newborns."""

from tests.domain.matching.pairs import held, matched, nam, nobody, review, seen

HOME, PHONE = "77, rue des Érables, Laval (Québec) H7A 1B2", "450 555 1234"
ADULT, CHILD, TWIN, OLD = "1979-05-23", "2015-10-08", "2009-12-01", "1948-05-23"
FELIX = held("Savard", "Philippe", TWIN, "M", phone=PHONE, nam=nam("SAVP", TWIN, "M", 1))
PAUL = held("Savard", "Paul", TWIN, "M", phone=PHONE, nam=nam("SAVP", TWIN, "M", 2))
JULIE = held("Lavoie", "Julie", TWIN, "F", phone=PHONE, nam=nam("LAVJ", TWIN, "F", 1))
JULIA = held("Lavoie", "Julia", TWIN, "F", phone=PHONE, nam=nam("LAVJ", TWIN, "F", 2))
ANNE_MARIE = held("Caron", "Anne-Marie", TWIN, "F", phone=PHONE)
ANNE_CLAIRE = held("Caron", "Anne-Claire", TWIN, "F", phone=PHONE)
WIFE = held("Fortin", "Lise", OLD, "F", birth_name="Hébert", nam=nam("HEBL", OLD, "F"), phone=PHONE)
HUSBAND = held("Fortin", "Roger", "1946-02-11", "M", nam=nam("FORR", "1946-02-11", "M"), phone=PHONE)

TWINS = (
    review("Paul for Philippe, one NAM apart", seen("SAVARD^PAUL", TWIN, "M", nam=nam("SAVP", TWIN, "M", 2)), FELIX),
    review(
        "Paul for Philippe, his brother's card", seen("SAVARD^PAUL", TWIN, "M", nam=nam("SAVP", TWIN, "M", 1)), FELIX
    ),
    review("P for one of Philippe and Paul", seen("SAVARD^P", TWIN, "M", phone=PHONE), FELIX, PAUL),
    review("P, one of the brothers known", seen("SAVARD^P", TWIN, "M", phone=PHONE), FELIX),
    matched(
        "Philippe with his card, Paul known",
        seen("SAVARD^PHILIPPE", TWIN, "M", nam=nam("SAVP", TWIN, "M", 1)),
        FELIX,
        PAUL,
    ),
    matched(
        "Paul with his card, Philippe known", seen("SAVARD^PAUL", TWIN, "M", nam=nam("SAVP", TWIN, "M", 2)), PAUL, FELIX
    ),
    review(
        "Philippe's name, Paul's card", seen("SAVARD^PHILIPPE", TWIN, "M", nam=nam("SAVP", TWIN, "M", 2)), FELIX, PAUL
    ),
    review("a brother's card and no name", seen("SAVARD", TWIN, "M", nam=nam("SAVP", TWIN, "M", 7)), FELIX, PAUL),
    review("Julia for Julie", seen("LAVOIE^JULIA", TWIN, "F", phone=PHONE), JULIE),
    review("Julie for Julia", seen("LAVOIE^JULIE", TWIN, "F", phone=PHONE), JULIA),
    review("Juli, both known", seen("LAVOIE^JULI", TWIN, "F", phone=PHONE), JULIE, JULIA),
    review("Julie, both known, no card", seen("LAVOIE^JULIE", TWIN, "F"), JULIE, JULIA),
    matched(
        "Julie with her card, both known", seen("LAVOIE^JULIE", TWIN, "F", nam=nam("LAVJ", TWIN, "F", 1)), JULIE, JULIA
    ),
    review(
        "Julie under Julia's card, Julia known", seen("LAVOIE^JULIE", TWIN, "F", nam=nam("LAVJ", TWIN, "F", 2)), JULIA
    ),
    review("Juliette for Julie", seen("LAVOIE^JULIETTE", TWIN, "F", phone=PHONE), JULIE),
    review("Julien for Julie", seen("LAVOIE^JULIEN", TWIN, phone=PHONE), JULIE),
    review("Anne for one of two", seen("CARON^ANNE", TWIN, "F", phone=PHONE), ANNE_MARIE, ANNE_CLAIRE),
    review("Anne-Claire for Anne-Marie", seen("CARON^ANNE CLAIRE", TWIN, "F", phone=PHONE), ANNE_MARIE),
    review("Marie for one of two", seen("CARON^MARIE", TWIN, "F", phone=PHONE), ANNE_MARIE, ANNE_CLAIRE),
    review("Claire for Anne-Marie", seen("CARON^CLAIRE", TWIN, "F", phone=PHONE), ANNE_MARIE),
    review(
        "Annie for Anna", seen("CARON^ANNIE", TWIN, "F", phone=PHONE), held("Caron", "Anna", TWIN, "F", phone=PHONE)
    ),
    review("Léa for Léo, no sex", seen("SIMARD^LEA", TWIN, phone=PHONE), held("Simard", "Léo", TWIN, "M", phone=PHONE)),
    review("Léa for Léo", seen("SIMARD^LEA", TWIN, "F", phone=PHONE), held("Simard", "Léo", TWIN, "M", phone=PHONE)),
    review("Emma for Emy", seen("SIMARD^EMMA", TWIN, "F", phone=PHONE), held("Simard", "Emy", TWIN, "F", phone=PHONE)),
    review("Émilie for Émile", seen("SIMARD^EMILIE", TWIN, phone=PHONE), held("Simard", "Émile", TWIN, phone=PHONE)),
    review("Daniel for Danielle", seen("GIRARD^DANIEL", TWIN), held("Girard", "Danielle", TWIN, phone=PHONE)),
    review("Daniela for Danielle", seen("GIRARD^DANIELA", TWIN, "F"), held("Girard", "Danielle", TWIN, "F")),
    review("André for Andrée", seen("GIRARD^ANDRE", TWIN), held("Girard", "Andrée", TWIN)),
    review("René for Renée", seen("GIRARD^RENE", TWIN), held("Girard", "Renée", TWIN)),
    review("Denis for Denise", seen("GIRARD^DENIS", TWIN), held("Girard", "Denise", TWIN)),
    review("Paul for Paule", seen("GIRARD^PAUL", TWIN), held("Girard", "Paule", TWIN)),
    review("Simon for Simone", seen("GIRARD^SIMON", TWIN), held("Girard", "Simone", TWIN)),
    review("Gabriel for Gabrielle", seen("GIRARD^GABRIEL", TWIN), held("Girard", "Gabrielle", TWIN)),
    review("Laurent for Laurence", seen("GIRARD^LAURENT", TWIN), held("Girard", "Laurence", TWIN)),
    review("Maxime for Maxine", seen("GIRARD^MAXIME", TWIN), held("Girard", "Maxine", TWIN)),
    review("Éric for Érica", seen("GIRARD^ERIC", TWIN), held("Girard", "Érica", TWIN)),
    review("Élise for Lise", seen("GIRARD^ELISE", TWIN, "F"), held("Girard", "Lise", TWIN, "F")),
    review(
        "Zoé for Chloé", seen("GIRARD^ZOE", TWIN, "F", phone=PHONE), held("Girard", "Chloé", TWIN, "F", phone=PHONE)
    ),
    review("Noah for Noémie", seen("GIRARD^NOAH", TWIN, phone=PHONE), held("Girard", "Noémie", TWIN, phone=PHONE)),
    review(
        "Clara for Claire",
        seen("GIRARD^CLARA", TWIN, "F", phone=PHONE),
        held("Girard", "Claire", TWIN, "F", phone=PHONE),
    ),
    review(
        "three of one birth, one initial",
        seen("ROY^J", TWIN, "", phone=PHONE),
        held("Roy", "Julie", TWIN, "F", phone=PHONE),
        held("Roy", "Julien", TWIN, "M", phone=PHONE),
        held("Roy", "Jean", TWIN, "M", phone=PHONE),
    ),
    review(
        "twins at one address", seen("ROY^EMMA", TWIN, "F", address=HOME), held("Roy", "Zoé", TWIN, "F", address=HOME)
    ),
    review(
        "twins at one address, with the phone",
        seen("ROY^EMMA", TWIN, "F", address=HOME, phone=PHONE),
        held("Roy", "Zoé", TWIN, "F", address=HOME, phone=PHONE),
    ),
    review(
        "a twin under the other's clinic number",
        seen("ROY^EMMA", TWIN, "F", mrn="B-550123"),
        held("Roy", "Zoé", TWIN, "F", mrn="B-550123"),
    ),
)
BROTHERS = (
    nobody("a younger brother", seen("PERRON^SAMUEL", CHILD, "M"), held("Perron", "Simon", "2013-01-30", "M")),
    nobody(
        "a younger brother, with the phone",
        seen("PERRON^SAMUEL", CHILD, "M", phone=PHONE),
        held("Perron", "Simon", "2013-01-30", "M", phone=PHONE),
    ),
    nobody(
        "a younger brother, with phone and address",
        seen("PERRON^SAMUEL", CHILD, "M", phone=PHONE, address=HOME),
        held("Perron", "Simon", "2013-01-30", "M", phone=PHONE, address=HOME),
    ),
    review(
        "a brother's card",
        seen("PERRON^SAMUEL", CHILD, "M", nam=nam("PERS", "2013-01-30", "M")),
        held("Perron", "Simon", "2013-01-30", "M", nam=nam("PERS", "2013-01-30", "M")),
    ),
    review(
        "a brother's card and birth date",
        seen("PERRON^SAMUEL", "2013-01-30", "M", nam=nam("PERS", "2013-01-30", "M")),
        held("Perron", "Simon", "2013-01-30", "M", nam=nam("PERS", "2013-01-30", "M")),
    ),
    review(
        "a brother born a year and a day apart",
        seen("PERRON^WILLIAM", "2014-10-08", "M", phone=PHONE),
        held("Perron", "Vincent", CHILD, "M", phone=PHONE),
    ),
    matched(
        "a sister known too",
        seen("POIRIER^CLAIRE", CHILD, "F", nam=nam("POIC", CHILD, "F")),
        held("Poirier", "Claire", CHILD, "F", nam=nam("POIC", CHILD, "F")),
        held("Poirier", "Clara", "2013-01-30", "F", phone=PHONE),
    ),
    review(
        "a sister's number at the clinic",
        seen("POIRIER^CLAIRE", CHILD, "F", mrn="C-88231"),
        held("Poirier", "Clara", "2013-01-30", "F", mrn="C-88231"),
        held("Poirier", "Claire", CHILD, "F"),
    ),
)
PARENTS = (
    nobody(
        "a father of the same name",
        seen("POIRIER^GUY", ADULT, "M"),
        held("Poirier", "Guy", OLD.replace("48", "41"), "M"),
    ),
    review(
        "a father born on the same day of another year",
        seen("POIRIER^GUY", ADULT, "M", phone=PHONE),
        held("Poirier", "Guy", OLD, "M", phone=PHONE),
    ),
    review(
        "a father, ten years exactly by a digit",
        seen("POIRIER^GUY", "1958-05-23", "M", phone=PHONE),
        held("Poirier", "Guy", OLD, "M", phone=PHONE),
    ),
    review(
        "a father's card, his son's birth date",
        seen("POIRIER^GUY", ADULT, "M", nam=nam("POIG", OLD, "M")),
        held("Poirier", "Guy", OLD, "M", nam=nam("POIG", OLD, "M")),
    ),
    review(
        "a father's card, nothing but the name",
        seen("POIRIER^GUY", "", "M", nam=nam("POIG", OLD, "M")),
        held("Poirier", "Guy", ADULT, "M"),
    ),
    matched(
        "a father with his own card, the son known",
        seen("POIRIER^GUY", OLD, "M", nam=nam("POIG", OLD, "M")),
        held("Poirier", "Guy", OLD, "M", nam=nam("POIG", OLD, "M")),
        held("Poirier", "Guy", ADULT, "M", nam=nam("POIG", ADULT, "M")),
    ),
    review(
        "junior and senior at one address, no birth date",
        seen("POIRIER^GUY JR", "", "M", address=HOME),
        held("Poirier", "Guy", OLD, "M", address=HOME),
        held("Poirier", "Guy", ADULT, "M", address=HOME),
    ),
    review(
        "a mother's card for her son",
        seen("PATEL^NOAH", CHILD, "M", nam=nam("PATF", ADULT, "F")),
        held("Patel", "Fatima", ADULT, "F", nam=nam("PATF", ADULT, "F")),
    ),
    review(
        "a mother's card and her birth date for her son",
        seen("PATEL^NOAH", ADULT, "M", nam=nam("PATF", ADULT, "F")),
        held("Patel", "Fatima", ADULT, "F", nam=nam("PATF", ADULT, "F")),
    ),
    nobody(
        "a child with a parent's phone",
        seen("PATEL^NOAH", CHILD, "M", phone=PHONE),
        held("Patel", "Fatima", ADULT, "F", phone=PHONE),
    ),
    nobody(
        "a grandmother of the same name", seen("SIMARD^ROSE", CHILD, "F"), held("Simard", "Rose", "1930-02-02", "F")
    ),
    nobody(
        "a grandmother of the same name, with the phone",
        seen("SIMARD^ROSE", CHILD, "F", phone=OLD),
        held("Simard", "Rose", "1930-02-02", "F", phone=PHONE),
    ),
)
SPOUSES = (
    matched(
        "a wife under her birth name with her card",
        seen("HEBERT^LISE", OLD, "F", nam=nam("HEBL", OLD, "F")),
        WIFE,
        HUSBAND,
    ),
    matched(
        "a wife under her husband's name with her card",
        seen("FORTIN^LISE", OLD, "F", nam=nam("HEBL", OLD, "F")),
        WIFE,
        HUSBAND,
    ),
    matched("both names", seen("HEBERT FORTIN^LISE", OLD, "F", nam=nam("HEBL", OLD, "F")), WIFE, HUSBAND),
    review(
        "a husband's card for his wife",
        seen("FORTIN^LISE", OLD, "F", nam=nam("FORR", "1946-02-11", "M")),
        WIFE,
        HUSBAND,
    ),
    review(
        "a wife's card for her husband",
        seen("FORTIN^ROGER", "1946-02-11", "M", nam=nam("HEBL", OLD, "F")),
        HUSBAND,
        WIFE,
    ),
    nobody("a husband, only his wife known", seen("FORTIN^ROGER", "1946-02-11", "M", phone=PHONE, address=HOME), WIFE),
    review(
        "spouses born the same day",
        seen("FORTIN^CLAUDE", OLD, phone=PHONE),
        held("Fortin", "Claude", OLD, "M", phone=PHONE),
        held("Fortin", "Claude", OLD, "F", phone=PHONE),
    ),
    review(
        "a new surname after a marriage, no number",
        seen("SMITH^JULIE", ADULT, "F"),
        held("Pelletier", "Julie", ADULT, "F"),
    ),
    matched(
        "a new surname after a marriage, the same card",
        seen("SMITH^JULIE", ADULT, "F", nam=nam("PELJ", ADULT, "F")),
        held("Pelletier", "Julie", ADULT, "F", nam=nam("PELJ", ADULT, "F"), phone=PHONE),
    ),
    matched(
        "the birth name beside, a rare one",
        seen("SMITH^JULIETTE", ADULT, "F", birth_name="MONNERVILLE"),
        held("Monnerville", "Juliette", ADULT, "F"),
    ),
)
NEWBORNS = (
    review(
        "a baby boy, its mother known, her card",
        seen("LEBLANC^GARCON", "2027-03-30", "M", nam=nam("LEBA", ADULT, "F")),
        held("Leblanc", "Annie", ADULT, "F", nam=nam("LEBA", ADULT, "F")),
    ),
    review(
        "baby of Annie",
        seen("LEBLANC^BEBE ANNIE", "2027-03-30", "F", nam=nam("LEBA", ADULT, "F")),
        held("Leblanc", "Annie", ADULT, "F", nam=nam("LEBA", ADULT, "F")),
    ),
    review(
        "BB1 of two, named since",
        seen("LEBLANC^BB1", "2027-03-30", "F", phone=PHONE),
        held("Leblanc", "Emma", "2027-03-30", "F", phone=PHONE),
        held("Leblanc", "Zoé", "2027-03-30", "F", phone=PHONE),
    ),
    review(
        "NN, named since",
        seen("LEBLANC^NN", "2027-03-30", "F", phone=PHONE),
        held("Leblanc", "Emma", "2027-03-30", "F", phone=PHONE),
    ),
    review(
        "a baby with its own temporary number",
        seen("LEBLANC^BB", "2027-03-30", "F", mrn="NB-20270330"),
        held("Leblanc", "BB", "2027-03-30", "F", mrn="NB-20270330"),
    ),
    review(
        "twin A",
        seen("LEBLANC^JUMEAU A", "2027-03-30", "M", phone=PHONE),
        held("Leblanc", "Noah", "2027-03-30", "M", phone=PHONE),
    ),
    review(
        "foetus under its mother's name", seen("LEBLANC^FOETUS ANNIE", ADULT, "F"), held("Leblanc", "Annie", ADULT, "F")
    ),
    review(
        "baby girl in English",
        seen("SMITH^BABY GIRL", "2027-03-30", "F", phone=PHONE),
        held("Smith", "Olivia", "2027-03-30", "F", phone=PHONE),
    ),
)

KIN = (*TWINS, *BROTHERS, *PARENTS, *SPOUSES, *NEWBORNS)
