"""Hard pairs of writing: damaged, cut, swapped and foreign names, compounds, particles, birth dates gone wrong."""

from tests.domain.matching.pairs import MILLION, held, matched, nam, nobody, review, seen

BORN, OTHER = "1962-09-14", "1988-02-27"
PHONE = "819 555 4321"
THERESE = held("Lévesque-Monnerville", "Thérèse", BORN, "F", nam=nam("LEVT", BORN, "F"))
FRANCOIS = held("Hébert", "François", BORN, "M", nam=nam("HEBF", BORN, "M"))
MARIE_EVE = held("Bélanger", "Marie-Ève", OTHER, "F", nam=nam("BELM", OTHER, "F"))
ST_PIERRE = held("St-Pierre", "Guy", BORN, "M", nam=nam("STPG", BORN, "M"))
LHEUREUX = held("L'Heureux", "Renée", BORN, "F", nam=nam("LHER", BORN, "F"))
NGUYEN = held("Nguyen", "Thi Mei", OTHER, "F", nam=nam("NGUT", OTHER, "F"))
RARE = held("Quintal-Zwirner", "Wilhelmine", BORN, "F")
HEBF, BELM, STPG, LHER, NGUT = (
    nam("HEBF", BORN, "M"),
    nam("BELM", OTHER, "F"),
    nam("STPG", BORN, "M"),
    nam("LHER", BORN, "F"),
    nam("NGUT", OTHER, "F"),
)

DAMAGED = (
    matched("UTF-8 read as Latin-1, with the card", seen("HÃ©bert^FranÃ§ois", BORN, "M", nam=HEBF), FRANCOIS),
    matched("UTF-8 read twice as Latin-1, with the card", seen("HÃƒÂ©bert^FranÃƒÂ§ois", BORN, "M", nam=HEBF), FRANCOIS),
    matched("question marks, with the card", seen("H?BERT^FRAN?OIS", BORN, "M", nam=HEBF), FRANCOIS),
    matched("two question marks a letter, with the card", seen("H??BERT^FRAN??OIS", BORN, "M", nam=HEBF), FRANCOIS),
    matched("U+FFFD, with the card", seen("H\ufffdbert^Fran\ufffdois", BORN, "M", nam=HEBF), FRANCOIS),
    review("question marks alone", seen("H?BERT^FRAN?OIS", BORN, "M"), FRANCOIS, since=MILLION),
    review(
        "a lost letter that tells twins apart",
        seen("HEBERT^FRAN?OIS", BORN, ""),
        held("Hébert", "François", BORN, "M"),
        held("Hébert", "Françoise", BORN, "F"),
    ),
    review(
        "a lost letter at the end",
        seen("HEBERT^JULI?", BORN, "F", phone=PHONE),
        held("Hébert", "Julie", BORN, "F", phone=PHONE),
        held("Hébert", "Julia", BORN, "F", phone=PHONE),
    ),
    review("all accents lost and a sex between", seen("H?BERT^REN?E", BORN, "M"), held("Hébert", "Renée", BORN, "F")),
    review("control characters for a name", seen("\x01\x02^\x03", BORN, "M", phone=PHONE), FRANCOIS),
    review("dots for a name", seen("...^...", BORN, "M", nam=HEBF.replace("HEBF", "HEBG")), FRANCOIS),
    matched("control characters within", seen("HE\x00BERT^FRANCOIS", BORN, "M", nam=HEBF), FRANCOIS),
    matched("ligatures and titles, with the card", seen("HEBERT^FRANCOIS^^M.", BORN, "M", nam=HEBF), FRANCOIS),
    matched("a rare name, upper case without accents", seen("QUINTAL ZWIRNER^WILHELMINE", BORN, "F"), RARE),
    matched("a rare name with a title before", seen("MME QUINTAL-ZWIRNER^WILHELMINE", BORN, "F"), RARE),
    matched("a rare name in one component", seen("QUINTAL-ZWIRNER, WILHELMINE", BORN, "F"), RARE),
    matched("a rare name, given name first", seen("WILHELMINE^QUINTAL ZWIRNER", BORN, "F"), RARE),
    review("a rare name, nothing else", seen("QUINTAL ZWIRNER^WILHELMINE"), RARE),
    review("a rare name and its sex", seen("QUINTAL ZWIRNER^WILHELMINE", "", "F"), RARE),
    review(
        "a rare name and its postal code",
        seen("QUINTAL ZWIRNER^WILHELMINE", "", "F", postal_code="H2V 1A1"),
        held("Quintal-Zwirner", "Wilhelmine", BORN, "F", postal_code="H2V 1A1"),
    ),
    review(
        "a rare name, phone and address",
        seen("QUINTAL ZWIRNER^WILHELMINE", "", "F", phone=PHONE, address="12, rue Laurier, Laval"),
        held("Quintal-Zwirner", "Wilhelmine", BORN, "F", phone=PHONE, address="12, rue Laurier, Laval"),
    ),
)
CUT = (
    matched(
        "a surname cut after eight letters, with the card",
        seen("LEVESQUE^THERESE", BORN, "F", nam=nam("LEVT", BORN, "F")),
        THERESE,
    ),
    matched(
        "a compound cut within, with the card",
        seen("LEVESQUE MONNER^THERESE", BORN, "F", nam=nam("LEVT", BORN, "F")),
        THERESE,
    ),
    review("a given name cut to three letters", seen("BELANGER^MAR", OTHER, "F"), MARIE_EVE),
    review("a compound cut after its first part", seen("BELANGER^MARIE", OTHER, "F"), MARIE_EVE),
    review("a compound cut within its second part", seen("BELANGER^MARIE E", OTHER, "F"), MARIE_EVE),
    matched("a compound written together, with the card", seen("BELANGER^MARIEEVE", OTHER, "F", nam=BELM), MARIE_EVE),
    matched(
        "a compound the other way round, with the card", seen("BELANGER^EVE MARIE", OTHER, "F", nam=BELM), MARIE_EVE
    ),
    review("a usual name of a compound, a common surname", seen("BELANGER^EVE", OTHER, "F"), MARIE_EVE),
    review(
        "a surname cut to another surname",
        seen("MICHEL^GUY", BORN, "M"),
        held("Michel-Savoie", "Guy", BORN, "M"),
        since=MILLION,
    ),
    review("Robert cut from Roberge", seen("ROBERT^GUY", BORN, "M"), held("Roberge", "Guy", BORN, "M")),
    review(
        "Girouard for Girard",
        seen("GIROUARD^GUY", BORN, "M", phone=PHONE),
        held("Girard", "Guy", BORN, "M", phone=PHONE),
    ),
    review("Leclair for Leclerc", seen("LECLAIR^GUY", BORN, "M"), held("Leclerc", "Guy", BORN, "M")),
    review(
        "Perron for Perreault",
        seen("PERRON^GUY", BORN, "M", phone=PHONE),
        held("Perreault", "Guy", BORN, "M", phone=PHONE),
    ),
    review("Smyth for Smith", seen("SMYTH^OLIVIA", BORN, "F"), held("Smith", "Olivia", BORN, "F")),
    review("Carrier for Caron", seen("CARRIER^OLIVIA", BORN, "F"), held("Caron", "Olivia", BORN, "F")),
)
COMPOUNDS = (
    review("Marie-Claire for Marie-Ève", seen("BELANGER^MARIE CLAIRE", OTHER, "F"), MARIE_EVE),
    review(
        "Marie-Ève and Marie-Claire known, Marie asked",
        seen("BELANGER^MARIE", OTHER, "F"),
        MARIE_EVE,
        held("Bélanger", "Marie-Claire", OTHER, "F"),
    ),
    review(
        "Jean-François for Jean-Philippe",
        seen("BELANGER^JEAN FRANCOIS", OTHER, "M"),
        held("Bélanger", "Jean-Philippe", OTHER, "M"),
    ),
    review(
        "Jean-François for Jean-Philippe, a rare surname",
        seen("ZWIRNER^JEAN FRANCOIS", OTHER, "M"),
        held("Zwirner", "Jean-Philippe", OTHER, "M"),
    ),
    review(
        "Pierre-Luc for Jean-Luc", seen("BELANGER^PIERRE LUC", OTHER, "M"), held("Bélanger", "Jean-Luc", OTHER, "M")
    ),
    review(
        "Marc for Jean-Marc",
        seen("BELANGER^MARC", OTHER, "M"),
        held("Bélanger", "Jean-Marc", OTHER, "M"),
        since=MILLION,
    ),
    review(
        "Joseph, as baptised, for Joseph André",
        seen("BELANGER^JOSEPH", BORN, "M"),
        held("Bélanger", "Joseph André", BORN, "M"),
    ),
    review(
        "André, as called, for Joseph André",
        seen("BELANGER^ANDRE", BORN, "M"),
        held("Bélanger", "Joseph André", BORN, "M"),
        since=MILLION,
    ),
    review(
        "Marie Rose for Marie Thérèse, baptised alike",
        seen("BELANGER^MARIE ROSE", BORN, "F"),
        held("Bélanger", "Marie Thérèse", BORN, "F"),
    ),
    matched(
        "all baptismal names, with the card",
        seen("BELANGER^JOSEPH ANDRE GUY", BORN, "M", nam=nam("BELJ", BORN, "M")),
        held("Bélanger", "Joseph André Guy", BORN, "M", nam=nam("BELJ", BORN, "M")),
    ),
    matched(
        "all baptismal names in another order",
        seen("ZWIRNER^GUY ANDRE JOSEPH", BORN, "M"),
        held("Zwirner", "Joseph André Guy", BORN, "M"),
    ),
    review("half of a double surname, no card", seen("LEVESQUE^THERESE", BORN, "F"), THERESE, since=MILLION),
    review(
        "a double surname the other way round, one half another's", seen("ROY LEVESQUE^THERESE", BORN, "F"), THERESE
    ),
    matched("a double surname the other way round", seen("MONNERVILLE LEVESQUE^THERESE", BORN, "F"), THERESE),
    review(
        "two surnames, of which each is a brother's",
        seen("ROY GAGNON^SAMUEL", OTHER, "M"),
        held("Roy", "Samuel", OTHER, "M"),
        held("Gagnon", "Samuel", OTHER, "M"),
    ),
)
PARTICLES = (
    matched("Saint Pierre, with the card", seen("SAINT PIERRE^GUY", BORN, "M", nam=STPG), ST_PIERRE),
    matched("Stpierre, with the card", seen("STPIERRE^GUY", BORN, "M", nam=STPG), ST_PIERRE),
    matched("St.Pierre, with the card", seen("ST.PIERRE^GUY", BORN, "M", nam=STPG), ST_PIERRE),
    review("Pierre for St-Pierre", seen("PIERRE^GUY", BORN, "M"), ST_PIERRE),
    review("Ste-Pierre, a rare slip", seen("STE-PIERRE^GUY", BORN, "M"), ST_PIERRE),
    matched("Lheureux, with the card", seen("LHEUREUX^RENEE", BORN, "F", nam=LHER), LHEUREUX),
    matched("L Heureux, with the card", seen("L HEUREUX^RENEE", BORN, "F", nam=LHER), LHEUREUX),
    matched("a curly apostrophe, with the card", seen("L\u2019Heureux^Renée", BORN, "F", nam=LHER), LHEUREUX),
    matched("an apostrophe lost, with the card", seen("L?HEUREUX^RENEE", BORN, "F", nam=LHER), LHEUREUX),
    matched("D'Amours and Damours", seen("DAMOURS^WILHELMINE", BORN, "F"), held("D'Amours", "Wilhelmine", BORN, "F")),
    matched(
        "Le Blanc and Leblanc, with the card",
        seen("LE BLANC^GUY", BORN, "M", nam=nam("LEBG", BORN, "M")),
        held("Leblanc", "Guy", BORN, "M", nam=nam("LEBG", BORN, "M")),
    ),
    matched("O Connor and O'Connor", seen("O CONNOR^WILHELMINE", BORN, "F"), held("O'Connor", "Wilhelmine", BORN, "F")),
    matched("de la in front", seen("DE LA QUINTANE^WILHELMINE", BORN, "F"), held("Quintane", "Wilhelmine", BORN, "F")),
)
FOREIGN = (
    matched("Thi before, with the card", seen("NGUYEN^MEI THI", OTHER, "F", nam=NGUT), NGUYEN),
    review("Thi alone", seen("NGUYEN^THI", OTHER, "F"), NGUYEN),
    review("Mei alone", seen("NGUYEN^MEI", OTHER, "F"), NGUYEN),
    matched("the two sides swapped, no card", seen("THI MEI^NGUYEN", OTHER, "F"), NGUYEN),
    review(
        "another Thi",
        seen("NGUYEN^THI KIM", OTHER, "F", phone=PHONE),
        held("Nguyen", "Thi Mei", OTHER, "F", phone=PHONE),
    ),
    review("Tran for Pham", seen("TRAN^MINH", OTHER, "M", phone=PHONE), held("Pham", "Minh", OTHER, "M", phone=PHONE)),
    review(
        "Wang Wei, swapped, namesakes",
        seen("WEI^WANG", OTHER),
        held("Wang", "Wei", OTHER, "M"),
        held("Wang", "Wei", OTHER, "F"),
    ),
    review("Wang for Chen", seen("WANG^WEI", OTHER, "M"), held("Chen", "Wei", OTHER, "M")),
    review(
        "Kaur, as many are, a beginning of the given name",
        seen("KAUR^JASPREET", OTHER, "F", phone=PHONE),
        held("Kaur", "Jas", OTHER, "F", phone=PHONE),
    ),
    review("Singh for Kaur", seen("SINGH^JASPREET", OTHER, "F"), held("Kaur", "Jaspreet", OTHER, "F")),
    review(
        "Mohamed for Mohammed, a name of many",
        seen("DIALLO^MOHAMED", "1990-01-02", "M"),
        held("Diallo", "Mohammed", "1990-01-02", "M"),
        since=MILLION,
    ),
    review(
        "Ahmed for Mohamed",
        seen("HADDAD^AHMED", "1990-01-02", "M", phone=PHONE),
        held("Haddad", "Mohamed", "1990-01-02", "M", phone=PHONE),
    ),
    nobody("another script", seen("王^伟", OTHER, "M"), held("Roy", "Paul", OTHER, "M")),
    matched(
        "the same in another script",
        seen("王小^伟明", OTHER, "M", mrn="D-220145"),
        held("王小", "伟明", OTHER, "M", mrn="D-220145"),
    ),
    matched("two component groups", seen("QUINTAL ZWIRNER^WILHELMINE=王^伟", BORN, "F"), RARE),
)
DATES = (
    review(
        "day and month swapped, no card",
        seen("PELLETIER^GUY", "1975-04-08", "M"),
        held("Pelletier", "Guy", "1975-08-04", "M"),
        since=MILLION,
    ),
    matched(
        "day and month swapped, a rare name",
        seen("ZWIRNER^WILHELMINE", "1975-04-08", "F"),
        held("Zwirner", "Wilhelmine", "1975-08-04", "F"),
    ),
    review(
        "one digit, a rare name",
        seen("ZWIRNER^WILHELMINE", "1975-08-05", "F"),
        held("Zwirner", "Wilhelmine", "1975-08-04", "F"),
    ),
    matched(
        "one digit, a card beside",
        seen("PELLETIER^GUY", "1975-08-05", "M", nam=nam("PELG", "1975-08-04", "M")),
        held("Pelletier", "Guy", "1975-08-04", "M", nam=nam("PELG", "1975-08-04", "M")),
    ),
    review(
        "two digits, a rare name",
        seen("ZWIRNER^WILHELMINE", "1975-08-19", "F"),
        held("Zwirner", "Wilhelmine", "1975-08-04", "F"),
    ),
    review(
        "a century apart, with the card",
        seen("ZWIRNER^WILHELMINE", "2025-08-04", "F", nam=nam("ZWIW", "1925-08-04", "F")),
        held("Zwirner", "Wilhelmine", "1925-08-04", "F", nam=nam("ZWIW", "1925-08-04", "F")),
    ),
    review(
        "a century apart",
        seen("ZWIRNER^WILHELMINE", "2025-08-04", "F", phone=PHONE),
        held("Zwirner", "Wilhelmine", "1925-08-04", "F", phone=PHONE),
    ),
    nobody(
        "a century apart, a common name", seen("ROY^ROSE", "2025-08-04", "F"), held("Roy", "Rose", "1925-08-04", "F")
    ),
    review(
        "no birth date, a card of another day",
        seen("ZWIRNER^WILHELMINE", "", "F", nam=nam("ZWIW", "1990-08-04", "F")),
        held("Zwirner", "Wilhelmine", "1975-08-04", "F"),
    ),
    matched(
        "no birth date, the card",
        seen("ZWIRNER^WILHELMINE", "", "F", nam=nam("ZWIW", "1975-08-04", "F")),
        held("Zwirner", "Wilhelmine", "1975-08-04", "F", nam=nam("ZWIW", "1975-08-04", "F")),
    ),
    nobody(
        "the first of January, a name of many",
        seen("HADDAD^AHMED", "1975-01-01", "M"),
        held("Haddad", "Fatima", "1975-01-01", "F"),
    ),
    review(
        "the first of January, one name of many",
        seen("DIALLO^MOHAMED", "1975-01-01", "M"),
        held("Diallo", "Mohamed", "1975-01-01", "M"),
        since=MILLION,
    ),
)

SPELT = (*DAMAGED, *CUT, *COMPOUNDS, *PARTICLES, *FOREIGN, *DATES)
