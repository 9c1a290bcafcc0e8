"""Python's logging into Orthanc's log, one line a record; a traceback follows its line."""

from __future__ import annotations

import logging
from collections.abc import Callable


class OrthancHandler(logging.Handler):
    """Hands records to Orthanc's three levels."""

    def __init__(
        self, *, info: Callable[[str], None], warning: Callable[[str], None], error: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._info, self._warning, self._error = info, warning, error
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record over."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._error(text)
        elif record.levelno >= logging.WARNING:
            self._warning(text)
        else:
            self._info(text)
