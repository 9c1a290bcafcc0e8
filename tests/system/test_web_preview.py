"""Preview images, drawn by a real Orthanc."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydicom.uid import UID, generate_uid

from relais.errors import UnknownError
from relais.orthanc import Orthanc
from relais.web import preview
from tests.servers.dicom import Image, Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

STRUCTURED_REPORT = UID("1.2.840.10008.5.1.4.1.1.88.11")
SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
ENCAPSULATED_PDF = UID("1.2.840.10008.5.1.4.1.1.104.1")
PIXELS = ("Rows", "Columns", "PixelData", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
JPEG, SVG = "image/jpeg", "image/svg+xml"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancServer]:
    with OrthancServer(tmp_path_factory.mktemp("preview") / "orthanc", relais={"Language": "en"}) as running:
        yield running


def received(server: OrthancServer, study: Study) -> str:
    """Send the study, and answer its address once Relais knows all of it."""
    send(study, server.dicom_port)

    def known() -> bool:
        listed: list[dict[str, Any]] = server.rest.get("/relais/v1/studies")["Items"]
        return any(
            each["StudyInstanceUID"] == study.uid and each["Instances"] == len(study.instances) for each in listed
        )

    eventually(known, what="the study is listed")
    return f"/relais/v1/studies/{study.uid}"


def drawn(server: OrthancServer, address: str, *, language: str = "en") -> tuple[str, bytes]:
    """The kind and the bytes of a preview."""
    answer = server.rest.request("GET", address, headers={"Accept-Language": language})
    assert answer.status == 200, answer.data
    return answer.headers["Content-Type"], answer.data


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Its width and height: of its frame header (ITU-T T.81 section B.2.2)."""
    header = jpeg.index(b"\xff\xc0")
    height, width = (int.from_bytes(jpeg[header + at : header + at + 2]) for at in (5, 7))
    return width, height


def without_pixels(study: Study, sop_class: UID) -> Study:
    """The study with instances of a kind that has none."""
    for instance in study.instances:
        for keyword in PIXELS:
            delattr(instance, keyword)
        instance.SOPClassUID = instance.file_meta.MediaStorageSOPClassUID = sop_class
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return study


def test_a_study_shows_a_jpeg_that_browsers_keep(server: OrthancServer) -> None:
    address = received(server, make_study(modality="PX", series=2, instances=3))
    answer = server.rest.request("GET", f"{address}/preview?Width=64")
    assert (answer.status, answer.headers["Content-Type"]) == (200, JPEG)
    assert answer.data.startswith(b"\xff\xd8")
    tag = answer.headers["ETag"]
    again = server.rest.request("GET", f"{address}/preview?Width=64", headers={"If-None-Match": tag})
    assert (again.status, again.data) == (304, b"")
    wider = server.rest.request("GET", f"{address}/preview?Width=128", headers={"If-None-Match": tag})
    assert (wider.status, len(wider.data) > len(answer.data)) == (200, True)


@pytest.mark.parametrize(("rows", "columns", "size"), [(400, 20, (3, 64)), (20, 400, (64, 3)), (30, 30, (64, 64))])
def test_whatever_its_shape_it_fits_the_square(
    server: OrthancServer, rows: int, columns: int, size: tuple[int, int]
) -> None:
    image = Image(rows=rows, columns=columns, pixels=bytes(rows * columns))
    address = received(server, make_study(modality="PX", image=image))
    kind, jpeg = drawn(server, f"{address}/preview?Width=64")
    assert (kind, size_of(jpeg)) == (JPEG, size)


@pytest.mark.parametrize("width", ["0", "15", "2049", "1e3", "-64", ""])
def test_other_sizes_are_refused(server: OrthancServer, width: str) -> None:
    address = received(server, make_study(modality="PX"))
    answer = server.rest.request("GET", f"{address}/preview?Width={width}")
    assert (answer.status, answer.json()["Details"][0]["Path"]) == (422, "Width")


def test_of_many_frames_the_middle_one_is_shown(server: OrthancServer) -> None:
    study = make_study(modality="OT")
    scan = study.instances[0]
    scan.Rows, scan.Columns, scan.NumberOfFrames = 32, 32, 3
    scan.PixelData = b"".join(bytes([grey]) * 32 * 32 for grey in (0, 200, 90))
    _kind, jpeg = drawn(server, received(server, study) + "/preview?Width=32")
    instance = server.rest.post("/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": study.uid}})[0]
    frames = [
        server.rest.request("GET", f"/instances/{instance}/frames/{number}/rendered", headers={"Accept": JPEG}).data
        for number in range(3)
    ]
    assert len(set(frames)) == 3
    assert frames.index(jpeg) == 1


def test_a_corrected_image_is_drawn_anew(server: OrthancServer) -> None:
    study = make_study(modality="PX", image=Image(rows=32, columns=32, pixels=bytes([10]) * 1024))
    address = received(server, study)
    first = drawn(server, f"{address}/preview?Width=32")
    assert drawn(server, f"{address}/preview?Width=32") == first
    study.instances[0].PixelData = bytes([220]) * 1024
    send(study, server.dicom_port)
    eventually(lambda: drawn(server, f"{address}/preview?Width=32") != first, what="the corrected image is shown")


def test_each_series_has_its_own(server: OrthancServer) -> None:
    study = make_study(modality="PX", series=2)
    address = received(server, study)
    series = server.rest.get(address)["Series"]
    assert len(series) == 2
    tags = {
        server.rest.request("GET", f"{address}/series/{each['SeriesInstanceUID']}/preview").headers["ETag"]
        for each in series
    }
    assert len(tags) == 2
    assert server.rest.request("GET", f"{address}/series/1.2.3/preview").status == 404


@pytest.mark.parametrize(
    ("modality", "sop_class", "words"),
    [
        ("SR", STRUCTURED_REPORT, {"en": "Report: no image to show", "fr": "Rapport: aucune image à montrer"}),
        ("DOC", ENCAPSULATED_PDF, {"en": "PDF document: no image", "fr": "Document PDF: aucune image"}),
        ("XX", SECONDARY_CAPTURE, {"en": "XX: no image", "fr": "XX: aucune image"}),
    ],
)
def test_what_has_no_pixels_says_what_it_is(
    server: OrthancServer, modality: str, sop_class: UID, words: Mapping[str, str]
) -> None:
    address = received(server, without_pixels(make_study(modality=modality), sop_class))
    for language, text in words.items():
        kind, drawing = drawn(server, f"{address}/preview", language=language)
        assert kind == SVG
        assert f"<title>{text}" in drawing.decode()


def test_a_report_does_not_stand_for_the_images_beside_it(server: OrthancServer) -> None:
    report = without_pixels(make_study(modality="SR", tags={"SeriesNumber": 1}), STRUCTURED_REPORT).instances[0]
    images = make_study(modality="PX", tags={"SeriesNumber": 2})
    report.StudyInstanceUID = images.uid
    address = received(server, Study((report, *images.instances)))
    assert drawn(server, f"{address}/preview")[0] == JPEG


def test_what_a_sender_calls_its_modality_is_text(server: OrthancServer) -> None:
    hostile = without_pixels(make_study(raw={"Modality": b"<B>"}), SECONDARY_CAPTURE)
    _kind, drawing = drawn(server, received(server, hostile) + "/preview")
    assert b"<B>" not in drawing


def test_an_image_that_orthanc_has_no_more_is_not_there(server: OrthancServer) -> None:
    study = make_study(modality="PX")
    address = received(server, study)
    found = server.rest.post("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": study.uid}})
    server.rest.delete(f"/studies/{found[0]}")
    assert server.rest.request("GET", f"{address}/preview?Width=48").status == 404


def test_the_latest_are_kept_as_long_as_they_fit(server: OrthancServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "KEPT", 4096)
    study = make_study(modality="PX", image=Image.of_size(8192))
    received(server, study)
    instance = server.rest.post("/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": study.uid}})[0]
    previews = preview.Previews(Orthanc(server.url))
    first = previews.jpeg(instance, "first", 32)
    assert first is not None
    assert len(first) < 4096
    server.rest.delete(f"/instances/{instance}")
    assert previews.jpeg(instance, "first", 32) == first
    with pytest.raises(UnknownError):
        previews.jpeg(instance, "another", 32)


def test_what_does_not_fit_is_not_kept(server: OrthancServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "KEPT", 4096)
    study = make_study(modality="PX", image=Image.of_size(8192))
    received(server, study)
    instance = server.rest.post("/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": study.uid}})[0]
    previews = preview.Previews(Orthanc(server.url))
    for width in (32, 2048):
        assert previews.jpeg(instance, str(width), width) is not None
    server.rest.delete(f"/instances/{instance}")
    for tag in ("32", "2048"):
        with pytest.raises(UnknownError):
            previews.jpeg(instance, tag, 32)
