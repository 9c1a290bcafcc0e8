"""dcmtk's archive, `dcmqrscp`: a PACS that nobody here has written."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pydicom.dataset import Dataset

from tests.servers.dicom import Study, send
from tests.servers.ports import free_port, is_listening
from tests.servers.waiting import eventually

_CONFIGURATION = """\
NetworkTCPPort  = {port}
MaxPDUSize      = 131072
MaxAssociations = 16

HostTable BEGIN
{hosts}
HostTable END

VendorTable BEGIN
VendorTable END

AETable BEGIN
{aet} "{storage}" RW (500, 1024mb) ANY
AETable END
"""


class Dcmqrscp:
    """A running `dcmqrscp` in a folder of its own.

    `peers` maps the AE titles that it may move to, to their ports on this machine; it takes C-STORE of any.
    """

    def __init__(self, folder: Path, *, aet: str = "DCMQRSCP", peers: Mapping[str, int] | None = None) -> None:
        self.aet = aet
        self.port = free_port()
        self.log = folder / "dcmqrscp.log"
        self._folder = folder
        self._peers = dict(peers or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        storage = self._folder / "storage"
        storage.mkdir(parents=True)
        hosts = "\n".join(f"{title.lower()} = ({title}, 127.0.0.1, {port})" for title, port in self._peers.items())
        configuration = self._folder / "dcmqrscp.cfg"
        configuration.write_text(_CONFIGURATION.format(port=self.port, hosts=hosts, aet=self.aet, storage=storage))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["dcmqrscp", "--config", configuration],
                env=os.environ | {"TCP_NODELAY": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        eventually(lambda: is_listening(self.port), what=f"{self.aet} listens")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def hold(self, study: Study | Iterable[Dataset]) -> None:
        """Take these by C-STORE; raises SendError."""
        send(study, self.port, called_aet=self.aet)
