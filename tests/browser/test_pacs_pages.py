"""Other PACS on the pages: asked, imported from, watched, tested; and the day's orders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.beside_pacs import BesidePacs
from tests.browser.conftest import LOOKS, OpenPage, screenshots
from tests.demo.samples import EMILIE, LUC, ZOE
from tests.servers.waiting import eventually


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BesidePacs]:
    """A router that can ask three PACS, and has orders of today."""
    today = datetime.now(ZoneInfo("America/Toronto")).strftime("%Y%m%d")
    with ExitStack() as ending:
        world = BesidePacs(tmp_path_factory.mktemp("pacs")).start(ending)
        world.order("A-1", EMILIE, today, "2330", CrmId="P-1001")
        world.order("A-2", LUC, today, "2345", ScheduledStationAETitle="")
        world.order("A-3", ZOE, today, "2350")
        yield world


def app(world: BesidePacs, path: str) -> str:
    """The address of a page."""
    return f"{world.router.url}/relais/app{path}"


def because(page: Page, reason: str) -> None:
    """Say why, in the dialog that asks."""
    page.get_by_role("dialog").get_by_label("Why? The audit keeps it.").fill(reason)
    page.keyboard.press("Enter")


def search(page: Page, text: str) -> None:
    """Ask all PACS for this."""
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("button", name="Search").click()


def test_all_pacs_are_asked_and_what_is_found_is_imported(pacs: BesidePacs, open_page: OpenPage) -> None:
    page = open_page(app(pacs, "/search"), user="olga")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    search(page, "tremblay, ém")
    row = page.locator(f"tr[data-id='{pacs.prior.uid}']")
    expect(row).to_contain_text("Tremblay, Émilie")
    asked = page.get_by_role("list", name="What each PACS says")
    expect(asked).to_contain_text("Not reached gone")
    expect(asked).to_contain_text("Answered hospital 1 study")
    expect(page.get_by_text("Nobody answers at its address")).to_be_visible()
    row.get_by_role("button", name="Import").click()
    because(page, "comparison")
    expect(row.get_by_role("link", name="8 images")).to_be_visible()
    assert not [url for url in requests if "tremblay" in url.lower()]
    row.get_by_role("link", name="8 images").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tremblay, Émilie")
    page.goto(app(pacs, "/imports"))
    first = page.locator("#rows tr").filter(has_text="comparison")
    expect(first).to_contain_text("8 of 8")
    first.get_by_role("link", name="hospital").click()
    expect(page.get_by_text("Every image that the PACS has is here.")).to_be_visible()


def test_one_series_is_looked_at_and_imported(pacs: BesidePacs, open_page: OpenPage) -> None:
    page = open_page(app(pacs, "/search"), user="olga")
    search(page, "tremblay, ém")
    page.locator(f"tr[data-id='{pacs.prior.uid}']").get_by_role("button", name="Series …").click()
    dialog = page.get_by_role("dialog", name="Series of this study")
    expect(dialog).to_contain_text("Answered hospital")
    expect(dialog.locator("tbody tr")).to_have_count(1)
    expect(dialog.locator("tbody tr td.amount")).to_have_text("8")
    page.screenshot(path=screenshots() / "search-series-en-light.png")
    dialog.get_by_role("button", name="Import").click()
    because(page, "this series alone")
    expect(page.get_by_text("The import has begun")).to_be_visible()
    page.goto(app(pacs, "/imports"))
    expect(page.locator("#rows tr").filter(has_text="this series alone")).to_contain_text("8 of 8")


def test_what_did_not_come_is_named(pacs: BesidePacs, open_page: OpenPage) -> None:
    study = pacs.films_there
    order = {"Source": "strict", "Studies": [study.uid], "Route": False, "Reason": "for the record"}
    begun = pacs.ask("POST", "imports", order)
    page = open_page(app(pacs, f"/imports/{begun['Id']}"), user="olga")
    expect(page.get_by_text("3 images did not come.")).to_be_visible()
    expect(page.locator("p.trouble").last).to_contain_text("It does not know the AE title to which it should send")
    for uid in study.sop_instance_uids:
        expect(page.locator(f"[data-copy='{uid}']")).to_have_count(1)
    page.goto(app(pacs, "/"))
    expect(page.locator(".verdict")).to_contain_text("1 import failed")
    page.goto(app(pacs, f"/imports/{begun['Id']}"))
    pacs.strict.destinations["RELAIS"] = pacs.port
    page.get_by_role("button", name="Retry").click()
    because(page, "they have entered our name")
    expect(page.get_by_text("Every image that the PACS has is here.")).to_be_visible()
    page.get_by_role("link", name="IO · Interproximales").click()
    expect(page.get_by_text("It was imported to be kept here only")).to_be_visible()
    expect(page.get_by_role("link", name="strict")).to_have_attribute("href", "/relais/app/sources/strict")
    expect(page.locator("#story")).to_contain_text("Imported from strict: every image that it has is here")


def test_the_day_shows_what_became_of_its_orders(pacs: BesidePacs, open_page: OpenPage) -> None:
    uid = pacs.arrives(EMILIE, "A-1")
    stray = pacs.arrives(ZOE, "A-999")
    page = open_page(app(pacs, "/worklist"), user="olga")
    rows = page.locator("tr[data-id]")
    done = rows.filter(has_text="A-1")
    expect(done).to_contain_text("Completed")
    expect(done.get_by_role("link", name="Look at it")).to_have_attribute("href", f"/relais/app/studies/{uid}")
    page.goto(app(pacs, f"/studies/{uid}"))
    page.get_by_role("link", name="A-1", exact=True).click()
    expect(page.get_by_role("link", name="Look at the study that completed it")).to_be_visible()
    page.goto(app(pacs, "/worklist"))
    strays = page.get_by_role("region", name="Studies without an order")
    expect(strays).to_contain_text("no order has its accession number (A-999)")
    expect(strays.get_by_role("link")).to_have_attribute("href", f"/relais/app/studies/{stray}")
    strays.get_by_role("link").click()
    page.get_by_role("button", name="Choose its order").click()
    page.get_by_label("Which order?").select_option("A-2")
    because(page, "its machine had no worklist")
    eventually(lambda: page.reload() and page.get_by_role("link", name="A-2", exact=True).count())
    expect(page.get_by_role("button", name="Take the order back")).to_be_visible()
    page.goto(app(pacs, "/worklist"))
    expect(rows.filter(has_text="A-2")).to_contain_text("Completed")
    expect(strays).to_be_hidden()
    rows.filter(has_text="A-3").get_by_role("button", name="Cancel").click()
    because(page, "she called")
    expect(rows.filter(has_text="A-3")).to_contain_text("Canceled")

    page.get_by_text("Add an order").click()
    page.get_by_label("Accession number").fill("A-4")
    page.get_by_label("CRM number").fill("P-1002")
    page.get_by_label("Time", exact=True).fill("23:55")
    page.locator("select[name=Clinic]").select_option("outremont")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(rows.filter(has_text="A-4")).to_contain_text("Gagné, Jean-Luc")
    page.get_by_label("Accession number").fill("A-5")
    page.get_by_label("Time", exact=True).fill("23:55")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("PatientName")


def test_a_pacs_is_tested_and_a_watch_is_asked_and_paused(pacs: BesidePacs, open_page: OpenPage) -> None:
    page = open_page(app(pacs, "/sources/hospital"), user="olga")
    page.get_by_role("button", name="Test now").click()
    because(page, "is it well?")
    expect(page.get_by_role("region", name="Connection tests").locator("summary")).to_contain_text("Passed")
    page.goto(app(pacs, "/watches/new-films"))
    page.get_by_role("button", name="Ask now").click()
    because(page, "now, please")
    expect(page.get_by_role("region", name="Last polls").locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    because(page, "maintenance")
    expect(page.locator(".standing").get_by_text("Paused")).to_be_visible()


def test_who_may_not_ask_sees_no_search(pacs: BesidePacs, open_page: OpenPage) -> None:
    page = open_page(app(pacs, "/worklist"), user="vera")
    expect(page.get_by_role("link", name="Search", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    page = open_page(app(pacs, "/search"), user="vera")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not for you")


@pytest.mark.parametrize(("language", "theme", "width"), LOOKS)
def test_every_page_is_accessible(pacs: BesidePacs, open_page: OpenPage, language: str, theme: str, width: int) -> None:
    places = {
        "search": "/search",
        "imports": "/imports",
        "import": f"/imports/{pacs.ask('GET', 'imports')['Items'][0]['Id']}",
        "watches": "/watches",
        "watch": "/watches/new-films",
        "sources": "/sources",
        "source": "/sources/hospital",
        "worklist": "/worklist",
        "order": "/worklist/A-1",
    }
    page = open_page(app(pacs, "/"), user="olga", locale=f"{language}-CA", theme=theme, width=width)
    for name, path in places.items():
        page.goto(app(pacs, path))
        if name == "search":
            page.get_by_role("searchbox").fill("gagné")
            page.keyboard.press("Enter")
            expect(page.locator("#found .rows")).to_be_visible()
            expect(page.locator(".asked .moving")).to_have_count(0)
        expect(page.locator("html")).to_have_attribute("lang", language)
        page.screenshot(path=screenshots() / f"{name}-{language}-{theme}-{width}.png", full_page=True)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name} is wider than {width} pixels"
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
