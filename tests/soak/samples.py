"""What a long run is judged by: samples of a process, and how steeply their values rise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

from tests import proc

_LOOKS = 10
_APART_S = 0.2


@dataclass(frozen=True)
class Sample:
    """What a process holds at one time."""

    at_s: float
    descriptors: int
    threads: int
    rss_mib: float


@dataclass(frozen=True)
class Bound:
    """How much a value may rise in an hour."""

    what: str
    most_per_h: float
    unit: str


BOUNDS = (
    Bound("descriptors", 1.0, ""),
    Bound("threads", 1.0, ""),
    Bound("rss_mib", 1.0, "MiB"),
)
LEAST_SAMPLED_S = 20 * 60.0
"""Over a shorter time one allocation more is a slope of many megabytes an hour."""


def take(pid: int, at_s: float) -> Sample:
    """The least of what it holds over two seconds: not what a piece of work just needs."""
    looks = [_look(pid, at_s)]
    while len(looks) < _LOOKS:
        time.sleep(_APART_S)
        looks.append(_look(pid, at_s))
    return Sample(
        at_s,
        *(min(getattr(each, field.name) for each in looks) for field in fields(Sample)[1:]),
    )


def _look(pid: int, at_s: float) -> Sample:
    return Sample(
        at_s,
        descriptors=proc.descriptors(pid),
        threads=proc.threads(pid),
        rss_mib=proc.memory_mib(pid),
    )


def slope_per_h(samples: Sequence[Sample], what: str) -> float:
    """Least squares; 0 where there are too few samples for a line."""
    count = len(samples)
    if count < 2:
        return 0.0
    times = [each.at_s for each in samples]
    values = [float(getattr(each, what)) for each in samples]
    middle, mean = sum(times) / count, sum(values) / count
    spread = sum((at - middle) ** 2 for at in times)
    if spread == 0:
        return 0.0
    rise = sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True))
    return rise / spread * 3600
