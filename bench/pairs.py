"""Runs that are compared take turns, so that what else the machine does befalls both alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log


@dataclass(frozen=True)
class Pairs:
    """Seconds of both sides, run by run."""

    ours: Sequence[float]
    theirs: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median over the pairs of ours in theirs."""
        return statistics.median(self._ratios)

    @property
    def our_s(self) -> float:
        """The median of ours."""
        return statistics.median(self.ours)

    @property
    def their_s(self) -> float:
        """The median of theirs."""
        return statistics.median(self.theirs)

    @property
    def spread(self) -> str:
        """How far the pairs are apart."""
        low, high = min(self._ratios), max(self._ratios)
        times = len(self._ratios)
        return "one pair" if times == 1 else f"{times} pairs, {low:.2f} to {high:.2f}"

    @property
    def _ratios(self) -> list[float]:
        return [our_s / their_s for our_s, their_s in zip(self.ours, self.theirs, strict=True)]


def in_turn(pairs: int, ours: Callable[[], float], theirs: Callable[[], float]) -> Pairs:
    """Run both ``pairs`` times; each gives its own seconds, and ours goes first in each pair."""
    done = [(ours(), theirs()) for _ in range(pairs)]
    return Pairs([each[0] for each in done], [each[1] for each in done])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of the straight line through the logarithms: 1 is in proportion."""
    return statistics.linear_regression([*map(log, sizes)], [*map(log, costs)]).slope
