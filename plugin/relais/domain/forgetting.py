"""A decision without what the CRM said of a patient who was forgotten: what rules saw of patient and order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SAID = ("Patient", "Order")
"""What of the facts is the CRM's word; all else is the images' and the network's."""
_FIELDS = tuple(f"{each}." for each in SAID)


def without_patient(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The document of facts, without the CRM's word."""
    return {key: value for key, value in facts.items() if key not in SAID}


def without_seen(document: Any) -> Any:
    """The document of a decision, with `Forgotten` for what its answers saw of the patient and of the order."""
    if isinstance(document, list):
        return [without_seen(each) for each in document]
    if not isinstance(document, Mapping):
        return document
    kept = {key: without_seen(value) for key, value in document.items()}
    if "Seen" in kept and str(kept.get("Field")).startswith(_FIELDS):
        del kept["Seen"]
        kept["Forgotten"] = True
    return kept
