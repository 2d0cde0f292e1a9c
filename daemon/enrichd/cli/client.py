"""The daemon's door, from outside: HTTP over its Unix socket.

Of HTTP it needs one request and one whole answer. The standard library's client brings TLS and all
that mail needs with it, which takes longer to load than the daemon takes to answer.
"""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from enrichd.errors import (
    AlreadyLocked,
    AnswerIsNo,
    DaemonUnreachable,
    EnrichdError,
    PermissionRefused,
    UsageError,
)

if TYPE_CHECKING:
    from enrichd.query.answers import Unindexed

TIMEOUT_S = 30.0
_QUICK_S = 1.0
_PEER = struct.Struct("iII")  # pid, uid, gid: struct ucred of unix(7)
_HEAD = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)\b.*", re.DOTALL)
_LENGTH = re.compile(rb"^content-length: *(\d+)\r?$", re.IGNORECASE | re.MULTILINE)


def require_peer(connection: socket.socket, path: Path, pid: int) -> None:
    """Return if it is this process that listens; raises DaemonUnreachable."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    peer = _PEER.unpack(credentials)[0]
    # 0: a process of another namespace, which can't be told from here.
    if peer not in {0, pid}:
        raise DaemonUnreachable(
            f"process {pid} holds the database, but {path} belongs to process {peer}",
            hint="name the configuration of the daemon that has this database with --config",
        )


class DaemonClient:
    """Asks the daemon that listens on a socket; ``pid``: only if it is this process."""

    def __init__(self, path: Path, pid: int | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._pid = pid
        self._timeout_s = timeout_s

    def get(self, path: str) -> bytes:
        """The body of the answer; raises DaemonUnreachable, or what the daemon refused with."""
        return self._request("GET", path, None)

    def post(self, path: str, document: object) -> Any:
        """The decoded answer to a JSON document."""
        body = self._request("POST", path, json.dumps(document).encode())
        return json.loads(body) if body else None

    def delete(self, path: str, name: str) -> None:
        """Delete the thing of this name."""
        self._request("DELETE", f"{path}/{quote(name, safe='')}", None)

    def known_workspaces(self) -> dict[str, str]:
        """Names by root; raises AlreadyLocked where who has the database can't be asked."""
        try:
            body = self.get("/api/v1/workspaces")
        except DaemonUnreachable as error:
            raise AlreadyLocked(
                f"process {self._pid} has the database and can't be asked: {error.message}",
                hint="if it is an `enrichd index`, wait for its end",
            ) from error
        return {each["root"]: each["name"] for each in json.loads(body)["workspaces"]}

    def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        try:
            with self._connected() as connection:
                status, content = _exchange(connection, method, path, body)
        except PermissionError as error:
            raise PermissionRefused(
                f"{self._path}: {error.strerror}", hint="ask as the user that the daemon runs as"
            ) from error
        except TimeoutError as error:
            raise DaemonUnreachable(
                f"the daemon did not answer on {self._path} within {self._timeout_s:g} s"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            who = f"process {self._pid} holds the database and" if self._pid else "the daemon"
            raise DaemonUnreachable(
                f"{who} can't be reached on {self._path}: {reason}",
                hint="if it is an `enrichd index`, wait for its end",
            ) from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(status, content)
        return content

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._timeout_s)
            connection.connect(str(self._path))
            if self._pid is not None:
                require_peer(connection, self._path, self._pid)
            yield connection


def _exchange(
    connection: socket.socket, method: str, path: str, body: bytes | None
) -> tuple[HTTPStatus, bytes]:
    """One request and what came back; raises ConnectionError for what is no whole answer.

    As HTTP/1.0 has it (RFC 1945) nothing comes in chunks, and the answer ends with the connection.
    """
    lines = [f"{method} {path} HTTP/1.0", "Host: localhost"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii") + (body or b""))
    with connection.makefile("rb") as answer:
        head, end, content = answer.read().partition(b"\r\n\r\n")
    found = _HEAD.fullmatch(head)
    if found is None:
        raise ConnectionError("what answers there does not speak HTTP")
    length = _LENGTH.search(head)
    if not end or (length is not None and int(length[1]) != len(content)):
        raise ConnectionError("the answer broke off")
    return HTTPStatus(int(found[1])), content


def unindexed(socket: Path, pid: int) -> dict[str, Unindexed]:
    """What was touched and is not indexed yet, by workspace; nothing from who does not answer."""
    import msgspec  # noqa: PLC0415

    from enrichd.query.answers import UnindexedFiles  # noqa: PLC0415

    try:
        body = DaemonClient(socket, pid, timeout_s=_QUICK_S).get("/api/v1/unindexed")
        return msgspec.json.decode(body, type=UnindexedFiles).workspaces
    except (EnrichdError, msgspec.MsgspecError):
        return {}  # an `enrichd index` has no door


def tell_question(socket: Path, pid: int, question: str, uid: str, workspace: str) -> None:
    """Ask the daemon the same, whether it answers or not: it serves next what its answer lacks."""
    query = urlencode({"symbol": uid, "workspace": workspace})
    with suppress(EnrichdError):
        DaemonClient(socket, pid, timeout_s=_QUICK_S).get(f"/api/v1/graph/{question}?{query}")


def _refusal(status: HTTPStatus, content: bytes) -> EnrichdError:
    """The error that the daemon told, as if it had happened here."""
    try:
        problem = json.loads(content)["error"]
        message, hint = str(problem["message"]), problem.get("hint")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, hint = f"the daemon answered {status.value} {status.phrase}", None
    match status:
        case HTTPStatus.NOT_FOUND | HTTPStatus.CONFLICT:
            return AnswerIsNo(message, hint=hint)
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
            return UsageError(message, hint=hint)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return PermissionRefused(message, hint=hint)
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return DaemonUnreachable(message, hint=hint)
        case _:
            return EnrichdError(message, hint=hint)
