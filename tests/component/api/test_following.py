"""A stream from the side of the command line: it goes on over restarts, and not for ever."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tests.component.api.fake_daemon import FakeDaemon
from tests.component.api.test_doors import until
from tests.component.api.test_streams import A, Jobs

from enrichd.api.server import ApiServer
from enrichd.cli.invocation import Invocation
from enrichd.cli.live import PATIENCE_S, Live, Message, Shown
from enrichd.clock import FakeClock, SystemClock, within
from enrichd.errors import DaemonUnreachable
from enrichd.query.jobs import EventView, Snapshot
from enrichd.report import NoProgress


class Call:
    """What a stream needs of an invocation."""

    def __init__(self, socket: Path) -> None:
        self.owner: int | None = os.getpid()
        self.config = SimpleNamespace(daemon=SimpleNamespace(socket=socket))
        self.told: list[str] = []

    def tell(self, text: str) -> None:
        self.told.append(text)


class House:
    """A daemon whose doors open and close."""

    def __init__(self, daemon: FakeDaemon, folder: Path) -> None:
        self.daemon = daemon
        self.folder = folder
        self.call = Call(folder / "s")
        self.clock = FakeClock()
        self.jobs = Jobs(daemon)
        self.server: ApiServer | None = None

    async def open(self) -> None:
        self.server = ApiServer(
            self.daemon, socket=self.folder / "s", listen=None, token_file=self.folder / "token"
        )
        await self.server.start()

    async def close(self) -> None:
        if self.server is not None:
            await self.server.stop()
        self.server = None

    def live(self, job: str = "") -> Live:
        return Live(cast("Invocation", self.call), self.clock, job=job)


@pytest.fixture
async def house(daemon: FakeDaemon, tmp_path: Path) -> AsyncIterator[House]:
    feeding = asyncio.create_task(daemon.job_feed.run())
    house = House(daemon, tmp_path)
    await house.jobs.begin(A)
    await house.open()
    yield house
    await house.close()
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)


async def listen(house: House, heard: list[Message], job: str = "") -> None:
    async with aclosing(house.live(job).messages()) as messages:
        async for message in messages:
            heard.append(message)  # noqa: PERF401 (each is looked for as it comes)


async def test_it_goes_on_where_it_was_when_the_daemon_comes_back(house: House) -> None:
    heard: list[Message] = []
    listening = asyncio.create_task(listen(house, heard, A))
    await until(lambda: len(heard) == 1)
    for number in range(5):
        await house.jobs.go_on(number)
        await until(lambda: house.daemon.job_feed.followers)
        await house.close()
        await house.jobs.go_on(number)
        await until(lambda: house.call.told)
        assert "trying again" in house.call.told.pop()
        await house.open()
        house.clock.advance(1.0)
        await until(lambda: house.daemon.job_feed.followers)
    await house.jobs.end()
    await within(SystemClock(), 10.0, listening)
    assert [each.told.seq for each in heard] == list(range(1, 13))
    assert isinstance(heard[0].told, Snapshot)


async def test_a_daemon_that_stays_away_is_not_waited_for_for_ever(house: House) -> None:
    listening = asyncio.create_task(listen(house, []))
    await until(lambda: house.daemon.job_feed.followers)
    await house.close()
    house.call.owner = None
    await until(lambda: house.call.told)
    for _ in range(int(PATIENCE_S)):
        assert not listening.done()
        house.clock.advance(1.0)
        for _ in range(20):
            await asyncio.sleep(0)
    with pytest.raises(DaemonUnreachable, match="for 60 s"):
        await within(SystemClock(), 10.0, listening)


async def test_a_daemon_that_was_never_there_is_not_waited_for(house: House) -> None:
    await house.close()
    for owner in (os.getpid(), None):
        house.call.owner = owner
        with pytest.raises(DaemonUnreachable):
            await listen(house, [])
    await house.open()
    house.call.owner = 1
    with pytest.raises(DaemonUnreachable, match="process 1 holds the database"):
        await listen(house, [])


async def test_a_stage_is_named_before_its_progress_wherever_one_joins(house: House) -> None:
    told: list[object] = []

    class Written(NoProgress):
        def stage(self, name: str, total: int | None) -> None:
            told.append((name, total))

        def advance(self, done: int, total: int | None, current: str = "") -> None:
            told.append((done, total, current))

    heard: list[Message] = []
    await house.jobs.go_on(1)
    await house.jobs.go_on(2)
    listening = asyncio.create_task(listen(house, heard, A))
    await until(lambda: heard)
    await house.jobs.go_on(3)
    await house.jobs.end()
    await listening
    first, *rest = [each.told for each in heard]
    for start in ([first], []):
        told.clear()
        shown = Shown(Written())
        for each in (*start, *rest):
            if isinstance(each, Snapshot):
                shown.stands(each.job)
            elif isinstance(each, EventView):
                shown.happened(each)
        assert told[0] == ("parsing", 1000)
        assert told[-1] == (3, 1000, "x.py")
