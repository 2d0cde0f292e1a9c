"""Clients that do harm: they never read, never finish, ask for too much, or send junk.

There is no WebSocket route yet; clients of HTTP that never read stand in for those of one.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests import proc
from tests.faults.harm import (
    CALLS,
    LARGEST,
    RETRY,
    WORKSPACES,
    Doors,
    open_doors,
    read_all,
)
from tests.figures import Reached
from tests.running import wait_until

from enrichd.api.doors import MAX_CONNECTIONS, MAX_UNTAKEN_BYTES, WRITE_TIMEOUT_S
from enrichd.api.server import MAX_BODY_BYTES

CLIENTS = 200
HALF_REQUESTS = 40
PROMPT_S = 1.0
"""For an answer to somebody else meanwhile."""
IDLE_TIMEOUT_S = 15.0
MOST_GONE_S = 40.0
"""Every one of 34 at a door gets its answer, and then the time to read it; twice that in all."""
MOST_GROWTH_MIB = 2 * MAX_UNTAKEN_BYTES / 2**20 + 32
"""What two doors may hold, and what making the answers takes."""
JUNK_GROWTH_MIB = 24.0


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with open_doors(tmp_path_factory.mktemp("doors")) as doors:
        for door in doors.names:
            code, body = doors.ask(door, doors.head("GET", LARGEST))
            assert (code, json.loads(body)["count"]) == (200, CALLS + 1)
        yield doors


def served_s(doors: Doors, door: str, target: str = "/healthz") -> float:
    """How long another client waits for its answer."""
    began = time.monotonic()
    code, _ = doors.ask(door, doors.head("GET", target))
    took_s = time.monotonic() - began
    assert code == 200, (door, target, code)
    return took_s


@pytest.mark.fault(24, "200 clients at each door ask for the largest answer and never read it")
def test_clients_that_never_read_cost_little_and_are_dropped(
    doors: Doors, reached: Reached
) -> None:
    pid = doors.daemon.pid
    before, held_before = proc.memory_mib(pid), proc.descriptors(pid)
    proc.reset_peak(pid)
    request = doors.head("GET", LARGEST).replace(b"Connection: close\r\n", b"")
    waits: list[float] = []
    clients: list[socket.socket] = []
    try:
        for door in reversed(doors.names):
            for _ in range(CLIENTS):
                clients.append(doors.connect(door))
                clients[-1].sendall(request)
            if door == "tcp":
                halves = [doors.connect(door) for _ in range(HALF_REQUESTS)]
                clients += halves
                for half in halves:
                    half.sendall(b"GET /healthz HTTP/1.1\r\nHo")
                assert served_s(doors, "unix", LARGEST) < WRITE_TIMEOUT_S
            waits += [served_s(doors, each) for each in doors.names for _ in range(5)]
        last = time.monotonic()

        def are_gone() -> bool:
            waits.extend(served_s(doors, each) for each in doors.names)
            return proc.descriptors(pid) <= held_before + 1

        wait_until("all of them are gone", are_gone, 2 * MOST_GONE_S)
        gone_s = time.monotonic() - last
        grown = proc.memory_mib(pid, "VmHWM") - before
        left = proc.memory_mib(pid) - before
    finally:
        for client in clients:
            client.close()
    number = 2 * CLIENTS
    reached("memory grew meanwhile by", grown, MOST_GROWTH_MIB, "MiB", times=number)
    reached("memory kept afterwards", left, MOST_GROWTH_MIB, "MiB", times=number)
    reached("until the last was dropped", gone_s, MOST_GONE_S, "s", times=number + HALF_REQUESTS)
    reached("another client's longest wait", max(waits), PROMPT_S, "s", times=len(waits))


@pytest.mark.fault(24, "more connections than there are places")
def test_more_connections_than_places(doors: Doors, reached: Reached) -> None:
    pid = doors.daemon.pid
    held_before, number = proc.descriptors(pid), 3 * MAX_CONNECTIONS
    clients = [doors.connect("unix") for _ in range(number)]
    try:
        wait_s = served_s(doors, "tcp")
        held = proc.descriptors(pid) - held_before
        turned = told_first(clients, number - MAX_CONNECTIONS)
    finally:
        for client in clients:
            client.close()
    assert all(each.startswith(b"HTTP/1.1 503 ") for each in turned)
    assert all(b"too many connections" in each for each in turned)
    wait_until("there is room again", lambda: proc.descriptors(pid) <= held_before + 1)
    served_s(doors, "unix")
    reached("descriptors that they took", held, MAX_CONNECTIONS + 8, times=number)
    reached("the other door's wait", wait_s, PROMPT_S, "s")


def told_first(clients: list[socket.socket], number: int) -> list[bytes]:
    """What the first so many of them are told until they are put out."""
    told: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while len(told) < number:
            ready = selector.select(IDLE_TIMEOUT_S / 2)
            assert ready, f"only {len(told)} were told something"
            for key, _ in ready:
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                told.append(read_all(key.fileobj))
    return told


TEXTS = [
    "' OR 1=1 --",
    '"; DROP TABLE symbol; --',
    "symbol') UNION SELECT sql FROM sqlite_master --",
    "a\0b",
    "*" * 3_999,
    "*a" * 1_999 + "b",
    "[" * 3_999,
    "[!-~]*[^a]?",
    "%_\\%",
    'NEAR(a b, 5) AND "c" OR -d:*^',
    "../../../../etc/passwd",
    "/etc/passwd:1",
    "shop.py:99999999999999999999",
    "shop.py:-1",
    "file:///etc/passwd",
    "\u202e\U0001f4a9\ufeff",
    "x" * 4_001,
    "",
]
ROUTES = [
    "/api/v1/symbols?q=",
    "/api/v1/symbols?q=target&path=",
    "/api/v1/symbols?q=target&kind=",
    "/api/v1/symbols?q=target&workspace=",
    "/api/v1/graph/callers?symbol=",
    "/api/v1/graph/callees?symbol=",
    "/api/v1/graph/references?symbol=",
    "/api/v1/graph/explain?symbol=",
    "/api/v1/enrichment/failures?workspace=",
    "/api/v1/enrichment/failures?state=",
    "/api/v1/enrichment/failures?limit=",
    "/api/v1/enrichment/failures?offset=",
    "/api/v1/wait?workspace=",
    "/api/v1/wait?timeout=",
]
FOUND = {"*" * 3_999, "[!-~]*[^a]?"}
"""Patterns that mean something and may find something."""


@pytest.mark.fault(24, "SQL, patterns, paths and ids that mean nothing, in every parameter")
def test_texts_that_mean_harm(doors: Doors, reached: Reached) -> None:
    pid = doors.daemon.pid
    before, known = proc.memory_mib(pid), doors.known()
    wrong: list[object] = []
    slowest = 0.0
    tried = 0
    for route in ROUTES:
        for text in TEXTS:
            began = time.monotonic()
            code, body = doors.ask("tcp", doors.head("GET", route + quote(text)))
            slowest = max(slowest, time.monotonic() - began)
            tried += 1
            if code == 200:
                document = json.loads(body)
                if document.get("count") and text not in FOUND:
                    wrong.append((route, text, "found something"))
            elif not (400 <= code < 500 and _has_a_reason(body)):
                wrong.append((route, text, code, body[:200]))
            if b"root:" in body or b"CREATE TABLE" in body:
                wrong.append((route, text, "shows what it must not"))
    assert wrong == []
    assert doors.known() == known
    reached("answers that are no refusal with a reason", len(wrong), 0, times=tried)
    reached("the slowest answer", slowest, PROMPT_S, "s", times=tried)
    reached("memory grew by", proc.memory_mib(pid) - before, JUNK_GROWTH_MIB, "MiB", times=tried)


def junk(doors: Doors) -> dict[str, bytes]:
    """Requests that are to be refused, whatever door they come to."""
    large = b'{"all": true}' + b" " * MAX_BODY_BYTES
    many = [f"X-{number}: y" for number in range(10_000)]
    chunked = doors.head("POST", RETRY, doors.bearer, "Transfer-Encoding: chunked")
    declared = doors.head("POST", RETRY, doors.bearer, "Content-Length: 1000000000000")
    found = {
        "a body that is too large": doors.post(RETRY, large),
        "a body that is declared too large": declared + b" " * (2 * MAX_BODY_BYTES),
        "chunks without end": chunked + (b"100000\r\n" + b" " * 2**20 + b"\r\n") * 2,
        "chunks that are none": chunked + b"zz\r\n",
        "a negative length": doors.head("POST", RETRY, doors.bearer, "Content-Length: -1"),
        "two lengths": doors.post(RETRY, b"{}", "Content-Length: 3"),
        "length and chunks": doors.post(RETRY, b"{}", "Transfer-Encoding: chunked"),
        "a flood of headers": doors.head("GET", "/healthz", *many),
        "a header that is too long": doors.head("GET", "/healthz", "X: " + "y" * 1_000_000),
        "a target that is too long": doors.head("GET", "/" + "x" * 1_000_000),
        "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "another version": b"GET / HTTP/9.9\r\n\r\n",
        "two requests in one": doors.head("GET", "/healthz\r\nX: y\r\n\r\nGET /nowhere"),
        "a method that is none": doors.head("TRACE", "/healthz"),
        "a workspace outside": doors.post(WORKSPACES, b'{"root": "../../etc"}'),
        "a workspace that is not there": doors.post(WORKSPACES, b'{"root": "/nowhere/at/all"}'),
        "a name that is a path": doors.post(WORKSPACES, b'{"root": "/tmp", "name": "../x"}'),
        "a workspace that nobody has": doors.head("DELETE", f"{WORKSPACES}/..%2fx", doors.bearer),
    }
    for body in (b"", b"{", b"\xff\xfe", b"[" * 500_000, b'{"all": NaN}', b"null", b'"\\ud800"'):
        found[f"a body that means nothing: {body[:10]!r}"] = doors.post(RETRY, body)
    for body in (b'{"symbol": 1}', b'{"all": true, "symbol": "x"}', b'{"symbol": "nobody"}'):
        found[f"an id that is none: {body!r}"] = doors.post(RETRY, body)
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/api/v1/..%00"):
        found[f"a path that leads out: {path}"] = doors.head("GET", path)
    return found


@pytest.mark.fault(24, "bodies, headers, targets and ids that mean nothing or too much")
def test_requests_that_are_junk(doors: Doors, reached: Reached) -> None:
    pid = doors.daemon.pid
    before, known = proc.memory_mib(pid), doors.known()
    wrong: list[object] = []
    slowest = 0.0
    requests = junk(doors)
    for what, request in requests.items():
        for door in doors.names:
            began = time.monotonic()
            code, body = doors.ask(door, request)
            slowest = max(slowest, time.monotonic() - began)
            if not (400 <= code < 500 and _has_a_reason(body)):
                wrong.append((what, door, code, body[:200]))
    assert wrong == []
    assert doors.known() == known
    tried = len(requests) * len(doors.names)
    reached("answers that are no refusal with a reason", len(wrong), 0, times=tried)
    reached("the slowest answer", slowest, 2 * PROMPT_S, "s", times=tried)
    reached("memory grew by", proc.memory_mib(pid) - before, JUNK_GROWTH_MIB, "MiB", times=tried)


def _has_a_reason(body: bytes) -> bool:
    """In our shape, or in plain words where the request could not even be read."""
    if body.startswith(b"{"):
        return bool(json.loads(body)["error"]["message"])
    return len(body) > 10
