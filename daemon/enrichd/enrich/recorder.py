"""Writes what the workers find out, as many results to a transaction as come together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import structlog

from enrichd.clock import Clock, within
from enrichd.enrich.charging import Judgement, Verdict
from enrichd.enrich.queue import WorkQueue
from enrichd.metrics import Metrics
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import (
    ErrorType,
    Operation,
    Origin,
    Outcome,
    OutcomeKind,
    ResolvedEdge,
    Work,
)
from enrichd_tracker.store.port import Batch, Charge, Store

T = TypeVar("T")

_BATCH_SYMBOLS = 500
_ENOUGH_SYMBOLS = 100
_WAIT_FOR_COMPANY_S = 0.05
"""A transaction costs as much as the rows of some ten symbols."""
_MOST_WAITING = 5_000
_TRY_AGAIN_S = 1.0

_log = structlog.get_logger()


class Recorder:
    """Between the workers and the store. What it was given is written, whatever the disk does."""

    def __init__(
        self,
        store: Store,
        tracker: EnrichmentTracker,
        queue: WorkQueue,
        clock: Clock,
        metrics: Metrics,
        on_commit: Callable[[bool], None],
    ) -> None:
        """``on_commit``: something was written; True: and symbols can be claimed at once."""
        self._store = store
        self._tracker = tracker
        self._queue = queue
        self._clock = clock
        self._metrics = metrics
        self._on_commit = on_commit
        self._outcomes: list[Outcome] = []
        self._charges: list[Charge] = []
        self._cleared: list[int] = []
        self._released: list[int] = []
        self._again = False  # some of these are to be claimed at once
        self._work = asyncio.Event()
        self._hurried = asyncio.Event()
        self._lock = asyncio.Lock()  # one batch at a time is written
        self._writing = 0
        self.problem = ""
        """Why nothing can be written just now; empty when all is well."""
        self.generation = 0
        """Counts the transactions, so that others can tell whether anything changed."""

    @property
    def waiting(self) -> int:
        """How many results are not on disk yet."""
        return len(self._outcomes) + len(self._charges) + len(self._released) + self._writing

    @property
    def has_room(self) -> bool:
        """Whether workers may go on finding out."""
        return self.waiting < _MOST_WAITING

    def has_failed(self, symbol_id: int) -> bool:
        """Whether the symbol's last attempt failed."""
        return self._tracker.has_failed(symbol_id)

    def succeeded(self, work: Work, origin: Origin, edges: list[ResolvedEdge]) -> None:
        """All of the symbol's questions were answered."""
        if self._tracker.clear_failure(work.symbol_id):
            self._cleared.append(work.symbol_id)
        for operation in work.operations:
            self._outcomes.append(Outcome(work.symbol_id, work.revision, operation, origin, edges))
            kind = OutcomeKind.EDGES if edges else OutcomeKind.NONE
            self._metrics.outcomes.labels(operation, kind).inc()
        self._metrics.attempts.inc()
        self._metrics.enriched.inc()
        self._work.set()
        if len(self._outcomes) >= _ENOUGH_SYMBOLS:
            self.hurry()

    def failed(
        self, work: Work, origin: Origin, edges: list[ResolvedEdge], judgement: Judgement
    ) -> None:
        """An attempt failed; with the last one the error and what was found are written."""
        record = self._tracker.record_failure(
            work,
            work.operations,
            judgement.reason,
            origin.server,
            definitive=judgement.verdict is Verdict.DEFINITIVE,
        )
        self._charges.append(Charge(record, work.revision))
        self._metrics.attempts.inc()
        self._metrics.failures.labels(judgement.label).inc()
        _log.info(
            "symbol skipped" if record.skipped else "symbol failed",
            action="symbol_failed",
            symbol=work.uid,
            attempts=record.attempts,
            reason=judgement.reason,
        )
        if record.skipped:
            self._metrics.indexing_errors.labels(ErrorType.ENRICHMENT).inc()
            for operation in work.operations:
                self._outcomes.append(_error(work, operation, origin, edges, judgement.reason))
                self._metrics.outcomes.labels(operation, OutcomeKind.ERROR).inc()
        self._work.set()

    def released(self, works: Iterable[Work], *, at_once: bool = False) -> None:
        """Nothing was found out and nobody is charged: they are orphans as before.

        ``at_once``: nothing stands in their way now; else their turn comes with the next look.
        """
        ids = [work.symbol_id for work in works]
        self._released.extend(ids)
        self._again = self._again or (at_once and bool(ids))
        self._work.set()
        if at_once:
            self.hurry()

    async def replace(self, outcomes: list[Outcome], *, recount: bool) -> bool:
        """Write a settled symbol's outcomes in place of those that are stored.

        False: it has changed since it was asked about. Raises StoreUnavailable, unlike the rest:
        what can't be written now will be found again.
        """
        async with self._lock:
            written = await self._store.replace(outcomes, recount=recount)
        if written:
            self.generation += 1
            for each in outcomes:
                kind = OutcomeKind.EDGES if each.edges else OutcomeKind.NONE
                self._metrics.outcomes.labels(each.operation, kind).inc()
            self._on_commit(False)
        return written

    def hurry(self) -> None:
        """Nothing more is about to come: what is here need not wait for it."""
        if self.waiting:
            self._hurried.set()

    async def run(self) -> None:
        """Write for ever; ``drain`` writes what is left."""
        while True:
            await self._work.wait()
            with suppress(TimeoutError):
                await within(self._clock, _WAIT_FOR_COMPANY_S, self._hurried.wait())
            self._hurried.clear()
            self._work.clear()
            await self.drain()

    async def drain(self) -> None:
        """Write all that is waiting."""
        async with self._lock:
            while self.waiting:
                batch = self._next_batch()
                released, self._released = self._released, []
                again, self._again = self._again, False
                self._writing = len(batch.outcomes) + len(batch.charges) + len(released)
                try:
                    await self._write(batch, released)
                finally:
                    self._writing = 0
                self._on_commit(again)

    async def drain_within(self, timeout_s: float) -> None:
        """The same at the end: what can't be written by then is found out again one day."""
        try:
            await within(self._clock, timeout_s, self.drain())
        except TimeoutError:
            _log.error("not all is written", action="drain_failed", reason=self.problem)

    def _next_batch(self) -> Batch:
        # A symbol's charge and its error edges stay together: charges are taken whole.
        outcomes = self._outcomes[:_BATCH_SYMBOLS]
        if self._charges:
            outcomes = self._outcomes
        batch = Batch(outcomes, self._charges, self._cleared)
        self._outcomes = self._outcomes[len(outcomes) :]
        self._charges, self._cleared = [], []
        return batch

    async def _write(self, batch: Batch, released: list[int]) -> None:
        # Before the store gives up its claims: who is claimed anew meanwhile has to be let in.
        concluded = [each.symbol_id for each in batch.outcomes]
        charged = [each.record.symbol_id for each in batch.charges]
        for symbol_id in (*released, *concluded, *charged):
            self._queue.done(symbol_id)
        committed = await self._insist(lambda: self._store.commit(batch))
        if released:
            await self._insist(lambda: self._store.release(released))
        self.generation += 1
        for symbol_id in committed.dropped:
            self._tracker.clear_failure(symbol_id)

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                written = await write()
            except StoreUnavailable as error:
                if not self.problem:
                    _log.error("can't write", action="store_unavailable", error=error.message)
                self.problem = error.message
                await self._clock.sleep(_TRY_AGAIN_S)
            else:
                if self.problem:
                    _log.info("writing again", action="store_available")
                self.problem = ""
                return written


def _error(
    work: Work, operation: Operation, origin: Origin, edges: list[ResolvedEdge], reason: str
) -> Outcome:
    return Outcome(
        work.symbol_id, work.revision, operation, origin, edges, failed=True, reason=reason
    )
