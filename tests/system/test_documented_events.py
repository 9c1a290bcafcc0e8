"""What a real router tells its subscribers has the shape that the manual shows."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from relais.journal import EVENTS
from tests.docs.events import MEANINGS
from tests.servers.dicom import make_study, send
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.people import TWIN, ZOE
from tests.servers.ports import free_port
from tests.servers.receiver import Receiver
from tests.servers.router import API, SECRET, Router, destination, section, source
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually
from tests.system.conftest import RouterFactory

NOT_MATCHING = 0xA900  # PS3.4 table B.2-1: data set does not match SOP class


def shape(data: Mapping[str, Any]) -> dict[str, type]:
    """The keys of an event's data, and of what type their values are."""
    return {key: type(value) for key, value in data.items()}


def overtake(router: Router) -> None:
    """Let another version become active before one that is scheduled."""
    path, document = f"{API}/configuration/versions", router.ask("configuration")["Document"]
    late, early = [
        router.rest.post(path, {"Document": {**document, "Completeness": {"QuietSeconds": seconds}}})["Number"]
        for seconds in (0.4, 0.5)
    ]
    at = datetime.now(UTC) + timedelta(seconds=3)
    router.rest.post(f"{path}/{late}/activate", {"At": at.isoformat()})
    router.rest.post(f"{path}/{early}/activate", {})


def identify(router: Router) -> None:
    """Have a study matched, and another reviewed, of which the CRM is asked for the patient."""
    zoe = {"PatientName": "GAGNE^ZOE", "PatientID": "Z-1", "PatientBirthDate": "19840517", "PatientSex": "F"}
    known = {**zoe, "PatientTelephoneNumbers": "5145550142", "AccessionNumber": "A-1"}
    nils = {**zoe, "PatientName": "OLAF^NILS", "PatientID": "Z-2", "PatientBirthDate": "19550101", "PatientSex": "M"}
    assert router.ask("system")["Matching"] == "Off"
    router.rest.put(f"{API}/patients/C-1", ZOE)
    assert router.ask("system")["Matching"] == "On"
    order = {"AccessionNumber": "A-1", "CrmId": "C-1", "ScheduledProcedureStepStartDate": "20991231"}
    router.rest.post(f"{API}/worklist", order)
    sent = [make_study(modality="OT", tags=each) for each in (known, nils)]
    for each in sent:
        send(each, router.dicom_port)
        router.wait_for_study(each.uid, "Held")
    router.rest.put(f"{API}/patients/C-2", TWIN)
    either = {**zoe, "PatientName": "GAGNE^C", "PatientID": "Z-3"}
    send(make_study(modality="OT", tags=either), router.dicom_port)
    waiting = eventually(lambda: router.everything("reviews"), 20, "a review waits")
    router.rest.post(f"{API}/reviews/{waiting[0]['Id']}/ask", {})


@pytest.fixture
def told(router_factory: RouterFactory, receiver: Receiver) -> Mapping[str, Mapping[str, Any]]:
    """One `data` of each type of event, from a router whose archives refuse, fail, and come back."""
    with StorageScp("REFUSES") as refusing, IntelePacs("INTELEPACS", SETTINGS["A"]) as pacs:
        held = make_study(modality="CT")
        pacs.hold(held.instances)
        refusing.answer = NOT_MATCHING
        late = StorageScp("LATE")
        late.port = free_port()
        only = {"Field": "Modality", "Equals": "PX"}
        router = router_factory(
            {"ConfigurationSource": "Database", "Approval": "Never"}
            | section(
                {
                    "refuses": destination("REFUSES", refusing.port),
                    "late": destination("LATE", late.port),
                    "cloud": destination("CLOUD", free_port(), Jurisdiction={"Storage": "CA-ON", "Access": ["CA-ON"]}),
                },
                Subscribers={"crm": {"Url": receiver.url, "Secret": {"Env": "CRM_SECRET"}}},
                Rules=[{"Name": "panoramic", "When": only, "DeliverTo": ["refuses", "late", "cloud"]}],
                Otherwise={"Hold": "no rule matched"},
                Sources={"hospital": source("INTELEPACS", pacs.port)},
                Watches={"new-ct": {"Source": "hospital", "EverySeconds": 10, "Days": 365, "Then": "Announce"}},
            ),
            environment={"CRM_SECRET": SECRET},
        ).start()
        pacs.destinations["RELAIS"] = router.dicom_port
        overtake(router)
        router.begin_import("hospital", held.uid)
        identify(router)
        send(make_study(modality="PX"), router.dicom_port)
        send(make_study(modality="OT"), router.dicom_port)
        eventually(lambda: receiver.events("destination.down"), 20, "the archive that is not there is down")
        with late:
            eventually(
                lambda: not set(EVENTS) - {each["type"] for each in receiver.events()}, 20, "one event of each type"
            )
        return {each["type"]: each["data"] for each in receiver.events()}


def test_each_type_of_event_has_the_shape_that_the_manual_shows(told: Mapping[str, Mapping[str, Any]]) -> None:
    assert {kind: shape(data) for kind, data in told.items()} == {
        kind: shape(event.data) for kind, event in MEANINGS.items()
    }
