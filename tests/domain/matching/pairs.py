"""How a hard pair is written: what a study says, whom the CRM knows, and what must not come of it.

Names are as common as in a CRM of a million.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from relais.domain.matching.contact import read_address, read_phone, read_postal_code
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
    "LAVOIE": 4_700,
    "FORTIN": 4_500,
    "PELLETIER": 4_300,
    "BELANGER": 4_300,
    "STPIERRE": 2_300,
    "LEBLANC": 3_300,
    "HEBERT": 2_200,
    "LECLERC": 2_300,
    "LECLAIR": 600,
    "LHEUREUX": 500,
    "DAMOURS": 300,
    "CARON": 2_900,
    "CARRIER": 1_300,
    "MICHAUD": 2_100,
    "MICHEL": 300,
    "ROBERT": 1_200,
    "ROBERGE": 900,
    "TRAN": 1_300,
    "PHAM": 700,
    "WANG": 600,
    "CHEN": 700,
    "PATEL": 700,
    "KAUR": 900,
    "DIALLO": 500,
    "HADDAD": 400,
    "OCONNOR": 100,
    "SMITH": 1_000,
    "SMYTH": 60,
    "GIRARD": 2_700,
    "GIROUARD": 300,
    "POIRIER": 2_700,
    "PERRON": 1_200,
    "PERREAULT": 1_800,
    "SIMARD": 3_000,
    "SAVARD": 1_900,
    "LEVESQUE": 4_300,
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
    "JULIE": 8_000,
    "JULIEN": 2_500,
    "JULIA": 1_500,
    "JULIETTE": 2_500,
    "EMMA": 3_500,
    "EMILE": 2_000,
    "EMILIE": 4_000,
    "EMY": 500,
    "DANIEL": 12_000,
    "DANIELLE": 4_000,
    "DANIELA": 300,
    "ANDRE": 13_000,
    "ANDREE": 4_000,
    "RENE": 6_000,
    "RENEE": 2_500,
    "DENIS": 9_000,
    "DENISE": 8_000,
    "PAULE": 1_000,
    "SIMON": 5_000,
    "SIMONE": 1_500,
    "GABRIEL": 6_000,
    "GABRIELLE": 4_500,
    "SAMUEL": 6_000,
    "LAURENT": 3_500,
    "LAURENCE": 3_500,
    "LEA": 3_500,
    "LEO": 2_500,
    "ELIE": 500,
    "ELISE": 1_500,
    "LISE": 9_000,
    "ANNIE": 6_000,
    "ANNA": 1_500,
    "ERIC": 9_000,
    "ERICA": 300,
    "GUY": 7_000,
    "ROGER": 4_000,
    "NOAH": 2_500,
    "NOEMIE": 2_500,
    "VAN": 400,
    "MINH": 400,
    "MEI": 200,
    "KIM": 1_500,
    "MOHAMED": 3_000,
    "MOHAMMED": 800,
    "AHMED": 1_200,
    "FATIMA": 1_000,
    "ZOE": 2_000,
    "CHLOE": 2_500,
    "WILLIAM": 7_000,
    "ROBERT": 9_000,
    "JOSEPH": 20_000,
    "THERESE": 5_000,
    "ROSE": 4_000,
    "VINCENT": 4_000,
    "PHILIPPE": 6_500,
    "OLIVIA": 1_500,
    "MAXIME": 5_500,
    "MAXINE": 200,
    "CLAIRE": 3_500,
    "CLARA": 1_500,
    "MARC": 9_000,
    "JASPREET": 40,
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
    """What a study says: PN, birth date and sex; `nam`, `mrn`, `local`, `phone`, `postal_code`, `address`."""
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
    address = read_address(others.get("address", ""))
    return Identity(
        names=named.names,
        birth_names=named.birth_names,
        identifiers=tuple(each for each in identifiers if each is not None),
        birth_date=date.fromisoformat(born) if born else None,
        sex=sex,
        phones=(phone,) if phone else (),
        postal_codes=(code,) if code else (),
        addresses=(address,) if address else (),
    )


def review(name: str, asked: Identity, *known: Identity | Candidate, since: int = 1) -> Pair:
    """A person must look."""
    return Pair(name=name, asked=asked, known=_people(known), should=State.Review, since=since)


def nobody(name: str, asked: Identity, *known: Identity | Candidate) -> Pair:
    """None of them."""
    return Pair(name=name, asked=asked, known=_people(known), should=State.Unmatched)


def matched(name: str, asked: Identity, *known: Identity | Candidate) -> Pair:
    """The first is who it is."""
    people = _people(known)
    return Pair(name=name, asked=asked, known=people, should=State.Matched, to=people[0].crm_id)


def _people(known: tuple[Identity | Candidate, ...]) -> tuple[Candidate, ...]:
    numbered = zip("ABCDEFGH", known, strict=False)
    return tuple(each if isinstance(each, Candidate) else Candidate(letter, each) for letter, each in numbered)
