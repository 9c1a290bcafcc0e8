"""What is known of a person: as a study says it, or as the CRM does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from relais.domain.matching.identifiers import Identifier
from relais.domain.matching.names import NameParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person as one side knows them, each part as its reader gives it; what is not known is empty.

    `names` are the ways to read one name, `birth_names` those of the name at birth where another is used. `sex` is M or
    F; O and what nobody knows are empty (PatientSex, PS3.3 section C.7.1.1).
    """

    names: tuple[NameParts, ...] = ()
    birth_names: tuple[NameParts, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    birth_date: date | None = None
    sex: str = ""
    phones: tuple[str, ...] = ()
    postal_codes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
