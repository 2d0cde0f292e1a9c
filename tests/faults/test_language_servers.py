"""Language servers that are killed or never answer: real processes, real pipes, a real daemon.

ENRICHD_FAULT_SERVER_KILLS   how many servers are killed (1,000)
ENRICHD_FAULT_SEED           to draw the same again; a failure tells it
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from tests import proc
from tests.faults.connection import (
    CLOCK,
    DEFINITION,
    SEED,
    URI,
    Connection,
    heard_nothing,
    pending_futures,
    until,
)
from tests.figures import Reached

from enrichd.clock import within
from enrichd.lsp.errors import RequestTimedOut
from enrichd.lsp.wire import Answered, Died, Ending, Reply, Target, TimedOut

KILLS = int(os.environ.get("ENRICHD_FAULT_SERVER_KILLS", "1000"))
SIDE_BY_SIDE = 2
END_BUDGET_S = 0.25
TIME_OUT_BUDGET_S = 0.1


async def live_and_die(root: Path, chance: random.Random, slowest: list[float]) -> str:
    """One server's life; in every other one 10 MB of stderr stand before each answer."""
    flood = chance.random() < 0.5
    server = Connection(root, "stderr" if flood else chance.choice(["late", "plain", "dribbles"]))
    server.goes_on = True
    await server.process.start()
    server.begin()
    early = chance.random() < 0.2
    if not early:
        await within(CLOCK, 20.0, server.begun.wait())
    await CLOCK.sleep(chance.uniform(0.0, 0.05))
    before, in_flight = len(server.replies), server.waiting
    killed_at = time.monotonic()
    os.kill(server.process.pid, signal.SIGKILL)
    await within(CLOCK, 20.0, server.client.ended.wait())
    assert in_flight > 0
    assert server.waiting == 0
    ends = server.replies[before:]
    deaths = {reply for reply, _ in ends if not isinstance(reply, Answered)}
    assert {death.ending for death in deaths if isinstance(death, Died)} == {Ending.CRASHED}
    assert {type(death) for death in deaths} == {Died}
    slowest.append(max(at for _, at in ends) - killed_at)
    await server.end()
    return "at its start" if not server.begun.is_set() else "in a flood" if flood else "at work"


@pytest.mark.fault(1, "killed at a random point with requests in flight; half with 10 MB of stderr")
async def test_killed_at_any_point_every_request_in_flight_ends_at_once(
    tmp_path: Path, reached: Reached
) -> None:
    slowest: list[float] = []
    died: Counter[str] = Counter()
    files = proc.descriptors("self")
    numbers = iter(range(KILLS))

    async def one_after_the_other() -> None:
        for number in numbers:
            chance = random.Random(f"{SEED} {number}")
            try:
                died[await live_and_die(tmp_path, chance, slowest)] += 1
            except BaseException as error:
                error.add_note(f"kill {number} of seed {SEED}")
                raise

    async with heard_nothing(), asyncio.TaskGroup() as group:
        for _ in range(SIDE_BY_SIDE):
            group.create_task(one_after_the_other())
    assert set(died) == {"at its start", "in a flood", "at work"}
    assert proc.descriptors("self") == files
    what = f"the last request's end after the kill (seed {SEED})"
    reached(what, max(slowest), END_BUDGET_S, "s", times=len(slowest))


@pytest.mark.fault(4, "ten thousand requests that are answered only when it is too late")
async def test_ten_thousand_time_outs_each_in_its_time_cancelled_and_forgotten(
    tmp_path: Path, reached: Reached
) -> None:
    async with heard_nothing():
        await time_out_ten_thousand_times(tmp_path, reached)


async def time_out_ten_thousand_times(tmp_path: Path, reached: Reached) -> None:
    trace = tmp_path / "trace"
    server = Connection(tmp_path, "too-late", f"trace={trace}", request_timeout_s=1.0)
    await server.start()
    futures = pending_futures()
    lateness: list[float] = []
    ends: Counter[int] = Counter()

    def take(number: int, asked_at: float, reply: Reply[list[Target]]) -> None:
        assert reply == TimedOut()
        ends[number] += 1
        lateness.append(time.monotonic() - asked_at - 1.0)

    async def call(number: int, timeout_s: float) -> None:
        asked_at = time.monotonic()
        with pytest.raises(RequestTimedOut):
            await server.client.call(DEFINITION, {}, timeout_s=timeout_s)
        ends[number] += 1
        lateness.append(time.monotonic() - asked_at - timeout_s)

    async with asyncio.TaskGroup() as group:
        for burst in range(100):  # a hundred in each, every tenth waited for by a task of its own
            for number in range(burst * 100, burst * 100 + 90):
                taken = partial(take, number, time.monotonic())
                server.client.ask_position(DEFINITION, URI, number, 0, taken)
            for number in range(burst * 100 + 90, burst * 100 + 100):
                group.create_task(call(number, 0.5 + number / 10_000))
            await CLOCK.sleep(0.01)
    await until(lambda: len(ends) == 10_000)
    await until(lambda: server.client.late_answers == 10_000)
    assert server.client.time_outs == 10_000
    assert server.client.in_flight == 0
    assert pending_futures() <= futures
    await server.end()
    words = Counter(trace.read_text().splitlines())
    cancelled = [word for word in words if word.startswith("$/cancelRequest ")]
    reached(
        "a request ends after its time-out", max(lateness), TIME_OUT_BUDGET_S, "s", times=10_000
    )
    reached("requests that were not cancelled", 10_000 - len(cancelled), 0, times=10_000)
    reached("late answers that somebody took", sum(ends.values()) - 10_000, 0, times=10_000)
    reached("pending futures left", max(pending_futures() - futures, 0), 0, times=10_000)
    assert min(lateness) >= 0
    assert set(words.values()) <= {1, 10_000}
