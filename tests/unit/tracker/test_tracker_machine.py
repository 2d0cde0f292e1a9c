"""EnrichmentTracker against a model that is too simple to be wrong."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import Struct
from tests.unit.tracker.test_tracker import GO, PYTHON, Tracked

from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.model import Lane

symbols = st.integers(1, 6)
DELAYS_S = (5, 10, 20, 40, 80, 160)


class Known(Struct):
    """What is to be known of one symbol; whole seconds, so that no sum is rounded."""

    lane: Lane
    attempts: int
    left_s: float | None


class TrackerMachine(RuleBasedStateMachine):
    """Fail, clear, wait, jump, restart, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.tracked = Tracked(BackoffPolicy())
        self.model: dict[int, Known] = {}

    @rule(symbol=symbols, lane=st.sampled_from([PYTHON, GO]), definitive=st.just(False))
    def fail(self, symbol: int, lane: Lane, definitive: bool) -> None:
        before = self.model.get(symbol)
        attempts = (before.attempts if before else 0) + 1
        left_s = None if definitive or attempts >= 7 else float(DELAYS_S[attempts - 1])
        self.model[symbol] = Known(lane, attempts, left_s)
        record = self.tracked.fail(symbol, lane, definitive=definitive)
        assert (record.attempts, record.skipped) == (attempts, left_s is None)

    @rule(symbol=symbols)
    def fail_for_good(self, symbol: int) -> None:
        self.fail(symbol, PYTHON, definitive=True)

    @rule(symbol=symbols)
    def clear(self, symbol: int) -> None:
        assert self.tracked.clear(symbol) is (self.model.pop(symbol, None) is not None)

    @rule(seconds=st.sampled_from([1, 5, 10, 40, 320]))
    def advance(self, seconds: int) -> None:
        self.tracked.clock.advance(seconds)
        for known in self.model.values():
            if known.left_s is not None:
                known.left_s -= seconds

    @rule(jump_s=st.sampled_from([-86_400, 86_400]))
    def jump(self, jump_s: int) -> None:
        """Live, and it is set right again before anything is stored."""
        wall = self.tracked.clock.time()
        self.tracked.clock.set_wall(wall + jump_s)
        self.answers_are_right()
        self.tracked.clock.set_wall(wall)

    @rule(down_s=st.sampled_from([0, 1, 30, 3600]), wall_jump_s=st.sampled_from([0, -86_400]))
    def restart(self, down_s: int, wall_jump_s: int) -> None:
        """What is left is the wall time that is left, but never more than the schedule's delay."""
        self.tracked.restart(down_s=down_s, wall_jump_s=wall_jump_s)
        now = self.tracked.clock.time()
        for symbol, known in self.model.items():
            if known.left_s is not None:
                next_retry_at = self.tracked.stored[symbol].next_retry_at
                assert next_retry_at is not None
                known.left_s = min(next_retry_at - now, DELAYS_S[known.attempts - 1])

    @invariant()
    def answers_are_right(self) -> None:
        tracker = self.tracked.tracker
        for symbol in range(1, 7):
            known = self.model.get(symbol)
            assert tracker.has_failed(symbol) is (known is not None)
            ready = known is None or (known.left_s is not None and known.left_s <= 0)
            assert tracker.is_ready(symbol) is ready
        due = {s: k for s, k in self.model.items() if k.left_s is not None and k.left_s <= 0}
        for lanes in ({PYTHON}, {GO}, {PYTHON, GO}):
            offered = tracker.ready_for_retry(lanes, 100)
            assert sorted(offered) == sorted(s for s, k in due.items() if k.lane in lanes)
            assert tracker.ready_for_retry(lanes, 1) == offered[:1]
        skipped = sum(known.left_s is None for known in self.model.values())
        stats = tracker.get_stats()
        assert stats.total_failed == len(self.model)
        assert stats.ready_for_retry == len(due)
        assert stats.permanently_skipped == skipped
        assert stats.backing_off == len(self.model) - len(due) - skipped
        waiting = [k.left_s for k in self.model.values() if k.left_s is not None and k.left_s > 0]
        deadline = tracker.next_deadline()
        if waiting:
            assert deadline is not None
            assert deadline - self.tracked.clock.monotonic() == min(waiting)
        else:
            assert deadline is None


TestTracker = TrackerMachine.TestCase
TestTracker.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
