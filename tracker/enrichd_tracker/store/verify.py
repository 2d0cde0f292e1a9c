"""Is the database what it promises to be? Everything derived is derived again and compared."""

from __future__ import annotations

import sqlite3
from collections import Counter

from enrichd_tracker.model import Operation, SymbolKind, operations_of
from enrichd_tracker.store import orphans, settled, slices

_SHOWN = 20
_AT_ONCE = 512


def problems(connection: sqlite3.Connection) -> list[str]:
    """One line for each thing that is not as it must be."""
    found = []
    check = connection.execute("PRAGMA integrity_check(20)").fetchall()
    found += [f"integrity: {row[0]}" for row in check if row[0] != "ok"]
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        found.append(f"dangling: a row of {table} ({rowid}) points at a missing {parent}")
    found += _pending(connection)
    found += _failures(connection)
    found += _tallies(connection)
    found += _symbols(connection)
    found += _languages(connection)
    found += _settled(connection)
    return found


def _pending(connection: sqlite3.Connection) -> list[str]:
    done: dict[int, int] = {}
    for source, operation in connection.execute(
        "SELECT DISTINCT source, operation FROM edge WHERE operation <> 'syntax'"
    ):
        done[source] = done.get(source, 0) | Operation(operation).bit
    required = {
        (row[0], row[1]): row[2]
        for row in connection.execute("SELECT workspace_id, language, operations FROM requirement")
    }
    wrong = []
    for symbol_id, workspace_id, language, uid, kind, pending in connection.execute(
        "SELECT id, workspace_id, language, uid, kind, pending FROM symbol "
        "WHERE file_id IS NOT NULL"
    ):
        mask = required.get((workspace_id, language), orphans.DEFAULT_OPERATIONS)
        needed = orphans.NEEDED_MASKS[SymbolKind(kind)] & mask
        expected = needed & ~done.get(symbol_id, 0)
        if expected != pending:
            wrong.append(
                f"pending: {uid} is marked {_names(pending)}, its edges say {_names(expected)}"
            )
    return _shorten(wrong)


def _names(mask: int) -> str:
    return ", ".join(operations_of(mask)) or "nothing"


def _failures(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        """SELECT symbol.uid, symbol.failed FROM symbol
           LEFT JOIN failure ON failure.symbol_id = symbol.id
           WHERE symbol.failed <> (failure.symbol_id IS NOT NULL)
           UNION ALL
           SELECT symbol.uid, 2 FROM symbol JOIN failure ON failure.symbol_id = symbol.id
           WHERE (failure.next_retry_at IS NULL) <> EXISTS (
               SELECT 1 FROM edge WHERE edge.source = symbol.id AND edge.target = 2)"""
    )
    texts = {
        0: "has a failure record that it does not know of",
        1: "is marked as failed without a record",
        2: "its failure record and its error edges disagree",
    }
    return _shorten([f"failure: {uid} {texts[state]}" for uid, state in rows])


def _tallies(connection: sqlite3.Connection) -> list[str]:
    actual: Counter[tuple[int, str]] = Counter()
    outcomes: dict[tuple[int, int, str], str] = {}
    for source, workspace_id, operation, relation, target in connection.execute(
        """SELECT source, symbol.workspace_id, operation, relation, target
           FROM edge JOIN symbol ON symbol.id = edge.source"""
    ):
        key = (workspace_id, source, operation)
        if relation:
            actual[workspace_id, relation] += 1
            kind = "edges"
        else:
            kind = {1: "none", 2: "error"}[target]
        if operation != "syntax":
            # An error stands beside the edges that were found before it.
            outcomes[key] = kind if kind != "edges" else outcomes.get(key, kind)
    for (workspace_id, _, _), kind in outcomes.items():
        actual[workspace_id, f"outcome:{kind}"] += 1
    kept = {
        (row[0], row[1]): row[2]
        for row in connection.execute("SELECT workspace_id, what, n FROM tally WHERE n <> 0")
    }
    return [
        f"count: {what} in workspace {workspace_id} is {actual[workspace_id, what]}, "
        f"kept as {kept.get((workspace_id, what), 0)}"
        for workspace_id, what in sorted(actual.keys() | kept.keys())
        if actual[workspace_id, what] != kept.get((workspace_id, what), 0)
    ]


def _symbols(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        """SELECT path, symbols, n FROM file JOIN (
               SELECT file.id AS counted, count(symbol.id) AS n
               FROM file LEFT JOIN symbol ON symbol.file_id = file.id GROUP BY file.id
           ) ON counted = file.id WHERE symbols <> n"""
    )
    return _shorten([f"count: {path} has {n} symbols, kept as {kept}" for path, kept, n in rows])


def _languages(connection: sqlite3.Connection) -> list[str]:
    nothing = (0, 0, 0)
    actual, kept = (
        {row[:2]: row[2:] for row in connection.execute(query)}
        for query in (
            """SELECT workspace_id, language, count(*), sum(symbols), count(nullif(symbols, 0))
               FROM file GROUP BY workspace_id, language""",
            "SELECT workspace_id, language, files, symbols, modules FROM language_count",
        )
    )
    return [
        f"count: {key[1]} in workspace {key[0]} has {actual.get(key, nothing)} files, symbols and "
        f"modules, kept as {kept.get(key, nothing)}"
        for key in sorted(actual.keys() | kept.keys())
        if actual.get(key, nothing) != kept.get(key, nothing)
    ]


def _settled(connection: sqlite3.Connection) -> list[str]:
    """A symbol may be without a row, but the rows that there are must be right."""
    wrong, last = [], 0
    query = "SELECT * FROM settled WHERE symbol_id > ? ORDER BY symbol_id LIMIT ?"
    while kept := {row[0]: row for row in connection.execute(query, (last, _AT_ONCE))}:
        last = max(kept)
        actual = {row.symbol_id: row for row in settled.digested(connection, kept)}
        wrong += [each for each in kept if kept[each] != actual.get(each)]
    uids = slices.select_in(connection, "SELECT uid FROM symbol WHERE", wrong)
    return _shorten(
        [f"settled: what is kept of {uid} is not what its edges say" for (uid,) in uids]
    )


def _shorten(lines: list[str]) -> list[str]:
    if len(lines) <= _SHOWN:
        return lines
    return [*lines[:_SHOWN], f"... and {len(lines) - _SHOWN} more of this kind"]
