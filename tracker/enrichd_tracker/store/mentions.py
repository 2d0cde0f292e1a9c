"""Who mentions a name: who might still say something about a symbol, and who was asked in vain."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from enrichd_tracker.model import Origin, Site
from enrichd_tracker.store.port import StoredSymbol
from enrichd_tracker.store.rows import SYMBOL, symbol_of
from enrichd_tracker.store.slices import padded, select_in

_LED = "SELECT line, \"column\" FROM edge WHERE source = ? AND relation <> ''"
_LED_AT = f'{_LED} AND line = ? AND "column" = ? LIMIT 1'
_FEW = 4
"""So many places are looked for one by one: that is faster than to fetch all of a symbol's."""
_sites = msgspec.msgpack.Decoder(list[Site])

# Few symbols mention a name and a workspace has very many: without being told so, SQLite may go
# through those of the workspace, hence CROSS JOIN and the plus, which keep their order.


def unsettled(
    connection: sqlite3.Connection, names: Iterable[str], workspace_id: int
) -> list[StoredSymbol]:
    """Symbols that mention one of the names, under any alias, and lack an outcome."""
    marks, values = padded(_with_aliases(connection, names))
    rows = connection.execute(
        f"""{SYMBOL} WHERE symbol.id IN (SELECT symbol_id FROM mention
                WHERE name IN ({marks}))
            AND (symbol.pending <> 0 OR symbol.failed <> 0)
            AND +symbol.workspace_id = ?""",
        (*values, workspace_id),
    )
    return [symbol_of(row) for row in rows]


def last_answer(
    connection: sqlite3.Connection, names: Iterable[str], workspace_id: int
) -> tuple[Origin, float] | None:
    """The newest answer to a symbol that mentions one of the names, under any alias."""
    marks, values = padded(_with_aliases(connection, names))
    row = connection.execute(
        f"""SELECT server, version, newest
            FROM (SELECT edge.origin_id, max(edge.at) AS newest
                  FROM mention CROSS JOIN symbol ON symbol.id = mention.symbol_id
                      CROSS JOIN edge ON edge.source = symbol.id AND edge.operation <> 'syntax'
                  WHERE mention.name IN ({marks}) AND symbol.workspace_id = ?)
                JOIN origin ON origin.id = origin_id""",
        (*values, workspace_id),
    ).fetchone()
    return (Origin(row[0], row[1]), row[2]) if row is not None else None


def unresolved(connection: sqlite3.Connection, names: Iterable[str], workspace_id: int) -> int:
    """Sites of one of the names, in symbols that have their outcomes, without any edge."""
    found = _with_aliases(connection, names)
    marks, values = padded(found)
    rows = connection.execute(
        f"""SELECT site.symbol_id, site.data
            FROM site CROSS JOIN symbol ON symbol.id = site.symbol_id
            WHERE site.symbol_id IN (SELECT symbol_id FROM mention WHERE name IN ({marks}))
                AND symbol.pending = 0 AND +symbol.workspace_id = ?""",
        (*values, workspace_id),
    )
    number = 0
    for symbol_id, data in rows:
        places = {(site.line, site.column) for site in _sites.decode(data) if site.name in found}
        if len(places) > _FEW:
            number += len(places.difference(connection.execute(_LED, (symbol_id,))))
            continue
        for place in places:
            led = connection.execute(_LED_AT, (symbol_id, *place)).fetchone()
            number += led is None
    return number


def _with_aliases(connection: sqlite3.Connection, names: Iterable[str]) -> list[str]:
    every, fresh = set(names), set(names)
    while fresh:
        rows = select_in(connection, "SELECT DISTINCT alias FROM alias WHERE", fresh, "original")
        fresh = {row[0] for row in rows} - every
        every |= fresh
    return list(every)
