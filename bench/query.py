"""Questions to a graph of a million symbols: in process, and from the command line."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random
from resource import RUSAGE_CHILDREN, getrusage
from typing import TypeVar

from tests.running import ENRICHD

from bench.figures import Figure, Task
from bench.pairs import percentile
from bench.synthetic import MAIN, Synthetic, kept, name_of, uid_of
from enrichd.clock import FakeClock, SystemClock
from enrichd.query import edges, symbols
from enrichd.query.answers import Circumstances, Unindexed
from enrichd.query.explain import explain
from enrichd.query.select import select
from enrichd.query.status import build
from enrichd.watch.vigil import LINGER_S, Vigil
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.reading import reading

T = TypeVar("T")

SIZE = 1_000_000
_QUESTIONS = 100
_FEW = 10
_COMMANDS = 7
_MOST_USES = 200
_MOST_MENTIONS = 1_000
"""A symbol with more, or whose name more symbols mention, is not of ordinary degree."""
_BUDGET_MS = 20.0
_STATUS_BUDGET_MS = 150.0

Ask = Callable[[int], object]


def measure(task: Task) -> list[Figure]:
    """Milliseconds for symbols of ordinary degree."""
    graph = kept(SIZE, task.say)
    task.say("query")
    with reading(graph.database) as reader:
        figures = asyncio.run(_in_process(graph, reader, task))
    figures.append(_command("start-up, enrichd --version", ["--version"], None, task))
    for size in (10_000, SIZE):
        database = kept(size, task.say).database
        what = f"enrichd status, {size:,} symbols"
        figures.append(_command(what, ["status", "--db", database], _STATUS_BUDGET_MS, task))
    return figures


async def _in_process(graph: Synthetic, reader: Reader, task: Task) -> list[Figure]:
    ordinary, common = _chosen(reader, graph)
    many, few = ordinary[: task.rounds(_QUESTIONS)], ordinary[:_FEW]
    alone = Circumstances(now=SystemClock().time())
    (workspace,) = [each for each in reader.workspaces() if each.name == MAIN]
    async with _vouched(graph.database, workspace) as vigil:

        def given() -> Circumstances:
            # What the daemon does for each question.
            found = Unindexed(suspects=vigil.suspects())
            settled = Unindexed(suspects=[])
            return Circumstances(
                now=alone.now, unindexed=lambda each: found if each == workspace.id else settled
            )

        def callers(n: int) -> object:
            return edges.callers(reader, select(reader, uid_of(n)), given())

        rows: list[tuple[str, Ask, list[int], float | None]] = [
            ("callers", callers, many, _BUDGET_MS),
            ("callees", lambda n: edges.callees(reader, select(reader, uid_of(n)), given()), many,
             _BUDGET_MS),
            ("explain", lambda n: explain(reader, select(reader, uid_of(n)), given()), many,
             _BUDGET_MS),
            ("callers, a common name", callers, common, None),
            ("callers, no daemon",
             lambda n: edges.callers(reader, select(reader, uid_of(n)), alone), few, None),
            ("symbols NAME", lambda n: symbols.symbols(reader, name_of(n), given()), few, None),
            ("symbols 'PART*'", lambda n: symbols.symbols(reader, f"{name_of(n)}*", given()), few,
             None),
            ("status", lambda _: build(reader, daemon=None, servers=(), now=alone.now), few, None),
        ]  # fmt: skip
        return [_asked(*row) for row in rows]


@asynccontextmanager
async def _vouched(database: Path, workspace: Workspace) -> AsyncIterator[Vigil]:
    """The daemon's vigil over the workspace, when it has looked at all files."""
    clock = FakeClock()
    vigil = Vigil(workspace, _Readable(database), clock)
    keeping = asyncio.create_task(vigil.run(), name="vigil")
    try:
        await asyncio.sleep(0)
        vigil.suspects()
        while clock.next_deadline() is None:  # noqa: ASYNC110 (then it has looked)
            await asyncio.sleep(0.01)
        clock.advance(LINGER_S)
        assert vigil.suspects() == []
        yield vigil
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


class _Readable:
    """The kept graph: its own store would lock it."""

    def __init__(self, database: Path) -> None:
        self._database = database

    async def read(self, question: Callable[[Reader], T]) -> T:
        with reading(self._database) as reader:
            return question(reader)


def _chosen(reader: Reader, graph: Synthetic) -> tuple[list[int], list[int]]:
    """Numbers of symbols that something points at, but not everything; some with common names."""
    chance = Random(1)
    ordinary: list[int] = []
    common: list[int] = []
    with closing(sqlite3.connect(f"file:{graph.database}?mode=ro", uri=True)) as connection:
        while len(ordinary) < _QUESTIONS or len(common) < _FEW:
            number = chance.randrange(graph.symbols // 10)
            stored = reader.symbol_by_uid(uid_of(number))
            uses = reader.edges_to([stored[0].id], ["calls", "references", "instantiates"])
            if not 0 < len(uses) <= _MOST_USES:
                continue
            (mentions,) = connection.execute(
                "SELECT count(*) FROM mention WHERE name = ?", (stored[0].name,)
            ).fetchone()
            (ordinary if mentions <= _MOST_MENTIONS else common).append(number)
    return ordinary[:_QUESTIONS], common[:_FEW]


def _asked(question: str, ask: Ask, numbers: list[int], budget_ms: float | None) -> Figure:
    ask(numbers[0])
    seconds = []
    for number in numbers:
        started = time.perf_counter()
        ask(number)
        seconds.append(time.perf_counter() - started)
    return Figure(
        "query",
        f"{question}, p99, {SIZE:,} symbols",
        percentile(seconds, 0.99) * 1e3,
        "ms",
        budget=budget_ms,
        note=f"p50 {percentile(seconds, 0.5) * 1e3:.1f} ms of {len(seconds)}, in process",
    )


def _command(what: str, arguments: list[str | Path], budget_ms: float | None, task: Task) -> Figure:
    seconds, cpu = [], []
    for _ in range(task.rounds(_COMMANDS)):
        used, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([ENRICHD, *arguments], capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
        now = getrusage(RUSAGE_CHILDREN)
        cpu.append(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    note = f"median of {len(seconds)}, {statistics.median(cpu) * 1e3:.0f} ms CPU"
    return Figure("query", what, statistics.median(seconds) * 1e3, "ms", budget_ms, note=note)
