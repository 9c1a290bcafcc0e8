"""What each role sees, and what it does not."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, authorization
from tests.browser.network import GATINEAU, OUTREMONT, Network, picture
from tests.demo import pictures
from tests.demo.samples import EMILIE, ZOE
from tests.servers.waiting import eventually


@pytest.fixture(scope="session")
def studies(guarded: Network) -> list[str]:
    """A study of Outremont and one of Gatineau, both delivered."""
    sent = [
        guarded.send(picture("PX", pictures.panoramic(1), EMILIE), OUTREMONT),
        guarded.send(picture("PX", pictures.panoramic(2), ZOE), GATINEAU),
    ]

    def delivered() -> bool:
        found = guarded.router.rest.request(
            "GET", "/relais/v1/deliveries?State=Completed", headers=authorization("vera")
        ).json()["Items"]
        return len(found) == len(sent)

    eventually(delivered, 30, "both are delivered")
    return sent


def test_a_viewer_may_look_and_not_act(guarded: Network, studies: list[str], open_page: OpenPage) -> None:
    root = f"{guarded.router.url}/relais/app"
    page = open_page(f"{root}/studies/{studies[0]}", user="vera")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tremblay, Émilie")
    expect(page.locator(".caller")).to_have_text("vera")
    for path in ("/", "/studies", "/deliveries?State=Completed", "/destinations", "/destinations/vna-qc", "/notices"):
        expect(page.locator("[data-url], [data-bulk], [data-select]")).to_have_count(0)
        page.goto(root + path)
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)


def test_an_auditor_sees_no_patient(guarded: Network, studies: list[str], open_page: OpenPage) -> None:
    page = open_page(f"{guarded.router.url}/relais/app/studies/{studies[0]}", user="ada")
    expect(page.get_by_role("heading", level=1)).to_have_text("Patient hidden")
    expect(page.locator("main img")).to_have_count(0)
    page.get_by_role("link", name="Studies").click()
    expect(page.get_by_text("Patient hidden")).to_have_count(2)
    assert "Tremblay" not in page.content()
    assert EMILIE["PatientID"] not in page.content()
    expect(page.get_by_role("searchbox")).to_have_count(0)


def test_an_operator_of_one_clinic_sees_that_clinic(guarded: Network, studies: list[str], open_page: OpenPage) -> None:
    root = f"{guarded.router.url}/relais/app"
    page = open_page(f"{root}/studies", user="otto")
    expect(page.get_by_role("heading", level=1)).to_have_text("Examens")  # as his entry says
    expect(page.locator("#rows tr[data-id]")).to_have_count(1)
    page.goto(f"{root}/deliveries?State=Completed")
    expect(page.locator("#rows tr[data-id]")).to_have_count(1)
    expect(page.get_by_role("navigation", name="Voies").locator(".amount").first).to_have_text("0")
    page = open_page(f"{root}/studies/{studies[1]}", user="otto")
    expect(page.get_by_role("heading", level=1)).to_contain_text("rien ici")


def test_a_stranger_is_told_why(guarded: Network, open_page: OpenPage) -> None:
    page = open_page(f"{guarded.router.url}/relais/app/studies", user="stranger")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not for you")
    expect(page.get_by_text("has no entry in the configuration of Relais")).to_be_visible()
    expect(page.get_by_role("link")).to_have_count(0)
