"""Requests made from the OpenAPI document, valid and not: never a 5xx, and a refusal changes nothing."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
import schemathesis
from schemathesis import Case, GenerationMode

from tests.servers.dicom import make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

EXAMPLES = 8
"""Requests an operation and mode: some 550 in all."""

RELAIS = {
    "Language": "en",
    "Destinations": {"vna": {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 1}},
    "Completeness": {"QuietSeconds": 0},
}
"""No rule: the study is held, so that nothing moves but what the requests move."""
DUE = "SELECT count(*) FROM task WHERE run_at <= strftime('%Y-%m-%d %H:%M:%f', 'now', '+10 seconds')"
"""What may still change something; orders that expire some day do not."""


@schemathesis.serializer("application/x-ndjson")
def lines(_context: object, value: object) -> bytes:
    """A document a line, as `POST patients/bulk` takes them."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in (value if isinstance(value, list) else [value]))


class Service:
    """A running Relais with one held study, and a look at its database from outside."""

    def __init__(self, server: OrthancServer) -> None:
        self.rest = server.rest
        self.url = server.url
        self.document = server.rest.get("/relais/openapi.json")
        study = make_study(modality="PX")
        send(study, server.dicom_port)
        eventually(lambda: [each["State"] for each in server.rest.get("/relais/v1/studies")["Items"]] == ["Held"])
        known = {"StudyInstanceUID": [study.uid, "1.2.3"], "Id": [1, 2, 2**63 - 1], "Name": ["vna", "none"]}
        for item in self.document["paths"].values():  # most requests should reach something that is there
            for operation in item.values():
                for parameter in operation["parameters"]:
                    numbered = parameter["name"] != "Id" or parameter["schema"]["type"] == "integer"
                    if parameter["in"] == "path" and parameter["name"] in known and numbered:
                        parameter["schema"]["enum"] = known[parameter["name"]]
        self._database = sqlite3.connect(Path(server.configuration["StorageDirectory"]) / "relais.db")
        names = self._database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'feed'")
        self._tables = [name for (name,) in names]
        self._content: dict[str, list[Any]] = {}
        self._version = 0

    @property
    def content(self) -> dict[str, list[Any]]:
        """Every row of each table, once no task is due; not the feed's cursor, which Orthanc's own changes move."""
        eventually(lambda: self._database.execute(DUE).fetchone()[0] == 0)
        version = self._database.execute("PRAGMA data_version").fetchone()[0]  # grows with each commit of anybody else
        if version != self._version:
            with self._database:
                self._database.execute("BEGIN")
                self._content = {name: self._rows(name) for name in self._tables}
            self._version = version
        return self._content

    def _rows(self, table: str) -> list[Any]:
        return list(self._database.execute(f"SELECT * FROM {table}"))  # noqa: S608 - one of our own names


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with OrthancServer(tmp_path_factory.mktemp("fuzz") / "orthanc", relais=RELAIS) as server:
        yield Service(server)
        assert "a request failed" not in server.log_text


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_breaks_anything(service: Service, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(service.document)
    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # an invalid document fails here, as it should
        if mode is GenerationMode.POSITIVE or _can_be_wrong(operation):
            _ask(service, operation.as_strategy(mode))


def _ask(service: Service, cases: Any) -> None:
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases)
    def ask(case: Case[Any]) -> None:
        case.headers.clear()  # Orthanc itself stumbles over broken ones: 400, and 500 where they are not UTF-8
        before = service.content
        answer = case.call(base_url=service.url, timeout=20)
        known = {int(status) for status in case.operation.definition.raw["responses"]} | {405}
        assert answer.status_code in known, (answer.status_code, answer.text, case.as_curl_command())
        assert answer.status_code < 500 or case.path == "/relais/v1/health"
        if answer.status_code >= 400:
            after = service.content
            changed = [name for name in before if after[name] != before[name]]
            assert not changed, f"a refused request changed {changed}: {case.as_curl_command()}"

    ask()


def _can_be_wrong(operation: Any) -> bool:
    return bool(operation.body or operation.query or operation.path_parameters)


@pytest.mark.parametrize("opening", ['{"a":', "[", '[{"a":'])
def test_no_depth_of_a_body_ends_orthanc(service: Service, opening: str) -> None:
    """A parser that goes down a thousand levels is at the end of the stack that Orthanc's threads have."""
    for depth in (30, 300, 900, 30_000):
        for route in ("rules/evaluate", "patients/match", "configuration/versions"):
            assert service.rest.request("POST", f"/relais/v1/{route}", (opening * depth).encode()).status in (400, 422)
        fields = urlencode({"Facts": ('{"a":' + opening * depth)[:50_000]}).encode()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert service.rest.request("POST", "/relais/app/network/try", fields, form).status < 500
    assert service.rest.get("/relais/v1/health")
