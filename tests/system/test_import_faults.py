"""What goes wrong while studies are fetched: an import ends with every image here, or says which are not.

The campaign injects many more of the same faults, in every order, and counts what was lost without a word: nothing.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.servers.dicom import Study, make_study
from tests.servers.intelepacs import SETTINGS, IntelePacs, MoveFault
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.receiver import Receiver
from tests.servers.router import Router, section, source
from tests.servers.waiting import eventually

FAULTS = 200
KILL_EVERY = 20
"""Imports between two kills of the router."""
RETRIEVE_SECONDS = 2
"""How long the source may stay silent; a stalled C-MOVE costs as much."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A router and the PACS it fetches from."""

    router: Router
    pacs: IntelePacs
    events: Receiver


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as running:
        yield _world(tmp_path_factory.mktemp("faults"), running)


def _world(folder: Path, running: ExitStack, seed: int = 0, database: Mapping[str, Any] | None = None) -> World:
    port = free_port()
    events = running.enter_context(Receiver())
    pacs = running.enter_context(IntelePacs(behaviour=replace(SETTINGS["A"], seconds_to_first_row=0.0), seed=seed))
    pacs.destinations["RELAIS"] = port
    pacs.hold(make_study().instances)  # another study, to be sent in the place of what was asked for
    relais = section(
        {},
        subscribers={"crm": events.url},
        Otherwise={"Hold": "nothing is to be sent"},
        Sources={
            "pacs": source(
                "INTELEPACS", pacs.port, TimeoutSeconds=5, RetrieveTimeoutSeconds=RETRIEVE_SECONDS, Concurrency=4
            ),
            "closed": source("INTELEPACS", pacs.port, MoveTo="NOBODY"),
        },
        **(database or {}),
    )
    router = Router(folder, aet="RELAIS", relais=relais, dicom_port=port)
    running.enter_context(router)
    return World(router=router, pacs=pacs, events=events)


def missing_in(done: Any, study: Study) -> set[str]:
    """The SOPInstanceUIDs that the study's failed import names as missing; all where the source never told of any."""
    (part,) = done["Retrievals"]
    if part["State"] == "Failed" and part["Expected"] is None:
        return set(study.sop_instance_uids)
    return {each["SOPInstanceUID"] for each in part["MissingInstances"]}


def silent_losses(router: Router, done: Any, study: Study) -> set[str]:
    """What is neither here nor named as missing."""
    here = set(router.sop_instance_uids(study.uid))
    return set(study.sop_instance_uids) - here - (missing_in(done, study) if done["State"] == "Failed" else set())


@pytest.mark.parametrize("fault", MoveFault, ids=lambda fault: fault.name)
def test_what_one_fault_withholds_is_fetched_again(world: World, fault: MoveFault) -> None:
    study = make_study(modality="CT", series=2, instances=3)
    world.pacs.hold(study.instances)
    world.pacs.faults.append(fault)
    done = world.router.wait_for_import(world.router.begin_import("pacs", study.uid))
    assert (done["Expected"], done["Received"], done["Missing"]) == (6, 6, 0)
    assert world.router.sop_instance_uids(study.uid) == study.sop_instance_uids
    assert not world.pacs.faults, "the fault has struck"
    if fault is MoveFault.WRONG_STUDY:
        assert any(each["Warnings"] for each in done["Retrievals"]), "the wrong study is noticed"


def test_a_line_that_breaks_within_an_image_and_a_question_that_fails(world: World) -> None:
    """Each association to us passes two images and breaks off in the third."""
    study = make_study(modality="CT", instances=4, size=16_000)
    world.pacs.hold(study.instances)
    before = len(world.pacs.moves)
    with Proxy(world.router.dicom_port) as proxy:
        proxy.fault, proxy.bytes_before = Fault.CUT, 40_000
        world.pacs.destinations["RELAIS"] = proxy.port
        world.pacs.find_answers.append(0xC000)  # its database is away for a moment
        done = world.router.wait_for_import(world.router.begin_import("pacs", study.uid))
        world.pacs.destinations["RELAIS"] = world.router.dicom_port
    assert (done["Expected"], done["Received"], done["Missing"]) == (4, 4, 0)
    assert len(world.pacs.moves) > before + 1


def test_what_cannot_come_is_named(world: World) -> None:
    """The source does not know the AE title that it is to send to (A801): a person must look."""
    study = make_study(modality="CT", instances=2)
    world.pacs.hold(study.instances)
    number = world.router.begin_import("closed", study.uid)
    done = world.router.wait_for_import(number, "Failed")
    assert missing_in(done, study) == set(study.sop_instance_uids)
    assert done["Retrievals"][0]["LastError"]["Code"] == "A801"
    told = world.events.wait_for(
        lambda request: request.json["type"] == "import.completed" and request.json["data"]["Import"] == number
    )
    assert told.json["data"]["State"] == "Failed"


@pytest.mark.chaos
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_image_is_lost_without_a_word(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, record_property: Callable[[str, object], None]
) -> None:
    database = {"Database": request.getfixturevalue("postgresql").database()} if kind == "postgresql" else {}
    seed = int(os.environ.get("RELAIS_CHAOS_SEED", "1"))
    random = Random(seed)
    struck: Counter[str] = Counter()
    states: Counter[str] = Counter()
    lost: set[str] = set()
    kills = 0
    with ExitStack() as running:
        world = _world(tmp_path, running, seed, database)
        studies: dict[int, Study] = {}
        while struck.total() < FAULTS:
            study = make_study(modality="CT", series=random.randint(1, 3), instances=random.randint(1, 6), size=1024)
            if random.random() < 0.05:  # found, and never sent
                world.pacs.withheld.add(random.choice(study.sop_instance_uids))
            world.pacs.hold(study.instances)
            faults = random.choices(list(MoveFault), k=random.randint(1, 3))
            struck.update(each.name for each in faults)
            world.pacs.faults.extend(faults)
            if random.random() < 0.2:
                struck["C-FIND C000"] += 1
                world.pacs.find_answers.append(0xC000)
            studies[world.router.begin_import("pacs", study.uid)] = study
            if len(studies) % KILL_EVERY == 0:
                world.router.kill()
                world.router.start()
                kills += 1
        for number, study in studies.items():
            done = world.router.wait_for_import(number, "Completed", "Failed", timeout=900)
            states[done["State"]] += 1
            lost |= silent_losses(world.router, done, study)
            absent = set(study.sop_instance_uids) - set(world.router.sop_instance_uids(study.uid))
            named = missing_in(done, study)
            listed = done["Retrievals"][0]["Expected"] is not None
            assert named == absent if listed else named >= absent, f"what is named is what is not here: {done}"
            assert (done["State"] == "Failed") == bool(absent)
            assert world.pacs.withheld & set(study.sop_instance_uids) <= absent
        eventually(lambda: len(_ended(world.events)) >= len(studies), 60, "each end was told")
    record_property(
        "chaos",
        {
            "campaign": "imports under faults",
            "database": kind,
            "seed": seed,
            "faults": struck.total(),
            **struck,
            "kills": kills,
            "imports": len(studies),
            **states,
            "lost without a word": len(lost),
        },
    )
    assert not lost


def _ended(events: Receiver) -> set[int]:
    return {each["data"]["Import"] for each in events.events() if each["type"] == "import.completed"}
