"""Work in a process of its own, of low priority: live routing keeps the interpreter to itself.

Both speak lines of JSON: the process is told what it begins with, then a page at a time, and answers each. It opens no
database and no connection, knows no secret, and ends when its input does.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from relais.worker import StoppingError

TURN = 0.1
"""Seconds between looks at whether Relais stops."""
NICE = 15
"""Its weight is 36 where others have 1024."""
CHUNK = 1 << 16
COMPLAINT = 1000
"""Characters of its last words that are told."""

_START = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"


class ApartError(Exception):
    """The process ended without an answer; the text has its last words."""


class NoInterpreterError(Exception):
    """This machine has no Python that could run beside the embedded one."""


class Apart:
    """A process for one block, at whose beginning NoInterpreterError is raised.

    `interpreter` is the Python that runs it, None if there is none; `begun` is what it is told first.
    """

    MODULE: ClassVar[str]
    """The module whose `main` it runs."""

    def __init__(self, interpreter: str | None, begun: Mapping[str, Any], stopping: threading.Event) -> None:
        self._interpreter = interpreter
        self._stopping = stopping
        self._begun = begun
        self._read = b""

    def __enter__(self) -> Self:
        if self._interpreter is None:
            raise NoInterpreterError
        self._complaints = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                [
                    self._interpreter,
                    "-I",
                    "-S",
                    "-c",
                    _START.format(path=[each for each in sys.path if each], module=self.MODULE),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                bufsize=0,
            )
        except OSError as error:
            self._complaints.close()
            raise NoInterpreterError from error
        self._write(json.dumps(self._begun).encode() + b"\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def ask(self, line: bytes) -> bytes:
        """The answer to a line; raises StoppingError when Relais ends meanwhile, ApartError when the process did."""
        self._write(line + b"\n")
        return self._line()

    def _write(self, line: bytes) -> None:
        """Write without waiting longer than it takes to notice that Relais stops."""
        stream = self._process.stdin
        if stream is None:
            raise ApartError("it has no input")
        os.set_blocking(stream.fileno(), False)
        left = memoryview(line)
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_WRITE)
            while left:
                self._wait(selector)
                try:
                    left = left[os.write(stream.fileno(), left[:CHUNK]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise ApartError(self._last_words()) from None

    def _line(self) -> bytes:
        stream = self._process.stdout
        if stream is None:
            raise ApartError("it has no output")
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._read:
                self._wait(selector)
                read = os.read(stream.fileno(), CHUNK)
                if not read:
                    raise ApartError(self._last_words())
                self._read += read
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _wait(self, selector: selectors.BaseSelector) -> None:
        """Until the stream is ready."""
        while not selector.select(TURN):
            if self._stopping.is_set():
                raise StoppingError
        if self._stopping.is_set():
            raise StoppingError

    def _last_words(self) -> str:
        self._process.kill()
        status = self._process.wait()
        self._complaints.seek(0)
        words = self._complaints.read().decode(errors="replace").strip()
        return f"status {status}: {words[-COMPLAINT:]}"


Worker = TypeVar("Worker")
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def side_by_side(
    items: Iterable[Item],
    begin: Callable[[], AbstractContextManager[Worker]],
    ask: Callable[[Worker, Item], Answer],
    here: Callable[[Item], Answer],
    amount: int,
) -> Generator[tuple[Item, Answer], None, None]:
    """Each item with what a process made of it, in their order, while so many processes work on the next ones.

    On a machine that has no Python beside the embedded one, `here` does the same.
    """
    with ExitStack() as stack:
        free: SimpleQueue[Worker] = SimpleQueue()
        try:
            for _ in range(amount):
                free.put(stack.enter_context(begin()))
        except NoInterpreterError:
            yield from ((item, here(item)) for item in items)
            return
        pool = stack.enter_context(ThreadPoolExecutor(amount, thread_name_prefix="relais-apart"))

        def answered(item: Item) -> tuple[Item, Answer]:
            process = free.get()
            try:
                return item, ask(process, item)
            finally:
                free.put(process)

        ahead: deque[Future[tuple[Item, Answer]]] = deque()
        for item in items:
            ahead.append(pool.submit(answered, item))
            if len(ahead) > amount:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def find_interpreter() -> str | None:
    """A Python of the version that is embedded here: the packages were made for that one."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    environments = (Path(__file__).resolve().parents[2] / ".venv" / "bin", Path(sys.base_prefix) / "bin")
    for folder in environments:
        if (folder / name).exists():
            return str(folder / name)
    return shutil.which(name, path=os.defpath)


def serve(begin: Callable[[Mapping[str, Any]], Callable[[str], Any]]) -> None:
    """The process's own side: `begin` takes what it is told first, and gives what answers a line."""
    sys.excepthook = _complain
    _stand_back()
    answer = begin(json.loads(sys.stdin.buffer.readline()))
    gc.disable()  # a page leaves no circles behind, and to look for some takes a fifth of the time
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(json.dumps(answer(line.decode())).encode() + b"\n")
        sys.stdout.buffer.flush()


def _complain(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    """Where it ended, and of what; not the message, which could name a patient."""
    sys.stderr.write("".join([*traceback.format_tb(trace)[-3:], kind.__name__]))


def _stand_back() -> None:
    """Leave the processor to whoever else wants it (sched(7)): on a busy machine one part in thirty is taken.

    Not SCHED_IDLE: beside a router that never rests, a replay would never end.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
