"""Makes a stored graph many times as large, with copies of a workspace's files in itself.

It goes around the store and writes its tables, since a million symbols through the store take
minutes; `enrichd verify` finds nothing wrong with what comes out.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_SENTINELS = 2
_APART = 10_000_000
"""Between the ids of one copy and those of the next."""
_CACHE = "PRAGMA cache_size = -1000000"


def prefix(number: int) -> str:
    """The folder that a copy's files are in."""
    return f"copy_{number}"


def multiply(database: Path, workspace: str, times: int) -> None:
    """Let the workspace hold its own graph so many times; nobody may have the database open."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(_CACHE)
        connection.execute("PRAGMA synchronous = OFF")
        (own,) = connection.execute(
            "SELECT id FROM workspace WHERE name = ?", (workspace,)
        ).fetchone()
        connection.execute("BEGIN")
        files = f"(SELECT id FROM file WHERE workspace_id = {own} AND id < {_APART})"
        symbols = f"(SELECT id FROM symbol WHERE file_id IN {files})"
        for number in range(1, times):
            away = number * _APART
            folder = f"'{prefix(number)}/' || "
            moved = {each: f"{each} + {away}" for each in ("id", "file_id", "symbol_id", "source")}
            moved["parent_id"] = f"parent_id + {away}"
            moved["target"] = f"target + (target > {_SENTINELS}) * {away}"
            moved |= {"path": folder + "path", "uid": folder + "uid", "module": folder + "module"}
            for table, where in (
                ("file", f"id IN {files}"),
                ("parse_result", f"file_id IN {files}"),
                ("symbol", f"file_id IN {files}"),
                ("site", f"symbol_id IN {symbols}"),
                ("mention", f"symbol_id IN {symbols}"),
                ("settled", f"symbol_id IN {symbols}"),
                ("edge", f"source IN {symbols}"),
            ):
                _copy(connection, table, where, moved)
        connection.execute("UPDATE tally SET n = n * ? WHERE workspace_id = ?", (times, own))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(connection: sqlite3.Connection, table: str, where: str, moved: dict[str, str]) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    chosen = ", ".join(moved.get(each, f'"{each}"') for each in columns)
    connection.execute(f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE {where}")
