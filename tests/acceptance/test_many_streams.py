"""Two hundred clients of the streams while jobs run: each is told everything once, in order."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests import proc
from tests.running import Daemon, Place, pygls_server, running, write_tree

from enrichd.clock import SystemClock, within
from enrichd_tracker.store.reading import reading

ALL = "/api/v1/index/status/stream"
FILES = 300
FOR_ALL, FOR_ONE = 100, 98
ROUNDS, SMALL_JOBS = 3, 90
MOST_GROWTH_BYTES = 48 * 1024 * 1024
GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"


class Client:
    """What one client was told: the numbers of the events, in order."""

    def __init__(self, session: aiohttp.ClientSession, path: str) -> None:
        self.session = session
        self.path = path
        self.first: int | None = None
        self.told: list[int] = []
        self.code: int | None = None
        self.connections = 0

    async def listen(self, most: Callable[[], int] = lambda: 1 << 60) -> None:
        """Until it is closed; it hangs up by itself after so many messages, and comes back."""
        while self.code != 1000:
            since = {} if self.first is None else {"since": (self.told or [self.first])[-1]}
            async with self.session.ws_connect(self.path, params=since) as connection:
                self.connections += 1
                left = most()
                while left and (message := await connection.receive()).type is (
                    aiohttp.WSMsgType.TEXT
                ):
                    self._take(json.loads(message.data))
                    left -= 1
                if left:
                    self.code = connection.close_code
                    assert self.code == 1000, (self.code, message)

    def _take(self, told: dict[str, Any]) -> None:
        if told["event"] == "snapshot":
            assert self.first is None, "it was sent what stands in place of what it missed"
            self.first = told["seq"]
        else:
            self.told.append(told["seq"])


async def index(session: aiohttp.ClientSession, path: Path, kind: str) -> str:
    wish = {"path": str(path), "kind": kind, "enrich": False}
    async with session.post("/api/v1/index", json=wish) as response:
        document = await response.json()
        assert response.status == 202, document
        job: str = document["job_id"]
        return job


async def end_of(session: aiohttp.ClientSession, job: str) -> None:
    await within(SystemClock(), 60.0, Client(session, stream_of(job)).listen())


def stream_of(job: str) -> str:
    return f"/api/v1/index/status/{job}/stream"


async def one_that_never_reads(place: Place) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, str(place.socket))
    head = (
        f"GET {ALL} HTTP/1.1\r\nHost: enrichd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    await loop.sock_sendall(client, head.encode())
    return client


async def is_cut_off(client: socket.socket) -> int:
    """How much it could have read."""
    found = 0
    try:
        while data := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
            found += len(data)
    except ConnectionResetError:
        pass
    return found


def events(place: Place, job: str | None, since: int) -> list[int]:
    with reading(place.database) as reader:
        return [each.seq for each in reader.runs.events_after(since, job, 1 << 30)]


@asynccontextmanager
async def together(*work: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each) for each in work]
    yield
    for each in tasks:
        if each.done():
            each.result()
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until_told(clients: list[Client], last: int) -> None:
    while any((each.told or [0])[-1] < last for each in clients):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def test_two_hundred_clients_are_told_everything_once_and_in_order(place: Place) -> None:
    roots = [
        write_tree(place.folder / f"w{n}", {f"m{i}.py": GOOD for i in range(FILES)})
        for n in range(3)
    ]
    place.configure(*roots, more=pygls_server())
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until_settled(workspaces=3, timeout_s=90)
        figures = asyncio.run(_follow(place, daemon, roots))
        code, took_s = daemon.terminate()
        assert code == 0
    print(figures, f"stopped after {took_s:.2f} s")


async def _follow(place: Place, daemon: Daemon, roots: list[Path]) -> str:
    chance = random.Random(5)
    connector = aiohttp.UnixConnector(str(place.socket), limit=0)
    async with aiohttp.ClientSession("http://enrichd", connector=connector) as session:
        for root in roots:  # what a job takes is no one's fault who follows it
            await end_of(session, await index(session, root, "full"))
        before = proc.memory_bytes(daemon.pid)
        proc.reset_peak(daemon.pid)
        everything = [Client(session, ALL) for _ in range(FOR_ALL)]
        restless = Client(session, ALL)
        stubborn = await one_that_never_reads(place)
        of_jobs: list[tuple[str, Client]] = []
        listening = [
            *(each.listen() for each in everything),
            restless.listen(lambda: chance.randint(1, 5)),
        ]
        async with together(*listening):
            for _ in range(ROUNDS):
                jobs = [await index(session, root, "full") for root in roots]
                followed = [jobs[n % 3] for n in range(FOR_ONE)]
                clients = [Client(session, stream_of(job)) for job in followed]
                of_jobs += zip(followed, clients, strict=True)
                ends = asyncio.gather(*[each.listen() for each in clients])
                await within(SystemClock(), 90.0, ends)
            for n in range(SMALL_JOBS):
                await end_of(session, await index(session, roots[n % 3], "incremental"))
            last = events(place, None, 0)[-1]
            await within(SystemClock(), 60.0, until_told([*everything, restless], last))
        after, most = proc.memory_bytes(daemon.pid), proc.memory_bytes(daemon.pid, "VmHWM")
        could_read = await within(SystemClock(), 40.0, is_cut_off(stubborn))
        stubborn.close()
    for client in [*everything, restless]:
        assert client.first is not None
        assert client.told == events(place, None, client.first)[: len(client.told)]
        assert client.told[-1] >= last
    for job, client in of_jobs:
        assert client.first is not None
        assert client.told == events(place, job, client.first)
    written = len(events(place, None, 0))
    heard = sum(len(each.told) for each in [*everything, restless, *(each for _, each in of_jobs)])
    assert restless.connections > len(restless.told) / 6
    assert most - before < MOST_GROWTH_BYTES
    return (
        f"{written:,} events, {heard:,} messages, {restless.connections:,} reconnects; "
        f"RSS before {before / 2**20:.0f}, at most {most / 2**20:.0f}, "
        f"after {after / 2**20:.0f} MiB; who never read was cut off, {could_read:,} bytes on"
    )
