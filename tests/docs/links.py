"""Links inside the manual: each leads to a file, or to a heading of a page, that is there."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.markdown import ROOT, anchor, headings, pages, prose

_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def broken_links() -> list[str]:
    """Every relative link that leads nowhere, as `page: link`."""
    return [f"{page.relative_to(ROOT)}: {link}" for page in pages() for link in _links(page) if not _leads(page, link)]


def _links(page: Path) -> Iterator[str]:
    text = re.sub(r"`[^`\n]*`", "", prose(page.read_text()))
    return (link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link))


def _leads(page: Path, link: str) -> bool:
    path, _, place = link.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.exists() or not there.is_relative_to(ROOT):
        return False
    return not place or (there.suffix == ".md" and place in {anchor(each) for each in headings(there.read_text())})
