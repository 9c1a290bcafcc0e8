"""What becomes of a batch whose instances fail one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from relais.domain.retry import ErrorClass
from relais.transports.port import Item, SendingError

SETBACKS = 3
"""So many failures in a row that pass, and the peer is left alone for now."""


class Outcome:
    """What is known of a batch while it is being sent."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self.through = 0
        self._progress = progress
        self._refused: dict[str, SendingError] = {}
        self._setbacks: list[SendingError] = []

    @property
    def goes_on(self) -> bool:
        """Whether what is left should be tried."""
        return len(self._setbacks) < SETBACKS

    def took(self, count: int) -> None:
        """The peer has so many more."""
        if count:
            self.through += count
            self._setbacks.clear()
            self._progress(self.through)

    def takes(self, count: int) -> None:
        """It has so many of those that it is being sent."""
        self._progress(self.through + count)

    def refuse(self, items: Iterable[Item], error: SendingError) -> None:
        """The peer has not these."""
        self._refused |= {item.orthanc_id: error for item in items}

    def failed(self, item: Item, error: SendingError) -> None:
        """This one was refused; raises what concerns more than this one."""
        if error.unreachable or error.error_class is ErrorClass.Configuration:
            raise error
        self.refuse([item], error)
        if error.error_class is ErrorClass.Transient:
            self._setbacks.append(error)

    def leave(self, items: Iterable[Item]) -> None:
        """These are not tried any more: they share the last failure."""
        if self._setbacks:
            self.refuse(items, self._setbacks[-1])

    def end(self) -> Mapping[str, SendingError]:
        """What was refused; raises what passes, where nothing got through."""
        if not self.through:
            for error in self._refused.values():
                if error.error_class is ErrorClass.Transient:
                    raise error
        return self._refused
