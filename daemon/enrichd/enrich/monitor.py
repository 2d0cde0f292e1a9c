"""The monitor: every few seconds, and at once when there is news, it looks for what is due.

What is due goes from the store to the queue, never more than there is room for. What can't be
served now is not fetched, so it can't stand in the way of the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import structlog

from enrichd.clock import Clock, within
from enrichd.enrich.lane import LaneWorker
from enrichd.enrich.queue import LEASE_S, OWNER, WorkQueue
from enrichd.enrich.recorder import Recorder
from enrichd.metrics import Metrics
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Lane, ParseStatus
from enrichd_tracker.parse_results import clean_ratio
from enrichd_tracker.store.port import Reader, Store, WorkspaceCounts

_log = structlog.get_logger()


class Monitor:
    """The tick that keeps the queue filled and the gauges true."""

    def __init__(
        self,
        *,
        store: Store,
        tracker: EnrichmentTracker,
        queue: WorkQueue,
        recorder: Recorder,
        lanes: Mapping[Lane, LaneWorker],
        clock: Clock,
        metrics: Metrics,
        interval_s: float,
    ) -> None:
        self.interval_s = interval_s
        self.last_tick_at = clock.monotonic()
        """Monotonic: whether the monitor is alive."""
        self._store = store
        self._tracker = tracker
        self._queue = queue
        self._recorder = recorder
        self._lanes = lanes
        self._clock = clock
        self._metrics = metrics
        self._exhausted: set[Lane] = set()
        """Lanes of which the store had no more; believed until the next look at everything."""
        self._looked_at = clock.monotonic()
        self._news = asyncio.Event()
        self._graph_news = True
        self._gauges_for = -1  # the recorder's generation that they show
        self._gauges_at = -interval_s

    def new_work(self) -> None:
        """The graph, the servers or the failures have changed: look at once."""
        self._exhausted.clear()
        self._graph_news = True
        self._news.set()

    def given_back(self) -> None:
        """What was claimed can be claimed again: where the store had no more it may have now."""
        self._exhausted.clear()
        self._news.set()

    def hungry(self, lane: Lane) -> None:
        """The lane's queue runs low; heard only while the store may have more."""
        if lane not in self._exhausted:
            self._news.set()

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            try:
                await self.tick()
            except StoreUnavailable as error:
                _log.warning("nothing can be read", action="tick_failed", error=error.message)
            wait_s = self.interval_s
            if (deadline := self._tracker.next_deadline()) is not None:
                wait_s = min(wait_s, max(deadline - self._clock.monotonic(), 0.001))
            with suppress(TimeoutError):
                await within(self._clock, wait_s, self._news.wait())

    async def tick(self) -> int:
        """Look once; returns how many symbols were queued."""
        started = self._clock.monotonic()
        if started - self._looked_at >= self.interval_s:
            self._looked_at = started
            self._exhausted.clear()
        self._news.clear()
        # What became due is ready from now on: a deadline that is over wakes nobody again, also
        # where it can't be served yet.
        self._tracker.ready_for_retry(frozenset(), 0)
        queued = 0
        for lane, worker in list(self._lanes.items()):
            if self._is_served(lane, worker):
                queued += await self._fill(lane, worker)
        await self._update_gauges()
        ended = self._clock.monotonic()
        self.last_tick_at = ended
        self._metrics.last_tick.set(self._clock.time())
        self._metrics.tick_duration.observe(ended - started)
        return queued

    def _is_served(self, lane: Lane, worker: LaneWorker) -> bool:
        return self._lanes.get(lane) is worker and worker.supervisor.servable and not worker.paused

    async def _fill(self, lane: Lane, worker: LaneWorker) -> int:
        room = self._queue.room(lane)
        if room == 0:
            return 0
        # those in flight stay ready until their attempt is recorded, and stand before the others
        due = self._tracker.ready_for_retry({lane}, room + self._queue.known)
        due = [each for each in due if each not in self._queue][:room]
        works = []
        if due:
            works = await self._store.claim_again(due, owner=OWNER, lease_s=LEASE_S)
        if lane not in self._exhausted and (left := room - len(works)):
            fresh = await self._store.claim(lane, left, owner=OWNER, lease_s=LEASE_S)
            if len(fresh) < left:
                self._exhausted.add(lane)
            works += fresh
        if self._lanes.get(lane) is not worker:  # it was removed meanwhile
            self._recorder.released(works)
            return 0
        if works:
            self._queue.put(lane, works)
            worker.wake()
        return len(works)

    async def _update_gauges(self) -> None:
        """Count anew when something was written, but not more often than the interval."""
        if self._clock.monotonic() - self._gauges_at >= self.interval_s:
            await self.refresh_gauges()

    async def refresh_gauges(self) -> None:
        """Make the gauges true; no query where nothing was written since the last time."""
        self._metrics.queue_depth.set(self._queue.depth)
        if not self._graph_news and self._recorder.generation == self._gauges_for:
            return
        self._graph_news = False
        self._gauges_for = self._recorder.generation
        self._gauges_at = self._clock.monotonic()
        counts = await self._store.read(_all_counts)
        metrics = self._metrics
        metrics.symbols.set(sum(each.symbols for each in counts))
        metrics.orphans.set(sum(each.orphans for each in counts))
        metrics.backing_off.set(sum(each.backing_off for each in counts))
        metrics.skipped.set(sum(each.skipped for each in counts))
        files = {each: sum(one.parse[each] for one in counts) for each in ParseStatus}
        for status, number in files.items():
            metrics.parse_files.labels(status).set(number)
        parsed = [files[each] for each in (ParseStatus.OK, ParseStatus.PARTIAL, ParseStatus.ERROR)]
        ratio = clean_ratio(*parsed)
        metrics.parse_clean_ratio.set(1.0 if ratio is None else ratio)


def _all_counts(reader: Reader) -> list[WorkspaceCounts]:
    return [reader.counts(workspace.id) for workspace in reader.workspaces()]
