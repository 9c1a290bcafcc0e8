"""The CRM's patients on the pages: looked for, one of them, and how they came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.reviewing import Reviewing
from tests.demo.people import patient

OF_GATINEAU = patient("P-3001", "Fortin", "Hélène", "1970-10-02", "F", Clinic="gatineau", Phones=["819 555-0123"])


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewing]:
    """A network whose CRM has given its patients, one of them of one clinic only."""
    with ExitStack() as ending:
        network = Reviewing.begin(tmp_path_factory.mktemp("crm"), ending, {"SecondLooks": 0})
        network.ask("PUT", "patients/P-3001", OF_GATINEAU)
        yield network


@pytest.mark.parametrize(
    ("label", "value"), [("Number", "819-555-0123"), ("Number", "P-3001"), ("Name", "hélène FORTIN")]
)
def test_somebody_is_found_who_is_looked_for(crm: Reviewing, open_page: OpenPage, label: str, value: str) -> None:
    page = open_page(f"{crm.router.url}/relais/app/patients", user="vera")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    expect(page.locator("main")).not_to_contain_text("Fortin")
    page.get_by_label(label).fill(value)
    if label == "Name":
        page.get_by_label("Born").fill("1970-10-02")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Fortin, Hélène").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Fortin, Hélène")
    expect(page.get_by_text("1970-10-02")).to_be_visible()
    assert not [url for url in requests if value in url and value != "P-3001"]
    looked = crm.ask("GET", "audit?Action=patient.viewed&Limit=1")["Items"][0]
    assert (looked["Actor"], looked["Detail"]) == ("vera", {"CrmId": "P-3001"})


def test_another_clinics_patient_is_nobody(crm: Reviewing, open_page: OpenPage) -> None:
    page = open_page(f"{crm.router.url}/relais/app/patients", user="otto")
    page.get_by_label("Numéro").fill("P-3001")
    page.get_by_role("button", name="Chercher").click()
    expect(page.get_by_text("Le CRM n\u2019a personne de tel.")).to_be_visible()
    page = open_page(f"{crm.router.url}/relais/app/patients/P-3001", user="otto")
    expect(page.get_by_role("heading", level=1)).to_contain_text("rien ici")


def test_who_was_merged_is_shown_as_whom_they_became(crm: Reviewing, open_page: OpenPage) -> None:
    crm.ask("PUT", "patients/P-3002", patient("P-3002", "Fortin", "Helene", "1970-10-02", "F", Clinic="gatineau"))
    crm.ask("POST", "patients/P-3002/merge", {"Into": "P-3001", "Reason": "the same person"})
    page = open_page(f"{crm.router.url}/relais/app/patients/P-3002", user="vera")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fortin, Hélène")
    expect(page.get_by_text("P-3002 was merged into this patient.")).to_be_visible()


def test_how_patients_came_is_shown_to_who_may_import(crm: Reviewing, open_page: OpenPage) -> None:
    lines = b'{"CrmId": "P-4001", "FamilyName": "Roy"}\n{"CrmId": "P-4002", "BirthDate": "soon"}\n'
    crm.ask("POST", "patients/bulk", lines, kind="application/x-ndjson")
    page = open_page(f"{crm.router.url}/relais/app/patients", user="root")
    imports = page.get_by_role("region", name="How they came")
    expect(imports).to_contain_text("1 patient added or changed")
    imports.get_by_text("The first lines that were refused").click()
    expect(imports).to_contain_text("line 2 · BirthDate")
    page = open_page(f"{crm.router.url}/relais/app/patients", user="vera")
    expect(page.get_by_text("The CRM has")).to_be_visible()
    expect(page.locator("#imports li")).to_have_count(0)


def test_records_are_merged_taken_apart_and_forgotten_with_what_follows(crm: Reviewing, open_page: OpenPage) -> None:
    for number in ("P-5001", "P-5002"):
        crm.ask("PUT", f"patients/{number}", patient(number, "Lavoie", "Rose", "1955-01-0" + number[-1], "F"))
    root = f"{crm.router.url}/relais/app/patients"
    page = open_page(f"{root}/P-5001", user="root")
    dialog = page.get_by_role("dialog")

    def because(reason: str, word: str) -> None:
        dialog.get_by_label("Why? The audit keeps it.").fill(reason)
        dialog.get_by_role("button", name=word).click()

    page.get_by_text("It is the same person as another record").click()
    page.get_by_label("Number").fill("P-5002")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Merge").click()
    expect(dialog).to_contain_text("one was born on Jan 1, 1955, the other on Jan 2, 1955")
    because("two cards", "Merge")
    expect(page).to_have_url(f"{root}/P-5002")
    merged = page.get_by_role("region", name="Merged into this record")
    expect(merged).to_contain_text("CRM number P-5001")

    merged.get_by_role("button", name="Take apart").click()
    expect(dialog).to_contain_text("Lavoie, Rose (P-5001) is a patient of their own again.")
    because("sisters", "Take apart")
    expect(page).to_have_url(f"{root}/P-5001")

    page.get_by_text("Forget this patient").click()
    page.get_by_role("button", name="Forget").click()
    expect(dialog).to_contain_text("This cannot be undone.")
    because("she asked for it", "Forget")
    expect(page).to_have_url(root)
    reasons = {
        action: crm.ask("GET", f"audit?Action=patient.{action}&Limit=1")["Items"][0]["Detail"]["Reason"]
        for action in ("merged", "unmerged", "forgotten")
    }
    assert reasons == {"merged": "two cards", "unmerged": "sisters", "forgotten": "she asked for it"}
    page = open_page(f"{root}/P-1001", user="vera")
    expect(page.get_by_text("Forget this patient")).to_have_count(0)
