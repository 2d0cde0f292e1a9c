"""A language server inside the test's own process: no pipe, no delay, only a fake clock.

    spawn = FakeSpawn(FakeServer)
    Supervisor(..., spawn=spawn)

Each start makes a server; ``FakeSpawn.servers`` holds them all. A server's ``behave`` may be
changed while it lives. Answers come in the next turn of the event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from enrichd.clock import Clock, FakeClock
from enrichd.lsp.errors import ServerEnded
from enrichd.lsp.framing import Framer, encode
from enrichd.lsp.process import Listener

Request = dict[str, Any]
SILENCE = object()
"""What ``behave`` returns for no answer at all."""


class Refusal(Exception):
    """Raised by ``behave`` for an error answer."""

    def __init__(self, code: int, message: str = "as it was told to") -> None:
        super().__init__(message)
        self.code = code


class FakeServer:
    """Speaks the protocol rightly; what it answers is decided by ``behave``."""

    def __init__(self, behave: Callable[[Request], object]) -> None:
        self.capabilities: dict[str, object] = {
            "definitionProvider": True,
            "positionEncoding": "utf-8",
        }
        self.behave = behave
        self.received: list[Request] = []
        self.alive = False
        self.cannot_start = False
        self.writable = True
        self.pid = 4711
        self.memory = 0
        self._listener: Listener | None = None
        self._framer = Framer()

    def attach(self, listener: Listener) -> None:
        self._listener = listener

    async def start(self) -> None:
        if self.cannot_start:
            raise ServerEnded("no room for one more process")
        self.alive = True

    def write(self, data: bytes) -> None:
        for body in self._framer.feed(data):
            asyncio.get_running_loop().call_soon(self._take, json.loads(body))

    async def stop(self, grace_s: float) -> None:
        await self.kill()

    async def kill(self) -> None:
        self.die("it was killed by SIGKILL")

    def stderr_tail(self) -> list[str]:
        return ["last words"]

    def rss_bytes(self) -> int:
        return self.memory

    def die(self, reason: str = "it exited with status 3") -> None:
        self.alive = False
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.closed(reason)

    def say(self, message: Mapping[str, object]) -> None:
        self.say_bytes(encode(json.dumps({"jsonrpc": "2.0", **message}).encode()))

    def say_bytes(self, data: bytes) -> None:
        if self._listener is not None:
            self._listener.data_came(data)

    def _take(self, message: Request) -> None:
        self.received.append(message)
        if not self.alive or "id" not in message or "method" not in message:
            return
        try:
            result = self._result(message)
        except Refusal as refusal:
            error = {"code": refusal.code, "message": str(refusal)}
            self.say({"id": message["id"], "error": error})
            return
        if result is not SILENCE:
            self.say({"id": message["id"], "result": result})

    def _result(self, message: Request) -> object:
        if message["method"] in {"initialize", "shutdown"}:
            result = self.behave(message)
            if result is None and message["method"] == "initialize":
                info = {"name": "fake", "version": "1"}
                return {"capabilities": self.capabilities, "serverInfo": info}
            return result
        return self.behave(message)


class FakeSpawn:
    """Makes the processes of a supervisor; ``on_start`` may change each of them."""

    def __init__(
        self,
        behave: Callable[[Request], object],
        on_start: Callable[[FakeServer], None] | None = None,
    ) -> None:
        self.behave = behave
        self.on_start = on_start
        self.servers: list[FakeServer] = []

    def __call__(
        self, command: list[str], *, cwd: Path, environment: Mapping[str, str], clock: Clock
    ) -> FakeServer:
        server = FakeServer(self.behave)
        self.servers.append(server)
        if self.on_start is not None:
            self.on_start(server)
        return server

    @property
    def last(self) -> FakeServer:
        return self.servers[-1]


async def settle() -> None:
    """Let everything run that can run without the clock, the machine and threads."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    while True:
        await asyncio.sleep(0)
        if not ready:  # nobody but this task has anything to do
            return


async def until(clock: FakeClock, condition: Callable[[], bool], max_jumps: int = 1000) -> None:
    """Jump from deadline to deadline until ``condition`` holds."""
    await settle()
    for _ in range(max_jumps):
        if condition():
            return
        clock.jump()
        await settle()
    raise AssertionError("it never came true")


async def pass_time(clock: FakeClock, seconds: float) -> None:
    """Let that much time pass, with everything awake when its deadline comes."""
    end = clock.monotonic() + seconds
    await settle()
    while (deadline := clock.next_deadline()) is not None and deadline <= end:
        clock.advance(deadline - clock.monotonic())
        await settle()
    clock.advance(end - clock.monotonic())
    await settle()
