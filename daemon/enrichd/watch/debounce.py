"""When a burst of changes is over. Pure: every time is handed in, in monotonic seconds."""

from __future__ import annotations

QUIET_S = 0.06
"""After a single save nothing more has to come for so long."""
MOST_QUIET_S = 1.0
_QUIET_EACH_S = 0.001
_WAIT_S = 1.0
_MOST_WAIT_S = 10.0
_WAIT_EACH_S = 0.01
LOCK_PATIENCE_S = 30.0
"""So long a burst waits at most for git to finish; a lock that is older was left behind."""


class Burst:
    """Changes that came together. The more of them, the longer the quiet that ends it."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self._size = 0

    @property
    def size(self) -> int:
        """How many changes were told of, the same file each time."""
        return self._size

    def add(self, now: float, changes: int) -> None:
        """Some more have come."""
        if self._first is None:
            self._first = now
        self._last = now
        self._size += changes

    def clear(self) -> None:
        """It was taken up."""
        self._first, self._size = None, 0

    def due_at(self, *, locked: bool) -> float | None:
        """When to take it up if nothing more comes; None where there is nothing.

        However long changes keep coming, it is taken up some time. ``locked``: git is at work.
        """
        if self._first is None:
            return None
        if locked:
            return self._first + LOCK_PATIENCE_S
        quiet_s = min(MOST_QUIET_S, QUIET_S + self._size * _QUIET_EACH_S)
        wait_s = min(_MOST_WAIT_S, _WAIT_S + self._size * _WAIT_EACH_S)
        return min(self._last + quiet_s, self._first + wait_s)
