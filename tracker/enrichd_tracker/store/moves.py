"""Symbols that only moved: what was found out about them stays true at other lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from enrichd_tracker.model import Site
from enrichd_tracker.store.edges import INSERT_EDGE

Place = tuple[int, int]
"""Line and column."""

_ANSWERED = "source = ? AND operation <> 'syntax' AND relation <> ''"


def moves(before: Sequence[Site], now: Sequence[Site]) -> dict[Place, Place] | None:
    """Where each site went; None when the sites are not the same uses in the same order."""
    if len(before) != len(now):
        return None
    found: dict[Place, Place] = {}
    for old, new in zip(before, now, strict=True):
        if _use(old) != _use(new):
            return None
        found[old.line, old.column] = (new.line, new.column)
    for old, new in zip(before, now, strict=True):
        if old.ask is not None and found.get(old.ask) != new.ask:
            return None
    return found


def _use(site: Site) -> tuple[object, ...]:
    return (
        site.name,
        site.role,
        site.binding,
        site.target,
        site.unparsed,
        site.ask is None,
    )


def move_edges(connection: sqlite3.Connection, symbol_id: int, to: dict[Place, Place]) -> bool:
    """Let a symbol's edges follow its sites; False, and nothing done, if one stands at no site."""
    rows = connection.execute(f"SELECT * FROM edge WHERE {_ANSWERED}", (symbol_id,)).fetchall()
    moved = []
    for row in rows:
        place = to.get((row[4], row[5]))
        if place is None:
            return False
        moved.append((*row[:4], *place, *row[6:]))
    if moved != rows:
        connection.execute(f"DELETE FROM edge WHERE {_ANSWERED}", (symbol_id,))
        connection.executemany(INSERT_EDGE, moved)
    return True
