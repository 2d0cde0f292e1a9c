"""The sockets: who may see them, what is replaced, what is refused, and the end."""

# ruff: noqa: ASYNC240  (nothing else waits for the loop)

from __future__ import annotations

import asyncio
import os
import socket
import stat
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
from tests.component.api.conftest import base_url
from tests.component.api.fake_daemon import FakeDaemon

from enrichd.api import server as api_server
from enrichd.api.listening import AlreadyServed, CannotListen
from enrichd.api.server import ApiServer
from enrichd.clock import SystemClock
from enrichd.errors import ExitCode


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "enrichd.sock"


@pytest.fixture
def alone(daemon: FakeDaemon, path: Path, tmp_path: Path) -> ApiServer:
    """On the Unix socket only, not started."""
    return ApiServer(daemon, socket=path, listen=None, token_file=tmp_path / "token")


async def healthz(path: Path) -> int:
    connector = aiohttp.UnixConnector(str(path))
    async with (
        aiohttp.ClientSession("http://enrichd", connector=connector) as session,
        session.get("/healthz") as response,
    ):
        return response.status


@pytest.mark.usefixtures("careless_umask")
async def test_the_socket_is_its_owners_alone_from_the_first_moment(
    alone: ApiServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    bind = socket.socket.bind

    def watched(self: socket.socket, address: str) -> None:
        bind(self, address)
        seen.append(stat.S_IMODE(Path(address).lstat().st_mode))

    monkeypatch.setattr(socket.socket, "bind", watched)
    await alone.start()
    try:
        assert seen == [0o600]
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert list(path.parent.iterdir()) == [path]
        assert os.umask(0) == 0, "the umask is the whole process's: it was left alone"
    finally:
        await alone.stop()


async def test_a_stop_leaves_nothing_behind(alone: ApiServer, path: Path) -> None:
    await alone.start()
    await alone.stop()
    assert list(path.parent.iterdir()) == []


async def test_a_server_can_be_started_again(alone: ApiServer, path: Path) -> None:
    for _ in range(3):
        await alone.start()
        assert await healthz(path) == HTTPStatus.OK
        await alone.stop()


async def test_a_stop_without_a_start_does_nothing(alone: ApiServer) -> None:
    await alone.stop()


async def test_the_socket_of_a_dead_process_is_replaced(alone: ApiServer, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    await alone.start()
    try:
        assert await healthz(path) == HTTPStatus.OK
    finally:
        await alone.stop()


async def test_a_second_server_is_refused_and_the_first_unharmed(
    alone: ApiServer, daemon: FakeDaemon, path: Path, tmp_path: Path
) -> None:
    await alone.start()
    second = ApiServer(daemon, socket=path, listen=None, token_file=tmp_path / "token")
    try:
        with pytest.raises(AlreadyServed, match=str(path)) as caught:
            await second.start()
        assert caught.value.exit_code is ExitCode.LOCKED
        assert await healthz(path) == HTTPStatus.OK
        await second.stop()
        assert await healthz(path) == HTTPStatus.OK
    finally:
        await alone.stop()


async def test_a_living_socket_that_is_too_busy_to_answer_is_not_replaced(
    alone: ApiServer, path: Path
) -> None:
    path.parent.mkdir()
    clients: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        try:
            while True:
                clients.append(socket.socket(socket.AF_UNIX))
                clients[-1].setblocking(False)
                clients[-1].connect(str(path))
        except BlockingIOError:
            pass
        with pytest.raises(AlreadyServed):
            await alone.start()
        for client in clients:
            client.close()


async def test_a_file_that_is_no_socket_is_not_replaced(alone: ApiServer, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(CannotListen, match="not a socket") as caught:
        await alone.start()
    assert "[daemon] socket" in (caught.value.hint or "")
    assert path.read_text() == "precious"


async def test_a_name_that_is_another_servers_by_now_is_left_alone(
    alone: ApiServer, path: Path
) -> None:
    await alone.start()
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        await alone.stop()
        assert path.exists()


async def test_a_path_that_is_too_long_is_named(daemon: FakeDaemon, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    server = ApiServer(daemon, socket=path, listen=None, token_file=tmp_path / "token")
    with pytest.raises(CannotListen, match="too long"):
        await server.start()
    assert not path.exists()


async def test_a_port_in_use_is_an_error_that_names_it(
    daemon: FakeDaemon, path: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = ApiServer(
            daemon, socket=path, listen=("127.0.0.1", port), token_file=tmp_path / "token"
        )
        with pytest.raises(CannotListen) as caught:
            await server.start()
    assert caught.value.exit_code is ExitCode.IO
    assert f"127.0.0.1:{port}" in caught.value.message
    assert "in use" in caught.value.message
    assert "[daemon] listen" in (caught.value.hint or "")
    assert not path.exists(), "a start that failed leaves nothing behind"


async def test_without_tcp_no_token_is_made(alone: ApiServer, tmp_path: Path) -> None:
    await alone.start()
    await alone.stop()
    assert alone.address is None
    assert not (tmp_path / "token").exists()


@pytest.mark.parametrize("host", ["localhost", "::1"])
async def test_every_loopback_name_can_be_listened_on(
    daemon: FakeDaemon, path: Path, tmp_path: Path, host: str
) -> None:
    server = ApiServer(daemon, socket=path, listen=(host, 0), token_file=tmp_path / "token")
    try:
        await server.start()
    except CannotListen as error:
        pytest.skip(f"no IPv6 here: {error}")
    try:
        assert server.address is not None
        port = server.address[1]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{'[::1]' if host == '::1' else host}:{port}/healthz") as response,
        ):
            assert response.status == HTTPStatus.OK
    finally:
        await server.stop()


async def test_a_client_that_does_not_finish_its_head_is_dropped(
    daemon: FakeDaemon, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server, "_IDLE_TIMEOUT_S", 0.05)
    server = ApiServer(daemon, socket=path, listen=("127.0.0.1", 0), token_file=tmp_path / "token")
    await server.start()
    try:
        assert server.address is not None
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /healthz HTTP/1.1\r\nHo")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    finally:
        await server.stop()


async def test_a_folder_that_cannot_be_made_is_named(
    daemon: FakeDaemon, path: Path, tmp_path: Path
) -> None:
    path.parent.touch()
    server = ApiServer(daemon, socket=path, listen=None, token_file=tmp_path / "token")
    with pytest.raises(CannotListen, match=str(path)) as caught:
        await server.start()
    assert caught.value.exit_code is ExitCode.IO


async def test_a_stop_waits_for_nobody_longer_than_two_seconds(
    daemon: FakeDaemon, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle client, a half-sent request, and a handler that never ends."""
    stuck = asyncio.Event()

    async def never() -> None:
        stuck.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(daemon, "status", never)
    assert server.address is not None
    clients = [await asyncio.open_connection(*server.address) for _ in range(3)]
    host = base_url(server).removeprefix("http://")
    clients[1][1].write(b"GET /healthz HTTP/1.1\r\nHo")
    clients[2][1].write(f"GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    await stuck.wait()
    clock = SystemClock()
    began = clock.monotonic()
    await server.stop()
    assert clock.monotonic() - began < 2.0
    for _, writer in clients:
        writer.close()
        await writer.wait_closed()
