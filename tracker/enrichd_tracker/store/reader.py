"""What can be asked of the graph: read-only questions, on any connection.

A Reader belongs to the thread of its connection. No question here scans what it does not return,
but for `verify` and the export, which are asked for by a person.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import (
    Canary,
    FileStat,
    KnownFile,
    Lane,
    Outcome,
    ParseStatus,
    Work,
    Workspace,
)
from enrichd_tracker.store import drift, failures, mentions, named, parse_results, unused, verify
from enrichd_tracker.store.embeddings import SqliteEmbeddingsReader
from enrichd_tracker.store.port import (
    Difference,
    FileDefinitions,
    Mentions,
    Requirement,
    StoredEdge,
    StoredSymbol,
    WorkspaceCounts,
)
from enrichd_tracker.store.rows import EDGE, FILE, SYMBOL, edge_of, file_of, symbol_of
from enrichd_tracker.store.runs_reader import SqliteRunsReader
from enrichd_tracker.store.slices import padded

_positions = msgspec.msgpack.Decoder(list[tuple[int, int]])
_canary = msgspec.msgpack.Decoder(Canary)


class SqliteReader:
    """The questions, answered from one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.runs = SqliteRunsReader(connection)
        self.embeddings = SqliteEmbeddingsReader(connection)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # What is indexed.

    def workspaces(self) -> list[Workspace]:
        rows = self._connection.execute("SELECT id, name, root FROM workspace ORDER BY name")
        return [Workspace(*row) for row in rows]

    def indexed_at(self, workspace_id: int) -> float | None:
        """When the last run that went through ended; None: the first one has not."""
        row = self._connection.execute(
            "SELECT indexed_at FROM workspace WHERE id = ?", (workspace_id,)
        ).fetchone()
        return row[0] if row else None

    def files(self, workspace_id: int) -> dict[str, KnownFile]:
        rows = self._connection.execute(f"{FILE} WHERE file.workspace_id = ?", (workspace_id,))
        return {row[1]: file_of(row) for row in rows}

    def file(self, workspace_id: int, path: str) -> KnownFile | None:
        row = self._connection.execute(
            f"{FILE} WHERE file.workspace_id = ? AND file.path = ?", (workspace_id, path)
        ).fetchone()
        return file_of(row) if row else None

    def languages(self, workspace_id: int) -> dict[str, int]:
        """Files by language."""
        rows = self._connection.execute(
            "SELECT language, files FROM language_count WHERE workspace_id = ? AND files > 0",
            (workspace_id,),
        )
        return dict(rows.fetchall())

    # What workers need to ask servers and to understand their answers.

    def names(self, workspace_id: int) -> set[str]:
        """Every name that a symbol of the workspace bears."""
        rows = self._connection.execute(
            "SELECT DISTINCT name FROM symbol WHERE workspace_id = ? AND file_id IS NOT NULL",
            (workspace_id,),
        )
        return {row[0] for row in rows}

    def definitions(self, workspace_id: int, path: str) -> FileDefinitions | None:
        file = self._connection.execute(
            "SELECT id, size, mtime_ns, inode, is_ascii, import_sites FROM file "
            "WHERE workspace_id = ? AND path = ?",
            (workspace_id, path),
        ).fetchone()
        if file is None:
            return None
        definitions = FileDefinitions(
            stat=FileStat(*file[1:4]),
            ascii=bool(file[4]),
            import_sites=set(_positions.decode(file[5])) if file[5] else set(),
        )
        rows = self._connection.execute(
            'SELECT id, line, "column", bindings, kind, name, overload, qualified_name, uid '
            "FROM symbol WHERE file_id = ?",
            (file[0],),
        )
        for symbol_id, line, column, bindings, kind, name, overload, qualified_name, uid in rows:
            definitions.add(
                symbol_id,
                [(line, column), *(_positions.decode(bindings) if bindings else ())],
                kind=kind,
                name=name,
                overload=bool(overload),
                qualified_name=qualified_name,
                descriptors=uid[len(path) + 1 :],
            )
        return definitions

    def canary(self, lane: Lane) -> Canary | None:
        """A question of the lane whose answer is known."""
        row = self._connection.execute(
            """SELECT canary FROM file WHERE workspace_id = ? AND language = ?
                   AND canary IS NOT NULL ORDER BY path LIMIT 1""",
            (lane.workspace_id, lane.language),
        ).fetchone()
        return _canary.decode(row[0]) if row else None

    def file_with_symbols(self, lane: Lane) -> str | None:
        """A file of the lane in which a server should see symbols, or None."""
        row = self._connection.execute(
            """SELECT path FROM file WHERE workspace_id = ? AND language = ?
                   AND EXISTS (SELECT 1 FROM symbol WHERE symbol.file_id = file.id
                               AND symbol.kind IN ('class', 'function')) ORDER BY path LIMIT 1""",
            (lane.workspace_id, lane.language),
        ).fetchone()
        return row[0] if row else None

    def requirements(self) -> list[Requirement]:
        rows = self._connection.execute(
            "SELECT workspace_id, language, server, version, operations FROM requirement"
        )
        return [Requirement(Lane(row[0], row[1]), *row[2:]) for row in rows]

    # Symbols and edges.

    def symbol(self, symbol_id: int) -> StoredSymbol | None:
        return next(self._symbols("WHERE symbol.id = ?", symbol_id), None)

    def symbol_by_uid(self, uid: str, workspace_id: int | None = None) -> list[StoredSymbol]:
        """At most one a workspace."""
        return list(
            self._symbols(
                """WHERE symbol.uid = ? AND symbol.workspace_id IN
                       (SELECT id FROM workspace WHERE id = coalesce(?, id))""",
                uid,
                workspace_id,
            )
        )

    def symbols_named(self, name: str, workspace_id: int | None = None) -> list[StoredSymbol]:
        """The workspace's symbols whose own name this is."""
        return named.exactly(self._connection, name, workspace_id)

    def symbols_like(
        self, glob: str, workspace_id: int | None = None, limit: int = -1
    ) -> list[StoredSymbol]:
        """Symbols whose name or qualified name matches the glob (``*``, ``?``, ``[...]``)."""
        return named.like(self._connection, glob, workspace_id, limit)

    def symbols_in(self, workspace_id: int, path: str) -> list[StoredSymbol]:
        """A file's symbols in the order of their extents, outer ones first."""
        return list(
            self._symbols(
                """WHERE file.workspace_id = ? AND file.path = ?
                   ORDER BY symbol.start_line, symbol.start_column, symbol.parent_id IS NOT NULL,
                       symbol.id""",
                workspace_id,
                path,
            )
        )

    def _symbols(self, condition: str, *values: object) -> Iterator[StoredSymbol]:
        for row in self._connection.execute(f"{SYMBOL} {condition}", values):
            yield symbol_of(row)

    def edges_to(self, symbol_ids: Iterable[int], relations: Iterable[str]) -> list[StoredEdge]:
        """The edges of these relations that point at one of the symbols."""
        return self._edges("target", symbol_ids, relations)

    def edges_from(self, symbol_ids: Iterable[int], relations: Iterable[str]) -> list[StoredEdge]:
        """The edges of these relations that start at one of the symbols."""
        return self._edges("source", symbol_ids, relations)

    def _edges(
        self, end: str, symbol_ids: Iterable[int], relations: Iterable[str]
    ) -> list[StoredEdge]:
        marks, ids = padded(list(symbol_ids))
        kind_marks, kinds = padded(list(relations))
        rows = self._connection.execute(
            f"""{EDGE} WHERE edge.{end} IN ({marks}) AND edge.relation IN ({kind_marks})
                ORDER BY source_file.path, edge.line, edge."column", target.uid""",
            (*ids, *kinds),
        )
        return [edge_of(row) for row in rows]

    def outcomes_of(self, symbol_id: int) -> list[StoredEdge]:
        """All edges that start at a symbol, those to the sentinels too."""
        rows = self._connection.execute(
            f'{EDGE} WHERE edge.source = ? ORDER BY edge.operation, edge.line, edge."column"',
            (symbol_id,),
        )
        return [edge_of(row) for row in rows]

    def every_edge(self, workspace_id: int | None = None) -> Iterator[StoredEdge]:
        """All edges between symbols, in no order; without the sentinels' and `contains`."""
        rows = self._connection.execute(
            f"{EDGE} WHERE edge.relation <> '' "
            "AND source.workspace_id = coalesce(?, source.workspace_id)",
            (workspace_id,),
        )
        return map(edge_of, rows)

    def edges_in(self, workspace_id: int, path: str) -> list[StoredEdge]:
        """The edges between symbols that start in a file, in no order; without `contains`."""
        rows = self._connection.execute(
            f"{EDGE} WHERE source_file.workspace_id = ? AND source_file.path = ? "
            "AND edge.relation <> ''",
            (workspace_id, path),
        )
        return [edge_of(row) for row in rows]

    def every_child(self, workspace_id: int | None = None) -> Iterator[tuple[int, StoredSymbol]]:
        """(parent, child) for every symbol that another contains."""
        rows = self._symbols(
            "WHERE symbol.parent_id IS NOT NULL "
            "AND symbol.workspace_id = coalesce(?, symbol.workspace_id)",
            workspace_id,
        )
        return ((child.parent_id or 0, child) for child in rows)

    # Who might still say something about a symbol.

    def mentions(self, names: Iterable[str], workspace_id: int) -> Mentions:
        """What is known of the symbols that mention one of the names, under any alias."""
        return mentions.of(self._connection, names, workspace_id)

    def unused(self, workspace_id: int, limit: int, offset: int) -> list[StoredSymbol]:
        return unused.find(self._connection, workspace_id, limit, offset)

    def unparsed_files(self, workspace_id: int) -> list[tuple[str, ParseStatus]]:
        """The files that could not be read whole: a mention there may be unseen."""
        # The first condition is that of the partial index, or SQLite would not see that it serves.
        rows = self._connection.execute(
            """SELECT path, status
               FROM parse_result CROSS JOIN file ON file.id = parse_result.file_id
               WHERE status <> 'ok' AND status IN ('partial', 'error')
                   AND file.workspace_id = ? ORDER BY path""",
            (workspace_id,),
        )
        return [(row[0], ParseStatus(row[1])) for row in rows]

    def file_stats(self, workspace_id: int) -> list[tuple[str, FileStat]]:
        """Every file and what tells whether it is still the one that was read."""
        rows = self._connection.execute(
            "SELECT path, size, mtime_ns, inode FROM file WHERE workspace_id = ?", (workspace_id,)
        )
        return [(row[0], FileStat(*row[1:])) for row in rows]

    # What went wrong, how much there is.

    def failures(
        self,
        workspace_id: int | None = None,
        *,
        skipped: bool | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[FailureRecord]:
        return failures.recall(
            self._connection, workspace_id=workspace_id, skipped=skipped, limit=limit, offset=offset
        )

    def failure(self, symbol_id: int) -> FailureRecord | None:
        return failures.recall_one(self._connection, symbol_id)

    def counts(self, workspace_id: int) -> WorkspaceCounts:
        """The numbers of `enrichd status`; no count here visits more rows than it must."""
        one = self._one
        files, symbols, modules = self._connection.execute(
            "SELECT coalesce(sum(files), 0), coalesce(sum(symbols), 0), coalesce(sum(modules), 0) "
            "FROM language_count WHERE workspace_id = ?",
            (workspace_id,),
        ).fetchone()
        fresh = one(
            "SELECT count(*) FROM symbol WHERE workspace_id = ? AND file_id IS NOT NULL "
            "AND pending <> 0 AND failed = 0",
            workspace_id,
        )
        # Without being told, SQLite goes through the workspace's symbols to find those that failed.
        backing_off, skipped = self._connection.execute(
            "SELECT count(next_retry_at), count(*) - count(next_retry_at) "
            "FROM failure CROSS JOIN symbol ON symbol.id = failure.symbol_id "
            "WHERE symbol.workspace_id = ?",
            (workspace_id,),
        ).fetchone()
        tally = dict(
            self._connection.execute(
                "SELECT what, n FROM tally WHERE workspace_id = ?", (workspace_id,)
            ).fetchall()
        )
        contained = symbols - modules  # all but the modules themselves
        return WorkspaceCounts(
            files=files,
            symbols=symbols,
            orphans=fresh + backing_off,
            backing_off=backing_off,
            skipped=skipped,
            edges={k: n for k, n in sorted(tally.items()) if ":" not in k and n}
            | ({"contains": contained} if contained else {}),
            outcomes={kind: tally.get(f"outcome:{kind}", 0) for kind in ("edges", "none", "error")},
            parse=parse_results.count(self._connection, workspace_id),
            indexed_at=self._connection.execute(
                "SELECT indexed_at FROM workspace WHERE id = ?", (workspace_id,)
            ).fetchone()[0],
        )

    def orphans_by_language(self, workspace_id: int, *, retries: bool = True) -> dict[str, int]:
        """Symbols that lack an outcome; without ``retries`` not those that are backing off."""
        rows = self._connection.execute(
            """SELECT language, sum(n) FROM (
                 SELECT language, count(*) AS n FROM symbol
                 WHERE workspace_id = :id AND pending <> 0 AND failed = 0 GROUP BY language
                 UNION ALL
                 SELECT symbol.language, count(*)
                 FROM failure CROSS JOIN symbol ON symbol.id = failure.symbol_id
                 WHERE :retries AND symbol.workspace_id = :id
                   AND failure.next_retry_at IS NOT NULL
                 GROUP BY symbol.language
               ) GROUP BY language""",
            {"id": workspace_id, "retries": retries},
        )
        return dict(rows.fetchall())

    def verify(self) -> list[str]:
        """What is not as it must be, one line each; empty when all is well."""
        return verify.problems(self._connection)

    # A second look at what is settled.

    def sample(self, places: Iterable[float]) -> list[Work]:
        return drift.sample(self._connection, places)

    def settled(self, symbol_ids: Iterable[int]) -> list[Work]:
        return drift.settled(self._connection, symbol_ids)

    def settled_in(self, file_id: int, limit: int) -> list[int]:
        return drift.settled_in(self._connection, file_id, limit)

    def difference(self, outcome: Outcome) -> Difference | None:
        return drift.difference(self._connection, outcome)

    def _one(self, query: str, *values: object) -> int:
        return int(self._connection.execute(query, values).fetchone()[0])
