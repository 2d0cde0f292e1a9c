"""How long a dead server rests: its own backoff, and a breaker against crash loops.

Pure: takes the time as an argument. Charges nobody's symbol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

FIRST_S = 1.0
FACTOR = 2.0
MAX_S = 300.0
SPREAD = 0.2

BREAKER_DEATHS = 5
BREAKER_WINDOW_S = 180.0
BREAKER_REST_S = 320.0
BREAKER_SPREAD = 0.05
"""Open for 304 to 336 s: long enough for at most 300 spawns a day, short enough to heal in 360."""

PROVEN_READY_S = 600.0
PROVEN_ANSWERS = 100

MOST_EXCUSES = 15
"""Deaths that are laid at a symbol's door between two proofs of health: enough for several poison
files, few enough for a server that dies of whatever it is asked."""

USEFUL_S = 60.0
USEFUL_ANSWERS = 100
"""What a server that takes too much memory must have served before another start is any help."""


class Restarts:
    """One server's deaths; ``jitter`` gives numbers in [0, 1)."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._in_a_row = 0
        self._deaths: deque[float] = deque(maxlen=BREAKER_DEATHS)
        self._excuses = 0
        self._recycled = False
        self.excused = False
        """Whether a death just now is a symbol's: it is tried alone, and others were answered."""
        self.breaker_open = False
        """Also during the probe: it closes with proven health alone."""

    def died(self, now: float, ready_for_s: float | None, answers: int) -> float:
        """A death at ``now``; returns the seconds to rest before the next start.

        ``ready_for_s`` is how long it had been ready (None: it never was), ``answers`` how many
        requests it answered meanwhile. One that is excused counts for nothing.
        """
        if proven(ready_for_s, answers):
            self._heal()
        excused, self.excused = self.excused, False
        if excused and not self.breaker_open and self._excuses < MOST_EXCUSES:
            self._excuses += 1
            return self._spread(FIRST_S, SPREAD)
        self._in_a_row += 1
        self._deaths.append(now)
        full = len(self._deaths) == BREAKER_DEATHS
        if full and now - self._deaths[0] <= BREAKER_WINDOW_S:
            self.breaker_open = True
        if self.breaker_open:
            return self._spread(BREAKER_REST_S, BREAKER_SPREAD)
        # in the exponent's own terms the cap is reached long before it could overflow
        delay_s = FIRST_S * FACTOR ** min(self._in_a_row - 1, 32)
        return self._spread(min(delay_s, MAX_S), SPREAD)

    def pardon(self) -> None:
        """A symbol is guilty: the death that it was tried for was not the server's."""
        self._in_a_row = 0
        if self._deaths:
            self._deaths.pop()

    def outgrew(self, served_for_s: float, answers: int, *, ready: bool) -> bool:
        """It took too much memory: whether it may be started afresh at once. This is no death.

        Not if it is the second time, and it was asked for too little between them.
        """
        if ready and proven(served_for_s, answers):
            self._heal()
        first, self._recycled = not self._recycled, True
        return first or served_for_s >= USEFUL_S or answers >= USEFUL_ANSWERS

    def forgive(self) -> None:
        """Forget every death: there is a reason to think that the next start goes well."""
        self._heal()
        self._deaths.clear()
        self._recycled = False

    def _heal(self) -> None:
        self._in_a_row = self._excuses = 0
        self.breaker_open = False

    def _spread(self, delay_s: float, ratio: float) -> float:
        return delay_s * (1 + ratio * (2 * self._jitter() - 1))


def proven(ready_for_s: float | None, answers: int) -> bool:
    """Whether a life was healthy enough to forget the deaths before it."""
    if ready_for_s is None:
        return False
    return ready_for_s >= PROVEN_READY_S or answers >= PROVEN_ANSWERS
