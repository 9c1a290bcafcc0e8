"""What comes on an association that fetches by C-GET (PS3.4 section C.4.3): what is proposed for it, and where it goes.

We fetch ourselves: Orthanc does so since 1.12.6, but keeps the association for as long as it remembers the job, so that
a source soon takes no more of them [measured with 1.12.7].
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from itertools import islice, product

from relais.errors import OrthancError, OrthancUnavailableError
from relais.transports.port import OrthancApi

MOST = 127
"""Contexts beside that of the question (PS3.8 section 9.3.2.2: odd numbers below 256)."""
SYNTAXES = (
    "1.2.840.10008.1.2.1",  # explicit VR little endian
    "1.2.840.10008.1.2",  # implicit VR little endian
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS
    "1.2.840.10008.1.2.1.99",  # deflated
)
"""In which images are taken: as the source keeps them, for few can change that while they send."""
USUAL = (
    "1.2.840.10008.5.1.4.1.1.1.1",  # digital X-ray
    "1.2.840.10008.5.1.4.1.1.1.3",  # digital intra-oral X-ray
    "1.2.840.10008.5.1.4.1.1.1",  # computed radiography
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.2.1",  # enhanced CT
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.6.1",  # ultrasound
    "1.2.840.10008.5.1.4.1.1.7",  # secondary capture
    "1.2.840.10008.5.1.4.1.1.77.1.4",  # photography
    "1.2.840.10008.5.1.4.1.1.104.1",  # PDF
)
"""The SOP classes that are asked for where the source does not say which a study has."""
_NOT_UNDERSTOOD, _NO_RESOURCES = 0xC000, 0xA700  # PS3.4 table B.2-1


def proposed(classes: Collection[str]) -> list[tuple[str, str]]:
    """SOP class and transfer syntax of each context: a source names only one syntax of a context."""
    pairs = product(SYNTAXES, sorted(classes) or USUAL)
    return [(name, syntax) for syntax, name in islice(pairs, MOST)]


def keep(orthanc: OrthancApi, content: bytes) -> int:
    """Hand a file to Orthanc; answers the status of its C-STORE."""
    try:
        orthanc.post_bytes("/instances", content)
    except OrthancError as error:
        return _NOT_UNDERSTOOD if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else _NO_RESOURCES
    except OrthancUnavailableError:
        return _NO_RESOURCES
    return 0
