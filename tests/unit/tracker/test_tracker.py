"""EnrichmentTracker: a symbol's failures, from the first to the last, on a clock that is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.figures import Reached

from enrichd.clock import FakeClock
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker, FailureRecord, TrackerStats
from enrichd_tracker.model import (
    FileStat,
    KnownFile,
    Lane,
    Operation,
    ParseStatus,
    SymbolKind,
    Work,
)

PYTHON = Lane(1, "python")
GO = Lane(1, "go")
DAY_S = 86_400.0


def work(symbol_id: int, lane: Lane = PYTHON) -> Work:
    return Work(
        symbol_id=symbol_id,
        revision=0,
        lane=lane,
        uid=f"a.py/f{symbol_id}().",
        name=f"f{symbol_id}",
        kind=SymbolKind.FUNCTION,
        file=KnownFile(1, "a.py", lane.language, FileStat(1, 1, 1), b"", ParseStatus.OK, True),
        line=symbol_id,
        operations=(Operation.DEFINITION,),
        sites=[],
    )


class Tracked:
    """A tracker, its clock, and what the store would remember of it."""

    def __init__(self, policy: BackoffPolicy | None = None) -> None:
        self.clock = FakeClock()
        self.policy = policy or BackoffPolicy()
        self.tracker = EnrichmentTracker(self.policy, self.clock)
        self.stored: dict[int, FailureRecord] = {}

    def fail(
        self, symbol_id: int, lane: Lane = PYTHON, *, definitive: bool = False
    ) -> FailureRecord:
        record = self.tracker.record_failure(
            work(symbol_id, lane), (Operation.DEFINITION,), "timed out", "ty", definitive=definitive
        )
        self.stored[symbol_id] = record
        return record

    def clear(self, symbol_id: int) -> bool:
        self.stored.pop(symbol_id, None)
        return self.tracker.clear_failure(symbol_id)

    def ready(self, limit: int = 100, lanes: tuple[Lane, ...] = (PYTHON, GO)) -> list[int]:
        return self.tracker.ready_for_retry(frozenset(lanes), limit)

    def restart(self, *, down_s: float = 0.0, wall_jump_s: float = 0.0) -> None:
        """Another process takes up what was stored: its monotonic clock starts anew."""
        self.clock = FakeClock(self.clock.time() + down_s + wall_jump_s)
        self.tracker = EnrichmentTracker(self.policy, self.clock)
        due_first = sorted(
            self.stored.values(), key=lambda each: (each.skipped, each.next_retry_at or 0)
        )
        self.tracker.restore(due_first)


def test_a_symbol_that_never_failed_is_ready_and_unknown() -> None:
    tracked = Tracked()
    assert tracked.tracker.is_ready(1)
    assert not tracked.tracker.has_failed(1)
    assert tracked.tracker.failure(1) is None
    assert not tracked.clear(1)
    assert tracked.tracker.get_stats() == TrackerStats(0, 0, 0, 0)
    assert tracked.tracker.next_deadline() is None


def test_the_schedule_is_5_10_20_40_80_160_and_then_skipped_for_good() -> None:
    tracked = Tracked()
    for attempts, delay_s in enumerate((5, 10, 20, 40, 80, 160), start=1):
        record = tracked.fail(1)
        assert (record.attempts, record.skipped) == (attempts, False)
        assert record.next_retry_at == tracked.clock.time() + delay_s
        tracked.clock.advance(delay_s - 0.001)
        assert not tracked.tracker.is_ready(1)
        assert tracked.ready() == []
        tracked.clock.advance(0.001 + 1e-9)
        assert tracked.tracker.is_ready(1)
        assert tracked.ready() == [1]
    record = tracked.fail(1)
    assert (record.attempts, record.skipped, record.next_retry_at) == (7, True, None)
    tracked.clock.advance(30 * DAY_S)
    assert not tracked.tracker.is_ready(1)
    assert tracked.ready() == []
    assert tracked.tracker.get_stats() == TrackerStats(1, 0, 0, 1)


def test_a_definitive_failure_skips_at_once() -> None:
    tracked = Tracked()
    assert tracked.fail(1, definitive=True).skipped
    assert tracked.fail(2).attempts == 1
    assert tracked.fail(2, definitive=True).skipped
    assert tracked.tracker.get_stats().permanently_skipped == 2


def test_a_record_says_who_failed_where_why_and_with_whom() -> None:
    tracked = Tracked()
    record = tracked.fail(3)
    assert (record.uid, record.file, record.line) == ("a.py/f3().", "a.py", 3)
    assert (record.name, record.kind, record.lane) == ("f3", "function", PYTHON)
    assert (record.operations, record.reason, record.server) == (
        (Operation.DEFINITION,),
        "timed out",
        "ty",
    )
    assert record.last_attempt_at == tracked.clock.time()
    assert tracked.tracker.failure(3) == record


def test_a_success_forgets_and_the_next_failure_is_the_first_again() -> None:
    tracked = Tracked()
    tracked.fail(1)
    tracked.fail(1)
    assert tracked.clear(1)
    assert not tracked.tracker.has_failed(1)
    assert tracked.tracker.is_ready(1)
    assert tracked.tracker.next_deadline() is None
    assert tracked.fail(1).attempts == 1


@pytest.mark.parametrize("state", ["backing off", "ready", "skipped"])
def test_clearing_leaves_nothing_behind_in_any_state(state: str) -> None:
    tracked = Tracked()
    tracked.fail(1, definitive=state == "skipped")
    if state == "ready":
        tracked.clock.advance(5)
        assert tracked.ready() == [1]
    assert tracked.clear(1)
    tracked.clock.advance(1000)
    assert tracked.ready() == []
    assert tracked.tracker.get_stats() == TrackerStats(0, 0, 0, 0)


def test_an_old_deadline_does_not_release_a_symbol_that_failed_again() -> None:
    tracked = Tracked()
    tracked.fail(1)
    tracked.clear(1)
    tracked.fail(1)
    tracked.fail(1)  # now 10 s, the 5 s of before no longer count
    tracked.clock.advance(5)
    assert tracked.ready() == []
    tracked.clock.advance(5)
    assert tracked.ready() == [1]


def test_stats_sum_up_to_all_that_failed() -> None:
    tracked = Tracked()
    for symbol_id in range(1, 5):
        tracked.fail(symbol_id)
    tracked.fail(5, definitive=True)
    tracked.fail(4)
    tracked.clock.advance(5)
    assert tracked.tracker.get_stats() == TrackerStats(
        total_failed=5, backing_off=1, ready_for_retry=3, permanently_skipped=1
    )


def test_the_longest_due_comes_first_across_lanes() -> None:
    tracked = Tracked()
    for symbol_id, lane in ((1, GO), (2, PYTHON), (3, GO), (4, PYTHON)):
        tracked.fail(symbol_id, lane)
        tracked.clock.advance(1)
    tracked.clock.advance(5)
    assert tracked.ready() == [1, 2, 3, 4]
    assert tracked.ready(limit=2) == [1, 2]
    assert tracked.ready(lanes=(PYTHON,)) == [2, 4]
    assert tracked.ready(lanes=(GO,), limit=1) == [1]
    assert tracked.ready(lanes=()) == []
    assert tracked.ready(limit=0) == []


def test_who_is_ready_stays_ready_until_the_next_attempt() -> None:
    tracked = Tracked()
    tracked.fail(1)
    tracked.clock.advance(5)
    assert tracked.ready() == tracked.ready() == [1]
    tracked.fail(1)
    assert tracked.ready() == []


def test_a_symbol_that_moved_to_another_lane_is_offered_there_only() -> None:
    tracked = Tracked()
    tracked.fail(1, PYTHON)
    tracked.clock.advance(5)
    assert tracked.ready() == [1]
    tracked.fail(1, GO)
    tracked.clock.advance(10)
    assert tracked.ready(lanes=(PYTHON,)) == []
    assert tracked.ready(lanes=(GO,)) == [1]


def test_a_new_policy_counts_from_the_next_failure_on() -> None:
    tracked = Tracked()
    tracked.fail(1)
    tracked.tracker.use_policy(BackoffPolicy(initial_s=1, max_attempts=2))
    assert tracked.tracker.policy.max_attempts == 2
    tracked.clock.advance(1)
    assert tracked.ready() == []
    tracked.clock.advance(4)
    assert tracked.ready() == [1]
    assert tracked.fail(1).skipped


@pytest.mark.fault(19, "the wall clock jumps by a day between a failure and the next attempt")
@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_a_jump_of_the_wall_clock_neither_releases_nor_freezes(
    jump_s: float, reached: Reached
) -> None:
    tracked = Tracked()
    tracked.fail(1)
    tracked.clock.set_wall(tracked.clock.time() + jump_s)
    assert tracked.ready() == []
    deadline = tracked.tracker.next_deadline()
    assert deadline is not None
    reached(f"{jump_s:+,.0f} s: off the schedule", abs(deadline - 5.0), 0, "s")
    tracked.clock.advance(4.999)
    assert not tracked.tracker.is_ready(1)
    tracked.clock.advance(0.001 + 1e-9)
    assert tracked.ready() == [1]


def test_a_restart_goes_on_with_the_schedule_where_it_was() -> None:
    tracked = Tracked()
    for _ in range(3):
        tracked.fail(1)
    tracked.fail(2, definitive=True)
    tracked.clock.advance(4)
    tracked.restart(down_s=10)
    assert tracked.tracker.next_deadline() == pytest.approx(6.0)  # 20 s less 4 and 10
    tracked.clock.advance(5.99)
    assert tracked.ready() == []
    tracked.clock.advance(0.02)
    assert tracked.ready() == [1]
    assert tracked.fail(1).attempts == 4
    assert not tracked.tracker.is_ready(2)
    assert tracked.tracker.get_stats().permanently_skipped == 1


def test_what_came_due_while_nothing_ran_is_ready_at_once_and_in_order() -> None:
    tracked = Tracked()
    for symbol_id in (3, 1, 2):
        tracked.fail(symbol_id)
        tracked.clock.advance(1)
    tracked.restart(down_s=3600)
    assert tracked.ready() == [3, 1, 2]


def test_a_clock_set_back_while_nothing_ran_freezes_nobody_longer_than_the_schedule() -> None:
    tracked = Tracked()
    tracked.fail(1)
    tracked.fail(2)
    tracked.fail(2)
    tracked.restart(wall_jump_s=-DAY_S)
    tracked.clock.advance(5)
    assert tracked.ready() == [1]
    tracked.clock.advance(5)
    assert tracked.ready() == [1, 2]


def test_a_clock_set_forward_while_nothing_ran_loses_no_attempt() -> None:
    tracked = Tracked()
    for _ in range(6):
        tracked.fail(1)
    tracked.restart(wall_jump_s=DAY_S)
    assert tracked.ready() == [1]
    assert tracked.fail(1).skipped


def test_restoring_twice_counts_everybody_once() -> None:
    tracked = Tracked()
    tracked.fail(1)
    tracked.fail(2, definitive=True)
    tracked.tracker.restore(tracked.stored.values())
    tracked.tracker.restore(tracked.stored.values())
    assert tracked.tracker.get_stats() == TrackerStats(2, 1, 0, 1)


def test_ten_thousand_symbols_failing_together_cost_only_what_is_due() -> None:
    tracked = Tracked(BackoffPolicy(max_attempts=4))
    tracker, everybody = tracked.tracker, range(10_000)
    for _ in range(3):
        for symbol_id in everybody:
            tracked.fail(symbol_id)
        assert len(tracker._heap) == 10_000, "one deadline each and no more"
        assert tracked.ready() == []
        tracked.clock.advance(40)
        assert len(tracked.ready(limit=10)) == 10
        assert len(tracker._heap) >= 9_000, "they are not looked at all at once"
        assert tracker.get_stats().ready_for_retry == 10_000
        assert tracker._heap == []
    for symbol_id in everybody:
        tracked.fail(symbol_id)
    assert tracker.get_stats() == TrackerStats(10_000, 0, 0, 10_000)
    assert tracker._heap == []
    for symbol_id in everybody:
        tracker.clear_failure(symbol_id)
    assert tracker.get_stats() == TrackerStats(0, 0, 0, 0)
    assert not any(tracker._ready.values())


def test_a_tick_with_nobody_due_looks_at_one_deadline() -> None:
    class CountedHeap(list[tuple[float, int, int]]):
        reads = 0

        def __getitem__(self, key: Any) -> Any:
            CountedHeap.reads += 1
            return super().__getitem__(key)

    tracked = Tracked()
    for symbol_id in range(1000):
        tracked.fail(symbol_id)
    tracked.tracker._heap = CountedHeap(tracked.tracker._heap)
    assert tracked.ready() == []
    assert CountedHeap.reads == 1


def test_failing_and_recovering_for_ever_keeps_memory_bounded() -> None:
    tracked = Tracked()
    for _ in range(5_000):
        tracked.fail(1)
        tracked.clear(1)
    assert len(tracked.tracker._heap) < 200
