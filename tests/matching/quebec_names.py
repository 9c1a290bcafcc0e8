"""How the invented people of Quebec are called: names in the order of how common they are, and rare ones made up."""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate, product
from random import Random

SURNAMES = """
Tremblay Gagnon Roy Côté Bouchard Gauthier Morin Lavoie Fortin Gagné Ouellet Pelletier Bélanger Lévesque Bergeron
Leblanc Paquette Girard Simard Boucher Caron Beaulieu Cloutier Dubé Poirier Fournier Lapointe Leclerc Lefebvre Poulin
Thibault St-Pierre Nadeau Martin Landry Martel Bédard Grenier Lessard Bernier Richard Michaud Hébert Desjardins Couture
Turcotte Lachance Parent Blais Gosselin Savard Proulx Beaudoin Demers Perreault Boudreau Lemieux Cyr Perron Dufour Dion
Mercier Bolduc Bérubé Boisvert Langlois Ménard Therrien Plante Bilodeau Blanchette Dubois Champagne Paradis Fortier
Arsenault Dupuis Gaudreault Hamel Houle Villeneuve Rousseau Gravel Thériault Lemay Robert Allard Deschênes Giroux
Guay Leduc Boivin Charbonneau Lambert Raymond Vachon Gilbert Audet Jean Larouche Legault Trudel Fontaine Picard
Labelle Lacroix Jacques Moreau Carrier Bernard Desrosiers Goulet Renaud Dionne Lapierre Vaillancourt Fillion Lalonde
Tessier Bertrand Tardif Lepage Gingras Benoît Rioux Giguère Drouin Harvey Lauzon Nguyen Gendron Boutin Laflamme Vallée
Dumont Breton Paré Paquin Robitaille Gélinas Duchesne Lussier Séguin Veilleux Potvin Gervais Pépin Laroche Morissette
Charron Lavallée Laplante Chabot Brunet Vézina Desrochers Labrecque Coulombe Tanguay Chouinard Noël Pouliot Lacasse
Marcotte Daigle Marchand Provost Rodrigue Racine Lepire Martineau Chartrand Frenette Thibodeau Bisson Guérin Aubin
Tran Singh Patel Smith Ali Garcia Rodriguez Khan Haddad Diallo Pierre Joseph Li Wang Chen Kaur Ahmed Brown Lopez
L'Heureux D'Amours De_Blois Le_Bel St-Onge St-Laurent St-Louis Ste-Marie La_Rochelle Van_Houtte O'Connor McKenzie
""".split()  # noqa: SIM905 - names read best as text
FEMALE = {
    1950: """Marie Louise Jeanne Lise Nicole Denise Monique Claudette Ginette Suzanne Thérèse Pierrette Huguette
        Jacqueline Micheline Francine Diane Carole Johanne Lucie Hélène Colette Rita Gisèle Pauline Cécile Rose Yvette
        Madeleine Andrée Réjeanne Marguerite Claire Murielle Jocelyne Danielle Françoise Louiselle Solange Aline""",
    1980: """Nathalie Sylvie Julie Isabelle Chantal Manon Martine Annie Caroline Mélanie Stéphanie Josée Patricia
        Véronique Karine Sonia Geneviève Valérie Lyne Brigitte Nancy Linda Guylaine Marie Line Michèle Dominique
        Claude Sophie Anne Catherine Christine Katia Ève Kim Mélissa Annick France Odile Renée Marjolaine Maude""",
    2030: """Émilie Audrey Camille Laurence Léa Rosalie Florence Alice Emma Olivia Charlotte Juliette Zoé Jade Coralie
        Noémie Sarah Ariane Gabrielle Megan Megane Maïka Chloé Béatrice Éloïse Alexia Alexandra Frédérique Lou Anne
        Eva Mia Livia Clara Victoria Raphaëlle Maélie Mila Rose Ève Océane Élodie Amélie Myriam Fatima Aïcha Mei""",
}
MALE = {
    1950: """Jean Pierre Jacques André Claude Michel Robert Réal Gilles Roger Marcel Yvon Guy Raymond Denis Normand
        Gérard Maurice Fernand Paul Roland Lucien Laurent Henri Léo Armand Rosaire Émile Adrien Jean-Guy Jean-Paul
        Jean-Claude Bernard Serge Richard Louis Joseph Benoît Yves Germain""",
    1980: """Michel Daniel Alain Sylvain Stéphane Éric Martin François Patrick Luc Mario Benoît Christian Yves Marc
        Steve Dominique Pascal Frédéric Sébastien Jean Louis Simon David Dany Claude Richard Carl Guy Bruno Denis
        Nicolas Philippe Mathieu Jonathan Alexandre Hugo Ghislain Réjean Pierre Paul Gaétan Serge Kevin""",
    2030: """William Thomas Olivier Samuel Gabriel Félix Nathan Alexis Mathis Antoine Xavier Jérémy Raphaël Zachary
        Noah Liam Léo Logan Édouard Arthur Louis Charles Émile Jacob Alexandre Alex Vincent Anthony Benjamin Étienne
        Mathieu Justin Maxime Tristan Ludovic Hugo Théo Lucas Nolan Laurent Frédéric Mohamed Adam Wei Minh Ethan""",
}
TAILS = {
    "F": ("Marie", ("Ève", "Lou", "Pier", "Claude", "Josée", "France", "Andrée", "Hélène", "Christine", "Soleil")),
    "M": ("Jean", ("François", "Philippe", "Sébastien", "Pierre", "Paul", "Claude", "Guy", "Luc", "Michel", "Simon")),
}
OTHER_COMPOUNDS = {
    "F": ("Anne-Marie", "Anne-Sophie", "Rose-Marie", "Ève-Marie", "Lou-Anne", "Emma-Rose"),
    "M": ("Pierre-Luc", "Pierre-Olivier", "Marc-André", "Marc-Antoine", "Louis-Philippe", "Charles-Étienne"),
}
STREETS = """
Principale|Notre-Dame|Saint-Jean|de l'Église|Saint-Joseph|des Érables|du Collège|Sainte-Catherine|Sherbrooke|Laurier|
des Pins|Papineau|de la Montagne|Saint-Denis|Lafontaine|du Moulin|des Lilas|Champlain|Frontenac|Cartier|de Gaspé|
Bellevue|du Parc|Sainte-Anne|Saint-Hubert|des Peupliers|Montcalm|Beaubien|Jean-Talon|Rachel|Wellington|King
""".replace("\n", "").split("|")
KINDS_OF_STREETS = ("rue", "avenue", "boulevard", "chemin")
TOWNS = (
    *(("Montréal", "H"), ("Montréal", "H"), ("Québec", "G"), ("Laval", "H"), ("Gatineau", "J"), ("Longueuil", "J")),
    *(("Sherbrooke", "J"), ("Lévis", "G"), ("Trois-Rivières", "G"), ("Saguenay", "G"), ("Saint-Jérôme", "J")),
)
_RARE_STARTS = (
    *"Bo Chau De Far Gui La Mon Pel Ro Sau Tur Vi Bre Cou Du Fon Gra Ker Lan Mar Per Qui Ra Ser".split(" "),  # noqa: SIM905
)
_RARE_MIDDLES = (
    *"bi che don fre gna la le mi na ri ro san te va vil zo pin rou bou lan".split(" "),  # noqa: SIM905
)
_RARE_ENDS = (
    *"ard eau elle ette ier in ois on ot oux ville uc aud and ert igne ac ault".split(" "),  # noqa: SIM905
)
RARE = 7_000
_TAIL = [
    "".join(syllables)
    for syllables in Random(1981).sample(list(product(_RARE_STARTS, _RARE_MIDDLES, _RARE_ENDS)), RARE)
]


class Ranked:
    """Names of which the one at place r is as common as 1/(r + shift)."""

    def __init__(self, names: Sequence[str], shift: float) -> None:
        """A larger shift makes the first ones less common."""
        self.names = names
        self._sums = list(accumulate(1 / (place + shift) for place in range(len(names))))

    def draw(self, random: Random) -> str:
        """One of them."""
        return self.names[bisect(self._sums, random.random() * self._sums[-1])]


SURNAME = Ranked([*(name.replace("_", " ") for name in SURNAMES), *_TAIL], 14)
"""Of which the first is as common as Tremblay is."""
_GIVEN = {
    (sex, until): Ranked([*names.split(), *_TAIL[place * 60 : place * 60 + 60]], 4)
    for sex, lists in (("F", FEMALE), ("M", MALE))
    for place, (until, names) in enumerate(lists.items())
}


def given_name(random: Random, sex: str, year: int) -> str:
    """A given name of that time, of one part or two."""
    first, tails = TAILS[sex]
    kind = random.random()
    compounds = 0.2 if year < 1970 else 0.12  # baptismal names went out of use
    if kind < compounds * 0.6:
        return f"{first}-{tails[random.randrange(len(tails))]}"
    if kind < compounds:
        return random.choice(OTHER_COMPOUNDS[sex])
    until = next(each for each in FEMALE if year < each)
    return _GIVEN[sex, until].draw(random)
