"""What a destination receives of an instance: here the stored file, as it is."""

from __future__ import annotations

from collections.abc import Iterator

from relais.domain.retry import ErrorClass
from relais.errors import OrthancError
from relais.transports.port import Item, OrthancApi, SendingError

MISSING = 404


class Stored:
    """The file as Orthanc stores it."""

    as_stored = True

    def __init__(self, orthanc: OrthancApi) -> None:
        self._orthanc = orthanc

    def read(self, item: Item) -> Iterator[bytes]:
        """The file, in chunks."""
        try:
            yield from self._orthanc.stream(f"/instances/{item.orthanc_id}/file")
        except OrthancError as error:
            raise refused_by_orthanc(error) from error

    def named(self, item: Item) -> Item:
        """The item itself."""
        return item


def refused_by_orthanc(error: OrthancError) -> SendingError:
    """Orthanc did not hand it over: the instance is gone from it, or something passes."""
    if error.status == MISSING:
        return SendingError(ErrorClass.Permanent, "not-in-orthanc", "an instance is no longer in Orthanc")
    return SendingError(ErrorClass.Transient, f"orthanc-{error.status}", "Orthanc did not hand the instance over")
