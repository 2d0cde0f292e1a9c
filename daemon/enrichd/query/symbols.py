"""Finding symbols by name."""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct

from enrichd.errors import UsageError
from enrichd.query import completeness
from enrichd.query.answers import SCHEMA_VERSION, Circumstances, SymbolView, Views
from enrichd.query.completeness import Completeness
from enrichd.query.select import MAX_TEXT_CHARS, chosen, ignoring_case
from enrichd_tracker.model import SymbolKind
from enrichd_tracker.store.port import Reader, StoredSymbol

_MARKS = frozenset("*?[")


class SymbolList(Struct, frozen=True):
    """The symbols that a pattern found."""

    schema_version: int
    pattern: str
    count: int
    more: bool
    """There are more than the limit let through."""
    symbols: list[SymbolView]
    completeness: Completeness


def symbols(
    reader: Reader,
    pattern: str,
    given: Circumstances,
    *,
    kind: str | None = None,
    path: str | None = None,
    workspace: str | None = None,
    limit: int = 100,
) -> SymbolList:
    """Symbols whose name or qualified name matches; exactly so named ones stand first.

    Plain text is a name or, in any case, a part of one; with ``*``, ``?`` or ``[`` it is a glob
    over the whole name. ``path`` is a glob over the file's path, or the path of a folder.
    """
    if not pattern or len(pattern) > MAX_TEXT_CHARS or "\0" in pattern:
        raise UsageError("expected a name, a part of one, or a glob such as 'get_*'")
    if kind is not None and kind not in list(SymbolKind):
        raise UsageError(f"there is no kind {kind}; there are: {', '.join(SymbolKind)}")
    workspaces = chosen(reader, workspace)
    narrowed = workspaces[0].id if workspace is not None else None
    # What is filtered here can't be limited there.
    most = -1 if kind is not None or path is not None else limit + 1
    if _MARKS & set(pattern):
        found = reader.symbols_like(pattern, narrowed, most)
    else:
        exact = [
            symbol
            for symbol in reader.symbols_named(pattern.rpartition(".")[2], narrowed)
            if pattern in {symbol.name, symbol.qualified_name}
        ]
        like = reader.symbols_like(f"*{ignoring_case(pattern)}*", narrowed, most)
        found = list({symbol.id: symbol for symbol in (*exact, *like)}.values())
    matching = [symbol for symbol in found if passes(symbol, kind, path)]
    views = Views.of(reader)
    return SymbolList(
        schema_version=SCHEMA_VERSION,
        pattern=pattern,
        count=min(len(matching), limit),
        more=len(matching) > limit,
        symbols=[views.symbol(symbol) for symbol in matching[:limit]],
        completeness=completeness.of_symbols(reader, workspaces, given),
    )


def passes(symbol: StoredSymbol, kind: str | None, path: str | None) -> bool:
    """Whether it is of the kind, in a file that matches the glob or lies under the folder."""
    if kind is not None and symbol.kind != kind:
        return False
    if path is None:
        return True
    own = symbol.path or ""
    return fnmatchcase(own, path) or own.startswith(path.rstrip("/") + "/")
