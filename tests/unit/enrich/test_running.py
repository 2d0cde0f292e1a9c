"""The parts that run for ever: recorder, services, monitor, each alone with stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.servers.fake_process import pass_time, settle
from tests.unit.enrich.made import LANE, work

from enrichd.clock import FakeClock
from enrichd.enrich.charging import Judgement, Verdict
from enrichd.enrich.monitor import Monitor
from enrichd.enrich.queue import WorkQueue
from enrichd.enrich.recorder import Recorder
from enrichd.metrics import Metrics
from enrichd.services import ServiceEnded, Services
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Lane, Origin, Work
from enrichd_tracker.store.port import Batch, Committed

TY = Origin("ty", "1")
OTHER = Lane(2, "go")
CHARGED = Judgement(Verdict.CHARGED, "timeout", "too slow")
DEFINITIVE = Judgement(Verdict.DEFINITIVE, "InvalidParams", "never")


class Shelf:
    """A store that holds orphans in memory."""

    def __init__(self) -> None:
        self.orphans: dict[Lane, list[Work]] = {LANE: [], OTHER: []}
        self.failed: dict[int, Work] = {}
        self.batches: list[Batch] = []
        self.released: list[int] = []
        self.asked: list[tuple[str, Lane | None, int]] = []
        self.dropped: list[int] = []
        self.unavailable = False
        self.before: Callable[[], None] = lambda: None

    def _check(self) -> None:
        self.before()
        if self.unavailable:
            raise StoreUnavailable("the disk is full")

    async def read(self, question: Any) -> list[Any]:
        self._check()
        return []

    async def claim(self, lane: Lane, limit: int, *, owner: str, lease_s: float) -> list[Work]:
        self.asked.append(("fresh", lane, limit))
        self._check()
        found, self.orphans[lane] = self.orphans[lane][:limit], self.orphans[lane][limit:]
        return found

    async def claim_again(self, symbol_ids: list[int], *, owner: str, lease_s: float) -> list[Work]:
        self.asked.append(("again", None, len(symbol_ids)))
        self._check()
        return [self.failed[each] for each in symbol_ids]

    async def commit(self, batch: Batch) -> Committed:
        self._check()
        self.batches.append(batch)
        return Committed(len(batch.outcomes), self.dropped)

    async def release(self, symbol_ids: list[int]) -> None:
        self._check()
        self.released += symbol_ids


class Server:
    def __init__(self) -> None:
        self.servable = True


class Worker:
    """What the monitor sees of a lane's worker."""

    def __init__(self) -> None:
        self.supervisor = Server()
        self.paused = False
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


class Room:
    """The parts around the shelf."""

    def __init__(self, size: int = 10) -> None:
        self.clock = FakeClock()
        self.shelf = Shelf()
        self.tracker = EnrichmentTracker(BackoffPolicy(), self.clock)
        self.queue = WorkQueue(size)
        self.metrics = Metrics()
        self.commits = 0
        store: Any = self.shelf
        self.recorder = Recorder(
            store, self.tracker, self.queue, self.clock, self.metrics, self._committed
        )
        self.workers = {LANE: Worker(), OTHER: Worker()}
        for lane in self.workers:
            self.queue.open(lane)
        lanes: Any = self.workers
        self.monitor = Monitor(
            store=store,
            tracker=self.tracker,
            queue=self.queue,
            recorder=self.recorder,
            lanes=lanes,
            clock=self.clock,
            metrics=self.metrics,
            interval_s=5.0,
        )
        self.ticks = 0
        self.tasks: list[asyncio.Task[None]] = []

    def _committed(self, again: bool) -> None:
        self.commits += 1
        if again:
            self.monitor.given_back()

    def run(self, service: Any) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(service, name="a service"))

    def watch_ticks(self) -> None:
        tick = self.monitor.tick

        async def counted() -> int:
            self.ticks += 1
            return await tick()

        self.monitor.tick = counted  # type: ignore[method-assign]
        self.run(self.monitor.run())

    def fail(self, number: int) -> None:
        self.shelf.failed[number] = work(number)
        self.tracker.record_failure(work(number), (), "no", "ty")


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    yield room
    for task in room.tasks:
        task.cancel()
    await asyncio.gather(*room.tasks, return_exceptions=True)


# The recorder.


async def test_results_are_written_in_batches_and_their_symbols_are_in_flight_no_more(
    room: Room,
) -> None:
    room.queue.put(LANE, [work(number) for number in range(3)])
    for _ in range(3):
        room.queue.take(LANE)
    room.recorder.succeeded(work(0), TY, [])
    room.recorder.failed(work(1), TY, [], CHARGED)
    room.recorder.released([work(2)])
    assert room.recorder.waiting == 3
    room.run(room.recorder.run())
    room.recorder.hurry()
    await settle()
    (batch,) = room.shelf.batches
    assert [each.symbol_id for each in batch.outcomes] == [0]
    assert [each.record.symbol_id for each in batch.charges] == [1]
    assert room.shelf.released == [2]
    assert room.recorder.waiting == room.queue.known == 0
    assert (room.commits, room.recorder.generation) == (1, 1)


async def test_results_wait_a_moment_for_others_to_share_a_transaction(room: Room) -> None:
    room.run(room.recorder.run())
    room.recorder.succeeded(work(0), TY, [])
    await settle()
    room.recorder.succeeded(work(1), TY, [])
    await settle()
    assert not room.shelf.batches
    await pass_time(room.clock, 0.05)
    assert [len(each.outcomes) for each in room.shelf.batches] == [2]


async def test_enough_results_wait_for_nobody_and_nor_do_the_last_ones(room: Room) -> None:
    room.run(room.recorder.run())
    for number in range(100):
        room.recorder.succeeded(work(number), TY, [])
    await settle()
    assert [len(each.outcomes) for each in room.shelf.batches] == [100]
    room.recorder.succeeded(work(100), TY, [])
    room.recorder.hurry()
    await settle()
    assert [len(each.outcomes) for each in room.shelf.batches] == [100, 1]


async def test_a_definitive_failure_writes_its_error_beside_its_charge(room: Room) -> None:
    room.recorder.failed(work(1), TY, [], DEFINITIVE)
    await room.recorder.drain()
    (batch,) = room.shelf.batches
    assert [(each.failed, each.reason) for each in batch.outcomes] == [(True, "never")]
    assert [each.record.skipped for each in batch.charges] == [True]


async def test_success_clears_the_failures_before_it(room: Room) -> None:
    room.fail(1)
    room.recorder.succeeded(work(1), TY, [])
    await room.recorder.drain()
    assert room.shelf.batches[0].cleared == [1]
    assert not room.tracker.has_failed(1)


async def test_what_the_store_drops_has_not_failed(room: Room) -> None:
    room.shelf.dropped = [1]
    room.recorder.failed(work(1), TY, [], CHARGED)
    await room.recorder.drain()
    assert not room.tracker.has_failed(1)


async def test_a_store_that_is_unavailable_loses_nothing_and_is_shown(room: Room) -> None:
    room.shelf.unavailable = True
    room.run(room.recorder.run())
    room.recorder.succeeded(work(1), TY, [])
    await pass_time(room.clock, 30.0)
    assert room.recorder.problem == "the disk is full"
    room.recorder.succeeded(work(2), TY, [])
    assert room.recorder.waiting == 2
    room.shelf.unavailable = False
    await pass_time(room.clock, 1.0)
    written = [each.symbol_id for batch in room.shelf.batches for each in batch.outcomes]
    assert written == [1, 2]
    assert (room.recorder.problem, room.recorder.waiting) == ("", 0)


async def test_a_batch_is_written_once_whatever_fails_behind_it(room: Room) -> None:
    calls = 0

    def every_second() -> None:
        nonlocal calls
        calls += 1
        room.shelf.unavailable = calls % 2 == 0

    room.shelf.before = every_second
    room.run(room.recorder.run())
    room.recorder.succeeded(work(1), TY, [])
    room.recorder.released([work(2)])
    await pass_time(room.clock, 10.0)
    assert len(room.shelf.batches) == 1
    assert room.shelf.released == [2]


async def test_the_last_write_does_not_wait_for_a_full_disk_for_ever(room: Room) -> None:
    room.shelf.unavailable = True
    room.recorder.succeeded(work(1), TY, [])
    room.run(room.recorder.drain_within(3.0))
    await pass_time(room.clock, 3.0)
    assert room.tasks[0].done()


async def test_workers_stop_finding_out_when_too_much_waits(room: Room) -> None:
    for number in range(5_000):
        assert room.recorder.has_room
        room.recorder.released([work(number)])
    assert not room.recorder.has_room
    await room.recorder.drain()
    assert room.recorder.has_room


# The monitor.


async def test_the_monitor_never_fetches_more_than_the_queue_has_room_for(room: Room) -> None:
    room.shelf.orphans[LANE] = [work(number) for number in range(100)]
    assert await room.monitor.tick() == 5
    assert room.queue.waiting(LANE) == 5
    assert await room.monitor.tick() == 0
    assert room.shelf.asked == [("fresh", LANE, 5), ("fresh", OTHER, 5)]
    assert room.workers[LANE].woken == 1
    assert room.workers[OTHER].woken == 0


async def test_what_cannot_be_served_is_not_fetched(room: Room) -> None:
    room.shelf.orphans = {LANE: [work(1)], OTHER: [work(2, lane=OTHER)]}
    room.workers[LANE].supervisor.servable = False
    room.workers[OTHER].paused = True
    assert await room.monitor.tick() == 0
    assert room.shelf.asked == []


async def test_what_failed_and_is_due_comes_before_what_was_never_tried(room: Room) -> None:
    room.shelf.orphans[LANE] = [work(number) for number in range(10, 20)]
    for number in range(3):
        room.fail(number)
    room.clock.advance(5.0)
    assert await room.monitor.tick() == 5
    taken = [room.queue.take(LANE) for _ in range(5)]
    assert [each.symbol_id for each in taken if each] == [0, 1, 2, 10, 11]


async def test_what_is_due_and_in_flight_does_not_stand_before_the_rest(room: Room) -> None:
    for number in range(10):
        room.fail(number)
    room.clock.advance(5.0)
    await room.monitor.tick()
    for _ in range(5):
        room.queue.take(LANE)
    assert await room.monitor.tick() == 5
    assert room.queue.known == 10


async def test_it_wakes_at_the_deadline_of_a_failure(room: Room) -> None:
    room.watch_ticks()
    await pass_time(room.clock, 2.5)
    room.fail(1)
    room.monitor.new_work()
    await pass_time(room.clock, 4.999)
    assert 1 not in room.queue
    await pass_time(room.clock, 0.001)
    assert 1 in room.queue


async def test_a_deadline_that_is_over_does_not_make_it_spin(room: Room) -> None:
    for worker in room.workers.values():
        worker.supervisor.servable = False
    room.fail(1)
    room.watch_ticks()
    await pass_time(room.clock, 60.0)
    assert room.ticks <= 60 / 5 + 2


async def test_an_exhausted_lane_is_looked_at_again_while_others_are_busy(room: Room) -> None:
    room.watch_ticks()
    await settle()
    for _ in range(12):  # more often than the interval
        room.monitor.hungry(OTHER)
        room.monitor._exhausted.discard(OTHER)
        room.monitor.hungry(OTHER)
        await pass_time(room.clock, 1.0)
    fetches = [kind for kind, lane, _ in room.shelf.asked if lane == LANE]
    assert 2 <= len(fetches) <= 4


async def test_hunger_is_not_heard_where_the_store_has_no_more(room: Room) -> None:
    room.watch_ticks()
    await settle()
    ticks = room.ticks
    for _ in range(10):
        room.monitor.hungry(LANE)
        await settle()
    assert room.ticks == ticks
    room.monitor.new_work()
    await settle()
    assert room.ticks == ticks + 1


async def test_what_is_given_back_is_claimed_again_at_once(room: Room) -> None:
    room.watch_ticks()
    room.run(room.recorder.run())
    await settle()
    room.monitor.new_work()  # as at the end of a run: what is in flight is claimed still
    await settle()
    room.shelf.orphans[LANE] = [work(1)]
    room.recorder.released([work(1)])  # its turn comes with the next look
    await settle()
    assert 1 not in room.queue
    room.recorder.released([work(1)], at_once=True)
    await settle()
    assert 1 in room.queue


async def test_a_store_that_cannot_be_read_does_not_end_the_monitor(room: Room) -> None:
    room.shelf.orphans[LANE] = [work(1)]
    room.shelf.unavailable = True
    room.watch_ticks()
    await pass_time(room.clock, 12.0)
    room.shelf.unavailable = False
    await pass_time(room.clock, 5.0)
    assert 1 in room.queue
    assert not room.tasks[0].done()


async def test_what_was_claimed_for_a_lane_that_went_is_given_back(room: Room) -> None:
    room.shelf.orphans[LANE] = [work(1)]

    def remove() -> None:
        room.workers.pop(LANE, None)
        room.queue.close(LANE)

    room.shelf.before = remove
    assert await room.monitor.tick() == 0
    room.shelf.before = lambda: None
    await room.recorder.drain()
    assert room.shelf.released == [1]


# Services.


async def forever() -> None:
    await asyncio.Event().wait()


async def returns() -> None:
    await asyncio.sleep(0)


async def breaks() -> None:
    raise ValueError("of its own")


@pytest.mark.parametrize(
    ("service", "reason"), [(returns, "it returned"), (breaks, "ValueError: of its own")]
)
async def test_a_service_that_ends_by_itself_fails_the_process(
    service: Callable[[], Any], reason: str
) -> None:
    services = Services()
    services.start("good", forever())
    services.start("bad", service())
    with pytest.raises(ServiceEnded, match=f"the service bad ended: {reason}"):
        await services.failure()
    assert services.failed
    await services.stop()


async def test_a_service_that_is_ended_is_no_failure() -> None:
    services = Services()
    services.start("one", forever())
    services.start("two", breaks())
    await services.end("one")
    await services.end("nobody")
    services.start("one", forever())  # the name is free again
    with pytest.raises(ServiceEnded, match="two"):
        await services.failure()
    await services.stop()
    assert [each for each in asyncio.all_tasks() if each.get_name() in {"one", "two"}] == []


async def test_services_end_in_the_reverse_order_of_their_starts() -> None:
    services = Services()
    ended: list[str] = []

    async def tells(name: str) -> None:
        try:
            await forever()
        finally:
            ended.append(name)

    for name in ("first", "second", "third"):
        services.start(name, tells(name))
    await settle()
    await services.stop()
    assert ended == ["third", "second", "first"]
