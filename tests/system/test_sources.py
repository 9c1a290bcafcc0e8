"""PACS as sources of a running router: an IntelePACS, dcmtk's archive, and Orthanc by DICOM and by DICOMweb."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.servers.dcmqrscp import Dcmqrscp
from tests.servers.dicom import Study, make_study, send
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.orthanc import OrthancServer, RestError
from tests.servers.ports import free_port
from tests.servers.router import API, Router, destination, section, source
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually

ALL = ("intelepacs", "dcmqrscp", "orthanc", "web")


@dataclass(frozen=True, kw_only=True)
class World:
    """A router, whom it can ask, and an archive that takes what it delivers."""

    router: Router
    intelepacs: IntelePacs
    dcmqrscp: Dcmqrscp
    orthanc: OrthancServer
    archive: StorageScp

    def hold(self, name: str, study: Study) -> None:
        """Put the study into the source of this name."""
        if name == "intelepacs":
            self.intelepacs.hold(study.instances)
        elif name == "dcmqrscp":
            self.dcmqrscp.hold(study)
        else:
            send(study, self.orthanc.dicom_port, called_aet="PACS")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sources")
    port = free_port()
    with ExitStack() as running:
        archive = running.enter_context(StorageScp("ARCHIVE"))
        intelepacs = running.enter_context(IntelePacs(behaviour=replace(SETTINGS["A"], rows=40)))
        intelepacs.destinations["RELAIS"] = port
        others_only = replace(SETTINGS["B"], callers=frozenset({"SOMEBODY"}))
        strict = running.enter_context(IntelePacs("STRICT", others_only))
        dcmqrscp = running.enter_context(Dcmqrscp(folder / "dcmqrscp", peers={"RELAIS": port}))
        peers = {"relais": ("RELAIS", port)}
        orthanc = OrthancServer(folder / "pacs", aet="PACS", plugins=("DicomWeb",), modalities=peers)
        running.enter_context(orthanc)
        relais = section(
            {
                "archive": destination("ARCHIVE", archive.port),
                "back": destination("INTELEPACS", intelepacs.port),
            },
            Sources={
                "intelepacs": source("INTELEPACS", intelepacs.port, Profile="IntelePACS", Limit=40),
                "dcmqrscp": source("DCMQRSCP", dcmqrscp.port),
                "orthanc": source("PACS", orthanc.dicom_port, Profile="Orthanc"),
                "dcmqrscp-get": source("DCMQRSCP", dcmqrscp.port, Retrieve="C-GET"),
                "orthanc-get": source("PACS", orthanc.dicom_port, Profile="Orthanc", Retrieve="C-GET"),
                "web": {"Kind": "DicomWeb", "Profile": "Orthanc", "Url": f"{orthanc.url}/dicom-web/"},
                "dead": source("DEAD", free_port(), TimeoutSeconds=1),
                "refusing": source("STRICT", strict.port, TimeoutSeconds=10),
            },
        )
        router = Router(folder / "router", aet="RELAIS", relais=relais, plugins=("DicomWeb",), dicom_port=port)
        running.enter_context(router)
        yield World(router=router, intelepacs=intelepacs, dcmqrscp=dcmqrscp, orthanc=orthanc, archive=archive)


def states(answer: Any) -> dict[str, str]:
    return {each["Name"]: each["State"] for each in answer["Sources"]}


def refused(router: Router, path: str, body: Any) -> tuple[int, list[str]]:
    """The status, and the paths of what is wrong."""
    with pytest.raises(RestError) as caught:
        router.rest.post(f"{API}/{path}", body)
    return caught.value.status, [each["Path"] for each in caught.value.json.get("Details", [])]


def test_all_are_asked_at_once_and_their_answers_merged(world: World) -> None:
    tags = {"PatientID": "MERGED-1", "PatientName": "Gagné^Éloïse", "StudyDescription": "Avant"}
    alone = {name: make_study(tags=tags) for name in ("intelepacs", "dcmqrscp", "orthanc")}
    both = make_study(tags=tags)
    for name, study in alone.items():
        world.hold(name, study)
    world.hold("dcmqrscp", both)
    for each in both.instances:
        each.StudyDescription = "Après"
    world.hold("intelepacs", both)
    began = time.monotonic()
    keys = {"PatientID": "MERGED-1", "PatientName": "", "StudyDescription": ""}
    answer = world.router.query(keys, Sources=[*ALL, "dead", "refusing"])
    assert time.monotonic() - began < 10
    assert {name: states(answer)[name] for name in ALL} == dict.fromkeys(ALL, "Answered")
    assert (states(answer)["dead"], states(answer)["refusing"]) == ("Unreachable", "Refused")
    found = {each["StudyInstanceUID"]: each for each in answer["Answers"]}
    assert {uid: set(each["Sources"]) for uid, each in found.items()} == {
        alone["intelepacs"].uid: {"intelepacs"},
        alone["dcmqrscp"].uid: {"dcmqrscp"},
        alone["orthanc"].uid: {"orthanc", "web"},
        both.uid: {"intelepacs", "dcmqrscp"},
    }
    assert {each["PatientName"] for each in found.values()} == {"Gagné^Éloïse"}
    assert "StudyDescription" in found[both.uid]["Differs"]


@pytest.mark.parametrize("name", ALL)
def test_a_study_is_found_at_every_level_and_fetched_whole(world: World, name: str) -> None:
    patient = f"Levesque^{name}" if name == "dcmqrscp" else f"Lévesque^{name}"  # dcmtk compares bytes
    study = make_study(modality="CT", series=2, instances=3, tags={"PatientName": patient, "PatientID": name})
    world.hold(name, study)
    keys = {"StudyInstanceUID": study.uid}
    (row,) = world.router.query({"PatientName": patient}, Sources=[name])["Answers"]
    assert (row["StudyInstanceUID"], row["PatientID"]) == (study.uid, name)
    series = world.router.query(keys, Sources=[name], Level="Series")["Answers"]
    assert {each["SeriesInstanceUID"] for each in series} == {each.SeriesInstanceUID for each in study.instances}
    keys["SeriesInstanceUID"] = series[0]["SeriesInstanceUID"]
    assert len(world.router.query(keys, Sources=[name], Level="Instance")["Answers"]) == 3

    done = world.router.wait_for_import(world.router.begin_import(name, study.uid))
    assert (done["Expected"], done["Received"], done["Missing"]) == (6, 6, 0)
    assert world.router.sop_instance_uids(study.uid) == study.sop_instance_uids
    world.router.wait_for_delivery(study.uid, "archive", "Completed")
    assert set(study.sop_instance_uids) <= set(world.archive.sop_instance_uids())
    assert world.router.ask(f"studies/{study.uid}")["Origin"]["Source"] == name
    back = world.router.delivery(study.uid, "back")
    assert (back is None) == (name == "intelepacs"), "nothing is sent back to where it came from"


@pytest.mark.parametrize("name", ["dcmqrscp", "orthanc"])
def test_a_study_is_fetched_whole_by_c_get(world: World, name: str) -> None:
    study = make_study(modality="CT", series=2, instances=3)
    world.hold(name, study)
    done = world.router.wait_for_import(world.router.begin_import(f"{name}-get", study.uid))
    assert (done["State"], done["Expected"], done["Received"]) == ("Completed", 6, 6)
    assert world.router.sop_instance_uids(study.uid) == study.sop_instance_uids


def test_every_source_is_tested_with_a_real_question(world: World) -> None:
    grades = {
        name: world.router.rest.post(f"{API}/sources/{name}/test", {"Reason": "a test asks"})["Grade"]
        for name in (*ALL, "dead")
    }
    assert grades == {**dict.fromkeys(ALL, "Passed"), "dead": "Failed"}


def test_questions_that_ask_for_everything_are_bounded_or_refused(world: World) -> None:
    old = make_study(tags={"StudyDate": "20090101"})
    world.hold("intelepacs", old)
    finds = len(world.intelepacs.finds)
    for query in ({}, {"PatientName": "*"}, {"PatientName": "", "StudyDescription": "?*"}):
        answer = world.router.query(query, Sources=["intelepacs"])
        assert answer["Notes"], "it is said that the question was bounded"
        assert old.uid not in {each["StudyInstanceUID"] for each in answer["Answers"]}
    assert all(each.StudyDate for each in world.intelepacs.finds[finds:])
    assert refused(world.router, "query", {"Level": "Study", "Query": {"NoSuchKeyword": "1"}})[0] == 422
    assert refused(world.router, "query", {"Level": "Study", "Query": {"RequestAttributesSequence": "x"}})[0] == 422
    assert (
        refused(world.router, "query", {"Level": "Study", "Query": {"PatientID": "1"}, "Sources": ["none"]})[0] == 404
    )
    assert refused(world.router, "query", {"Level": "Galaxy", "Query": {"PatientID": "1"}})[0] == 422
    assert refused(world.router, "query", {"Level": "Study", "Query": {"StudyDate": "yesterday"}})[0] == 422
    assert refused(world.router, "imports", {"Source": "none", "Studies": ["1.2.3"]})[0] == 422
    assert refused(world.router, "imports", {"Source": "orthanc", "Studies": ["1.2.x"]})[0] == 422
    assert refused(world.router, "imports", {"Source": "orthanc", "Studies": []})[0] == 422


def test_broken_answers_are_dropped_and_told(world: World) -> None:
    tags = {"PatientID": "BROKEN-1"}
    good, bad = make_study(tags=tags), make_study(tags=tags)
    world.intelepacs.hold([*good.instances, *bad.instances])

    def broken(row: Dataset) -> None:
        if row.StudyInstanceUID == bad.uid:
            del row.StudyInstanceUID
            row.add_new("StudyInstanceUID", "LO", "1.2.?;drop")
            row["StudyInstanceUID"].VR = "UI"

    world.intelepacs.alters = broken
    try:
        answer = world.router.query({"PatientID": "BROKEN-1"}, Sources=["intelepacs"])
    finally:
        world.intelepacs.alters = lambda _row: None
    assert [each["StudyInstanceUID"] for each in answer["Answers"]] == [good.uid]
    assert answer["Sources"][0]["Error"] or answer["Notes"], "what was dropped is told"


def test_a_study_of_two_patients_is_shown_as_such(world: World) -> None:
    one = make_study(tags={"PatientID": "TWO-1", "PatientName": "Roy^Léa", "AccessionNumber": "TWO"})
    world.hold("dcmqrscp", one)
    for each in one.instances:
        each.PatientID, each.PatientName = "TWO-2", "Roy^Léo"
    world.hold("intelepacs", one)
    (answer,) = world.router.query({"AccessionNumber": "TWO"}, Sources=["intelepacs", "dcmqrscp"])["Answers"]
    assert {"PatientID", "PatientName"} <= set(answer["Differs"])


def test_more_answers_than_the_source_gives_are_said_to_be_cut(world: World) -> None:
    many = [make_study(tags={"PatientID": "MANY-1", "StudyDate": "20260315"}) for _ in range(60)]
    world.intelepacs.hold(instance for study in many for instance in study.instances)
    answer = world.router.query({"PatientID": "MANY-1"}, Sources=["intelepacs"])
    assert (states(answer)["intelepacs"], len(answer["Answers"])) == ("Truncated", 40)
    limited = world.router.query({"PatientID": "MANY-1"}, Sources=["intelepacs"], Limit=10)
    assert (states(limited)["intelepacs"], len(limited["Answers"])) == ("Truncated", 10)


def test_thousands_of_answers_are_broken_off(world: World) -> None:
    instance = make_study(size=64, tags={"PatientID": "THOUSANDS"}).instances[0]
    many = []
    for number in range(3000):
        each = Dataset({element.tag: element for element in instance})
        each.file_meta = instance.file_meta
        each.add_new("StudyInstanceUID", "UI", f"1.2.826.5.{number}")
        each.add_new("SOPInstanceUID", "UI", f"1.2.826.6.{number}")
        many.append(each)
    world.intelepacs.hold(many)
    usual, before = world.intelepacs.behaviour, world.intelepacs.cancels
    world.intelepacs.behaviour = replace(usual, rows=5000)
    try:
        answer = world.router.query({"PatientID": "THOUSANDS"}, Sources=["intelepacs"], Limit=100)
    finally:
        world.intelepacs.behaviour = usual
    assert (states(answer)["intelepacs"], len(answer["Answers"])) == ("Truncated", 100)
    assert world.intelepacs.cancels == before + 1
    world.intelepacs.forget(*(str(each.SOPInstanceUID) for each in many))


def test_a_slow_source_delays_nobody(world: World) -> None:
    slow = replace(world.intelepacs.behaviour, seconds_to_first_row=3.0)
    quick, world.intelepacs.behaviour = world.intelepacs.behaviour, slow
    study = make_study(tags={"PatientID": "SLOW-1"})
    world.hold("orthanc", study)
    began = time.monotonic()
    try:
        asked = world.router.query({"PatientID": "SLOW-1"}, Asynchronous=True)

        def partial() -> Any:
            answer = world.router.ask(f"queries/{asked['Id']}")
            return answer["Answers"] and answer

        answer = eventually(partial, what="the quick ones have answered")
        assert time.monotonic() - began < 2
        assert answer["State"] == "Running"
        assert states(answer)["intelepacs"] == "Waiting"
        world.router.rest.delete(f"{API}/queries/{asked['Id']}")
        with pytest.raises(RestError) as gone:
            world.router.ask(f"queries/{asked['Id']}")
        assert gone.value.status == 404
    finally:
        world.intelepacs.behaviour = quick
