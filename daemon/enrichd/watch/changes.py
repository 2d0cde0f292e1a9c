"""What of a workspace was touched and not looked at since, and when to look at what.

Pure: every time is handed in, in monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum

from msgspec import Struct

from enrichd.watch.debounce import LOCK_PATIENCE_S, Burst

RECONCILE_S = 60.0
LOOKING_SHARE = 0.001
"""Looking at everything in the background takes no more of the time, however much it is."""
POLL_S = 3.0
POLLING_SHARE = 0.01
"""The same where nobody tells of events."""
AGAIN_S = 1.0
_SHARE_FOR_NOTHING = 0.1
_MOST_PATHS = 200
_STORM = 1_000


class Watching(StrEnum):
    """How changes come to be known."""

    EVENTS = "events"
    POLLING = "polling"
    OFF = "off"


class Look(Struct, frozen=True):
    """What is to be looked at."""

    paths: frozenset[str] | None
    """Relative to the root; None for everything."""


class Changes:
    """Of one workspace. ``begin`` hands out a look, ``end`` says what became of it."""

    def __init__(self) -> None:
        self.reconciles = False
        """Whether everything is looked at now and then without being asked."""
        self.watching = Watching.OFF
        self.looked_at: float | None = None
        """When the last look at everything that came to its end began."""
        self._burst = Burst()
        self._touched: dict[str, float] = {}
        self._in_hand: dict[str, float] = {}
        self._whole = False
        self._unsure = False  # folders were touched
        self._then_again = False
        self._asked_at: float | None = None
        self._again_at: float | None = None
        self._look: Look | None = None
        self._began_at = 0.0
        self._ended_at: float | None = None
        self._took_s = 0.0
        self._idle_till = 0.0
        """Looks at everything that found nothing are not repeated at every event."""

    @property
    def looking(self) -> bool:
        """Whether a look is under way."""
        return self._look is not None

    @property
    def anything(self) -> bool:
        """Whether something was asked for, or touched, that no look has begun for."""
        return bool(self._asked_at is not None or self._burst.size)

    def touch(self, paths: Collection[str], now: float, *, whole: bool, folders: bool) -> None:
        """These were touched. ``whole``: they don't say all; ``folders``: some are folders."""
        for path in paths:
            self._touched.setdefault(path, now)
        self._burst.add(now, max(1, len(paths)))
        self._whole |= whole or folders
        self._unsure |= folders

    def ask(self, now: float) -> None:
        """Look at everything at once."""
        if self._asked_at is None:
            self._asked_at = now

    def pending(self) -> int:
        """How many paths were touched and are not indexed as they are now."""
        both = sum(path in self._in_hand for path in self._touched) if self._in_hand else 0
        return len(self._touched) + len(self._in_hand) - both

    def paths(self) -> Iterator[str]:
        """Which these are, the longest waiting first."""
        yield from self._in_hand
        yield from (path for path in self._touched if path not in self._in_hand)

    def lag_s(self, now: float) -> float:
        """How long the oldest of them waits."""
        # Both are in order of time.
        first = (next(iter(each.values()), now) for each in (self._in_hand, self._touched))
        return max(0.0, now - min(first))

    def due_at(self, *, locked: bool = False) -> float | None:
        """When to begin the next look if nothing more comes; None while one is under way.

        ``locked``: git is at work, what it does is to be one change.
        """
        if self._look is not None:
            return None
        if self._asked_at is not None:
            return self._asked_at + (LOCK_PATIENCE_S if locked else 0.0)
        calm_at = self._burst.due_at(locked=locked)
        if calm_at is not None:
            return max(calm_at, self._idle_till) if self._is_whole() else calm_at
        timers = (self._again_at, self._reconcile_at())
        return min((each for each in timers if each is not None), default=None)

    def begin(self, now: float) -> Look:
        """Take up all that was touched so far."""
        calm = self._asked_at is None and self._burst.size
        whole = not calm or self._is_whole()
        self._in_hand, self._touched = self._touched, {}
        self._look = Look(None if whole else frozenset(self._in_hand))
        # Events may have been lost in a storm, and of what was put into a new folder at once.
        self._then_again = self._unsure or self._burst.size > _STORM
        if whole:
            self._again_at = None
        self._burst.clear()
        self._asked_at = None
        self._whole = self._unsure = False
        self._began_at = now
        return self._look

    def end(self, now: float, *, found: bool) -> None:
        """The look has come to its end; ``found``: something was not as it had been."""
        assert self._look is not None
        took_s = now - self._began_at
        if self._look.paths is None:
            self.looked_at = self._began_at
            self._ended_at = now
            if not found:
                self._took_s = took_s
            self._idle_till = 0.0 if found else now + took_s / _SHARE_FOR_NOTHING - took_s
        if self._then_again:
            self._again_at = now + max(AGAIN_S, took_s)
        self._in_hand = {}
        self._look = None

    def fail(self, now: float, *, again_s: float | None) -> None:
        """The look broke off: all is touched as before, and tried again when asked or then."""
        self._touched = self._in_hand | self._touched
        self._in_hand = {}
        self._look = None
        self._whole = True
        self._ended_at = now
        self._again_at = None if again_s is None else now + again_s

    def _is_whole(self) -> bool:
        return self._whole or len(self._touched) > _MOST_PATHS or not self._touched

    def _reconcile_at(self) -> float | None:
        if not self.reconciles or self._ended_at is None:
            return None
        if self.watching is Watching.POLLING:
            return self._ended_at + max(POLL_S, self._took_s / POLLING_SHARE)
        return self._ended_at + max(RECONCILE_S, self._took_s / LOOKING_SHARE)
