"""A small network with everything that pages can show: flow, a slow lane, a dead one, refusals, a hold, a deaf CRM."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from pydicom.uid import JPEG2000Lossless

from tests.demo import pictures
from tests.demo.samples import EMILIE, LUC, NOAH, OLIVIA, ZOE
from tests.servers.dicom import Image, Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.ports import free_port
from tests.servers.proxy import Proxy
from tests.servers.receiver import Answer, Receiver
from tests.servers.router import QUEBEC
from tests.servers.waiting import eventually

SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2Vj"
CLINICS = {
    "outremont": {"Name": "Clinique Outremont", "Region": "CA-QC", "CalledAets": ["OUTREMONT"]},
    "gatineau": {"Name": "Centre dentaire de Gatineau", "Region": "CA-QC", "CalledAets": ["GATINEAU"]},
    "ottawa": {"Name": "Rideau Dental", "Region": "CA-ON", "CalledAets": ["OTTAWA"]},
}
OUTREMONT = {"calling_aet": "CS8100", "called_aet": "OUTREMONT"}
GATINEAU = {"calling_aet": "SIRONA", "called_aet": "GATINEAU"}
OTTAWA = {"calling_aet": "NNT", "called_aet": "OTTAWA"}


@dataclass
class Network:
    """The router and whom it talks to; ends with its `ExitStack`."""

    folder: Path
    router_options: Mapping[str, Any] = field(default_factory=dict)
    users: Mapping[str, Any] = field(default_factory=dict)
    matching: Mapping[str, Any] = field(default_factory=dict)

    def start(self, ending: ExitStack) -> Self:
        """Start everything."""
        (self.folder / "files").mkdir(parents=True)
        self.crm = ending.enter_context(Receiver())
        self.deaf = ending.enter_context(Receiver())
        self.deaf.answer = Answer(status=410, body=b"this address is gone")
        self.archive = ending.enter_context(
            OrthancServer(self.folder / "archive", aet="VNA_QC", configuration={"DicomAlwaysAllowFind": True})
        )
        refusing = {"AcceptedTransferSyntaxes": [str(JPEG2000Lossless)]}
        self.museum = ending.enter_context(OrthancServer(self.folder / "museum", aet="MUSEE", configuration=refusing))
        self.slow = ending.enter_context(Proxy(self.archive.dicom_port))
        self.router = OrthancServer(
            self.folder / "router", aet="RELAIS", relais=self._section(), configuration=self.router_options
        )
        ending.enter_context(self.router)
        return self

    def send(self, study: Study, way: Mapping[str, str]) -> str:
        """Send a study as its machine would; answers its UID."""
        send(study, self.router.dicom_port, calling_aet=way["calling_aet"], called_aet=way["called_aet"])
        return study.uid

    def eventually_is(self, uid: str, state: str) -> Mapping[str, Any]:
        """The study as the API tells, once it is in this state."""

        def look() -> Any:
            answer = self.router.rest.request("GET", f"/relais/v1/studies/{uid}")
            document = self.router.rest.get(f"/relais/v1/studies/{uid}") if answer.status == 200 else {}
            return document if document.get("State") == state else None

        return eventually(look, 30, f"{uid} is {state}")

    def seed(self) -> None:
        """Send studies of every fate."""
        panoramic = picture("PX", pictures.panoramic(1), EMILIE, StudyDescription="Panoramique")
        routed = [self.send(panoramic, OUTREMONT)]
        for number, patient in enumerate((EMILIE, ZOE, NOAH, LUC)):
            study = picture(
                "IO", pictures.intra_oral(number), patient, instances=3, StudyDescription="Rétroalvéolaires"
            )
            routed.append(self.send(study, (OUTREMONT, GATINEAU)[number % 2]))
        scan = picture("CT", pictures.cone_beam(3, 0.5), OLIVIA, instances=8, StudyDescription="Cone beam, airway")
        routed.append(self.send(scan, OTTAWA))
        film = picture("DX", pictures.intra_oral(7), LUC, StudyDescription="Céphalométrie, antérieur")
        routed.append(self.send(film, GATINEAU))
        photograph = picture("OT", pictures.intra_oral(5), ZOE, StudyDescription="Photographie")
        for uid in routed:
            self.eventually_is(uid, "Routed")
        self.eventually_is(self.send(photograph, GATINEAU), "Held")
        eventually(self._is_settled, 30, "deliveries were tried")

    def _is_settled(self) -> bool:
        lanes = {each["Name"]: each for each in self.router.rest.get("/relais/v1/destinations")["Items"]}
        return (
            lanes["museum"]["Counts"].get("Failed") == 1
            and lanes["vna-on"]["State"] == "Down"
            and not lanes["vna-qc"]["Backlog"]
            and lanes["stand-in"]["CompletedLastDay"] == 1
            and lanes["folder"]["CompletedLastDay"] == 1
        )

    def _section(self) -> Mapping[str, Any]:
        here = {"Kind": "Dicom", "Host": "127.0.0.1", "Jurisdiction": QUEBEC}
        someday = f"{datetime.now(UTC) + timedelta(days=3):%A}"
        everything = {"Field": "Modality", "In": ["PX", "IO", "CT"]}
        return {
            "Language": "en",
            "Users": self.users,
            **({"Matching": self.matching} if self.matching else {}),
            "Clinics": {name: {**clinic, "TimeZone": "America/Toronto"} for name, clinic in CLINICS.items()},
            "Destinations": {
                "vna-qc": {**here, "Aet": "VNA_QC", "Port": self.archive.dicom_port},
                "vna-on": {
                    **here,
                    "Aet": "VNA_ON",
                    "Port": free_port(),
                    "Retry": {"FirstDelaySeconds": 0.2, "MaximumDelaySeconds": 3},
                    "FailoverTo": "stand-in",
                },
                "stand-in": {**here, "Aet": "VNA_QC", "Port": self.archive.dicom_port, "Proof": "Queried"},
                "night": {
                    **here,
                    "Aet": "VNA_QC",
                    "Port": self.archive.dicom_port,
                    "Windows": [{"Days": [someday], "From": "02:00", "To": "03:00"}],
                    "Bandwidth": 20,
                },
                "folder": {
                    "Kind": "Files",
                    "Jurisdiction": QUEBEC,
                    "Url": f"file://{self.folder / 'files'}",
                    "Proof": "Queried",
                    "Coerce": {"Set": {"InstitutionName": "Clinique Gatineau"}, "Remove": ["PatientID"]},
                },
                "shelves": {"Kind": "Pool", "Of": {"folder": 3, "night": 1}},
                "museum": {**here, "Aet": "MUSEE", "Port": self.museum.dicom_port},
                "slow": {**here, "Aet": "VNA_QC", "Port": self.slow.port, "BatchInstances": 200},
            },
            "Rules": [
                {
                    "Name": "dental images to the archive",
                    "When": {"All": [everything, {"Field": "Clinic.Region", "Equals": "CA-QC"}]},
                    "DeliverTo": ["vna-qc"],
                },
                {
                    "Name": "Ontario stays in Ontario",
                    "When": {"Field": "Clinic.Region", "Equals": "CA-ON"},
                    "DeliverTo": ["vna-on", "night"],
                    "Priority": "Urgent",
                },
                {"Name": "old films", "When": {"Field": "Modality", "Equals": "DX"}, "DeliverTo": ["museum", "folder"]},
                {"Name": "slow line", "When": {"Field": "Modality", "Equals": "MR"}, "DeliverTo": ["slow"]},
            ],
            "Otherwise": {"Hold": "no rule knows this kind of image"},
            "Completeness": {"QuietSeconds": 0.5},
            "Subscribers": {
                "crm": {"Url": self.crm.url, "Secret": SECRET},
                "reports": {"Url": self.deaf.url, "Secret": SECRET, "Events": ["delivery.*"]},
            },
        }


def picture(modality: str, image: Image, patient: Mapping[str, str], *, instances: int = 1, **tags: str) -> Study:
    """A study that shows something."""
    return make_study(modality=modality, image=image, instances=instances, tags={**patient, **tags})
