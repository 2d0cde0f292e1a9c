"""Ten thousand symbols that fail together: no tick blocks, and memory is bounded."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Coroutine, Generator
from typing import Any

import pytest
from tests.figures import Reached
from tests.integration.enrich.house import House
from tests.integration.enrich.oracle import Oracle
from tests.servers.fake_process import Refusal, Request
from tests.unit.enrich.made import LANE, work

from enrichd.clock import FakeClock
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker

SYMBOLS = 10_000
FILES = 20
TICK_BUDGET_S = 0.010
MIB = 1 << 20


class Measured:
    """Awaits a coroutine and adds up the processor time that it takes of the event loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, int]) -> None:
        self._coroutine = coroutine
        self.took_s = 0.0

    def __await__(self) -> Generator[Any, Any, int]:
        while True:
            began = time.thread_time()
            try:
                waits_for = self._coroutine.send(None)
            except StopIteration as end:
                return int(end.value)
            finally:
                self.took_s += time.thread_time() - began
            yield waits_for


def measure_ticks(house: House) -> list[float]:
    monitor = house.app.enrichment.monitor
    tick, took_s = monitor.tick, list[float]()

    async def measured() -> int:
        one = Measured(tick())
        try:
            return await one
        finally:
            took_s.append(one.took_s)

    monitor.tick = measured  # type: ignore[method-assign]
    return took_s


def refuse(request: Request) -> object:
    raise Refusal(-32603)


@pytest.mark.fault(20, "10,000 symbols fail together, and come due together")
async def test_no_tick_takes_long_while_very_many_symbols_fail(
    oracle: Oracle, reached: Reached
) -> None:
    house = oracle.house
    calls = "".join(f"def f{number}():\n    helper()\n" for number in range(SYMBOLS // FILES - 1))
    text = f"from base import helper\n{calls}"
    house.write({f"many{number}.py": text for number in range(FILES)})
    oracle.answer = refuse  # type: ignore[method-assign]
    app = await house.open()
    took_s = measure_ticks(house)
    tracker = app.enrichment.tracker

    def all_failed(times: int) -> bool:
        stats = tracker.get_stats()
        return stats.total_failed >= SYMBOLS and stats.ready_for_retry == 0 and seen() == times

    def seen() -> int:
        return min(each.attempts for each in tracker.failures_in(next(iter(app.enrichment.lanes))))

    for times in (1, 2):
        await house.until(lambda times=times: all_failed(times))  # type: ignore[misc]
    most_ms = 1e3 * TICK_BUDGET_S
    reached("a tick's work, the longest", 1e3 * max(took_s), most_ms, "ms", times=len(took_s))
    took_s.clear()
    assert tracker.get_stats().backing_off >= SYMBOLS
    for _ in range(100):
        await app.enrichment.monitor.tick()
    reached("the same while none is due", 1e3 * max(took_s), most_ms, "ms", times=len(took_s))
    assert len(tracker._heap) <= 2 * tracker.get_stats().total_failed + 100
    await house.is_sound()


@pytest.mark.fault(20, "10,000 symbols fail seven times")
def test_what_is_remembered_of_failures_does_not_grow_with_their_number(reached: Reached) -> None:
    clock = FakeClock()
    works = [work(number) for number in range(SYMBOLS)]
    policy = BackoffPolicy()
    sizes = []
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracker = EnrichmentTracker(policy, clock)
        for _ in range(policy.max_attempts):
            for each in works:
                tracker.record_failure(each, each.operations, "no answer within 25 s", "ty")
            sizes.append(tracemalloc.get_traced_memory()[0] - before)
            clock.advance(policy.max_s)
            while len(tracker.ready_for_retry({LANE}, SYMBOLS)) < tracker.get_stats().backing_off:
                pass
    finally:
        tracemalloc.stop()
    reached("memory at most", max(sizes) / MIB, 10.0, "MiB", times=SYMBOLS)
    reached("the last time against the first", sizes[-1] / sizes[0], 1.1)
    assert tracker.get_stats().permanently_skipped == SYMBOLS
