"""A folder of an SFTP server (draft-ietf-secsh-filexfer-02), whose host key is always checked.

One connection a batch. The protocol has no way to ask that bytes be on the disk: what is promised is that the server
has them all and that the name appeared at once.
"""

from __future__ import annotations

import errno
import logging
import os
import posixpath
import socket
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from relais.configuration.destinations import FilesDestination
from relais.domain.retry import ErrorClass
from relais.transports.files_store import CHUNK, PROBE_SECONDS, refused_by_system
from relais.transports.port import SendingError, Stop

if TYPE_CHECKING:
    import paramiko

SSH_PORT = 22
KNOWN_HOSTS = "~/.ssh/known_hosts"
ASIDE = "~"
"""Ends the name of the earlier file, for the moment in which a server that cannot replace in one step has neither."""
REQUESTS = 64
"""Requests of 32 KB that are under way at once when a file is read back."""


class SftpStore:
    """The folder of an `sftp://host/folder` URL."""

    def __init__(self, destination: FilesDestination) -> None:
        parts = urlsplit(destination.url)
        self._destination = destination
        self._host = parts.hostname or ""
        self._port = parts.port or SSH_PORT
        self._root = unquote(parts.path) or "/"

    def probe(self) -> None:
        """Connect, and make the folder if need be."""
        never = threading.Event()
        with self._told(never), self._connection(min(PROBE_SECONDS, self._destination.timeout)) as client:
            SftpPlace(client, self._root).make(self._root)

    @contextmanager
    def opened(self, stopping: Stop) -> Iterator[SftpPlace]:
        """The server, over a connection of its own."""
        with self._told(stopping), self._connection(self._destination.timeout) as client:
            yield SftpPlace(client, self._root)

    def close(self) -> None:
        """Nothing is kept open."""

    @contextmanager
    def _connection(self, seconds: int) -> Iterator[paramiko.SFTPClient]:
        # Imported where needed: it costs a tenth of a second and 30 MB, which who sends elsewhere need not pay.
        import paramiko

        logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs what it raises
        with paramiko.SSHClient() as ssh:
            # The library waits without end for some of the answers.
            over = threading.Event()

            def end() -> None:
                over.set()
                ssh.close()

            late = threading.Timer(seconds, end)
            late.daemon = True
            late.start()
            try:
                self._log_in(ssh, seconds)
                client = ssh.open_sftp()
            except (EOFError, paramiko.SSHException) as error:
                if over.is_set():
                    raise TimeoutError from error
                raise
            finally:
                late.cancel()
            channel = client.get_channel()
            if channel is not None:
                channel.settimeout(seconds)
            yield client

    def _log_in(self, ssh: paramiko.SSHClient, seconds: int) -> None:
        import paramiko

        password = None if self._destination.password is None else self._destination.password.resolve()
        key = None if self._destination.private_key is None else _private_key(self._destination.private_key, password)
        self._load_host_keys(ssh)
        ssh.set_missing_host_key_policy(_refusal_of_unknown(self._destination.url))
        line = socket.create_connection((self._host, self._port), seconds)
        # A peer that takes no more bytes would hold the library's own thread for ever (RFC 5482, milliseconds).
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            ssh.connect(
                self._host,
                self._port,
                self._destination.user,
                password if key is None else None,
                key,
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
                allow_agent=False,
                look_for_keys=False,
                sock=line,
            )
        except paramiko.BadHostKeyException as error:
            text = f"{self._destination.url}: the server's host key is not the known one"
            raise SendingError(ErrorClass.Configuration, "host-key-changed", text) from error
        except paramiko.AuthenticationException as error:
            transport = ssh.get_transport()
            if transport is None or not transport.is_active():  # the line broke, which says nothing of the user
                raise EOFError from error
            text = f"{self._destination.url}: the server does not let this user in"
            raise SendingError(ErrorClass.Configuration, "authentication", text) from error
        except BaseException:
            line.close()
            raise

    def _load_host_keys(self, ssh: paramiko.SSHClient) -> None:
        import paramiko

        file = Path(self._destination.known_hosts or KNOWN_HOSTS).expanduser()
        try:
            ssh.load_system_host_keys(str(file))
        except (OSError, ValueError, paramiko.SSHException) as error:
            text = f"{self._destination.url}: {file} cannot be read"
            raise SendingError(ErrorClass.Configuration, "known-hosts", text) from error

    @contextmanager
    def _told(self, stopping: Stop) -> Iterator[None]:
        """Whatever the server refuses, or the way to it, as a SendingError; as InterruptedError when all stops."""
        import paramiko

        url = self._destination.url
        try:
            yield
        except (OSError, EOFError, paramiko.SSHException) as error:
            if stopping.is_set() or isinstance(error, InterruptedError):
                raise InterruptedError from error
            raise _refused(error, url) from error


class SftpPlace:
    """A folder over one connection; raises what the library raises, which the store words."""

    def __init__(self, client: paramiko.SFTPClient, root: str) -> None:
        self._client = client
        self._root = root
        self._made: set[str] = set()

    def size(self, path: str) -> int | None:
        """The bytes of a file; None if there is none."""
        for name in (self._full(path), self._full(path) + ASIDE):
            with suppress(FileNotFoundError):
                return self._client.stat(name).st_size
        return None

    def read(self, path: str) -> Iterator[bytes]:
        """A file that is there, in chunks."""
        try:
            file = self._client.open(self._full(path), "rb")
        except FileNotFoundError:
            file = self._client.open(self._full(path) + ASIDE, "rb")
        with file, self._hanging_up():
            file.prefetch(file.stat().st_size, REQUESTS)
            while chunk := file.read(CHUNK):
                yield chunk

    def write(self, path: str, content: Iterable[bytes]) -> None:
        """Put a file there under another name, compare its size, then give it its own name.

        The other name is always the same, so that a retry writes over what a kill left behind.
        """
        final = self._full(path)
        folder, name = posixpath.split(final)
        temporary = posixpath.join(folder, f".{name}.part")
        self.make(folder)
        try:
            with self._hanging_up():
                size = self._fill(temporary, content)
                _compare(self._client.stat(temporary).st_size, size)
                self._rename(temporary, final)
        except BaseException:
            with suppress(OSError, EOFError):
                self._client.remove(temporary)
            raise

    def _fill(self, path: str, content: Iterable[bytes]) -> int:
        size = 0
        with self._client.open(path, "wb") as file, self._hanging_up():
            file.set_pipelined(True)  # answers are not waited for; the size tells what they would have told
            for chunk in content:
                file.write(chunk)
                size += len(chunk)
        return size

    @contextmanager
    def _hanging_up(self) -> Iterator[None]:
        """Let go of a line that broke: to ask for more, were it to close a file, would be to wait for more."""
        try:
            yield
        except (OSError, EOFError) as error:
            if not _is_answer(error):
                self._client.close()
            raise

    def _rename(self, temporary: str, final: str) -> None:
        """Replace in one step, where the server can (posix-rename@openssh.com)."""
        try:
            self._client.posix_rename(temporary, final)
        except OSError as error:
            if not _is_answer(error):
                raise
            aside = f"{final}{ASIDE}"
            with suppress(OSError):
                self._client.remove(aside)
            with suppress(OSError):  # there is none yet
                self._client.rename(final, aside)
            self._client.rename(temporary, final)
            with suppress(OSError):
                self._client.remove(aside)

    def remove(self, path: str) -> None:
        """Delete a file that is there."""
        self._client.remove(self._full(path))

    def settle(self) -> None:
        """Nothing that could be asked for."""

    def make(self, folder: str) -> None:
        """Make the folder, and those above it, where they are not there."""
        if folder in self._made:
            return
        try:
            found = self._client.stat(folder).st_mode or 0
        except FileNotFoundError:
            self.make(posixpath.dirname(folder))
            with suppress(OSError):  # another batch was faster; if not, the first file tells
                self._client.mkdir(folder)
        else:
            if not stat.S_ISDIR(found):
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
        self._made.add(folder)

    def _full(self, path: str) -> str:
        return posixpath.join(self._root, path)


def _compare(kept: int | None, sent: int) -> None:
    if kept != sent:
        raise OSError("the server kept less than it was sent")


def _private_key(file: str, password: str | None) -> paramiko.PKey:
    """The user's key; the password opens it where it is locked."""
    import paramiko

    try:
        # The library's own annotation says str, which what it calls refuses.
        locked: Any = None if password is None else password.encode()
        return paramiko.PKey.from_path(Path(file).expanduser(), locked)
    except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
        raise SendingError(ErrorClass.Configuration, "private-key", f"{file} is not a key that opens") from error


def _refusal_of_unknown(url: str) -> paramiko.MissingHostKeyPolicy:
    import paramiko

    class Refuse(paramiko.MissingHostKeyPolicy):
        def missing_host_key(
            self,
            client: paramiko.SSHClient,  # noqa: ARG002 - the base class's
            hostname: str,
            key: paramiko.PKey,
        ) -> None:
            text = f"{url}: {hostname} is not among the known hosts; its key is {key.get_name()} {key.fingerprint}"
            raise SendingError(ErrorClass.Configuration, "host-key-unknown", text)

    return Refuse()


def _is_answer(error: Exception) -> bool:
    """Whether the server refused something, rather than that the line broke: the library has one class for both."""
    if not isinstance(error, OSError) or isinstance(error, TimeoutError) or str(error) == "Socket is closed":
        return False
    return error.errno in {None, errno.ENOENT, errno.EACCES, errno.ENOTDIR}


def _refused(error: Exception, url: str) -> SendingError:
    if _is_answer(error):
        if isinstance(error, OSError) and error.errno is not None:
            return refused_by_system(OSError(error.errno, os.strerror(error.errno)), url)
        text = f"{url}: the server could not do what it was asked; it may be full"
        return SendingError(ErrorClass.Transient, "sftp-failure", text)
    if isinstance(error, TimeoutError):
        code, text = "timeout", "no answer in time"
    elif isinstance(error, ConnectionRefusedError):
        code, text = "refused", "nobody listens"
    elif isinstance(error, socket.gaierror):
        code, text = "name-not-resolved", "no such host"
    else:
        code, text = "unreachable", "the connection broke"
    return SendingError(ErrorClass.Transient, code, f"{url}: {text}", unreachable=True)
