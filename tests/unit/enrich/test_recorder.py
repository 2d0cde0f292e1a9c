"""What is written, and who may be claimed anew meanwhile."""

from __future__ import annotations

from typing import cast

from tests.unit.enrich.made import LANE, work

from enrichd.clock import FakeClock
from enrichd.enrich.queue import WorkQueue
from enrichd.enrich.recorder import Recorder
from enrichd.metrics import Metrics
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.model import Origin
from enrichd_tracker.store.port import Batch, Committed, Store


class EagerStore:
    """As soon as it has given up a claim, the monitor has claimed the symbol again."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue

    async def commit(self, batch: Batch) -> Committed:
        self._queue.put(LANE, [work(each.symbol_id) for each in batch.outcomes])
        return Committed(written=0, dropped=[each.symbol_id for each in batch.outcomes])

    async def release(self, symbol_ids: list[int]) -> None:
        self._queue.put(LANE, [work(each) for each in symbol_ids])


async def test_who_is_claimed_while_his_results_are_written_is_served() -> None:
    clock, queue = FakeClock(), WorkQueue(10)
    queue.open(LANE)
    tracker = EnrichmentTracker(BackoffPolicy(), clock)
    store = cast("Store", EagerStore(queue))
    recorder = Recorder(store, tracker, queue, clock, Metrics(), lambda _: None)
    queue.put(LANE, [work(1), work(2)])
    for _ in range(2):
        assert queue.take(LANE) is not None
    recorder.succeeded(work(1), Origin("ty", "1"), [])
    recorder.released([work(2)])
    await recorder.drain()
    assert {each.symbol_id for each in (queue.take(LANE), queue.take(LANE)) if each} == {1, 2}
    assert 1 in queue
    assert 2 in queue
