"""Rows as values: which columns files, symbols and edges are read from, and in which order."""

from __future__ import annotations

from typing import Any

from enrichd_tracker.model import FileStat, KnownFile, ParseStatus
from enrichd_tracker.store.port import StoredEdge, StoredSymbol

FILE = """
    SELECT file.id, file.path, file.language, file.size, file.mtime_ns, file.inode, file.digest,
        parse_result.status, file.is_ascii
    FROM file JOIN parse_result ON parse_result.file_id = file.id"""

_SYMBOL_COLUMNS = """
    {0}.id, {0}.workspace_id, {0}.uid, {0}.name, {0}.qualified_name, {0}.kind, {0}.language,
    {1}.path, {0}.line, {0}."column", {0}.start_line, {0}.end_line, {0}.overload, {0}.pending,
    {0}.failed, {0}.parent_id"""
SYMBOL = f"""
    SELECT {_SYMBOL_COLUMNS.format("symbol", "file")}
    FROM symbol LEFT JOIN file ON file.id = symbol.file_id"""
SYMBOL_BY_FILE = f"""
    SELECT {_SYMBOL_COLUMNS.format("symbol", "file")}
    FROM file CROSS JOIN symbol ON symbol.file_id = file.id"""
_WIDTH = 16

EDGE = f"""
    SELECT {_SYMBOL_COLUMNS.format("source", "source_file")},
        {_SYMBOL_COLUMNS.format("target", "target_file")},
        edge.relation, edge.line, edge."column", edge.operation, origin.server, origin.version,
        edge.by_syntax, edge.unparsed, edge.at, edge.reason
    FROM edge
        JOIN symbol source ON source.id = edge.source
        JOIN file source_file ON source_file.id = source.file_id
        JOIN symbol target ON target.id = edge.target
        LEFT JOIN file target_file ON target_file.id = target.file_id
        JOIN origin ON origin.id = edge.origin_id"""


def file_of(row: tuple[Any, ...]) -> KnownFile:
    return KnownFile(
        id=row[0],
        path=row[1],
        language=row[2],
        stat=FileStat(*row[3:6]),
        digest=row[6],
        status=ParseStatus(row[7]),
        ascii=bool(row[8]),
    )


def symbol_of(row: tuple[Any, ...]) -> StoredSymbol:
    values = (*row[:12], bool(row[12]), row[13], bool(row[14]), row[15])
    return StoredSymbol(*values)


def edge_of(row: tuple[Any, ...]) -> StoredEdge:
    rest = row[2 * _WIDTH :]
    ends = (symbol_of(row[:_WIDTH]), symbol_of(row[_WIDTH : 2 * _WIDTH]))
    values: tuple[Any, ...] = (*ends, *rest[:6], bool(rest[6]), bool(rest[7]), *rest[8:])
    return StoredEdge(*values)
