"""A TCP proxy whose network can be broken while it runs."""

import enum
import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.servers.ports import free_port

_CHUNK_BYTES = 65536
_PAUSE = 0.05


class Fault(enum.Enum):
    """What the network between the two ends does."""

    NONE = "forwards everything"
    BLACK_HOLE = "accepts, and swallows every byte in both directions"
    RESET = "cuts each connection with a TCP reset"
    REFUSE = "nobody listens"
    CUT = "cuts each connection with a TCP reset after `bytes_before` bytes from the client"
    HALF_CLOSE = "tells the server that the client is done after `bytes_before` bytes, and swallows the rest"
    CORRUPT = "changes one byte of each chunk from the client that follows the first `bytes_before` bytes"


_RESETS = {Fault.RESET, Fault.REFUSE, Fault.CUT}


class Proxy:
    """Stands on `port` before a server on `destination_port`, both on the loopback.

    `fault` may be set at any time and acts on open connections too: those that it cuts are gone before another fault,
    or none, takes its place. `bytes_per_second` slows each direction
    of each connection down, `latency` delays each chunk by so many seconds. `connections` counts what was accepted and
    `bytes_forwarded` what went through.
    """

    def __init__(self, destination_port: int) -> None:
        self.port = free_port()
        self.bytes_per_second: int | None = None
        self.latency = 0.0
        self.bytes_before = 20_000
        self.connections = 0
        self.bytes_forwarded = 0
        self._destination_port = destination_port
        self._fault = Fault.NONE
        self._ended = False
        self._lock = threading.Lock()
        self._serving: set[threading.Thread] = set()
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._deafen()

    @property
    def fault(self) -> Fault:
        """What the network does now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        if self._fault in {Fault.RESET, Fault.REFUSE}:
            for serving in set(self._serving):
                serving.join()
        was, self._fault = self._fault, fault
        if fault is Fault.REFUSE:
            self._deafen()
        elif was is Fault.REFUSE:
            self._listen()

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _deafen(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # closed by _deafen
            self.connections += 1
            serving = threading.Thread(target=self._serve, args=(near,), daemon=True)
            self._serving.add(serving)
            serving.start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._destination_port), timeout=5)
        except OSError:
            _reset(near)
            self._serving.discard(threading.current_thread())
            return
        ends = (near, far)
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(_PAUSE)
        pumps = [
            threading.Thread(target=self._pump, args=(near, far, True), daemon=True),
            threading.Thread(target=self._pump, args=(far, near, False), daemon=True),
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        for end in ends:
            _reset(end) if self._fault in _RESETS else end.close()
        self._serving.discard(threading.current_thread())

    def _pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        """Move bytes one way until either end closes or the fault cuts the connection."""
        moved = 0
        try:
            while not self._ended and self._fault not in {Fault.RESET, Fault.REFUSE}:
                try:
                    content = source.recv(self._chunk_bytes())
                except TimeoutError:
                    continue
                if not content:
                    sink.shutdown(socket.SHUT_WR)
                    return
                moved += len(content)
                if upward and moved > self.bytes_before:
                    content = self._spoil(content, source, sink)
                time.sleep(self.latency)
                if self._fault is not Fault.BLACK_HOLE:
                    self._forward(content, sink)
        except OSError:
            return  # the other direction, or an end, closed first

    def _spoil(self, content: bytes, source: socket.socket, sink: socket.socket) -> bytes:
        """What is left of these bytes from the client, now that the fault strikes."""
        if self._fault is Fault.CORRUPT:
            return bytes([content[0] ^ 0x55]) + content[1:]
        if self._fault is Fault.CUT:
            _reset(source)
            _reset(sink)
        elif self._fault is Fault.HALF_CLOSE:
            sink.shutdown(socket.SHUT_WR)
        return content

    def _forward(self, content: bytes, sink: socket.socket) -> None:
        while content:
            try:
                sent = sink.send(content)
            except TimeoutError:
                if self._ended or self._fault is not Fault.NONE:
                    return
                continue
            content = content[sent:]
            with self._lock:
                self.bytes_forwarded += sent
            if self.bytes_per_second:
                time.sleep(sent / self.bytes_per_second)

    def _chunk_bytes(self) -> int:
        if self.bytes_per_second is None:
            return _CHUNK_BYTES
        return max(1, min(_CHUNK_BYTES, self.bytes_per_second // 20))


def _reset(end: socket.socket) -> None:
    """Close with RST instead of FIN (SO_LINGER of zero seconds); one that is closed stays so."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
