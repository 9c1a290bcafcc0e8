"""Orthanc's own ways out: which requests they are, and who is let through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.configuration import load
from relais.orthanc.doorkeeper import ONCE_IN, Doorkeeper, Refused
from relais.orthanc.openings import Opening, configured
from relais.orthanc.ways_out import AT_ANY_ROOT, WAYS_OUT, Manner, recognise
from relais.web.permissions import Gate
from relais.web.ways_out import admission
from tests.system.serving import basic

OUT = [
    ("POST", "/modalities/vna/store", Manner.Send),
    ("POST", "/modalities/vna/store/", Manner.Send),
    ("POST", "/modalities/clinique é/store", Manner.Send),
    ("POST", "/modalities/vna/store-straight", Manner.Send),
    ("POST", "/modalities/pacs/move", Manner.Move),
    ("POST", "/queries/0c1f/retrieve", Manner.Move),
    ("POST", "/queries/0c1f/answers/0/retrieve", Manner.Move),
    ("PUT", "/modalities/vna", Manner.Define),
    ("DELETE", "/modalities/vna", Manner.Define),
    ("POST", "/peers/other/store", Manner.Send),
    ("POST", "/peers/other/store-straight", Manner.Send),
    ("PUT", "/peers/other", Manner.Define),
    ("POST", "/dicom-web/servers/cloud/stow", Manner.Send),
    ("PUT", "/dicom-web/servers/cloud", Manner.Define),
    ("POST", "/web/rs/servers/cloud/stow", Manner.Send),  # the root is an option
    ("POST", "/jobs/7a/resubmit", Manner.Repeat),
    ("POST", "/jobs/7a/resume", Manner.Repeat),
    ("POST", "/instances/9f/export", Manner.Write),
    ("POST", "/move-storage", Manner.Write),
    ("POST", "/tools/execute-script", Manner.Script),
    ("POST", "/transfers/send", Manner.Send),
    ("POST", "/transfers/lookup", Manner.Serve),
    ("GET", "/transfers/chunks/9f.0a", Manner.Serve),
    ("POST", "//modalities/./x/../vna//store", Manner.Send),
    ("POST", "\\modalities\\vna\\store", Manner.Send),
    ("", "/modalities/vna/store", Manner.Send),  # a method that is not known
]

NOT_OUT = [
    ("GET", "/"),
    ("GET", ""),
    ("GET", "/modalities"),
    ("GET", "/modalities/vna"),
    ("GET", "/modalities/vna/store"),  # Orthanc answers 405
    ("GET", "/modalities/vna/configuration"),
    ("POST", "/modalities/vna/echo"),
    ("POST", "/modalities/vna/query"),
    ("POST", "/modalities/vna/storage-commitment"),
    ("POST", "/modalities/vna/store/extra"),
    ("POST", "/Modalities/vna/store"),  # Orthanc's paths are told apart by case
    ("GET", "/peers/other/system"),
    ("GET", "/dicom-web/servers"),
    ("GET", "/dicom-web/servers/cloud"),
    ("POST", "/dicom-web/servers/cloud/qido"),
    ("POST", "/dicom-web/studies"),  # STOW towards us
    ("PUT", "/servers/cloud"),  # no root
    ("POST", "/instances"),
    ("POST", "/tools/find"),
    ("POST", "/tools/create-archive"),  # a download
    ("GET", "/instances/9f/file"),  # a download
    ("GET", "/studies/9f/archive"),  # a download
    ("POST", "/jobs/7a/cancel"),
    ("DELETE", "/queries/0c1f"),
    ("POST", "/relais/v1/deliveries/7/retry"),
]


@pytest.mark.parametrize(("method", "path", "manner"), OUT)
def test_a_way_out_is_recognised(method: str, path: str, manner: Manner) -> None:
    found = recognise(method, path)
    assert found is not None
    assert found.manner is manner


@pytest.mark.parametrize(("method", "path"), NOT_OUT)
def test_what_is_no_way_out_passes(method: str, path: str) -> None:
    assert recognise(method, path) is None


def test_every_way_out_is_in_the_table() -> None:
    found = {recognise(method, path) for method, path, _ in OUT}
    assert found == {*WAYS_OUT, *AT_ANY_ROOT}


def test_what_is_told_has_no_names() -> None:
    found = recognise("POST", "/modalities/Tremblay^Marie/store")
    assert found is not None
    assert found.route == "/modalities/{name}/store"


@given(st.sampled_from(["GET", "POST", "PUT", "DELETE", ""]), st.text())
def test_any_path_has_an_answer(method: str, path: str) -> None:
    recognise(method, path)


class Door:
    """A doorkeeper who admits `admin`, what it reported, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.reported: list[Refused] = []
        self.keeper = Doorkeeper(
            admits=lambda header: (header == "admin", header or "nobody"),
            report=self.reported.append,
            token="Bearer ours",
            now=lambda: self.time,
        )

    def asks(self, who: str | None, path: str = "/modalities/vna/store", method: int = 2) -> bool:
        headers = {} if who is None else {"authorization": who}
        return self.keeper(path, method=method, ip="10.0.0.1", headers=headers)


def test_only_administrators_and_relais_itself_take_a_way_out() -> None:
    door = Door()
    assert door.asks("admin")
    assert door.asks("Bearer ours")
    assert not door.asks("alice")
    assert not door.asks(None)
    assert not door.asks("Bearer ours ")
    assert door.asks("alice", "/instances")
    assert door.asks(None, "/system", method=1)
    first, second, third = door.reported
    assert first == Refused(caller="alice", method="POST", route="/modalities/{name}/store", remote_ip="10.0.0.1")
    assert (second.caller, third.caller) == ("nobody", "Bearer ours ")


def test_a_refusal_is_told_once_a_minute_for_each_caller_and_route() -> None:
    door = Door()
    for path in ("/modalities/a/store", "/modalities/b/store", "/peers/a/store"):
        assert not door.asks("alice", path)
    assert not door.asks("bob")
    assert [(each.caller, each.route) for each in door.reported] == [
        ("alice", "/modalities/{name}/store"),
        ("alice", "/peers/{name}/store"),
        ("bob", "/modalities/{name}/store"),
    ]
    door.time += ONCE_IN
    assert not door.asks("alice")
    assert door.reported[-1].times == 2  # b's, of which nothing was told, and this one
    door.time += ONCE_IN / 2
    assert not door.asks("alice")
    assert len(door.reported) == 4


def test_whom_it_cannot_judge_it_refuses() -> None:
    door = Door()
    assert not door.keeper("/modalities/vna/store", method=2, headers=None)

    def fails(_header: str | None) -> tuple[bool, str]:
        raise KeyError

    broken = Doorkeeper(admits=fails, report=door.reported.append)
    assert not broken("/modalities/vna/store", method=2, ip="", headers={})
    assert broken("/system", method=1, ip="", headers={}, get={})


def test_what_orthancs_configuration_leaves_open_is_found() -> None:
    assert configured({"PythonScript": "/srv/relais/plugin/main.py", "LuaScripts": []}, filters=True) == []
    worst = {
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowGet": True,
        "DicomModalitiesInDatabase": True,
        "OrthancPeersInDatabase": True,
        "ExecuteLuaEnabled": True,
        "RestApiWriteToFileSystemEnabled": True,
        "LuaScripts": ["route.lua"],
        "PythonScript": "/etc/orthanc/mine.py",
    }
    found = configured(worst, filters=False)
    assert {each.code for each in found} == {
        *("always-move", "always-get", "kept-modalities", "kept-peers", "execute-lua", "write-files"),
        *("lua-scripts", "own-script", "no-filter"),
    }
    assert Opening(code="lua-scripts", names=("route.lua",)) in found
    assert Opening(code="own-script", names=("mine.py",)) in found


@pytest.mark.parametrize(
    ("authentication", "remote", "user", "expected"),
    [
        (True, True, "admin", (True, "admin")),
        (True, False, "admin", (True, "admin")),
        (True, True, "operator", (False, "operator")),
        (True, True, "privacy", (False, "privacy")),
        (True, True, "laval", (False, "laval")),  # administers one clinic only
        (True, True, "stranger", (False, "stranger")),  # a user of Orthanc, not of Relais
        (True, True, None, (False, "nobody")),
        (False, False, None, (True, "local")),
        (False, True, None, (False, "nobody")),
        (False, True, "admin", (False, "nobody")),  # nobody has checked that name
    ],
)
def test_who_may_take_a_way_out(
    authentication: bool, remote: bool, user: str | None, expected: tuple[bool, str], tmp_path: Path
) -> None:
    users = {
        "admin": {"Roles": ["Administrator"], "Clinics": ["*"]},
        "operator": {"Roles": ["Operator"], "Clinics": ["*"]},
        "privacy": {"Roles": ["PrivacyOfficer", "Auditor", "Viewer"], "Clinics": ["*"]},
        "laval": {"Roles": ["Administrator"], "Clinics": ["laval"]},
    }
    configuration = load({"Users": users, "Clinics": {"laval": {}}}, directory=tmp_path)
    gate = Gate(remote_access=remote, authentication=authentication)
    assert admission(gate, configuration, basic(user).get("Authorization")) == expected
