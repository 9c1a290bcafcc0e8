"""Versions and replays as people see them, in Debian's Chromium: differences, activation, the picture of flows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import LOOKS, OpenPage, screenshots
from tests.system.rulebook import SECTION, add_past, compose_rules, served
from tests.system.serving import Web

RULES = [
    SECTION["Rules"][2],
    {**SECTION["Rules"][0], "When": {"Field": "Modality", "InSet": "dental"}},
    {**SECTION["Rules"][1], "DeliverTo": ["museum"]},
    {**SECTION["Rules"][4], "When": {"Field": "Modality", "In": ["DX", "OT"]}},
    {"Name": "all CT to Ontario", "When": {"Field": "Modality", "Equals": "CT"}, "DeliverTo": ["vna-on", "cloud"]},
]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = compose_rules(tmp_path)
    add_past(made, 150)
    made.relais.worker.start("test")
    yield made
    made.relais.worker.stop(5)
    made.relais.database.close()


@pytest.fixture
def root(web: Web) -> Iterator[str]:
    with served(web) as address:
        yield f"{address}/network"


@pytest.fixture
def draft(web: Web) -> int:
    document = {**web.relais.versions.active().document, "Rules": RULES}
    return int(web.relais.versions.draft(document, actor="local", comment="CT goes to Ontario").number)


def replay(page: Page) -> None:
    """Start one from the version's page, and see it through."""
    page.get_by_label("over the last").fill("120")
    page.get_by_role("button", name="Replay").click()
    expect(page).to_have_url(re.compile("/replays/[0-9]+$"))
    expect(page.get_by_text("120 studies compared")).to_be_visible(timeout=60_000)


def test_a_replay_says_what_would_change(root: str, draft: int, open_page: OpenPage) -> None:
    page = open_page(f"{root}/versions/{draft}")
    expect(page.get_by_text("Not replayed")).to_be_visible()
    replay(page)
    expect(page.get_by_role("heading", name="studies would become something else")).to_be_visible()
    expect(page.get_by_role("img", name="As it would be")).to_be_visible()
    page.get_by_role("link", name=re.compile("would be refused by law for vna-on")).click()
    expect(page).to_have_url(re.compile("Kind=Refused"))
    rows = page.locator(".changes tbody tr[data-id]")
    expect(rows.first).to_contain_text("refused by law")
    expect(rows.filter(has_text="also goes there")).to_have_count(0)
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("row", name=re.compile("^Clinique Outremont.*vna-on refused by law 0"))).to_be_visible()
    page.get_by_role("link", name="by machine").click()
    expect(page.locator(".nodes.from b").filter(has_text="CS8100").first).to_be_visible()
    page.goto(f"{root}/versions/{draft}")
    expect(page.get_by_text("Replayed over 120 studies")).to_be_visible()


def test_a_draft_becomes_active_and_is_rolled_back(web: Web, root: str, draft: int, open_page: OpenPage) -> None:
    page = open_page(f"{root}/versions")
    page.get_by_role("link", name=str(draft), exact=True).first.click()
    expect(page.get_by_text("from place 3 to place 1")).to_be_visible()
    page.locator("summary", has_text="Activate").click()
    page.get_by_label("Why? The audit keeps it.").first.fill("agreed on Monday")
    page.get_by_role("button", name="Activate").click()
    expect(page.locator(".standing .chip")).to_have_text("Active")
    assert web.relais.versions.active().number == draft
    page.goto(f"{root}/versions/1")
    page.locator("summary", has_text="Roll back to this").click()
    page.get_by_label("Why? The audit keeps it.").first.fill("it was wrong")
    page.get_by_role("button", name="Roll back to this").click()
    expect(page.get_by_role("heading", name=f"Version {draft + 1}")).to_be_visible()
    assert web.relais.versions.active().document == web.relais.versions.get(1).document


def test_whoever_is_second_sees_what_changed(web: Web, root: str, draft: int, browser: Browser) -> None:
    context = browser.new_context(locale="en-CA")  # the browser itself complains of the 409
    page = context.new_page()
    page.goto(f"{root}/versions/{draft}")
    other = web.relais.versions.draft({**web.relais.versions.active().document, "Language": "fr"}, actor="somebody")
    web.relais.versions.activate(other.number, actor="somebody")
    page.locator("summary", has_text="Activate").click()
    page.get_by_label("Why? The audit keeps it.").first.fill("agreed")
    page.get_by_role("button", name="Activate").click()
    refusal = page.get_by_role("alert")
    expect(refusal).to_contain_text(f"version {other.number} became active since")
    expect(refusal).to_contain_text("Language")
    refusal.get_by_role("button", name="Show the page as it is now").click()
    expect(page.get_by_role("heading", name=f"Version {other.number} became active since")).to_be_visible()
    page.locator("summary", has_text="Take its changes into this draft").click()
    page.get_by_role("button", name="Take its changes into this draft").click()
    expect(page.get_by_text("Overtaken")).to_have_count(0)
    taken = web.relais.versions.get(draft)
    assert (taken.document["Language"], taken.document["Rules"]) == ("fr", RULES)
    context.close()


@pytest.mark.parametrize(
    ("language", "theme", "width"),
    LOOKS,
)
def test_every_page_is_accessible(
    web: Web, root: str, draft: int, open_page: OpenPage, language: str, theme: str, width: int
) -> None:
    replay(open_page(f"{root}/versions/{draft}"))
    versions = web.relais.versions
    other = versions.draft({**versions.active().document, "Language": "fr"}, actor="somebody", comment="en français")
    versions.activate(other.number, actor="somebody", comment="réunion de lundi")
    broken = versions.draft({**versions.active().document, "Rules": [{"Name": "bad"}]}, actor="local")
    page = open_page(f"{root}/versions", locale=f"{language}-CA", theme=theme, width=width)
    places = {
        "versions": "/versions",
        "version": f"/versions/{draft}",
        "version-broken": f"/versions/{broken.number}",
        "version-past": "/versions/1",
        "replay": "/replays/1",
    }
    for name, path in places.items():
        page.goto(root + path)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=screenshots() / f"{name}-{language}-{theme}-{width}.png", full_page=True)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name} is wider than {width} pixels"
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
