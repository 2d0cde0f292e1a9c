"""A client on a real process that misbehaves below the protocol, and what may not come of it."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from enrichd.clock import SystemClock, within
from enrichd.lsp.client import Client
from enrichd.lsp.manners import Manners
from enrichd.lsp.process import ServerProcess
from enrichd.lsp.wire import Answered, Reply, Target

RAW = str(Path(__file__).parents[1] / "servers" / "raw_server.py")
SEED = int(os.environ.get("ENRICHD_FAULT_SEED", "0")) or random.SystemRandom().getrandbits(32)
DEFINITION = "textDocument/definition"
URI = b'"file:///a.py"'
CLOCK = SystemClock()
WINDOW = 8


class Connection:
    """A server's process that misbehaves, a client on it, and every reply that came."""

    def __init__(self, root: Path, *modes: str, request_timeout_s: float = 20.0) -> None:
        command = [sys.executable, "-I", "-S", RAW, *modes]
        environment = dict(os.environ)
        self.process = ServerProcess(command, cwd=root, environment=environment, clock=CLOCK)
        self.client = Client(
            self.process,
            manners=Manners({}, "file:///root", "root"),
            clock=CLOCK,
            request_timeout_s=request_timeout_s,
        )
        self.asked = 0
        self.replies: list[tuple[Reply[list[Target]], float]] = []
        """Each with the monotonic time at which it came."""
        self.goes_on = False
        """Whether each answer leads to the next question."""
        self.begun = asyncio.Event()

    @property
    def waiting(self) -> int:
        return self.asked - len(self.replies)

    def begin(self) -> None:
        """Shake hands, without waiting for it."""
        self.asked += 1
        self.client.request("initialize", {"capabilities": {}}, self._began)

    def _began(self, reply: Reply[object]) -> None:
        if isinstance(reply, Answered):
            self.asked -= 1
            self.client.notify("initialized", {})
            self.begun.set()
            if self.goes_on:
                self.ask(WINDOW)
        else:
            self._take(reply)

    def ask(self, count: int = 1) -> None:
        for _ in range(count):
            self.asked += 1
            self.client.ask_position(DEFINITION, URI, self.asked, 0, self._take)

    def _take(self, reply: Reply[list[Target]]) -> None:
        self.replies.append((reply, time.monotonic()))
        if self.goes_on and isinstance(reply, Answered):
            self.ask()

    async def start(self) -> None:
        await self.process.start()
        self.begin()
        await within(CLOCK, 20.0, self.begun.wait())

    async def end(self) -> None:
        self.goes_on = False
        await self.process.kill()
        await self.client.aclose()
        assert self.waiting == 0
        assert self.process.returncode is not None


async def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    async def look() -> None:
        while not condition():
            await CLOCK.sleep(0.005)

    await within(CLOCK, timeout_s, look())


@asynccontextmanager
async def heard_nothing() -> AsyncIterator[None]:
    """Meanwhile nothing is left behind: no task, no exception that was never retrieved."""
    loop = asyncio.get_running_loop()
    heard: list[str] = []
    loop.set_exception_handler(lambda _, context: heard.append(str(context)))
    yield
    await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    assert heard == []
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


def pending_futures() -> int:
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, asyncio.Future)]
    return sum(not each.done() for each in found)
