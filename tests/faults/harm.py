"""A daemon with both of its doors open, and bytes that are sent to it as they are."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.running import Daemon, Place, free_port, pygls_server, running, write_tree

CALLS = 3_000
TREE = {
    "shop.py": (
        "def target():\n    return 1\n\n\ndef uses():\n" + "    target()\n" * CALLS + "\n\n"
        "def other():\n    return target()\n"
    )
}
LARGEST = "/api/v1/graph/callers?symbol=target"
"""About a megabyte."""
RETRY = "/api/v1/enrichment/retry"
WORKSPACES = "/api/v1/workspaces"


class Doors:
    """A settled daemon, and raw connections to it over its socket and over TCP."""

    def __init__(self, place: Place, daemon: Daemon, port: int) -> None:
        self.place = place
        self.daemon = daemon
        self.port = port
        self.token = (place.folder / "token").read_text().strip()

    @property
    def names(self) -> tuple[str, str]:
        return "unix", "tcp"

    def connect(self, door: str, timeout_s: float = 30.0) -> socket.socket:
        family = socket.AF_UNIX if door == "unix" else socket.AF_INET
        connection = socket.socket(family)
        connection.connect(str(self.place.socket) if door == "unix" else ("127.0.0.1", self.port))
        connection.settimeout(timeout_s)  # not before: a full queue would be an error then
        return connection

    def head(self, method: str, target: str, *more: str, host: str | None = None) -> bytes:
        """Of a request that is the only one of its connection."""
        host = host if host is not None else f"localhost:{self.port}"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *more]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")

    @property
    def bearer(self) -> str:
        return f"Authorization: Bearer {self.token}"

    def post(self, target: str, body: bytes, *more: str) -> bytes:
        """A request with a body and the token."""
        length = f"Content-Length: {len(body)}"
        return self.head("POST", target, self.bearer, length, *more) + body

    def ask(self, door: str, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; 0 where the connection was closed without one."""
        with self.connect(door) as connection:
            # It may have heard enough: the answer is there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            answer = read_all(connection)
        head, _, body = answer.partition(b"\r\n\r\n")
        return (int(head.split()[1]) if head else 0), body

    def known(self) -> Any:
        """What a write could have changed."""
        with_names = json.loads(self.daemon.get(WORKSPACES)[1])["workspaces"]
        return with_names, json.loads(self.daemon.get("/api/v1/enrichment/failures")[1])


def read_all(connection: socket.socket) -> bytes:
    """Until it is closed; what is reset was closed as well."""
    found = b""
    try:
        while data := connection.recv(1 << 20):
            found += data
    except ConnectionResetError:
        pass
    return found


@contextmanager
def open_doors(folder: Path) -> Iterator[Doors]:
    """A daemon in a place of its own that has nothing left to do."""
    place, port = Place(folder), free_port()
    root = write_tree(folder / "root", TREE)
    place.configure(root, listen=f"127.0.0.1:{port}", more=pygls_server())
    token = f'token_file = "{folder / "token"}"\n[[workspace]]'
    place.config.write_text(place.config.read_text().replace("[[workspace]]", token, 1))
    with running(place) as daemon:
        daemon.wait_until_settled()
        yield Doors(place, daemon, port)
        assert daemon.terminate()[0] == 0
    place.verify()
    loud = [line for line in daemon.lines() if line["level"] in {"error", "critical"}]
    assert loud == []
