"""Counts kept in step with the rows, so that asking for them never needs a scan."""

from __future__ import annotations

import sqlite3
from collections import Counter

Tally = Counter[tuple[int, str]]
"""(workspace, what) to the change of its count; what: a relation, or `outcome:<kind>`."""


def add(connection: sqlite3.Connection, tally: Tally) -> None:
    """Change the counts, in the transaction that changes the rows."""
    connection.executemany(
        "INSERT INTO tally VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
        [(workspace, what, n) for (workspace, what), n in tally.items() if n],
    )
