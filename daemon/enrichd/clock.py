"""Time as a port: the only module that reads a clock or sleeps.

Deadlines are arithmetic on ``monotonic()``; ``time()`` is UTC and only ever shown or stored.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Clock(Protocol):
    """Where time comes from."""

    def time(self) -> float:
        """Seconds since the epoch, UTC. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some start. Never goes back, does not jump with the wall clock."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return after ``delay_s`` seconds of this clock."""
        ...


async def within(clock: Clock, timeout_s: float, work: Awaitable[T]) -> T:
    """Await ``work`` for at most ``timeout_s`` seconds of ``clock``.

    Raises TimeoutError, with the work cancelled and finished, when the time is up.
    """
    import asyncio  # noqa: PLC0415  (a command that only asks what time it is needs none)

    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(timeout_s))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError(f"not done within {timeout_s:g} s")
    finally:
        for each in (timer, task):
            if not each.done():
                each.cancel()
        await asyncio.gather(timer, task, return_exceptions=True)


class SystemClock:
    """The machine's own time."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        import asyncio  # noqa: PLC0415

        await asyncio.sleep(max(0.0, delay_s))


class FakeClock:
    """A clock that stands still until it is told to move; sleepers wake in order of deadline."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._wall = start
        self._monotonic = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, delay_s: float) -> None:
        import asyncio  # noqa: PLC0415

        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + delay_s, next(self._order), future))
        await future

    def next_deadline(self) -> float | None:
        """The monotonic time at which the first sleeper wakes, or None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def advance(self, delay_s: float) -> None:
        """Move on by ``delay_s``, waking everybody whose deadline is passed on the way."""
        if delay_s < 0:
            raise ValueError(f"this clock does not go back, not even by {-delay_s:g} s")
        self._wake_until(self._monotonic + delay_s)

    def jump(self) -> float:
        """Move on to the next deadline and wake who waits for it; returns how far it was."""
        before, deadline = self._monotonic, self.next_deadline()
        if deadline is not None:
            self._wake_until(deadline)
        return self._monotonic - before

    def set_wall(self, wall: float) -> None:
        """Let the wall clock jump, as NTP or a person would; the monotonic one does not follow."""
        self._wall = wall

    def _wake_until(self, target: float) -> None:
        while (deadline := self.next_deadline()) is not None and deadline <= target:
            self._move_to(deadline)
            heapq.heappop(self._sleepers)[2].set_result(None)
        self._move_to(target)

    def _move_to(self, monotonic: float) -> None:
        self._wall += monotonic - self._monotonic
        self._monotonic = monotonic
