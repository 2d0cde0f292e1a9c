"""What came of a settled symbol, digested: who asks about a name may have thousands to look at.

A row says of one symbol what its sites and edges would say: when it was answered and by whom, and
which names in its body led nowhere. It may be missing, then the rest is looked at; it is never
wrong: whatever takes away an outcome takes it away, and moving sites and edges together changes
nothing that it says.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from enrichd_tracker.store.slices import select_in, sliced

_WITH_SITES = """
    SELECT symbol.id, symbol.workspace_id, site.data
    FROM symbol CROSS JOIN site ON site.symbol_id = symbol.id
    WHERE symbol.pending = 0 AND symbol.failed = 0 AND"""
_ANSWERS = """
    SELECT source, relation, line, "column", at, origin_id
    FROM edge WHERE operation <> 'syntax' AND"""

Place = tuple[int, int]
"""Line and column."""


class NamedPlace(Struct, array_like=True, frozen=True, gc=False):
    """What a model.Site begins with; the rest is passed over."""

    name: str
    line: int
    column: int


class Row(NamedTuple):
    """A row of the table."""

    symbol_id: int
    workspace_id: int
    at: float
    origin_id: int
    unresolved: bytes | None
    """MessagePack {name: how many of its sites led nowhere}."""


decode_places = msgspec.msgpack.Decoder(list[NamedPlace]).decode
decode_unresolved = msgspec.msgpack.Decoder(dict[str, int]).decode
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def forget(connection: sqlite3.Connection, symbol_id: int) -> None:
    """Say nothing of a symbol any more: it is about to lose an outcome."""
    connection.execute("DELETE FROM settled WHERE symbol_id = ?", (symbol_id,))


def renew(connection: sqlite3.Connection, symbol_ids: Collection[int]) -> None:
    """Write what came of those of these symbols that are settled and name something."""
    write(connection, digested(connection, symbol_ids))


def write(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Write what is known to be so."""
    connection.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?, ?)", rows)


def digested(connection: sqlite3.Connection, symbol_ids: Collection[int]) -> Iterator[Row]:
    """The rows of these symbols as sites and edges have it."""
    for some in sliced(symbol_ids):  # it may be all of a workspace
        yield from _digested(connection, some)


def _digested(connection: sqlite3.Connection, symbol_ids: Collection[int]) -> Iterator[Row]:
    answered: dict[int, tuple[float, int]] = {}
    led: dict[int, set[Place]] = {}
    for source, relation, *place, at, origin_id in select_in(
        connection, _ANSWERS, symbol_ids, "source"
    ):
        answered[source] = max(answered.get(source, (at, origin_id)), (at, origin_id))
        if relation:
            led.setdefault(source, set()).add((place[0], place[1]))
    for symbol_id, workspace_id, data in select_in(
        connection, _WITH_SITES, symbol_ids, "symbol.id"
    ):
        if symbol_id in answered:
            unresolved = packed(data, led.get(symbol_id, ()))
            yield Row(symbol_id, workspace_id, *answered[symbol_id], unresolved)


def packed(sites: bytes, led: Container[Place]) -> bytes | None:
    """What a row has of a symbol with these sites, of which those at some places led on."""
    nowhere = led_nowhere(decode_places(sites), led)
    return _encode(Counter(name for name, _, _ in nowhere)) if nowhere else None


def led_nowhere(sites: Iterable[NamedPlace], led: Container[Place]) -> set[tuple[str, int, int]]:
    """The uses, each as its name, line and column, that are not among those that led somewhere."""
    return {
        (site.name, site.line, site.column) for site in sites if (site.line, site.column) not in led
    }
