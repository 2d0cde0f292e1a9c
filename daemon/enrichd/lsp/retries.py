"""Errors that mean "not now": asked again in place, at nobody's charge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt
from tenacity.wait import wait_exponential

from enrichd.clock import Clock
from enrichd.lsp.client import OnReply
from enrichd.lsp.protocol import LSPErrorCodes
from enrichd.lsp.wire import Refused, Reply

T = TypeVar("T")

PASSING = frozenset(
    {
        int(LSPErrorCodes.ContentModified),
        int(LSPErrorCodes.ServerCancelled),
        int(LSPErrorCodes.RequestCancelled),
    }
)
MAX_ATTEMPTS = 3
FIRST_WAIT_S = 0.05
MAX_WAIT_S = 0.4


def is_passing(reply: object) -> bool:
    """Whether the server only said that it can't answer just now."""
    return isinstance(reply, Refused) and reply.code in PASSING


async def ask_again(ask: Callable[[OnReply[T]], int], clock: Clock) -> Reply[T]:
    """Ask up to three times more, with short waits; the last reply, whatever it is.

    ``ask`` sends the request once more, for example
    ``lambda on_reply: client.ask_position(method, uri_json, line, character, on_reply)``.
    Call it only when the first reply ``is_passing``.
    """
    await clock.sleep(FIRST_WAIT_S)
    retrying = AsyncRetrying(
        sleep=clock.sleep,
        stop=stop_after_attempt(MAX_ATTEMPTS),
        wait=wait_exponential(multiplier=2 * FIRST_WAIT_S, max=MAX_WAIT_S),
        retry=retry_if_result(is_passing),
        retry_error_callback=_last_reply,
    )
    reply: Reply[T] = await retrying(_once, ask)
    return reply


async def _once(ask: Callable[[OnReply[T]], int]) -> Reply[T]:
    done: asyncio.Future[Reply[T]] = asyncio.get_running_loop().create_future()

    def settle(reply: Reply[T]) -> None:
        if not done.done():
            done.set_result(reply)

    ask(settle)
    return await done


def _last_reply(state: RetryCallState) -> object:
    assert state.outcome is not None
    return state.outcome.result()
