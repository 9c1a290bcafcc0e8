"""Rules as people edit them, in Debian's Chromium: built without JSON, moved by keys and hand, tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import LOOKS, OpenPage, screenshots
from tests.system.rulebook import SECTION, compose_rules, served
from tests.system.serving import Web

NAMES = [rule["Name"] for rule in SECTION["Rules"]]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = compose_rules(tmp_path, Conditions={"adults": {"Field": "Patient.AgeYears", "AtLeast": 18}})
    yield made
    made.relais.database.close()


@pytest.fixture
def root(web: Web) -> Iterator[str]:
    with served(web) as address:
        yield f"{address}/network"


def drafted(web: Web) -> list[Any]:
    return list(web.relais.versions.listing()[0].document["Rules"])


def shown(page: Page) -> Any:
    """The rule, as the JSON beside the builder has it."""
    return json.loads(page.get_by_role("textbox", name="JSON").input_value())


def order(page: Page) -> list[str]:
    return page.locator(".rule .open").all_inner_texts()


def settled(page: Page) -> None:
    """Once the page has asked for warnings and examples: until then it would replace what a test has in its hand."""
    expect(page.get_by_text("1 example passes")).to_be_visible()


@pytest.mark.parametrize(
    ("language", "theme", "width"),
    LOOKS,
)
def test_every_page_is_accessible(
    web: Web, root: str, open_page: OpenPage, language: str, theme: str, width: int
) -> None:
    rules = [*SECTION["Rules"], {"Name": "bad", "When": {"Any": [{"Field": "Modalty", "In": []}]}, "DeliverTo": ["no"]}]
    rules[2] = {**rules[2], "When": {"All": [rules[2]["When"], {"Condition": "adults"}, rules[3]["When"]]}}
    web.relais.versions.draft({**web.relais.versions.active().document, "Rules": rules}, actor="local")
    page = open_page(f"{root}/rules", locale=f"{language}-CA", theme=theme, width=width)
    for name, path in (
        ("rules", "/rules"),
        ("rule", "/rules/2"),
        ("rule-bad", "/rules/5"),
        ("rule-new", "/rules/new"),
        ("try", "/try"),
    ):
        page.goto(root + path)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=screenshots() / f"{name}-{language}-{theme}-{width}.png", full_page=True)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name} is wider than {width} pixels"
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"


def test_a_rule_is_built_without_json(web: Web, root: str, open_page: OpenPage) -> None:
    page = open_page(f"{root}/rules/new")
    page.get_by_label("Name", exact=True).fill("young or urgent")
    page.get_by_label("One more value").fill("CT")
    expect(page.get_by_label("Value 1")).to_have_value("CT")
    page.get_by_label("One more value").fill("MR")
    expect(page.get_by_label("Value 2")).to_have_value("MR")

    page.get_by_role("button", name="+ Group").click()
    field = page.get_by_label("Field", exact=True).nth(1)
    expect(field).to_be_focused()
    field.fill("Patient.AgeYea")
    expect(page.get_by_text("did you mean Patient.AgeYears?")).to_be_visible()
    expect(page.locator("#fields-known option").first).to_have_attribute("value", "Patient.AgeYears")
    field.fill("Patient.AgeYears")
    page.get_by_label("Operator").nth(1).select_option(label="is less than")
    page.get_by_label("Value", exact=True).fill("18")
    expect(page.get_by_text("did you mean")).to_have_count(0)

    page.get_by_role("button", name="+ Question").first.click()
    page.get_by_label("Field", exact=True).nth(2).fill("Urgency")
    boxes = page.get_by_role("group", name="Values").last
    boxes.get_by_label("Stat").check()
    page.get_by_role("group", name="deliver to").get_by_label("museum").check()
    wanted = {
        "Name": "young or urgent",
        "When": {
            "All": [
                {"Field": "Modality", "In": ["CT", "MR"]},
                {"Any": [{"Field": "Patient.AgeYears", "LessThan": 18}, {"Field": "Urgency", "In": ["Stat"]}]},
            ]
        },
        "DeliverTo": ["museum"],
    }
    expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    expect(page.locator(".builder aside .says")).to_contain_text(
        "Modality is CT or MR and (Patient.AgeYears is less than 18"
    )
    assert shown(page) == wanted
    page.get_by_role("button", name="Keep in the draft").click()
    expect(page.get_by_role("link", name="young or urgent")).to_be_visible()
    assert drafted(web)[-1] == wanted


def test_the_form_follows_the_json(web: Web, root: str, open_page: OpenPage) -> None:
    page = open_page(f"{root}/rules/0")
    area = page.get_by_role("textbox", name="JSON")
    area.fill(
        '{"Name": "written", "When": {"Field": "Clinic", "In": ["ottawa"]}, "DeliverTo": ["cloud"], "Stop": true}'
    )
    expect(page.get_by_label("Name", exact=True).first).to_have_value("written")
    expect(page.get_by_role("group", name="Values").get_by_label("ottawa")).to_be_checked()
    expect(page.get_by_role("group", name="deliver to").get_by_label("vna-qc")).not_to_be_checked()
    expect(page.get_by_role("group", name="deliver to").get_by_label("cloud")).to_be_checked()
    area.fill('{"Name": "writ')
    expect(page.get_by_text("This is not a JSON object")).to_be_visible()
    assert area.input_value() == '{"Name": "writ'
    assert len(web.relais.versions.listing()) == 1, "looking and typing began a draft"


def test_rules_are_moved_by_keys_buttons_and_hand(web: Web, root: str, open_page: OpenPage) -> None:
    page = open_page(f"{root}/rules")
    settled(page)
    page.get_by_role("link", name=NAMES[1]).focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator(".rule .open").first).to_have_text(NAMES[1])
    expect(page.get_by_role("link", name=NAMES[1])).to_be_focused()
    assert order(page) == [NAMES[1], NAMES[0], *NAMES[2:]]
    expect(page.get_by_text("You edit version 2")).to_be_visible()

    page.get_by_role("button", name=f"Later: {NAMES[1]}").click()
    expect(page.locator(".rule .open").first).to_have_text(NAMES[0])
    page.locator(".rule .place").nth(0).drag_to(page.locator(".rule").nth(2))
    expect(page.locator(".rule .open").nth(2)).to_have_text(NAMES[0])
    assert [rule["Name"] for rule in drafted(web)] == order(page)
    assert [rule["Name"] for rule in web.relais.versions.active().document["Rules"]] == NAMES


def test_what_was_deleted_comes_back(web: Web, root: str, open_page: OpenPage) -> None:
    page = open_page(f"{root}/rules")
    settled(page)
    page.get_by_role("button", name=f"Delete: {NAMES[2]}").click()
    expect(page.get_by_text(f"“{NAMES[2]}” was deleted")).to_be_visible()
    assert len(drafted(web)) == len(NAMES) - 1
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name=NAMES[2])).to_be_visible()
    assert order(page) == NAMES
    page.get_by_role("button", name=f"Switch off: {NAMES[0]}").click()
    expect(page.get_by_role("button", name=f"Switch on: {NAMES[0]}")).to_be_visible()
    page.get_by_role("button", name=f"Duplicate: {NAMES[1]}").click()
    expect(page.get_by_role("link", name=f"{NAMES[1]} (2)")).to_be_visible()
    assert [rule.get("Enabled", True) for rule in drafted(web)][:2] == [False, True]


def test_trying_compares_with_the_draft(web: Web, root: str, open_page: OpenPage) -> None:
    document = web.relais.versions.active().document
    rules = [*SECTION["Rules"], {"Name": "all", "DeliverTo": ["cloud", "vna-on"]}]
    web.relais.versions.draft({**document, "Rules": rules}, actor="local")
    page = open_page(f"{root}/try")
    expect(page.get_by_role("heading", name="Draft version 2")).to_be_visible()
    page.get_by_label("or facts, one a line").fill("Modality = CT\nClinic = gatineau")
    expect(page.get_by_text("The draft makes something else of it")).to_be_visible()
    draft = page.get_by_role("region", name="Draft version 2")
    expect(draft.get_by_text("Refused")).to_be_visible()
    expect(draft).to_contain_text("Modality was CT; the rule wants DX")
