"""Who calls it, what it calls, what refers to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from enrichd.query import completeness
from enrichd.query.answers import (
    SCHEMA_VERSION,
    Circumstances,
    EdgeView,
    SymbolView,
    Views,
    counted,
)
from enrichd.query.completeness import Completeness
from enrichd.query.select import Selected
from enrichd_tracker.model import TYPES, Relation, SymbolKind
from enrichd_tracker.store.port import Reader, StoredEdge, StoredSymbol

_CALLS = (Relation.CALLS, Relation.INSTANTIATES)
_USES = tuple(relation for relation in Relation if relation is not Relation.CONTAINS)
_RUN_ON_INSTANTIATION = {"__init__", "__new__"}


class EdgeAnswer(Struct, frozen=True):
    """The edges that a question found, and how far they are all there are."""

    schema_version: int
    question: str
    """The name of the command that asks it."""
    symbols: list[SymbolView]
    """Whom it was asked about: one symbol, or same-named siblings of one scope."""
    count: int
    by_relation: dict[str, int]
    edges: list[EdgeView]
    completeness: Completeness
    notes: list[str]
    """What this question can't show by its nature, and which one does."""


def callers(reader: Reader, selected: Selected, given: Circumstances) -> EdgeAnswer:
    """The sites that call it; a class is called by making an instance of it."""
    return _inward(reader, "callers", selected, _CALLS, given)


def references(reader: Reader, selected: Selected, given: Circumstances) -> EdgeAnswer:
    """Everything that points at it, by relation."""
    return _inward(reader, "references", selected, _USES, given)


def callees(reader: Reader, selected: Selected, given: Circumstances) -> EdgeAnswer:
    """What its own body calls, also outside the workspace: no other file can change that."""
    found = reader.edges_from(selected.ids, _CALLS)
    return answer_of(
        reader,
        "callees",
        selected,
        [(edge, edge.target) for edge in found],
        completeness.of_outward(reader, selected, given),
        list(_outward_notes(selected.first)),
    )


def _inward(
    reader: Reader,
    question: str,
    selected: Selected,
    relations: tuple[Relation, ...],
    given: Circumstances,
) -> EdgeAnswer:
    found = reader.edges_to(selected.ids, relations)
    mentions = reader.mentions({symbol.name for symbol in selected.symbols}, selected.workspace.id)
    whole = completeness.of_inward(
        reader, selected, found, given, relations=relations, mentions=mentions
    )
    notes = _inward_notes(selected.first, reader) if question == "callers" else ()
    notes = [*notes, *_unresolved_note(selected, mentions.unresolved)]
    return answer_of(
        reader, question, selected, [(edge, edge.source) for edge in found], whole, notes
    )


def answer_of(
    reader: Reader,
    question: str,
    selected: Selected,
    found: list[tuple[StoredEdge, StoredSymbol]],
    whole: Completeness,
    notes: list[str],
) -> EdgeAnswer:
    """The answer to a question: each edge with the symbol at its other end."""
    views = Views.of(reader)
    edges = sorted((views.edge(edge, other) for edge, other in found), key=_order)
    counts = Counter(edge.relation for edge in edges)
    return EdgeAnswer(
        schema_version=SCHEMA_VERSION,
        question=question,
        symbols=[views.symbol(symbol) for symbol in selected.symbols],
        count=len(edges),
        by_relation={relation: counts[relation] for relation in Relation if counts[relation]},
        edges=edges,
        completeness=whole,
        notes=notes,
    )


def _order(edge: EdgeView) -> tuple[str, int, int, str, str]:
    return edge.file or "", edge.line, edge.column, edge.relation, edge.symbol.uid


def _inward_notes(symbol: StoredSymbol, reader: Reader) -> Iterable[str]:
    if symbol.kind == SymbolKind.PROPERTY:
        yield "a property is used without a call: `enrichd references` shows where"
    elif symbol.kind == SymbolKind.CONSTRUCTOR or symbol.name in _RUN_ON_INSTANTIATION:
        parent = reader.symbol(symbol.parent_id) if symbol.parent_id is not None else None
        owner = parent.qualified_name if parent is not None else "its class"
        yield f"making an instance counts for the class: `enrichd callers {owner}` shows where"
    elif symbol.name.startswith("__") and symbol.name.endswith("__"):
        yield "what the language calls by itself (operators, protocols) is not counted"


def _unresolved_note(selected: Selected, number: int) -> Iterable[str]:
    """What was asked and answered with nothing is settled, but it is not proved to be nothing."""
    if number and selected.first.path is not None:
        yield (
            f"{counted(number, 'other use')} of a name like it led nowhere: what they belong to "
            "has no known type, or lies outside the workspace"
        )


def _outward_notes(symbol: StoredSymbol) -> Iterable[str]:
    if symbol.kind in TYPES or symbol.kind == SymbolKind.MODULE:
        yield f"only the {symbol.kind}'s own body: what is defined in it has callees of its own"
