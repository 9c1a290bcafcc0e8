"""One question to many sources: quick ones first, each with its own time, their answers as one list."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from sqlalchemy import select

from relais.configuration import load
from relais.database import Database
from relais.database.tables import audit
from relais.domain.document import DocumentError
from relais.domain.querying import Level, SourceState
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.orthanc import Orthanc
from relais.retrieval.queries import RUNNING_EACH, Queries, Query, Question, Snapshot
from relais.transports.probes import Ourselves
from relais.transports.sources.opening import open_source
from relais.transports.sources.port import AskingError, Ended, Source
from tests.servers.clock import FakeClock
from tests.servers.dicom import Study, make_study, send
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.orthanc import OrthancServer
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.stow import StowServer
from tests.servers.waiting import eventually

QUICK = replace(SETTINGS["A"], seconds_to_first_row=0.0)
SHARED = make_study(modality="PX", tags={"PatientName": "Gagné^Éloïse", "PatientID": "77"})


def dicom(port: int, **options: Any) -> dict[str, Any]:
    return {"Kind": "Dicom", "Aet": "INTELEPACS", "Host": "127.0.0.1", "Port": port, "CallingAet": "RELAIS", **options}


class Asker:
    """Queries over these sources."""

    def __init__(self, database: Database, clock: FakeClock, journal: Journal) -> None:
        self._database, self._clock, self._journal = database, clock, journal

    def over(self, **sources: dict[str, Any]) -> Queries:
        configuration = load({"Sources": sources, "Clinics": {"laval": {}}}, directory=Path())
        ours = Ourselves.of({})
        opened = {name: open_source(None, name, each, ours) for name, each in configuration.sources.items()}  # type: ignore[arg-type]  # nothing is fetched
        return Queries(
            database=self._database,
            clock=self._clock,
            journal=self._journal,
            configuration=configuration,
            sources=opened,
        )

    def events(self) -> list[Any]:
        with self._database.read() as connection:
            return list(connection.execute(select(audit).order_by(audit.c.number)).all())


@pytest.fixture
def asker(database: Database, clock: FakeClock, journal: Journal) -> Asker:
    return Asker(database, clock, journal)


@pytest.fixture(scope="module")
def pacs() -> Iterator[list[IntelePacs]]:
    """Two that have one study in common; the second knows it under another accession number, and slowly."""
    with ExitStack() as running:
        one = running.enter_context(IntelePacs(behaviour=QUICK))
        one.hold([*SHARED.instances, *make_study(tags={"PatientName": "Gagnon^Luc", "PatientID": "78"}).instances])
        other = running.enter_context(IntelePacs(behaviour=replace(QUICK, seconds_to_first_row=2.0)))

        def differs(row: Any) -> None:
            row.AccessionNumber = "OTHER"

        other.alters = differs
        other.hold(SHARED.instances)
        yield [one, other]


def ask(queries: Queries, question: Question) -> Query:
    return queries.ask(question, actor="alice", clinics=None)


def states(snapshot: Snapshot) -> dict[str, SourceState]:
    return {each.name: each.state for each in snapshot.sources}


def test_a_slow_and_a_dead_source_delay_nobody(asker: Asker, pacs: list[IntelePacs]) -> None:
    with Proxy(pacs[0].port) as proxy:
        proxy.fault = Fault.BLACK_HOLE
        queries = asker.over(
            quick=dicom(pacs[0].port),
            slow=dicom(pacs[1].port),
            silent=dicom(proxy.port, TimeoutSeconds=1),
            gone=dicom(free_port()),
            stranger=dicom(pacs[0].port, Levels=["Study"], Clinics=["laval"]),
        )
        queries.ask(Question(keys={"PatientID": "warm"}, sources=("quick",)), actor="alice", clinics=None).wait(5)
        query = ask(queries, Question(keys={"PatientName": "gagné"}, sources=("quick", "slow", "silent", "gone")))
        eventually(lambda: query.snapshot().answers, what="an answer of the quick one")
        early = query.snapshot()
        assert (early.state, early.answers[0].sources, states(early)["slow"]) == (
            "Running",
            ("quick",),
            SourceState.Waiting,
        )
        assert query.wait(10)
        found = query.snapshot()
    assert states(found) == {
        "quick": SourceState.Answered,
        "slow": SourceState.Answered,
        "silent": SourceState.TimedOut,
        "gone": SourceState.Unreachable,
    }
    (study,) = found.answers
    assert (study.values["StudyInstanceUID"], study.values["PatientName"]) == (SHARED.uid, "Gagné^Éloïse")
    assert set(study.sources) == {"quick", "slow"}
    assert dict(study.differs["AccessionNumber"])["slow"] == "OTHER"
    event = asker.events()[-1]
    assert (event.action, event.actor) == ("source.asked", "alice")
    assert event.detail == {
        "Sources": ["quick", "slow", "silent", "gone"],
        "Level": "Study",
        "Keys": ["PatientName"],
    }


def test_who_may_ask_whom_and_what(asker: Asker, pacs: list[IntelePacs]) -> None:
    queries = asker.over(all=dicom(pacs[0].port), laval=dicom(pacs[0].port, Clinics=["laval"]))
    assert queries.permitted(frozenset({"outremont"})) == ["all"]
    assert queries.permitted(None) == ["all", "laval"]
    for question, error in (
        (Question(keys={"PatientID": "1"}, sources=("laval",)), UnknownError),
        (Question(keys={"PatientID": "1"}, sources=("nobody",)), UnknownError),
        (Question(keys={"Sequence": "1"}), DocumentError),
    ):
        with pytest.raises(error):
            queries.ask(question, actor="bob", clinics=frozenset({"outremont"}))
    with pytest.raises(StateError):
        asker.over(laval=dicom(1, Clinics=["laval"])).ask(
            Question(keys={"PatientID": "1"}), actor="bob", clinics=frozenset({"outremont"})
        )
    assert asker.events() == []
    query = ask(queries, Question(keys={"PatientID": "77"}, sources=("all",)))
    with pytest.raises(UnknownError):
        queries.get(query.id, "bob")
    assert queries.get(query.id, "alice") is query
    queries.end(query.id, "alice")
    with pytest.raises(UnknownError):
        queries.get(query.id, "alice")


def test_too_many_questions_wait_for_their_ends(asker: Asker, pacs: list[IntelePacs]) -> None:
    queries = asker.over(slow=dicom(pacs[1].port))
    running = [ask(queries, Question(keys={"PatientID": "77"})) for _ in range(RUNNING_EACH)]
    with pytest.raises(StateError) as full:
        ask(queries, Question(keys={"PatientID": "77"}))
    assert full.value.code == "queries-running"
    queries.end(running[0].id, "alice")
    last = ask(queries, Question(keys={"PatientID": "77"}))
    queries.close()
    assert last.wait(1)
    assert last.snapshot().state == "Ended"


def test_a_question_for_everything_is_one_for_recent_days(
    asker: Asker, pacs: list[IntelePacs], clock: FakeClock
) -> None:
    queries = asker.over(one=dicom(pacs[0].port))
    query = ask(queries, Question(keys={"PatientName": "*"}))
    assert query.wait(5)
    assert [each.code for each in query.snapshot().notes] == ["recent-only"]
    first, last = str(pacs[0].finds[-1].StudyDate).split("-")
    assert first < clock.now().strftime("%Y%m%d") < last


def test_levels_limits_and_what_is_broken(asker: Asker) -> None:
    studies = [make_study(size=64, tags={"PatientID": "9", "StudyDate": f"202607{day:02}"}) for day in range(1, 13)]
    with IntelePacs(behaviour=replace(QUICK, rows=5)) as cutting:
        cutting.hold(each for study in studies for each in study.instances)
        queries = asker.over(
            one=dicom(cutting.port, Limit=5), series=dicom(cutting.port, Limit=5, Levels=["Study"], Profile="Orthanc")
        )

        def found(level: Level, limit: int = 200, **keys: str) -> Snapshot:
            query = ask(queries, Question(level=level, keys=keys, sources=("one",), limit=limit))
            assert query.wait(10)
            return query.snapshot()

        cut = found(Level.Study, PatientID="9")
        assert (len(cut.answers), states(cut)["one"]) == (5, SourceState.Truncated)
        whole = found(Level.Study, PatientID="9", StudyDate="20260601-20260731")
        assert (len(whole.answers), states(whole)["one"]) == (12, SourceState.Answered)
        dates = [each.values["StudyDate"] for each in whole.answers]
        assert dates == sorted(dates, reverse=True)
        assert len(found(Level.Study, 3, PatientID="9", StudyDate="20260601-20260731").answers) == 3
        (patient,) = found(Level.Patient, PatientID="9", StudyDate="20260601-20260731").answers
        assert patient.values["PatientID"] == "9"
        (series,) = found(Level.Series, StudyInstanceUID=studies[0].uid).answers
        uid = series.values["SeriesInstanceUID"]
        (image,) = found(Level.Instance, StudyInstanceUID=studies[0].uid, SeriesInstanceUID=uid).answers
        assert image.values["SOPInstanceUID"] == studies[0].sop_instance_uids[0]
        query = ask(queries, Question(level=Level.Series, keys={"StudyInstanceUID": "1.2"}, sources=("series",)))
        assert query.wait(5)
        assert (query.snapshot().sources[0].state, query.snapshot().sources[0].code) == (
            SourceState.Refused,
            "level-not-asked",
        )

        def breaks(row: Any) -> None:
            if str(row.StudyDate) == "20260701":
                row["StudyInstanceUID"] = DataElement(0x0020000D, "UI", "not.a.uid", validation_mode=IGNORE)

        cutting.alters = breaks
        (asked,) = found(Level.Study, StudyDate="20260701-20260702").sources
        assert (asked.count, asked.dropped) == (1, 1)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Our Orthanc, and one that is a source of it and holds a study of two series with three images each."""

    here: OrthancServer
    orthanc: Orthanc
    pacs: OrthancServer
    study: Study


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    study = make_study(series=2, instances=3, tags={"PatientName": "Gagné^Éloïse", "PatientID": "77"})
    with ExitStack() as running:
        here = running.enter_context(OrthancServer(folder / "here"))
        known = {"here": ("ORTHANC", here.dicom_port)}
        pacs = running.enter_context(OrthancServer(folder / "pacs", plugins=("DicomWeb",), modalities=known))
        send(study, pacs.dicom_port)
        orthanc = Orthanc(here.url)
        yield Pair(here=here, orthanc=orthanc, pacs=pacs, study=study)
        orthanc.close()


def opened(pair: Pair, section: dict[str, Any]) -> Source:
    """The source that a section describes."""
    configured = load({"Sources": {"pacs": section}}, directory=Path()).sources["pacs"]
    return open_source(pair.orthanc, "pacs", configured, Ourselves.of({}))


def test_a_source_by_http_is_asked_and_fetched_from(pair: Pair) -> None:
    here, study = pair.here, pair.study
    section = {"Kind": "DicomWeb", "Url": f"{pair.pacs.url}/dicom-web", "Profile": "Orthanc", "TimeoutSeconds": 10}
    source = opened(pair, section)
    stopping = threading.Event()
    source.probe()
    rows: list[Any] = []
    keys = {"PatientName": "Gagné, Éloïse", "ModalitiesInStudy": "IO"}
    ended = source.find(Level.Study, keys, limit=10, seconds=10, stopping=stopping, take=rows.append)
    assert ended == Ended()
    assert [(row["StudyInstanceUID"], row["PatientName"]) for row in rows] == [(study.uid, "Gagné^Éloïse")]
    listed = source.instances(study.uid, stopping=stopping)
    assert (sorted(listed.uids), listed.certain, len(listed.series)) == (study.sop_instance_uids, True, 2)
    assert source.instances("1.2.3", stopping=stopping).uids == ()

    told: list[tuple[int, int]] = []
    series, of_series = next(iter(listed.series.items()))
    some = source.retrieve(
        study.uid, series, of_series.uids[:1], progress=lambda done, all_: told.append((done, all_)), stopping=stopping
    )
    assert (some.completed, some.failed, told) == (1, 0, [(1, 1)])
    assert here.sop_instance_uids(study.uid) == [of_series.uids[0]]
    whole = source.retrieve(study.uid, progress=lambda *_: None, stopping=stopping)
    assert (whole.completed, whole.failed, whole.status) == (6, 0, "0000")
    assert sorted(here.sop_instance_uids(study.uid)) == study.sop_instance_uids
    with pytest.raises(AskingError) as absent:
        source.retrieve("1.2.3", progress=lambda *_: None, stopping=stopping)
    assert absent.value.code in ("404", "400")
    stopping.set()
    with pytest.raises(InterruptedError):
        source.find(Level.Study, keys, limit=10, seconds=10, stopping=stopping, take=rows.append)
    source.close()


def test_a_source_of_the_patient_root_is_told_whose_study_it_is(pair: Pair) -> None:
    by_patient = {"Profile": "Orthanc", "Root": "Patient", "CallingAet": "ORTHANC", "Aet": "PACS"}
    rooted = opened(pair, dicom(pair.pacs.dicom_port, **by_patient))
    going, patients = threading.Event(), list[Any]()
    rooted.find(Level.Patient, {"PatientName": "gagne"}, limit=9, seconds=9, stopping=going, take=patients.append)
    assert [(each["PatientID"], each["PatientName"]) for each in patients] == [("77", "Gagné^Éloïse")]
    assert sorted(rooted.instances(pair.study.uid, stopping=going).uids) == pair.study.sop_instance_uids
    assert rooted.retrieve(pair.study.uid, progress=lambda *_: None, stopping=going).completed == 6


def test_a_long_series_is_listed_whole_though_the_answers_are_cut(pair: Pair) -> None:
    long = make_study(modality="CT", series=2, instances=70, size=64)
    with IntelePacs(behaviour=QUICK) as pacs:
        pacs.hold(long.instances)
        lister = opened(pair, dicom(pacs.port))
        for most in (1000, 50):  # a cut list comes again from ourselves, image by image
            pacs.behaviour = replace(QUICK, rows=most)
            pacs.finds.clear()
            listed = lister.instances(long.uid, stopping=threading.Event())
            assert (sorted(listed.uids), listed.certain) == (long.sop_instance_uids, True)
            images = [each for each in pacs.finds if each.QueryRetrieveLevel == "IMAGE"]
            assert len(images) == (2 if most == 1000 else 2 * (2 + 20))
    assert pair.here.rest.get("/queries") == []


@pytest.mark.parametrize(("pages", "whole"), [(True, True), (False, False)])
def test_a_server_that_cuts_its_pages_is_asked_for_the_next(pair: Pair, *, pages: bool, whole: bool) -> None:
    study = make_study(instances=120, size=64)
    with StowServer() as server:
        server.hold(study.instances)
        server.rows, server.pages = 50, pages
        source = opened(pair, {"Kind": "DicomWeb", "Url": server.url})
        keys = {"StudyInstanceUID": study.uid, "SeriesInstanceUID": str(study.instances[0].SeriesInstanceUID)}
        found: list[Any] = []
        ended = source.find(Level.Instance, keys, limit=1000, seconds=20, stopping=threading.Event(), take=found.append)
        assert (len(found) == 120, ended.truncated) == (whole, not whole)
        source.close()
