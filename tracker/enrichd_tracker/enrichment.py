"""EnrichmentTracker: the memory of what failed, how often, and when to try again.

Deadlines are kept on the monotonic clock, so that a jump of the wall clock neither releases a
storm nor freezes a symbol. The wall times in a record are for people and for the next start;
the store writes each record in the transaction that writes the graph.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Protocol

from msgspec import Struct

from enrichd_tracker.backoff import BackoffPolicy, Random
from enrichd_tracker.model import Lane, Operation, Work

_AT_ONCE = 300
"""So many deadlines are looked at in one call, lest thousands that are over together block."""
_STALE = 100  # so many deadlines that no longer count are not worth being cleared away


class Clock(Protocol):
    """The part of a clock that the tracker reads."""

    def time(self) -> float: ...
    def monotonic(self) -> float: ...


class FailureRecord(Struct, frozen=True):
    """What is remembered about a symbol whose last attempt failed."""

    symbol_id: int
    uid: str
    lane: Lane
    file: str
    line: int
    """0-based, of the symbol's name."""
    name: str
    kind: str
    attempts: int
    last_attempt_at: float
    """Wall time, seconds since the epoch."""
    next_retry_at: float | None
    """Wall time; None once the symbol is skipped for good."""
    operations: tuple[Operation, ...]
    reason: str
    server: str

    @property
    def skipped(self) -> bool:
        """Whether the attempts are used up."""
        return self.next_retry_at is None


class TrackerStats(Struct, frozen=True):
    """How many symbols are in which state of failure."""

    total_failed: int
    backing_off: int
    ready_for_retry: int
    permanently_skipped: int


class EnrichmentTracker:
    """Answers, in constant time, whether a symbol failed and whether its time has come again."""

    def __init__(
        self, policy: BackoffPolicy, clock: Clock, *, random: Random | None = None
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._random = random
        self._records: dict[int, FailureRecord] = {}
        self._deadlines: dict[int, float] = {}  # monotonic; only of who is backing off
        self._heap: list[tuple[float, int, int]] = []  # may hold deadlines that no longer count
        self._order = itertools.count()
        self._ready: dict[Lane, dict[int, float]] = {}  # since when; in this order
        self._skipped = 0

    @property
    def policy(self) -> BackoffPolicy:
        """The schedule in force."""
        return self._policy

    def use_policy(self, policy: BackoffPolicy) -> None:
        """Take another schedule for the failures to come."""
        self._policy = policy

    def restore(self, records: Iterable[FailureRecord]) -> None:
        """Take up, after a restart, what the store remembers.

        What is left to wait is the wall time that was left, but never more than the schedule's
        delay: a clock that was set back while the daemon was down freezes nothing.
        """
        now, monotonic = self._clock.time(), self._clock.monotonic()
        for record in records:
            self.clear_failure(record.symbol_id)
            self._records[record.symbol_id] = record
            if record.next_retry_at is None:
                self._skipped += 1
                continue
            longest = self._policy.delay_s(record.attempts) * (1 + self._policy.jitter)
            left = min(max(record.next_retry_at - now, 0.0), longest)
            self._wait(record.symbol_id, monotonic + left)

    def record_failure(
        self,
        work: Work,
        operations: tuple[Operation, ...],
        reason: str,
        server: str,
        *,
        definitive: bool = False,
    ) -> FailureRecord:
        """Charge the symbol with one failed attempt and say what follows from it.

        The record that is returned belongs into the store, in the transaction that writes what
        else the attempt found. ``definitive``: no other attempt can ever help.
        """
        before = self._records.get(work.symbol_id)
        attempts = (before.attempts if before else 0) + 1
        now = self._clock.time()
        delay = None
        if not (definitive or self._policy.exhausted(attempts)):
            delay = self._policy.delay_s(attempts, self._random)
        record = FailureRecord(
            symbol_id=work.symbol_id,
            uid=work.uid,
            lane=work.lane,
            file=work.file.path,
            line=work.line,
            name=work.name,
            kind=work.kind,
            attempts=attempts,
            last_attempt_at=now,
            next_retry_at=None if delay is None else now + delay,
            operations=operations,
            reason=reason,
            server=server,
        )
        self.clear_failure(work.symbol_id)
        self._records[work.symbol_id] = record
        if delay is None:
            self._skipped += 1
        else:
            self._wait(work.symbol_id, self._clock.monotonic() + delay)
        return record

    def clear_failure(self, symbol_id: int) -> bool:
        """Forget the symbol's failures; returns whether there was anything to forget."""
        record = self._records.pop(symbol_id, None)
        if record is None:
            return False
        self._deadlines.pop(symbol_id, None)
        if ready := self._ready.get(record.lane):
            ready.pop(symbol_id, None)
        if record.skipped:
            self._skipped -= 1
        return True

    def failure(self, symbol_id: int) -> FailureRecord | None:
        """What is remembered about the symbol, if its last attempt failed."""
        return self._records.get(symbol_id)

    def failures_in(self, lane: Lane) -> list[FailureRecord]:
        """What is remembered about every symbol of the lane whose last attempt failed."""
        return [each for each in self._records.values() if each.lane == lane]

    def has_failed(self, symbol_id: int) -> bool:
        """Whether the symbol's last attempt failed."""
        return symbol_id in self._records

    def is_ready(self, symbol_id: int) -> bool:
        """Whether the symbol may be attempted now: it never failed, or its delay is over."""
        record = self._records.get(symbol_id)
        if record is None:
            return True
        if record.skipped:
            return False
        deadline = self._deadlines.get(symbol_id)
        return deadline is None or deadline <= self._clock.monotonic()

    def ready_for_retry(self, lanes: AbstractSet[Lane], limit: int) -> list[int]:
        """At most ``limit`` symbols of these lanes whose delay is over, the longest due first.

        They stay ready until their next attempt is recorded or they are cleared. Where very many
        became due together a few hundred more are told of at each call.
        """
        self._promote(_AT_ONCE)
        each_lane = [self._ready[lane].items() for lane in self._ready if lane in lanes]
        ready = heapq.merge(*each_lane, key=lambda item: item[1])
        return [symbol_id for symbol_id, _ in itertools.islice(ready, limit)]

    def next_deadline(self) -> float | None:
        """Monotonic time at which the next symbol becomes ready, or None when nobody waits.

        It is over while there are some that ``ready_for_retry`` has not told of.
        """
        while self._heap and self._deadlines.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def get_stats(self) -> TrackerStats:
        """How many symbols are in which state."""
        while self._promote(_AT_ONCE):
            pass
        total, waiting = len(self._records), len(self._deadlines)
        return TrackerStats(
            total_failed=total,
            backing_off=waiting,
            ready_for_retry=total - waiting - self._skipped,
            permanently_skipped=self._skipped,
        )

    def _wait(self, symbol_id: int, deadline: float) -> None:
        self._deadlines[symbol_id] = deadline
        heapq.heappush(self._heap, (deadline, next(self._order), symbol_id))
        if len(self._heap) > 2 * len(self._deadlines) + _STALE:
            self._heap = [(at, next(self._order), each) for each, at in self._deadlines.items()]
            heapq.heapify(self._heap)

    def _promote(self, most: int) -> bool:
        """Have at most so many of those that are due be ready; whether there are more."""
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            if most == 0:
                return True
            most -= 1
            deadline, _, symbol_id = heapq.heappop(self._heap)
            if self._deadlines.get(symbol_id) == deadline:
                del self._deadlines[symbol_id]
                self._ready.setdefault(self._records[symbol_id].lane, {})[symbol_id] = deadline
        return False
