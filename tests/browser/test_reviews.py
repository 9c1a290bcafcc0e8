"""Reviews: what a person sees, and how they decide whose images a study has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import LOOKS, OpenPage, screenshots
from tests.browser.network import GATINEAU
from tests.browser.reviewing import Reviewing
from tests.demo.samples import EMILIE, NOAH_OR_NATHAN, person
from tests.servers.waiting import eventually

ANOTHER_SLIP = person("Belanger^Zoe", "Z-2", "20150306", "F")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewing]:
    """A network without second looks."""
    with ExitStack() as ending:
        yield Reviewing.begin(tmp_path_factory.mktemp("reviewing"), ending, {"SecondLooks": 0})


@pytest.fixture(scope="module")
def studies(clinic: Reviewing) -> Mapping[str, str]:
    """A study of each answer, which no test decides."""
    return clinic.seed_reviews()


def app(network: Reviewing, path: str) -> str:
    """The address of a page."""
    return f"{network.router.url}/relais/app{path}"


def look(page: Page, name: str) -> None:
    """Take a picture, and ask whether everybody can use the page."""
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    page.screenshot(path=screenshots() / f"{name}.png", full_page=True)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{name} is too wide"
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"


@pytest.mark.parametrize(("language", "theme", "width"), LOOKS)
def test_every_page_is_accessible(
    clinic: Reviewing, studies: Mapping[str, str], open_page: OpenPage, language: str, theme: str, width: int
) -> None:
    places = {
        "reviews": "/reviews",
        **{f"review-{each}": f"/reviews/{clinic.review_of(studies[each])}" for each in ("twins", "slip", "veto")},
        **{f"study-{each}": f"/studies/{studies[each]}" for each in ("sure", "twins", "nobody")},
        "patients": "/patients",
        "patient": "/patients/P-1001",
    }
    page = open_page(app(clinic, "/"), user="olga", locale=f"{language}-CA", theme=theme, width=width)
    for name, path in places.items():
        answer = page.goto(app(clinic, path))
        assert answer is not None
        assert answer.ok, f"{name}: {clinic.router.log_text[-4000:]}"
        expect(page.locator("html")).to_have_attribute("lang", language)
        look(page, f"{name}-{language}-{theme}-{width}")


def answer(page: Page, reason: str) -> None:
    """Say why, in the dialog that tells what follows."""
    page.get_by_role("dialog").get_by_label("Why? The audit keeps it.").fill(reason)
    page.keyboard.press("Enter")


def bar(page: Page) -> list[str]:
    """What the evidence of the candidate that is shown says."""
    return page.locator(".candidate:visible .bit span").all_inner_texts()


def test_the_queue_tells_how_much_waits_where_and_how_long(
    clinic: Reviewing, studies: Mapping[str, str], open_page: OpenPage
) -> None:
    page = open_page(app(clinic, "/reviews"), user="olga")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^\d+ studies wait for a person$"))
    rows = page.locator("#rows tr[data-id]")
    expect(rows.filter(has_text="Desrosiers-Côté, N").first).to_contain_text("only one thing agrees")
    rail = page.get_by_role("navigation", name="Clinics")
    rail.get_by_role("link", name=re.compile("^Clinique Outremont")).click()
    expect(page).to_have_url(re.compile(r"\?Clinic=outremont$"))
    expect(rows.filter(has_not_text="Clinique Outremont")).to_have_count(0)
    expect(rows.first).to_contain_text("Gagné, Jean-Luc")
    page.get_by_role("navigation", name="Reviews").get_by_role("link", name="Decided").click()
    expect(page).to_have_url(re.compile("State=Resolved"))
    page.goto(app(clinic, "/"))
    expect(page.locator(".counts div").filter(has_text="Waiting for a person")).to_have_text(re.compile("[1-9]"))


def test_twins_stand_beside_the_images_with_what_differs_marked(
    clinic: Reviewing, studies: Mapping[str, str], open_page: OpenPage
) -> None:
    page = open_page(app(clinic, f"/reviews/{clinic.review_of(studies['twins'])}"), user="vera")
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_count(2)
    names = {tab.inner_text().split("·")[1].split(",")[1].split()[0] for tab in tabs.all()}
    assert names == {"Noah", "Nathan"}
    shown = page.locator(".candidate:visible")
    expect(shown).to_have_count(1)
    first = shown.get_attribute("data-candidate")
    assert any("as an initial" in each for each in bar(page))
    assert any("the same birth date: +14.6" in each for each in bar(page))
    expect(shown.locator("tbody td").nth(1).locator("mark.differs")).to_have_text(re.compile("^(oah|athan)$"))
    page.keyboard.press("j")
    expect(shown).not_to_have_attribute("data-candidate", str(first))
    page.keyboard.press("j")
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("k")
    expect(shown).to_have_attribute("data-candidate", str(first))


def test_a_slip_and_a_veto_are_told_in_words(
    clinic: Reviewing, studies: Mapping[str, str], open_page: OpenPage
) -> None:
    page = open_page(app(clinic, f"/reviews/{clinic.review_of(studies['slip'])}"), user="vera")
    expect(page.get_by_text("Why a person is asked: only one thing agrees; two are needed.")).to_be_visible()
    expect(page.locator("tr", has_text="Born").locator("mark.differs")).to_have_text(["3", "8"])
    page.goto(app(clinic, f"/reviews/{clinic.review_of(studies['veto'])}"))
    expect(page.get_by_text("the sex is another").first).to_be_visible()
    page = open_page(app(clinic, f"/reviews/{clinic.review_of(studies['veto'])}"), user="vera", locale="fr-CA")
    expect(page.get_by_role("heading", level=1)).to_have_text("De qui sont ces images ?")
    expect(page.get_by_text("le sexe").first).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("another")


def test_a_review_is_decided_by_keys_and_taken_back_with_its_consequences(
    clinic: Reviewing, open_page: OpenPage
) -> None:
    uids = [clinic.arrives(ANOTHER_SLIP, "Review", way=GATINEAU, seed=seed) for seed in (11, 12)]
    number = clinic.review_of(uids[0])
    page = open_page(app(clinic, f"/reviews/{number}"), user="olga")
    expect(page.get_by_text("You are looking at this")).to_be_visible()
    page.get_by_text("What follows from linking them").click()
    expect(page.locator(".follows")).to_contain_text("These would be routed to vna-qc now.")
    page.get_by_placeholder("Comment, if there is something to say").fill("called the clinic")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("l")
    expect(page.get_by_text("Linked.")).to_be_visible()
    expect(page).not_to_have_url(re.compile(f"/reviews/{number}$"))
    assert clinic.ask("GET", f"studies/{uids[0]}")["Match"]["CrmId"] == "P-1003"

    page.keyboard.press("u")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 delivery went to vna-qc.")
    expect(dialog).to_contain_text("These would be routed to vna-qc now.")
    answer(page, "it was her sister")
    expect(page).to_have_url(app(clinic, f"/reviews/{number}"))
    expect(page.locator("#standing")).to_contain_text("Waiting")

    eventually(lambda: clinic.ask("GET", f"studies/{uids[0]}")["Match"]["State"] == "Review", 15, "it is asked again")
    match = str(clinic.ask("GET", f"reviews/{number}")["Match"])
    expect(page.locator(f'#review[data-match="{match}"]').get_by_role("tab")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_text("Nobody: kept.")).to_be_visible()
    assert clinic.ask("GET", f"studies/{uids[0]}")["Match"]["State"] == "Unmatched"
    page.goto(app(clinic, f"/reviews/{number}"))
    expect(page.locator("#standing")).to_contain_text("Nobody, says olga")


def test_the_crm_is_asked_once_and_what_is_skipped_waits(clinic: Reviewing, open_page: OpenPage) -> None:
    uid = clinic.arrives(ANOTHER_SLIP, "Review", way=GATINEAU, seed=13)
    number = clinic.review_of(uid)
    page = open_page(app(clinic, f"/reviews/{number}"), user="olga")
    expect(page.get_by_text("You are looking at this")).to_be_visible()
    page.keyboard.press("c")
    expect(page.get_by_text("The CRM is asked to create the patient.")).to_be_visible()
    eventually(
        lambda: any(each.json["type"] == "patient.requested" for each in clinic.crm.requests), 15, "the CRM was asked"
    )
    page.goto(app(clinic, f"/reviews/{number}"))
    expect(page.get_by_role("button", name="Ask the CRM")).to_be_disabled()
    page.keyboard.press("s")
    expect(page).not_to_have_url(re.compile(f"/reviews/{number}$"))
    assert clinic.review_of(uid) == number


def test_two_people_never_decide_the_same(clinic: Reviewing, studies: Mapping[str, str], open_page: OpenPage) -> None:
    address = app(clinic, f"/reviews/{clinic.review_of(studies['veto'])}")
    olga = open_page(address, user="olga")
    expect(olga.get_by_text("You are looking at this")).to_be_visible()
    otto = open_page(address, user="otto")
    expect(otto.locator("#standing")).to_contain_text("olga la regarde")
    otto.keyboard.press("n")
    expect(otto.locator("#decide")).to_have_attribute("inert", "")
    otto.goto(app(clinic, "/reviews"))
    expect(otto.locator("#rows tr").filter(has_text="Gagné")).to_contain_text("olga la regarde")
    olga.goto(app(clinic, "/"))
    otto.goto(address)
    expect(otto.locator("#standing")).to_contain_text("Vous la regardez")


def test_somebody_else_of_the_crm_is_found_and_linked(clinic: Reviewing, open_page: OpenPage) -> None:
    uid = clinic.arrives(NOAH_OR_NATHAN, "Review", way=GATINEAU, seed=14)
    page = open_page(app(clinic, f"/reviews/{clinic.review_of(uid)}"), user="olga")
    expect(page.get_by_text("You are looking at this")).to_be_visible()
    page.keyboard.press("/")
    page.get_by_label("Name").fill("Nobody, Known")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Where the name is common, add the birth date.")).to_be_visible()
    page.get_by_label("Name").fill("Roy, Camille")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Compare").click()
    shown = page.locator(".candidate:visible")
    expect(shown).to_have_attribute("data-candidate", "P-1009")
    expect(shown.locator(".bit")).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Link to Roy, Camille")).click()
    expect(page.get_by_text("Linked.")).to_be_visible()
    assert clinic.ask("GET", f"studies/{uid}")["Match"]["CrmId"] == "P-1009"


def test_who_may_only_look_decides_nothing(clinic: Reviewing, studies: Mapping[str, str], open_page: OpenPage) -> None:
    page = open_page(app(clinic, f"/reviews/{clinic.review_of(studies['twins'])}"), user="vera")
    expect(page.get_by_role("tab").first).to_be_visible()
    expect(page.locator("#decide, .find")).to_have_count(0)
    page.keyboard.press("n")
    page.goto(app(clinic, f"/studies/{studies['sure']}"))
    expect(page.get_by_role("region", name="Whose images")).to_contain_text("Tremblay, Émilie")
    expect(page.locator("[data-by-hand]")).to_have_count(0)
    page = open_page(app(clinic, f"/studies/{studies['sure']}"), user="ada")
    expect(page.get_by_role("region", name="Whose images")).to_contain_text("Matched")
    assert "Tremblay" not in page.content()
    page = open_page(app(clinic, f"/reviews/{clinic.review_of(studies['twins'])}"), user="otto")
    expect(page.get_by_role("heading", level=1)).to_contain_text("rien ici")


def test_a_match_is_taken_back_and_made_by_hand_on_the_study(clinic: Reviewing, open_page: OpenPage) -> None:
    uid = clinic.arrives(EMILIE, "Matched", seed=15)
    page = open_page(app(clinic, f"/studies/{uid}"), user="olga")
    clinic.ask("POST", f"studies/{uid}/route", {"Reason": "see that the page tells of it"})
    page.get_by_role("link", name="The study has changed: show it anew").click()
    panel = page.get_by_role("region", name="Whose images")
    expect(panel).to_contain_text("> 99")
    panel.get_by_text("Compare, and see what it rests on").click()
    expect(panel.locator(".bit").first).to_be_visible()
    panel.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("dialog")).to_contain_text("1 delivery went to vna-qc.")
    answer(page, "another Émilie")
    eventually(lambda: clinic.ask("GET", f"studies/{uid}")["Match"]["State"] == "Review", 15, "it is asked again")
    expect(panel.get_by_role("link", name="Decide")).to_be_visible()  # by itself
    page.reload()
    panel.get_by_text("Link it to somebody").click()
    panel.get_by_label("Number").fill("P-1008")
    panel.get_by_role("button", name="Search").click()
    panel.get_by_role("button", name="Link", exact=True).click()
    answer(page, "she called")
    expect(panel).to_contain_text("Gagnon, Marie-Ève")
    expect(panel).to_contain_text("Linked by olga")
    expect(panel).to_contain_text("she called")
    panel.get_by_role("link", name="Gagnon, Marie-Ève").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gagnon, Marie-Ève")
    expect(page.get_by_text("in the images: Tremblay, Émilie")).to_be_visible()


def test_what_is_compared_with_somebody_who_is_forgotten_is_gone(clinic: Reviewing, open_page: OpenPage) -> None:
    gone = {"CrmId": "P-2001", "FamilyName": "Lavoie", "GivenNames": "Odile", "BirthDate": "1955-01-09", "Sex": "F"}
    clinic.ask("PUT", "patients/P-2001", gone)
    uid = clinic.arrives(person("Lavoie^Odile", "L-1", "19550108", "F"), "Review", seed=16)
    number = clinic.review_of(uid)
    page = open_page(app(clinic, f"/reviews/{number}"), user="olga")
    expect(page.get_by_role("heading", name="Lavoie, Odile")).to_be_visible()
    clinic.ask("DELETE", "patients/P-2001")
    eventually(lambda: not clinic.ask("GET", f"reviews/{number}")["Candidates"], 15, "nobody stands there any more")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Whose images are these?")
    expect(page.locator("main")).not_to_contain_text("1955-01-09")
    page.goto(app(clinic, "/patients/P-2001"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing here")


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewing]:
    """A network where two must agree, and every automatic match is looked at again."""
    with ExitStack() as ending:
        yield Reviewing.begin(tmp_path_factory.mktemp("careful"), ending, {"SecondLooks": 1, "FourEyes": True})


def test_four_eyes_decide_apart(careful: Reviewing, open_page: OpenPage) -> None:
    uid = careful.arrives(NOAH_OR_NATHAN, "Review", way=GATINEAU)
    address = app(careful, f"/reviews/{careful.review_of(uid)}")
    olga = open_page(address, user="olga")
    expect(olga.get_by_text("You are looking at this")).to_be_visible()
    name = olga.locator("[data-chosen-name]").inner_text()
    olga.keyboard.press("l")
    expect(olga.get_by_text("Kept: a second person decides next.")).to_be_visible()
    olga.goto(address)
    expect(olga.get_by_text("You have decided: a second person must, without you")).to_be_visible()
    expect(olga.locator("#decide")).to_have_count(0)
    root = open_page(address, user="root")
    expect(root.locator("#standing")).to_contain_text("olga has decided. Say what you think")
    expect(root.get_by_text("You are looking at this")).to_be_visible()
    root.get_by_role("tab", name=re.compile(name)).click()
    root.keyboard.press("l")
    expect(root.get_by_text("Linked.")).to_be_visible()
    assert careful.ask("GET", f"studies/{uid}")["Match"]["State"] == "Matched"


def test_a_second_look_does_not_see_what_relais_found(careful: Reviewing, open_page: OpenPage) -> None:
    uid = careful.arrives(EMILIE, "Matched", seed=2)
    number = careful.review_of(uid, "SecondLook")
    page = open_page(app(careful, f"/reviews/{number}"), user="olga")
    expect(page.get_by_role("heading", level=1)).to_have_text("Second look: whose images are these?")
    expect(page.locator(".candidate:visible")).to_be_visible()
    expect(page.locator(".bit, .share, .grade, .nobody")).to_have_count(0)
    expect(page.locator("main")).not_to_contain_text("Matched")
    page.get_by_role("tab", name=re.compile("Tremblay, Émilie")).click()
    page.keyboard.press("l")
    expect(page.get_by_text("Linked.")).to_be_visible()
    page.goto(app(careful, f"/reviews/{number}"))
    expect(page.locator("#standing")).to_contain_text("As Relais had matched it")


def test_without_a_crm_nobody_is_asked(network: object, open_page: OpenPage) -> None:
    page = open_page(f"{network.router.url}/relais/app/reviews")  # type: ignore[attr-defined]  # a Network
    expect(page.get_by_text("The CRM has given no patients yet")).to_be_visible()
    expect(page.get_by_role("link", name="Begin")).to_have_count(0)
