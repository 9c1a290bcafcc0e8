"""What sending files promises, over a folder, an S3 bucket and an SFTP server."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from relais.configuration import load
from relais.configuration.destinations import FilesDestination
from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.transports.content import Stored
from relais.transports.files import FilesTransport
from relais.transports.port import Content, Item, SendingError
from tests.contract.transport_suite import Peer, TransportSuite
from tests.servers.dicom import Image, Study, make_study, send
from tests.servers.hung import HungFolder
from tests.servers.orthanc import OrthancServer
from tests.servers.permits import permit
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.s3 import S3Server
from tests.servers.sftp import SftpServer
from tests.servers.waiting import eventually

TIMEOUT = 2  # of those that wait for it; a busy machine may need more than that to greet
USUAL_TIMEOUT = 30
GRACE = 10
_buckets = count(1)


class Shelf:
    """Where the files of a test go, seen from behind; `options` are the destination's, `port` is its server's."""

    port = 0

    def options(self, port: int | None = None) -> dict[str, Any]:
        raise NotImplementedError

    def files(self) -> dict[str, bytes]:
        raise NotImplementedError

    def put(self, path: str, content: bytes) -> None:
        raise NotImplementedError

    def delete(self, path: str) -> None:
        raise NotImplementedError

    def writes(self) -> Any:
        """Something that changes with every write."""
        raise NotImplementedError


class FolderShelf(Shelf):
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def options(self, port: int | None = None) -> dict[str, Any]:  # noqa: ARG002 - a folder has none
        return {"Url": f"file://{self.folder}"}

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def put(self, path: str, content: bytes) -> None:
        (self.folder / path).write_bytes(content)

    def delete(self, path: str) -> None:
        (self.folder / path).unlink()

    def writes(self) -> Any:
        return {(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in self.folder.rglob("*")}


class SftpShelf(FolderShelf):
    """A folder of an SFTP server."""

    def __init__(self, server: SftpServer) -> None:
        super().__init__(server.folder / "archive")
        self.server = server
        self.port = server.port

    def options(self, port: int | None = None) -> dict[str, Any]:
        self.server.trust(self.server.port, port or self.server.port)
        return {
            "Url": f"sftp://127.0.0.1:{port or self.port}/archive",
            "User": self.server.user,
            "Password": self.server.password,
            "KnownHosts": str(self.server.known_hosts),
        }


class S3Shelf(Shelf):
    """A bucket's prefix."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.port = server.port

    def options(self, port: int | None = None) -> dict[str, Any]:
        return {
            "Url": f"s3://{self.server.bucket}/archive",
            "Endpoint": f"http://127.0.0.1:{port or self.port}",
            "User": self.server.user,
            "Password": self.server.password,
        }

    def files(self) -> dict[str, bytes]:
        return {key.removeprefix("archive/"): content for key, content in self.server.objects().items()}

    def put(self, path: str, content: bytes) -> None:
        self.server.put(f"archive/{path}", content)

    def delete(self, path: str) -> None:
        self.server.delete(f"archive/{path}")

    def writes(self) -> Any:
        return [request for request in self.server.requests if request[0] in {"PUT", "POST"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def orthanc(server: OrthancServer) -> Iterator[Orthanc]:
    client = Orthanc(server.url)
    yield client
    client.close()


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server(f"bucket-{next(_buckets)}") as server:
        yield server


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path / "sftp") as server:
        yield server


@pytest.fixture(params=["folder", "s3", "sftp"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return _shelf(request, tmp_path)


@pytest.fixture(params=["s3", "sftp"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return _shelf(request, tmp_path)


def _shelf(request: pytest.FixtureRequest, folder: Path) -> Shelf:
    if request.param == "folder":
        return FolderShelf(folder / "archive")
    server = request.getfixturevalue(request.param)
    return S3Shelf(server) if request.param == "s3" else SftpShelf(server)


@pytest.fixture
def study(server: OrthancServer) -> Study:
    return _received(server, make_study(series=2, instances=2))


def _received(server: OrthancServer, study: Study) -> Study:
    send(study, server.dicom_port)
    return study


def _large(size: int) -> Study:
    """One image of about so many bytes."""
    return make_study(image=Image(rows=size // 2000, columns=2000, pixels=bytes(range(250)) * (size // 250)))


def transport(orthanc: Orthanc, content: Content | None = None, **options: object) -> FilesTransport:
    section = {"Kind": "Files", "TimeoutSeconds": USUAL_TIMEOUT, **options}
    destination = load({"Destinations": {"vna": section}}, directory=Path()).destinations["vna"]
    assert isinstance(destination, FilesDestination)
    return FilesTransport(orthanc, "vna", destination, content or Stored(orthanc))


def items(orthanc: Orthanc, study: Study) -> list[Item]:
    ids = orthanc.post("/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": study.uid}})
    series = {str(each.SOPInstanceUID): str(each.SeriesInstanceUID) for each in study.instances}
    found = {each: orthanc.get(f"/instances/{each}")["MainDicomTags"]["SOPInstanceUID"] for each in ids}
    assert sorted(found.values()) == study.sop_instance_uids
    return [
        Item(
            orthanc_id=orthanc_id,
            study_instance_uid=study.uid,
            series_instance_uid=series[uid],
            sop_instance_uid=uid,
            bytes=int(orthanc.get(f"/instances/{orthanc_id}/attachments/dicom/size")),
        )
        for orthanc_id, uid in found.items()
    ]


def deliver(
    way: FilesTransport, wanted: list[Item], progress: Callable[[int], None] = lambda _: None
) -> dict[str, SendingError]:
    return dict(way.send(wanted, permit=permit(wanted), progress=progress, stopping=threading.Event()))


def stored(orthanc: Orthanc, wanted: list[Item]) -> dict[str, bytes]:
    """What must be there, by path."""
    return {
        f"{each.study_instance_uid}/{each.series_instance_uid}/{each.sop_instance_uid}.dcm": orthanc.read(
            f"/instances/{each.orthanc_id}/file"
        )
        for each in wanted
    }


def is_whole(orthanc: Orthanc, wanted: list[Item], files: dict[str, bytes]) -> bool:
    """Every file is there with its bytes and named by the manifest, and nothing else is."""
    expected = stored(orthanc, wanted)
    manifest = json.loads(files[f"{wanted[0].study_instance_uid}/manifest.json"])
    assert manifest["StudyInstanceUID"] == wanted[0].study_instance_uid
    named = {
        f"{wanted[0].study_instance_uid}/{each['Path']}": (each["Bytes"], each["SHA256"])
        for each in manifest["Instances"]
    }
    return (
        named == {path: (len(each), hashlib.sha256(each).hexdigest()) for path, each in expected.items()}
        and {path: each for path, each in files.items() if not path.endswith("manifest.json")} == expected
    )


def test_everything_arrives_under_its_uids_and_the_manifest_names_it(
    orthanc: Orthanc, shelf: Shelf, study: Study
) -> None:
    wanted, seen = items(orthanc, study), list[int]()
    way = transport(orthanc, **shelf.options())
    way.probe()
    assert deliver(way, wanted, seen.append) == {}
    assert is_whole(orthanc, wanted, shelf.files())
    assert seen == [1, 2, 3, 4]
    assert way.missing(wanted) == set()
    way.close()


def test_batches_of_a_study_share_its_manifest(orthanc: Orthanc, shelf: Shelf, study: Study) -> None:
    wanted = items(orthanc, study)
    way = transport(orthanc, **shelf.options())
    deliver(way, wanted[:1])
    assert way.missing(wanted) == {each.orthanc_id for each in wanted[1:]}
    deliver(way, wanted[1:])
    assert is_whole(orthanc, wanted, shelf.files())
    way.close()


def test_what_is_there_already_is_not_written_again(orthanc: Orthanc, shelf: Shelf, study: Study) -> None:
    wanted = items(orthanc, study)
    way = transport(orthanc, **shelf.options())
    deliver(way, wanted)
    before = shelf.writes()
    assert before
    assert deliver(way, wanted) == {}
    assert shelf.writes() == before
    way.close()


def test_a_corrected_image_replaces_the_earlier_one(server: OrthancServer, orthanc: Orthanc, shelf: Shelf) -> None:
    study = _received(server, make_study())
    way = transport(orthanc, **shelf.options())
    deliver(way, items(orthanc, study))
    study.instances[0].PatientName = "Tremblay^Emilie"
    _received(server, study)
    deliver(way, items(orthanc, study))
    assert is_whole(orthanc, items(orthanc, study), shelf.files())
    way.close()


def test_missing_tells_exactly_what_is_not_there(orthanc: Orthanc, shelf: Shelf, study: Study) -> None:
    wanted = items(orthanc, study)
    gone, flipped, cut, _ = paths = list(stored(orthanc, wanted))
    way = transport(orthanc, **shelf.options())
    assert way.missing(wanted) == {each.orthanc_id for each in wanted}
    deliver(way, wanted)
    files = shelf.files()
    shelf.delete(gone)
    shelf.put(flipped, bytes([files[flipped][0] ^ 1]) + files[flipped][1:])
    shelf.put(cut, files[cut][:-1])
    assert way.missing(wanted) == {each.orthanc_id for each in wanted[:3]}
    deliver(way, [wanted[0], wanted[2]])
    assert way.missing(wanted) == {wanted[1].orthanc_id}
    shelf.put(f"{study.uid}/manifest.json", b"[")
    assert way.missing(wanted) == {each.orthanc_id for each in wanted}
    deliver(way, wanted)
    assert is_whole(orthanc, wanted, shelf.files())
    assert len(paths) == 4
    way.close()


_KILLED = """
import json, os, signal, sys, threading
from pathlib import Path
from relais.configuration import load
from relais.orthanc import Orthanc
from relais.transports.content import Stored
from relais.transports.files import FilesTransport
from relais.transports.port import Item
from tests.servers.permits import permit
url, options, items = json.loads(sys.argv[1])
orthanc = Orthanc(url)
destination = load({"Destinations": {"vna": {"Kind": "Files", **options}}}, directory=Path())
way = FilesTransport(orthanc, "vna", destination.destinations["vna"], Stored(orthanc))
last = lambda done: done == len(items) and os.kill(os.getpid(), signal.SIGKILL)
items = [Item(**each) for each in items]
way.send(items, permit=permit(items), progress=last, stopping=threading.Event())
"""


def test_a_kill_between_the_files_and_the_manifest_loses_nothing(
    server: OrthancServer, orthanc: Orthanc, shelf: Shelf, study: Study
) -> None:
    wanted = items(orthanc, study)
    fields = [{name: getattr(each, name) for name in Item.__slots__} for each in wanted]
    argument = json.dumps([server.url, shelf.options(), fields])
    plugin = Path(__file__).parents[2] / "plugin"
    done = subprocess.run([sys.executable, "-c", _KILLED, argument], env={"PYTHONPATH": str(plugin)}, check=False)
    assert done.returncode == -9
    assert shelf.files() == stored(orthanc, wanted)
    way = transport(orthanc, **shelf.options())
    assert way.missing(wanted) == {each.orthanc_id for each in wanted}
    deliver(way, wanted)
    assert is_whole(orthanc, wanted, shelf.files())
    way.close()


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.RESET, Fault.BLACK_HOLE])
@pytest.mark.parametrize("midway", [False, True])
def test_a_peer_that_does_not_answer_passes(
    orthanc: Orthanc, remote: Shelf, study: Study, fault: Fault, midway: bool
) -> None:
    wanted = items(orthanc, study)
    with Proxy(remote.port) as proxy:
        way = transport(orthanc, **remote.options(proxy.port), TimeoutSeconds=TIMEOUT)
        if not midway:
            proxy.fault = fault
        began = time.monotonic()
        with pytest.raises(SendingError) as raised:
            deliver(way, wanted, lambda _: setattr(proxy, "fault", fault))
        assert time.monotonic() - began < TIMEOUT + GRACE
        assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Transient, True)
        assert (raised.value.code == "timeout") == (fault is Fault.BLACK_HOLE)
        if not midway:
            with pytest.raises(SendingError) as probed:
                way.probe()
            assert probed.value.unreachable
        proxy.fault = Fault.NONE
        assert deliver(way, wanted) == {}
        way.close()
    assert is_whole(orthanc, wanted, remote.files())


def test_a_slow_line_is_not_a_silent_one(server: OrthancServer, orthanc: Orthanc, remote: Shelf) -> None:
    wanted = items(orthanc, _received(server, _large(24_000_000)))
    with Proxy(remote.port) as proxy:
        proxy.bytes_per_second = 6_000_000
        way = transport(orthanc, **remote.options(proxy.port), TimeoutSeconds=TIMEOUT)
        began = time.monotonic()
        deliver(way, wanted)
        assert time.monotonic() - began > TIMEOUT
        way.close()
    assert is_whole(orthanc, wanted, remote.files())


class Stopping(Stored):
    """Asks for the stop while it hands out its second chunk."""

    def __init__(self, orthanc: Orthanc, stopping: threading.Event) -> None:
        super().__init__(orthanc)
        self._stopping = stopping

    def read(self, item: Item) -> Iterator[bytes]:
        for number, chunk in enumerate(super().read(item)):
            if number == 1:
                self._stopping.set()
            yield chunk


@pytest.mark.parametrize("size", [600_000, 20_000_000])
def test_a_stop_ends_a_batch_between_two_chunks_and_leaves_nothing(
    server: OrthancServer, orthanc: Orthanc, shelf: Shelf, size: int
) -> None:
    wanted, stopping = items(orthanc, _received(server, _large(size))), threading.Event()
    way = transport(orthanc, Stopping(orthanc, stopping), **shelf.options())
    with pytest.raises(InterruptedError):
        way.send(wanted, permit=permit(wanted), progress=lambda _: None, stopping=stopping)
    assert shelf.files() == {}
    deliver(way, wanted)
    assert is_whole(orthanc, wanted, shelf.files())
    way.close()


def test_a_stop_ends_a_large_part_on_a_slow_line(server: OrthancServer, orthanc: Orthanc, s3: S3Server) -> None:
    wanted, stopping = items(orthanc, _received(server, make_study(size=4_000_000))), threading.Event()
    with Proxy(s3.port) as proxy:
        proxy.bytes_per_second = 100_000
        way = transport(orthanc, **S3Shelf(s3).options(proxy.port))
        timer = threading.Timer(0.5, stopping.set)
        timer.start()
        began = time.monotonic()
        with pytest.raises(InterruptedError):
            way.send(wanted, permit=permit(wanted), progress=lambda _: None, stopping=stopping)
        assert time.monotonic() - began < 30
        timer.join()
        way.close()
    assert s3.objects() == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_leaves_nothing_half_and_recovers(
    server: OrthancServer, orthanc: Orthanc, small_disk: Path
) -> None:
    wanted = items(orthanc, _received(server, make_study(instances=3, size=500_000)))
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 1_000_000)
    shelf = FolderShelf(small_disk / "archive")
    way = transport(orthanc, **shelf.options())
    with pytest.raises(SendingError) as raised:
        deliver(way, wanted)
    assert (raised.value.error_class, raised.value.code, raised.value.unreachable) == (
        ErrorClass.Transient,
        "ENOSPC",
        True,
    )
    assert len(shelf.files()) == 2
    assert stored(orthanc, wanted).items() > shelf.files().items()
    with (small_disk / "rest").open("wb") as rest, suppress(OSError):
        rest.write(b"\0" * 2_000_000)
    with pytest.raises(SendingError, match="ENOSPC"):
        way.probe()
    ballast.unlink()
    (small_disk / "rest").unlink()
    way.probe()
    deliver(way, wanted)
    assert is_whole(orthanc, wanted, shelf.files())
    way.close()


def abandon(way: FilesTransport, wanted: list[Item]) -> float:
    """Send until there is a stop, which no answer of the file system tells of; answers the seconds from it."""
    stopping = threading.Event()
    timer = threading.Timer(0.5, stopping.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(InterruptedError):
        way.send(wanted, permit=permit(wanted), progress=lambda _: None, stopping=stopping)
    return time.monotonic() - began


def aside() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "relais-aside"]


def test_a_file_system_that_hangs_holds_nobody_and_nothing_else_begins_there_until_it_goes_on(
    orthanc: Orthanc, study: Study, tmp_path: Path
) -> None:
    wanted, shelf = items(orthanc, study), FolderShelf(tmp_path)
    way, asked = (transport(orthanc, **shelf.options(), TimeoutSeconds=1) for _ in range(2))
    deliver(way, wanted[:1])
    with ExitStack() as hanging:
        try:
            hanging.enter_context(HungFolder(tmp_path))
        except OSError as error:
            pytest.skip(f"no file system can hang here: {error}")
        assert abandon(way, wanted) < 5
        with pytest.raises(SendingError) as missing:
            asked.missing(wanted)
        began = time.monotonic()
        for ask in (way.probe, lambda: deliver(way, wanted), lambda: way.missing(wanted), asked.probe):
            with pytest.raises(SendingError) as raised:
                ask()
            for each in (raised.value, missing.value):
                assert (each.error_class, each.code, each.unreachable) == (ErrorClass.Transient, "hung", True)
        assert time.monotonic() - began < 1
        assert len(aside()) == 2
    eventually(lambda: not aside(), what="what hung ends")
    way.probe()
    deliver(way, wanted)
    assert is_whole(orthanc, wanted, shelf.files())


def test_what_hung_writes_nothing_over_what_was_written_after_it(
    orthanc: Orthanc, study: Study, tmp_path: Path
) -> None:
    wanted, shelf = items(orthanc, study), FolderShelf(tmp_path / "archive")
    hangs, elsewhere = shelf.folder / study.uid / "manifest.json", tmp_path / "elsewhere"
    hangs.parent.mkdir(parents=True)
    os.mkfifo(hangs)  # to open it waits in the kernel until somebody writes
    abandon(transport(orthanc, Older(orthanc), **shelf.options()), wanted)
    hangs.rename(elsewhere)
    deliver(transport(orthanc, **shelf.options()), wanted)  # another node, say
    elsewhere.write_bytes(b"{}")
    eventually(lambda: not aside(), what="what hung ends")
    assert is_whole(orthanc, wanted, shelf.files())


class Older(Stored):
    """Other bytes under the same name."""

    def read(self, item: Item) -> Iterator[bytes]:
        yield b"older"
        yield from super().read(item)


def test_what_a_kill_left_half_written_is_gone_after_the_next_batch(
    orthanc: Orthanc, study: Study, tmp_path: Path
) -> None:
    wanted, shelf = items(orthanc, study), FolderShelf(tmp_path)
    way = transport(orthanc, **shelf.options())
    deliver(way, wanted[:1])
    (written,) = tmp_path.glob("*/*/*.dcm")
    written.with_name(f".{written.name}.0123.part").write_bytes(b"half")
    deliver(way, wanted)
    assert is_whole(orthanc, wanted, shelf.files())


def test_a_store_that_is_busy_is_asked_again_later(orthanc: Orthanc, s3: S3Server, study: Study) -> None:
    wanted, shelf = items(orthanc, study), S3Shelf(s3)
    way = transport(orthanc, **shelf.options())
    for _ in range(3):
        s3.fail_next(503, "SlowDown")
        with pytest.raises(SendingError) as raised:
            deliver(way, wanted)
        assert (raised.value.error_class, raised.value.unreachable) == (ErrorClass.Transient, True)
    deliver(way, wanted)
    assert is_whole(orthanc, wanted, shelf.files())
    assert s3.unchecked == []
    way.close()


@pytest.mark.parametrize(
    ("status", "code", "error_class"),
    [
        (500, "InternalError", ErrorClass.Transient),
        (400, "RequestTimeout", ErrorClass.Transient),
        (400, "BadDigest", ErrorClass.Transient),
        (403, "InvalidAccessKeyId", ErrorClass.Configuration),
        (403, "SignatureDoesNotMatch", ErrorClass.Configuration),
        (403, "AccessDenied", ErrorClass.Configuration),
        (400, "EntityTooLarge", ErrorClass.Permanent),
    ],
)
def test_what_the_store_answers_has_its_class_and_shows_no_secret(
    server: OrthancServer, orthanc: Orthanc, s3: S3Server, status: int, code: str, error_class: ErrorClass
) -> None:
    way = transport(orthanc, **S3Shelf(s3).options())
    wanted = items(orthanc, _received(server, make_study()))
    s3.fail_next(status, code, method="PUT")
    with pytest.raises(SendingError) as raised:
        deliver(way, wanted)
    assert raised.value.error_class is error_class
    assert s3.password not in f"{raised.value}{raised.value!r}{way!r}"
    way.close()


def test_a_bucket_or_a_folder_that_is_not_there_is_a_matter_of_configuration(
    orthanc: Orthanc, s3: S3Server, study: Study, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    wanted = items(orthanc, study)
    elsewhere = S3Shelf(s3).options() | {"Url": "s3://nobody/archive"}
    for options in (elsewhere, {"Url": f"file://{tmp_path}/file/archive"}):
        way = transport(orthanc, **options)
        for attempt in (way.probe, lambda way=way: deliver(way, wanted)):
            with pytest.raises(SendingError) as raised:
                attempt()
            assert raised.value.error_class is ErrorClass.Configuration
        way.close()


def test_large_files_go_in_parts_and_stay_whole(server: OrthancServer, orthanc: Orthanc, s3: S3Server) -> None:
    wanted, shelf = items(orthanc, _received(server, _large(20_000_000))), S3Shelf(s3)
    way = transport(orthanc, **shelf.options())
    s3.requests.clear()
    deliver(way, wanted)
    paths = [path for method, path in s3.requests if method == "PUT" and path.endswith(".dcm")]
    assert len(paths) == 3
    assert s3.unchecked == []
    assert is_whole(orthanc, wanted, shelf.files())
    assert s3.unfinished() == []
    way.close()


def test_a_large_file_that_fails_leaves_no_parts(server: OrthancServer, orthanc: Orthanc, s3: S3Server) -> None:
    wanted = items(orthanc, _received(server, _large(20_000_000)))
    way = transport(orthanc, FailingLate(orthanc), **S3Shelf(s3).options())
    with pytest.raises(SendingError, match="late"):
        deliver(way, wanted)
    assert (s3.unfinished(), s3.objects()) == ([], {})
    way.close()


class FailingLate(Stored):
    """Fails when it has handed out most of it."""

    def read(self, item: Item) -> Iterator[bytes]:
        passed = 0
        for chunk in super().read(item):
            yield chunk
            passed += len(chunk)
            if passed > item.bytes / 2:
                raise SendingError(ErrorClass.Transient, "late", "fails late")


def test_content_that_fails_leaves_nothing_half(server: OrthancServer, orthanc: Orthanc, shelf: Shelf) -> None:
    wanted = items(orthanc, _received(server, make_study(size=1_000_000)))
    way = transport(orthanc, FailingLate(orthanc), **shelf.options())
    with pytest.raises(SendingError, match="late"):
        deliver(way, wanted)
    assert shelf.files() == {}
    way.close()


@pytest.mark.parametrize("uid", ["..", "../../etc/passwd", ".1", "1/2", "1\\2", "", "1\n", "1" * 65, "1.2é"])
def test_what_is_not_a_uid_never_becomes_a_name(orthanc: Orthanc, study: Study, tmp_path: Path, uid: str) -> None:
    good, bad, other, another = items(orthanc, study)
    shelf = FolderShelf(tmp_path / "archive")
    way = transport(orthanc, **shelf.options())
    wanted = [
        good,
        replace(bad, sop_instance_uid=uid),
        replace(other, series_instance_uid=uid),
    ]
    elsewhere = replace(another, study_instance_uid=uid)
    refused = deliver(way, wanted)
    assert {orthanc_id: error.error_class for orthanc_id, error in refused.items()} == dict.fromkeys(
        (each.orthanc_id for each in wanted[1:]), ErrorClass.Permanent
    )
    with pytest.raises(SendingError) as raised:
        deliver(way, [elsewhere])
    assert raised.value.error_class is ErrorClass.Permanent
    assert way.missing([*wanted, elsewhere]) == {*refused, elsewhere.orthanc_id}
    assert is_whole(orthanc, [good], shelf.files())
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_an_instance_that_is_gone_is_refused_alone(orthanc: Orthanc, shelf: Shelf, study: Study) -> None:
    wanted = items(orthanc, study)
    gone = replace(wanted[1], orthanc_id="-".join(["0" * 8] * 5))
    way = transport(orthanc, **shelf.options())
    seen: list[int] = []
    refused = deliver(way, [wanted[0], gone, *wanted[2:]], seen.append)
    assert {key: error.code for key, error in refused.items()} == {gone.orthanc_id: "not-in-orthanc"}
    assert seen == [1, 1, 2, 3]
    assert is_whole(orthanc, [wanted[0], *wanted[2:]], shelf.files())
    with pytest.raises(SendingError, match="not-in-orthanc"):
        deliver(way, [gone])
    way.close()


def test_previews_stand_beside_the_images_that_have_pixels(
    server: OrthancServer, orthanc: Orthanc, shelf: Shelf
) -> None:
    study = make_study(instances=2, image=Image(rows=64, columns=64, pixels=bytes(4096)))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(study.instances[1], keyword)
    wanted = items(orthanc, _received(server, study))
    way = transport(orthanc, Previews=True, **shelf.options())
    deliver(way, wanted)
    previews = {path: each for path, each in shelf.files().items() if path.endswith(".jpg")}
    image = study.instances[0]
    assert list(previews) == [f"{study.uid}/{image.SeriesInstanceUID}/{image.SOPInstanceUID}.jpg"]
    assert next(iter(previews.values())).startswith(b"\xff\xd8\xff")
    way.close()


def test_sftp_lets_in_by_key(orthanc: Orthanc, sftp: SftpServer, study: Study) -> None:
    shelf = SftpShelf(sftp)
    options = {key: value for key, value in shelf.options().items() if key != "Password"}
    deliver(transport(orthanc, **options, PrivateKey=str(sftp.private_key)), items(orthanc, study))
    assert set(sftp.logins) == {"publickey"}
    sftp.user_key.write_private_key_file(str(sftp.private_key), password="locked")
    locked = transport(orthanc, **options, PrivateKey=str(sftp.private_key), Password="locked")
    locked.probe()
    with pytest.raises(SendingError) as raised:
        transport(orthanc, **options, PrivateKey=str(sftp.private_key), Password="other").probe()
    assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "private-key")


def test_an_sftp_server_is_never_trusted_without_its_key(orthanc: Orthanc, sftp: SftpServer, study: Study) -> None:
    shelf, wanted = SftpShelf(sftp), items(orthanc, study)
    options = shelf.options()
    sftp.known_hosts.write_text("")
    codes = {"host-key-unknown"}
    for change in (lambda: None, lambda: sftp.known_hosts.write_text(_other_key(sftp)), sftp.known_hosts.unlink):
        change()
        with pytest.raises(SendingError) as raised:
            deliver(transport(orthanc, **options), wanted)
        assert raised.value.error_class is ErrorClass.Configuration
        codes.add(raised.value.code)
    assert codes == {"host-key-unknown", "host-key-changed", "known-hosts"}
    assert (sftp.logins, shelf.files()) == ([], {})


def _other_key(sftp: SftpServer) -> str:
    return f"[127.0.0.1]:{sftp.port} {sftp.user_key.get_name()} {sftp.user_key.get_base64()}\n"


def test_a_wrong_password_is_a_matter_of_configuration_and_is_not_shown(orthanc: Orthanc, sftp: SftpServer) -> None:
    way = transport(orthanc, **SftpShelf(sftp).options() | {"Password": "close-sesame"})
    with pytest.raises(SendingError) as raised:
        way.probe()
    assert (raised.value.error_class, raised.value.code) == (ErrorClass.Configuration, "authentication")
    assert "close-sesame" not in f"{raised.value}{raised.value!r}{way!r}"


def test_an_sftp_server_that_is_full_passes_and_keeps_nothing_half(
    orthanc: Orthanc, sftp: SftpServer, study: Study
) -> None:
    shelf, wanted = SftpShelf(sftp), items(orthanc, study)
    way = transport(orthanc, **shelf.options())
    sftp.full = True
    with pytest.raises(SendingError) as raised:
        deliver(way, wanted)
    assert raised.value.error_class is ErrorClass.Transient
    assert shelf.files() == {}
    sftp.full = False
    deliver(way, wanted)
    assert is_whole(orthanc, wanted, shelf.files())


def test_an_sftp_server_that_cannot_replace_in_one_step_still_gets_corrections(
    orthanc: Orthanc, sftp: SftpServer, study: Study
) -> None:
    sftp.posix_rename = False
    shelf, wanted = SftpShelf(sftp), items(orthanc, study)
    way = transport(orthanc, **shelf.options())
    deliver(way, wanted[:2])
    deliver(way, wanted[2:])
    assert is_whole(orthanc, wanted, shelf.files())
    manifest = shelf.folder / study.uid / "manifest.json"
    manifest.rename(manifest.with_name("manifest.json~"))  # as a kill between the two steps leaves it
    assert way.missing(wanted) == set()


def test_no_thread_outlives_a_transport(orthanc: Orthanc, shelf: Shelf, study: Study) -> None:
    before = set(threading.enumerate())
    way = transport(orthanc, **shelf.options())
    deliver(way, items(orthanc, study))
    way.close()
    eventually(
        lambda: not [each for each in set(threading.enumerate()) - before if "Server" not in each.name],
        what="threads end",
    )


def test_a_probe_tells_whether_somebody_listens(orthanc: Orthanc, remote: Shelf) -> None:
    transport(orthanc, **remote.options()).probe()
    began = time.monotonic()
    with pytest.raises(SendingError) as raised:
        transport(orthanc, **remote.options(free_port())).probe()
    assert raised.value.unreachable
    assert time.monotonic() - began < 5


class ShelfPeer(Peer):
    """A shelf that works."""

    shelf: Shelf

    def transport(self, content: Content | None = None, **options: Any) -> FilesTransport:
        return transport(self.orthanc, content, **self.shelf.options(), **options)

    def unreachable(self) -> FilesTransport:
        return transport(self.orthanc, **self.shelf.options(free_port()))

    def kept(self) -> list[str]:
        return sorted(Path(path).stem for path in self.shelf.files() if path.endswith(".dcm"))

    def refuse(self, instance: Dataset) -> None:
        pytest.skip(f"it refuses nothing for what it is, not even {instance.SOPInstanceUID}")

    def lose(self, sop_instance_uid: str) -> None:
        self.shelf.delete(next(path for path in self.shelf.files() if Path(path).stem == sop_instance_uid))


class FolderPeer(ShelfPeer):
    """A folder."""

    def start(self) -> None:
        self.shelf = FolderShelf(self.folder / "archive")

    def unreachable(self) -> FilesTransport:
        pytest.skip("a folder that is not there is made")

    def refuse(self, instance: Dataset) -> None:
        place = f"{instance.StudyInstanceUID}/{instance.SeriesInstanceUID}/{instance.SOPInstanceUID}.dcm"
        (self.folder / "archive" / place).mkdir(parents=True)


class S3Peer(ShelfPeer):
    """A bucket."""

    def start(self) -> None:
        self.server = self.running.enter_context(S3Server(f"bucket-{next(_buckets)}"))
        self.shelf = S3Shelf(self.server)

    def refuse(self, instance: Dataset) -> None:
        self.server.refused.add(str(instance.SOPInstanceUID))


class SftpPeer(ShelfPeer):
    """An SFTP server, whose protocol has no word for what it does not want."""

    def start(self) -> None:
        self.shelf = SftpShelf(self.running.enter_context(SftpServer(self.folder / "sftp")))


class TestFolder(TransportSuite):
    """What every way of sending promises, to a folder."""

    kind = FolderPeer


class TestS3(TransportSuite):
    """What every way of sending promises, to a bucket."""

    kind = S3Peer


class TestSftp(TransportSuite):
    """What every way of sending promises, to an SFTP server."""

    kind = SftpPeer
