"""What people see and do, in Debian's Chromium, over real servers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import LOOKS, OpenPage, screenshots
from tests.browser.network import GATINEAU, OUTREMONT, Network, picture
from tests.demo import pictures
from tests.demo.samples import EMILIE, NOAH
from tests.servers.dicom import make_study

HOSTILE = "<script>alert(1)</script>&\"'"


def uid_of(network: Network, modality: str) -> str:
    """A study of this modality."""
    found = network.router.rest.get(f"/relais/v1/studies?Modality={modality}&Limit=1")["Items"]
    return str(found[0]["StudyInstanceUID"])


def delivery_to(network: Network, destination: str) -> int:
    """The newest delivery there."""
    found = network.router.rest.get(f"/relais/v1/deliveries?Destination={destination}&Limit=1")["Items"]
    return int(found[0]["Id"])


def places(network: Network) -> dict[str, str]:
    """Every page, by name."""
    return {
        "dashboard": "/",
        "studies": "/studies",
        "studies-filtered": "/studies?Modality=IO&Clinic=outremont",
        "study-routed": f"/studies/{uid_of(network, 'IO')}",
        "study-failed": f"/studies/{uid_of(network, 'DX')}",
        "study-held": f"/studies/{uid_of(network, 'OT')}",
        "deliveries": "/deliveries",
        "deliveries-filtered": "/deliveries?Destination=vna-on&Priority=Urgent&OlderThanMinutes=60",
        "deliveries-completed": "/deliveries?State=Completed",
        "delivery-failed": f"/deliveries/{delivery_to(network, 'museum')}",
        "delivery-waiting": f"/deliveries/{delivery_to(network, 'vna-on')}",
        "delivery-stand-in": f"/deliveries/{delivery_to(network, 'stand-in')}",
        "delivery-proven": f"/deliveries/{delivery_to(network, 'folder')}",
        "destination-down": "/destinations/vna-on",
        "destination-closed": "/destinations/night",
        "destination-well": "/destinations/vna-qc?Hours=168",
        "destination-files": f"/destinations/folder?Study={uid_of(network, 'DX')}",
        "destinations": "/destinations",
        "notices": "/notices",
        "notice": "/notices/1",
        "audit": "/audit",
        "system": "/system",
        "nothing": "/nothing",
    }


def answer(page: Page, reason: str) -> None:
    """Say why, in the dialog that asks."""
    page.get_by_role("dialog").get_by_label("Why? The audit keeps it.").fill(reason)
    page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("language", "theme", "width"),
    LOOKS,
)
def test_every_page_is_accessible(network: Network, open_page: OpenPage, language: str, theme: str, width: int) -> None:
    root = f"{network.router.url}/relais/app"
    page = open_page(root, locale=f"{language}-CA", theme=theme, width=width)
    for name, path in places(network).items():
        page.goto(root + path)
        expect(page.locator("html")).to_have_attribute("lang", language)
        page.wait_for_function("() => [...document.images].every((image) => image.complete)")
        page.screenshot(path=screenshots() / f"{name}-{language}-{theme}-{width}.png", full_page=True)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name} is wider than {width} pixels"
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"


def test_the_dashboard_moves_when_a_study_arrives(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("vna-on is down")
    figure = page.locator(".counts dd").first
    before = int(figure.inner_text())
    page.evaluate("window.same = true")
    network.send(picture("PX", pictures.panoramic(4), EMILIE), OUTREMONT)
    expect(figure).to_have_text(str(before + 1))
    assert page.evaluate("window.same"), "the page was loaded again"


def test_a_hidden_tab_does_not_poll(network: Network, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.clock.install()
    page.goto(f"{network.router.url}/relais/app/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "live" in request.url else None)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, writable: true })")
    page.clock.run_for(20_000)
    assert asked == []
    page.evaluate("document.hidden = false")
    with page.expect_request("**/dashboard/live"):
        page.clock.run_for(3_000)


def test_filters_live_in_the_address_and_patients_do_not(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/studies")
    requests: list[tuple[str, str]] = []
    page.on("request", lambda request: requests.append((request.method, request.url)))
    rows = page.locator("#rows tr[data-id]")

    page.get_by_text("Modality", exact=True).first.click()
    page.get_by_role("link", name="CT", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?Modality=CT$"))
    expect(rows).to_have_count(1)
    page.get_by_role("link", name=re.compile("^Modality CT")).click()
    expect(page).to_have_url(re.compile("/studies$"))

    page.get_by_role("searchbox").fill("GAGNE jean")
    expect(rows.filter(has_not_text="Gagné, Jean-Luc")).to_have_count(0)
    expect(rows.first).to_contain_text("Gagné, Jean-Luc")
    page.get_by_role("searchbox").fill("nobody of this name")
    expect(page.get_by_text("No study is like that")).to_be_visible()
    assert ("POST", f"{network.router.url}/relais/app/studies/search") in requests
    assert not [url for _, url in requests if re.search("gagne|nobody", url, re.IGNORECASE)]


def test_new_studies_are_announced_and_move_nothing(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/studies?Modality=PX")
    first = page.locator("#rows tr[data-id]").first
    identity = first.get_attribute("id")
    network.send(picture("PX", pictures.panoramic(6), NOAH, StudyDescription="Fresh"), OUTREMONT)
    announcement = page.get_by_role("link", name="Show 1 new study")
    expect(announcement).to_be_visible()
    assert first.get_attribute("id") == identity
    announcement.click()
    expect(first).to_contain_text("Fresh")
    expect(first.get_by_text("Routed")).to_be_visible()


def test_the_keyboard_reaches_everything(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/studies")
    links = page.locator("#rows .open")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("k")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("searchbox")).to_have_value("?")
    expect(links).to_have_count(0)
    page.get_by_role("searchbox").fill("")
    expect(links.nth(0)).to_be_visible()
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/studies/[0-9.]+$"))


def test_progress_moves(network: Network, open_page: OpenPage) -> None:
    network.slow.bytes_per_second = 400_000
    uid = network.send(picture("MR", pictures.panoramic(9), NOAH, instances=16), OUTREMONT)
    network.eventually_is(uid, "Routed")
    page = open_page(f"{network.router.url}/relais/app/studies/{uid}")
    bar = page.get_by_role("progressbar", name="slow")
    expect(page.locator("#deliveries").get_by_text("In progress")).to_be_visible()
    expect(page.locator(".figures")).to_have_text(re.compile(r"^\d+ of 16 · [\d.]+ images/s, .* left$"))
    seen = page.evaluate("document.querySelector('progress').value")
    page.wait_for_function("(seen) => document.querySelector('progress').value > seen", arg=seen)
    network.slow.bytes_per_second = None
    expect(page.locator("#deliveries").get_by_text("Completed")).to_be_visible()
    expect(bar).to_have_attribute("value", "16")
    expect(page.get_by_text("slow has everything")).to_be_visible()


def test_a_hold_can_be_undone(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/studies/{uid_of(network, 'CT')}")
    standing = page.locator("#standing")
    expect(standing).to_contain_text("Routed")

    standing.get_by_role("button", name="Hold").click()
    answer(page, "wrong patient?")
    expect(standing).to_contain_text("wrong patient?")
    expect(standing).to_contain_text("held by local")
    page.get_by_role("button", name="Undo").click()
    expect(standing).to_contain_text("Routed")
    expect(standing).not_to_contain_text("wrong patient?")

    standing.get_by_role("button", name="Hold").click()
    answer(page, "again")
    standing.get_by_role("button", name="Release").click()
    answer(page, "all is well")
    expect(standing.get_by_role("button", name="Hold")).to_be_visible()
    expect(page.locator("#story")).to_contain_text("Released, by local all is well")


def test_leaving_the_dialog_changes_nothing(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/destinations")
    card = page.get_by_role("region", name="vna-qc")
    card.get_by_role("button", name="Pause").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    card.get_by_role("button", name="Pause").click()
    answer(page, "maintenance tonight")
    expect(card).to_contain_text("maintenance tonight")
    page.get_by_role("button", name="Undo").click()
    expect(card.get_by_text("Open")).to_be_visible()


def test_what_failed_is_explained_and_retried_by_selection(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/deliveries?State=Failed")
    row = page.locator("#rows tr[data-id]")
    expect(row).to_contain_text("museum does not take images of this kind")
    page.get_by_label("Select this delivery").check()
    bulk = page.locator(".bulk")
    expect(bulk.get_by_role("button", name="Hold")).to_be_hidden()
    bulk.get_by_role("button", name="Retry").click()
    answer(page, "they have a new archive")
    expect(page.get_by_text("They are tried now")).to_be_visible()
    page.goto(f"{network.router.url}/relais/app/studies/{uid_of(network, 'DX')}")
    expect(page.locator("#story")).to_contain_text("they have a new archive")
    expect(page.locator("#deliveries").get_by_text("Failed")).to_be_visible()


def test_a_selection_is_held_and_undone(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/studies?Modality=IO&Clinic=outremont")
    rows = page.locator("#rows tr[data-id]")
    for number in range(2):
        rows.nth(number).get_by_label("Select this study").check()
    page.locator(".bulk").get_by_role("button", name="Hold").click()
    answer(page, "whose are these?")
    expect(rows.get_by_text("whose are these?")).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(rows.get_by_text("Routed")).to_have_count(2)


def test_both_languages(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/studies/{uid_of(network, 'OT')}")
    expect(page.get_by_text("born Mar 3, 2015")).to_be_visible()
    page.get_by_role("button", name="Français").click()
    expect(page.get_by_text("3 mars 2015")).to_be_visible()
    expect(page.get_by_text("Modality valait OT").first).to_be_visible()
    page.get_by_role("link", name="Livraisons").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Livraisons")


def test_the_theme_is_remembered(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/system", theme="dark")
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_hostile_text_is_shown_as_text(network: Network, open_page: OpenPage) -> None:
    keywords = ("PatientName", "PatientID", "StudyDescription", "SeriesDescription", "InstitutionName")
    tags: dict[str, Any] = dict.fromkeys(keywords, HOSTILE)
    tags["AccessionNumber"] = "<b>1</b>"
    study = make_study(modality="OT", tags=tags, raw={"PatientBirthDate": b"notadate", "StudyDate": b"<i>"})
    uid = network.send(study, {"calling_aet": "<b>AET", "called_aet": "GATINEAU"})
    network.eventually_is(uid, "Held")
    page = open_page(f"{network.router.url}/relais/app/studies/{uid}")
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.get_by_text("<b>AET").first).to_be_visible()
    for path in ("/", "/studies", "/audit"):
        page.goto(f"{network.router.url}/relais/app{path}")
        expect(page.locator("main script, main b:text-is('1'), main b:text-is('AET')")).to_have_count(0)


def test_orthanc_explorer_leads_here(network: Network, open_page: OpenPage) -> None:
    uid = network.send(picture("IO", pictures.intra_oral(2), NOAH), GATINEAU)
    network.eventually_is(uid, "Routed")
    found = network.router.rest.post("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": uid}})
    page = open_page(f"{network.router.url}/app/explorer.html#study?uuid={found[0]}")
    page.get_by_role("link", name="Relais", exact=True).click()
    expect(page).to_have_url(f"{network.router.url}/relais/app/studies/{uid}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Desrosiers-Côté, Noah")


def test_the_chain_is_checked(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/audit")
    page.get_by_role("button", name="Check the chain").click()
    expect(page.locator("#verification")).to_contain_text(re.compile(r"the chain of [\d,]+ events is whole"))
