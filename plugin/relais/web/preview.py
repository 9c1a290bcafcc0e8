"""Preview images: a JPEG of the middle instance of a series, or a drawing that says what is there instead."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from html import escape

from flask import current_app
from sqlalchemy import RowMapping

from relais.errors import OrthancError, UnknownError
from relais.orthanc import Orthanc
from relais.texts import _

KEPT = 32 * 2**20
"""Bytes of images that are kept in memory: some thousand thumbnails."""
AT_ONCE = 3
"""Images that are drawn at the same time: one may be a frame of a scan of a gigabyte, and Orthanc has work to do."""
UNTOUCHED = 500
"""From this status on it is Orthanc that fails, not the image: asked again, it may be drawn."""
MISSING = 404

PIXELLESS = frozenset({"AU", "DOC", "ECG", "FID", "KO", "M3D", "PLAN", "PR", "REG", "RTPLAN", "RTSTRUCT", "RWV", "SR"})
"""Modalities (PS3.3 section C.7.3.1.1.1) of series that are no images."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
KINDS = (
    (f"{_STORAGE}104.1", _("PDF document")),
    (f"{_STORAGE}104.2", _("Text document")),
    (f"{_STORAGE}104.", _("3D model")),
    (f"{_STORAGE}88.59", _("Choice of images")),
    (f"{_STORAGE}88.", _("Report")),
    (f"{_STORAGE}11.", _("Notes on images")),
    (f"{_STORAGE}9.", _("Waveform")),
    (f"{_STORAGE}481.", _("Radiotherapy")),
    *((f"{_STORAGE}77.1.{each}.1", _("Video")) for each in (1, 2, 4)),
    (f"{_STORAGE}66", _("Raw data")),
)
"""What people call the SOP classes (PS3.4 section B.5) that Orthanc cannot draw, by their beginnings."""


class Previews:
    """Draws images, and keeps the latest as long as they fit."""

    def __init__(self, orthanc: Orthanc) -> None:
        self._orthanc = orthanc
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._places = threading.Semaphore(AT_ONCE)

    def jpeg(self, instance: str, tag: str, width: int) -> bytes | None:
        """The instance's middle frame, in a square of `width` pixels; None when Orthanc cannot draw it.

        `tag` tells images apart. Raises UnknownError when Orthanc has no such instance.
        """
        with self._lock:
            found = self._kept.get(tag)
            if found is not None:
                self._kept.move_to_end(tag)
        if found is None:
            found = self._drawn(instance, tag, width)
        return found or None

    def _drawn(self, instance: str, tag: str, width: int) -> bytes:
        try:
            with self._places:
                frames: Sequence[int] = self._orthanc.get(f"/instances/{instance}/frames")
                where = f"/instances/{instance}/frames/{len(frames) // 2}"
                image = self._orthanc.read(f"{where}/rendered?width={width}&height={width}", accept="image/jpeg")
        except OrthancError as error:
            if error.status == MISSING:
                raise UnknownError("instance", instance) from error
            image = b""
            if error.status >= UNTOUCHED:
                return image
        self._keep(tag, image)
        return image

    def _keep(self, tag: str, image: bytes) -> None:
        with self._lock:
            self._size += len(image) - len(self._kept.pop(tag, b""))
            self._kept[tag] = image
            while self._size > KEPT or len(self._kept) > KEPT // 1024:
                self._size -= len(self._kept.popitem(last=False)[1])


def previews() -> Previews:
    """Those of the application that answers."""
    found: Previews = current_app.extensions["relais.previews"]
    return found


def etag(instance: str, sequence: int, width: int) -> str:
    """Changes when the study does: Orthanc keeps an instance's id when its content is replaced."""
    return hashlib.sha256(f"{instance} {sequence} {width}".encode()).hexdigest()[:32]


def pictured(series: Sequence[RowMapping]) -> RowMapping | None:
    """The series that shows best what a study is: the first that may have images."""
    return next((each for each in series if each["modality"] not in PIXELLESS), series[0] if series else None)


def kind_of(sop_class_uid: str | None) -> str | None:
    """What people call it, as a message; None where it may well be an image."""
    return next((word for start, word in KINDS if (sop_class_uid or "").startswith(start)), None)


def placeholder(what: str, why: str, width: int) -> bytes:
    """An SVG that says `what` is there, and `why` no image is."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{width}" viewBox="0 0 100 100" role="img">'
        f"<title>{escape(what)}: {escape(why)}</title>"
        '<rect width="100" height="100" fill="#20262d"/>'
        '<path d="M38 20h18l8 8v22H38zM56 20v8h8M44 36h14M44 42h14" fill="none" stroke="#8794a1" stroke-width="1.5"/>'
        '<g font-family="system-ui, sans-serif" text-anchor="middle">'
        f'<text x="50" y="68" font-size="10" fill="#dfe6ec">{escape(what)}</text>'
        f'<text x="50" y="81" font-size="7.5" fill="#9daab7">{escape(why)}</text></g></svg>'
    ).encode()
