"""The router: Orthanc with Relais, and what its API answers."""

from collections.abc import Collection, Mapping
from typing import Any

from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

API = "/relais/v1"
SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0"
"""What test subscribers are signed for with."""

QUEBEC = {"Storage": "CA-QC", "Access": ["CA-QC"]}
"""The `Jurisdiction` of a destination that may receive everything."""

SOON = {"FirstDelaySeconds": 0.1, "MaximumDelaySeconds": 0.4}
"""A destination's `Retry` for tests: it does not try the patience of whoever waits."""


def destination(aet: str, port: int, **options: Any) -> dict[str, Any]:
    """A destination of kind Dicom on this machine; `options` adds to its section."""
    section = {"Kind": "Dicom", "Aet": aet, "Host": "127.0.0.1", "Port": port, "Retry": SOON, "Jurisdiction": QUEBEC}
    return {**section, **options}


def source(aet: str, port: int, **options: Any) -> dict[str, Any]:
    """A source of kind Dicom on this machine, which knows us as RELAIS; `options` adds to its section."""
    return {"Kind": "Dicom", "Aet": aet, "Host": "127.0.0.1", "Port": port, "CallingAet": "RELAIS", **options}


def labelled(destination: Mapping[str, Any]) -> dict[str, Any]:
    """The destination under the law of Quebec, unless it says otherwise or is a pool."""
    law = {} if destination.get("Kind") == "Pool" else {"Jurisdiction": QUEBEC}
    return {**law, **destination}


def section(
    destinations: Mapping[str, Mapping[str, Any]],
    *,
    subscribers: Mapping[str, str] | None = None,
    quiet: float = 0.3,
    **options: Any,
) -> dict[str, Any]:
    """A `Relais` section that delivers every study to every destination, unless `options` has other `Rules`.

    `subscribers` maps names to URLs, `quiet` is in seconds.
    """
    everywhere = {"Name": "everything", "DeliverTo": list(destinations)}
    return {
        "Language": "en",
        "Destinations": {name: labelled(each) for name, each in destinations.items()},
        "Rules": [everywhere] if destinations else [],
        "Completeness": {"QuietSeconds": quiet},
        "Subscribers": {name: {"Url": url, "Secret": SECRET} for name, url in (subscribers or {}).items()},
        **options,
    }


class Router(OrthancServer):
    """An Orthanc that runs Relais, and questions to its API."""

    def studies(self) -> dict[str, Any]:
        """Every study as lists show it, by StudyInstanceUID."""
        return {each["StudyInstanceUID"]: each for each in self.everything("studies")}

    def deliveries(self, study_instance_uid: str | None = None) -> list[Any]:
        """The deliveries, of one study or of all."""
        query = "" if study_instance_uid is None else f"&StudyInstanceUID={study_instance_uid}"
        return self.everything("deliveries", query)

    def delivery(self, study_instance_uid: str, name: str) -> Any | None:
        """The study's delivery to the destination of this name, if there is one."""
        found = [each for each in self.deliveries(study_instance_uid) if each["Destination"] == name]
        return found[0] if found else None

    def wait_for_study(self, study_instance_uid: str, *states: str, timeout: float = 20.0) -> Any:
        """Return the study once it is in one of these states."""
        return eventually(
            lambda: self._in_state(self.studies().get(study_instance_uid), states),
            timeout,
            f"study {study_instance_uid} is {' or '.join(states)}",
        )

    def wait_for_delivery(self, study_instance_uid: str, name: str, *states: str, timeout: float = 20.0) -> Any:
        """Return the study's delivery to this destination once it is in one of these states."""
        return eventually(
            lambda: self._in_state(self.delivery(study_instance_uid, name), states),
            timeout,
            f"the delivery of {study_instance_uid} to {name} is {' or '.join(states)}",
        )

    def query(self, query: Mapping[str, str], **options: Any) -> Any:
        """Ask sources, all by default, for studies, by default."""
        return self.rest.post(f"{API}/query", {"Level": "Study", "Query": dict(query), **options})

    def begin_import(self, source: str, *studies: str, **options: Any) -> int:
        """Have these studies fetched from a source; answers the import's id."""
        body = {"Source": source, "Studies": list(studies), "Reason": "a test asks for it", **options}
        return int(self.rest.post(f"{API}/imports", body)["Id"])

    def wait_for_import(self, number: int, *states: str, timeout: float = 30.0) -> Any:
        """Return the import, with all that it fetches, once it is in one of these states; Completed by default."""
        return eventually(
            lambda: self._in_state(self.ask(f"imports/{number}"), states or ("Completed",)),
            timeout,
            f"import {number} is {' or '.join(states or ('Completed',))}",
        )

    def command(self, path: str, reason: str = "a test asks for it") -> Any:
        """POST a person's command, such as `deliveries/7/retry`."""
        return self.rest.post(f"{API}/{path}", {"Reason": reason})

    def ask(self, path: str) -> Any:
        """GET one thing of the API."""
        return self.rest.get(f"{API}/{path}")

    def everything(self, path: str, query: str = "") -> list[Any]:
        """All items of a list, over all its pages."""
        items: list[Any] = []
        since = ""
        while True:
            page = self.ask(f"{path}?Limit=500{query}{since}")
            items += page["Items"]
            if page["Next"] is None:
                return items
            since = f"&Since={page['Next']}"

    @staticmethod
    def _in_state(thing: Any | None, states: Collection[str]) -> Any | None:
        return thing if thing is not None and thing["State"] in states else None
