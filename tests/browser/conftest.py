"""Chromium, and the networks that its pages show."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.network import Network

CHROMIUM = "/usr/bin/chromium"
SECONDS = 15
PASSWORD = "not-a-secret"
USERS = {
    "vera": {"Roles": ["Viewer"], "Clinics": ["*"]},
    "otto": {"Roles": ["Operator"], "Clinics": ["outremont"], "Language": "fr"},
    "ada": {"Roles": ["Auditor"], "Clinics": ["*"]},
}

expect.set_options(timeout=SECONDS * 1000)

OpenPage = Callable[..., Page]


LOOKS = [
    ("en", "light", 1400),
    ("fr", "dark", 400),
    pytest.param("fr", "dark", 1400, marks=pytest.mark.chaos),
    pytest.param("en", "light", 400, marks=pytest.mark.chaos),
]
"""Language, theme and width in which pages are looked at: each of them always, the other pairs by `make chaos`."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        ) as chromium,
    ):
        yield chromium


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A network in which studies of every fate have come."""
    with ExitStack() as ending:
        network = Network(tmp_path_factory.mktemp("network")).start(ending)
        network.seed()
        yield network


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A network whose Orthanc asks for names and passwords; no study has come."""
    users = dict.fromkeys([*USERS, "stranger"], PASSWORD)
    options = {"AuthenticationEnabled": True, "RegisteredUsers": users}
    with ExitStack() as ending:
        yield Network(tmp_path_factory.mktemp("guarded"), router_options=options, users=USERS).start(ending)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open pages by address; whatever the browser complains about, a breach of the CSP included, fails the test."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not page_itself(message):
            complaints.append(f"{message.text} ({message.location['url']})")

    def page_itself(message: ConsoleMessage) -> bool:
        """Whether it tells only that the page's own status is 403 or 404, or that a review is no longer to be had."""
        loaded, what = message.page.url if message.page else None, message.location["url"]
        failed = message.text.startswith("Failed to load resource")
        return failed and (what == loaded or ("409" in message.text and what.endswith("/claim")))

    def open_(
        url: str, *, user: str | None = None, width: int = 1400, theme: str = "light", locale: str = "en-CA"
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            locale=locale,
            http_credentials={"username": user, "password": PASSWORD} if user else None,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def authorization(user: str) -> dict[str, str]:
    """The header of a user who calls without a browser."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()}


def screenshots() -> Path:
    """Where pictures of the pages are kept."""
    folder = Path(__file__).parents[2] / "var" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
