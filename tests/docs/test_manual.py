"""The manual's links lead somewhere, its verbs exist, and its examples are valid."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relais.configuration import ConfigurationErrors, load
from relais.journal import EVENTS
from tests.docs import links
from tests.docs.markdown import DOCS, ROOT, blocks, pages

SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0"


def label(page: Path) -> str:
    return str(page.relative_to(ROOT))


def json_blocks() -> Iterator[tuple[str, Any]]:
    """Every block of JSON with its place; a piece of an object stands without its braces."""
    for page in pages():
        for block in blocks(page.read_text()):
            if block.language == "json":
                text = block.text if block.text.lstrip().startswith(("{", "[")) else f"{{{block.text}}}"
                yield f"{label(page)}:{block.line}", json.loads(text)


def sections() -> list[Any]:
    """Every configuration that the manual shows."""
    found = [(place, each["Relais"]) for place, each in json_blocks() if isinstance(each, dict) and "Relais" in each]
    return [pytest.param(section, id=place) for place, section in found]


def test_every_link_leads_somewhere() -> None:
    assert links.broken_links() == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "README.md"
    broken = tmp_path / "page.md"
    broken.write_text(f"# A page\n\n[here](#a-page) [gone](gone.md) [no](#nothing) [out]({page})\n")
    monkeypatch.setattr(links, "ROOT", tmp_path)
    monkeypatch.setattr(links, "pages", lambda: [broken])
    assert links.broken_links() == ["page.md: gone.md", "page.md: #nothing", f"page.md: {page}"]


@pytest.mark.parametrize("page", pages(), ids=label)
def test_every_verb_exists(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make (?:-C \S+ )?([a-z-]+)", page.read_text(), re.MULTILINE))
    assert named <= verbs


@pytest.mark.parametrize("page", pages(), ids=label)
def test_a_page_begins_with_its_title(page: Path) -> None:
    assert page.read_text().startswith("# ")


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    missing = [page for page in pages() if page.is_relative_to(DOCS) and page.name != "README.md"]
    assert not [label(page) for page in missing if f"({page.relative_to(DOCS)})" not in index]


@pytest.mark.parametrize("section", sections())
def test_a_configuration_of_the_manual_is_valid(
    section: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DICOM_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("CRM_TOKEN", SECRET)
    load(section, directory=tmp_path)


def test_the_rule_of_the_manual_is_valid(tmp_path: Path) -> None:
    (rule,) = [each for place, each in json_blocks() if place.startswith("docs/reference/rules.md") and "When" in each]
    destination = {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104}
    section = {"Rules": [rule], "Clinics": {"outremont": {}}, "Destinations": {"vna-qc": destination}}
    assert load(section, directory=tmp_path).rules[0].name == "dental to Quebec VNA"


def test_mistakes_are_worded_as_the_manual_says(tmp_path: Path) -> None:
    (shown,) = [each.text for each in blocks((DOCS / "reference/options.md").read_text()) if each.language == "text"]
    vna = {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104}
    rule = {"DeliverTo": ["vna-qc"]}
    section = {
        "Language": "en",
        "Destinations": {"vna-qc": vna, "cloud": {"Kind": "DicomWebb", "Url": "https://cloud.example"}},
        "Rules": [{**rule, "Name": "a"}, {**rule, "Name": "b"}, {"Name": "c", "DeliverTo": ["vna2"]}],
    }
    with pytest.raises(ConfigurationErrors) as refusal:
        load(section, directory=tmp_path)
    assert sorted(str(refusal.value).splitlines()) == sorted(shown.splitlines())


def test_an_events_example_is_of_its_type() -> None:
    bodies = [each for place, each in json_blocks() if place.startswith("docs/reference/events.md")]
    assert tuple(each["type"] for each in bodies) == EVENTS
