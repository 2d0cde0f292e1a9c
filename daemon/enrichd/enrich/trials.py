"""Whom a lane asks about next, as long as somebody may kill its server, and what comes of deaths.

``suspects`` decides; here is what it takes to follow: symbols of the queue and of the store, the
records of failures, and word to the supervisor, whose breaker hears of no death that is a symbol's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from enrichd.enrich.charging import Judgement, Verdict
from enrichd.enrich.queue import LEASE_S, OWNER, WorkQueue
from enrichd.enrich.recorder import Recorder
from enrichd.enrich.suspects import Suspects
from enrichd.enrich.suspicion import deaths_in
from enrichd.lsp.supervisor import Supervisor
from enrichd.lsp.wire import Died, Ending
from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Lane, Origin, Work
from enrichd_tracker.store.port import Reader, Store, StoredSymbol

_AT_ONCE = 64
"""Symbols of a poison file that are skipped before others have their turn."""

_log = structlog.get_logger()


class Trials:
    """The trials of one lane."""

    def __init__(
        self,
        lane: Lane,
        supervisor: Supervisor,
        *,
        store: Store,
        queue: WorkQueue,
        recorder: Recorder,
    ) -> None:
        self._lane = lane
        self._supervisor = supervisor
        self._store = store
        self._queue = queue
        self._recorder = recorder
        self._suspects = Suspects()
        self._rest: dict[str, deque[int]] = {}
        """Symbols of poison files that are still to be skipped."""
        self.guilty: deque[Work] = deque()
        """Those of them that are skipped next: ``judgement`` tells why."""
        self._judgements: dict[int, tuple[bytes, Judgement]] = {}
        """With the digest of the file that it is about."""

    @property
    def isolating(self) -> bool:
        """Whether somebody waits for a trial, or is to be skipped."""
        return self._suspects.isolating or self.has_more or bool(self.guilty)

    @property
    def has_more(self) -> bool:
        """Whether ``prepare`` has more to bring."""
        return bool(self._suspects.poison_files)

    async def recall(self, records: Iterable[FailureRecord]) -> None:
        """Take up what the lane's failures tell of earlier deaths."""
        poisoned = [each for each in records if any(deaths_in(each.reason))]
        paths = {each.file for each in poisoned}
        if paths:
            answered = await self._store.read(lambda reader: self._answered(reader, paths))
            self._suspects.suspicions.recall(poisoned, answered)

    def acquit(self) -> None:
        """The server is another one: nothing is held against anybody any more."""
        self._suspects.suspicions.clear()

    def clear(self) -> list[Work]:
        """Try nobody any more; returns who waited."""
        works = [*self._suspects.clear(), *self.guilty]
        self.guilty.clear()
        return works

    # Before the question.

    async def prepare(self) -> None:
        """Bring what the last deaths call for: more of a file, or all of it."""
        for path in list(self._suspects.wanted):
            await self._call_others_of(path)
        for path in list(self._suspects.poison_files):
            await self._bring_rest_of(path)

    def next(self, *, in_company: bool) -> Work | None:
        """The next symbol to be asked about; None: nobody just now."""
        if self._suspects.isolating:
            return None if in_company else self._suspects.next_alone(self._control)
        work = self._queue.take(self._lane)
        if work is not None and self._suspects.is_suspect(work):
            self._suspects.add([work])
            return self.next(in_company=in_company)
        return work

    def judgement(self, work: Work) -> Judgement | None:
        """Why it is skipped instead of being asked about, if it is; said once."""
        digest, judgement = self._judgements.pop(work.symbol_id, (b"", None))
        if judgement is None or digest != work.file.digest:
            return None
        self.leave(work)
        return judgement

    def begin(self) -> None:
        """Somebody is asked about from now on."""
        self._supervisor.restarts.excused = self._suspects.attributes

    # After the answer.

    def concluded(self, work: Work, *, asked: bool) -> None:
        """The server lived through it, whatever it answered; or had nothing to answer."""
        if self._suspects.is_on_trial(work):
            self._supervisor.restarts.excused = False
        if asked:
            self._suspects.survived(work)
        else:
            self._suspects.leave(work)

    def leave(self, work: Work) -> None:
        """It was not asked about after all, or not to the end."""
        self.concluded(work, asked=False)

    def died(self, work: Work, death: Died, origin: Origin) -> None:
        """The server died with the symbol in flight: it is charged if it is guilty of that."""
        if not self._recorder.has_failed(work.symbol_id):
            self._suspects.suspicions.forget(work)  # as its record was, for a new beginning
        judgement = self._suspects.died(work, death.reason, hung=death.ending is Ending.HUNG)
        if judgement is None:
            return
        self._recorder.failed(work, origin, [], judgement)
        if judgement.verdict is Verdict.DEFINITIVE:
            self._supervisor.restarts.pardon()
        if work.file.path in self._suspects.poison_files:
            _log.warning("poison file", action="poison_file", file=work.file.path)

    # Inside.

    def _control(self, accept: Callable[[Work], bool]) -> Work | None:
        return next(iter(self._queue.pick(self._lane, accept, 1)), None)

    async def _call_others_of(self, path: str) -> None:
        number = self._suspects.wanted[path]
        killed = self._suspects.suspicions.has_killed
        found = self._queue.pick(
            self._lane, lambda work: work.file.path == path and not killed(work), number
        )
        self._suspects.call(found)
        self._suspects.wanted[path] = number = number - len(found)
        if number:
            orphans = await self._orphans_of(path)
            free = [each.id for each in orphans if not each.failed and each.id not in self._queue]
            self._suspects.call(await self._claim(free[:number]))
        self._suspects.wanted.pop(path)

    async def _bring_rest_of(self, path: str) -> None:
        digest, judgement = self._suspects.poison_files[path]
        if (rest := self._rest.get(path)) is None:
            rest = self._rest[path] = deque(each.id for each in await self._orphans_of(path))
        chunk = {*list(rest)[:_AT_ONCE]}
        works = await self._claim([each for each in chunk if each not in self._queue])
        works += self._queue.pick(self._lane, lambda work: work.symbol_id in chunk, _AT_ONCE)
        works += self._suspects.take(chunk)
        for _ in chunk:
            rest.popleft()
        if not rest:
            del self._rest[path], self._suspects.poison_files[path]
        self._recorder.released([each for each in works if each.file.digest != digest])
        guilty = [each for each in works if each.file.digest == digest]
        self.guilty.extend(guilty)
        # those that were on their way into the queue just now are judged when they come out of it
        on_their_way = [each for each in chunk if not self._recorder.has_failed(each)]
        for symbol_id in {*on_their_way, *(each.symbol_id for each in guilty)}:
            self._judgements[symbol_id] = digest, judgement

    async def _orphans_of(self, path: str) -> list[StoredSymbol]:
        workspace_id = self._lane.workspace_id
        found = await self._store.read(lambda reader: reader.symbols_in(workspace_id, path))
        return [each for each in found if each.pending]

    async def _claim(self, symbol_ids: list[int]) -> list[Work]:
        if not symbol_ids:
            return []
        claim = asyncio.get_running_loop().create_task(
            self._store.claim_again(symbol_ids, owner=OWNER, lease_s=LEASE_S),
            name=f"claim for trials in {self._lane}",
        )
        try:
            return await asyncio.shield(claim)
        except asyncio.CancelledError:
            with suppress(StoreUnavailable):
                self._recorder.released(await claim)
            raise

    def _answered(self, reader: Reader, paths: Iterable[str]) -> set[str]:
        """Files of which the lane's server has told an edge."""
        workspace_id = self._lane.workspace_id
        server = self._supervisor.profile.name
        return {
            path
            for path in paths
            if any(edge.server == server for edge in reader.edges_in(workspace_id, path))
        }
