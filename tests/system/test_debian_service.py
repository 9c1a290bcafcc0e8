"""How to run under Debian's Orthanc service: the commands work on a copy of Debian's own configuration."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import DOCS, ROOT, blocks
from tests.servers.orthanc import Rest
from tests.servers.ports import free_port, is_listening
from tests.servers.waiting import eventually

PAGE = DOCS / "how-to/under-debian-service.md"
DEBIAN = Path("/etc/orthanc")
READABLE = ("orthanc.json", "python.json", "dicomweb.json")


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A copy of what Debian's packages put into /etc/orthanc, after the page's commands."""
    folder = tmp_path / "etc"
    folder.mkdir()
    for name in READABLE:
        shutil.copy(DEBIAN / name, folder)
    commands = [each.text for each in blocks(PAGE.read_text()) if each.language == "sh" and "/etc/orthanc" in each.text]
    script = "\n".join(commands).replace("/etc/orthanc", str(folder)).replace("/opt/relais", str(ROOT))
    subprocess.run(["bash", "-euo", "pipefail", "-c", script.replace("sudo ", "")], check=True, capture_output=True)
    return folder


@pytest.fixture
def service(etc: Path, tmp_path: Path) -> Iterator[Rest]:
    """Orthanc on that folder, as the service starts it, but on free ports and with a storage of its own."""
    http_port, dicom_port = free_port(), free_port()
    own = {
        '"HttpPort" : 8042': f'"HttpPort" : {http_port}',
        '"DicomPort" : 4242': f'"DicomPort" : {dicom_port}',
        "/var/lib/orthanc/db-v6": str(tmp_path / "db"),
    }
    text = (etc / "orthanc.json").read_text()
    for before, after in own.items():
        assert before in text
        text = text.replace(before, after)
    (etc / "orthanc.json").write_text(text)
    logs = tmp_path / "log"
    logs.mkdir()
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            ["Orthanc", f"--logdir={logs}", str(etc)],
            env=os.environ | {"TCP_NODELAY": "1"},
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: is_listening(http_port) or process.poll() is not None, 30, "Orthanc answers or ends")
        yield Rest(f"http://127.0.0.1:{http_port}")
    finally:
        process.kill()
        process.wait()


def test_orthanc_starts_and_the_self_check_finds_nothing(service: Rest) -> None:
    system = service.get("/relais/v1/system")
    assert system["Findings"] == []
    assert service.get("/system")["DicomAet"] == "RELAIS"
    document = service.get("/relais/v1/configuration")["Document"]
    assert document["Users"] == {"alice": {"Roles": ["Administrator"], "Clinics": ["*"]}}


def test_the_page_sets_what_the_reference_recommends() -> None:
    """Each option that the page changes stands in the reference."""
    reference = (DOCS / "reference/options.md").read_text()
    changed = set(re.findall(r's\|"(\w+)" :', PAGE.read_text())) - {"DicomAet"}
    assert changed
    assert all(f"`{option}`" in reference for option in changed)
