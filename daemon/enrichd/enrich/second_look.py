"""Replies that settle nothing yet: "not now" is asked again, a time-out is looked into."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from enrichd.clock import Clock
from enrichd.enrich.attempt import Ask
from enrichd.enrich.probe import Probe
from enrichd.lsp.client import Client
from enrichd.lsp.protocol import TEXT_DOCUMENT_DEFINITION
from enrichd.lsp.retries import ask_again, is_passing
from enrichd.lsp.wire import Died, Ending, Reply, Target, TimedOut

_FRESH_ANSWER_S = 5.0

_log = structlog.get_logger()


class SecondLook:
    """Has a task for each such reply; in the end each question is settled."""

    def __init__(
        self,
        probe: Probe,
        clock: Clock,
        settle: Callable[[Ask, Reply[list[Target]]], None],
        *,
        name: str,
        timeout_s: float,
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._settle = settle
        self._name = name
        self._timeout_s = timeout_s
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, client: Client, ask: Ask, reply: Reply[list[Target]]) -> bool:
        """Whether the reply needs a second look, which begins then."""
        if isinstance(reply, TimedOut):
            self._begin(ask, self._judge_time_out(client, ask, reply))
            return True
        if is_passing(reply):
            self._begin(ask, self._ask_again(client, ask))
            return True
        return False

    async def close(self) -> None:
        """Leave no task behind; what they were about stays open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, ask: Ask, look: Coroutine[None, None, Reply[list[Target]]]) -> None:
        async def settle() -> None:
            reply: Reply[list[Target]] = Died("it was not asked", Ending.STOPPED)
            try:
                reply = await look
            except Exception:
                _log.exception("a question is lost", action="question_lost")
            self._settle(ask, reply)

        name = f"second look at an answer in {self._name}"
        task = asyncio.get_running_loop().create_task(settle(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_again(self, client: Client, ask: Ask) -> Reply[list[Target]]:
        reply: Reply[list[Target]] = await ask_again(
            lambda on_reply: client.ask_position(
                TEXT_DOCUMENT_DEFINITION, ask.uri, ask.line, ask.character, on_reply
            ),
            self._clock,
        )
        if isinstance(reply, TimedOut):
            return await self._judge_time_out(client, ask, reply)
        return reply

    async def _judge_time_out(
        self, client: Client, ask: Ask, reply: TimedOut
    ) -> Reply[list[Target]]:
        """A time-out is the symbol's if the server answers others meanwhile, else the server's.

        An answer counts that is new: one that came soon after the question may have been the last.
        """
        silent_s = self._clock.monotonic() - client.last_answer_at
        if silent_s < _FRESH_ANSWER_S and client.last_answer_at > ask.sent_at:
            return reply
        if client.death is None and await self._probe.answers(client):
            return reply
        client.end(f"it answered nothing for {self._timeout_s:g} s", Ending.HUNG)
        death: Died | None = client.death
        return death or Died("it was given up", Ending.STOPPED)
