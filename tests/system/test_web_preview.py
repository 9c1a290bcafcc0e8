"""Preview images, drawn by a real Orthanc."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.uid import UID, generate_uid

from tests.servers.dicom import Study, make_study, send
from tests.servers.orthanc import OrthancServer
from tests.servers.waiting import eventually

STRUCTURED_REPORT = UID("1.2.840.10008.5.1.4.1.1.88.11")


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


def test_a_study_shows_a_jpeg_that_browsers_keep(server: OrthancServer) -> None:
    address = received(server, make_study(modality="PX", series=2, instances=3))
    answer = server.rest.request("GET", f"{address}/preview?Width=64")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert answer.data.startswith(b"\xff\xd8")
    tag = answer.headers["ETag"]
    again = server.rest.request("GET", f"{address}/preview?Width=64", headers={"If-None-Match": tag})
    assert (again.status, again.data) == (304, b"")
    wider = server.rest.request("GET", f"{address}/preview?Width=128", headers={"If-None-Match": tag})
    assert (wider.status, len(wider.data) > len(answer.data)) == (200, True)


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


def test_what_has_no_pixels_says_so(server: OrthancServer) -> None:
    study = make_study(modality="SR")
    report = study.instances[0]
    for keyword in ("Rows", "Columns", "PixelData", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"):
        delattr(report, keyword)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = STRUCTURED_REPORT
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    answer = server.rest.request("GET", received(server, study) + "/preview")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/svg+xml")
    assert "SR: no image" in answer.data.decode()
