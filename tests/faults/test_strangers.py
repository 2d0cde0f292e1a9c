"""Strangers at the door: pages of the web, programs without the token, other users."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from tests.faults.harm import LARGEST, RETRY, WORKSPACES, Doors, open_doors
from tests.figures import Reached

READS = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/status",
    WORKSPACES,
    "/api/v1/enrichment/failures",
    "/api/v1/symbols?q=target",
    LARGEST,
]
WRITES = [
    ("POST", RETRY, b'{"all": true}'),
    ("POST", WORKSPACES, b'{"root": "/usr/lib"}'),
    ("DELETE", f"{WORKSPACES}/root", b""),
    ("PUT", WORKSPACES, b"{}"),
    ("PATCH", WORKSPACES, b"{}"),
]
FOREIGN = [
    "evil.example",
    "evil.example:{port}",
    "localhost:1",
    "localhost",
    "localhost.evil.example:{port}",
    "evil.example@localhost:{port}",
    "127.0.0.1.evil.example:{port}",
    "0.0.0.0:{port}",
    "[::]:{port}",
    "",
]


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    """In a folder that others may enter: what keeps them out is the daemon's own doing."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with open_doors(Path(folder)) as doors:
            yield doors


@pytest.mark.fault(25, "a foreign Host, as after DNS rebinding")
def test_a_foreign_host_is_let_in_nowhere(doors: Doors, reached: Reached) -> None:
    known = doors.known()
    requests = [("GET", path, b"") for path in READS] + WRITES
    answers = [
        doors.ask(
            "tcp",
            doors.head(
                method,
                path,
                doors.bearer,
                f"Content-Length: {len(body)}",
                host=host.format(port=doors.port),
            )
            + body,
        )[0]
        for host, (method, path, body) in product(FOREIGN, requests)
    ]
    let_in = [code for code in answers if code not in {400, 403}]
    assert doors.known() == known
    reached("requests let in", len(let_in), 0, times=len(answers))


@pytest.mark.fault(25, "a foreign Origin: a page that a browser shows")
def test_a_foreign_origin_is_let_in_nowhere(doors: Doors, reached: Reached) -> None:
    known = doors.known()
    origins = [f"http://{each}" for each in FOREIGN]
    origins += ["null", "", f"https://localhost:{doors.port}", f"file://localhost:{doors.port}"]
    requests = [("GET", path, b"") for path in READS] + WRITES
    requests += [("OPTIONS", path, b"") for _, path, _ in WRITES]
    answers = [
        doors.ask(
            door,
            doors.head(
                method,
                path,
                doors.bearer,
                "Origin: " + origin.format(port=doors.port),
                f"Content-Length: {len(body)}",
            )
            + body,
        )[0]
        for door, origin, (method, path, body) in product(doors.names, origins, requests)
    ]
    let_in = [code for code in answers if code != 403]
    assert doors.known() == known
    reached("requests let in", len(let_in), 0, times=len(answers))


@pytest.mark.fault(25, "no token over TCP: reads, never a write")
def test_without_the_token_there_are_reads_and_never_a_write(
    doors: Doors, reached: Reached
) -> None:
    known = doors.known()
    refused_reads = [path for path in READS if doors.ask("tcp", doors.head("GET", path))[0] != 200]
    given = ["X: y", "Authorization:", "Authorization: Bearer", "Authorization: Bearer wrong"]
    given += [
        f"Authorization: Basic {doors.token}",
        f"Authorization: {doors.token}",
        f"Authorization: Bearer {doors.token[:-1]}",
        f"Authorization: Bearer {doors.token}x",
        f"Authorization: Bearer {doors.token.swapcase()}",
        "Authorization: Bearer wr\u00f6ng",
        f"Authorization: Bearer wrong\r\nX-Authorization: Bearer {doors.token}",
        f"Authorization: Bearer wrong\r\n{doors.bearer}",
        f"X-HTTP-Method-Override: GET\r\nCookie: token={doors.token}",
    ]
    answers = [
        doors.ask("tcp", doors.head(method, path, line, f"Content-Length: {len(body)}") + body)[0]
        for line, (method, path, body) in product(given, WRITES)
    ]
    in_the_query = doors.head("POST", f"{RETRY}?token={doors.token}", "Content-Length: 0")
    answers.append(doors.ask("tcp", in_the_query)[0])
    written = [code for code in answers if code not in {400, 401}]
    assert doors.known() == known
    reached("writes let in", len(written), 0, times=len(answers))
    reached("reads refused", len(refused_reads), 0, times=len(READS))
    assert doors.ask("tcp", doors.post(RETRY, b'{"all": true}'))[0] == 200


@pytest.mark.fault(25, "another user on the socket")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_let_in_nowhere(doors: Doors, reached: Reached) -> None:
    """By the socket's mode; and where that was opened, since the peer is asked who it is."""
    socket = doors.place.socket
    assert socket.stat().st_mode & 0o777 == 0o600
    known = doors.known()
    requests = [doors.head("GET", path) for path in READS] + [
        doors.head(method, path, doors.bearer, f"Content-Length: {len(body)}") + body
        for method, path, body in WRITES
    ]
    by_mode = [as_another_user(socket, each) for each in requests[:3]]
    socket.chmod(0o666)
    try:
        by_peer = [as_another_user(socket, each) for each in requests]
    finally:
        socket.chmod(0o600)
    assert all("PermissionError" in each for each in by_mode), by_mode
    assert all("user 65534" in each for each in by_peer), by_peer
    assert doors.known() == known
    let_in = [each for each in by_peer if " 403 " not in each.partition("\n")[0]]
    reached("requests let in", len(let_in), 0, times=len(by_mode) + len(by_peer))


def as_another_user(socket: Path, request: bytes) -> str:
    """What nobody, who is user 65534, gets to see."""
    program = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
        "s.sendall(bytes.fromhex(sys.argv[2]))\n"
        "print(s.makefile().read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(socket), request.hex()],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout + done.stderr
