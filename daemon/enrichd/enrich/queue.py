"""The bounded queue between the monitor and the workers: one entry a symbol, one row a lane."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from enrichd_tracker.model import Lane, Work

OWNER = "enrichd"
LEASE_S = 3600.0
"""What is claimed of the store for the queue, and for whom."""


class WorkQueue:
    """Orphans that wait for their lane's worker, and the knowledge of who is in flight.

    The room is shared out evenly, so that a slow lane can never fill it for the others.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: dict[Lane, deque[Work]] = {}
        self._known: set[int] = set()

    def open(self, lane: Lane) -> None:
        """A lane that may have work from now on."""
        self._waiting.setdefault(lane, deque())

    def close(self, lane: Lane) -> list[Work]:
        """A lane that is no more; returns what still waited."""
        works = list(self._waiting.pop(lane, ()))
        self._known.difference_update(work.symbol_id for work in works)
        return works

    @property
    def depth(self) -> int:
        """How many symbols wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def known(self) -> int:
        """How many symbols wait or are in flight."""
        return len(self._known)

    def waiting(self, lane: Lane) -> int:
        """How many symbols of the lane wait."""
        return len(self._waiting[lane])

    def room(self, lane: Lane) -> int:
        """How many more symbols the lane may be given."""
        return max(0, self._share - len(self._waiting[lane]))

    def is_low(self, lane: Lane) -> bool:
        """Whether less than half of what the lane may have is waiting."""
        return len(self._waiting[lane]) * 2 < self._share

    @property
    def _share(self) -> int:
        return max(1, self._size // max(1, len(self._waiting)))

    def put(self, lane: Lane, works: Iterable[Work]) -> int:
        """Add what is not yet queued or in flight; returns how much that was."""
        row, before = self._waiting[lane], len(self._waiting[lane])
        for work in works:
            if work.symbol_id not in self._known:
                self._known.add(work.symbol_id)
                row.append(work)
        return len(row) - before

    def take(self, lane: Lane) -> Work | None:
        """The next symbol of the lane; it counts as in flight until it is done."""
        row = self._waiting.get(lane)
        return row.popleft() if row else None

    def pick(self, lane: Lane, accept: Callable[[Work], bool], limit: int) -> list[Work]:
        """At most ``limit`` symbols of the lane that are accepted, before those in front of them.

        They count as in flight like those that were taken.
        """
        picked: list[Work] = []
        passed: list[Work] = []
        row = self._waiting.get(lane, deque())
        while row and len(picked) < limit:
            work = row.popleft()
            (picked if accept(work) else passed).append(work)
        row.extendleft(reversed(passed))
        return picked

    def done(self, symbol_id: int) -> None:
        """The symbol is in flight no more."""
        self._known.discard(symbol_id)

    def __contains__(self, symbol_id: int) -> bool:
        """Whether the symbol is queued or in flight."""
        return symbol_id in self._known
