"""Markdown: the little that is needed to write it, and to read it back."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of code: its language, its text, and the line it begins on."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """Every page: README.md and whatever is under docs."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold Markdown, but no line ends."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: object) -> str:
    """Text as code."""
    return f"`{text}`"


def fenced(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(language=found[1], text=found[2], line=text.count("\n", 0, found.start()) + 1)


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[str]:
    """The headings of a page, without their marks and code signs."""
    return [found.replace("`", "").strip() for found in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)]


def anchor(heading: str) -> str:
    """What a link to a heading ends with, as GitHub and GitLab make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
