"""The servers that are measured: bare, with the plugin, and the archive they send to. Each in a folder of its own."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count as numbers
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from tests.servers.orthanc import OrthancServer
from tests.servers.router import labelled

LANE = "vna"
QUIET_SECONDS = 2.0
SMALL_CACHE: Mapping[str, Any] = {"MaximumStorageCacheSize": 8}
"""In MB. Orthanc keeps 128 MB of files that were read or written, which would hide what the plugin keeps."""


class Bench:
    """Makes fresh servers, and ends and removes all of them at the end of its block."""

    def __init__(self) -> None:
        self._ending = ExitStack()
        self._numbers = numbers(1)
        self._servers: list[OrthancServer] = []
        self.folder = Path()

    def __enter__(self) -> Self:
        self.folder = Path(self._ending.enter_context(TemporaryDirectory(prefix="relais-bench-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def kill(self) -> None:
        """End every server; their folders stay."""
        for server in self._servers:
            server.kill()

    def at_end(self, end: Callable[[], None]) -> None:
        """Call this at the end of the block."""
        self._ending.callback(end)

    def new_folder(self) -> Path:
        """A folder that nothing else uses; it is not made yet."""
        return self.folder / str(next(self._numbers))

    def bare(self, aet: str = "ORTHANC", **options: Any) -> OrthancServer:
        """A running Orthanc without the plugin."""
        return self._started(OrthancServer(self.new_folder(), aet=aet, **options))

    def relais(
        self,
        vna: OrthancServer | None = None,
        *,
        script: Path | None = None,
        configuration: Mapping[str, Any] | None = None,
        **section: Any,
    ) -> OrthancServer:
        """A running Orthanc with the plugin; what arrives goes to `vna`, unless `section` has other destinations."""
        return self._started(
            OrthancServer(
                self.new_folder(),
                aet="RELAIS",
                relais=relais_section(vna, **section),
                script=script,
                configuration=configuration,
            )
        )

    def _started(self, server: OrthancServer) -> OrthancServer:
        self._ending.callback(server.kill)
        self._servers.append(server)
        return server.start()


def relais_section(vna: OrthancServer | None, **section: Any) -> Mapping[str, Any]:
    """The `Relais` section: everything goes to `vna`; without one, to an archive that nobody runs."""
    port = vna.dicom_port if vna else 11112
    destinations = {LANE: {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": port}}
    destinations = section.pop("Destinations", destinations)
    return {
        "Language": "en",
        "Destinations": {name: labelled(each) for name, each in destinations.items()},
        "Rules": [{"Name": "everything", "DeliverTo": [LANE]}],
        "Completeness": {"QuietSeconds": QUIET_SECONDS},
        **section,
    }
