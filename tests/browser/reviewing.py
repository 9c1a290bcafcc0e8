"""Studies of every answer to "whose images are these": sure, twins, a slip, a veto, and nobody."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.browser.conftest import PASSWORD, authorization
from tests.browser.network import GATINEAU, OUTREMONT, Network, picture
from tests.demo import pictures
from tests.demo.people import PEOPLE
from tests.demo.samples import EMILIE, LUC, NOAH_OR_NATHAN, ZOE, person
from tests.servers.orthanc import RestError
from tests.servers.waiting import eventually

USERS = {
    "olga": {"Roles": ["Operator"], "Clinics": ["*"]},
    "otto": {"Roles": ["Operator"], "Clinics": ["outremont"], "Language": "fr"},
    "vera": {"Roles": ["Viewer"], "Clinics": ["*"]},
    "ada": {"Roles": ["Auditor"], "Clinics": ["*"]},
    "root": {"Roles": ["Administrator"], "Clinics": ["*"]},
}
STRANGER = person("O'Neill^Fiona", "X-77", "19630415", "F")
LUC_AS_A_WOMAN = {**LUC, "PatientSex": "F"}


class Reviewing(Network):
    """A network whose CRM has given its patients."""

    @classmethod
    def begin(cls, folder: Path, ending: ExitStack, matching: Mapping[str, Any]) -> Reviewing:
        """Start it, with these options of matching, and let the CRM give its patients."""
        options = {"AuthenticationEnabled": True, "RegisteredUsers": dict.fromkeys(USERS, PASSWORD)}
        network = cls(folder, router_options=options, users=USERS, matching=matching)
        network.start(ending)
        for each in PEOPLE:
            network.ask("PUT", f"patients/{each['CrmId']}", each)
        return network

    def ask(
        self, method: str, route: str, body: Any = None, *, user: str = "root", kind: str = "application/json"
    ) -> Any:
        """One request to the API, as this user; raises RestError where it is refused."""
        path = f"/relais/v1/{route}"
        answer = self.router.rest.request(method, path, body, headers={**authorization(user), "Content-Type": kind})
        if answer.status >= 400:
            raise RestError(method, path, answer.status, answer.data)
        return answer.json()

    def arrives(
        self, patient: Mapping[str, str], state: str, *, way: Mapping[str, str] = OUTREMONT, seed: int = 1
    ) -> str:
        """Send a study that shows something; answers its UID once this is its match."""
        film = pictures.panoramic(seed)
        uid = self.send(picture("PX", film, patient, StudyDescription="Panoramique"), way)

        def look() -> bool:
            listed = self.ask("GET", "studies?Limit=100")["Items"]
            return any(each["StudyInstanceUID"] == uid and each["Match"]["State"] == state for each in listed)

        eventually(look, 30, f"{patient['PatientName']} is {state}")
        return uid

    def review_of(self, uid: str, kind: str = "Match") -> int:
        """The open review of a study."""
        listed = self.ask("GET", f"reviews?Kind={kind}&Limit=500")["Items"]
        return int(next(each["Id"] for each in listed if each["StudyInstanceUID"] == uid))

    def seed_reviews(self) -> dict[str, str]:
        """A study of each answer, by what it is."""
        return {
            "sure": self.arrives(EMILIE, "Matched"),
            "twins": self.arrives(NOAH_OR_NATHAN, "Review", way=GATINEAU, seed=2),
            "slip": self.arrives(ZOE, "Review", way=GATINEAU, seed=3),
            "veto": self.arrives(LUC_AS_A_WOMAN, "Review", seed=4),
            "nobody": self.arrives(STRANGER, "Unmatched", seed=5),
        }
