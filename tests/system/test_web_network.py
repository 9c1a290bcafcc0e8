"""The network's pages: what they show to whom, what a form says of a document, and drafts under several hands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from relais.configuration.models import Section
from relais.domain.document import Document
from relais.domain.states import VersionState
from relais.web.pages.network_edits import ABSENT, moved, part, patch, patched, references, removed, renamed, replaced
from relais.web.pages.network_edits import unreferred as without_references
from relais.web.pages.network_forms import Field, form_of, read
from relais.web.pages.network_shapes import Shape, described, shape_of_model
from tests.system.serving import Web, compose_web

APP = "/relais/app/network"
SETTINGS: Mapping[str, Any] = {
    "ConfigurationSource": "Database",
    "Sources": {"pacs": {"Kind": "Dicom", "Aet": "PACS", "Host": "10.0.0.5", "Port": 104}},
    "Destinations": {
        "vna": {"Kind": "Dicom", "Aet": "VNA", "Host": "127.0.0.1", "Port": 11112, "FailoverTo": "spare"},
        "spare": {"Kind": "Dicom", "Aet": "SPARE", "Host": "127.0.0.1", "Port": 11113},
        "both": {"Kind": "Pool", "Of": {"vna": 2, "spare": 1}},
    },
    "Rules": [
        {
            "Name": "dental",
            "When": {"Any": [{"Field": "Clinic", "Equals": "outremont"}, {"Field": "Clinic", "In": ["laval"]}]},
            "DeliverTo": ["vna", "spare"],
        },
        {"Name": "films", "When": {"Field": "Modality", "Equals": "DX"}, "DeliverTo": ["vna"]},
    ],
    "Subscribers": {},
}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = compose_web(tmp_path, **SETTINGS)
    yield made
    made.relais.database.close()


class Inputs(HTMLParser):
    """What a browser would send of the form of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sent: dict[str, Any] = {}
        self._inside = self._template = 0
        self._select: str | None = None
        self._area: str | None = None
        self._options: list[tuple[str, bool]] = []
        self.feed(html)

    def _add(self, name: str, value: str) -> None:
        known = self.sent.get(name)
        self.sent[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside += tag == "form" and given.get("id") == "part"
        self._template += tag == "template"
        if not self._inside or self._template:
            return
        name, value = given.get("name"), given.get("value") or ""
        if tag == "input" and name and (given.get("type") != "checkbox" or "checked" in given):
            self._add(name, value)
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._options.append((value, "selected" in given))
        elif tag == "textarea" and name:
            self._area = name
            self.sent[name] = ""

    def handle_endtag(self, tag: str) -> None:
        self._template -= tag == "template"
        self._inside *= tag != "form"
        self._area = None if tag == "textarea" else self._area
        if tag == "select" and self._select:
            chosen = [value for value, selected in self._options if selected] or [self._options[0][0]]
            self._add(self._select, chosen[-1])
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area and self._inside and not self._template:
            self.sent[self._area] += data


def form(web: Web, path: str, user: str = "admin") -> dict[str, Any]:
    """The form of an editor as a browser would send it."""
    answer = web.get(f"{APP}/{path}", user=user)
    assert answer.status_code == 200, path
    return Inputs(answer.text).sent


def save(web: Web, sent: Mapping[str, Any], user: str = "admin") -> str:
    """The page after saving."""
    answer = web.post(f"{APP}/save", dict(sent), user=user)
    assert answer.status_code == 200, answer.text
    return answer.text


def drafts(web: Web) -> list[Any]:
    """Every draft there is, oldest first."""
    found = [each for each in web.relais.versions.listing() if each.state is VersionState.Draft]
    return sorted(found, key=lambda each: each.number)


# Forms


def models() -> dict[str, type[Document]]:
    """Every model that a form is made of."""
    found: dict[str, type[Document]] = {}

    def look(shape: Shape | None) -> None:
        if shape is None:
            return
        for model in (*shape.kinds.values(), *([shape.model] if shape.model else [])):
            if model.__name__ not in found:
                found[model.__name__] = model
                for inside in shape_of_model(model).values():
                    look(inside)
        look(shape.inner)

    for shape in shape_of_model(Section).values():
        look(shape)
    return found


def sent(fields: tuple[Field, ...]) -> dict[str, Any]:
    """What a browser would send of these fields, untouched."""
    found: dict[str, list[str]] = {}
    for name, value in pairs_of(fields):
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def pairs_of(fields: tuple[Field, ...]) -> Iterator[tuple[str, str]]:
    for each in fields:
        if each.kind == "rows":
            assert all(option.at.startswith(f"{each.at}[#].") for option in each.value[-1][1])
            for index, inside in each.value[:-1]:
                yield f"{each.at}~row", str(index)
                yield from pairs_of(inside)
        elif each.kind == "group":
            yield from pairs_of(each.fields)
        elif each.kind in ("flag", "boxes"):
            ticked = each.value if each.kind == "boxes" else ["true"] if each.value else []
            yield from ((each.at, option) for option in (*each.options, "true") if option in ticked)
        else:
            yield from inputs_of(each)


def inputs_of(each: Field) -> Iterator[tuple[str, str]]:
    if each.kind == "secret":
        yield from zip((f"{each.at}~way", each.at), each.value, strict=True)
    elif each.kind == "pairs":
        yield from (
            (f"{each.at}~{end}", text) for pair in each.value for end, text in zip(("key", "value"), pair, strict=True)
        )
    else:
        yield f"{each.at}~json" if each.kind == "json" else each.at, each.value


def examples(model: type[Document]) -> Iterator[Mapping[str, Any]]:
    """Every example of every option, alone and together."""
    told = described(model)
    whole = {alias: option["examples"][0] for alias, option in told.items() if option.get("examples")}
    yield {}
    yield whole
    for alias, option in told.items():
        for example in option.get("examples", ()):
            yield {**({"Kind": whole["Kind"]} if "Kind" in whole else {}), alias: example}


@pytest.mark.parametrize("name", sorted(models()))
def test_every_option_of_every_model_is_shown_and_read_back(name: str) -> None:
    model = models()[name]
    shape = Shape(kind="group", model=model)
    shown = {each.alias for each in form_of(shape, {}, {}).fields}
    assert shown == {str(option.alias) for option in model.model_fields.values()}
    for example in examples(model):
        fields = form_of(shape, example, {}).fields
        assert read(shape, sent(fields), {}) == example
        assert read(shape, sent(fields), example) == example


@pytest.mark.parametrize(
    "strange",
    [
        {"Port": "abc", "Aet": 5, "Host": None, "Nonsense": {"deep": [1, 2]}},
        {"Port": "104", "Aet": " VNA ", "Host": "a\nb", "Concurrency": 2.5, "Bandwidth": "1"},
        {"Tls": False, "ZeroPreamble": "yes", "Windows": [], "Purposes": [], "Retry": {}, "Only": {"Modalities": [""]}},
        {"Windows": [{}, {"From": "25:99", "Days": ["Monday", "Monday"]}], "Jurisdiction": {"Access": "CA-QC"}},
        {"Windows": "always", "Proof": "Hoped", "Assessment": {"Expires": "2027-02-31", "Unknown": 1}},
        {"Coerce": {"Set": {"PatientName": "", "X\nY": "1"}, "IssuerOfPatientID": {"": "OUT", "a": "b\\c"}}},
        {"Deidentify": {"Key": {"Env": "A", "File": "b"}}, "FailoverTo": "nobody", "Start": ""},
    ],
)
def test_what_a_field_cannot_hold_is_kept_all_the_same(strange: Mapping[str, Any]) -> None:
    document = {"Kind": "Dicom", **strange}
    shape = shape_of_model(Section)["Destinations"].inner
    assert shape is not None
    assert read(shape, sent(form_of(shape, document, {}).fields), document) == document


def test_a_part_that_is_no_object_has_one_field() -> None:
    shape = shape_of_model(Section)["Sets"].inner
    assert shape is not None
    for value in (["IO", "PX"], ["1", 2, 0.5], [], "dental", [["IO"]]):
        assert read(shape, sent(form_of(shape, value, {}).fields), value) == value


# Documents


def test_places_are_read_replaced_and_removed_without_touching_what_was_there() -> None:
    before = {"A": {"b": [1, 2, 3]}}
    assert part(before, ("A", "b", 1)) == 2
    assert part(before, ("A", "c")) is ABSENT
    assert replaced(before, ("A", "b", 3), 4) == {"A": {"b": [1, 2, 3, 4]}}
    assert replaced(before, ("N", "x", "y"), 1) == {"A": {"b": [1, 2, 3]}, "N": {"x": {"y": 1}}}
    assert removed(before, ("A", "b", 0)) == {"A": {"b": [2, 3]}}
    assert moved(before, ("A", "b"), 2, 0) == {"A": {"b": [3, 1, 2]}}
    assert before == {"A": {"b": [1, 2, 3]}}


def test_a_new_name_is_followed_wherever_the_old_one_stood() -> None:
    after = renamed(SETTINGS, "Destinations", "spare", "other")
    assert list(after["Destinations"]) == ["vna", "other", "both"]
    assert after["Destinations"]["vna"]["FailoverTo"] == "other"
    assert after["Destinations"]["both"]["Of"] == {"vna": 2, "other": 1}
    assert after["Rules"][0]["DeliverTo"] == ["vna", "other"]
    assert references(after, "Destinations", "spare") == ()
    clinics = renamed({**SETTINGS, "Clinics": {"laval": {}}}, "Clinics", "laval", "chomedey")
    assert clinics["Rules"][0]["When"]["Any"][1]["In"] == ["chomedey"]


def test_references_are_taken_out_without_disturbing_each_other() -> None:
    after = without_references(SETTINGS, "Destinations", "vna")
    assert [rule["DeliverTo"] for rule in after["Rules"]] == [["spare"], []]
    assert after["Destinations"]["both"]["Of"] == {"spare": 1}
    twice = {"Conditions": {"c": {"Field": "Clinic", "In": ["laval", "outremont", "laval"]}}}
    assert without_references(twice, "Clinics", "laval")["Conditions"]["c"]["In"] == ["outremont"]


@pytest.mark.parametrize(
    "after",
    [
        renamed(SETTINGS, "Destinations", "spare", "other"),
        without_references(SETTINGS, "Destinations", "vna"),
        {"Rules": "nonsense"},
        {**SETTINGS, "Rules": list(reversed(SETTINGS["Rules"])), "Language": None},
    ],
)
def test_a_patch_leads_back(after: Any) -> None:
    changes = json.loads(json.dumps(patch(after, SETTINGS)))
    assert patched(after, changes) == SETTINGS


# Pages


@pytest.mark.parametrize(
    ("user", "status"), [("admin", 200), ("auditor", 200), ("privacy", 200), ("operator", 403), ("viewer", 403)]
)
def test_who_may_look(web: Web, user: str, status: int) -> None:
    for path in ("", "/live", "/standing", "/destinations/vna", "/general/Completeness", "/users/admin"):
        assert web.get(APP + path, user=user).status_code == status


@pytest.mark.parametrize("user", ["auditor", "privacy", "operator", "viewer"])
def test_only_an_administrator_edits(web: Web, user: str) -> None:
    given = form(web, "destinations/vna")
    for path in ("save", "remove", "undo", "discard/1"):
        assert web.post(f"{APP}/{path}", given, user=user).status_code == 403
    assert web.get(f"{APP}/new/clinics", user=user).status_code == 403
    assert drafts(web) == []


def test_there_is_nothing_at_other_addresses(web: Web) -> None:
    for path in ("destinations/none", "nonsense/vna", "general/Database", "general/Destinations", "new/rules"):
        assert web.get(f"{APP}/{path}", user="admin").status_code == 404


@pytest.mark.parametrize(
    "name", ["destinations/vna", "destinations/both", "clinics/laval", "users/admin", "sources/pacs"]
)
def test_saving_what_was_not_touched_changes_nothing(web: Web, name: str) -> None:
    assert "Nothing was changed" in save(web, form(web, name))
    assert drafts(web) == []


def test_an_edit_makes_a_draft_and_leaves_what_is_active(web: Web) -> None:
    given = form(web, "destinations/vna")
    page = save(web, {**given, "Port": "4242", "Jurisdiction.Storage": "CA-QC", "Jurisdiction.Access": "CA-QC\nCA-ON"})
    assert 'value="4242"' in page
    (draft,) = drafts(web)
    assert draft.document["Destinations"]["vna"]["Port"] == 4242
    assert draft.document["Destinations"]["vna"]["Jurisdiction"] == {"Storage": "CA-QC", "Access": ["CA-QC", "CA-ON"]}
    assert web.relais.versions.active().document["Destinations"]["vna"]["Port"] == 11112
    assert "Your draft is version 2" in web.get(APP, user="admin").text


def test_a_draft_may_be_wrong_and_says_so_at_the_field_in_the_readers_language(web: Web) -> None:
    given = {**form(web, "destinations/vna"), "Port": "many", "FailoverTo": "nobody"}
    told = web.post(f"{APP}/check", given, user="francine").text
    assert 'data-at="Port"' in told
    assert "doit être un nombre entier" in told
    assert 'data-at="FailoverTo"' in told
    save(web, given)
    assert drafts(web)[0].document["Destinations"]["vna"]["Port"] == "many"
    assert "2 problems" in web.get(f"{APP}/standing", user="admin").text


def test_a_new_name_is_saved_with_whoever_refers_to_it(web: Web) -> None:
    save(web, {**form(web, "destinations/spare"), "@name": "second"})
    (draft,) = drafts(web)
    assert draft.document["Destinations"]["vna"]["FailoverTo"] == "second"
    assert draft.document["Rules"][0]["DeliverTo"] == ["vna", "second"]
    assert web.get(f"{APP}/destinations/spare", user="admin").status_code == 404


def test_a_name_that_is_taken_is_refused(web: Web) -> None:
    page = save(web, {**form(web, "destinations/spare"), "@name": "vna"})
    assert "Another one has this name already" in page
    assert drafts(web) == []


def test_a_copy_is_a_new_one(web: Web) -> None:
    given = form(web, "new/destinations?Copy=vna")
    assert given["@name"] == "vna-2"
    save(web, given)
    document = drafts(web)[0].document
    assert document["Destinations"]["vna-2"] == document["Destinations"]["vna"]


def test_json_and_form_edit_the_same(web: Web) -> None:
    given = {**form(web, "destinations/vna"), "Port": "4242"}
    as_json = Inputs(web.post(f"{APP}/form", {**given, "@show": "json"}, user="admin").text).sent
    document = json.loads(as_json["@json"])
    assert document["Port"] == 4242
    document |= {"Host": "10.9.9.9", "Strange": True}
    del document["FailoverTo"]
    written = {**as_json, "@json": json.dumps(document), "@show": "form"}
    as_form = Inputs(web.post(f"{APP}/form", written, user="admin").text).sent
    assert (as_form["Host"], as_form["FailoverTo"]) == ("10.9.9.9", "")
    save(web, as_form)
    assert drafts(web)[0].document["Destinations"]["vna"] == document


def test_what_is_no_json_stays_as_it_was_typed(web: Web) -> None:
    given = Inputs(web.post(f"{APP}/form", {**form(web, "clinics/laval"), "@show": "json"}, user="admin").text).sent
    for wrong in ('{"Name": ', "NaN", "[" * 100_000):
        for path in ("form", "save"):
            answer = web.post(f"{APP}/{path}", {**given, "@json": wrong, "@show": "form"}, user="admin")
            assert answer.status_code == 200
            assert Inputs(answer.text).sent["@json"] == wrong
    assert drafts(web) == []


def test_another_kind_keeps_what_both_kinds_have(web: Web) -> None:
    given = {**form(web, "destinations/vna"), "Kind": "DicomWeb", "Concurrency": "7"}
    other = Inputs(web.post(f"{APP}/form", given, user="admin").text).sent
    assert other["Concurrency"] == "7"
    assert "Url" in other
    save(web, {**other, "Url": "https://pacs.example/dicom-web"})
    assert drafts(web)[0].document["Destinations"]["vna"] == {
        "Kind": "DicomWeb",
        "FailoverTo": "spare",
        "Concurrency": 7,
        "Url": "https://pacs.example/dicom-web",
        **{
            key: value
            for key, value in web.relais.versions.active().document["Destinations"]["vna"].items()
            if key == "Jurisdiction"
        },
    }


def test_two_tabs_edit_different_parts_and_both_are_kept(web: Web) -> None:
    here, there = form(web, "destinations/vna"), form(web, "clinics/laval")
    save(web, {**here, "Port": "4242"})
    save(web, {**there, "Name": "Clinique Laval"})
    (draft,) = drafts(web)
    assert draft.document["Destinations"]["vna"]["Port"] == 4242
    assert draft.document["Clinics"]["laval"]["Name"] == "Clinique Laval"


def test_two_tabs_on_the_same_part_are_told_what_changed(web: Web) -> None:
    here, there = form(web, "destinations/vna"), form(web, "destinations/vna")
    save(web, {**here, "Port": "4242"})
    page = save(web, {**there, "Port": "5555"})
    assert "Somebody else changed this meanwhile" in page
    assert "4242" in page
    assert drafts(web)[0].document["Destinations"]["vna"]["Port"] == 4242
    save(web, Inputs(page).sent)
    assert drafts(web)[0].document["Destinations"]["vna"]["Port"] == 5555


def test_a_deletion_says_what_follows_and_can_be_undone(web: Web) -> None:
    given = form(web, "destinations/vna")
    asked = web.post(f"{APP}/remove", given, user="admin").text
    assert "3 places refer to it" in asked
    assert "must have DeliverTo, Hold or Stop" in asked
    assert drafts(web) == []
    done = web.post(f"{APP}/remove", {**given, "@sure": "yes", "@everywhere": "true"}, user="admin").text
    (draft,) = drafts(web)
    assert list(draft.document["Destinations"]) == ["spare", "both"]
    assert draft.document["Rules"][1]["DeliverTo"] == []
    undo = Edited(done).told
    assert web.post(f"{APP}/undo", undo, user="admin").status_code == 200
    assert drafts(web)[0].document == web.relais.versions.active().document
    assert web.post(f"{APP}/undo", undo, user="admin").status_code == 409


class Edited(HTMLParser):
    """What a page carries to undo an edit."""

    told: Mapping[str, Any]

    def __init__(self, html: str) -> None:
        super().__init__()
        self.feed(html)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "data-edited" in given:
            self.told = {
                "Number": int(given["data-number"] or 0),
                "Digest": given["data-digest"],
                "Changes": given["data-changes"],
            }


@pytest.mark.parametrize("changes", ["", "7", "[7]", "[[[]]]", "[[[true], 1]]", "[[[{}], 1]]", "[" * 5000])
def test_an_undo_that_no_page_made_is_refused(web: Web, changes: str) -> None:
    save(web, {**form(web, "destinations/vna"), "Port": "4242"})
    (draft,) = drafts(web)
    body = {"Number": draft.number, "Digest": draft.digest, "Changes": changes}
    assert web.post(f"{APP}/undo", body, user="admin").status_code == 400
    assert drafts(web) == [draft]


def test_a_general_part_can_be_left_to_what_it_is_by_default(web: Web) -> None:
    save(web, {**form(web, "general/Language"), "@value": "fr"})
    assert drafts(web)[0].document["Language"] == "fr"
    save(web, {**form(web, "general/Language"), "@value": ""})
    assert "Language" not in drafts(web)[0].document


def test_a_set_that_is_emptied_stays_as_a_problem(web: Web) -> None:
    save(web, {**form(web, "new/sets"), "@name": "dental", "@value": "IO\nPX\n5"})
    assert drafts(web)[0].document["Sets"] == {"dental": ["IO", "PX", 5]}
    page = save(web, {**form(web, "sets/dental"), "@value": ""})
    assert "must not be empty" in page
    assert drafts(web)[0].document["Sets"] == {"dental": []}


def test_a_draft_is_its_authors_own(web: Web) -> None:
    save(web, {**form(web, "destinations/vna"), "Port": "4242"})
    assert form(web, "destinations/vna", user="francine")["Port"] == "11112"


def test_a_draft_is_discarded_with_its_reason(web: Web) -> None:
    save(web, {**form(web, "destinations/vna"), "Port": "4242"})
    number = drafts(web)[0].number
    assert web.post(f"{APP}/discard/{number}", {"Reason": "wrong port"}, user="admin").status_code == 200
    assert drafts(web) == []
    assert form(web, "destinations/vna")["Port"] == "11112"


def test_a_secret_in_place_is_neither_kept_nor_shown(web: Web) -> None:
    given = form(web, "new/subscribers")
    page = save(
        web,
        {
            **Inputs(web.post(f"{APP}/form", {**given, "@name": "crm", "@show": "json"}, user="admin").text).sent,
            "@json": json.dumps({"Url": "https://crm.example/", "Secret": "aHVzaCBodXNo"}),
        },
    )
    assert drafts(web) == []
    assert "Secret" in page


def test_the_files_own_secrets_are_not_shown_and_stay_meant(tmp_path: Path) -> None:
    web = compose_web(tmp_path, Subscribers={"crm": {"Url": "http://127.0.0.1:9/hook", "Secret": "aHVzaCBodXNo"}})
    given = form(web, "subscribers/crm")
    pages = [web.get(f"{APP}{path}", user="admin").text for path in ("", "/subscribers/crm")]
    pages.append(web.post(f"{APP}/form", {**given, "@show": "json"}, user="admin").text)
    assert not [page for page in pages if "aHVzaCBodXNo" in page]
    save(web, {**given, "TimeoutSeconds": "20"})
    assert drafts(web)[0].document["Subscribers"]["crm"]["TimeoutSeconds"] == 20
    assert "No problem" in web.get(f"{APP}/standing", user="admin").text
    web.relais.database.close()


def test_a_user_may_be_called_anything(web: Web) -> None:
    given = form(web, "new/users")
    save(web, {**given, "@name": "zoé@clinique.ca", "Roles": ["Viewer", "Operator"], "Clinics": "*"})
    assert drafts(web)[0].document["Users"]["zoé@clinique.ca"] == {"Roles": ["Viewer", "Operator"], "Clinics": ["*"]}
    assert form(web, "users/zoé@clinique.ca")["Roles"] == ["Viewer", "Operator"]


def test_the_file_may_be_the_only_source(tmp_path: Path) -> None:
    web = compose_web(tmp_path, Subscribers={})
    assert "only source" in web.get(APP, user="admin").text
    save(web, {**form(web, "destinations/vna"), "Port": "4242"})
    assert drafts(web)[0].document["Destinations"]["vna"]["Port"] == 4242
    web.relais.database.close()


def test_a_document_that_is_wrong_everywhere_is_still_shown(web: Web) -> None:
    wrong = {
        "Clinics": {"x": 5},
        "Destinations": {"y": {"Kind": []}, "z": None},
        "Users": [],
        "Rules": 5,
        "Sets": {"s": {}},
    }
    web.relais.versions.draft(wrong, actor="admin", comment="")
    for path in ("", "/standing", "/sets/s", "/clinics/x", "/destinations/y", "/destinations/z"):
        assert web.get(APP + path, user="admin").status_code == 200
