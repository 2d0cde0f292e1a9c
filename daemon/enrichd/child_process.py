"""A worker process of ours as its parent sees it; its own side is child.py."""

from __future__ import annotations

import asyncio
import shlex
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from enrichd.child import frame
from enrichd.errors import EnrichdError

_PIPE_BUFFER = 1024 * 1024


class ChildDied(Exception):
    """The process ended by itself, or is good for nothing any more; the message says how."""


class ChildProcess:
    """One process, spoken to in frames."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(
        cls, command: Sequence[str], does: str, ready: Callable[[Self], Awaitable[object]]
    ) -> Self:
        """Start it and wait until it is ready: ``ready`` takes what it says first.

        Raises EnrichdError, in which it is the process that ``does`` something.
        """
        child = cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_PIPE_BUFFER,
            )
        )
        try:
            await ready(child)
        except ChildDied as death:
            await child.end()
            raise EnrichdError(
                f"the process that {does} {death} before it was ready",
                hint=f"try it by hand: {shlex.join(command)}",
            ) from death
        except BaseException:
            await child.end()
            raise
        return child

    def send(self, payload: bytes) -> None:
        """Pipes and this process's memory hold what it has not come to."""
        assert self._process.stdin is not None
        self._process.stdin.write(frame(payload))

    async def receive(self) -> bytes:
        """What it says next; raises ChildDied."""
        assert self._process.stdout is not None
        try:
            size = int.from_bytes(await self._process.stdout.readexactly(4), "big")
            return await self._process.stdout.readexactly(size)
        except asyncio.IncompleteReadError:
            raise ChildDied(_ended(await self._process.wait())) from None

    async def end(self) -> None:
        """Kill it, which holds nothing that is worth keeping, and wait for its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.returncode is None:
            self._process.kill()
        self._process.stdin.close()
        while await self._process.stdout.read(_PIPE_BUFFER):
            pass
        await self._process.wait()


def _ended(code: int) -> str:
    if code == -signal.SIGPROF:
        return "ran out of processor time"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
