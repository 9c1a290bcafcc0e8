"""A real Orthanc server in a folder of its own, on free ports of the loopback."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from tests.servers.ports import free_port, is_listening
from tests.servers.waiting import eventually

PLUGINS = Path("/usr/share/orthanc/plugins")
ENTRY_POINT = Path(__file__).parents[2] / "plugin" / "main.py"

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_LOG_TAIL_LINES = 40


class OrthancDiedError(Exception):
    """Orthanc ended, or never answered; the message holds the end of its log."""


class RestError(Exception):
    """Orthanc answered with an HTTP error; the message holds the body."""

    def __init__(self, method: str, path: str, status: int, body: bytes) -> None:
        self.status = status
        self.body = body
        super().__init__(f"{method} {path} answered {status}: {body.decode(errors='replace')[:2000]}")

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Rest:
    """A small client of one HTTP server: bodies and answers are JSON."""

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(maxsize=8, timeout=timeout, retries=False)

    def get(self, path: str) -> Any:
        """GET, and return the parsed answer; once more where the server had closed a connection that was kept."""
        try:
            return self._parsed("GET", path)
        except urllib3.exceptions.ProtocolError:
            return self._parsed("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """POST `body` (as JSON unless bytes), and return the parsed answer."""
        return self._parsed("POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        """PUT `body` (as JSON unless bytes), and return the parsed answer."""
        return self._parsed("PUT", path, body)

    def delete(self, path: str) -> Any:
        """DELETE, and return the parsed answer."""
        return self._parsed("DELETE", path)

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send one request and return the raw answer, whatever its status."""
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return self._pool.request(
            method,
            self.url + path,
            body=content if method in {"POST", "PUT"} else None,
            headers={"Content-Type": "application/json", **(headers or {})},
        )

    def _parsed(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.request(method, path, body)
        if answer.status >= 400:
            raise RestError(method, path, answer.status, answer.data)
        if "json" in answer.headers.get("Content-Type", ""):
            return json.loads(answer.data)
        return answer.data


class OrthancServer:
    """One Orthanc: starts, stops, dies and comes back on the same folder and ports.

    `folder` keeps its configuration, storage and logs. `relais` is the configuration's `Relais` section, and
    loads the plugin; `plugins` names others, such as `DicomWeb`. `modalities` maps an alias to (AE title,
    port) on this machine. `configuration` overrides any option of Orthanc, `environment` adds variables.
    """

    def __init__(
        self,
        folder: Path,
        *,
        aet: str = "ORTHANC",
        relais: Mapping[str, Any] | None = None,
        script: Path | None = None,
        plugins: tuple[str, ...] = (),
        modalities: Mapping[str, tuple[str, int]] | None = None,
        configuration: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        http_port: int | None = None,
        dicom_port: int | None = None,
    ) -> None:
        self.folder = folder
        self.aet = aet
        self.http_port = http_port or free_port()
        self.dicom_port = dicom_port or free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.rest = Rest(self.url)
        self.log = folder / "orthanc.log"
        self.configuration = self._defaults()
        if relais is not None or script is not None:
            plugins = (*plugins, "Python")
            self.configuration["PythonScript"] = str(script or ENTRY_POINT)
        if relais is not None:
            self.configuration["Relais"] = dict(relais)
        self.configuration["Plugins"] = [str(PLUGINS / f"libOrthanc{name}.so") for name in plugins]
        self.configuration["DicomModalities"] = {
            alias: [title, "127.0.0.1", port] for alias, (title, port) in (modalities or {}).items()
        }
        self.configuration |= configuration or {}
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process's id; raises if it does not run."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether the process is alive, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def threads(self) -> int:
        """How many threads the process has."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    @property
    def log_text(self) -> str:
        """All that this Orthanc wrote to its log, over all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self, *, wait: bool = True) -> Self:
        """Start the process; with `wait`, return once HTTP and DICOM answer.

        Raises `OrthancDiedError` with the end of the log if it ends before or is not ready in 30 s.
        """
        if self.is_running:
            raise RuntimeError(f"{self.aet} already runs")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self.configuration, indent=2))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["Orthanc", str(configuration)],
                cwd=self.folder,
                env=os.environ | {"TCP_NODELAY": "1"} | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout: float = _START_SECONDS) -> None:
        """Return once HTTP and DICOM answer; raises `OrthancDiedError` otherwise."""
        try:
            eventually(self._ready, timeout, "Orthanc answers")
        except AssertionError as late:
            self.kill()
            raise self._died("is not ready") from late

    def terminate(self) -> None:
        """Ask it to end, with SIGTERM, and do not wait."""
        self._running().terminate()

    def stop(self) -> float:
        """End it with SIGTERM and return the seconds that it took; raises if it hangs or fails."""
        process = self._running()
        began = time.monotonic()
        self.terminate()
        try:
            status = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired as hanging:
            self.kill()
            raise self._died("does not stop") from hanging
        if status != 0:
            raise self._died(f"ended with status {status}")
        return time.monotonic() - began

    def kill(self) -> None:
        """End it with SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Freeze it with SIGSTOP: from the return on, its ports accept and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)
        eventually(self._is_frozen, what=f"{self.aet} is frozen")

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._running().send_signal(signal.SIGCONT)

    def wait_ended(self, timeout: float = _STOP_SECONDS) -> int:
        """Return the exit status of a process that ends by itself."""
        if self._process is None:
            raise RuntimeError(f"{self.aet} was never started")
        return self._process.wait(timeout)

    def sop_instance_uids(self, study_instance_uid: str | None = None) -> list[str]:
        """The SOPInstanceUID of each instance kept here, or of one study's, sorted."""
        query = {"StudyInstanceUID": study_instance_uid} if study_instance_uid else {}
        instances = self.rest.post("/tools/find", {"Level": "Instance", "Expand": True, "Query": query})
        return sorted(instance["MainDicomTags"]["SOPInstanceUID"] for instance in instances)

    def _defaults(self) -> dict[str, Any]:
        return {
            "Name": self.aet,
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": self.aet,
            "DicomServerEnabled": True,
            "DicomAlwaysAllowStore": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "OverwriteInstances": True,
            "StorageCompression": False,
            "ConcurrentJobs": 16,
            "JobsHistorySize": 100,
            "SaveJobs": False,
            "StableAge": 60,
        }

    def _ready(self) -> bool:
        if not self.is_running:
            raise self._died("ended while starting")
        try:
            answers = self.rest.request("GET", "/system").status < 500
        except urllib3.exceptions.HTTPError:
            return False
        listens = not self.configuration["DicomServerEnabled"] or is_listening(self.dicom_port)
        return answers and listens and self._can_be_stopped()

    def _can_be_stopped(self) -> bool:
        """Whether it handles SIGTERM, which Orthanc learns to only after it answers (proc(5): SigCgt)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def _is_frozen(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(") ")[2].startswith("T") for stat in threads)  # proc(5)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise self._died("does not run")
        return self._process

    def _died(self, what: str) -> OrthancDiedError:
        tail = "\n".join(self.log_text.splitlines()[-_LOG_TAIL_LINES:])
        return OrthancDiedError(f"{self.aet} {what}; its log ends:\n{tail}")
