"""What a batch of files adds, written together: one statement for many rows costs a fraction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from enrichd_tracker.model import FoundSymbol, ParsedFile
from enrichd_tracker.store import edges, parse_results

_encode = msgspec.msgpack.Encoder().encode

_SYMBOL = f"INSERT INTO symbol VALUES ({', '.join('?' * 24)})"
_PARSE_RESULT = f"INSERT OR REPLACE INTO parse_result VALUES ({', '.join('?' * 7)})"

Renamed = Mapping[str, list[str]]


class Inserts:
    """Rows that wait to be written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._symbols: list[tuple[object, ...]] = []
        self._sites: list[tuple[int, bytes]] = []
        self._mentions: list[tuple[str, int]] = []
        self._aliases: list[tuple[str, str, int]] = []
        self._flows: list[tuple[str, str, int, bool, bool]] = []
        self._parse_results: list[tuple[object, ...]] = []
        self._without_sites: list[tuple[int, int]] = []

    def symbol(self, *row: object) -> None:
        """A new symbol, column by column."""
        self._symbols.append(row)

    def without_sites(self, workspace_id: int, symbol_id: int) -> None:
        """A symbol whose text names nothing: that is its outcome."""
        self._without_sites.append((workspace_id, symbol_id))

    def names(self, file: ParsedFile, file_id: int) -> Renamed:
        """Which names of a file lead on to which; returns the originals of each renamed one."""
        aliases = sorted(set(file.aliases))
        self._aliases += [(*pair, file_id) for pair in aliases]
        self._flows += [
            (flow.name, flow.onto, file_id, flow.loose, flow.called) for flow in file.flows
        ]
        renamed: dict[str, list[str]] = {}
        for original, alias in aliases:
            renamed.setdefault(alias, []).append(original)
        return renamed

    def parse_result(self, file: ParsedFile, file_id: int, at: float) -> None:
        """How a file parsed."""
        self._parse_results.append(parse_results.row_of(file, file_id, at))

    def sites(self, symbol: FoundSymbol, symbol_id: int, renamed: Renamed) -> None:
        """The uses in a symbol's body, and the names that they may mean."""
        if not symbol.sites:
            return
        self._sites.append((symbol_id, _encode(symbol.sites)))
        names = {site.name for site in symbol.sites}
        names.update(original for alias in names & renamed.keys() for original in renamed[alias])
        self._mentions.extend((name, symbol_id) for name in names)

    def write_sites(self) -> None:
        """Write what waits of these already."""
        self._write("INSERT INTO site VALUES (?, ?)", self._sites)
        self._write("INSERT OR IGNORE INTO mention VALUES (?, ?)", self._mentions)

    def write(self, at: float) -> None:
        """Write everything."""
        self._write(_PARSE_RESULT, self._parse_results)
        self._write("INSERT INTO alias VALUES (?, ?, ?)", self._aliases)
        self._write("INSERT INTO flow VALUES (?, ?, ?, ?, ?)", self._flows)
        self._write(_SYMBOL, self._symbols)
        self.write_sites()
        edges.settle_by_text(self._connection, self._without_sites, at)
        self._without_sites.clear()

    def _write(self, statement: str, rows: list[Any]) -> None:
        self._connection.executemany(statement, rows)
        rows.clear()
