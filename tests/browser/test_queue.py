"""The queue, a delivery and a destination: what they tell, and what a person does there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.network import GATINEAU, OUTREMONT, Network, picture
from tests.browser.test_pages import answer, delivery_to, uid_of
from tests.demo import pictures
from tests.demo.samples import LUC, NOAH
from tests.servers.waiting import eventually


def deliveries(network: Network, query: str) -> list[Any]:
    """Deliveries as the API tells."""
    found: list[Any] = network.router.rest.get(f"/relais/v1/deliveries?{query}")["Items"]
    return found


@pytest.fixture
def waiting(network: Network) -> Iterator[list[str]]:
    """Three studies that wait for a paused destination."""
    lane = "/relais/v1/destinations/vna-qc"
    network.router.rest.post(f"{lane}/pause", {"Reason": "maintenance"})
    sent = [network.send(picture("IO", pictures.intra_oral(number), NOAH), OUTREMONT) for number in range(3)]
    scheduled = "State=Scheduled&Destination=vna-qc"
    eventually(lambda: len(deliveries(network, scheduled)) == len(sent), 30, "three deliveries wait")
    yield sent
    network.router.rest.post(f"{lane}/resume", {"Reason": "done"})
    eventually(lambda: not deliveries(network, scheduled), 30, "they were delivered")


def test_lanes_and_filters_live_in_the_address(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/deliveries")
    rail = page.get_by_role("navigation", name="Lanes")
    rail.get_by_role("link", name=re.compile("^vna-on")).click()
    expect(page).to_have_url(re.compile(r"\?Destination=vna-on$"))
    row = page.locator("#rows tr[data-id]")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Urgent")
    expect(row).to_contain_text("waits for")
    page.get_by_text("Priority", exact=True).first.click()
    page.get_by_role("link", name="Stat", exact=True).click()
    expect(page).to_have_url(re.compile(r"Destination=vna-on.*Priority=Stat"))
    expect(page.get_by_role("heading", name="No delivery is like that")).to_be_visible()
    page.get_by_role("link", name="Show all that is owed").click()
    expect(page).to_have_url(re.compile("/deliveries$"))
    rail.get_by_role("link", name=re.compile("^night")).click()
    expect(row).to_contain_text("waits for the window to open")


def test_everything_that_the_filter_finds_is_held_and_undone(
    network: Network, waiting: list[str], open_page: OpenPage
) -> None:
    page = open_page(f"{network.router.url}/relais/app/deliveries?State=Scheduled&Destination=vna-qc&Limit=2")
    rows = page.locator("#rows tr[data-id]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("waits for its lane to be resumed")
    page.get_by_label("Select all rows that are shown").check()
    bulk = page.locator(".bulk")
    expect(bulk).to_contain_text("2 selected")
    expect(bulk.get_by_role("button", name="Release")).to_be_hidden()
    bulk.get_by_role("button", name="Select everything that the filter finds").click()
    expect(bulk).to_contain_text("Everything that the filter finds")
    bulk.get_by_role("button", name="Hold").click()
    answer(page, "wrong archive")
    expect(page.get_by_text("They are held")).to_be_visible()
    expect(rows.get_by_text("Held", exact=True)).to_have_count(2)
    assert len(deliveries(network, "State=Held&Destination=vna-qc")) == len(waiting)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone")).to_be_visible()
    assert not deliveries(network, "State=Held&Destination=vna-qc")
    expect(bulk).to_be_hidden()


def test_a_selection_by_hand_is_no_longer_everything(network: Network, waiting: list[str], open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/deliveries?State=Scheduled&Destination=vna-qc")
    rows = page.locator("#rows tr[data-id]")
    page.get_by_label("Select all rows that are shown").check()
    bulk = page.locator(".bulk")
    bulk.get_by_role("button", name="Select everything that the filter finds").click()
    rows.first.get_by_label("Select this delivery").uncheck()
    expect(bulk).to_contain_text("2 selected")
    bulk.get_by_role("button", name="Select none").click()
    expect(bulk).to_be_hidden()
    assert len(waiting) == 3


def test_a_failed_delivery_is_understood_and_redirected(network: Network, open_page: OpenPage) -> None:
    uid = network.send(picture("DX", pictures.intra_oral(8), LUC, StudyDescription="Face"), GATINEAU)
    query = f"StudyInstanceUID={uid}"
    eventually(
        lambda: [each for each in deliveries(network, f"{query}&Destination=museum") if each["State"] == "Failed"],
        30,
        "the museum refused it",
    )
    (failed,) = deliveries(network, f"{query}&Destination=museum")
    page = open_page(f"{network.router.url}/relais/app/deliveries/{failed['Id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Delivery to museum")
    expect(page.get_by_role("heading", name="1 image is not there")).to_be_visible()
    expect(page.get_by_text("The rule “old films” asks for it")).to_be_visible()
    expect(page.get_by_text("museum does not take images of this kind").first).to_be_visible()

    page.get_by_role("button", name="Redirect").click()
    page.get_by_label("To which destination?").select_option("stand-in")
    page.get_by_label("Why? The audit keeps it.").fill("the museum is closed")
    page.keyboard.press("Enter")
    standing = page.locator(".standing")
    expect(standing.get_by_text("Canceled")).to_be_visible()
    expect(page.get_by_text("The delivery to museum was redirected to stand-in")).to_be_visible()

    page.goto(f"{network.router.url}/relais/app/deliveries/{delivery_to(network, 'stand-in')}")
    expect(page.get_by_text("Redirected from museum, by local")).to_be_visible()
    expect(page.get_by_text("the museum is closed").first).to_be_visible()
    expect(page.locator(".standing").get_by_text("Completed")).to_be_visible()
    expect(page.get_by_text(re.compile("Asked afterwards, it has every image 1 image"))).to_be_visible()


def test_failover_is_told_at_both_ends(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/deliveries/{delivery_to(network, 'vna-on')}")
    expect(page.get_by_text("vna-on was down or too slow: stand-in receives the study as well")).to_be_visible()
    page.goto(f"{network.router.url}/relais/app/studies/{uid_of(network, 'CT')}")
    expect(page.get_by_text("It stands in for vna-on, which was down or took too long")).to_be_visible()


def test_a_destination_is_tested_step_by_step(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/destinations")
    page.get_by_role("link", name="folder").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("folder")
    page.locator("#health").get_by_role("button", name="Test now").click()
    page.get_by_label("Store a test image too").check()
    answer(page, "before the holidays")
    tests = page.get_by_role("region", name="Connection tests")
    expect(tests.locator("details[open]")).to_have_count(1)
    expect(tests).to_contain_text("local")
    expect(tests.locator(".steps li").first).to_be_visible()

    page.goto(f"{network.router.url}/relais/app/destinations/vna-on")
    page.locator("#health").get_by_role("button", name="Test now").click()
    answer(page, "why is it down?")
    expect(tests.get_by_text("nothing listens at port")).to_be_visible()
    expect(tests.locator("summary").get_by_text("Failed")).to_be_visible()


def test_the_last_hours_are_drawn_and_told(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/destinations/vna-qc")
    charts = page.get_by_role("region", name="History").first
    for name in ("Images an hour", "Backlog", "Latency"):
        expect(charts.get_by_role("img", name=name)).to_be_visible()
    page.get_by_role("link", name="7 days").click()
    expect(page).to_have_url(re.compile("Hours=168"))
    page.get_by_text("As a table").click()
    expect(page.locator(".hours tbody tr")).to_have_count(168)


def test_an_image_is_compared_before_and_after(network: Network, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/deliveries/{delivery_to(network, 'folder')}")
    page.get_by_role("link", name="Compare before and after").click()
    compare = page.get_by_role("region", name="Compare before and after").first
    expect(compare.get_by_label("StudyInstanceUID")).to_have_value(re.compile(r"^[0-9.]+$"))
    compare.get_by_label("Why? The audit keeps it.").fill("what do they see?")
    compare.get_by_role("button", name="Compare").click()
    table = compare.get_by_role("table")
    expect(table.get_by_role("row", name=re.compile("^InstitutionName"))).to_contain_text("Clinique Gatineau")
    expect(table.get_by_role("row", name=re.compile("^PatientID"))).to_contain_text("taken out")
