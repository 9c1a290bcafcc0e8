"""The patients of the demo's CRM: most are in the samples, two are twins, and one sample is of nobody. All invented."""

from collections.abc import Mapping
from typing import Any

from tests.servers.orthanc import Rest


def patient(crm_id: str, family: str, given: str, birth_date: str, sex: str, **more: Any) -> Mapping[str, Any]:
    """A patient as the CRM gives it."""
    return {
        "CrmId": crm_id,
        "FamilyName": family,
        "GivenNames": given,
        "BirthDate": birth_date,
        "Sex": sex,
        "Region": "CA-QC",
        **more,
    }


def _address(street: str, code: str, phone: str) -> Mapping[str, Any]:
    return {"Address": street, "PostalCode": code, "Phones": [phone]}


_HOME = _address("84, rue des Hirondelles, Gatineau", "J8P 2K4", "819 555-0147")

PEOPLE = (
    patient(
        "P-1001",
        "Tremblay",
        "Émilie",
        "1984-05-17",
        "F",
        **_address("12, avenue Bernard, Montréal", "H2V 1T5", "514 555-0112"),
    ),
    patient(
        "P-1002",
        "Gagné",
        "Jean-Luc",
        "1971-11-22",
        "M",
        **_address("310, rue Laurier, Montréal", "H2V 2K7", "514 555-0168"),
    ),
    patient("P-1003", "Bélanger", "Zoé", "2015-03-08", "F", Labels=["orthodontie"]),
    patient("P-1004", "Desrosiers-Côté", "Noah", "2009-07-14", "M", Labels=["orthodontie"], **_HOME),
    patient("P-1005", "Desrosiers-Côté", "Nathan", "2009-07-14", "M", **_HOME),
    patient("P-1006", "McIntyre", "Olivia", "1992-09-05", "F", Region="CA-ON"),
    patient("P-1007", "Tremblay", "Émile", "1984-05-11", "M"),
    patient("P-1008", "Gagnon", "Marie-Ève", "1990-02-28", "F", BirthName="Tremblay"),
    patient("P-1009", "Roy", "Camille", "2001-12-03", "F"),
    patient("P-1010", "Bouchard", "Antoine", "1966-04-19", "M"),
    patient("P-1011", "Côté", "Jeanne", "1948-08-30", "F"),
    patient("P-1012", "Nguyen", "Linh", "1979-06-21", "F"),
)
"""Zoé's birth date differs in one digit from her images'; the Dr André of two samples is nobody's patient."""


def register(router: Rest) -> None:
    """Give the router every patient, as a CRM does."""
    for each in PEOPLE:
        router.put(f"/relais/v1/patients/{each['CrmId']}", each)
