"""A router with other PACS beside it: one that has studies, one that does not know us, one that nobody answers at."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from tests.browser.conftest import PASSWORD, authorization
from tests.browser.network import CLINICS, OUTREMONT, picture
from tests.demo import pictures
from tests.demo.people import PEOPLE
from tests.demo.samples import EMILIE, LUC, NOAH, ZOE
from tests.servers.dicom import Study, send
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.orthanc import OrthancServer, RestError
from tests.servers.ports import free_port
from tests.servers.router import QUEBEC, Router, destination, source

USERS = {
    "olga": {"Roles": ["Operator"], "Clinics": ["*"]},
    "otto": {"Roles": ["Operator"], "Clinics": ["outremont"], "Language": "fr"},
    "vera": {"Roles": ["Viewer"], "Clinics": ["*"]},
    "ada": {"Roles": ["Auditor"], "Clinics": ["*"]},
}


@dataclass
class BesidePacs:
    """The router and the PACS; ends with its `ExitStack`."""

    folder: Path

    def start(self, ending: ExitStack) -> Self:
        """Start everything, and put studies into the PACS."""
        port = free_port()
        self.hospital = OrthancServer(self.folder / "pacs", aet="HOSPITAL", modalities={"relais": ("RELAIS", port)})
        ending.enter_context(self.hospital)
        self.archive = ending.enter_context(
            OrthancServer(self.folder / "archive", aet="VNA_QC", configuration={"DicomAlwaysAllowFind": True})
        )
        self.strict = ending.enter_context(IntelePacs("STRICT", SETTINGS["A"]))
        self.port = port
        options = {"AuthenticationEnabled": True, "RegisteredUsers": dict.fromkeys(USERS, PASSWORD)}
        self.router = Router(
            self.folder / "router", aet="RELAIS", relais=self._section(), configuration=options, dicom_port=port
        )
        ending.enter_context(self.router)
        for each in PEOPLE:
            self.ask("PUT", f"patients/{each['CrmId']}", each)
        self.prior = self._hold("CT", EMILIE, 8, "Tomographie, implant")
        self.films = [self._hold("PX", each, 1, "Panoramique") for each in (LUC, NOAH, ZOE)]
        self.films_there = picture("IO", pictures.intra_oral(9), LUC, instances=3, StudyDescription="Interproximales")
        self.strict.hold(self.films_there.instances)
        return self

    def ask(self, method: str, route: str, body: Any = None, *, user: str = "olga") -> Any:
        """One request to the API, as this user; raises RestError where it is refused."""
        path = f"/relais/v1/{route}"
        answer = self.router.rest.request(method, path, body, headers=authorization(user))
        if answer.status >= 400:
            raise RestError(method, path, answer.status, answer.data)
        return answer.json()

    def order(self, accession_number: str, patient: Mapping[str, str], day: str, time: str, **more: str) -> None:
        """Put an order on the worklist of Outremont."""
        body = {
            **patient,
            "AccessionNumber": accession_number,
            "Clinic": "outremont",
            "ScheduledProcedureStepStartDate": day,
            "ScheduledProcedureStepStartTime": time,
            "ScheduledStationAETitle": "CS8100",
            "Modality": "PX",
            "RequestedProcedureDescription": "Panoramique",
        }
        self.ask("POST", "worklist", body | more)

    def arrives(self, patient: Mapping[str, str], accession_number: str) -> str:
        """A machine of Outremont sends a study with this accession number; answers its UID."""
        study = picture("PX", pictures.panoramic(3), patient, AccessionNumber=accession_number)
        send(study, self.router.dicom_port, calling_aet=OUTREMONT["calling_aet"], called_aet=OUTREMONT["called_aet"])
        return study.uid

    def _hold(self, modality: str, patient: Mapping[str, str], images: int, description: str) -> Study:
        film = pictures.cone_beam(2, 0.5) if modality == "CT" else pictures.panoramic(images)
        study = picture(
            modality,
            film,
            patient,
            instances=images,
            StudyDescription=description,
            StudyDate=f"{datetime.now(UTC):%Y%m%d}",
        )
        send(study, self.hospital.dicom_port, called_aet="HOSPITAL")
        return study

    def _section(self) -> Mapping[str, Any]:
        return {
            "Language": "en",
            "Users": USERS,
            "Clinics": {name: {**clinic, "TimeZone": "America/Toronto"} for name, clinic in CLINICS.items()},
            "Destinations": {"vna-qc": destination("VNA_QC", self.archive.dicom_port, Jurisdiction=QUEBEC)},
            "Sources": {
                "hospital": source("HOSPITAL", self.hospital.dicom_port, Profile="Orthanc", Clinic="outremont"),
                "strict": source("STRICT", self.strict.port, Profile="IntelePACS", Clinics=["outremont"]),
                "gone": source("GONE", free_port(), TimeoutSeconds=1),
            },
            "Watches": {
                "new-films": {"Source": "hospital", "EverySeconds": 3600, "Modalities": ["PX"], "Then": "Announce"}
            },
            "Prefetch": {"Enabled": True, "LeadHours": 24, "Sources": ["hospital"]},
            "Rules": [{"Name": "everything to the archive", "DeliverTo": ["vna-qc"]}],
            "Completeness": {"QuietSeconds": 0.5},
        }
