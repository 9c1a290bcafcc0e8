"""Every word of the pages has its French, and the picture its geometry."""

from __future__ import annotations

from pathlib import Path

from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from relais.texts import LOCALES
from relais.web.pages.flow import ROW, draw

PLUGIN = Path(__file__).parents[2] / "plugin" / "relais"
KEYWORDS = {"_": None, "t": None, "say": None, "n": (1, 2), "count": (1, 2), "RefusedError": (2,)}


def test_every_message_is_translated() -> None:
    with (LOCALES / "fr" / "LC_MESSAGES" / "relais.po").open("rb") as file:
        catalogue = read_po(file, locale="fr")
    found = extract_from_dir(
        PLUGIN, method_map=[("**.py", "python"), ("web/templates/**.html", "jinja2")], keywords=KEYWORDS
    )
    messages = {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found} - {""}
    missing = [message for message in messages if not _is_translated(catalogue.get(message))]
    assert len(messages) > 200
    assert missing == []


def _is_translated(entry: Message | None) -> bool:
    translations = entry.string if entry is not None else ""
    return bool(translations) if isinstance(translations, str) else all(translations or [""])


def test_strands_fill_the_picture_and_never_cross_their_neighbours() -> None:
    drawn = draw({"A": 100, "B": 1}, {"vna": 101}, {"vna": "well", "idle": "down", "third": "unsure"})
    assert drawn.height == 3 * ROW
    assert [strand.name for strand in drawn.sources] == ["A", "B"]
    assert drawn.sources[0].width > drawn.sources[1].width > 0
    assert {strand.name: strand.studies for strand in drawn.destinations} == {"vna": 101, "idle": 0, "third": 0}
    starts = [float(strand.path.split()[1]) for strand in drawn.destinations]
    widths = [strand.width for strand in drawn.destinations]
    for (upper, thick), (lower, thin) in zip(
        zip(starts, widths, strict=True), list(zip(starts, widths, strict=True))[1:], strict=False
    ):
        assert lower - upper >= (thick + thin) / 2


def test_the_smaller_senders_are_counted() -> None:
    drawn = draw({f"S{number}": number for number in range(1, 12)}, {}, {})
    assert len(drawn.sources) == 8
    assert drawn.others == 3
