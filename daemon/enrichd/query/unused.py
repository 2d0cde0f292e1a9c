"""What nothing points at, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from enrichd.query import completeness
from enrichd.query.answers import (
    SCHEMA_VERSION,
    Circumstances,
    SymbolView,
    Views,
)
from enrichd.query.completeness import Completeness
from enrichd.query.select import chosen
from enrichd.query.symbols import passes
from enrichd_tracker.model import TYPES, Binding, Relation, Role, Workspace
from enrichd_tracker.store.port import Reader, StoredEdge, StoredSymbol

_AT_ONCE = 200
_BASES_OF_NOTHING = frozenset(
    {"object", "ABC", "Generic", "Protocol", "Enum", "IntEnum", "StrEnum"}
)
"""Types outside whose members nobody calls by overriding them."""


class UnusedSymbol(Struct, frozen=True):
    """A definition that nothing points at."""

    symbol: SymbolView
    unresolved: int
    """Uses of a name like it that led nowhere: one of them may mean it."""


class UnusedList(Struct, frozen=True):
    """What was found, in order of place."""

    schema_version: int
    count: int
    more: bool
    """There are more than the limit let through."""
    symbols: list[UnusedSymbol]
    completeness: Completeness
    notes: list[str]


def unused(
    reader: Reader,
    given: Circumstances,
    *,
    workspace: str | None = None,
    kind: str | None = None,
    path: str | None = None,
    sure: bool = False,
    limit: int = 100,
) -> UnusedList:
    """Definitions that nothing points at; with ``sure``, only those that no open use may mean.

    Left out is what is used without being named: by the language (operators), by tools (tests,
    ``main``), by a decorator that may hand it to somebody, by a base outside the workspace.
    """
    workspaces = chosen(reader, workspace)
    found = list(
        islice(
            (
                each
                for one in workspaces
                for each in _found(reader, one, kind, path)
                if not (sure and each[1])
            ),
            limit + 1,
        )
    )
    views = Views.of(reader)
    return UnusedList(
        schema_version=SCHEMA_VERSION,
        count=min(len(found), limit),
        more=len(found) > limit,
        symbols=[UnusedSymbol(views.symbol(symbol), number) for symbol, number in found[:limit]],
        completeness=completeness.of_everything(reader, workspaces, given),
        notes=["what other repositories use of this one is not known here"],
    )


def _found(
    reader: Reader, workspace: Workspace, kind: str | None, path: str | None
) -> Iterator[tuple[StoredSymbol, int]]:
    owners = _Owners(reader)
    for symbol in _candidates(reader, workspace):
        if passes(symbol, kind, path) and not owners.may_call(symbol):
            yield symbol, reader.mentions([symbol.name], workspace.id).unresolved


def _candidates(reader: Reader, workspace: Workspace) -> Iterator[StoredSymbol]:
    offset = 0
    while found := reader.unused(workspace.id, _AT_ONCE, offset):
        yield from found
        offset += len(found)


class _Owners:
    """The types that members belong to, and what stands above these."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._above: dict[int, tuple[set[int], bool]] = {}

    def may_call(self, symbol: StoredSymbol) -> bool:
        """Whether the symbol may stand for a member of a base, known or not."""
        if symbol.parent_id is None:
            return False
        parent = self._reader.symbol(symbol.parent_id)
        if parent is None or parent.kind not in TYPES:
            return False
        bases, foreign = self._bases(parent)
        if foreign:
            return True
        namesakes = self._reader.symbols_named(symbol.name, symbol.workspace_id)
        return any(each.parent_id in bases for each in namesakes)

    def _bases(self, owner: StoredSymbol) -> tuple[set[int], bool]:
        """Every type above, and whether one of them lies outside or is not known."""
        known = self._above.get(owner.id)
        if known is not None:
            return known
        bases: set[int] = set()
        fresh, foreign = {owner.id}, False
        while fresh:
            edges = self._reader.edges_from(fresh, [Relation.INHERITS])
            foreign = foreign or self._lacks_a_base(fresh, edges)
            outside = {each.target for each in edges if each.target.path is None}
            foreign = foreign or any(each.name not in _BASES_OF_NOTHING for each in outside)
            fresh = {each.target.id for each in edges if each.target.path} - bases - {owner.id}
            bases |= fresh
        self._above[owner.id] = bases, foreign
        return bases, foreign

    def _lacks_a_base(self, types: set[int], edges: list[StoredEdge]) -> bool:
        """Whether the text names a base that no edge leads to."""
        shown = {(each.source.id, each.line, each.column) for each in edges}
        return any(
            site.role is Role.INHERIT
            and site.binding is not Binding.BUILTIN
            and (work.symbol_id, site.line, site.column) not in shown
            for work in self._reader.settled(types)
            for site in work.sites
        )
