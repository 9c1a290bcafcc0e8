"""A FHIR R4 server of patients on a free port of the loopback, which pages, repeats, hangs or refuses as asked."""

import json
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_NO_BUNDLES = {"text": b"<html>", "operation-outcome": b'{"resourceType": "OperationOutcome"}'}


@dataclass
class FhirServer:
    """`patients` are resources in the order of their meta.lastUpdated; `token` is the bearer token that it wants.

    `trouble` is what becomes of the next searches, one word each: `hang` (until the end), `trickle`, `500`, `404`,
    `text` (no JSON), `operation-outcome`, `elsewhere` (the next page is another server's), `same-link`, `same-page`.
    """

    patients: list[dict[str, Any]] = field(default_factory=list)
    token: str | None = None
    trouble: deque[str] = field(default_factory=deque)
    searches: list[dict[str, str]] = field(default_factory=list)
    """The parameters of each search that was answered or not."""
    deleted: dict[str, str] | None = None
    """Who was deleted, and when; None for a server that tells no history."""
    asked_history: list[str] = field(default_factory=list)
    """Since when it was asked for."""

    def __enter__(self) -> Self:
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="fhir-server", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self._server.server_port}/fhir"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                if parts.path != "/fhir/Patient":
                    status, found = server._beside(parts.path.removeprefix("/fhir/"), asked)
                    self._say(status, json.dumps(found).encode())
                    return
                server.searches.append(asked)
                trouble = server.trouble.popleft() if server.trouble else ""
                if trouble == "hang":
                    server._closing.wait()
                    return
                known = server.token is None or self.headers.get("Authorization") == f"Bearer {server.token}"
                status = int(trouble) if trouble.isdecimal() else 200 if known else 401
                if status != 200:
                    self._say(status, b"{}")
                else:
                    body = _NO_BUNDLES.get(trouble) or json.dumps(server._bundle(asked, trouble)).encode()
                    self._say(200, body, slowly=trouble == "trickle")

            def _say(self, status: int, body: bytes, *, slowly: bool = False) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/fhir+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for byte in body if slowly else ():
                    self.wfile.write(bytes([byte]))
                    if server._closing.wait(0.2):
                        return
                if not slowly:
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        return Handler

    def _beside(self, path: str, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and document of what is asked besides searches."""
        kind, _, one = path.partition("/")
        if kind == "metadata" and self.deleted is not None:
            acts = [{"code": "read"}, {"code": "history-type"}]
            rest = [{"mode": "server", "resource": [{"type": "Patient", "interaction": acts}]}]
            return 200, {"resourceType": "CapabilityStatement", "rest": rest}
        if one == "_history" and self.deleted is not None:
            return 200, self._history(asked)
        found = next((each for each in self.patients if each["id"] == one), None)
        return (404, {}) if found is None and one not in (self.deleted or {}) else (200 if found else 410, found or {})

    def _history(self, asked: dict[str, str]) -> dict[str, Any]:
        """Who was deleted, the latest first, one on a page."""
        self.asked_history.append(asked["_since"])
        found = sorted(((moment, name) for name, moment in (self.deleted or {}).items()), reverse=True)
        entries = [
            {"request": {"method": "DELETE", "url": f"Patient/{name}/_history/2"}, "response": {"status": "204"}}
            for moment, name in found
            if moment >= asked["_since"][:19]
        ]
        start = int(asked.get("_offset", "0"))
        following = f"{self.url}/Patient/_history?_since={asked['_since'].replace('+', '%2B')}&_offset={start + 1}"
        links = [{"relation": "next", "url": following}] if start + 1 < len(entries) else []
        return {"resourceType": "Bundle", "type": "history", "link": links, "entry": entries[start : start + 1]}

    def _bundle(self, asked: dict[str, str], trouble: str) -> dict[str, Any]:
        since = asked.get("_lastUpdated", "ge").removeprefix("ge")
        wanted = [each for each in self.patients if each.get("meta", {}).get("lastUpdated", "") >= since[:19]]
        start, count = int(asked.get("_offset", "0")), int(asked.get("_count", "10"))
        shown: Sequence[dict[str, Any]] = wanted[start : start + count]
        following = start + count
        if trouble == "same-page":
            shown = wanted[max(start - count, 0) : max(start - count, 0) + count]
        if trouble == "same-link":
            following = start
        links = [{"relation": "self", "url": self.url}]
        if following < len(wanted):
            base = "http://elsewhere.example/fhir" if trouble == "elsewhere" else self.url
            kept = "".join(f"&{name}={value}" for name, value in asked.items() if name != "_offset")
            links.append({"relation": "next", "url": f"{base}/Patient?_offset={following}{kept}"})
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(wanted),
            "link": links,
            "entry": [{"resource": each, "search": {"mode": "match"}} for each in shown],
        }
