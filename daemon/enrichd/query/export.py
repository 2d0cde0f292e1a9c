"""The whole graph as lines of JSON: one edge a line, sorted, so that equal graphs are equal bytes.

There are no times in it. Lines and columns are 1-based, columns count UTF-8 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from enrichd.query.answers import operation_of, package_of
from enrichd_tracker.model import Relation, Workspace
from enrichd_tracker.store.port import Reader, StoredEdge, StoredSymbol

_SYNTAX = "syntax"


class _Source(Struct, frozen=True):
    uid: str
    name: str
    kind: str
    file: str | None
    line: int | None
    column: int | None


class _Target(_Source, frozen=True):
    external: bool


class _External(_Target, frozen=True):
    package: str


class _Site(Struct, frozen=True):
    file: str
    line: int
    column: int


class _Origin(Struct, frozen=True):
    server: str | None
    version: str | None
    operation: str


class _Line(Struct, frozen=True):
    relation: str
    source: _Source
    target: _Target
    site: _Site
    origin: _Origin


class _MarkedLine(_Line, frozen=True):
    unparsed: bool
    """Only there where it is true: the site stands in a part that did not parse."""


def jsonl(reader: Reader, workspace: Workspace) -> Iterator[bytes]:
    """The edges of a workspace, one line each with its line feed.

    Sorted by file, line, column, relation, source and target. One file at a time is in memory.
    """
    encode = msgspec.json.Encoder().encode
    for path in sorted(reader.files(workspace.id)):
        lines = [_edge(edge) for edge in reader.edges_in(workspace.id, path)]
        symbols = {symbol.id: symbol for symbol in reader.symbols_in(workspace.id, path)}
        lines += [
            _contains(symbols[symbol.parent_id], symbol)
            for symbol in symbols.values()
            if symbol.parent_id is not None
        ]
        for line in sorted(lines, key=_order):
            yield encode(line) + b"\n"


def _order(line: _Line) -> tuple[int, int, str, str, str, str, str]:
    site = line.site
    last = (line.origin.operation, line.origin.server or "")
    return site.line, site.column, line.relation, line.source.uid, line.target.uid, *last


def _edge(edge: StoredEdge) -> _Line:
    path = edge.source.path or ""
    by_text = edge.server == _SYNTAX
    kind = _MarkedLine if edge.unparsed else _Line
    marks = {"unparsed": True} if edge.unparsed else {}
    return kind(
        relation=edge.relation,
        source=_source(edge.source),
        target=_target(edge.target),
        site=_Site(path, edge.line + 1, edge.column + 1),
        origin=_Origin(
            server=None if by_text else edge.server,
            version=None if by_text else edge.version,
            operation=operation_of(edge),
        ),
        **marks,
    )


def _contains(parent: StoredSymbol, child: StoredSymbol) -> _Line:
    return _Line(
        relation=Relation.CONTAINS,
        source=_source(parent),
        target=_target(child),
        site=_Site(child.path or "", child.line + 1, child.column + 1),
        origin=_Origin(server=None, version=None, operation=_SYNTAX),
    )


def _source(symbol: StoredSymbol) -> _Source:
    place = (symbol.path, symbol.line + 1, symbol.column + 1)
    return _Source(symbol.uid, symbol.name, symbol.kind, *place)


def _target(symbol: StoredSymbol) -> _Target:
    if symbol.path is None:
        names = (symbol.uid, symbol.name, symbol.kind)
        return _External(*names, None, None, None, True, package_of(symbol))
    place = (symbol.path, symbol.line + 1, symbol.column + 1)
    return _Target(symbol.uid, symbol.name, symbol.kind, *place, False)
