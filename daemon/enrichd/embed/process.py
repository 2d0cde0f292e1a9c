"""The worker process as its parent sees it: texts in, vectors out, or its death."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from enrichd.child_process import ChildDied, ChildProcess
from enrichd.clock import Clock, within
from enrichd.embed.worker import Reply

_ANSWER_TIMEOUT_S = 300.0
"""A hundred times what a request should take."""
_DECODER = msgspec.msgpack.Decoder(Reply)


class CannotEmbed(Exception):
    """Something about the texts of one request."""


class EmbedderProcess:
    """One worker process."""

    def __init__(self, process: ChildProcess, clock: Clock) -> None:
        self._process = process
        self._clock = clock

    @classmethod
    async def start(cls, command: Sequence[str], clock: Clock) -> Self:
        """Start it and wait until the model is loaded; raises EnrichdError."""
        return cls(
            await ChildProcess.start(command, "embeds", lambda process: _reply(process, clock)),
            clock,
        )

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A vector for each text; raises CannotEmbed, and ChildDied: it is of no use then."""
        self._process.send(msgspec.msgpack.encode(texts))
        reply = await _reply(self._process, self._clock)
        if reply.error:
            raise CannotEmbed(reply.error)
        if len(reply.vectors) != len(texts):
            raise ChildDied(f"gave {len(reply.vectors)} vectors for {len(texts)} texts")
        return reply.vectors

    async def end(self) -> None:
        """End it, whatever it is at."""
        await self._process.end()


async def _reply(process: ChildProcess, clock: Clock) -> Reply:
    try:
        return _DECODER.decode(await within(clock, _ANSWER_TIMEOUT_S, process.receive()))
    except TimeoutError:
        raise ChildDied(f"did not answer in {_ANSWER_TIMEOUT_S:g} s") from None
    except msgspec.MsgspecError as error:
        raise ChildDied(f"answered in a way that can't be read: {error}") from error


def worker_command(folder: Path) -> tuple[str, ...]:
    """``-P`` keeps modules of the current folder out of it."""
    return (sys.executable, "-P", "-m", "enrichd.embed.worker", str(folder))
