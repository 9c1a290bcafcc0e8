"""An SFTP server in this process, over a folder: paramiko's, with a host key and two ways to log in."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import paramiko
from paramiko import common, sftp

if TYPE_CHECKING:
    from typing_extensions import Buffer

_GREETING_SECONDS = 10.0


class SftpServer:
    """An SFTP server on a free port of the loopback; `user` logs in with the password or with the key.

    `folder` is what clients see as `/`. `known_hosts` and `private_key` are files for the client, `host_key` is the
    server's. `posix_rename` tells whether it can replace a file in one step, and `full` makes it refuse every byte.
    """

    user = "relais"
    password = "open-sesame"

    def __init__(self, folder: Path, *, posix_rename: bool = True) -> None:
        self.folder = folder / "files"
        self.posix_rename = posix_rename
        self.full = False
        self.logins: list[str] = []
        self.host_key = paramiko.ECDSAKey.generate()
        self.user_key = paramiko.ECDSAKey.generate()
        self.private_key = folder / "id_ecdsa"
        self.known_hosts = folder / "known_hosts"
        self.folder.mkdir(parents=True)
        self.user_key.write_private_key_file(str(self.private_key))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sessions: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.trust(self.port)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for session in self._sessions:
            session.close()

    def trust(self, *ports: int) -> None:
        """Write the known hosts anew: this server's key, at these ports of the loopback (OpenSSH's format)."""
        lines = [f"[127.0.0.1]:{port} {self.host_key.get_name()} {self.host_key.get_base64()}\n" for port in ports]
        self.known_hosts.write_text("".join(lines))

    def files(self) -> dict[str, bytes]:
        """Every file by its path."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return  # closed by __exit__
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        session = paramiko.Transport(line)
        self._sessions.append(session)
        session.banner_timeout = _GREETING_SECONDS
        session.add_server_key(self.host_key)
        session.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, self)
        with suppress(paramiko.SSHException, EOFError, OSError):  # the network, or the client, gave up
            session.start_server(server=_Doorman(self))


class _Doorman(paramiko.ServerInterface):
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 - the base class's
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        return self._let_in("password", (username, password) == (self._server.user, self._server.password))

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._let_in("publickey", username == self._server.user and key == self._server.user_key)

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 - the base class's
        return common.OPEN_SUCCEEDED if kind == "session" else common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def _let_in(self, way: str, known: bool) -> int:
        if known:
            self._server.logins.append(way)
        return common.AUTH_SUCCESSFUL if known else common.AUTH_FAILED


class _Handle(paramiko.SFTPHandle):
    def __init__(self, server: SftpServer, flags: int) -> None:
        super().__init__(flags)
        self._full = server.full

    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))  # type: ignore[attr-defined]

    def write(self, offset: int, data: "Buffer") -> int:
        return sftp.SFTP_FAILURE if self._full else super().write(offset, data)


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, doorman: paramiko.ServerInterface, server: SftpServer) -> None:
        super().__init__(doorman)
        self._server = server

    def _path(self, path: str) -> Path:
        return self._server.folder / self.canonicalize(path).lstrip("/")

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(self._path(path).stat())
        except OSError as error:
            return _refusal(error)

    def open(self, path: str, flags: int, attr: Any) -> Any:  # noqa: ARG002 - the base class's
        try:
            descriptor = os.open(self._path(path), flags, 0o644)
        except OSError as error:
            return _refusal(error)
        handle = _Handle(self._server, flags)
        file = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
        handle.readfile = handle.writefile = file  # type: ignore[attr-defined]
        return handle

    def mkdir(self, path: str, attr: Any) -> int:  # noqa: ARG002 - the base class's
        return _status(self._path(path).mkdir)

    def remove(self, path: str) -> int:
        return _status(self._path(path).unlink)

    def rename(self, oldpath: str, newpath: str) -> int:
        if self._path(newpath).exists():
            return sftp.SFTP_FAILURE
        return _status(self._path(oldpath).rename, self._path(newpath))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        if not self._server.posix_rename:
            return sftp.SFTP_OP_UNSUPPORTED
        return _status(self._path(oldpath).replace, self._path(newpath))


def _status(call: Callable[..., object], *arguments: Path) -> int:
    try:
        call(*arguments)
    except OSError as error:
        return _refusal(error)
    return sftp.SFTP_OK


def _refusal(error: OSError) -> int:
    return paramiko.SFTPServer.convert_errno(error.errno or 0)
