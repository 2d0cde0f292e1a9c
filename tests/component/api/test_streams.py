"""Streams of jobs: what stands, then what happens, until the job, the client or the daemon ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.component.api.conftest import base_url
from tests.component.api.fake_daemon import FakeDaemon
from tests.component.api.test_doors import until

from enrichd import job_feed
from enrichd.api import doors, streams
from enrichd.api.server import ApiServer
from enrichd.clock import SystemClock, within
from enrichd_tracker.jobs import JobResult, Level, Note
from enrichd_tracker.model import JobStatus, Stage

A, B = "a" * 32, "b" * 32
ALL = "/api/v1/index/status/stream"
ONE = f"/api/v1/index/status/{A}/stream"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


@pytest.fixture
async def jobs(daemon: FakeDaemon) -> AsyncIterator[Jobs]:
    feeding = asyncio.create_task(daemon.job_feed.run())
    jobs = Jobs(daemon)
    await jobs.begin(A)
    yield jobs
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)


class Jobs:
    def __init__(self, daemon: FakeDaemon) -> None:
        self.store = daemon.store

    async def begin(self, job: str) -> None:
        (workspace, *_) = await self.store.read(lambda reader: reader.workspaces())
        await self.store.begin_job(job, workspace.id, "full", owner="test")

    async def go_on(self, done: int, job: str = A, text: str = "") -> None:
        notes = [Note(Level.INFO, text)] if text else []
        await self.store.report_stage(job, Stage.PARSING, done, 1000, "x.py", notes=notes)

    async def end(self, job: str = A, status: JobStatus = JobStatus.COMPLETED) -> None:
        await self.store.end_job(job, JobResult(status))


async def heard(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    message = await within(SystemClock(), 10.0, socket.receive())
    assert message.type is aiohttp.WSMsgType.TEXT, (message, socket.close_code)
    found: dict[str, Any] = json.loads(message.data)
    return found


async def closed(socket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    message = await within(SystemClock(), 10.0, socket.receive())
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return message.data, message.extra or ""


async def test_a_job_is_told_from_what_stands_to_its_end(
    jobs: Jobs, unix: aiohttp.ClientSession
) -> None:
    async with unix.ws_connect(ONE) as socket:
        snapshot = await heard(socket)
        assert (snapshot["event"], snapshot["seq"]) == ("snapshot", 1)
        assert snapshot["job"]["job_id"] == A
        await jobs.go_on(1, text="hello")
        await jobs.end()
        told = [await heard(socket) for _ in range(3)]
        assert [each["event"] for each in told] == ["log", "stage", "status"]
        assert [each["seq"] for each in told] == [2, 3, 4]
        assert told[0]["message"] == "hello"
        assert told[1]["current_item"] == "x.py"
        assert told[2]["status"] == "completed"
        assert await closed(socket) == (1000, "the job is over")


async def test_late_joiners_of_a_finished_job_get_its_end(
    jobs: Jobs, tcp: aiohttp.ClientSession
) -> None:
    await jobs.end(status=JobStatus.FAILED)
    async with tcp.ws_connect(f"/api/v1/index/status/{A[:5]}/stream") as socket:
        assert (await heard(socket))["job"]["status"] == "failed"
        assert (await closed(socket))[0] == 1000


async def test_who_was_there_goes_on_after_what_he_heard_last(
    jobs: Jobs, unix: aiohttp.ClientSession
) -> None:
    for done in range(5):
        await jobs.go_on(done)
    await jobs.end()
    for since in range(8):
        async with unix.ws_connect(ONE, params={"since": since}) as socket:
            told = [await heard(socket) for _ in range(7 - since)]
            assert [each["seq"] for each in told] == list(range(since + 1, 8))
            assert (await closed(socket))[0] == 1000
    async with unix.ws_connect(ONE, params={"since": 8}) as socket:
        assert (await heard(socket))["event"] == "snapshot"


async def test_all_jobs_have_a_stream_of_their_own(jobs: Jobs, unix: aiohttp.ClientSession) -> None:
    async with (
        unix.ws_connect(ALL) as everything,
        unix.ws_connect(ALL, params={"workspace": "shop", "since": 1}) as shop,
    ):
        snapshot = await heard(everything)
        assert [each["job_id"] for each in snapshot["jobs"]] == [A]
        await jobs.end(A)
        await jobs.begin(B)
        for socket in (everything, shop):
            assert [(await heard(socket))["job_id"] for _ in range(2)] == [A, B]


@pytest.mark.parametrize(
    ("path", "headers", "status", "word"),
    [
        (f"/api/v1/index/status/{B}/stream", UPGRADE, HTTPStatus.NOT_FOUND, "no job"),
        (f"{ALL}?workspace=bank", UPGRADE, HTTPStatus.NOT_FOUND, "no workspace"),
        (f"{ALL}?since=-1", UPGRADE, HTTPStatus.UNPROCESSABLE_ENTITY, "since"),
        (f"{ALL}?after=1", UPGRADE, HTTPStatus.UNPROCESSABLE_ENTITY, "after"),
        (ALL, {}, HTTPStatus.BAD_REQUEST, "WebSocket"),
        (ALL, UPGRADE | {"Sec-WebSocket-Protocol": "soap"}, HTTPStatus.BAD_REQUEST, "subprotocol"),
        (ALL, UPGRADE | {"Sec-WebSocket-Version": "1"}, HTTPStatus.BAD_REQUEST, "WebSocket"),
        (ALL, UPGRADE | {"Origin": "http://evil.example"}, HTTPStatus.FORBIDDEN, "Origin"),
        (ALL, UPGRADE | {"Host": "evil.example"}, HTTPStatus.FORBIDDEN, "Host"),
    ],
)
async def test_what_is_refused_is_refused_as_json_before_the_upgrade(
    jobs: Jobs,
    tcp: aiohttp.ClientSession,
    path: str,
    headers: dict[str, str],
    status: HTTPStatus,
    word: str,
) -> None:
    async with tcp.get(path, headers=headers) as response:
        assert response.status == status
        assert word in (await response.json())["error"]["message"]
    async with tcp.head(ALL, headers=UPGRADE) as response:
        assert response.status == HTTPStatus.BAD_REQUEST


async def test_what_clients_say_does_not_matter_but_is_bounded(
    jobs: Jobs, unix: aiohttp.ClientSession
) -> None:
    async with unix.ws_connect(ONE, autoping=False) as socket:
        await heard(socket)
        for _ in range(50):
            await socket.send_str("what?")
            await socket.send_bytes(b"\0" * 1000)
        await socket.ping(b"there?")
        message = await within(SystemClock(), 10.0, socket.receive())
        assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"there?")
        await jobs.go_on(1)
        assert (await heard(socket))["processed"] == 1
        await socket.send_str("x" * (streams.MAX_MESSAGE_BYTES + 1))
        assert (await closed(socket))[0] == 1009


async def test_there_is_room_for_so_many_streams_and_for_questions_beside_them(
    jobs: Jobs, unix: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_STREAMS", 3)
    first = [await unix.ws_connect(ALL) for _ in range(3)]
    async with unix.get(ALL, headers=UPGRADE) as response:
        assert response.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "3 streams are open" in (await response.json())["error"]["message"]
    async with unix.get("/healthz") as response:
        assert response.status == HTTPStatus.OK
    await first.pop().close()

    async def again() -> int:
        async with unix.get(ALL, headers=UPGRADE) as response:
            return response.status

    for _ in range(100):
        if await again() == HTTPStatus.SWITCHING_PROTOCOLS:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("there is room for no other")
    for each in first:
        await each.close()
    assert streams.MAX_STREAMS < doors.MAX_CONNECTIONS


async def test_a_dead_peer_is_dropped(
    jobs: Jobs,
    daemon: FakeDaemon,
    unix: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    async with (
        unix.ws_connect(ONE, autoping=False) as dead,
        unix.ws_connect(ALL) as alive,
    ):
        await heard(dead)
        await heard(alive)
        message = await within(SystemClock(), 10.0, dead.receive())
        assert message.type is aiohttp.WSMsgType.PING
        living = asyncio.create_task(heard(alive))
        message = await within(SystemClock(), 10.0, dead.receive())
        assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE}
        await jobs.go_on(1)
        assert (await living)["event"] == "stage"


async def stalled(path: Path) -> socket.socket:
    """A client that was accepted and reads nothing."""
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, str(path))
    lines = [f"GET {ONE} HTTP/1.1", "Host: enrichd", *(f"{k}: {v}" for k, v in UPGRADE.items())]
    await loop.sock_sendall(client, "\r\n".join([*lines, "", ""]).encode())
    return client


async def test_a_client_that_reads_too_slowly_is_told_where_to_go_on(
    jobs: Jobs,
    unix: aiohttp.ClientSession,
    tmp_path: Path,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_feed, "MOST_WAITING", 64)
    slow = await stalled(tmp_path / "run" / "enrichd.sock")
    quick = await unix.ws_connect(ONE)
    last = (await heard(quick))["seq"]
    for done in range(600):  # more than the kernel holds for a client, and our queue
        await jobs.go_on(done, text="x" * 900)
        for _ in range(2):
            seen = (await heard(quick))["seq"]
            assert seen == last + 1
            last = seen
    told = b""
    loop = asyncio.get_running_loop()
    while data := await within(SystemClock(), 10.0, loop.sock_recv(slow, 65536)):
        told += data
    slow.close()
    assert b"\x88" in told
    code, reason = told[-told[::-1].index(b"\x88"[0]) :][1:3], told.rpartition(b"; go on with ")[2]
    assert int.from_bytes(code, "big") == 1013
    since = int(reason.removeprefix(b"since="))
    assert f'"seq":{since},'.encode() in told
    assert f'"seq":{since + 1},'.encode() not in told
    async with unix.ws_connect(ONE, params={"since": since}) as again:
        for seq in range(since + 1, last + 1):
            assert (await heard(again))["seq"] == seq
    await quick.close()


async def test_a_client_that_never_reads_is_cut_off(
    jobs: Jobs, tmp_path: Path, daemon: FakeDaemon, server: ApiServer
) -> None:
    dead = await stalled(tmp_path / "run" / "enrichd.sock")
    await until(lambda: daemon.job_feed.followers)
    for done in range(600):
        await jobs.go_on(done, text="x" * 900)
    names = {"a stream of jobs", "a client that does not read"}
    await until(lambda: names <= {each.get_name() for each in asyncio.all_tasks()})
    daemon.clock.advance(doors.WRITE_TIMEOUT_S)
    await until(lambda: not names & {each.get_name() for each in asyncio.all_tasks()})
    assert not daemon.job_feed.followers
    dead.close()


async def test_a_stop_ends_all_streams_at_once(
    jobs: Jobs, server: ApiServer, tmp_path: Path
) -> None:
    dead = await stalled(tmp_path / "run" / "enrichd.sock")
    async with aiohttp.ClientSession(base_url(server)) as session:
        sockets = [await session.ws_connect(path) for path in (ONE, ALL) for _ in range(20)]
        for each in sockets:
            await heard(each)
        clock = SystemClock()
        began = clock.monotonic()
        stopping = asyncio.create_task(server.stop())
        for each in sockets:
            code, reason = await closed(each)
            assert (code, reason) == (1001, "the daemon is stopping; go on with since=1")
        told_s = clock.monotonic() - began
        await stopping
        stopped_s = clock.monotonic() - began
    dead.close()
    assert told_s < 1.0
    assert stopped_s < 3.0
