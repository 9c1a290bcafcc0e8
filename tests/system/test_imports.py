"""Imports in a running router: kept or delivered, canceled and begun again, proven against Orthanc, over kills."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from urllib3.exceptions import HTTPError

from tests.servers.dicom import Study, make_study
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.orthanc import RestError
from tests.servers.ports import free_port
from tests.servers.router import API, Router, destination, section, source
from tests.servers.scp import StorageScp
from tests.servers.waiting import eventually

COMMITS = (pytest.param("14", marks=pytest.mark.chaos), "16+", pytest.param("18", marks=pytest.mark.chaos))
"""Where the process ends, counted in its commits: while the study is listed, fetched and accounted for."""

CRASHED = 77


@dataclass(frozen=True, kw_only=True)
class World:
    """A router, the PACS it fetches from, and the archive it delivers to."""

    router: Router
    pacs: IntelePacs
    archive: StorageScp

    def hold(self, **options: Any) -> Study:
        """A study that the PACS has."""
        study = make_study(modality="CT", **options)
        self.pacs.hold(study.instances)
        return study


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.chaos)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    port = free_port()
    there = request.param == "postgresql"
    database = {"Database": request.getfixturevalue("postgresql").database()} if there else {}
    with ExitStack() as running:
        archive = running.enter_context(StorageScp("ARCHIVE"))
        pacs = running.enter_context(IntelePacs(behaviour=replace(SETTINGS["A"], seconds_to_first_row=0.0)))
        pacs.destinations["RELAIS"] = port
        relais = section(
            {"archive": destination("ARCHIVE", archive.port)},
            Clinics={"laval": {"CalledAets": ["LAVAL"]}},
            Sources={
                "pacs": source("INTELEPACS", pacs.port, TimeoutSeconds=5, Clinic="laval"),
                "spared": source("INTELEPACS", pacs.port, StudiesPerHour=2, Windows=[{"Days": [_in_days(2)]}]),
            },
            Watches={
                "new": {"Source": "pacs", "EverySeconds": 3600, "Modalities": ["PX"], "Then": "Import"},
                "night": {"Source": "spared", "EverySeconds": 3600, "Modalities": ["US"]},
            },
            Prefetch={"Enabled": True, "AtMost": 2},
            **database,
        )
        router = Router(tmp_path_factory.mktemp("imports"), aet="RELAIS", relais=relais, dicom_port=port)
        running.enter_context(router)
        yield World(router=router, pacs=pacs, archive=archive)


def test_what_is_only_kept_is_delivered_when_a_person_says_so(world: World) -> None:
    router, study = world.router, world.hold(instances=2)
    router.wait_for_import(router.begin_import("pacs", study.uid, Route=False))
    found = router.wait_for_study(study.uid, "Routed")
    assert (found["Clinic"], found["Origin"]["Source"], found["Origin"]["Route"]) == ("laval", "pacs", False)
    assert router.deliveries(study.uid) == []
    assert router.ask(f"studies/{study.uid}/explanation")["Decision"]["Kept"] is True
    router.command(f"studies/{study.uid}/route")
    router.wait_for_delivery(study.uid, "archive", "Completed")


def test_an_import_that_delivers_ends_the_keeping_of_an_earlier_one(world: World) -> None:
    router, study = world.router, world.hold()
    router.wait_for_import(router.begin_import("pacs", study.uid, Route=False))
    router.wait_for_study(study.uid, "Routed")
    router.wait_for_import(router.begin_import("pacs", study.uid))
    router.wait_for_delivery(study.uid, "archive", "Completed")


def test_a_series_is_fetched_alone_and_only_what_is_missing_of_a_study(world: World) -> None:
    router, study = world.router, world.hold(series=3, instances=2)
    first = str(study.instances[0].SeriesInstanceUID)
    wanted = {"StudyInstanceUID": study.uid, "SeriesInstanceUID": first}
    done = router.wait_for_import(router.begin_import("pacs", Series=[wanted]))
    assert (done["Expected"], done["Received"]) == (2, 2)
    moves = len(world.pacs.moves)
    done = router.wait_for_import(router.begin_import("pacs", study.uid))
    assert (done["Expected"], done["Received"]) == (6, 6)
    assert router.sop_instance_uids(study.uid) == study.sop_instance_uids
    again = router.wait_for_import(router.begin_import("pacs", study.uid))
    assert again["Retrievals"][0]["Rounds"] == 0, "all of it is here: nothing is asked for"
    assert first not in {str(each.get("SeriesInstanceUID")) for each in world.pacs.moves[moves:]} or (
        len(world.pacs.moves) == moves + 1
    )


def test_what_orthanc_lost_since_is_fetched_again(world: World) -> None:
    """Our tables still have the row: they alone prove nothing."""
    router, study = world.router, world.hold(instances=3)
    router.wait_for_import(router.begin_import("pacs", study.uid))
    router.wait_for_delivery(study.uid, "archive", "Completed")
    (gone,) = router.rest.post("/tools/lookup", study.sop_instance_uids[0].encode())
    router.rest.delete(gone["Path"])
    assert len(router.sop_instance_uids(study.uid)) == 2
    done = router.wait_for_import(router.begin_import("pacs", study.uid))
    assert (done["Expected"], done["Missing"]) == (3, 0)
    assert router.sop_instance_uids(study.uid) == study.sop_instance_uids


def test_it_is_canceled_and_begun_again_with_a_reason(world: World) -> None:
    router = world.router
    number = router.begin_import("pacs", "1.2.3.4.5.6")
    eventually(lambda: router.ask(f"imports/{number}")["Retrievals"][0]["Attempts"], what="it is not at the source")
    router.command(f"imports/{number}/cancel")
    found = router.wait_for_import(number, "Canceled")
    assert found["Retrievals"][0]["State"] == "Canceled"
    with pytest.raises(RestError) as again:
        router.command(f"imports/{number}/cancel")
    assert again.value.status == 409
    study = make_study(modality="CT", tags={"StudyInstanceUID": "1.2.3.4.5.6"})
    world.pacs.hold(study.instances)
    router.command(f"imports/{number}/retry")
    assert router.wait_for_import(number)["Received"] == 1


def test_what_cannot_be_meant_is_refused_with_its_path(world: World) -> None:
    bodies: dict[str, Any] = {
        "Source": {"Source": "nowhere", "Studies": ["1.2"]},
        "Studies[1]": {"Source": "pacs", "Studies": ["1.2", "1.2.x"]},
        "Priority": {"Source": "pacs", "Studies": ["1.2"], "Priority": "Soon"},
        "": {"Source": "pacs"},
    }
    before = len(world.router.everything("imports"))
    for path, body in bodies.items():
        with pytest.raises(RestError) as refused:
            world.router.rest.post(f"{API}/imports", body)
        assert (refused.value.status, [each["Path"] for each in refused.value.json["Details"]]) == (422, [path])
    assert len(world.router.everything("imports")) == before


def test_a_watch_imports_what_is_new_and_shows_what_it_saw(world: World) -> None:
    router = world.router
    eventually(lambda: router.ask("watches/new")["SucceededAt"], what="it has polled")
    study = make_study(modality="PX", tags={"StudyDate": f"{_today()}"})
    other = make_study(modality="MR", tags={"StudyDate": f"{_today()}"})
    world.pacs.hold([*study.instances, *other.instances])
    router.command("watches/new/poll")
    router.wait_for_study(study.uid, "Routed")
    polls = eventually(lambda: router.ask("watches/new")["Polls"], what="what it found is shown")
    assert (polls[0]["Fresh"], polls[0]["Skipped"]) == (2, 1)
    completed = "&Cause=Watch&CauseId=new&State=Completed"
    (found,) = eventually(lambda: router.everything("imports", completed), what="its import is over")
    assert (found["Id"], found["Studies"], found["Missing"]) == (polls[0]["Import"], 1, 0)
    assert other.uid not in router.studies()


def test_a_source_is_spared_by_what_no_person_asked_for_and_by_its_rate(world: World) -> None:
    router = world.router
    eventually(lambda: router.ask("watches/night")["SucceededAt"], what="it has polled")
    found = make_study(modality="US", tags={"StudyDate": _today()})
    world.pacs.hold(found.instances)
    router.command("watches/night/poll")
    number = eventually(lambda: router.everything("imports", "&CauseId=night"), what="it imports")[0]["Id"]
    waits = eventually(lambda: _waits(router, number), what="it waits for its window")
    assert waits > datetime.now(UTC) + timedelta(hours=12)
    router.wait_for_import(router.begin_import("spared", world.hold().uid))
    second = router.begin_import("spared", world.hold().uid)
    waits = eventually(lambda: _waits(router, second), what="it waits for the next half hour")
    assert timedelta(minutes=25) < waits - datetime.now(UTC) < timedelta(minutes=30)
    for each in (number, second):
        router.command(f"imports/{each}/cancel")


def test_an_order_brings_its_patients_own_priors_and_nobody_elses(world: World) -> None:
    router = world.router
    patient = {"PatientID": "PRIOR-1", "PatientName": "Gagné^Éloïse", "PatientBirthDate": "19840517"}
    prior = make_study(modality="PX", tags={**patient, "StudyDate": "20250601"})
    namesake = make_study(modality="PX", tags={**patient, "PatientBirthDate": "19991231", "StudyDate": "20250602"})
    world.pacs.hold([*prior.instances, *namesake.instances])
    order = {
        **patient,
        "AccessionNumber": "ORDER-1",
        "Clinic": "laval",
        "ScheduledProcedureStepStartDate": _today(),
        "ScheduledProcedureStepStartTime": "1200",
        "ScheduledStationAETitle": "CS8100",
        "Modality": "IO",
    }
    router.rest.post(f"{API}/worklist", order)
    router.wait_for_study(prior.uid, "Routed")
    (found,) = router.everything("prefetches", "&AccessionNumber=ORDER-1")
    assert (found["State"], found["Found"], found["Relevant"]) == ("Completed", 1, 1)
    assert found["Notes"] == ["Left out, as the birth date is another: 1"]
    done = router.wait_for_import(found["Imports"][0])
    assert (done["Priority"], done["Cause"]) == ("Background", "Prefetch")
    assert [each["Priority"] for each in router.deliveries(prior.uid)] == ["Background"]
    assert namesake.uid not in router.studies()


@pytest.mark.parametrize("commit", COMMITS)
def test_a_kill_loses_nothing(world: World, commit: str) -> None:
    router = world.router
    study = world.hold(series=2, instances=2)
    ports: dict[str, Any] = {"aet": "RELAIS", "http_port": router.http_port, "dicom_port": router.dicom_port}
    options, crash = router.configuration["Relais"], {"RELAIS_CRASH_AT_COMMIT": commit}
    router.kill()
    with Router(router.folder, relais=options, environment=crash, **ports) as armed:
        number = armed.begin_import("pacs", study.uid)
        with suppress(RestError, HTTPError):  # it ends while it is asked
            armed.wait_for_import(number, "never", timeout=10)
        assert armed.wait_ended() == CRASHED
    router.start()
    done = router.wait_for_import(number)
    assert (done["Expected"], done["Missing"]) == (4, 0)
    assert router.sop_instance_uids(study.uid) == study.sop_instance_uids
    router.wait_for_delivery(study.uid, "archive", "Completed")


def _today() -> str:
    return f"{datetime.now(UTC):%Y%m%d}"


def _in_days(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%A}"


def _waits(router: Router, number: int) -> Any:
    moment = router.ask(f"imports/{number}")["Retrievals"][0]["NextAttempt"]
    return moment and datetime.fromisoformat(moment)
