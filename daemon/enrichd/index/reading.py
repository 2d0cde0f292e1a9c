"""What stretches of a text say by themselves, without the blocks inside them, and what they use."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Set as AbstractSet

from msgspec import Struct

from enrichd.index.digests import Words
from enrichd.index.spans import Spans, around_holes


class Uses:
    """Names and where they are used, in the order of the text; filled in by who finds them."""

    __slots__ = ("called", "names", "offsets")

    def __init__(self, called: AbstractSet[int] = frozenset()) -> None:
        self.offsets: list[int] = []
        self.names: list[str] = []
        self.called = called
        """Where a name stands that is called there."""

    def between(self, start: int, end: int) -> list[str]:
        """The names used in a stretch."""
        first = bisect_left(self.offsets, start)
        return self.names[first : bisect_left(self.offsets, end, first)]

    def places(self, start: int, end: int) -> list[tuple[int, str]]:
        """The same, with their offsets."""
        first, last = bisect_left(self.offsets, start), bisect_left(self.offsets, end)
        return list(zip(self.offsets[first:last], self.names[first:last], strict=True))

    def ways_between(self, start: int, end: int) -> list[tuple[str, bool]]:
        """The names used in a stretch, and whether each is only called there."""
        first = bisect_left(self.offsets, start)
        last = bisect_left(self.offsets, end, first)
        if first == last:  # as in most headings
            return []
        called, names = self.called, self.names
        as_values = {names[n] for n in range(first, last) if self.offsets[n] not in called}
        return [(name, name not in as_values) for name in names[first:last]]

    def last_before(self, offset: int) -> tuple[int, str] | None:
        """The nearest one above."""
        place = bisect_left(self.offsets, offset) - 1
        return (self.offsets[place], self.names[place]) if place >= 0 else None

    def without(self, offsets: set[int]) -> Uses:
        """Those that stand elsewhere."""
        if not offsets:
            return self
        others = Uses(self.called)
        for offset, name in zip(self.offsets, self.names, strict=True):
            if offset not in offsets:
                others.offsets.append(offset)
                others.names.append(name)
        return others


class Said(Struct, frozen=True, gc=False):
    """What a stretch says outside of the blocks in it."""

    text: bytes
    names: list[tuple[str, bool]]
    """What it uses there, and whether it only calls it."""


class Reading:
    """Reads stretches of one file, each of them once: many names hang on one condition."""

    def __init__(self, words: Words, uses: Uses, arms: Spans) -> None:
        self._words = words
        self._uses = uses
        self._arms = arms
        self._read: dict[tuple[int, int], Said] = {}

    def of(self, start: int, end: int) -> Said:
        """What is said from one offset to another."""
        said = self._read.get((start, end))
        if said is None:
            holes = self._arms.within(start, end)
            names = [
                name
                for piece in around_holes(start, end, holes)
                for name in self._uses.ways_between(*piece)
            ]
            said = Said(self._words.between(start, end, holes), names)
            self._read[start, end] = said
        return said
