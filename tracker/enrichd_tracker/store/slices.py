"""Rows by many ids: in slices that SQLite can take."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any


def select_in(
    connection: sqlite3.Connection,
    query: str,
    ids: Iterable[int] | Iterable[str] | Iterable[bytes],
    column: str = "id",
) -> list[tuple[Any, ...]]:
    """The rows of ``query``, which ends before its last condition, with ``column`` in ``ids``.

    They come in slices that SQLite can take.
    """
    wanted = sorted(ids)
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        marks = ",".join("?" * len(part))
        rows += connection.execute(f"{query} {column} IN ({marks})", part).fetchall()
    return rows
