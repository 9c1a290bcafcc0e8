"""The demo's appointments: those of today, which the samples complete, and one of tomorrow, with priors in the PACS."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.demo.samples import EMILIE, LUC, NOAH

_TODAY = (
    ("D-1001", "P-1001", EMILIE, "0900", "outremont", "PX", "Panoramique"),
    ("D-1002", "P-1001", EMILIE, "0910", "outremont", "IO", "Interproximales"),
    ("D-1003", "P-1002", LUC, "1030", "outremont", "CT", "Tomographie, implant"),
    ("D-1004", "P-1004", NOAH, "1115", "gatineau", "IO", "Série complète"),
    ("D-1005", "P-1002", LUC, "1545", "outremont", "PX", "Panoramique de contrôle"),
)
_TOMORROW = ("D-1006", "P-1001", EMILIE, "0930", "outremont", "CT", "Tomographie de contrôle")


def orders_of_today() -> Iterator[Mapping[str, Any]]:
    """As the CRM gives them."""
    for each in _TODAY:
        yield _order(_day(0), *each)


def order_of_tomorrow() -> Mapping[str, Any]:
    """Somebody of whom the PACS has earlier studies."""
    return _order(_day(1), *_TOMORROW)


def _day(later: int) -> str:
    return f"{datetime.now(ZoneInfo('America/Toronto')) + timedelta(days=later):%Y%m%d}"


def _order(
    day: str,
    accession_number: str,
    crm_id: str,
    patient: Mapping[str, str],
    time: str,
    clinic: str,
    modality: str,
    procedure: str,
) -> Mapping[str, Any]:
    return {
        **patient,
        "AccessionNumber": accession_number,
        "CrmId": crm_id,
        "Clinic": clinic,
        "Modality": modality,
        "RequestedProcedureDescription": procedure,
        "ScheduledProcedureStepStartDate": day,
        "ScheduledProcedureStepStartTime": time,
    }
