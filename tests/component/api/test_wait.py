"""Waiting over HTTP: an answer that takes its time, and what of it is left when nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import pytest
from tests.component.api.fake_daemon import FakeDaemon

from enrichd.api.server import ApiServer
from enrichd.query.answers import Unindexed


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come true")


async def test_wait_answers_when_the_graph_is_current(
    daemon: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    asked = asyncio.ensure_future(unix.get("/api/v1/wait?workspace=shop&timeout=5"))
    await until(lambda: daemon.waits == [("shop", 5.0)])
    assert not asked.done()
    daemon.current.set()
    response = await asked
    assert response.status == 200
    assert (await response.json())["current"] is True


async def test_a_client_that_goes_away_ends_its_wait(
    daemon: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    asked = asyncio.ensure_future(unix.get("/api/v1/wait"))
    await until(lambda: daemon.waits == [(None, 60.0)])
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await until(lambda: not daemon.waits)


async def test_a_stop_tells_those_who_wait(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, server: ApiServer
) -> None:
    asked = asyncio.ensure_future(unix.get("/api/v1/wait"))
    await until(lambda: daemon.waits)
    await server.stop()
    response = await asked
    assert response.status == 503
    assert "stopping" in (await response.json())["error"]["message"]
    assert not daemon.waits


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon", "1e9"])
async def test_a_time_that_is_none_is_refused(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, seconds: str
) -> None:
    response = await unix.get(f"/api/v1/wait?timeout={seconds}")
    assert response.status == 422
    assert not daemon.waits


async def test_what_points_at_a_symbol_is_stale_while_a_touched_file_waits(
    daemon: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    daemon.touched = Unindexed(2, ["new.py", "other.py"], 1.5)
    reason = "2 touched files wait to be indexed (new.py, other.py)"
    for question in ("graph/callers?symbol=cart.total", "graph/references?symbol=cart.total"):
        found = (await (await unix.get(f"/api/v1/{question}")).json())["completeness"]
        assert found["level"] in {"stale", "unknown"}
        assert reason in found["reasons"]
    found = (await (await unix.get("/api/v1/symbols?q=total")).json())["completeness"]
    assert reason in found["reasons"]
    found = await (await unix.get("/api/v1/graph/callees?symbol=cart.total")).json()
    assert reason not in found["completeness"]["reasons"]
    document = await (await unix.get("/api/v1/unindexed")).json()
    assert document["workspaces"]["shop"]["count"] == 2
