"""The client of a DICOM source against the eight ways in which a PACS of IntelePACS's class may be set up."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1
from pynetdicom import AE

from relais.configuration.sources import DicomSource
from relais.domain.document import parse
from relais.domain.querying import Answer, Level, SourceState
from relais.domain.retry import ErrorClass
from relais.orthanc import Orthanc
from relais.retrieval.rounds import Trouble
from relais.transports.probes import Ourselves
from relais.transports.sources.opening import open_source
from relais.transports.sources.port import AskingError, Ended, Source
from relais.transports.sources.windows import find_all
from tests.conftest import OrthancFactory
from tests.servers.dicom import Study, make_study
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.router import source
from tests.servers.scp import VERIFICATION, StorageScp


@pytest.fixture(scope="module")
def here() -> Iterator[StorageScp]:
    with StorageScp("RELAIS") as scp:
        yield scp


@contextmanager
def asked(
    setting: str, *studies: Study, here: StorageScp, orthanc: Any = None, changed: Any = None, **options: Any
) -> Iterator[tuple[IntelePacs, Source]]:
    behaviour = replace(
        SETTINGS[setting], **{"seconds_to_first_row": 0.0, "seconds_to_first_image": 0.0, **(changed or {})}
    )
    with IntelePacs(behaviour=behaviour) as pacs:
        pacs.destinations["RELAIS"] = here.port
        pacs.hold(each for study in studies for each in study.instances)
        section = parse(DicomSource, source("INTELEPACS", pacs.port, Profile="IntelePACS", **options))
        yield pacs, open_source(orthanc, "pacs", section, Ourselves.of({"DicomAet": "RELAIS"}))


def find(pacs: Source, limit: int = 1000, seconds: float = 20, **keys: str) -> tuple[list[Answer], Ended]:
    found: list[Answer] = []
    stopping = threading.Event()
    ended = pacs.find(Level.Study, keys, limit=limit, seconds=seconds, stopping=stopping, take=found.append)
    return found, ended


def fetch(pacs: Source, study: Study) -> Any:
    return pacs.retrieve(study.uid, progress=lambda _done, _total: None, stopping=threading.Event())


def listed(pacs: Source, study: Study) -> list[str]:
    found = pacs.instances(study.uid, stopping=threading.Event())
    assert found.certain
    return sorted(found.uids)


@pytest.mark.parametrize("setting", "ABCFH")
def test_everything_is_found_listed_and_sent(setting: str, here: StorageScp) -> None:
    study = make_study(series=3, instances=4, tags={"PatientName": "Gagné^Éloïse"})
    with asked(setting, study, make_study(), here=here) as (_, pacs):
        (row,), ended = find(pacs, PatientName="gagné^éloïse", StudyDescription="Examen*")
        assert (row["StudyInstanceUID"], row["PatientName"], ended) == (study.uid, "Gagné^Éloïse", Ended())
        assert listed(pacs, study) == study.sop_instance_uids
        assert listed(pacs, make_study()) == []
        if setting != "H":
            assert fetch(pacs, study).completed == 12
            assert set(study.sop_instance_uids) <= set(here.sop_instance_uids())


def test_answers_that_are_cut_are_said_to_be_cut(here: StorageScp) -> None:
    studies = [make_study(tags={"PatientID": "7"}) for _ in range(12)]
    for setting, rows in (("A", 10), ("B", 10)):
        with asked(setting, *studies, here=here, changed={"rows": rows}, Limit=rows) as (_, pacs):
            found, ended = find(pacs, PatientID="7")
            assert (len(found), ended.truncated) == (rows, True), setting
    with asked("A", *studies, here=here) as (_, pacs):
        found, ended = find(pacs, PatientID="7", limit=3)
        assert (len(found), ended.truncated) == (3, True)
        assert find(pacs, PatientID="7")[1] == Ended()


def test_a_series_longer_than_an_answer_is_listed_whole(here: StorageScp) -> None:
    study = make_study(modality="CT", instances=25, size=64)
    with asked("A", study, here=here, changed={"rows": 10}, Limit=10) as (_, pacs):
        assert listed(pacs, study) == study.sop_instance_uids
    with asked("C", study, here=here, changed={"rows": 10}, Limit=10) as (_, pacs):
        assert not pacs.instances(study.uid, stopping=threading.Event()).certain, "nobody counts what is cut"


def test_a_day_that_is_cut_is_seen_whole_or_said_to_be_cut(here: StorageScp) -> None:
    """A study without StudyTime is in no part of the day."""
    times = [{"StudyTime": f"{hour:02d}1500"} for hour in range(24)]
    timed = [make_study(size=64, tags=each) for each in times]
    day = date(2026, 7, 2)
    with asked("A", *timed, here=here, changed={"rows": 10}, Limit=10) as (simulator, pacs):
        for untimed in (0, 8):
            studies = [make_study(size=64, missing=["StudyTime"]) for _ in range(untimed)]
            simulator.hold(each for study in studies for each in study.instances)
            found: list[Answer] = []
            stopping = threading.Event()
            ended = find_all(pacs, {}, day, day, limit=1000, seconds=20, stopping=stopping, take=found.append)
            missing = {each.uid for each in (*timed, *studies)} - {each["StudyInstanceUID"] for each in found}
            assert not missing or ended.truncated
            assert not missing or untimed


def test_a_slow_source_has_its_time_and_no_more(here: StorageScp) -> None:
    study = make_study()
    slow = {"seconds_to_first_row": 1.5}
    with asked("D", study, here=here, changed=slow, TimeoutSeconds=1) as (_, pacs):
        with pytest.raises(AskingError) as late:
            find(pacs, PatientID="12345")
        assert (late.value.state, late.value.error_class) == (SourceState.TimedOut, ErrorClass.Transient)
    with asked("D", study, here=here, changed=slow, TimeoutSeconds=5) as (_, pacs):
        assert len(find(pacs, PatientID="12345")[0]) == 1


def test_what_passes_is_told_from_what_does_not(here: StorageScp) -> None:
    study = make_study(instances=6)
    with asked("E", study, here=here) as (simulator, pacs):
        with pytest.raises(AskingError) as away:
            find(pacs, PatientID="12345")
        assert (away.value.code, away.value.error_class) == ("C000", ErrorClass.Transient)
        assert listed(pacs, study) == study.sop_instance_uids
        assert fetch(pacs, study).failed > 0, "the association to us was cut"
        assert fetch(pacs, study).failed == 2
        simulator.move_answers.append(0x0122)
        with pytest.raises(AskingError) as wrong:
            fetch(pacs, study)
        assert (wrong.value.code, wrong.value.error_class) == ("0122", ErrorClass.Configuration)
        del simulator.destinations["RELAIS"]
        with pytest.raises(AskingError) as unknown:
            fetch(pacs, study)
        assert (unknown.value.code, unknown.value.error_class) == ("A801", ErrorClass.Configuration)
    with asked("B", study, here=here, CallingAet="STRANGER") as (_, pacs), pytest.raises(AskingError) as stranger:
        find(pacs, PatientID="12345")
    assert (stranger.value.state, stranger.value.error_class) == (SourceState.Refused, ErrorClass.Configuration)
    assert not Trouble.of(stranger.value).unreachable


def test_a_source_that_takes_nobody_now_is_as_one_out_of_reach(here: StorageScp) -> None:
    """It takes one association, and somebody has it (PS3.8 table 9-21: transient, local limit exceeded)."""
    other = AE("OTHER")
    other.add_requested_context(VERIFICATION)
    with asked("A", make_study(), here=here) as (simulator, pacs):
        simulator.take_at_most(1)
        taken = other.associate("127.0.0.1", simulator.port)
        try:
            assert taken.is_established
            with pytest.raises(AskingError) as busy:
                find(pacs, PatientID="12345")
        finally:
            taken.release()
    assert (busy.value.state, busy.value.code) == (SourceState.Refused, "rejected-busy")
    trouble = Trouble.of(busy.value)
    assert (trouble.error_class, trouble.unreachable) == (ErrorClass.Transient, True)


def test_what_comes_by_c_get_is_in_orthanc(here: StorageScp, orthanc_factory: OrthancFactory) -> None:
    server = orthanc_factory().start()
    study = make_study(modality="CT", series=2, instances=3)
    pressed = make_study()
    image = pressed.instances[0]
    image.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    image.PixelData = encapsulate([bytes(64)])
    image["PixelData"].is_undefined_length = True
    (first, second, *_), quiet, stopping = study.instances, lambda _done, _total: None, threading.Event()
    wanted = (first.SOPInstanceUID, second.SOPInstanceUID)
    client = Orthanc(server.url)
    with closing(client), asked("H", study, pressed, here=here, orthanc=client, Retrieve="C-GET") as (simulator, pacs):
        pacs.retrieve(study.uid, first.SeriesInstanceUID, wanted, progress=quiet, stopping=stopping)
        assert server.sop_instance_uids(study.uid) == sorted(wanted)
        pacs.retrieve(study.uid, first.SeriesInstanceUID, progress=quiet, stopping=stopping)
        series = {each.SOPInstanceUID for each in study.instances if each.SeriesInstanceUID == first.SeriesInstanceUID}
        assert set(server.sop_instance_uids(study.uid)) == series | set(wanted)
        assert fetch(pacs, study).completed == 6
        assert server.sop_instance_uids(study.uid) == study.sop_instance_uids
        assert fetch(pacs, pressed).completed == 1
        (stored,) = server.rest.post("/tools/lookup", image.SOPInstanceUID.encode())
        assert server.rest.get(f"{stored['Path']}/metadata/TransferSyntax").decode() == JPEGLosslessSV1
        for _ in range(12):  # more than the associations that it takes at once
            fetch(pacs, make_study())
        simulator.alters = lambda row: row.__delitem__("SOPClassUID") if "SOPClassUID" in row else None
        again = make_study(modality="CT")
        simulator.hold(again.instances)
        assert fetch(pacs, again).completed == 1


def test_what_orthanc_does_not_take_by_c_get_is_told(here: StorageScp, orthanc_factory: OrthancFactory) -> None:
    server = orthanc_factory().start()
    client, study = Orthanc(server.url), make_study(instances=2)
    with closing(client), asked("H", study, here=here, orthanc=client, Retrieve="C-GET") as (_, pacs):
        server.stop()
        with pytest.raises(AskingError) as failed:
            fetch(pacs, study)
    assert (failed.value.code, failed.value.error_class) == ("A702", ErrorClass.Transient)
