"""The PACS that other tests ask and fetch from: each behaves as its setting says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from tests.servers.dcmqrscp import Dcmqrscp
from tests.servers.dicom import Study, make_study, send
from tests.servers.intelepacs import SETTINGS, Behaviour, IntelePacs, MoveFault
from tests.servers.orthanc import OrthancServer
from tests.servers.scp import COMMITMENT, FIND, MOVE, StorageScp
from tests.servers.senders import SENDERS, studies

Pacs = IntelePacs | Dcmqrscp


@contextmanager
def associated(pacs: Pacs, calling: str = "RELAIS") -> Iterator[Association]:
    entity = AE(ae_title=calling)
    for each in (FIND, MOVE):
        entity.add_requested_context(each)
    association = entity.associate("127.0.0.1", pacs.port, ae_title=pacs.aet)
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def identifier(level: str, **keys: Any) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


def find(pacs: Pacs, level: str = "STUDY", **keys: Any) -> tuple[list[int], list[Dataset]]:
    """The statuses, the last one included, and the rows."""
    with associated(pacs) as association:
        answers = list(association.send_c_find(identifier(level, StudyInstanceUID="", **keys), FIND))
    return [status.Status for status, _ in answers], [row for _, row in answers if row is not None]


def move(pacs: Pacs, study: Study, to: str = "HERE") -> Dataset:
    """The last answer; empty where none came."""
    with associated(pacs) as association:
        asked = identifier("STUDY", StudyInstanceUID=study.uid)
        *_, (status, _) = association.send_c_move(asked, to, MOVE)
    return status


@pytest.fixture
def here() -> Iterator[StorageScp]:
    with StorageScp("HERE") as scp:
        yield scp


@contextmanager
def pacs_with(behaviour: Behaviour, *studies: Study, here: StorageScp | None = None) -> Iterator[IntelePacs]:
    with IntelePacs(behaviour=behaviour, seed=1) as pacs:
        pacs.hold(each for study in studies for each in study.instances)
        if here is not None:
            pacs.destinations["HERE"] = here.port
        yield pacs


QUICK = replace(SETTINGS["A"], seconds_to_first_row=0.0)


def test_rows_match_are_counted_and_cut_in_silence() -> None:
    gagne = {"PatientName": "Gagné^Éloïse", "PatientID": "a 1", "StudyDate": "20260701"}
    first = make_study(series=2, instances=3, tags=gagne, character_set="ISO_IR 100")
    others = [make_study(tags={"PatientID": f"{number}", "StudyDate": f"2026060{number}"}) for number in range(1, 6)]
    with pacs_with(replace(QUICK, rows=4), first, *others) as pacs:
        counts = {"NumberOfStudyRelatedInstances": "", "ModalitiesInStudy": "", "PatientName": "gagné*"}
        statuses, (row,) = find(pacs, SpecificCharacterSet="ISO_IR 192", **counts)
        assert (statuses, row.PatientName, row.SpecificCharacterSet) == ([0xFF00, 0], "Gagné^Éloïse", "ISO_IR 100")
        assert (row.NumberOfStudyRelatedInstances, row.ModalitiesInStudy) == (6, "IO")
        assert find(pacs, PatientID="A 1")[1] == []
        assert len(find(pacs, StudyDate="20260603-20260604", StudyDescription="is not matched")[1]) == 2
        dates = [row.StudyDate for row in find(pacs, StudyDate="")[1]]
        assert dates == ["20260701", "20260605", "20260604", "20260603"]
        assert len(find(pacs, "IMAGE")[1]) == 0, "nothing below a study that is not named"


@pytest.mark.parametrize(
    ("setting", "keys", "last"), [("B", {}, 0xA900), ("B", {"PatientID": "1*"}, 0xA700), ("E", {}, 0xC000)]
)
def test_strict_and_flaky_refuse(setting: str, keys: dict[str, str], last: int) -> None:
    studies = [make_study(tags={"PatientID": f"1{number}"}) for number in range(3)]
    behaviour = replace(SETTINGS[setting], rows=2, seconds_to_first_row=0.0)
    with pacs_with(behaviour, *studies) as pacs:
        assert find(pacs, **keys)[0][-1] == last
        entity = AE(ae_title="STRANGER")
        entity.add_requested_context(FIND)
        assert entity.associate("127.0.0.1", pacs.port).is_established == (setting == "E")


def test_poor_keys_are_absent_and_no_character_set_is_declared() -> None:
    with pacs_with(replace(SETTINGS["C"], seconds_to_first_row=0.0), make_study()) as pacs:
        statuses, (row,) = find(pacs, ModalitiesInStudy="", PatientName="")
    assert statuses == [0xFF01, 0]
    assert "ModalitiesInStudy" not in row
    assert (row.SpecificCharacterSet, row.get_item("PatientName").value) == ("", "Tremblay^Émilie".encode())


def test_bytes_that_no_character_set_declares_are_answered_as_they_came() -> None:
    study = make_study(raw={"PatientName": "Gagné, Éloïse".encode("cp1252")}, missing=["SpecificCharacterSet"])
    with pacs_with(QUICK, study) as pacs:
        _, (row,) = find(pacs, PatientName="")
    assert row.get_item("PatientName").value.rstrip() == "Gagné, Éloïse".encode("cp1252")


def test_a_move_goes_wrong_as_it_is_told(here: StorageScp) -> None:
    ends = {
        None: (0x0000, 8),
        MoveFault.LOSES: (0x0000, 6),
        MoveFault.LIES: (0x0000, 6),
        MoveFault.FAILS: (0xB000, 6),
        MoveFault.CUTS_STORE: (0xB000, range(8)),
        MoveFault.CUTS_MOVE: (None, range(8)),
        MoveFault.TWICE: (0x0000, 8),
        MoveFault.WRONG_STUDY: (0x0000, 0),
        MoveFault.NOTHING: (0x0000, 0),
        MoveFault.REFUSES: (0xA701, 0),
    }
    studies = [make_study(modality="CT", instances=8) for _ in ends]
    with pacs_with(QUICK, make_study(), *studies, here=here) as pacs:
        for study, (fault, (status, arrive)) in zip(studies, ends.items(), strict=True):
            pacs.faults.extend([fault] if fault else [])
            assert move(pacs, study).get("Status") == status, fault
            there = len(set(here.sop_instance_uids()) & set(study.sop_instance_uids))
            assert there == arrive or (isinstance(arrive, range) and there in arrive), fault
        assert move(pacs, studies[0], to="NOWHERE").Status == 0xA801


def test_coercion_keeps_the_old_values(here: StorageScp) -> None:
    with pacs_with(SETTINGS["F"], here=here) as pacs:
        study = make_study(tags={"PatientID": "7"})
        entity = AE(ae_title="CS8100")
        entity.add_requested_context(study.instances[0].SOPClassUID)
        association = entity.associate("127.0.0.1", pacs.port)
        assert association.send_c_store(study.instances[0]).Status == 0xB000
        association.release()
        _, (row,) = find(pacs, PatientID="", AccessionNumber="")
        assert (row.PatientID, row.AccessionNumber == "A0001") == ("7_QC1", False)
        assert move(pacs, study).Status == 0


def test_narrow_and_the_second_copy(here: StorageScp) -> None:
    photo = make_study(tags={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4"})
    entity = AE(ae_title="CS8100")
    entity.add_requested_context(photo.instances[0].SOPClassUID)
    entity.add_requested_context(COMMITMENT)
    with pacs_with(SETTINGS["G"]) as pacs:
        association = entity.associate("127.0.0.1", pacs.port)
        assert [context.abstract_syntax for context in association.accepted_contexts] == [COMMITMENT]
        association.release()
    with pacs_with(SETTINGS["H"]) as pacs:
        association = entity.associate("127.0.0.1", pacs.port)
        assert [association.send_c_store(photo.instances[0]).Status for _ in range(2)] == [0, 0x0111]
        assert len(association.accepted_contexts) == 1
        association.release()


def test_dcmqrscp_answers_and_moves(tmp_path: Path, here: StorageScp) -> None:
    with Dcmqrscp(tmp_path, peers={"HERE": here.port}) as pacs:
        pacs.hold(study := make_study(instances=3, tags={"AccessionNumber": "B7"}))
        send(make_study(), pacs.port, called_aet=pacs.aet)
        _, (row,) = find(pacs, AccessionNumber="B7", PatientName="")
        assert row.StudyInstanceUID == study.uid
        assert move(pacs, study).Status == 0
    assert here.sop_instance_uids() == study.sop_instance_uids


def test_every_sender_sends_its_quirks(vna: OrthancServer) -> None:
    sent = {name: [study for number in (1, 3) for study in studies(name, number)] for name in SENDERS}
    for each in sent.values():
        for study in each:
            send(study, vna.dicom_port)
    assert vna.sop_instance_uids() == sorted(
        uid for each in sent.values() for study in each for uid in study.sop_instance_uids
    )
    assert {name: (len(each), len({study.uid for study in each})) for name, each in sent.items()} == {
        name: (2 * number, 2 * number) for name, number in zip(SENDERS, (1, 1, 18, 1, 1, 1, 1, 2), strict=True)
    }

    def bytes_at(sender: str, keyword: str) -> bytes:
        (instance,) = vna.rest.post(
            "/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sent[sender][0].sop_instance_uids[0]}}
        )
        element = dcmread(BytesIO(vna.rest.get(f"/instances/{instance}/file"))).get_item(keyword)
        value = "absent" if element is None else element.value
        return value.encode() if isinstance(value, str) else bytes(value).rstrip()

    assert bytes_at("P4", "PatientName") == "Gagné, Éloïse".encode("cp1252")
    assert bytes_at("P5", "ExposureTime") == b"161.3"
    assert (bytes_at("P6", "PatientName"), bytes_at("P6", "SpecificCharacterSet")) == (
        "Gagné^Éloïse".encode(),
        b"ISO_IR 100",
    )
    assert (bytes_at("P8", "PatientBirthDate"), bytes_at("P8", "StudyDate")) == (b"1991-02-03", b"absent")
