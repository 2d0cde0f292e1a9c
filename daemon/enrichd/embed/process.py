"""The worker process as its parent sees it: texts in, vectors out, or its death."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from enrichd.child import frame
from enrichd.clock import Clock, within
from enrichd.embed.worker import Reply
from enrichd.errors import EnrichdError

_PIPE_BUFFER = 1024 * 1024
_ANSWER_TIMEOUT_S = 300.0
"""A hundred times what a request should take."""
_DECODER = msgspec.msgpack.Decoder(Reply)


class CannotEmbed(Exception):
    """Something about the texts of one request."""


class WorkerDied(CannotEmbed):
    """The process ended by itself, or had to be ended."""


class EmbedderProcess:
    """One worker process."""

    def __init__(self, process: Process, clock: Clock) -> None:
        self._process = process
        self._clock = clock

    @classmethod
    async def start(cls, command: Sequence[str], clock: Clock) -> Self:
        """Start it and wait until the model is loaded; raises EnrichdError."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_PIPE_BUFFER,
        )
        worker = cls(process, clock)
        try:
            await worker._reply()
        except WorkerDied as death:
            await worker.end()
            raise EnrichdError(
                f"the process that embeds {death} before it was ready",
                hint=f"try it by hand: {shlex.join(command)}",
            ) from death
        except BaseException:
            await worker.end()
            raise
        return worker

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A vector for each text; raises CannotEmbed, and is of no use after WorkerDied."""
        assert self._process.stdin is not None
        self._process.stdin.write(frame(msgspec.msgpack.encode(texts)))
        reply = await self._reply()
        if reply.error:
            raise CannotEmbed(reply.error)
        if len(reply.vectors) != len(texts):
            raise WorkerDied(f"gave {len(reply.vectors)} vectors for {len(texts)} texts")
        return reply.vectors

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

    async def _reply(self) -> Reply:
        try:
            return await within(self._clock, _ANSWER_TIMEOUT_S, self._receive())
        except TimeoutError:
            raise WorkerDied(f"did not answer in {_ANSWER_TIMEOUT_S:g} s") from None

    async def _receive(self) -> Reply:
        assert self._process.stdout is not None
        try:
            size = int.from_bytes(await self._process.stdout.readexactly(4), "big")
            return _DECODER.decode(await self._process.stdout.readexactly(size))
        except asyncio.IncompleteReadError:
            raise WorkerDied(_ended(await self._process.wait())) from None
        except msgspec.MsgspecError as error:
            raise WorkerDied(f"answered in a way that can't be read: {error}") from error


def worker_command(folder: Path) -> tuple[str, ...]:
    """``-P`` keeps modules of the current folder out of it."""
    return (sys.executable, "-P", "-m", "enrichd.embed.worker", str(folder))


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
