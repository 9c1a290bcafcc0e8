"""The web application over a real database, asked directly: Orthanc is not there."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from relais.bootstrap import Relais, settle
from relais.drafts import Seat
from relais.house import Ground
from relais.orthanc.capabilities import Surroundings
from relais.web.application import create_application
from tests.servers.ports import free_port
from tests.servers.router import labelled

SECTION: Mapping[str, Any] = {
    "Language": "en",
    "Users": {
        "viewer": {"Roles": ["Viewer"], "Clinics": ["*"]},
        "operator": {"Roles": ["Operator"], "Clinics": ["*"]},
        "admin": {"Roles": ["Administrator"], "Clinics": ["*"]},
        "auditor": {"Roles": ["Auditor"], "Clinics": ["*"]},
        "privacy": {"Roles": ["PrivacyOfficer"], "Clinics": ["*"]},
        "outremont": {"Roles": ["Operator"], "Clinics": ["outremont"]},
        "francine": {"Roles": ["Administrator"], "Clinics": ["*"], "Language": "fr"},
    },
    "Clinics": {"outremont": {"CalledAets": ["OUTREMONT"]}, "laval": {"CalledAets": ["LAVAL"]}},
    "Destinations": {"vna": {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 11112}},
    "Rules": [
        {
            "Name": "dental",
            "When": {"Field": "Modality", "In": ["PX", "IO"]},
            "DeliverTo": ["vna"],
        }
    ],
    "Subscribers": {"crm": {"Url": "http://127.0.0.1:9/hook", "Secret": "c2VjcmV0"}},
}


class Web:
    """A client of the application: writes carry a body, `user` sends Orthanc's Basic authorization."""

    def __init__(self, relais: Relais) -> None:
        self.relais = relais
        self.application = create_application(relais)
        self._client: FlaskClient = self.application.test_client()

    def get(self, path: str, *, user: str | None = None, headers: Mapping[str, str] | None = None) -> TestResponse:
        """GET."""
        return self._client.get(path, headers={**basic(user), **(headers or {})})

    def post(
        self, path: str, body: Any = None, *, user: str | None = None, headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        """POST `body`, as JSON unless it is bytes."""
        sent = {"data": body} if isinstance(body, bytes) else {"json": {} if body is None else body}
        return self._client.post(
            path, **sent, headers={"Content-Type": "application/json", **basic(user), **(headers or {})}
        )

    def put(
        self, path: str, body: Any = None, *, user: str | None = None, headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        """PUT `body` as JSON."""
        return self._client.put(path, json={} if body is None else body, headers={**basic(user), **(headers or {})})

    def delete(self, path: str, *, user: str | None = None, headers: Mapping[str, str] | None = None) -> TestResponse:
        """DELETE."""
        return self._client.delete(path, headers={**basic(user), **(headers or {})})


def basic(user: str | None) -> dict[str, str]:
    """What a browser sends for this user; Orthanc has checked the password."""
    if user is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:secret".encode()).decode()}


def compose_web(
    folder: Path, database_url: str | None = None, *, authentication: bool = True, remote: bool = True, **options: Any
) -> Web:
    """The application over an empty database; no thread of Relais runs, and nobody listens where Orthanc would be.

    `options` are of the section, in place of those above.
    """
    section = {**SECTION, "Database": database_url or f"sqlite:///{folder / 'relais.db'}", **options}
    section["Destinations"] = {name: labelled(each) for name, each in section["Destinations"].items()}
    surroundings = Surroundings.of(
        {
            "HttpPort": free_port(),
            "StorageDirectory": str(folder),
            "AuthenticationEnabled": authentication,
            "RemoteAccessAllowed": remote,
        }
    )
    seat = Seat.of(section, directory=folder)
    ground = Ground.lay(seat, surroundings=surroundings, authorization=None)
    return Web(settle(ground))
