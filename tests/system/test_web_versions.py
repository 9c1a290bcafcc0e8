"""The pages of versions and replays: what differs, what stands in the way, and what past studies would say."""

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from relais.configuration.differences import differences
from relais.domain.comparison import Fate, Flow
from relais.domain.states import VersionState
from relais.replay import Span
from relais.web.pages.replays_flow import HELD, MOST_SOURCES, OTHERS, ROW, by_clinic, by_machine, draw
from relais.web.pages.versions_differences import marked, way_of
from relais.web.pages.versions_rebase import rebased
from tests.servers.waiting import eventually
from tests.system.rulebook import SECTION, add_past, compose_rules
from tests.system.serving import SECTION as STAFFED
from tests.system.serving import Web, compose_web

VERSIONS = "/relais/app/network/versions"
REPLAYS = "/relais/app/network/replays"


@pytest.fixture
def web(tmp_path: Path, database_url: str) -> Iterator[Web]:
    made = compose_rules(tmp_path, database_url)
    yield made
    made.relais.database.close()


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Web]:
    """For what no database decides: on SQLite only."""
    made = compose_rules(tmp_path)
    yield made
    made.relais.database.close()


def draft(web: Web, **changes: Any) -> int:
    document = {**deepcopy(dict(web.relais.versions.active().document)), **changes}
    return int(web.relais.versions.draft(document, actor="local", comment="a test asks for it").number)


def state(web: Web, number: int) -> VersionState:
    return VersionState(web.relais.versions.get(number).state)


def act(web: Web, number: int, verb: str, **values: Any) -> Any:
    return web.post(f"{VERSIONS}/{number}/{verb}", {"Comment": "because", **values})


def page_of(web: Web, path: str, **given: Any) -> str:
    answer = web.get(path, **given)
    assert answer.status_code == 200
    return str(answer.get_data(as_text=True))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


RULES = SECTION["Rules"]


# What differs


def test_differences_are_told_by_part_and_name_in_words(lonely: Web) -> None:
    rules = [{**RULES[2], "When": {"Field": "Modality", "In": ["CT", "MR"]}}, *RULES[:2], *RULES[4:]]
    rules[-1] = {**rules[-1], "When": {"Field": "Modality", "In": ["DX", "CR"]}}
    destinations = {**SECTION["Destinations"], "museum": {**SECTION["Destinations"]["museum"], "Port": 104}}
    number = draft(lonely, Rules=rules, Destinations=destinations, Language="fr")
    page = page_of(lonely, f"{VERSIONS}/{number}")
    told = text_of(page)
    assert "from place 3 to place 1" in told
    assert re.search(r"thin slices\s+gone", told)
    assert "<del>11112</del>" in page
    assert "<ins>104</ins>" in page
    assert re.search(r"Modality is DX\s*<ins> or CR</ins>", page)
    assert told.index("Rules") < told.index("Destinations 1")


def test_a_hostile_difference_is_shown_and_not_run(lonely: Web) -> None:
    script = "<script>alert(1)</script>"
    number = draft(lonely, Rules=[{"Name": script, "Hold": script}, 7], Sets={script: [script]}, Odd=[{script: script}])
    page = page_of(lonely, f"{VERSIONS}/{number}")
    assert script not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("path", ["Rules", "Destinations.vna-qc.Port", 'Rules["a \\"b\\" c"].When.All[0]', "Rules[3]"])
def test_paths_are_read_as_they_are_written(path: str) -> None:
    known = {
        "Rules": ("Rules",),
        "Destinations.vna-qc.Port": ("Destinations", "vna-qc", "Port"),
        'Rules["a \\"b\\" c"].When.All[0]': ("Rules", 'a "b" c', "When", "All", 0),
        "Rules[3]": ("Rules", 3),
    }
    assert way_of(path) == known[path]


def test_what_changed_in_a_text_is_marked() -> None:
    was, is_ = marked("Modality is DX or <b>", "Modality is CT or <b>")
    assert str(was) == "Modality is <del>DX</del> or &lt;b&gt;"
    assert str(is_) == "Modality is <ins>CT</ins> or &lt;b&gt;"
    was, is_ = marked("vna", "nothing alike")
    assert (str(was), str(is_)) == ("<del>vna</del>", "<ins>nothing alike</ins>")


# What a person does


def test_a_draft_is_activated_and_rolled_back(web: Web) -> None:
    number = draft(web, Rules=RULES[:2])
    answer = act(web, number, "activate")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"{VERSIONS}/{number}")
    assert (state(web, number), state(web, 1)) == (VersionState.Active, VersionState.Past)

    answer = act(web, 1, "roll-back")
    made = int(answer.headers["HX-Redirect"].rsplit("/", 1)[1])
    assert state(web, made) is VersionState.Active
    assert not differences(web.relais.versions.get(1).document, web.relais.versions.get(made).document)
    listed = text_of(page_of(web, VERSIONS))
    assert listed.count("Past") == 2
    assert "a test asks for it" in listed


def test_an_activation_waits_for_its_time_and_is_withdrawn(web: Web) -> None:
    number = draft(web, Rules=RULES[:2])
    assert act(web, number, "activate", At="2099-01-01T02:00").status_code == 204
    assert state(web, number) is VersionState.Scheduled
    at = web.relais.versions.get(number).activate_at
    assert at is not None
    assert at.isoformat() == "2099-01-01T02:00:00+00:00"
    assert "becomes active" in text_of(page_of(web, f"{VERSIONS}/{number}"))
    assert act(web, number, "withdraw").status_code == 204
    assert act(web, number, "discard").status_code == 204
    assert state(web, number) is VersionState.Discarded
    assert act(web, number, "activate", At="tomorrow").status_code == 422


def test_the_second_of_two_is_told_what_changed(web: Web) -> None:
    late = draft(web, Rules=RULES[1:])
    early = draft(web, Language="fr")
    assert act(web, early, "activate").status_code == 204
    answer = act(web, late, "activate")
    assert answer.status_code == 409
    told = text_of(answer.get_data(as_text=True))
    assert f"version {early} became active since" in told
    assert "Language" in told
    assert state(web, late) is VersionState.Draft

    page = text_of(page_of(web, f"{VERSIONS}/{late}"))
    assert f"Overtaken by version {early}" in page
    digest = web.relais.versions.get(late).digest
    assert act(web, late, "rebase", Digest="of another draft").status_code == 409
    assert act(web, late, "rebase", Digest=digest).status_code == 204
    taken = web.relais.versions.get(late)
    assert (taken.based_on, taken.document["Language"], taken.document["Rules"]) == (early, "fr", RULES[1:])
    assert act(web, late, "activate").status_code == 204


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"Name": "bad", "DeliverTo": ["nowhere"]}], "no destination is named"),
        ([RULES[0], {"Name": "all", "DeliverTo": ["museum"]}], "fail"),
    ],
)
def test_a_draft_that_is_not_ready_says_why(lonely: Web, rules: list[Any], message: str) -> None:
    number = draft(lonely, Rules=rules)
    answer = act(lonely, number, "activate")
    assert answer.status_code == 409
    assert message in answer.get_data(as_text=True)
    assert message in page_of(lonely, f"{VERSIONS}/{number}")
    assert state(lonely, 1) is VersionState.Active


def test_a_second_person_approves(tmp_path: Path) -> None:
    options = {**SECTION, "Approval": "Always", "Users": STAFFED["Users"]}
    web = compose_web(tmp_path, **options)
    document = {**web.relais.versions.active().document, "Rules": RULES[:2]}
    number = web.relais.versions.draft(document, actor="admin").number
    path = f"{VERSIONS}/{number}"
    assert "A second person must approve" in page_of(web, path, user="admin")
    assert web.post(f"{path}/activate", {"Comment": "now"}, user="admin").status_code == 409
    assert web.post(f"{path}/approve", {"Comment": "mine"}, user="admin").status_code == 409
    assert web.post(f"{path}/approve", {"Comment": "seen", "Digest": "another"}, user="privacy").status_code == 409
    assert "pages.version_approve" not in page_of(web, path, user="auditor")
    assert web.post(f"{path}/approve", {"Comment": "seen"}, user="auditor").status_code == 403
    assert web.post(f"{path}/approve", {"Comment": "seen"}, user="privacy").status_code == 204
    assert "Approved by privacy" in text_of(page_of(web, path, user="admin"))
    assert web.post(f"{path}/activate", {"Comment": "now"}, user="privacy").status_code == 403
    assert web.post(f"{path}/activate", {"Comment": "now"}, user="admin").status_code == 204


def test_a_file_becomes_a_draft(lonely: Web) -> None:
    exported = lonely.get("/relais/v1/configuration/versions/1/export")
    answer = lonely.post(f"{VERSIONS}/import", {"Text": exported.get_data(as_text=True), "Comment": "from afar"})
    made = lonely.relais.versions.get(int(answer.headers["HX-Redirect"].rsplit("/", 1)[1]))
    assert (made.document, made.comment) == (lonely.relais.versions.active().document, "from afar")
    for text in ("{", "[1]", '{"Rules": [], "Rules": []}'):
        refused = lonely.post(f"{VERSIONS}/import", {"Text": text})
        assert refused.status_code == 409
        assert "cannot become a draft" in refused.get_data(as_text=True)


def test_where_the_file_is_the_source_nothing_is_activated(tmp_path: Path) -> None:
    web = compose_rules(tmp_path, ConfigurationSource="File")
    number = draft(web, Rules=RULES[:1])
    page = page_of(web, f"{VERSIONS}/{number}")
    assert "write it into the file" in page
    assert f"{number}/activate" not in page
    assert act(web, number, "activate").status_code == 409


def test_what_is_not_there(lonely: Web) -> None:
    for path in (f"{VERSIONS}/99", f"{VERSIONS}/1?Against=99", f"{REPLAYS}/1", f"{REPLAYS}/1/live"):
        assert lonely.get(path).status_code == 404
    assert lonely.post(f"{VERSIONS}/99/replay", {"Amount": "10"}).status_code == 404
    for body in ({"Amount": "0"}, {"Amount": "many"}, {"Amount": "5", "Unit": "Years"}):
        assert lonely.post(f"{VERSIONS}/1/replay", body).status_code == 422


def test_taking_in_what_became_active() -> None:
    base = {"a": 1, "b": {"x": 1, "y": 1}, "c": 1, "d": [1], "gone": 1}
    active = {"a": 2, "b": {"x": 2, "y": 1}, "c": 2, "d": [2], "came": 1}
    mine = {"a": 1, "b": {"x": 1, "y": 3}, "c": 3, "d": [1], "gone": 1}
    found = rebased(base, active, mine)
    assert found.document == {"a": 2, "b": {"x": 2, "y": 3}, "c": 3, "d": [2], "came": 1}
    assert found.both == ("c",)


# Replays


def replayed(web: Web, number: int, amount: int) -> int:
    replay = int(web.relais.replay.start(number, Span(studies=amount), actor="local"))
    web.relais.worker.start("test")
    try:
        eventually(lambda: "Completed" in page_of(web, f"{REPLAYS}/{replay}"), 60, "the replay is complete")
    finally:
        web.relais.worker.stop(5)
    return replay


def test_a_replay_is_started_watched_and_told(web: Web) -> None:
    add_past(web, 60)
    rules = [
        *RULES[:1],
        {**RULES[1], "DeliverTo": ["museum"]},
        *RULES[2:],
        {"Name": "all to the cloud", "DeliverTo": ["cloud", "vna-on"]},
    ]
    number = draft(web, Rules=rules)
    answer = web.post(f"{VERSIONS}/{number}/replay", {"Amount": "7", "Unit": "Days"})
    assert answer.headers["HX-Redirect"] == f"{REPLAYS}/1"
    waiting = page_of(web, f"{REPLAYS}/1/live")
    assert 'data-live="1"' in waiting
    assert web.post(f"{REPLAYS}/1/cancel").status_code == 204
    assert "Canceled" in page_of(web, f"{REPLAYS}/1")
    assert web.post(f"{REPLAYS}/1/cancel").status_code == 409

    replay = replayed(web, number, 50)
    page = page_of(web, f"{REPLAYS}/{replay}")
    told = text_of(page)
    assert "50 studies compared" in told
    assert re.search(r"\d+ stud(y|ies) would also go to cloud", told)
    assert re.search(r"\d+ stud(y|ies) would be refused by law for vna-on", told)
    assert "data-live" not in page
    assert page.count('<svg class="strands') == 2
    assert 'class="refused new"' in page

    filtered = page_of(web, f"{REPLAYS}/{replay}?Kind=Refused&Destination=vna-on")
    rows = filtered.split('id="changes"')[1]
    assert rows.count("refused by law") > 1
    assert "also goes there" not in rows.split("<tbody>")[1]
    assert "P-39.1" in rows
    uid = re.search(r"/relais/app/studies/([0-9.]+)", rows)
    assert uid is not None
    assert web.get(f"/relais/app/studies/{uid[1]}").status_code == 200
    assert f"{REPLAYS}/{replay}" in page_of(web, f"{VERSIONS}/{number}")
    more = re.search(r'hx-get="([^"]+/changes[^"]*)"', page)
    if more:
        assert web.get(more[1].replace("&amp;", "&")).status_code == 200


def flow(aet: str, clinic: str | None, destination: str | None, fate: Fate = Fate.Sent) -> Flow:
    return Flow(aet, clinic, destination, fate)


def test_the_picture_keeps_every_row_in_its_place() -> None:
    before = by_clinic({flow("A", "x", "vna"): 10, flow("B", "x", "cloud"): 5, flow("C", None, None, Fate.Held): 2})
    after = by_clinic({flow("A", "x", "vna"): 10, flow("B", "x", "cloud", Fate.Refused): 5, flow("C", None, "vna"): 2})
    picture = draw(before, after)
    assert [(node.name, node.before, node.after) for node in picture.sources] == [("x", 15, 15), ("C", 2, 2)]
    assert [node.name for node in picture.destinations] == ["vna", "cloud", HELD]
    assert picture.height == 3 * ROW
    drawn = {(each.source, each.destination, each.fate): each for each in picture.after}
    assert drawn["x", "vna", Fate.Sent].change == "same"
    assert drawn["x", "cloud", Fate.Refused].change == "new"
    gone = {(each.source, each.destination): each.change for each in picture.before}
    assert gone == {("x", "vna"): "same", ("x", "cloud"): "gone", ("C", HELD): "gone"}
    same = [each.path for each in picture.before if each.destination == "vna"]
    assert len(same) == 1
    assert picture.ways[0].change != "same"
    assert picture.ways[-1].change == "same"


def test_strands_stay_inside_their_rows() -> None:
    flows = by_machine({flow(f"M{i}", None, f"d{j}"): 1000 for i in range(4) for j in range(9)})
    picture = draw(flows, {})
    for strand in picture.before:
        heights = [float(each) for each in re.findall(r"[0-9.]+", strand.path)]
        assert 0 <= heights[1] <= picture.height
        assert 0 <= heights[-1] <= picture.height
    assert picture.after == []


def test_smaller_sources_are_one() -> None:
    flows = by_machine({flow(f"M{number}", None, "vna"): number for number in range(1, 20)})
    picture = draw(flows, flows)
    assert len(picture.sources) == MOST_SOURCES + 1
    others = next(node for node in picture.sources if node.name == OTHERS)
    assert others.before == sum(range(1, 20 - MOST_SOURCES))


def test_a_big_network_is_shown_whole(tmp_path: Path) -> None:
    many = [
        {"Name": f"rule {i}", "When": {"Field": "Modality", "Equals": f"M{i}"}, "DeliverTo": ["vna-qc"]}
        for i in range(500)
    ]
    web = compose_rules(tmp_path, Rules=many)
    assert page_of(web, "/relais/app/network/rules").count('data-do="remove"') == 500
