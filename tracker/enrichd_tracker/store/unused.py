"""Definitions that nothing points at."""

from __future__ import annotations

import sqlite3

from enrichd_tracker.model import Relation, SymbolKind
from enrichd_tracker.store.port import StoredSymbol
from enrichd_tracker.store.rows import SYMBOL, symbol_of


def find(
    connection: sqlite3.Connection, workspace_id: int, limit: int, offset: int
) -> list[StoredSymbol]:
    """In order of their places, but for those that are used without being named.

    What overrides something is used through that; what points at itself is not used by it.
    """
    rows = connection.execute(
        f"""{SYMBOL}
            WHERE symbol.workspace_id = ? AND symbol.file_id IS NOT NULL
                AND symbol.implied = 0 AND symbol.overload = 0 AND symbol.kind <> ?
                AND NOT EXISTS (SELECT 1 FROM edge
                    WHERE edge.target = symbol.id AND edge.source <> symbol.id)
                AND NOT EXISTS (SELECT 1 FROM edge
                    WHERE edge.source = symbol.id AND edge.relation = ?)
            ORDER BY file.path, symbol.line, symbol."column", symbol.id LIMIT ? OFFSET ?""",
        (workspace_id, SymbolKind.MODULE, Relation.OVERRIDES, limit, offset),
    )
    return [symbol_of(row) for row in rows]
