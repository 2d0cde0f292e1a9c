"""From definitions and variables to a file's list of symbols: numbering, extents, digests."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from hashlib import blake2b

from enrichd.index.lines import position
from enrichd.index.naming import descriptor
from enrichd.index.regions import Captures
from enrichd.index.scopes import Draft
from enrichd_tracker.model import FoundSymbol

_DIGEST_BYTES = 8


def describe(drafts: list[Draft]) -> None:
    """Give each its descriptors; those of the file stand in order, parents before children."""
    seen: Counter[str] = Counter()
    for draft in drafts:
        if draft.parent is None:
            continue
        around = draft.parent.named().descriptors
        alone = around + descriptor(draft.kind, draft.name)
        ordinal = seen[alone]
        seen[alone] += 1
        draft.descriptors = (
            around + descriptor(draft.kind, draft.name, ordinal) if ordinal else alone
        )


def found_symbols(
    drafts: list[Draft], module: str, source: bytes, starts: list[int], statements: Statements
) -> list[FoundSymbol]:
    """The symbols of a file; ``module`` is its dotted name, ``starts`` its lines' offsets."""
    places = {id(draft): place for place, draft in enumerate(drafts)}
    qualified_names: list[str] = []
    symbols = []
    for draft in drafts:
        if draft.parent is None:
            parent = -1
            name, qualified_name = module.rpartition(".")[2], module
        else:
            parent = places[id(draft.parent.named())]
            name = draft.name
            qualified_name = f"{qualified_names[parent]}.{name}" if parent else name
        qualified_names.append(qualified_name)
        symbols.append(
            FoundSymbol(
                draft.descriptors,
                name,
                qualified_name,
                draft.kind,
                parent,
                *position(starts, draft.name_start),
                *position(starts, draft.start),
                *position(starts, draft.end),
                _digest(draft, source, statements),
                [position(starts, place) for place in draft.places],
                draft.overload,
                draft.sites,
                sorted(draft.attributes),
            )
        )
    return symbols


class Statements:
    """The statements that bind variables, for the digests of these."""

    def __init__(self, captures: Captures) -> None:
        spans = sorted((node.start_byte, node.end_byte) for node in captures.get("statement", ()))
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def around(self, offset: int) -> tuple[int, int]:
        """The innermost statement that binds what stands at the offset; empty for none."""
        place = bisect_right(self._starts, offset) - 1
        if place < 0 or offset >= self._ends[place]:
            return offset, offset
        return self._starts[place], self._ends[place]


def _digest(draft: Draft, source: bytes, statements: Statements) -> bytes:
    """Of the symbol's own text: without what is a symbol with a body inside it."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    if not draft.has_body:
        for place in (draft.name_start, *draft.places):
            start, end = statements.around(place)
            digest.update(source[start:end])
            digest.update(b"\0")
        return digest.digest()
    start = draft.start
    for child in draft.children:
        if child.name:
            digest.update(source[start : child.start])
            digest.update(b"\0")
            start = child.end
    digest.update(source[start : draft.end])
    return digest.digest()
