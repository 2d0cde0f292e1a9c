"""A server around the fake daemon, and clients at both of its doors."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from tests.component.api.fake_daemon import FakeDaemon, open_daemon

from enrichd.api.server import ApiServer


@pytest.fixture
def careless_umask() -> Iterator[None]:
    """A process that takes no rights away from what it makes."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[FakeDaemon]:
    daemon = await open_daemon(tmp_path)
    yield daemon
    await daemon.store.close()


@pytest.fixture
async def server(daemon: FakeDaemon, tmp_path: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer(
        daemon,
        socket=tmp_path / "run" / "enrichd.sock",
        listen=("127.0.0.1", 0),
        token_file=tmp_path / "token",
    )
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def unix(server: ApiServer, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Over the Unix socket, as the command line does."""
    connector = aiohttp.UnixConnector(str(tmp_path / "run" / "enrichd.sock"))
    async with aiohttp.ClientSession("http://enrichd", connector=connector) as session:
        yield session


@pytest.fixture
async def tcp(server: ApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    """Over TCP, as anybody on this machine can."""
    async with aiohttp.ClientSession(base_url(server)) as session:
        yield session


@pytest.fixture
def token(server: ApiServer, tmp_path: Path) -> dict[str, str]:
    """The headers of a client that was given the token."""
    file = tmp_path / "token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return {"Authorization": f"Bearer {file.read_text().strip()}"}


def base_url(server: ApiServer) -> str:
    assert server.address is not None
    host, port = server.address
    return f"http://{host}:{port}"
