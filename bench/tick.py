"""The monitor's tick: what it costs must hang on what is due, not on how much there is."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import cast

from bench.figures import Figure, Task
from bench.pairs import percentile
from bench.synthetic import DUE, DUE_SYMBOLS, FAILED, MAIN, Synthetic, kept
from enrichd.clock import FakeClock
from enrichd.enrich.lane import LaneWorker
from enrichd.enrich.monitor import Monitor
from enrichd.enrich.queue import WorkQueue
from enrichd.enrich.recorder import Recorder
from enrichd.metrics import Metrics
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.model import Lane, Work
from enrichd_tracker.store.sqlite import SqliteStore

SIZES = (10_000, 100_000, 1_000_000)
_INTERVAL_S = 5.0
_QUIET_TICKS = 400
_DUE_TICKS = 15


class _Supervisor:
    servable = True


class _Server:
    """What the monitor sees of a lane whose server is ready."""

    supervisor = _Supervisor()
    paused = False

    def wake(self) -> None:
        """The work stays in the queue: only the tick is measured."""


class _Bench:
    """A monitor over a store, with the lane of one of its workspaces."""

    def __init__(self, store: SqliteStore, clock: FakeClock, lane: Lane) -> None:
        self.lane = lane
        self.queue = WorkQueue(DUE_SYMBOLS)
        self.queue.open(lane)
        self.clock = clock
        self.store = store
        self.tracker = EnrichmentTracker(BackoffPolicy(), clock)
        metrics = Metrics()
        recorder = Recorder(store, self.tracker, self.queue, clock, metrics, lambda _: None)
        self.monitor = Monitor(
            store=store,
            tracker=self.tracker,
            queue=self.queue,
            recorder=recorder,
            lanes={lane: cast("LaneWorker", _Server())},
            clock=clock,
            metrics=metrics,
            interval_s=_INTERVAL_S,
        )

    async def tick(self, pause_s: float = _INTERVAL_S) -> float:
        """The seconds that a tick takes, after a pause of the monitor's own clock."""
        self.clock.advance(pause_s)
        started = time.perf_counter()
        await self.monitor.tick()
        return time.perf_counter() - started

    async def take_back(self) -> None:
        """Make what was queued due again."""
        taken = [work.symbol_id for work in self._taken()]
        for symbol_id in taken:
            self.queue.done(symbol_id)
        await self.store.release(taken)

    def _taken(self) -> Iterator[Work]:
        while (work := self.queue.take(self.lane)) is not None:
            yield work


def measure(task: Task) -> list[Figure]:
    """Milliseconds of a tick, at three sizes."""
    graphs = [kept(size, task.say) for size in SIZES]
    task.say("tick")
    return asyncio.run(_measure(graphs, task.rounds(_DUE_TICKS)))


async def _measure(graphs: list[Synthetic], rounds: int) -> list[Figure]:
    async with AsyncExitStack() as stack:
        quiet: list[_Bench] = []
        due: list[tuple[Synthetic, _Bench, str]] = []
        for graph in graphs:
            clock = FakeClock()
            store = await SqliteStore.open(graph.database, clock)
            stack.push_async_callback(store.close)
            known = await store.read(lambda reader: reader.workspaces())
            lanes = {each.name: Lane(each.id, "python") for each in known}
            quiet.append(_Bench(store, clock, lanes[MAIN]))
            due.append((graph, _Bench(store, clock, lanes[DUE]), ""))
            due.append((graph, _Bench(store, clock, lanes[FAILED]), " after a failure"))
        figures = _figures_of_nothing(await _nothing_due(quiet))
        for graph, bench, how in due:
            figures.append(await _much_due(graph, bench, how, rounds))
        for graph, bench in zip(graphs, quiet, strict=True):
            figures.append(await _news(graph, bench, rounds))
        return figures


async def _nothing_due(benches: list[_Bench]) -> list[list[float]]:
    """Seconds of the ticks of each, which take turns; the first of each counts the gauges."""
    seconds: list[list[float]] = [[] for _ in benches]
    for bench in benches:
        await bench.tick()
    for _ in range(_QUIET_TICKS):
        for bench, own in zip(benches, seconds, strict=True):
            own.append(await bench.tick())
            assert bench.queue.depth == 0
    return seconds


def _figures_of_nothing(seconds: list[list[float]]) -> list[Figure]:
    medians = [statistics.median(each) for each in seconds]
    figures = [
        Figure(
            "tick",
            f"nothing due, {size:,} symbols",
            median * 1e3,
            "ms",
            budget=2,
            note=f"p99 {percentile(own, 0.99) * 1e3:.2f} ms of {len(own)}",
        )
        for size, median, own in zip(SIZES, medians, seconds, strict=True)
    ]
    what = f"nothing due, {SIZES[-1]:,} / {SIZES[0]:,} symbols"
    return [*figures, Figure("tick", what, medians[-1] / medians[0], budget=1.5)]


async def _much_due(graph: Synthetic, bench: _Bench, how: str, rounds: int) -> Figure:
    """Seconds until a thousand are queued. Of those that failed a tick takes a part at a time."""
    failures = await bench.store.read(lambda reader: reader.failures(bench.lane.workspace_id))
    seconds = []
    ticks = 0
    for _ in range(rounds + 1):
        bench.tracker.restore(failures)
        total_s, queued, ticks = await bench.tick(), bench.queue.depth, 1
        while queued < DUE_SYMBOLS:
            total_s += await bench.tick(pause_s=0.0)
            assert bench.queue.depth > queued
            queued, ticks = bench.queue.depth, ticks + 1
        seconds.append(total_s)
        await bench.take_back()
    seconds = seconds[1:]  # the first counts the gauges
    return Figure(
        "tick",
        f"{DUE_SYMBOLS:,} due{how}, {graph.symbols:,} symbols",
        statistics.median(seconds) * 1e3,
        "ms",
        budget=20,
        note=f"at most {max(seconds) * 1e3:.1f} ms of {rounds}"
        + (f", in {ticks} ticks" if ticks > 1 else ""),
    )


async def _news(graph: Synthetic, bench: _Bench, rounds: int) -> Figure:
    """A tick after something was written: the gauges are counted anew."""
    seconds = []
    for _ in range(min(rounds, 5)):
        bench.monitor.new_work()
        seconds.append(await bench.tick())
    what = f"after news, gauges counted anew, {graph.symbols:,} symbols"
    return Figure("tick", what, statistics.median(seconds) * 1e3, "ms")
