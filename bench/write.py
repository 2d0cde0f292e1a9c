"""Edges stored a second through the store, against executemany on a table without a care."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bench import synthetic
from bench.figures import Figure, Task
from bench.pairs import in_turn
from enrichd.clock import SystemClock
from enrichd_tracker.store.sqlite import SqliteStore

_FILES = 2_000
_PAIRS = 3
_TABLE = """CREATE TABLE edge (source INTEGER, operation TEXT, target INTEGER, relation TEXT,
    line INTEGER, "column" INTEGER, origin_id INTEGER, by_syntax INTEGER, unparsed INTEGER,
    at REAL, reason TEXT)"""


def measure(task: Task) -> list[Figure]:
    """The same rows in the same batches, each one transaction."""
    task.say("write")
    edges = sum(
        len(outcome.edges) for batch in synthetic.batches(_FILES) for outcome in batch.outcomes
    )
    found = in_turn(task.rounds(_PAIRS), lambda: asyncio.run(_store()), _bare)
    return [
        Figure("write", "edges stored a second", edges / found.our_s, "/s"),
        Figure(
            "write",
            "committing outcomes / executemany on a bare table",
            found.ratio,
            note=f"{edges:,} edges, {edges / found.their_s:,.0f}/s bare, {found.spread}",
        ),
    ]


async def _store() -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteStore.open(Path(folder) / "graph.db", SystemClock())
        try:
            await synthetic.fill(store, "write", Path(folder) / "root", _FILES)
            batches = list(synthetic.batches(_FILES))
            started = time.perf_counter()
            for batch in batches:
                await store.commit(batch)
            return time.perf_counter() - started
        finally:
            await store.close()


def _bare() -> float:
    rows = [
        [
            (
                outcome.symbol_id,
                outcome.operation,
                edge.target,
                edge.relation,
                edge.line,
                edge.column,
                1,
                0,
                0,
                0.0,
                "",
            )
            for outcome in batch.outcomes
            for edge in outcome.edges
        ]
        for batch in synthetic.batches(_FILES)
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
        started = time.perf_counter()
        for batch_of_rows in rows:
            connection.execute("BEGIN")
            connection.executemany(
                f"INSERT INTO edge VALUES ({', '.join('?' * 11)})", batch_of_rows
            )
            connection.execute("COMMIT")
        return time.perf_counter() - started
