"""The network's pages in Debian's Chromium: what an administrator does to a draft, by mouse and by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import LOOKS, OpenPage, screenshots
from tests.browser.network import Network
from tests.servers.orthanc import OrthancServer

HERE = {"Kind": "Dicom", "Host": "127.0.0.1", "Jurisdiction": {"Storage": "CA-QC", "Access": ["CA-QC"]}}
SECTION: Mapping[str, Any] = {
    "Language": "en",
    "Clinics": {
        "outremont": {
            "Name": "Clinique Outremont",
            "Region": "CA-QC",
            "Regime": "P-39.1",
            "CalledAets": ["OUTREMONT"],
            "CallingAets": ["CS8100*"],
            "Networks": ["10.1.0.0/16"],
            "TimeZone": "America/Toronto",
        },
        "ottawa": {"Name": "Rideau Dental", "Region": "CA-ON", "InstitutionNames": ["Rideau*"]},
    },
    "Sources": {"intelepacs": {"Kind": "Dicom", "Aet": "INTELEPACS", "Host": "10.0.0.5", "Port": 104}},
    "Destinations": {
        "vna-qc": {**HERE, "Aet": "VNA_QC", "Port": 4242, "FailoverTo": "vna-2", "Proof": "Queried"},
        "vna-2": {**HERE, "Aet": "VNA2", "Port": 4243, "Windows": [{"Days": ["Saturday"], "From": "02:00"}]},
        "cloud": {
            "Kind": "DicomWeb",
            "Url": "https://images.example/dicom-web",
            "Jurisdiction": {"Storage": "CA-ON", "Access": ["CA-ON", "US"]},
            "Assessment": {"Reference": "EFVP-2026-04", "Result": "Adequate", "Expires": "2027-01-20"},
            "Agreement": {"Reference": "C-118", "Expires": "2026-10-01"},
        },
        "folder": {"Kind": "Files", "Url": "file:///tmp", "Coerce": {"Set": {"InstitutionName": "Gatineau"}}},
        "shelves": {"Kind": "Pool", "Of": {"vna-qc": 3, "vna-2": 1}},
    },
    "Sets": {"dental": ["IO", "PX", "DX"]},
    "Rules": [
        {"Name": "dental images", "When": {"Field": "Modality", "InSet": "dental"}, "DeliverTo": ["shelves"]},
        {"Name": "Ontario", "When": {"Field": "Clinic", "Equals": "ottawa"}, "DeliverTo": ["cloud"], "Stop": True},
        {"Name": "old films", "DeliverTo": ["vna-2"], "Enabled": False},
    ],
    "Completeness": {"QuietSeconds": 30, "ByModality": {"IO": 2, "PX": 2}},
    "Subscribers": {"crm": {"Url": "http://127.0.0.1:9/hook", "Secret": "c2VjcmV0c2VjcmV0"}},
}
EDITORS = {
    "network-clinic": "clinics/outremont",
    "network-source": "sources/intelepacs",
    "network-destination": "destinations/vna-2",
    "network-cloud": "destinations/cloud",
    "network-folder": "destinations/folder",
    "network-pool": "destinations/shelves",
    "network-set": "sets/dental",
    "network-subscriber": "subscribers/crm",
    "network-completeness": "general/Completeness",
    "network-new": "new/users",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the network's pages of a router to which nothing is sent."""
    folder = tmp_path_factory.mktemp("editor")
    with OrthancServer(folder / "router", aet="RELAIS", relais=SECTION) as router:
        yield f"{router.url}/relais/app/network"


@pytest.fixture
def network_page(house: str, open_page: OpenPage) -> Iterator[Page]:
    """The overview without a draft, before and after."""
    page = open_page(house)
    discard(page)
    yield page
    page.goto(house)
    discard(page)


def discard(page: Page) -> None:
    """Give up the draft if there is one."""
    button = page.get_by_role("button", name="Discard")
    if button.count():
        button.click()
        page.get_by_role("dialog").get_by_label("Why? The audit keeps it.").fill("a test ends")
        page.keyboard.press("Enter")
        expect(button).to_have_count(0)


def edit(page: Page, house: str, path: str) -> None:
    """Open an editor, and wait until it is checked."""
    page.goto(f"{house}/{path}")
    expect(page.locator("#problems")).not_to_contain_text(re.compile("Checking|Vérification"))


def field(page: Page, name: str) -> Any:
    """The input of an option, by its place."""
    return page.locator(f"#part [name='{name}']")


def kept(page: Page) -> None:
    """Save, and see that it is kept."""
    page.get_by_role("button", name="Save in the draft").click()
    expect(page.locator("#toasts")).to_contain_text("Kept in draft")


@pytest.mark.parametrize(
    ("language", "theme", "width"),
    LOOKS,
)
def test_every_page_is_accessible(house: str, open_page: OpenPage, language: str, theme: str, width: int) -> None:
    page = open_page(house, locale=f"{language}-CA", theme=theme, width=width)
    expect(page.locator("#standing .chip").first).to_be_visible()
    look(page, f"network-{language}-{theme}-{width}")
    for name, path in EDITORS.items():
        edit(page, house, path)
        look(page, f"{name}-{language}-{theme}-{width}")


def look(page: Page, name: str) -> None:
    """Take a picture; nothing is wider than the window, and everybody can use it."""
    page.evaluate("document.querySelectorAll('details.group').forEach((group) => (group.open = true))")
    page.screenshot(path=screenshots() / f"{name}.png", full_page=True)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{name} is too wide"
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"


def test_a_problem_is_told_at_its_field_before_anything_is_saved(network_page: Page, house: str) -> None:
    page = network_page
    edit(page, house, "destinations/vna-qc")
    port = field(page, "Port")
    port.fill("many")
    slot = page.locator("[data-problem='Port']")
    expect(slot).to_have_text("must be a whole number")
    expect(port).to_have_attribute("aria-invalid", "true")
    assert slot.get_attribute("id") in (port.get_attribute("aria-describedby") or "")
    port.fill("4244")
    expect(slot).to_be_hidden()
    expect(port).not_to_have_attribute("aria-invalid", "true")
    page.goto(house)
    expect(page.get_by_role("button", name="Discard")).to_have_count(0)


def test_an_edit_by_keyboard_is_kept_and_undone(network_page: Page, house: str) -> None:
    page = network_page
    edit(page, house, "destinations/vna-qc")
    field(page, "Port").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("5555")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Kept in draft")
    page.reload()
    expect(field(page, "Port")).to_have_value("5555")
    field(page, "Port").fill("6666")
    kept(page)
    page.get_by_role("button", name="Undo").press("Enter")
    expect(field(page, "Port")).to_have_value("5555")


def test_rows_come_and_go(network_page: Page, house: str) -> None:
    page = network_page
    edit(page, house, "destinations/vna-2")
    windows = page.locator("fieldset[data-list]", has=page.locator("legend", has_text="Windows"))
    windows.get_by_role("button", name="Add one").press("Enter")
    added = windows.locator("[data-row]").nth(1)
    expect(added.get_by_label("Monday")).to_be_focused()
    page.keyboard.press("Space")
    added.get_by_label("To", exact=False).last.fill("05:00")
    windows.locator("[data-row]").first.get_by_role("button", name="Take out").click()
    left = windows.locator("[data-row]")
    left.get_by_label("From").fill("25:00")
    expect(left.locator("[data-problem$='.From']")).to_have_text('"25:00" is not a time of the day such as 19:00')
    left.get_by_label("From").fill("")
    kept(page)
    expect(windows.locator("[data-row]")).to_have_count(1)
    page.get_by_role("button", name="JSON").click()
    expect(page.locator("#f-json")).to_have_value(re.compile(r'"Monday"\s*\],\s*"To": "05:00"'))


def test_another_kind_asks_for_what_it_needs(network_page: Page, house: str) -> None:
    page = network_page
    edit(page, house, "destinations/vna-2")
    field(page, "Concurrency").fill("7")
    field(page, "Kind").select_option("DicomWeb")
    expect(page.locator("[data-problem='Url']")).to_have_text("is required")
    expect(field(page, "Concurrency")).to_have_value("7")
    expect(field(page, "Port")).to_have_count(0)


def test_json_and_form_are_two_sides_of_the_same(network_page: Page, house: str) -> None:
    page = network_page
    edit(page, house, "clinics/outremont")
    field(page, "Name").fill("Typed in the form")
    page.get_by_role("button", name="JSON").click()
    text = page.locator("#f-json")
    expect(text).to_have_value(re.compile('"Name": "Typed in the form"'))
    text.fill('{"Name": ')
    page.get_by_role("button", name="Form").click()
    expect(page.locator("#problems")).to_contain_text("not JSON: line 1")
    text.fill('{"Name": "Typed as JSON"}')
    page.get_by_role("button", name="Form").click()
    expect(field(page, "Name")).to_have_value("Typed as JSON")
    expect(field(page, "CalledAets")).to_have_value("")


def test_a_new_one_is_made_and_a_copy_of_it(network_page: Page, house: str) -> None:
    page = network_page
    page.goto(house)
    page.get_by_role("link", name="New clinic").click()
    expect(page.locator("#f-name")).to_be_focused()
    page.keyboard.type("laval")
    field(page, "CalledAets").fill("LAVAL\nLAVAL2")
    kept(page)
    expect(page).to_have_url(f"{house}/clinics/laval")
    page.get_by_role("link", name="Duplicate").click()
    expect(page.locator("#f-name")).to_have_value("laval-2")
    expect(field(page, "CalledAets")).to_have_value("LAVAL\nLAVAL2")
    kept(page)
    page.goto(house)
    expect(page.locator("#clinics li.added")).to_have_count(2)


def test_a_deletion_says_who_refers_to_it_and_can_be_undone(network_page: Page, house: str) -> None:
    page = network_page
    edit(page, house, "destinations/vna-2")
    page.get_by_role("button", name="Delete …").click()
    panel = page.get_by_role("alertdialog")
    expect(panel).to_contain_text("3 places refer to it")
    expect(panel).to_contain_text("must have DeliverTo, Hold or Stop")
    panel.get_by_role("button", name="Delete").click()
    expect(page).to_have_url(house)
    expect(page.locator("#destinations li.removed")).to_contain_text("vna-2")
    expect(page.locator("#standing")).to_contain_text("1 problem")
    page.get_by_role("button", name="Undo").click()
    expect(page).to_have_url(f"{house}/destinations/vna-2")
    expect(field(page, "Aet")).to_have_value("VNA2")


def test_two_tabs_do_not_overwrite_each_other_unseen(network_page: Page, house: str) -> None:
    page = network_page
    other = page.context.new_page()
    for each in (page, other):
        edit(each, house, "clinics/ottawa")
    field(page, "Name").fill("From here")
    kept(page)
    field(other, "Name").fill("From there")
    other.get_by_role("button", name="Save in the draft").click()
    clash = other.locator(".clash")
    expect(clash).to_contain_text("Somebody else changed this meanwhile")
    expect(clash).to_contain_text("From here")
    expect(field(other, "Name")).to_have_value("From there")
    kept(other)
    page.reload()
    expect(field(page, "Name")).to_have_value("From there")
    other.close()


def test_an_auditor_reads_and_a_viewer_finds_no_entry(guarded: Network, open_page: OpenPage) -> None:
    root = f"{guarded.router.url}/relais/app"
    page = open_page(f"{root}/network/destinations/night", user="ada")
    expect(field(page, "Port")).to_be_disabled()
    expect(page.get_by_role("button", name="Save in the draft")).to_have_count(0)
    page.get_by_role("button", name="JSON").click()
    expect(page.locator("#f-json")).to_have_value(re.compile('"Aet": "VNA_QC"'))
    viewer = open_page(root, user="vera")
    expect(viewer.get_by_role("link", name="Network")).to_have_count(0)
