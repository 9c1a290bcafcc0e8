"""Preview images: a JPEG of the middle instance of a series, or a drawing that says why there is none."""

from __future__ import annotations

import hashlib
from html import escape

from relais.errors import OrthancError
from relais.orthanc import Orthanc

_MISSING = 404


def render(orthanc: Orthanc, instance: str, width: int) -> bytes | None:
    """A JPEG of an instance's middle frame, `width` pixels wide; None when it has no pixels that Orthanc can draw."""
    path = f"/instances/{instance}/rendered?width={width}"
    try:
        return orthanc.read(path, accept="image/jpeg")
    except OrthancError:
        return None


def etag(instance: str, sequence: int, width: int) -> str:
    """Changes when the study does: Orthanc keeps an instance's id when its content is replaced."""
    return hashlib.sha256(f"{instance} {sequence} {width}".encode()).hexdigest()[:32]


def placeholder(text: str, width: int) -> bytes:
    """An SVG that says `text` (such as a modality) where an image would be."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{width}" viewBox="0 0 100 100" role="img">'
        f"<title>{escape(text)}</title>"
        '<rect width="100" height="100" fill="#8884"/>'
        '<text x="50" y="54" font-family="system-ui, sans-serif" font-size="11" text-anchor="middle" fill="#888">'
        f"{escape(text)}</text></svg>"
    ).encode()
