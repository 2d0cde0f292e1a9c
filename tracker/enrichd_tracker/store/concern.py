"""Whom a change concerns: whose answers may be other ones now.

A change is a set of names whose faces differ (`ParsedFile.faces`). From them the flows and the
renaming imports lead to further names, whose types may differ. Concerned is who mentions any of
these names, and who stands in a class of such a name: a method says `self`, not the class.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from enrichd_tracker.model import CALLABLES, TYPES, SymbolKind

EVERYTHING = "*"
"""The face of imports that don't show which names they bind."""
_CONCLUDED = CALLABLES | {SymbolKind.PROPERTY}

_ON_TO = """
    SELECT alias FROM alias JOIN file ON file.id = alias.file_id
    WHERE alias.original = ? AND file.workspace_id = ?
    UNION
    SELECT flow.onto FROM flow JOIN file ON file.id = flow.file_id
    WHERE flow.name = ? AND file.workspace_id = ?"""

_INSIDE = f"""
    WITH RECURSIVE inside (id) AS (
        SELECT id FROM symbol
        WHERE name = ? AND workspace_id = ? AND kind IN ({", ".join("?" * len(TYPES))})
        UNION
        SELECT symbol.id FROM symbol JOIN inside ON symbol.parent_id = inside.id
    ) SELECT id FROM inside"""

_MENTIONING = """
    SELECT symbol.id, symbol.name, symbol.kind
    FROM mention JOIN symbol ON symbol.id = mention.symbol_id
    WHERE mention.name = ? AND symbol.workspace_id = ?"""


def differing(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> set[str]:
    """The names that others see otherwise now."""
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


def concerned(
    connection: sqlite3.Connection, workspace_id: int, names: Iterable[str], *, by_bodies: bool
) -> set[int]:
    """The symbols that a change of these names concerns.

    ``by_bodies``: the server concludes from a function's body what it returns, so that whatever
    concerns the function concerns those who use it.
    """
    found: set[int] = set()
    fresh = set(names)
    known = set(fresh)
    kinds = sorted(TYPES)
    while fresh:
        onto: set[str] = set()
        for name in fresh:
            rows = connection.execute(_ON_TO, (name, workspace_id) * 2)
            onto.update(row[0] for row in rows)
            mentioning = connection.execute(_MENTIONING, (name, workspace_id)).fetchall()
            if by_bodies:
                onto.update(own for _, own, kind in mentioning if kind in _CONCLUDED)
            found.update(row[0] for row in mentioning)
            inside = connection.execute(_INSIDE, (name, workspace_id, *kinds))
            found.update(row[0] for row in inside)
        fresh = onto - known
        known |= fresh
    return found


def everybody(connection: sqlite3.Connection, workspace_id: int) -> set[int]:
    """All symbols of a workspace's files."""
    rows = connection.execute(
        "SELECT id FROM symbol WHERE workspace_id = ? AND file_id IS NOT NULL", (workspace_id,)
    )
    return {row[0] for row in rows}
