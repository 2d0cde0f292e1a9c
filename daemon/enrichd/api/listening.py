"""The sockets that the API listens on: who may see them, what stands in their way."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from enrichd.errors import AlreadyLocked, EnrichdError, ExitCode, PermissionRefused
from enrichd.file_stat import identity_of

_BACKLOG = 128
_SEND_BUFFER_BYTES = 128 * 1024
"""What the kernel keeps for a client that does not read; left to itself it would be megabytes."""
_SOCKET_MODE = 0o600
_FOLDER_MODE = 0o700
_MOST_PATH_BYTES = 107  # sun_path in unix(7), less its NUL
_SOCKET_HINT = "choose another place with `[daemon] socket`"


class CannotListen(EnrichdError):
    """An address or a path can't be listened on."""

    exit_code = ExitCode.IO


class AlreadyServed(AlreadyLocked):
    """Another process answers on the socket."""


class UnixListener:
    """A listening Unix socket and the file that is its name."""

    def __init__(self, path: Path) -> None:
        """Listen at ``path``; a file that a dead process left there is replaced.

        The socket has its mode before it has a name, and listens before it has its final one:
        at no time can anybody else connect, or take it for a dead one.
        """
        self._path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._identity: tuple[int, int] | None = None
        fresh = path.with_name(f".{os.getpid()}")  # the length of such paths is limited: short
        try:
            _require_usable(path)
            path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            # On Linux the name gets the mode of the unbound socket. A umask would be the
            # process's, and so that of every file made by other threads meanwhile.
            os.fchmod(self.socket.fileno(), _SOCKET_MODE)
            fresh.unlink(missing_ok=True)
            self.socket.bind(os.fspath(fresh))
            self.socket.listen(_BACKLOG)
            fresh.rename(path)
            self._identity = identity_of(path, follow=False)
        except OSError as error:
            raise _refusal(path, error, _SOCKET_HINT) from error
        finally:
            if self._identity is None:
                self.socket.close()

    def remove_name(self) -> None:
        """Nobody can connect any more. A name that is another's by now is left alone."""
        if identity_of(self._path, follow=False) == self._identity:
            self._path.unlink(missing_ok=True)


def listen_tcp(host: str, port: int) -> socket.socket:
    """A socket that is bound to a loopback address; ``localhost`` is 127.0.0.1."""
    numeric = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in numeric else socket.AF_INET
    try:
        listener = socket.create_server((numeric, port), family=family, backlog=_BACKLOG)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        return listener
    except OSError as error:
        hint = 'choose another address with `[daemon] listen`, or none at all with ""'
        raise _refusal(authority(host, port), error, hint) from error


def authority(host: str, port: int) -> str:
    """Host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refusal(where: object, error: OSError, hint: str) -> EnrichdError:
    kind = PermissionRefused if isinstance(error, PermissionError) else CannotListen
    reason = os.strerror(error.errno) if error.errno else str(error)
    return kind(f"cannot listen on {where}: {reason}", hint=hint)


def _require_usable(path: Path) -> None:
    """Refuse what nobody could connect to, what answers already, and what is no socket."""
    if len(os.fsencode(path)) > _MOST_PATH_BYTES:
        raise CannotListen(
            f"cannot listen on {path}: the path is too long, {_MOST_PATH_BYTES} bytes is the most",
            hint=_SOCKET_HINT,
        )
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise CannotListen(
            f"cannot listen on {path}: something that is not a socket is there", hint=_SOCKET_HINT
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a living socket whose queue is full would hold us up
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            pass
    raise AlreadyServed(
        f"another process answers on {path}",
        hint="stop the running enrichd, or choose another place with `[daemon] socket`",
    )
