"""Rows by many ids: in slices that SQLite can take, with few statements for all their lengths."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T", int, str, bytes)

_MOST = 512


def select_in(
    connection: sqlite3.Connection,
    query: str,
    ids: Iterable[T],
    column: str = "id",
    grouped: str = "",
) -> list[tuple[Any, ...]]:
    """The rows of ``query``, which ends before its last condition, with ``column`` in ``ids``.

    Where it is ``grouped``, a group may come several times.
    """
    rows: list[tuple[Any, ...]] = []
    for some in sliced(ids):
        marks, values = padded(some)
        rows += connection.execute(f"{query} {column} IN ({marks}) {grouped}", values).fetchall()
    return rows


def sliced(ids: Iterable[T]) -> Iterator[list[T]]:
    """The ids in their order, as many at a time as one statement takes."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), _MOST):
        yield wanted[start : start + _MOST]


def padded(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """The marks for ``IN (...)`` and the values, the last one repeated up to a power of two.

    Every length would be a statement of its own otherwise: to be prepared, and kept for long.
    """
    if not values:
        return "", []
    number = 1 << (len(values) - 1).bit_length()
    return ",".join("?" * number), [*values, *list(values[-1:]) * (number - len(values))]
