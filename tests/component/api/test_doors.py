"""Clients that take what they can get: connections, answers they never read, bodies without end."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
from tests.component.api.conftest import base_url
from tests.component.api.fake_daemon import FakeDaemon
from tests.component.api.test_security import RETRY

from enrichd.api import doors, server
from enrichd.api.doors import WRITE_TIMEOUT_S
from enrichd.api.server import MAX_BODY_BYTES, ApiServer
from enrichd.clock import SystemClock, within
from enrichd_tracker.store.port import Reader

LARGE_BYTES = 4 * 1024 * 1024
STATUS = "/api/v1/status"
REFUSED = "too many large answers wait for clients that do not read them"

Connect = Callable[[], "asyncio.Future[Client]"]


class Client:
    """A connection that reads only when it is told to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        await asyncio.get_running_loop().sock_sendall(self._connection, text.encode())

    async def get(self, path: str = STATUS) -> None:
        await self.send(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n")

    @property
    def host(self) -> str:
        name = self._connection.getpeername()
        return f"127.0.0.1:{name[1]}" if isinstance(name, tuple) else "enrichd"

    async def read(self, most: int = 65536) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._connection, most)

    async def read_all(self) -> bytes:
        """Until it is closed; what is reset was closed as well."""
        found = b""
        try:
            while data := await self.read():
                found += data
        except ConnectionResetError:
            pass
        return found

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(params=["unix", "tcp"])
async def connect(
    request: pytest.FixtureRequest, server: ApiServer, tmp_path: Path
) -> AsyncIterator[Callable[[], object]]:
    """Makes clients at one of the doors."""
    made: list[Client] = []

    async def come_in() -> Client:
        if request.param == "unix":
            connection = socket.socket(socket.AF_UNIX)
            address: str | tuple[str, int] = str(tmp_path / "run" / "enrichd.sock")
        else:
            assert server.address is not None
            connection = socket.socket(socket.AF_INET)
            address = server.address
        connection.setblocking(False)
        made.append(Client(connection))
        await asyncio.get_running_loop().sock_connect(connection, address)
        return made[-1]

    yield come_in
    for client in made:
        client.close()


@pytest.fixture
def large(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is far more than the kernel holds for a client."""

    async def status() -> object:
        return "x" * LARGE_BYTES

    monkeypatch.setattr(daemon, "status", status)


async def until(condition: Callable[[], object]) -> None:
    async def look() -> None:
        while not condition():  # noqa: ASYNC110 (what it looks at tells nobody)
            await asyncio.sleep(0.005)

    await within(SystemClock(), 10.0, look())


def writers_waited_for() -> list[asyncio.Task[object]]:
    return [
        each for each in asyncio.all_tasks() if each.get_name() == "a client that does not read"
    ]


@pytest.mark.usefixtures("large")
async def test_a_client_that_never_reads_is_dropped_when_its_time_is_up(
    daemon: FakeDaemon, connect: Connect, tcp: aiohttp.ClientSession
) -> None:
    client = await connect()
    await client.get()
    await until(writers_waited_for)
    daemon.clock.advance(WRITE_TIMEOUT_S - 0.1)
    async with tcp.get("/healthz") as response:
        assert response.status == HTTPStatus.OK
    assert writers_waited_for()
    daemon.clock.advance(0.2)
    await until(lambda: not writers_waited_for())
    assert len(await client.read_all()) < LARGE_BYTES


@pytest.mark.usefixtures("large")
async def test_a_client_that_reads_late_but_in_time_gets_everything(
    daemon: FakeDaemon, connect: Connect
) -> None:
    client = await connect()
    for _ in range(2):
        await client.get()
        await until(writers_waited_for)
        daemon.clock.advance(WRITE_TIMEOUT_S - 0.1)
        found = b""
        while not found.endswith(b'x"'):
            found += await client.read()
        head, _, body = found.partition(b"\r\n\r\n")
        assert f"Content-Length: {LARGE_BYTES + 2}".encode() in head
        assert len(body) == LARGE_BYTES + 2
        assert not writers_waited_for()
    daemon.clock.advance(WRITE_TIMEOUT_S)
    await client.get("/healthz")
    assert b" 200 OK" in await client.read()


async def test_small_answers_that_are_never_read_add_up_to_the_same(
    daemon: FakeDaemon, connect: Connect
) -> None:
    client = await connect()
    number = 50_000
    request = f"GET /healthz HTTP/1.1\r\nHost: {client.host}\r\n\r\n"
    asking = asyncio.ensure_future(client.send(request * number))
    await until(writers_waited_for)
    daemon.clock.advance(WRITE_TIMEOUT_S + 0.1)
    await until(lambda: not writers_waited_for())
    answered = (await client.read_all()).count(b" 200 OK")
    assert answered < number
    await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.usefixtures("large")
async def test_what_waits_to_be_read_is_bounded_at_each_door(
    connect: Connect, tcp: aiohttp.ClientSession, unix: aiohttp.ClientSession
) -> None:
    at_most = doors.MAX_UNTAKEN_BYTES // LARGE_BYTES
    clients = [await connect() for _ in range(at_most + 2)]
    for client in clients:
        await client.get()
    await until(lambda: len(writers_waited_for()) == at_most - 1)
    refused = [client for client in clients if REFUSED.encode() in await client.read(2048)]
    assert len(refused) == 3
    answers = []
    for session in (tcp, unix):
        async with session.get(STATUS) as response:
            answers.append(response.status)
    assert sorted(answers) == [HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE]


async def test_a_single_answer_may_be_larger_than_what_may_wait(
    daemon: FakeDaemon, tcp: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def status() -> object:
        return "x" * (doors.MAX_UNTAKEN_BYTES + 1)

    monkeypatch.setattr(daemon, "status", status)
    async with tcp.get(STATUS) as response:
        assert len(await response.read()) == doors.MAX_UNTAKEN_BYTES + 3


@pytest.mark.usefixtures("large")
async def test_the_head_of_a_large_answer_can_be_asked_for(tcp: aiohttp.ClientSession) -> None:
    async with tcp.head(STATUS) as response:
        assert response.content_length == LARGE_BYTES + 2
        assert response.content_type == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.read() == b""
    async with tcp.get("/healthz") as response:
        assert response.status == HTTPStatus.OK


@pytest.mark.usefixtures("large")
async def test_a_client_that_goes_away_in_the_middle_is_no_news(
    connect: Connect, tcp: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        client = await connect()
        await client.get()
        await client.read(10)
        client.close()
    await until(lambda: not writers_waited_for())
    async with tcp.get("/healthz") as response:
        assert response.status == HTTPStatus.OK
    assert caplog.records == []


@pytest.mark.parametrize("path", ["/api/v1/symbols?q=total", "/api/v1/search?q=total"])
async def test_questions_of_one_door_wait_for_each_other_and_not_for_ever_many(
    path: str,
    daemon: FakeDaemon,
    connect: Connect,
    tcp: aiohttp.ClientSession,
    unix: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_work = 0
    most = 0
    go_on = asyncio.Event()
    read = daemon.store.read

    async def slowly(question: Callable[[Reader], object]) -> object:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await go_on.wait()
        at_work -= 1
        return await read(question)

    monkeypatch.setattr(daemon.store, "read", slowly)
    monkeypatch.setattr(doors, "MOST_WAITING", 3)
    clients = [await connect() for _ in range(doors.AT_WORK + 3)]
    for client in clients:
        await client.get(path)
    clients.pop().close()  # who goes away waits no more
    await until(lambda: at_work == doors.AT_WORK)
    asking = [asyncio.ensure_future(_status_of(each, path)) for each in (tcp, unix)]
    await until(lambda: at_work == doors.AT_WORK + 1)
    too_many = await connect()
    await too_many.get(path)
    told = await too_many.read()
    assert b" 503 " in told
    assert b"too many questions wait for their turn" in told
    async with tcp.get("/healthz") as response:
        assert response.status == HTTPStatus.OK
    go_on.set()
    assert sorted(await asyncio.gather(*asking)) == [HTTPStatus.OK] * 2
    for client in clients:
        assert b" 200 OK" in await client.read()
    assert most == doors.AT_WORK + 1


async def _status_of(session: aiohttp.ClientSession, path: str) -> int:
    async with session.get(path) as response:
        return response.status


async def test_who_comes_when_all_places_are_taken_is_told_so(
    connect: Connect,
    tcp: aiohttp.ClientSession,
    unix: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doors, "MAX_CONNECTIONS", 5)
    clients = [await connect() for _ in range(5)]
    for client in clients:
        await client.get("/healthz")
        assert b" 200 OK" in await client.read()
    turned = await (await connect()).read_all()
    assert turned.startswith(b"HTTP/1.1 503 ")
    assert b"too many connections" in turned
    answers = []
    for session in (tcp, unix):
        async with session.get("/healthz") as response:
            answers.append(response.status)
    assert sorted(answers) == [HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE]
    clients[0].close()
    await until(lambda: True)
    client = await connect()
    await client.get("/healthz")
    assert b" 200 OK" in await client.read()


async def test_a_body_that_never_ends_is_given_up(
    daemon: FakeDaemon, server: ApiServer, connect: Connect, token: dict[str, str]
) -> None:
    client = await connect()
    await client.send(
        f"POST {RETRY} HTTP/1.1\r\nHost: {base_url(server)[7:]}\r\nContent-Length: 100\r\n"
        f"Authorization: {token['Authorization']}\r\nConnection: close\r\n\r\n" + '{"all"'
    )
    await until(lambda: daemon.clock.next_deadline() is not None)
    daemon.clock.advance(31.0)
    answer = await client.read_all()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the body did not come within 30 s" in answer
    assert daemon.retried == []


async def test_a_small_body_does_not_become_a_large_one(
    daemon: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    bomb = gzip.compress(b'{"all": true}' + b" " * (100 * MAX_BODY_BYTES))
    async with unix.post(RETRY, data=bomb, headers={"Content-Encoding": "gzip"}) as response:
        assert response.status == HTTPStatus.BAD_REQUEST
        assert "not JSON" in (await response.json())["error"]["message"]
    assert daemon.retried == []


@pytest.mark.usefixtures("large")
async def test_a_stop_waits_for_nobody_who_does_not_read(
    server: ApiServer, connect: Connect
) -> None:
    for _ in range(3):
        await (await connect()).get()
    await until(lambda: len(writers_waited_for()) == 3)
    await within(SystemClock(), 2.0, server.stop())
    assert writers_waited_for() == []


def test_the_bounds_are_what_is_promised() -> None:
    assert (doors.MAX_CONNECTIONS, doors.WRITE_TIMEOUT_S, server.MAX_BODY_BYTES) == (
        256,
        10.0,
        1024 * 1024,
    )
