"""What symbols mean, as vectors, and the full text of their words; written by the stage alone.

Both go with their symbols: a vector by its foreign key, its words by a trigger of the schema.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator

from enrichd_tracker.model import NEEDED_OPERATIONS, ErrorType, KnownFile, ParseStatus
from enrichd_tracker.store import indexing_errors
from enrichd_tracker.store.port_embeddings import (
    EmbeddedFile,
    EmbeddingCounts,
    EmbeddingModel,
    EmbeddingRun,
    Extent,
    Vectors,
)
from enrichd_tracker.store.rows import FILE, file_of
from enrichd_tracker.store.slices import select_in

_PAGE = 4096
_KEPT_RUNS = 20
_NAME_WEIGHT, _SAID_WEIGHT, _BODY_WEIGHT = 8.0, 3.0, 1.0
_WITH_A_BODY = ", ".join(
    f"'{kind}'" for kind, operations in NEEDED_OPERATIONS.items() if operations
)

_EMBEDDING = """
    INSERT INTO embedding (symbol_id, model_id, digest, text, vector)
    SELECT id, ?, digest, ?, ? FROM symbol WHERE id = ? AND file_id = ?
    ON CONFLICT DO UPDATE SET model_id = excluded.model_id, digest = excluded.digest,
        text = excluded.text, vector = excluded.vector"""


def store(
    connection: sqlite3.Connection,
    workspace_id: int,
    model: EmbeddingModel,
    files: Iterable[EmbeddedFile],
    form: int,
) -> int:
    """Write vectors and words; returns how many, without those of files that have changed."""
    model_id = _model_id(connection, model)
    stored = 0
    for done in files:
        file = done.file
        same = connection.execute(
            "SELECT 1 FROM file WHERE id = ? AND workspace_id = ? AND path = ? AND digest = ?",
            (file.id, workspace_id, file.path, file.digest),
        ).fetchone()
        if same is None:
            continue
        for each in done.symbols:
            row = (model_id, each.text, each.vector, each.symbol_id, file.id)
            if not connection.execute(_EMBEDDING, row).rowcount:
                continue
            stored += 1
            connection.execute(
                "INSERT OR REPLACE INTO symbol_words (rowid, name, said, body) VALUES (?, ?, ?, ?)",
                (each.symbol_id, each.name, each.said, each.body),
            )
        if done.whole:
            _finish(connection, file, model_id, form)
    return stored


def _model_id(connection: sqlite3.Connection, model: EmbeddingModel) -> int:
    row = connection.execute(
        """INSERT INTO embedding_model (name, version, dimensions) VALUES (?, ?, ?)
           ON CONFLICT (version) DO UPDATE SET name = excluded.name RETURNING id""",
        (model.name, model.version, model.dimensions),
    ).fetchone()
    return int(row[0])


def _finish(connection: sqlite3.Connection, file: KnownFile, model_id: int, form: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO embedded_file (file_id, model_id, form, path, digest) "
        "VALUES (?, ?, ?, ?, ?)",
        (file.id, model_id, form, file.path, file.digest),
    )
    # What was changed without changing its text is what its vector says, all the same.
    connection.execute(
        """UPDATE embedding SET digest = symbol.digest FROM symbol
           WHERE symbol.id = embedding.symbol_id AND symbol.file_id = ? AND model_id = ?
               AND embedding.digest <> symbol.digest""",
        (file.id, model_id),
    )


def resolve(connection: sqlite3.Connection, workspace_id: int, path: str) -> None:
    """The file's symbols could all be embedded: what went wrong with that is over."""
    indexing_errors.resolve(connection, workspace_id, path, ErrorType.EMBEDDING)


def note_run(connection: sqlite3.Connection, run: EmbeddingRun) -> None:
    """Remember how a pass went, and forget the oldest."""
    connection.execute(
        "INSERT INTO embedding_run (workspace_id, at, embedded, seconds) VALUES (?, ?, ?, ?)",
        (run.workspace_id, run.at, run.embedded, run.seconds),
    )
    connection.execute(
        """DELETE FROM embedding_run WHERE workspace_id = ?1 AND id NOT IN (
               SELECT id FROM embedding_run WHERE workspace_id = ?1 ORDER BY id DESC LIMIT ?2)""",
        (run.workspace_id, _KEPT_RUNS),
    )


class SqliteEmbeddingsReader:
    """The questions, answered from one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def models(self) -> list[EmbeddingModel]:
        rows = self._connection.execute(
            """SELECT name, version, dimensions FROM embedding_model
               JOIN (SELECT model_id, count(*) AS n FROM embedding GROUP BY model_id)
                   ON model_id = embedding_model.id
               ORDER BY n DESC, id DESC"""
        )
        return [EmbeddingModel(*row) for row in rows]

    def _model_id(self, version: str) -> int:
        row = self._connection.execute(
            "SELECT id FROM embedding_model WHERE version = ?", (version,)
        ).fetchone()
        return int(row[0]) if row else 0

    def files(self, workspace_id: int, version: str, form: int) -> list[KnownFile]:
        rows = self._connection.execute(
            f"""{FILE} LEFT JOIN embedded_file done ON done.file_id = file.id
                    AND done.model_id = ? AND done.form = ? AND done.path = file.path
                    AND done.digest = file.digest
                WHERE file.workspace_id = ? AND done.file_id IS NULL AND parse_result.status <> ?
                ORDER BY file.path""",
            (self._model_id(version), form, workspace_id, ParseStatus.ERROR),
        )
        return [file_of(row) for row in rows]

    def extents(self, file_id: int, version: str) -> list[Extent]:
        rows = self._connection.execute(
            """SELECT id, parent_id, kind, name, qualified_name, start_line, start_column,
                   end_line, end_column, text, embedding.digest IS NOT symbol.digest
               FROM symbol LEFT JOIN embedding ON symbol_id = id AND model_id = ?
               WHERE file_id = ? ORDER BY start_line, start_column, id""",
            (self._model_id(version), file_id),
        )
        return [
            Extent(
                symbol_id=row[0],
                parent_id=row[1],
                kind=row[2],
                name=row[3],
                qualified_name=row[4],
                start=row[5:7],
                end=row[7:9],
                text=row[9],
                stale=bool(row[10]),
            )
            for row in rows
        ]

    def known(self, version: str, texts: Iterable[bytes]) -> dict[bytes, bytes]:
        query = f"""SELECT text, vector FROM embedding
            WHERE model_id = {self._model_id(version)} AND"""
        return dict(select_in(self._connection, query, set(texts), "text"))

    def counts(self, workspace_id: int | None, version: str) -> EmbeddingCounts:
        row = self._connection.execute(
            f"""SELECT count(*), count(embedding.symbol_id)
                FROM symbol LEFT JOIN embedding ON embedding.symbol_id = symbol.id
                    AND embedding.model_id = ? AND embedding.digest = symbol.digest
                WHERE symbol.file_id IS NOT NULL AND symbol.kind IN ({_WITH_A_BODY})
                    AND symbol.workspace_id = coalesce(?, symbol.workspace_id)""",
            (self._model_id(version), workspace_id),
        ).fetchone()
        return EmbeddingCounts(*row)

    def runs(self, workspace_id: int | None, limit: int = 10) -> list[EmbeddingRun]:
        rows = self._connection.execute(
            """SELECT workspace_id, at, embedded, seconds FROM embedding_run
               WHERE workspace_id = coalesce(?, workspace_id) ORDER BY id DESC LIMIT ?""",
            (workspace_id, limit),
        )
        return [EmbeddingRun(*row) for row in rows]

    def vectors(
        self, version: str, workspace_id: int | None, kind: str | None
    ) -> Iterator[Vectors]:
        rows = self._connection.execute(
            """SELECT symbol_id, vector FROM embedding JOIN symbol ON symbol.id = symbol_id
               WHERE model_id = ? AND workspace_id = coalesce(?, workspace_id)
                   AND kind = coalesce(?, kind)""",
            (self._model_id(version), workspace_id, kind),
        )
        while page := rows.fetchmany(_PAGE):
            ids, vectors = zip(*page, strict=True)
            yield Vectors(list(ids), b"".join(vectors))

    def has_words(self, workspace_id: int | None) -> bool:
        row = self._connection.execute(
            """SELECT 1 FROM embedding JOIN symbol ON symbol.id = symbol_id
               WHERE workspace_id = coalesce(?, workspace_id) LIMIT 1""",
            (workspace_id,),
        ).fetchone()
        return row is not None

    def with_words(
        self, words: Iterable[str], workspace_id: int | None, kind: str | None, limit: int
    ) -> list[tuple[int, float]]:
        wanted = " OR ".join(f'"{word}"' for word in words if re.fullmatch(r"\w+", word))
        if not wanted:
            return []
        rows = self._connection.execute(
            """SELECT symbol.id, -bm25(symbol_words, ?, ?, ?) AS score
               FROM symbol_words JOIN symbol ON symbol.id = symbol_words.rowid
               WHERE symbol_words MATCH ? AND workspace_id = coalesce(?, workspace_id)
                   AND kind = coalesce(?, kind)
               ORDER BY score DESC, symbol.id LIMIT ?""",
            (_NAME_WEIGHT, _SAID_WEIGHT, _BODY_WEIGHT, wanted, workspace_id, kind, limit),
        )
        return rows.fetchall()

    def named_with(
        self, words: Iterable[str], workspace_id: int | None, kind: str | None
    ) -> list[tuple[int, str]]:
        parts = [f"*{word}*" for word in words if re.fullmatch(r"\w+", word)]
        if not parts:
            return []
        either = " OR ".join("lower(qualified_name) GLOB ?" for _ in parts)
        return self._connection.execute(
            f"""SELECT id, qualified_name FROM symbol
                WHERE file_id IS NOT NULL AND kind IN ({_WITH_A_BODY}) AND ({either})
                    AND workspace_id = coalesce(?, workspace_id) AND kind = coalesce(?, kind)""",
            (*parts, workspace_id, kind),
        ).fetchall()
