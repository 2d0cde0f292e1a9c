"""Stretches of text that lie beside or inside one another, as those of a tree's nodes do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from tree_sitter import Node

Span = tuple[int, int]
"""Where a stretch begins and where it ends, as byte offsets."""


def around_holes(start: int, end: int, holes: Iterable[Span]) -> list[Span]:
    """What is left of a stretch without some that lie inside it, in order."""
    pieces = []
    for hole_start, hole_end in holes:
        pieces.append((start, hole_start))
        start = hole_end
    pieces.append((start, end))
    return pieces


class Spans:
    """Finds the stretches around a place."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        sized = sorted({(node.start_byte, -node.end_byte) for node in nodes})
        self._spans = [(start, -minus_end) for start, minus_end in sized]
        self._starts = [start for start, _ in self._spans]
        self._parents: list[int] = []
        open_: list[int] = []
        for place, (start, _) in enumerate(self._spans):
            while open_ and self._spans[open_[-1]][1] <= start:
                open_.pop()
            self._parents.append(open_[-1] if open_ else -1)
            open_.append(place)

    def innermost(self, offset: int) -> Span | None:
        """The innermost one that holds the offset."""
        place = self._place(offset)
        return self._spans[place] if place >= 0 else None

    def around(self, offset: int) -> Iterator[Span]:
        """Those that hold the offset, the innermost one first."""
        place = self._place(offset)
        while place >= 0:
            yield self._spans[place]
            place = self._parents[place]

    def _place(self, offset: int) -> int:
        place = bisect_right(self._starts, offset) - 1
        while place >= 0 and self._spans[place][1] <= offset:
            place = self._parents[place]
        return place

    def within(self, start: int, end: int) -> list[Span]:
        """The outermost of those that lie inside, in order."""
        found: list[Span] = []
        place = bisect_right(self._starts, start - 1)
        while place < len(self._spans) and self._starts[place] < end:
            span = self._spans[place]
            if span[1] <= end and span != (start, end) and (not found or found[-1][1] <= span[0]):
                found.append(span)
            place += 1
        return found
