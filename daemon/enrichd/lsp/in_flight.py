"""The requests that wait for their answer, and the one sweeper that gives them up in time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec
from msgspec import Raw

from enrichd.clock import Clock

SWEEP_S = 0.02
"""The least time between two looks, and so the most that a time-out comes late."""


class Waiting(msgspec.Struct, gc=False):
    """A request in flight."""

    on_reply: Callable[[Any], None]
    read: Callable[[Raw], Any]
    method: str
    sent_at: float
    deadline: float


class InFlight:
    """Requests by id. Has a task only while there is something to wait for."""

    def __init__(self, clock: Clock, time_out: Callable[[int, Waiting], None], name: str) -> None:
        self._clock = clock
        self._time_out = time_out
        self._name = name
        # in order of deadline, since all hot requests have the same time-out
        self._hot: dict[int, Waiting] = {}
        self._others: dict[int, Waiting] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._sweep_at = math.inf

    def __len__(self) -> int:
        return len(self._hot) + len(self._others)

    def add_hot(self, request_id: int, waiting: Waiting) -> None:
        """Of those that all have the same time-out."""
        self._hot[request_id] = waiting
        if waiting.deadline < self._sweep_at:
            self._sweep_by(waiting.deadline)

    def add(self, request_id: int, waiting: Waiting) -> None:
        """With a time-out of its own."""
        self._others[request_id] = waiting
        if waiting.deadline < self._sweep_at:
            self._sweep_by(waiting.deadline)

    def take(self, request_id: int) -> Waiting | None:
        """Forget the request; None when it does not wait (any more)."""
        return self._hot.pop(request_id, None) or self._others.pop(request_id, None)

    def take_all(self) -> list[Waiting]:
        """Forget every request."""
        waiting = [*self._others.values(), *self._hot.values()]
        self._others.clear()
        self._hot.clear()
        return waiting

    def oldest_sent_at(self) -> float | None:
        """When the oldest of them was sent, monotonic."""
        oldest = [*self._others.values(), *islice(self._hot.values(), 1)]
        return min((each.sent_at for each in oldest), default=None)

    def close(self) -> None:
        """No more time-outs."""
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def aclose(self) -> None:
        """The same, and the task is gone."""
        self.close()
        if self._sweeper is not None:
            await asyncio.gather(self._sweeper, return_exceptions=True)

    def _sweep_by(self, deadline: float) -> None:
        """Have the sweeper look at ``deadline``, sooner than it would."""
        self.close()
        self._sweep_at = deadline
        self._sweeper = asyncio.get_running_loop().create_task(
            self._sweep(), name=f"time-outs of language server {self._name}"
        )

    async def _sweep(self) -> None:
        while self._sweep_at < math.inf:
            await self._clock.sleep(max(self._sweep_at - self._clock.monotonic(), SWEEP_S))
            now = self._clock.monotonic()
            due = [i for i, waiting in self._others.items() if waiting.deadline <= now]
            for request_id, waiting in self._hot.items():
                if waiting.deadline > now:
                    break
                due.append(request_id)
            # added while this runs: their deadlines are later, and the table is read afterwards
            for request_id in due:
                overdue = self.take(request_id)
                if overdue is not None:
                    self._time_out(request_id, overdue)
            left = [*self._others.values(), *islice(self._hot.values(), 1)]
            self._sweep_at = min((each.deadline for each in left), default=math.inf)
