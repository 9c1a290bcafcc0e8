"""A network whose rules people edit: its section, past studies to replay, and the pages served without Orthanc."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update
from werkzeug.serving import WSGIRequestHandler, make_server

from relais.database.tables import decision, study
from tests.servers.rows import add_study
from tests.system.serving import Web, compose_web

QUEBEC = {"Jurisdiction": {"Storage": "CA-QC", "Access": ["CA-QC"]}}
ONTARIO = {"Jurisdiction": {"Storage": "CA-ON", "Access": ["CA-ON"]}}
VNA = {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 11112}
SECTION: dict[str, Any] = {
    "ConfigurationSource": "Database",
    "Approval": "Never",
    "Subscribers": {},
    "Clinics": {
        "outremont": {"Name": "Clinique Outremont", "Region": "CA-QC", "CalledAets": ["OUTREMONT"]},
        "gatineau": {"Name": "Centre dentaire de Gatineau", "Region": "CA-QC", "CalledAets": ["GATINEAU"]},
        "ottawa": {"Name": "Rideau Dental", "Region": "CA-ON", "CalledAets": ["OTTAWA"]},
    },
    "Destinations": {
        "vna-qc": {**VNA, **QUEBEC},
        "vna-on": {**VNA, **ONTARIO},
        "cloud": {
            "Kind": "DicomWeb",
            "Url": "https://cloud.example/dicom-web",
            **ONTARIO,
            "Assessment": {"Reference": "EFVP-2026-04", "Result": "Adequate", "Expires": "2097-04-01"},
            "Agreement": {"Reference": "C-118", "Expires": "2098-01-01"},
        },
        "museum": {**VNA, **QUEBEC, "Aet": "MUSEE"},
    },
    "Sets": {"dental": ["IO", "PX"]},
    "Rules": [
        {
            "Name": "dental images to the archive",
            "When": {"All": [{"Field": "Modality", "InSet": "dental"}, {"Field": "Clinic.Region", "Equals": "CA-QC"}]},
            "DeliverTo": ["vna-qc"],
            "Examples": [
                {
                    "Name": "a panoramic",
                    "Facts": {"Series": [{"Modality": "PX"}], "ClinicRegion": "CA-QC"},
                    "DeliverTo": ["vna-qc"],
                }
            ],
        },
        {
            "Name": "Ontario stays in Ontario",
            "When": {"Field": "Clinic.Region", "Equals": "CA-ON"},
            "DeliverTo": ["vna-on"],
            "Priority": "Urgent",
        },
        {
            "Name": "second opinion",
            "When": {
                "All": [
                    {
                        "Any": [
                            {"Field": "StudyDescription", "Contains": "avis", "IgnoreCase": True},
                            {"Field": "Modality", "Equals": "CT", "Series": "All"},
                        ]
                    },
                    {"None": [{"Field": "Clinic", "In": ["ottawa"]}]},
                ]
            },
            "DeliverTo": ["cloud"],
            "ValidUntil": "2098-04-01",
        },
        {
            "Name": "thin slices",
            "When": {
                "SeriesWhere": [{"Field": "Modality", "Equals": "CT"}, {"Field": "SliceThickness", "LessThan": 1}],
                "AtLeast": 2,
            },
            "DeliverTo": ["museum"],
            "Enabled": False,
        },
        {
            "Name": "old films",
            "When": {"Field": "Modality", "Equals": "DX"},
            "Hold": "a person looks at films",
            "Stop": True,
        },
    ],
}
SENDERS = (("outremont", "CS8100", "OUTREMONT"), ("gatineau", "SIRONA", "GATINEAU"), ("ottawa", "NNT", "OTTAWA"))


def compose_rules(folder: Path, database_url: str | None = None, **options: Any) -> Web:
    """The pages over this network; whoever sits here may do all."""
    opened: dict[str, Any] = {"authentication": False, "remote": False, **SECTION, **options}
    return compose_web(folder, database_url, **opened)


def add_past(web: Web, amount: int) -> None:
    """So many studies that were decided before, the same ones each time."""
    chosen = random.Random(4)
    now = web.relais.clock.now()
    with web.relais.database.write() as connection:
        for number in range(amount):
            clinic, sender, called = chosen.choice(SENDERS)
            modality = chosen.choice(("PX", "IO", "CT", "DX", "OT"))
            added = add_study(connection, modality=modality, clinic=clinic)
            uid = connection.execute(select(study.c.study_instance_uid).where(study.c.id == added)).scalar_one()
            facts = {
                "Study": {"StudyInstanceUID": [uid], "PatientID": [f"P{number}"]},
                "Series": [{"Modality": [modality]}],
                "Origin": {"CallingAet": sender, "CalledAet": called},
            }
            values = {
                "study_id": added,
                "configuration": web.relais.configuration.digest,
                "decided_at": now - timedelta(minutes=amount - number),
                "facts": facts,
                "document": {},
            }
            made = connection.execute(insert(decision).values(values)).inserted_primary_key
            assert made is not None
            connection.execute(update(study).where(study.c.id == added).values(decision_id=made[0]))


class Quiet(WSGIRequestHandler):
    """Writes no log."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own signature
        """Say nothing."""


@contextmanager
def served(web: Web) -> Iterator[str]:
    """Serve the pages to a browser; answers where they begin."""
    server = make_server("127.0.0.1", 0, web.application, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, name="pages")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/relais/app"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
