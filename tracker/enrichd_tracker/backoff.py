"""How long to leave a symbol alone after its n-th failure, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Random(Protocol):
    """Where randomness comes from: ``random.Random`` has this method."""

    def uniform(self, a: float, b: float) -> float: ...


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """Exponential delays, capped, with an end.

    With the defaults: 5, 10, 20, 40, 80, 160, 320 s, and the seventh failure is the last.
    """

    initial_s: float = 5.0
    factor: float = 2.0
    max_s: float = 320.0
    max_attempts: int = 7
    jitter: float = 0.0
    """Ratio: a delay is spread evenly over ±jitter of itself. 0 keeps the schedule exact."""

    def exhausted(self, attempts: int) -> bool:
        """Whether after so many failed attempts there will be no other."""
        return attempts >= self.max_attempts

    def delay_s(self, attempts: int, random: Random | None = None) -> float:
        """Seconds between the ``attempts``-th failure (1 is the first) and the next attempt."""
        if attempts < 1:
            raise ValueError(f"the first failure is number 1, not {attempts}")
        delay = self.initial_s
        for _ in range(attempts - 1):
            if delay >= self.max_s:
                break
            delay *= self.factor
        delay = min(delay, self.max_s)
        if self.jitter and random is not None:
            delay *= 1 + random.uniform(-self.jitter, self.jitter)
        return delay
