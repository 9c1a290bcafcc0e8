"""A folder whose file system stopped answering, as one of a network does whose server is gone."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import TracebackType
from typing import Self

_DETACH = 2


class HungFolder:
    """Whatever touches the folder inside `with` waits in the kernel; afterwards it fails, and the folder is as before.

    A FUSE mount over it to which nobody answers. Entering raises OSError where this machine allows none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.fsencode(folder)
        self._kernel = ctypes.CDLL(None, use_errno=True)
        self._device = -1

    def __enter__(self) -> Self:
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
        if self._kernel.mount(b"hung", self._folder, b"fuse", 0, options) != 0:
            os.close(self._device)
            raise OSError(ctypes.get_errno(), "nothing can be mounted here")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kernel.umount2(self._folder, _DETACH)
        os.close(self._device)
