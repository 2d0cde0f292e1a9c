"""Who mentions a name: who might still say something about a symbol, and who was asked in vain."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from enrichd_tracker.model import Origin
from enrichd_tracker.store.port import Mentions, StoredSymbol
from enrichd_tracker.store.rows import SYMBOL, symbol_of
from enrichd_tracker.store.settled import Place, decode_places, decode_unresolved, led_nowhere
from enrichd_tracker.store.slices import padded, select_in

# The first condition keeps those of other workspaces out; what is not digested may be of any.
_DIGESTED = """
    SELECT mentioning.symbol_id, settled.at, settled.origin_id, settled.unresolved
    FROM (SELECT DISTINCT symbol_id FROM mention WHERE name IN ({marks})) AS mentioning
        LEFT JOIN settled ON settled.symbol_id = mentioning.symbol_id
    WHERE settled.workspace_id IS NULL OR settled.workspace_id = ?"""
# Of few symbols and of one workspace: without the plus SQLite may go through all of the workspace.
_UNSETTLED = f"""
    {SYMBOL} WHERE +symbol.workspace_id = {{workspace}}
        AND (symbol.pending <> 0 OR symbol.failed <> 0) AND"""
_NEWEST = """
    SELECT max(edge.at), edge.origin_id
    FROM symbol CROSS JOIN edge ON edge.source = symbol.id AND edge.operation <> 'syntax'
    WHERE +symbol.workspace_id = {workspace} AND"""
_SITES = """
    SELECT site.symbol_id, site.data
    FROM site CROSS JOIN symbol ON symbol.id = site.symbol_id
    WHERE symbol.pending = 0 AND +symbol.workspace_id = {workspace} AND"""
_LED = "SELECT source, line, \"column\" FROM edge WHERE relation <> '' AND"

Answer = tuple[float, int]
"""When and by whom: time and origin."""


def of(connection: sqlite3.Connection, names: Iterable[str], workspace_id: int) -> Mentions:
    """What is known of the symbols that mention one of the names, under any alias."""
    found = _with_aliases(connection, names)
    texts = [name.encode() for name in found]
    marks, values = padded(found)
    newest: Answer | None = None
    number = 0
    others: list[int] = []
    for symbol_id, at, origin_id, nowhere in connection.execute(
        _DIGESTED.format(marks=marks), (*values, workspace_id)
    ):
        if at is None:
            others.append(symbol_id)
            continue
        newest = max(newest or (at, origin_id), (at, origin_id))
        if nowhere is not None and any(text in nowhere for text in texts):
            counts = decode_unresolved(nowhere)
            number += sum(counts.get(name, 0) for name in found)
    if not others:
        return Mentions([], number, _answer(connection, newest))
    one_by_one = _OneByOne(connection, workspace_id, others)
    return Mentions(
        one_by_one.unsettled(),
        number + one_by_one.unresolved(found),
        _answer(connection, max(filter(None, (newest, one_by_one.newest())), default=None)),
    )


class _OneByOne:
    """What is known of symbols that no digest tells of."""

    def __init__(
        self, connection: sqlite3.Connection, workspace_id: int, symbol_ids: Collection[int]
    ) -> None:
        self._connection = connection
        self._workspace_id = int(workspace_id)
        self._ids = symbol_ids

    def unsettled(self) -> list[StoredSymbol]:
        return [symbol_of(row) for row in self._select(_UNSETTLED, "symbol.id")]

    def newest(self) -> Answer | None:
        rows = self._select(_NEWEST, "symbol.id")
        return max((row for row in rows if row[0] is not None), default=None)

    def unresolved(self, names: Collection[str]) -> int:
        places = {
            symbol_id: [site for site in decode_places(data) if site.name in names]
            for symbol_id, data in self._select(_SITES, "site.symbol_id")
        }
        led: defaultdict[int, set[Place]] = defaultdict(set)
        for source, *place in select_in(self._connection, _LED, places, "source"):
            led[source].add((place[0], place[1]))
        return sum(len(led_nowhere(sites, led[each])) for each, sites in places.items())

    def _select(self, query: str, column: str) -> list[tuple[Any, ...]]:
        query = query.format(workspace=self._workspace_id)
        return select_in(self._connection, query, self._ids, column)


def _answer(connection: sqlite3.Connection, newest: Answer | None) -> tuple[Origin, float] | None:
    if newest is None:
        return None
    at, origin_id = newest
    row = connection.execute(
        "SELECT server, version FROM origin WHERE id = ?", (origin_id,)
    ).fetchone()
    return Origin(*row), at


def _with_aliases(connection: sqlite3.Connection, names: Iterable[str]) -> list[str]:
    every, fresh = set(names), set(names)
    while fresh:
        rows = select_in(connection, "SELECT DISTINCT alias FROM alias WHERE", fresh, "original")
        fresh = {row[0] for row in rows} - every
        every |= fresh
    return list(every)
