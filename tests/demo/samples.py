"""The demo's clinics, archives and patients. All of them are invented."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset

from tests.demo import pictures
from tests.servers.dicom import Image, Study, make_study

SECRET = "whsec_ZGVtby1vbmx5LXNlY3JldC1vZi10aGUtQ1JNLTAx"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One study to send: who calls whom, and what it shows."""

    modality: str
    patient: Mapping[str, str]
    way: tuple[str, str]  # calling and called AE title
    images: int = 1
    tags: Mapping[str, Any] = field(default_factory=dict)

    def study(self, seed: int) -> Study:
        """Draw it."""
        study = make_study(modality=self.modality, instances=self.images, tags={**self.patient, **self.tags})
        for number, instance in enumerate(study.instances):
            _show(instance, self._picture(seed, number))
        return study

    def _picture(self, seed: int, number: int) -> Image:
        match self.modality:
            case "CT":
                return pictures.cone_beam(seed, number / max(1, self.images - 1))
            case "PX":
                return pictures.panoramic(seed + number)
            case _:
                return pictures.intra_oral(seed + number)


def _show(instance: Dataset, image: Image) -> None:
    instance.Rows, instance.Columns, instance.PixelData = image.rows, image.columns, image.pixels


def person(name: str, identifier: str, birth_date: str, sex: str) -> Mapping[str, str]:
    """A patient as X-ray machines write them."""
    return {"PatientName": name, "PatientID": identifier, "PatientBirthDate": birth_date, "PatientSex": sex}


def _ordered(accession_number: str, description: str) -> Mapping[str, str]:
    """What a machine writes that took the order from its worklist."""
    return {"AccessionNumber": accession_number, "StudyDescription": description}


EMILIE = person("Tremblay^Émilie", "TREE84051712", "19840517", "F")
LUC = person("Gagné^Jean-Luc", "GAGJ71112208", "19711122", "M")
ZOE = person("Bélanger^Zoé", "BELZ15530311", "20150303", "F")
NOAH = person("Desrosiers-Côté^Noah", "DESN09071401", "20090714", "M")
OLIVIA = person("McIntyre^Olivia", "4532-118-220", "19920905", "F")
NOAH_OR_NATHAN = person("Desrosiers-Côté^N", "", "20090714", "M")
ANDRE = person("Lefebvre^André^^Dr", "LEFA58012007", "19580120", "M")

OUTREMONT = ("CS8100", "OUTREMONT")
GATINEAU = ("SIRONA", "GATINEAU")
OTTAWA = ("NNT", "OTTAWA")
PACS = ("INTELEPACS", "RELAIS")

SAMPLES = (
    Sample(modality="PX", patient=EMILIE, tags=_ordered("D-1001", "Panoramique"), way=OUTREMONT),
    Sample(modality="IO", patient=EMILIE, images=4, tags=_ordered("D-1002", "Interproximales"), way=OUTREMONT),
    Sample(modality="IO", patient=ZOE, images=2, tags={"StudyDescription": "Rétroalvéolaires"}, way=GATINEAU),
    Sample(modality="CT", patient=LUC, images=40, tags=_ordered("D-1003", "Tomographie, implant"), way=OUTREMONT),
    Sample(modality="PX", patient=OLIVIA, tags={"StudyDescription": "Panoramic"}, way=OTTAWA),
    Sample(modality="IO", patient=NOAH, images=18, tags=_ordered("D-1004", "Série complète"), way=GATINEAU),
    Sample(modality="PX", patient=NOAH_OR_NATHAN, tags={"StudyDescription": "Panoramique"}, way=GATINEAU),
    Sample(modality="CT", patient=OLIVIA, images=24, tags={"StudyDescription": "Cone beam, airway"}, way=OTTAWA),
    Sample(modality="OT", patient=ANDRE, tags={"StudyDescription": "Photographie"}, way=GATINEAU),
    Sample(
        modality="PX",
        patient=ANDRE,
        tags={"StudyDescription": "Panoramique, antérieur", "InstitutionName": "Clinique Outremont (archives)"},
        way=PACS,
    ),
    Sample(
        modality="CT",
        patient=NOAH,
        images=32,
        tags={"StudyDescription": "Tomographie, canines", "InstitutionName": "Centre dentaire de Gatineau"},
        way=PACS,
    ),
)


PRIORS = (
    Sample(
        modality="PX",
        patient=EMILIE,
        tags={"StudyDate": "20240311", "StudyDescription": "Panoramique, il y a deux ans"},
        way=PACS,
    ),
    Sample(
        modality="CT",
        patient=EMILIE,
        images=24,
        tags={"StudyDate": "20250902", "StudyDescription": "Tomographie, sinus"},
        way=PACS,
    ),
    Sample(
        modality="IO",
        patient=LUC,
        images=6,
        tags={"StudyDate": "20250118", "StudyDescription": "Rétroalvéolaires"},
        way=PACS,
    ),
)
"""What the PACS has of earlier years, and sends nobody by itself."""

SECRET_VARIABLE = "RELAIS_DEMO_SECRET"
"""Where the router finds what its CRM is signed for with: a database keeps no secrets."""


def relais_section(vna_qc: int, vna_on: int, pacs: int, crm: str) -> Mapping[str, Any]:
    """The router's `Relais` section; the arguments are DICOM ports and the CRM's address."""
    here = {"Kind": "Dicom", "Host": "127.0.0.1"}
    return {
        "Language": "fr",
        "ConfigurationSource": "Database",  # so that it can be changed on the pages
        "Approval": "Never",  # there is only one person here
        "Clinics": {
            "outremont": _clinic("Clinique Outremont", "CA-QC", "OUTREMONT", "Clinique Outremont*"),
            "gatineau": _clinic("Centre dentaire de Gatineau", "CA-QC", "GATINEAU", "*Gatineau*"),
            "ottawa": _clinic("Rideau Dental", "CA-ON", "OTTAWA", "Rideau*"),
        },
        "Sources": {
            "intelepacs": {**here, "Aet": "INTELEPACS", "Port": pacs, "Profile": "Orthanc"}  # an Orthanc plays it
        },
        "Watches": {"archives": {"Source": "intelepacs", "EverySeconds": 60, "Days": 7, "Then": "Announce"}},
        "Prefetch": {"Enabled": True, "LeadHours": 72},
        "Destinations": {
            "vna-qc": {**here, "Aet": "VNA_QC", "Port": vna_qc, "Jurisdiction": _in("CA-QC")},
            "vna-on": {
                **here,
                "Aet": "VNA_ON",
                "Port": vna_on,
                "Jurisdiction": _in("CA-ON"),
                "Assessment": {"Reference": "EFVP-2026-04", "Result": "Adequate", "Expires": "2036-04-01"},
                "Agreement": {"Reference": "C-118", "Expires": "2036-04-01"},
            },
        },
        "Rules": list(_rules()),
        "Otherwise": {"Hold": "aucune règle ne s'applique"},
        "Completeness": {"QuietSeconds": 4, "ByModality": {"IO": 2, "PX": 2}},
        "Subscribers": {"crm": {"Url": crm, "Secret": {"Env": SECRET_VARIABLE}}},
    }


def _in(region: str) -> Mapping[str, Any]:
    return {"Storage": region, "Access": [region]}


def _clinic(name: str, region: str, aet: str, institution: str) -> Mapping[str, Any]:
    return {
        "Name": name,
        "TimeZone": "America/Toronto",
        "Region": region,
        "CalledAets": [aet],
        "InstitutionNames": [institution],
    }


def _rules() -> Iterator[Mapping[str, Any]]:
    images = {"Field": "Modality", "In": ["IO", "PX", "DX", "CT"]}
    for region, destination in (("CA-QC", "vna-qc"), ("CA-ON", "vna-on")):
        clinic = {"Field": "Clinic.Region", "Equals": region}
        yield {
            "Name": f"imagerie dentaire, {region}",
            "When": {"All": [images, clinic]},
            "DeliverTo": [destination],
        }
    yield {
        "Name": "copie des tomographies",
        "When": {"Field": "Modality", "Equals": "CT"},
        "DeliverTo": ["vna-on"],
        "Priority": "Background",
    }
