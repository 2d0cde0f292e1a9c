"""What a type or a member rests on, and what rests on it: supertypes, subtypes, implementations.

For a type these are the edges of inheritance; for a member, those of overriding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import structs

from enrichd.query import completeness
from enrichd.query.answers import Circumstances
from enrichd.query.edges import EdgeAnswer, answer_of
from enrichd.query.select import Selected
from enrichd_tracker.model import TYPES, Relation
from enrichd_tracker.store.port import Reader, StoredEdge, StoredSymbol

_OF_TYPES = (Relation.INHERITS, Relation.IMPLEMENTS)
_OF_MEMBERS = (Relation.OVERRIDES,)

Step = Callable[[list[int]], list[StoredEdge]]


def supertypes(
    reader: Reader, selected: Selected, given: Circumstances, *, indirect: bool = False
) -> EdgeAnswer:
    """The bases of a type, or what a member overrides; with ``indirect``, theirs as well."""
    relations = _relations(selected)
    found = _follow(
        selected.symbols,
        lambda ids: reader.edges_from(ids, relations),
        lambda edge: edge.target,
        indirect=indirect,
    )
    others = _unique(edge.target for edge in found)
    resting = selected.symbols if relations == _OF_TYPES else _owners(reader, selected.symbols)
    if indirect:
        resting = _unique([*resting, *(each for each in others if each.path is not None)])
    whole = completeness.of_outward(reader, Selected(selected.workspace, resting), given)
    shown = [(edge, edge.target) for edge in found]
    return answer_of(reader, "supertypes", selected, shown, whole, [])


def implementations(reader: Reader, selected: Selected, given: Circumstances) -> EdgeAnswer:
    """Everything that can stand in its place: all types below, or all members that override it."""
    below = subtypes(reader, selected, given, indirect=True)
    return structs.replace(below, question="implementations")


def subtypes(
    reader: Reader, selected: Selected, given: Circumstances, *, indirect: bool = False
) -> EdgeAnswer:
    """The types that have it as a base, or the members that override it; or all below."""
    relations = _relations(selected)
    found = _follow(
        selected.symbols,
        lambda ids: reader.edges_to(ids, relations),
        lambda edge: edge.source,
        indirect=indirect,
    )
    asked = selected.symbols
    if indirect:
        asked = _unique([*asked, *(edge.source for edge in found)])
    whole = completeness.of_inward(
        reader, Selected(selected.workspace, asked), found, given, relations=relations
    )
    return answer_of(
        reader, "subtypes", selected, [(edge, edge.source) for edge in found], whole, []
    )


def _relations(selected: Selected) -> tuple[Relation, ...]:
    return _OF_TYPES if selected.first.kind in TYPES else _OF_MEMBERS


def _follow(
    symbols: list[StoredSymbol],
    step: Step,
    other: Callable[[StoredEdge], StoredSymbol],
    *,
    indirect: bool,
) -> list[StoredEdge]:
    """The edges from level to level; a symbol is visited once, whatever leads to it."""
    found: list[StoredEdge] = []
    seen = {symbol.id for symbol in symbols}
    fresh = [symbol.id for symbol in symbols]
    while fresh:
        edges = step(fresh)
        found += edges
        next_ids = {other(edge).id for edge in edges} - seen
        seen |= next_ids
        fresh = sorted(next_ids) if indirect else []
    return found


def _owners(reader: Reader, members: Iterable[StoredSymbol]) -> list[StoredSymbol]:
    """The types that members belong to: what a member overrides follows from their bases."""
    parents = (reader.symbol(each.parent_id) for each in members if each.parent_id is not None)
    return _unique(each for each in parents if each is not None)


def _unique(symbols: Iterable[StoredSymbol]) -> list[StoredSymbol]:
    return list({symbol.id: symbol for symbol in symbols}.values())
