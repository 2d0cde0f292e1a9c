"""Questions to a graph of a million symbols: in process, and from the command line."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from resource import RUSAGE_CHILDREN, getrusage

from tests.running import ENRICHD

from bench.figures import Figure, Task
from bench.pairs import percentile
from bench.synthetic import kept, name_of, uid_of
from enrichd.clock import SystemClock
from enrichd.query import edges, symbols
from enrichd.query.answers import Circumstances
from enrichd.query.explain import explain
from enrichd.query.select import select
from enrichd.query.status import build
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.reading import reading

SIZE = 1_000_000
_QUESTIONS = 100
_COMMANDS = 7
_MOST_USES = 200
"""A symbol with more is not of ordinary degree."""
_BUDGET_MS = 20.0
_STATUS_BUDGET_MS = 150.0


def measure(task: Task) -> list[Figure]:
    """Milliseconds for symbols of ordinary degree."""
    graph = kept(SIZE, task.say)
    task.say("query")
    given = Circumstances(now=SystemClock().time())
    with reading(graph.database) as reader:
        chosen = _ordinary(reader, graph.symbols)
        rows: list[tuple[str, Callable[[int], object], int]] = [
            ("callers", lambda n: edges.callers(reader, select(reader, uid_of(n)), given), 0),
            ("callees", lambda n: edges.callees(reader, select(reader, uid_of(n)), given), 0),
            ("explain", lambda n: explain(reader, select(reader, uid_of(n)), given), 0),
            ("symbols NAME", lambda n: symbols.symbols(reader, name_of(n), given), 10),
            ("symbols 'PART*'", lambda n: symbols.symbols(reader, f"{name_of(n)}*", given), 10),
            ("status", lambda _: build(reader, daemon=None, servers=(), now=given.now), 10),
        ]
        figures = [
            _asked(question, ask, chosen[: few or task.rounds(_QUESTIONS)])
            for question, ask, few in rows
        ]
    figures.append(_command("start-up, enrichd --version", ["--version"], None, task))
    for size in (10_000, SIZE):
        database = kept(size, task.say).database
        what = f"enrichd status, {size:,} symbols"
        figures.append(_command(what, ["status", "--db", database], _STATUS_BUDGET_MS, task))
    return figures


def _ordinary(reader: Reader, count: int) -> list[int]:
    """Numbers of symbols that something points at, but not everything."""
    chance = Random(1)
    found: list[int] = []
    while len(found) < _QUESTIONS:
        number = chance.randrange(count // 10)
        stored = reader.symbol_by_uid(uid_of(number))
        uses = reader.edges_to([stored[0].id], ["calls", "references", "instantiates"])
        if 0 < len(uses) <= _MOST_USES:
            found.append(number)
    return found


def _asked(question: str, ask: Callable[[int], object], numbers: list[int]) -> Figure:
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
        budget=_BUDGET_MS,
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
