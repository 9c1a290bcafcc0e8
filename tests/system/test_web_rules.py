"""The rules' pages asked directly: what the builder shows says the rule it shows, and what edits and trials answer."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from relais.database.tables import audit
from relais.domain.conditions import GROUPS, OPERATORS
from relais.domain.document import DocumentError
from relais.domain.facts import Facts
from relais.web.pages import rules_words
from relais.web.pages.rule_builder import offered, place_of
from relais.web.pages.rule_builder_controls import of_question, of_reference, of_rule
from relais.web.pages.rule_builder_form import change, rule_of
from relais.web.pages.rules import copied
from relais.web.pages.try_it_facts import facts_of, text_of
from tests.system.rulebook import SECTION, compose_rules
from tests.system.serving import Web, compose_web

RULES = "/relais/app/network/rules"
TRY = "/relais/app/network/try"

ODD: list[dict[str, Any]] = [
    {"Name": "always", "DeliverTo": ["vna-qc"]},
    {"Name": "lone", "When": {"Field": "Modality", "Exists": False}, "DeliverTo": ["vna-qc"], "Priority": "Stat"},
    {"Name": "group of one", "When": {"All": [{"Field": "Modality", "Regex": "^C"}]}, "Stop": True},
    {"Name": "numbers", "When": {"Field": "Patient.AgeYears", "Between": [18, 65.5]}, "Hold": "h", "Stop": False},
    {"Name": "number of a text", "When": {"Field": "PatientID", "Equals": 5}, "DeliverTo": ["cloud", "vna-qc"]},
    {"Name": "text like a number", "When": {"Field": "PatientID", "In": ["05", "5"]}, "DeliverTo": ["cloud"]},
    {"Name": "commas", "When": {"Field": "StudyDescription", "In": ["Cone beam, airway"]}, "Purpose": "Research"},
    {"Name": "none", "When": {"None": [{"Field": "Modality", "Series": "None", "Matches": "C?"}]}, "Enabled": True},
    {"Name": "counted", "When": {"SeriesWhere": [{"Field": "Modality", "Equals": "CT"}], "Series": "All"}},
    {"Name": "named", "When": {"Any": [{"Condition": "adults"}, {"Field": "Clinic", "Equals": "ottawa"}]}},
    {"Name": "beyond the form", "When": {"All": [{"Odd": 1}, {"Field": "Modality", "In": {"Set": "x"}}]}, "Later": [1]},
    {"Name": "late", "ValidFrom": "2027-01-01", "DeliverTo": ["gone"], "Examples": [{"Facts": {}, "DeliverTo": []}]},
    {"Name": "path", "When": {"Field": "RequestAttributesSequence.RequestedProcedureID", "StartsWith": "P"}},
]


class Form(HTMLParser):
    """What a browser would send of the form with this id: each control's value by its name."""

    def __init__(self, page: str, identity: str) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}
        self._identity, self._inside, self._select, self._area = identity, False, "", ""
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("id") == self._identity
        if not self._inside or "disabled" in given:
            return
        name = given.get("name", "")
        if tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self._put(name, given.get("value", ""))
        elif tag == "select":
            self._select = name
        elif tag == "option" and (self._select not in self.values or "selected" in given):
            self.values[self._select] = given["value"]
        elif tag == "textarea":
            self._area, self._text = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            self._put(self._area, self._text.removeprefix("\n"))
            self._area = ""
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self._inside = False

    def handle_data(self, data: str) -> None:
        self._text += data

    def _put(self, name: str, value: str) -> None:
        if name in self.values:
            before = self.values[name]
            self.values[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            self.values[name] = value


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = compose_rules(tmp_path, Conditions={"adults": {"Field": "Patient.AgeYears", "AtLeast": 18}})
    yield made
    made.relais.database.close()


def active(web: Web) -> list[Any]:
    return list(web.relais.versions.active().document["Rules"])


def drafted(web: Web) -> list[Any]:
    return list(web.relais.versions.listing()[0].document["Rules"])


def digest(web: Web) -> str:
    return str(web.relais.versions.listing()[0].digest)


def act(web: Web, do: str, position: int, **values: Any) -> Any:
    return web.post(f"{RULES}/act", {"Do": do, "Position": position, "Digest": digest(web), **values})


def build(web: Web, rule: dict[str, Any], **values: Any) -> str:
    sent = {"Position": "-1", "Digest": digest(web), "Was": "{}", "Text": json.dumps(rule), **values}
    answer = web.post(f"{RULES}/build", sent)
    assert answer.status_code == 200
    return str(answer.get_data(as_text=True))


# The builder


@pytest.mark.parametrize("rule", [*SECTION["Rules"], *ODD], ids=lambda rule: rule["Name"])
def test_the_builder_says_the_rule_that_it_shows(web: Web, rule: dict[str, Any]) -> None:
    page = build(web, rule)
    sent = Form(page, "build").values
    again = web.post(f"{RULES}/build", sent).get_data(as_text=True)
    shown = json.loads(Form(again, "json").values["Text"])
    assert shown == rule
    assert json.dumps(shown) == json.dumps(rule), "types or order changed"


@pytest.mark.parametrize("operator", [*OPERATORS])
def test_every_operator_has_a_control_and_words(web: Web, operator: str) -> None:
    example = OPERATORS[operator].example
    wanted = list(example) if isinstance(example, tuple) else example
    rule = {"Name": "r", "When": {"Field": "StudyDescription", operator: wanted}, "DeliverTo": ["vna-qc"]}
    page = build(web, rule)
    sent = Form(page, "build").values
    assert sent["When/0/Operator"] == operator
    assert rule_of(sent, rule) == rule
    assert operator in rules_words.ASKED


def test_every_group_and_option_is_offered(web: Web) -> None:
    page = build(web, {"Name": "r", "When": {"Field": "Modality", "Equals": "PX"}})
    assert set(rules_words.GROUP_WORDS) == set(GROUPS)
    for name in (*of_rule(), *(f"When/0/{each}" for each in of_question())):
        assert f'name="{name}"' in page
    assert of_reference() == ("Condition",)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("add-question When", ["A", "B", "Modality"]),
        ("add-group When", ["A", "B", ["Modality"]]),
        ("remove When/0", "B"),
        ("up When/1", ["B", "A"]),
        ("down When/0", ["B", "A"]),
        ("down When/1", ["A", "B"]),
        ("duplicate When/0", ["A", "A", "B"]),
        ("wrap When/1", ["A", ["B"]]),
        ("remove When/7", ["A", "B"]),
        ("up When/x/0", ["A", "B"]),
        ("nonsense", ["A", "B"]),
    ],
)
def test_the_buttons_of_the_builder(wish: str, expected: Any) -> None:
    inside = [{"Field": "A", "Equals": "1"}, {"Field": "B", "Equals": "1"}]
    rule = {"Name": "r", "When": {"All": inside}}
    assert names(change(rule, wish)["When"]) == expected
    assert rule["When"] == {"All": inside}, "the rule that was handed in changed"


def names(condition: Any) -> Any:
    group = condition.get("All") or condition.get("Any")
    return [names(each) for each in group] if group else condition["Field"]


def test_unwrapping_is_the_opposite_of_wrapping_and_the_last_condition_may_go() -> None:
    lone = {"Name": "r", "When": {"Field": "A", "Equals": "1"}}
    pair = change(lone, "add-question When")
    assert change(change(pair, "wrap When/0"), "unwrap When/0") == pair
    assert "When" not in change(lone, "remove When/0")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("When.All[0].Any[1].Regex", "When/0/1"),
        ("When.SeriesWhere[2].Field", "When/2"),
        ("When.Regex", "When"),
        ("DeliverTo[0]", "DeliverTo"),
        ("Examples[1].Facts", "Examples"),
        ("", ""),
    ],
)
def test_problems_find_their_place(path: str, place: str) -> None:
    assert place_of(path) == place


def test_what_is_wrong_stands_at_its_place(web: Web) -> None:
    rule = {
        "Name": "dental images to the archive",
        "When": {"Any": [{"Field": "Modality", "In": []}, {"None": [{"Field": "Modalty", "Equals": "CT"}]}]},
        "DeliverTo": ["vna-q"],
    }
    page = build(web, rule)
    for text in (
        "must not be empty",
        "did you mean Modality?",
        "did you mean vna-qc?",
        "another rule is already named",
    ):
        assert text in page
    wrong = page.split('name="When/1/0/Field"')[1].split("</div>")[0]
    assert "did you mean Modality?" in wrong
    assert "must not be empty" not in wrong


def test_a_rule_is_tried_among_the_others(web: Web) -> None:
    facts = {"Series": [{"Modality": "PX"}], "ClinicRegion": "CA-QC"}
    rule = {"Name": "more", "When": {"Field": "Modality", "Equals": "PX"}, "DeliverTo": ["museum"]}
    passing = {**rule, "Examples": [{"Facts": facts, "DeliverTo": ["museum", "vna-qc"]}]}
    failing = {**rule, "Examples": [{"Facts": facts, "DeliverTo": ["museum"]}]}
    assert "passes" in build(web, passing)
    page = build(web, failing)
    assert "expected museum, came museum and vna-qc" in page


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (rule["When"], words)
        for rule, words in zip(
            SECTION["Rules"],
            (
                "Modality is in the set dental and Clinic.Region is CA-QC",
                "Clinic.Region is CA-ON",
                (
                    "(StudyDescription contains avis (whatever case and accents) or Modality is CT (in every series)) "
                    "and none of (Clinic is ottawa)"
                ),
                "together (Modality is CT and SliceThickness is less than 1) in at least 2 series",
                "Modality is DX",
            ),
            strict=True,
        )
    ],
)
def test_conditions_in_words(web: Web, condition: Any, words: str) -> None:
    with web.application.test_request_context():
        web.application.preprocess_request()
        assert rules_words.sentence(condition).striptags() == words


def test_json_that_cannot_be_read_changes_nothing(web: Web) -> None:
    rule = {"Name": "kept", "DeliverTo": ["vna-qc"]}
    page = build(web, {}, Was=json.dumps(rule), Text="{not json")
    assert "This is not a JSON object" in page
    assert json.loads(Form(page, "json").values["Text"]) == rule


def test_a_rule_is_kept_in_a_draft_and_the_active_version_stays(web: Web) -> None:
    before = active(web)
    page = web.get(f"{RULES}/0").get_data(as_text=True)
    sent = Form(page, "build").values
    sent["Name"], sent["DeliverTo"] = "renamed", ["vna-qc", "museum"]
    answer = web.post(f"{RULES}/save", sent)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, RULES)
    assert active(web) == before
    assert drafted(web) == [{**before[0], "Name": "renamed", "DeliverTo": ["vna-qc", "museum"]}, *before[1:]]

    sent["Name"] = "too late"
    assert web.post(f"{RULES}/save", sent).status_code == 409
    assert drafted(web)[0]["Name"] == "renamed"


def test_fields_are_offered_by_name_by_meaning_and_by_likeness() -> None:
    assert offered("modal")[0][0] == "Modality"
    assert dict(offered("Origin.Call"))["Origin.CallingAet"]
    assert "PatientBirthDate" in dict(offered("birth date"))
    assert [name for name, _ in offered("Modalxty")] == ["Modality"]
    assert offered("")[0][0] == "Modality"


# The list


def test_rules_are_moved_copied_switched_and_taken_away(web: Web) -> None:
    first, second, *others = active(web)
    assert act(web, "down", 0).status_code == 200
    assert drafted(web)[:2] == [second, first]
    act(web, "up", 1)
    act(web, "move", 0, To=2)
    assert drafted(web)[2] == first
    act(web, "move", 2, To=0)
    act(web, "switch", 0)
    assert drafted(web)[0] == {**first, "Enabled": False}
    act(web, "switch", 0)
    act(web, "duplicate", 0)
    assert drafted(web)[1] == {**first, "Name": f"{first['Name']} (2)"}
    page = act(web, "remove", 1).get_data(as_text=True)
    assert drafted(web) == [first, second, *others]
    assert "was deleted" in page
    act(web, "insert", 4, Rule=json.dumps(first))
    assert drafted(web)[4] == first
    assert active(web) == [first, second, *others]
    assert copied("a", {"a", "a (2)"}) == "a (3)"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"Do": "remove", "Position": 99}, 409),
        ({"Do": "explode", "Position": 0}, 422),
        ({"Do": "remove", "Position": -1}, 422),
        ({"Do": "insert", "Position": 0, "Rule": "["}, 422),
        ({"Do": "remove", "Position": 0, "Digest": "of another draft"}, 409),
    ],
)
def test_what_does_not_fit_changes_nothing(web: Web, body: dict[str, Any], status: int) -> None:
    assert web.post(f"{RULES}/act", {"Digest": digest(web), **body}).status_code == status
    assert len(web.relais.versions.listing()) == 1


def test_findings_stand_at_their_rule(web: Web) -> None:
    act(web, "insert", 0, Rule=json.dumps({"Name": "dental images to the archive", "DeliverTo": ["nowhere"]}))
    page = web.get(f"{RULES}/list").get_data(as_text=True)
    row = page.split('id="rule-0"')[1].split('id="rule-1"')[0]
    assert "no destination is named" in row
    assert "every study" in row
    act(web, "remove", 0)
    page = web.get(f"{RULES}/list").get_data(as_text=True)
    assert "1 example passes" in page.split('id="rule-0"')[1].split('id="rule-1"')[0]


def test_a_hostile_draft_is_shown_and_not_run(web: Web) -> None:
    script = "<script>alert(1)</script>"
    rules = [
        {"Name": script, "When": {"Field": script, "In": [script]}, "DeliverTo": [script], "Hold": script},
        7,
        None,
    ]
    document = {**web.relais.versions.active().document, "Rules": rules}
    web.relais.versions.draft(document, actor="local")
    for page in (RULES, f"{RULES}/list", f"{RULES}/0"):
        answer = web.get(page)
        assert answer.status_code == 200
        assert script not in answer.get_data(as_text=True)
    assert web.get(f"{RULES}/1").status_code == 404


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        ("viewer", RULES, 403),
        ("operator", RULES, 403),
        ("auditor", RULES, 200),
        ("privacy", RULES, 200),
        ("admin", RULES, 200),
        ("viewer", TRY, 403),
        ("operator", TRY, 200),
    ],
)
def test_who_may_look(tmp_path: Path, user: str, path: str, status: int) -> None:
    assert compose_web(tmp_path).get(path, user=user).status_code == status


@pytest.mark.parametrize("user", ["viewer", "operator", "auditor", "privacy"])
def test_who_may_not_edit(tmp_path: Path, user: str) -> None:
    web = compose_web(tmp_path)
    assert web.post(f"{RULES}/act", {"Do": "remove", "Position": 0, "Digest": ""}, user=user).status_code == 403
    assert web.post(f"{RULES}/save", {}, user=user).status_code == 403
    if user in ("auditor", "privacy"):
        page = web.get(RULES, user=user).get_data(as_text=True)
        assert "Add a rule" not in page
        assert "data-do" not in page


# Try it


def test_both_versions_are_asked(web: Web) -> None:
    act(web, "switch", 0)
    page = web.post(TRY, {"Facts": "Modality = PX\nClinic = outremont"}).get_data(as_text=True)
    before, after = page.split('id="side-2"')
    assert "something else" in before
    assert "<b>vna-qc</b>" in before
    assert "<b>vna-qc</b>" not in after
    assert "no rule matched" in after
    assert "Modality was PX; the rule wants DX" in after


def test_a_refusal_says_its_reasons(web: Web) -> None:
    page = web.post(TRY, {"Facts": "Modality = PX\nClinic = ottawa"}).get_data(as_text=True)
    assert "Refused" in page
    assert "P-39.1" in page or "R-22.1" in page


def test_a_draft_with_problems_is_not_asked(web: Web) -> None:
    act(web, "insert", 0, Rule=json.dumps({"Name": "bad", "DeliverTo": ["nowhere"]}))
    page = web.post(TRY, {"Facts": "Modality = PX"}).get_data(as_text=True)
    assert "The draft has 1 problem and cannot be asked yet." in page


@pytest.mark.parametrize(
    ("facts", "message"),
    [("Modalty = PX", "there is no field"), ("{", "can"), ("TimeZone = Mars", "not a time zone"), ("=", "")],
)
def test_facts_that_cannot_be_meant(web: Web, facts: str, message: str) -> None:
    answer = web.post(TRY, {"Facts": facts})
    assert answer.status_code == 200
    assert message in answer.get_data(as_text=True)


def test_a_study_that_is_not_there_is_not_tried(web: Web) -> None:
    assert web.post(TRY, {"Study": "1.2.3.4"}).status_code == 404
    assert web.post(TRY, {"Study": "'; drop"}).status_code == 422
    with web.relais.database.read() as connection:
        assert not [each for each in connection.execute(select(audit.c.action)).scalars() if each == "facts.viewed"]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Modality = PX\nModality = IO", {"Series": [{"Modality": ["PX"]}, {"Modality": ["IO"]}]}),
        ("Modality = PX\n\nSeriesNumber = 2", {"Series": [{"Modality": ["PX"]}, {"SeriesNumber": ["2"]}]}),
        ("ImageType = ORIGINAL\\PRIMARY", {"Series": [{"ImageType": ["ORIGINAL", "PRIMARY"]}]}),
        ("Clinic = a\nOrigin.CallingAet = B", {"Clinic": "a", "Origin": {"CallingAet": "B"}}),
        ("Patient.Labels = x\nPatient.Labels = y", {"Patient": {"Labels": ["x", "y"]}}),
        ("Order.AccessionNumber = A1\nInstances.Count = 4", {"Order": {"AccessionNumber": ["A1"]}, "Instances": 4}),
        ("StudyDescription = a = b", {"Study": {"StudyDescription": ["a = b"]}}),
        ('{"Clinic": "a"}', {"Clinic": "a"}),
    ],
)
def test_facts_as_lines(text: str, facts: dict[str, Any]) -> None:
    assert facts_of(text) == facts
    assert Facts.from_json(facts_of(text_of(facts))) == Facts.from_json(facts)


def test_facts_that_no_line_can_say_stay_json() -> None:
    facts = {"Study": {"Modality": ["PX"]}}
    assert json.loads(text_of(facts)) == facts
    with pytest.raises(DocumentError):
        Facts.from_json(facts_of("no field at all"))
