"""Writing files and their symbols, and finding out whom a change concerns.

A file is stored whole: what it had before is matched by uid, so that a symbol keeps its id and all
that points at it. What only moved keeps its answers too, at its new lines. Asked again are the
symbols whose own text or surroundings changed, and those anywhere whom a changed name concerns
(concern.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from enrichd_tracker.model import (
    TYPES,
    FoundSymbol,
    Operation,
    ParsedFile,
    ParseStatus,
    Site,
)
from enrichd_tracker.store import (
    concern,
    edges,
    failures,
    indexing_errors,
    moves,
    orphans,
    overrides,
)
from enrichd_tracker.store.before import (
    OldFile,
    OldSymbol,
    disturbs,
    file_before,
    is_same,
    is_same_file,
    known_among,
    symbols_before,
    touch,
)
from enrichd_tracker.store.inserts import Inserts, Renamed
from enrichd_tracker.store.port import Stored
from enrichd_tracker.store.slices import select_in

_encode = msgspec.msgpack.Encoder().encode
_sites = msgspec.msgpack.Decoder(list[Site])


def store_files(
    connection: sqlite3.Connection,
    workspace_id: int,
    files: Iterable[ParsedFile],
    removed: Iterable[str],
    at: float,
    *,
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> Stored:
    """Store what was parsed and forget what is gone, with all that follows from it.

    ``renamed``: new path to old path of files that were only renamed; their symbols stay what they
    are, under other uids.
    """
    connection.execute("PRAGMA defer_foreign_keys = ON")
    by_path = {file.path: file for file in files}
    writer = _FileWriter(connection, workspace_id, at, by_path)
    for path in removed:
        writer.remove(path)
    for file in by_path.values():
        if file.path in renamed:
            writer.rename(renamed[file.path], file.path)
        writer.store(file)
    return writer.finish()


class _FileWriter:
    def __init__(
        self, connection: sqlite3.Connection, workspace_id: int, at: float, paths: Iterable[str]
    ) -> None:
        """``paths`` are those of the files to be stored."""
        self._connection = connection
        self._known = known_among(connection, workspace_id, paths)
        self._workspace_id = workspace_id
        self._at = at
        self._required: Mapping[str, int] = orphans.required(connection, workspace_id)
        row = connection.execute(
            "SELECT indexed_at FROM workspace WHERE id = ?", (workspace_id,)
        ).fetchone()
        self._first = row[0] is None  # nothing was ever asked: nobody is concerned
        last = "SELECT seq FROM sqlite_sequence WHERE name = 'symbol'"
        self._next_id: int = connection.execute(last).fetchone()[0] + 1
        self._stored = Stored()
        self._names: set[str] = set()  # that may lead elsewhere now
        self._types: dict[tuple[int, str], bool] = {}  # (file, name) of another type: its result?
        self._modules: set[str] = set()  # of all that changed, appeared or went
        self._files: set[int] = set()  # that changed
        self._places: set[str] = set()  # modules of files that appeared or went
        self._new: set[int] = set()  # files that appeared
        self._all_names = False  # what differs does not say which names it binds
        self._again: set[int] = set()  # asked again though their own text did not change
        self._gone: set[int] = set()
        self._classes: set[int] = set()
        self._anew: set[int] = set()  # new, or of another text
        self._had_errors = indexing_errors.open_among(connection, workspace_id, paths)
        self._inserts = Inserts(connection)

    def store(self, file: ParsedFile) -> None:
        """Take in a file as it is now."""
        before = None
        if file.path in self._known:
            before = file_before(self._connection, self._workspace_id, file.path)
        old = symbols_before(self._connection, before.id) if before is not None else {}
        self._stored.files += 1
        self._stored.symbols += len(file.symbols)
        if before is not None and is_same_file(file, before, old):
            touch(self._connection, before.id, file.stat)
            self._note_errors(file)
            return
        self._compare(file, before)
        file_id = self._store_file(file)
        if before is None:
            self._new.add(file_id)
        else:
            for table in ("alias", "flow"):
                self._connection.execute(f"DELETE FROM {table} WHERE file_id = ?", (file_id,))
        renamed = self._inserts.names(file, file_id)
        self._inserts.parse_result(file, file_id, self._at)
        whole = (
            file.status is ParseStatus.OK and before is not None and before.status == file.status
        )
        ids = self._store_symbols(file, file_id, old, renamed, keep=whole)
        self._forget_symbols({uid: symbol for uid, symbol in old.items() if uid not in ids})
        self._note_errors(file)

    def rename(self, old: str, new: str) -> None:
        """Take a file for the one that had another path, unless the new one is known already."""
        before = file_before(self._connection, self._workspace_id, old)
        if before is None or file_before(self._connection, self._workspace_id, new) is not None:
            return
        indexing_errors.resolve(self._connection, self._workspace_id, old)
        self._connection.execute("UPDATE file SET path = ? WHERE id = ?", (new, before.id))
        self._connection.execute(
            "UPDATE symbol SET uid = ? || substr(uid, ?), revision = revision + 1 "
            "WHERE file_id = ?",
            (new, len(old) + 1, before.id),
        )
        self._known.add(new)

    def remove(self, path: str) -> None:
        """Forget a file that is gone."""
        before = file_before(self._connection, self._workspace_id, path)
        indexing_errors.resolve(self._connection, self._workspace_id, path)
        if before is None:
            return
        self._names.update(before.faces)
        self._modules |= concern.modules_among(before.faces)
        self._places.add(concern.module_among(before.faces))
        self._forget_symbols(symbols_before(self._connection, before.id))
        self._connection.execute("DELETE FROM file WHERE id = ?", (before.id,))

    def finish(self) -> Stored:
        """Write what was collected, and mark whom it concerns."""
        connection, stored = self._connection, self._stored
        self._inserts.write(self._at)
        if not self._first:
            self._ask_again(self._concerned())
            overrides.derive(connection, self._classes - self._gone, self._at)
        stored.reopened = len(self._again)
        return stored

    def _concerned(self) -> set[int]:
        if not (self._names or self._types or self._anew):
            return set()
        moved = concern.standing_at(
            self._connection, self._workspace_id, self._places, self._new | self._files
        )
        modules = concern.modules_of(self._connection, moved)
        self._modules |= modules
        self._names |= modules
        self._files |= moved
        by_bodies = orphans.concludes_from_bodies(self._connection, self._workspace_id)
        reach = concern.Reach.of(self._connection, self._workspace_id, self._modules, self._files)
        if not reach.files:
            return set()
        if self._all_names:
            return reach.standing_in(reach.files)
        following = concern.Concern(self._connection, reach, by_bodies=by_bodies)
        return reach.standing_in(moved) | following.follow(self._names, self._types, self._anew)

    # Files.

    def _compare(self, file: ParsedFile, before: OldFile | None) -> None:
        """Note the names that others see otherwise now."""
        self._modules |= concern.modules_among(file.faces)
        now_at = concern.module_among(file.faces)
        was_at = concern.module_among(before.faces) if before is not None else ""
        if now_at != was_at:
            self._places |= {now_at, was_at}
        if before is None:
            self._names.update(file.faces)
            return
        self._files.add(before.id)
        self._modules |= concern.modules_among(before.faces)
        names, types = concern.differing(before.faces, file.faces)
        if concern.EVERYTHING in names:
            self._all_names = True
        if (before.status, file.status) != (ParseStatus.OK, ParseStatus.OK):
            # What a parser makes of an error is its own affair: a server may see other names.
            names = {*before.faces, *file.faces}
        if now_at != was_at:  # what stands around it may be a root of imports, or not
            names |= concern.modules_among(before.faces) | concern.modules_among(file.faces)
        self._names |= names
        self._types.update({(before.id, name): result for name, result in types.items()})

    def _store_file(self, file: ParsedFile) -> int:
        row = self._connection.execute(
            """INSERT INTO file (workspace_id, path, language, size, mtime_ns, inode, digest,
                   is_ascii, symbols, module, faces, import_sites, canary)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET language = excluded.language, size = excluded.size,
                   mtime_ns = excluded.mtime_ns, inode = excluded.inode, digest = excluded.digest,
                   is_ascii = excluded.is_ascii, symbols = excluded.symbols,
                   module = excluded.module,
                   faces = excluded.faces, import_sites = excluded.import_sites,
                   canary = excluded.canary
               RETURNING id""",
            (
                self._workspace_id,
                file.path,
                file.language,
                file.stat.size,
                file.stat.mtime_ns,
                file.stat.inode,
                file.digest,
                file.ascii,
                len(file.symbols),
                concern.module_among(file.faces),
                _encode(file.faces) if file.faces else None,
                _encode(file.import_sites) if file.import_sites else None,
                _encode(file.canary) if file.canary else None,
            ),
        ).fetchone()
        return int(row[0])

    def _note_errors(self, file: ParsedFile) -> None:
        if file.path in self._had_errors:
            indexing_errors.resolve(self._connection, self._workspace_id, file.path)
        if file.failure is not None:
            indexing_errors.log_error(
                self._connection,
                self._workspace_id,
                file.path,
                file.language,
                file.failure,
                self._at,
            )

    # Symbols.

    def _store_symbols(
        self,
        file: ParsedFile,
        file_id: int,
        old: Mapping[str, OldSymbol],
        renamed: Renamed,
        *,
        keep: bool,
    ) -> set[str]:
        needed = self._required.get(file.language, orphans.DEFAULT_OPERATIONS)
        ids: list[int] = []
        uids: set[str] = set()
        disturbed: list[bool] = []  # whether what stands inside may mean something else now
        for symbol in file.symbols:
            uid = f"{file.path}/{symbol.descriptors}"
            uids.add(uid)
            before = old.get(uid)
            if before is None:
                symbol_id = self._next_id
                self._next_id += 1
            else:
                symbol_id = before.id
            ids.append(symbol_id)
            if symbol.kind in TYPES:
                self._classes.add(symbol_id)
            around = symbol.parent >= 0 and disturbed[symbol.parent]
            disturbed.append(around or before is None or disturbs(symbol, before))
            row = self._symbol_row(symbol, ids)
            if (
                keep
                and before is not None
                and not around
                and is_same(symbol, before)
                and self._move(symbol, symbol_id, row, renamed)
            ):
                continue
            mask = orphans.NEEDED_MASKS[symbol.kind] & needed
            if mask & Operation.DEFINITION.bit and not symbol.sites:
                self._inserts.without_sites(self._workspace_id, symbol_id)
                mask &= ~Operation.DEFINITION.bit
            self._anew.add(symbol_id)
            if before is None:
                identity = (symbol_id, self._workspace_id, file_id)
                rank = orphans.rank_of(symbol.kind) if self._first else orphans.URGENT_RANK
                self._inserts.symbol(
                    *identity, row[0], file.language, uid, *row[1:], 0, rank, mask, 0
                )
            else:
                self._clear(symbol_id)
                self._update_symbol(symbol_id, file.language, row)
                self._connection.execute(
                    "UPDATE symbol SET rank = ?, pending = ? WHERE id = ?",
                    (orphans.URGENT_RANK, mask, symbol_id),
                )
            self._inserts.sites(symbol, symbol_id, renamed)
        return uids

    def _symbol_row(self, symbol: FoundSymbol, ids: list[int]) -> tuple[object, ...]:
        return (
            ids[symbol.parent] if symbol.parent >= 0 else None,
            symbol.name,
            symbol.qualified_name,
            symbol.kind,
            symbol.line,
            symbol.column,
            symbol.start_line,
            symbol.start_column,
            symbol.end_line,
            symbol.end_column,
            symbol.overload,
            symbol.digest,
            symbol.face,
            _encode(symbol.bindings) if symbol.bindings else None,
            symbol.implied,
        )

    def _update_symbol(self, symbol_id: int, language: str, row: tuple[object, ...]) -> None:
        self._connection.execute(
            """UPDATE symbol SET language = ?, parent_id = ?, name = ?, qualified_name = ?,
                   kind = ?, line = ?, "column" = ?, start_line = ?, start_column = ?,
                   end_line = ?, end_column = ?, overload = ?, digest = ?, face = ?, bindings = ?,
                   implied = ?, revision = revision + 1 WHERE id = ?""",
            (language, *row, symbol_id),
        )

    def _move(
        self,
        symbol: FoundSymbol,
        symbol_id: int,
        row: tuple[object, ...],
        renamed: Renamed,
    ) -> bool:
        """Keep what is known about a symbol whose text is the same; False if that can't be."""
        connection = self._connection
        found = connection.execute(
            "SELECT language, data FROM symbol LEFT JOIN site ON site.symbol_id = symbol.id "
            "WHERE symbol.id = ?",
            (symbol_id,),
        ).fetchone()
        to = moves.moves(_sites.decode(found[1]) if found[1] else [], symbol.sites)
        if to is None or not moves.move_edges(connection, symbol_id, to):
            return False
        self._update_symbol(symbol_id, found[0], row)
        self._forget_sites(symbol_id)
        self._inserts.sites(symbol, symbol_id, renamed)
        self._inserts.write_sites()  # it can become an orphan before the end: with its sites
        return True

    def _clear(self, symbol_id: int) -> None:
        """Take away all that was known about a symbol's body, so that it is asked anew."""
        edges.reopen(self._connection, [symbol_id], self._at)
        self._stored.had_failed += failures.forget(self._connection, [symbol_id])
        self._forget_sites(symbol_id)

    def _forget_sites(self, symbol_id: int) -> None:
        self._connection.execute("DELETE FROM site WHERE symbol_id = ?", (symbol_id,))
        self._connection.execute("DELETE FROM mention WHERE symbol_id = ?", (symbol_id,))

    def _forget_symbols(self, gone: Mapping[str, OldSymbol]) -> None:
        if not gone:
            return
        connection = self._connection
        ids = {symbol.id for symbol in gone.values()}
        self._gone |= ids
        pointing = select_in(
            connection, "SELECT source FROM edge WHERE operation <> 'syntax' AND", ids, "target"
        )
        for symbol_id in ids:
            self._clear(symbol_id)
        # What points here is asked again; its edges go now, so that none dangles.
        self._ask_again({row[0] for row in pointing})
        overrides.forget(connection, ids)
        connection.executemany("DELETE FROM symbol WHERE id = ?", [(each,) for each in ids])

    def _ask_again(self, symbol_ids: set[int]) -> None:
        asked = symbol_ids - self._anew - self._gone - self._again
        self._again |= asked
        self._stored.had_failed += orphans.reopen(self._connection, asked, self._at)
