"""What a file and its symbols were before a change, and whether they still are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from enrichd_tracker.model import CALLABLES, Face, FileStat, FoundSymbol, ParsedFile, ParseStatus
from enrichd_tracker.store.edges import ERROR_SYMBOL
from enrichd_tracker.store.slices import select_in

_faces = msgspec.msgpack.Decoder(dict[str, Face])


class OldSymbol(Struct, frozen=True):
    """A symbol as it was."""

    id: int
    kind: str
    qualified_name: str
    digest: bytes
    face: bytes
    overload: bool
    failed: bool
    """Or ended in an error."""


class OldFile(Struct, frozen=True):
    """A file as it was."""

    id: int
    language: str
    digest: bytes
    status: str
    faces: Mapping[str, Face]


def file_before(connection: sqlite3.Connection, workspace_id: int, path: str) -> OldFile | None:
    """The file as the store has it; None for a new one."""
    row = connection.execute(
        """SELECT file.id, language, digest, status, faces
           FROM file JOIN parse_result ON parse_result.file_id = file.id
           WHERE workspace_id = ? AND path = ?""",
        (workspace_id, path),
    ).fetchone()
    if row is None:
        return None
    file_id, language, digest, status, faces = row
    return OldFile(file_id, language, digest, status, _faces.decode(faces) if faces else {})


def known_among(
    connection: sqlite3.Connection, workspace_id: int, paths: Iterable[str]
) -> set[str]:
    """Which of these files the store has."""
    query = f"SELECT path FROM file WHERE workspace_id = {int(workspace_id)} AND"
    return {row[0] for row in select_in(connection, query, paths, "path")}


def touch(connection: sqlite3.Connection, file_id: int, stat: FileStat) -> None:
    """Remember another stat of a file that says the same."""
    connection.execute(
        "UPDATE file SET size = ?, mtime_ns = ?, inode = ? WHERE id = ?",
        (stat.size, stat.mtime_ns, stat.inode, file_id),
    )


def symbols_before(connection: sqlite3.Connection, file_id: int) -> dict[str, OldSymbol]:
    """The file's symbols by uid."""
    rows = connection.execute(
        """SELECT uid, id, kind, qualified_name, digest, face, overload,
               failed OR EXISTS (
                   SELECT 1 FROM edge WHERE source = symbol.id AND relation = '' AND target = ?)
           FROM symbol WHERE file_id = ?""",
        (ERROR_SYMBOL, file_id),
    )
    return {row[0]: OldSymbol(*row[1:]) for row in rows}


def is_same_file(file: ParsedFile, before: OldFile, old: Mapping[str, OldSymbol]) -> bool:
    """Whether nothing but the file's stat differs."""
    module = old.get(f"{file.path}/")
    name = file.symbols[0].qualified_name if file.symbols else None
    return (
        (before.digest, before.language, before.status) == (file.digest, file.language, file.status)
        and before.status != ParseStatus.ERROR
        and before.faces == file.faces
        and (module.qualified_name if module is not None else None) == name
    )


def is_same(symbol: FoundSymbol, before: OldSymbol) -> bool:
    """Whether a symbol's own text is what it was, and it did not fail."""
    return not before.failed and (
        before.digest,
        before.face,
        before.kind,
        before.overload,
    ) == (symbol.digest, symbol.face, symbol.kind, symbol.overload)


def disturbs(symbol: FoundSymbol, before: OldSymbol) -> bool:
    """Whether what stands inside a symbol may mean something else: a function has locals."""
    return before.face != symbol.face or (
        before.kind in CALLABLES and before.digest != symbol.digest
    )
