"""Writing files and their symbols, and finding out whom a change concerns.

A file is stored whole: what it had before is matched by uid, so that an unchanged symbol keeps
its id and all that points at it. Whose answers may have changed is asked again: the symbols of
the file itself, and those elsewhere whose body mentions a name that appeared, went or changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from enrichd_tracker.model import (
    TYPES,
    Binding,
    FoundSymbol,
    Operation,
    ParsedFile,
    Role,
    Site,
)
from enrichd_tracker.store import edges, failures, orphans, overrides, runs
from enrichd_tracker.store.port import Stored

_encode = msgspec.msgpack.Encoder().encode
_sites = msgspec.msgpack.Decoder(list[Site])

_INSERT_SYMBOL = f"INSERT INTO symbol VALUES ({', '.join('?' * 22)})"


class _Old(Struct, frozen=True):
    id: int
    kind: str
    name: str
    digest: bytes
    overload: bool


def store_files(
    connection: sqlite3.Connection,
    workspace_id: int,
    files: Iterable[ParsedFile],
    removed: Iterable[str],
    at: float,
) -> Stored:
    """Store what was parsed and forget what is gone, with all that follows from it."""
    connection.execute("PRAGMA defer_foreign_keys = ON")
    writer = _FileWriter(connection, workspace_id, at)
    for path in removed:
        writer.remove(path)
    for file in {file.path: file for file in files}.values():
        writer.store(file)
    return writer.finish()


class _FileWriter:
    def __init__(self, connection: sqlite3.Connection, workspace_id: int, at: float) -> None:
        self._connection = connection
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
        self._names: set[str] = set()  # appeared, went or changed
        self._again: set[int] = set()  # symbols of other files, asked again
        self._gone: set[int] = set()
        self._classes: set[int] = set()
        self._own: set[int] = set()
        self._rows: list[tuple[object, ...]] = []
        self._site_rows: list[tuple[int, bytes]] = []
        self._mentions: list[tuple[str, int]] = []
        self._without_sites: list[tuple[int, int]] = []

    def store(self, file: ParsedFile) -> None:
        old_file = self._connection.execute(
            "SELECT id FROM file WHERE workspace_id = ? AND path = ?",
            (self._workspace_id, file.path),
        ).fetchone()
        old = self._symbols_of(old_file[0]) if old_file else {}
        file_id = self._store_file(file)
        runs.store_parse_result(self._connection, self._workspace_id, file_id, file, self._at)
        ids = self._store_symbols(file, file_id, old)
        if old:
            self._compare_order(file, old)
        gone = {uid: symbol for uid, symbol in old.items() if uid not in ids}
        self._forget_symbols(gone)
        self._stored.files += 1
        self._stored.symbols += len(file.symbols)

    def remove(self, path: str) -> None:
        row = self._connection.execute(
            "SELECT id FROM file WHERE workspace_id = ? AND path = ?", (self._workspace_id, path)
        ).fetchone()
        runs.resolve_errors(self._connection, self._workspace_id, path)
        if row is None:
            return
        self._names.update(*self._aliases_of(row[0]))
        self._forget_symbols(self._symbols_of(row[0]))
        self._connection.execute("DELETE FROM file WHERE id = ?", row)

    def finish(self) -> Stored:
        connection, stored = self._connection, self._stored
        connection.executemany(_INSERT_SYMBOL, self._rows)
        connection.executemany("INSERT INTO site VALUES (?, ?)", self._site_rows)
        connection.executemany("INSERT OR IGNORE INTO mention VALUES (?, ?)", self._mentions)
        edges.settle_by_text(connection, self._without_sites, self._at)
        if not self._first:
            self._ask_again(self._mentioning())
            overrides.derive(connection, self._classes - self._gone, self._at)
        stored.reopened = len(self._again)
        return stored

    def _symbols_of(self, file_id: int) -> dict[str, _Old]:
        rows = self._connection.execute(
            "SELECT uid, id, kind, name, digest, overload FROM symbol WHERE file_id = ? "
            'ORDER BY line, "column"',
            (file_id,),
        )
        return {row[0]: _Old(*row[1:]) for row in rows}

    def _store_file(self, file: ParsedFile) -> int:
        row = self._connection.execute(
            """INSERT INTO file (workspace_id, path, language, size, mtime_ns, inode, digest,
                   is_ascii, import_sites, canary) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET language = excluded.language, size = excluded.size,
                   mtime_ns = excluded.mtime_ns, inode = excluded.inode, digest = excluded.digest,
                   is_ascii = excluded.is_ascii, import_sites = excluded.import_sites,
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
                _encode(file.import_sites) if file.import_sites else None,
                _encode(file.canary) if file.canary else None,
            ),
        ).fetchone()
        file_id = int(row[0])
        old, new = self._aliases_of(file_id), set(file.aliases)
        self._names.update(*(old ^ new))
        self._connection.execute("DELETE FROM alias WHERE file_id = ?", (file_id,))
        self._connection.executemany(
            "INSERT INTO alias VALUES (?, ?, ?)", [(*pair, file_id) for pair in sorted(new)]
        )
        return file_id

    def _aliases_of(self, file_id: int) -> set[tuple[str, str]]:
        return set(
            self._connection.execute(
                "SELECT original, alias FROM alias WHERE file_id = ?", (file_id,)
            ).fetchall()
        )

    def _store_symbols(
        self, file: ParsedFile, file_id: int, old: dict[str, _Old]
    ) -> dict[str, int]:
        renamed: dict[str, list[str]] = {}
        for original, alias in file.aliases:
            renamed.setdefault(alias, []).append(original)
        needed = self._required.get(file.language, orphans.DEFAULT_OPERATIONS)
        ids: list[int] = []
        by_uid: dict[str, int] = {}
        for symbol in file.symbols:
            uid = f"{file.path}/{symbol.descriptors}"
            before = old.get(uid)
            if before is None:
                symbol_id = self._next_id
                self._next_id += 1
            else:
                symbol_id = before.id
            ids.append(symbol_id)
            by_uid[uid] = symbol_id
            self._compare(symbol, before)
            mask = orphans.NEEDED_MASKS[symbol.kind] & needed
            if mask & Operation.DEFINITION.bit and not symbol.sites:
                self._without_sites.append((self._workspace_id, symbol_id))
                mask &= ~Operation.DEFINITION.bit
            self._write_symbol(file, file_id, symbol, symbol_id, uid, ids, mask, before is None)
            self._write_sites(symbol, symbol_id, renamed)
            self._own.add(symbol_id)
            if symbol.kind in TYPES:
                self._classes.add(symbol_id)
        return by_uid

    def _compare(self, symbol: FoundSymbol, before: _Old | None) -> None:
        """Note which names a change concerns, and forget what was known about the old body."""
        if before is None:
            same = self._first
        else:
            same = (before.digest, before.kind, before.name, before.overload) == (
                symbol.digest,
                symbol.kind,
                symbol.name,
                symbol.overload,
            )
            self._clear(before.id, changed=not same)
        if not same:
            self._names.add(symbol.name)
            if before is not None:
                self._names.add(before.name)
            self._names.update(symbol.attributes)
            self._names.update(_imported(symbol.sites))

    def _compare_order(self, file: ParsedFile, old: Mapping[str, _Old]) -> None:
        """Note names that several symbols bear whose order changed: the last one counts."""
        before, now = dict[str, list[str]](), dict[str, list[str]]()
        for uid, was in old.items():
            before.setdefault(was.name, []).append(uid)
        for symbol in sorted(file.symbols, key=lambda each: (each.line, each.column)):
            now.setdefault(symbol.name, []).append(f"{file.path}/{symbol.descriptors}")
        self._names.update(name for name, uids in now.items() if before.get(name, uids) != uids)

    def _clear(self, symbol_id: int, *, changed: bool) -> None:
        """Take away all that was known about a symbol's body, so that it is asked anew."""
        connection = self._connection
        if changed:
            row = connection.execute(
                "SELECT data FROM site WHERE symbol_id = ?", (symbol_id,)
            ).fetchone()
            self._names.update(_imported(_sites.decode(row[0])) if row else ())
        edges.reopen(connection, [symbol_id], self._at)
        self._stored.had_failed += failures.forget(connection, [symbol_id])
        connection.execute("DELETE FROM site WHERE symbol_id = ?", (symbol_id,))
        connection.execute("DELETE FROM mention WHERE symbol_id = ?", (symbol_id,))

    def _write_symbol(
        self,
        file: ParsedFile,
        file_id: int,
        symbol: FoundSymbol,
        symbol_id: int,
        uid: str,
        ids: list[int],
        pending: int,
        new: bool,
    ) -> None:
        parent_id = ids[symbol.parent] if symbol.parent >= 0 else None
        bindings = _encode(symbol.bindings) if symbol.bindings else None
        extent = (
            symbol.line,
            symbol.column,
            symbol.start_line,
            symbol.start_column,
            symbol.end_line,
            symbol.end_column,
        )
        rank = orphans.rank_of(symbol.kind) if self._first else orphans.URGENT_RANK
        if new:
            self._rows.append(
                (
                    symbol_id, self._workspace_id, file_id, parent_id, file.language, uid,
                    symbol.name, symbol.qualified_name, symbol.kind, *extent, symbol.overload,
                    symbol.digest, bindings, 0, rank, pending, 0,
                )
            )  # fmt: skip
            return
        self._connection.execute(
            """UPDATE symbol SET parent_id = ?, language = ?, name = ?, qualified_name = ?,
                   kind = ?, line = ?, "column" = ?, start_line = ?, start_column = ?,
                   end_line = ?, end_column = ?, overload = ?, digest = ?, bindings = ?,
                   revision = revision + 1, rank = ?, pending = ? WHERE id = ?""",
            (
                parent_id, file.language, symbol.name, symbol.qualified_name, symbol.kind, *extent,
                symbol.overload, symbol.digest, bindings, rank, pending, symbol_id,
            ),
        )  # fmt: skip

    def _write_sites(
        self, symbol: FoundSymbol, symbol_id: int, renamed: Mapping[str, list[str]]
    ) -> None:
        if not symbol.sites:
            return
        self._site_rows.append((symbol_id, _encode(symbol.sites)))
        names = {site.name for site in symbol.sites}
        names.update(original for alias in names & renamed.keys() for original in renamed[alias])
        self._mentions.extend((name, symbol_id) for name in names)

    def _forget_symbols(self, gone: Mapping[str, _Old]) -> None:
        if not gone:
            return
        connection = self._connection
        ids = {symbol.id for symbol in gone.values()}
        self._gone |= ids
        self._names.update(symbol.name for symbol in gone.values())
        pointing = edges.select_in(
            connection, "SELECT source FROM edge WHERE operation <> 'syntax' AND", ids, "target"
        )
        for symbol_id in ids:
            self._clear(symbol_id, changed=True)
        # What points here is asked again; its edges go now, so that none dangles.
        self._ask_again({row[0] for row in pointing})
        overrides.forget(connection, ids)
        connection.executemany("DELETE FROM symbol WHERE id = ?", [(each,) for each in ids])

    def _ask_again(self, symbol_ids: set[int]) -> None:
        concerned = symbol_ids - self._own - self._gone - self._again
        self._again |= concerned
        self._stored.had_failed += orphans.reopen(self._connection, concerned, self._at)

    def _mentioning(self) -> set[int]:
        """The symbols of the workspace that mention one of the names, under any alias."""
        names, fresh = set(self._names), set(self._names)
        while fresh:
            aliases = {
                row[0]
                for name in fresh
                for row in self._connection.execute(
                    """SELECT alias FROM alias JOIN file ON file.id = alias.file_id
                       WHERE original = ? AND workspace_id = ?""",
                    (name, self._workspace_id),
                )
            }
            fresh = aliases - names
            names |= fresh
        return {
            row[0]
            for name in names
            for row in self._connection.execute(
                """SELECT symbol_id FROM mention JOIN symbol ON symbol.id = mention.symbol_id
                   WHERE mention.name = ? AND symbol.workspace_id = ?""",
                (name, self._workspace_id),
            )
        }


def _imported(sites: Iterable[Site]) -> set[str]:
    return {
        site.name for site in sites if site.role is Role.IMPORT and site.binding is Binding.IMPORTED
    }


def finish_run(connection: sqlite3.Connection, workspace_id: int, at: float) -> None:
    """The run went through: from now on changes are changes of something known."""
    edges.drop_unused_externals(connection, workspace_id)
    connection.execute("UPDATE workspace SET indexed_at = ? WHERE id = ?", (at, workspace_id))


def remove_workspace(connection: sqlite3.Connection, workspace_id: int) -> list[int]:
    """Forget a workspace and all that is known about it; returns symbols that had failed."""
    connection.execute("PRAGMA defer_foreign_keys = ON")
    failed = connection.execute(
        """SELECT symbol_id FROM failure JOIN symbol ON symbol.id = failure.symbol_id
           WHERE symbol.workspace_id = ?""",
        (workspace_id,),
    ).fetchall()
    mine = "(SELECT id FROM symbol WHERE workspace_id = ?)"
    for statement in (
        f"DELETE FROM edge WHERE source IN {mine}",
        f"DELETE FROM mention WHERE symbol_id IN {mine}",
        "DELETE FROM symbol WHERE workspace_id = ?",
        "DELETE FROM file WHERE workspace_id = ?",
        "DELETE FROM tally WHERE workspace_id = ?",
        "DELETE FROM requirement WHERE workspace_id = ?",
        "DELETE FROM job WHERE workspace_id = ?",
        "DELETE FROM indexing_error WHERE workspace_id = ?",
        "DELETE FROM workspace WHERE id = ?",
    ):
        connection.execute(statement, (workspace_id,))
    return [row[0] for row in failed]
