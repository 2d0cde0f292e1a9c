"""How time and memory grow with a source tree, up to several large packages side by side."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.repositories import DJANGO, FLASK, NETWORKX, REQUESTS, Sdist

from bench.figures import Figure, Task
from bench.indexed import Indexed, index, indexed
from bench.pairs import exponent
from bench.trees import copied, lines_of, scratch, unpacked

_ALL = (REQUESTS, FLASK, NETWORKX, DJANGO)


@dataclass(frozen=True)
class _Point:
    lines: int
    found: Indexed

    def __str__(self) -> str:
        cost = self.found.cost
        return f"{self.lines / 1000:,.0f} k lines: {cost.wall_s:.1f} s"


def measure(task: Task) -> list[Figure]:
    """The exponents over four trees; the last is all of them in one."""
    points = [_point(each, task) for each in (FLASK, NETWORKX, DJANGO)]
    together = Path(tempfile.mkdtemp(dir=scratch())) / "together"
    together.mkdir()
    for each in _ALL:
        copied(each, together)
    lines = lines_of(together)
    task.say(f"scale: {lines:,} lines side by side")
    points.append(_Point(lines, index(together)))
    largest = points[-1]
    sizes = [each.lines for each in points]
    costs = [each.found.cost for each in points]
    report = largest.found.report
    return [
        Figure(
            "scale",
            "wall against lines, exponent",
            exponent(sizes, [each.wall_s for each in costs]),
            "",
            budget=1.1,
            note="; ".join(map(str, points)),
        ),
        Figure(
            "scale",
            "CPU against lines, exponent",
            exponent(sizes, [each.cpu_s for each in costs]),
            "",
        ),
        Figure(
            "scale",
            "enrichd's own peak memory against lines, exponent",
            exponent(sizes, [each.own_peak_bytes for each in costs]),
            "",
            note=", ".join(f"{each.own_peak_bytes / 2**20:.0f}" for each in costs) + " MiB",
        ),
        Figure(
            "scale",
            "the largest tree",
            largest.lines / largest.found.cost.wall_s,
            "lines/s",
            note=f"{report['files']:,} files, {report['symbols']:,} symbols; {largest.found.cost}",
        ),
    ]


def _point(sdist: Sdist, task: Task) -> _Point:
    task.say(f"scale: {sdist.name}")
    return _Point(lines_of(unpacked(sdist)), indexed(sdist))
