"""Repositories, a place for clones, and a server that says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.sources.origins import Origin, running
from tests.running import wait_until

from enrichd.sources.url import GitUrl


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path)
    made.commit({"a.py": "a = 1\n", "pkg/b.py": "b = 1\n"})
    return made


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return tmp_path / "state" / "sources"


@pytest.fixture(autouse=True)
def nothing_is_left_running(tmp_path: Path) -> Iterator[None]:
    yield
    # what serves a file:// URL at the other end may need a moment more than who asked
    wait_until("nothing is left running", lambda: not running(str(tmp_path)), 5.0)


@pytest.fixture
def connected() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def silent(connected: asyncio.Event) -> AsyncIterator[GitUrl]:
    """A URL of a server that takes connections and says nothing."""
    writers = []

    def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        connected.set()

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield GitUrl.parse(f"https://127.0.0.1:{port}/a")
    server.close()
    for writer in writers:
        writer.close()
    await asyncio.gather(*(each.wait_closed() for each in writers), return_exceptions=True)
    await server.wait_closed()
