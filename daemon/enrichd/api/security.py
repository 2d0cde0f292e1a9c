"""Who may ask: the peer of the Unix socket, Host and Origin, and the token for what changes.

A browser on this machine can be made to send requests to localhost by any page that it shows.
Such a request bears the page's Origin or, after DNS rebinding, the page's Host: both are refused.
Other programs of other users can reach localhost as well: they may look, not touch.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import struct
import tempfile
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from enrichd.api.answers import Refused
from enrichd.api.listening import authority
from enrichd.errors import ConfigError, PermissionRefused, StorageError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_UCRED = struct.Struct("iII")  # struct ucred: pid, uid, gid; unix(7)
_LEAST_TOKEN_LENGTH = 16


class Gate:
    """The rules for one address; without an address there is only the Unix socket."""

    def __init__(self, address: tuple[str, int] | None, token: str) -> None:
        self._token = token.encode()
        names = () if address is None else (address[0], *_LOOPBACK)
        port = 0 if address is None else address[1]
        self._authorities = frozenset(authority(name, port) for name in names)
        self._origins = frozenset(f"http://{each}" for each in self._authorities)

    def middleware(self) -> Middleware:
        """Asks before anything else of a request is looked at, its body above all."""

        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.check(request)
            return await handler(request)

        return admit

    def check(self, request: web.Request) -> None:
        """Return if the request may go on; raises Refused."""
        peer = request.get_extra_info("socket")
        if peer is None:
            raise ConnectionResetError("the client is gone")
        origins = request.headers.getall("Origin", [])
        if any(origin.lower() not in self._origins for origin in origins):
            raise _forbidden(f"the Origin {origins[0]} is foreign")
        if peer.family == socket.AF_UNIX:
            _require_same_user(peer)
            return
        hosts = [host.lower() for host in request.headers.getall("Host", [])]
        if len(hosts) != 1 or hosts[0] not in self._authorities:
            raise _forbidden(f"the Host {', '.join(hosts) or '(none)'} is foreign")
        if request.method not in _READS:
            self._require_token(request)

    def _require_token(self, request: web.Request) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized("what changes something needs the token over TCP")
        # Bytes: compare_digest takes no text beyond ASCII.
        sent = given.strip().encode(errors="surrogateescape")
        if not (self._token and hmac.compare_digest(sent, self._token)):
            raise _unauthorized("the token is wrong")


def _require_same_user(peer: socket.socket) -> None:
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, _ = _UCRED.unpack(raw)
    if uid not in {0, os.geteuid()}:
        raise _forbidden(f"user {uid} is neither the daemon's nor root")


def _forbidden(message: str) -> Refused:
    return Refused(
        HTTPStatus.FORBIDDEN,
        message,
        hint="ask from this machine, as the daemon's user, at the address that it listens on",
    )


def _unauthorized(message: str) -> Refused:
    return Refused(
        HTTPStatus.UNAUTHORIZED,
        message,
        hint="send `Authorization: Bearer` with what `[daemon] token_file` holds",
        headers={"WWW-Authenticate": 'Bearer realm="enrichd"'},
    )


def read_or_make_token(path: Path) -> str:
    """The token in the file; a file that is missing is made, whole or not at all."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _read_token(path)
        except FileNotFoundError:
            _make_token(path)
            return _read_token(path)
    except OSError as error:
        kind = PermissionRefused if isinstance(error, PermissionError) else StorageError
        raise kind(
            f"cannot use the token file {path}: {error.strerror}",
            hint="choose another with `[daemon] token_file`",
        ) from error


def _read_token(path: Path) -> str:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o007:
            raise PermissionRefused(
                f"the token file {path} is open to every user", hint=f"`chmod 600 {path}`"
            )
        token = file.read(4096).strip()
    if len(token) < _LEAST_TOKEN_LENGTH or not token.isascii():
        raise ConfigError(
            f"the token file {path} holds no token of at least {_LEAST_TOKEN_LENGTH} characters",
            hint="remove it, and the next start makes a new one",
        )
    return token.decode()


def _make_token(path: Path) -> None:
    """mkstemp makes files that only their owner may read; link never replaces one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        os.link(fresh, path)
    except FileExistsError:
        pass  # somebody else was first: theirs counts
    finally:
        fresh.unlink()
