"""The worker of one lane: keeps its server's window full and turns answers into outcomes.

Questions are sent and answers taken in callbacks, without a task for each; one coroutine prepares
work ahead of them and finishes what is answered behind them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection

import structlog

from enrichd.clock import Clock, within
from enrichd.enrich.attempt import Ask, Attempt, Ledger
from enrichd.enrich.charging import UNPROVED, Verdict, judge
from enrichd.enrich.edges import EdgeFinder
from enrichd.enrich.flight import Flight
from enrichd.enrich.opened import OpenDocuments
from enrichd.enrich.phrasing import Phrasing
from enrichd.enrich.probe import Probe
from enrichd.enrich.questions import BY_TEXT, ExternalPolicy, keeps_external
from enrichd.enrich.queue import WorkQueue
from enrichd.enrich.recorder import Recorder
from enrichd.enrich.second_look import SecondLook
from enrichd.enrich.sources import Sources, is_new
from enrichd.enrich.trials import Trials
from enrichd.file_stat import stat_of
from enrichd.lsp.client import Client
from enrichd.lsp.positions import path_to_uri
from enrichd.lsp.protocol import TEXT_DOCUMENT_DEFINITION
from enrichd.lsp.supervisor import Supervisor
from enrichd.lsp.wire import Answered, Died, Ending, Reply, Target
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Lane, Origin, Work, Workspace
from enrichd_tracker.store.port import Store

_DOUBT_S = 1.0
_AHEAD = 8  # questions prepared for each place in the window
_TOGETHER = 8  # attempts concluded in one go, while questions enough are prepared
_TRY_AGAIN_S = 1.0

_log = structlog.get_logger()


class LaneWorker:
    """Serves one lane from the queue. All its state lives on the event loop's thread."""

    def __init__(
        self,
        lane: Lane,
        workspace: Workspace,
        supervisor: Supervisor,
        *,
        store: Store,
        queue: WorkQueue,
        recorder: Recorder,
        probe: Probe,
        edges: EdgeFinder,
        sources: Sources,
        clock: Clock,
        external: ExternalPolicy,
        request_timeout_s: float,
        on_hungry: Callable[[Lane], None],
        on_stale: Callable[[int], None],
    ) -> None:
        self.lane = lane
        self.workspace = workspace
        self.supervisor = supervisor
        self.paused = False
        """While the workspace is indexed: its names and positions are not all known."""
        self.blocked = False
        """Whether it waits until results have been written."""
        self._store = store
        self._queue = queue
        self._recorder = recorder
        self._edges = edges
        self._clock = clock
        self._external = external
        self._phrasing = Phrasing(workspace.root, sources, external)
        self._timeout_s = request_timeout_s
        self._on_hungry = on_hungry
        self._on_stale = on_stale
        self._documents = OpenDocuments(supervisor)
        self.trials = Trials(lane, supervisor, store=store, queue=queue, recorder=recorder)
        self._names: set[str] | None = None
        self._graph = 0  # how often it has changed
        self._client: Client | None = None
        self._asks: deque[Ask] = deque()
        self._flight = Flight(path_to_uri(workspace.root), lambda uri: is_new(uri, clock.time()))
        self._attempts: dict[int, Attempt] = {}
        self._settled: list[Attempt] = []
        self._held: list[Work] = []  # of files that changed since they were indexed
        self._check: tuple[Work, Ledger] | None = None  # until it has given way or ended
        self._second_look = SecondLook(
            probe, clock, self._settle_late, name=str(lane), timeout_s=request_timeout_s
        )
        self._wake = asyncio.Event()
        self._ended = False

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand but a check."""
        return not (
            len(self._attempts) > self._is_checking
            or self._held
            or self.trials.isolating
            or self._queue.waiting(self.lane)
        )

    def check(self, work: Work, ledger: Ledger) -> None:
        """Ask about a settled symbol again, as if it were due, and tell the ledger.

        What is really due goes first, at any time: the check is then released. It has one
        question in flight at a time, so that nobody waits for more than one of its answers.
        """
        if self._ended or self._check is not None:
            ledger.released([work])
            return
        self._check = work, ledger
        self._edges.forget()  # what is remembered here may be what is wrong
        self._wake.set()

    def wake(self) -> None:
        """There is work, or the server has changed."""
        self._wake.set()

    def resume(self, changed: Collection[str]) -> None:
        """The workspace has been indexed; names and positions in ``changed`` files may be others.

        The server was told before: what it answered earlier may be about files as they were.
        """
        self.paused = False
        if changed:
            self._graph += 1
            self._names = None
            self._edges.forget(changed)
            for attempt in self._attempts.values():
                attempt.outdated = attempt.asked
        held, self._held = self._held, []
        self._recorder.released(held, at_once=True)
        self._wake.set()

    def give_back(self) -> None:
        """Part with all that is in hand; the worker has ended."""
        self._ended = True
        works = [each.work for each in self._attempts.values() if each.ledger is self._recorder]
        works += [*self._held, *self.trials.clear()]
        self._attempts.clear()
        self._held.clear()
        self._asks.clear()
        self._recorder.released(works)
        if self._check is not None:
            self._check[1].released([self._check[0]])
            self._check = None

    async def run(self) -> None:
        """Serve for ever; on cancellation what is in hand stays an orphan."""
        try:
            while True:
                await self._until_woken()
                self._wake.clear()
                try:
                    await self._finish()
                    await self._feed()
                except StoreUnavailable as error:
                    _log.warning("nothing can be read", action="lane_waits", error=error.message)
                    await self._clock.sleep(_TRY_AGAIN_S)
                    self._wake.set()
                self._pump()
                if not self._asks:
                    self._recorder.hurry()  # what is in flight now is the last
        finally:
            await self._second_look.close()

    async def _until_woken(self) -> None:
        """Wait for news; answers that are in doubt are believed when none comes for a while."""
        if not self._flight.holds_answers:
            await self._wake.wait()
            return
        try:
            await within(self._clock, _DOUBT_S, self._wake.wait())
        except TimeoutError:
            for ask, answer in self._flight.release():
                self._settle(ask, answer)

    # Before the question.

    async def _feed(self) -> None:
        client = self.supervisor.client
        if client is not self._client:
            await self._start_over(client)
        self.blocked = not self._recorder.has_room
        if client is None or self.paused or self.blocked or self._queue.waiting(self.lane):
            await self._give_way()
        if self.paused or self.blocked:
            return
        await self.trials.prepare()
        while self.trials.guilty and (names := self._names or await self._read_names(client)):
            await self._start(self.trials.guilty.popleft(), self._recorder, names)
        if self.trials.has_more:
            self._wake.set()
        if client is None or client is not self.supervisor.client or self.paused:
            return
        goal = self.supervisor.profile.window * _AHEAD
        while len(self._asks) < goal:
            names = self._names or await self._read_names(client)
            if names is None:
                self._wake.set()
                return
            work = self.trials.next(in_company=bool(self._attempts))
            if work is None:
                if self._check is not None and self.idle and not self._is_checking:
                    await self._start(*self._check, names)
                break
            await self._give_way()
            await self._start(work, self._recorder, names)
        if self._queue.is_low(self.lane):
            self._on_hungry(self.lane)

    async def _read_names(self, client: Client | None) -> set[str] | None:
        """The workspace's names; None when the client may not be asked any more."""
        graph, workspace_id = self._graph, self.lane.workspace_id
        names = await self._store.read(lambda reader: reader.names(workspace_id))
        if graph == self._graph:
            self._names = names
        return None if self.paused or self.supervisor.client is not client else names

    async def _start_over(self, client: Client | None) -> None:
        """The connection is another; what was not answered by the old one is asked of the new."""
        self._client = client
        self._asks.clear()
        for attempt in [each for each in self._attempts.values() if each.open]:
            await self._after_death(attempt)
        self._wake.set()

    async def _start(self, work: Work, ledger: Ledger, names: set[str]) -> None:
        if self._changed(work):
            self._hold(work, ledger)
            return
        attempt = Attempt(work, self._replied, ledger)
        asks = list(self._phrasing.asks(attempt, names, self.supervisor.encoding))
        if asks and ledger is self._recorder and (found := self.trials.judgement(work)):
            self._recorder.failed(work, self._origin(), [], found)
            return
        self._attempts[work.symbol_id] = attempt
        await self._documents.need(work.file.path)
        self.trials.begin()
        self._asks.extend(asks)
        attempt.expect(len(asks))
        if not attempt.open:
            self._settled.append(attempt)
            self._wake.set()

    def _hold(self, work: Work, ledger: Ledger) -> None:
        """The file is not the one that was indexed: wait until it has been indexed again."""
        self.trials.leave(work)
        self._on_stale(self.lane.workspace_id)
        if ledger is self._recorder:
            self._held.append(work)
        else:
            self._check = None
            ledger.released([work])

    @property
    def _is_checking(self) -> bool:
        """Whether the check has begun."""
        return self._check is not None and self._check[0].symbol_id in self._attempts

    async def _give_way(self) -> None:
        """There is something else to do than to check."""
        if self._check is not None:
            work, ledger = self._check
            if (attempt := self._attempts.get(work.symbol_id)) is not None:
                self._asks = deque(each for each in self._asks if each.attempt is not attempt)
                await self._let_go(attempt)
            self._check = None
            ledger.released([work])

    # The question and its answer.

    def _pump(self) -> None:
        client, asks = self._client, self._asks
        if client is None or client.death is not None:
            return
        window = 1 if self._is_checking else self.supervisor.profile.window
        now = self._clock.monotonic()
        while len(self._flight) < window and asks:
            ask = asks.popleft()
            ask.sent_at = now
            self._flight.send(ask)
            client.ask_position(TEXT_DOCUMENT_DEFINITION, ask.uri, ask.line, ask.character, ask)

    def _replied(self, ask: Ask, reply: Reply[list[Target]]) -> None:
        matters = self.supervisor.proved and keeps_external(ask.site, self._external)
        settled, again = self._flight.land(ask, reply, matters=matters)
        if self._ended:
            return
        for each, answer in settled:
            if self._client is None or not self._second_look.take(self._client, each, answer):
                self._settle(each, answer)
        self._asks.extend(again)
        self._pump()
        low = self.supervisor.profile.window * _AHEAD // 2
        if len(self._asks) < low or not self._flight or len(self._settled) >= _TOGETHER:
            self._wake.set()

    def _settle(self, ask: Ask, reply: Reply[list[Target]]) -> None:
        attempt = ask.attempt
        proved_now = self.supervisor.proved
        if isinstance(reply, Answered) and (reply.result or proved_now):
            attempt.answered(ask, reply.result, proved=proved_now)
        else:
            if isinstance(reply, Died) and reply.ending is not Ending.STOPPED:
                attempt.death = reply
            attempt.condemned(judge(reply, proved=proved_now, timeout_s=self._timeout_s))
        if not attempt.open:
            self._settled.append(attempt)

    def _settle_late(self, ask: Ask, reply: Reply[list[Target]]) -> None:
        self._settle(ask, reply)
        self._wake.set()

    # After the answer.

    async def _finish(self) -> None:
        if self.paused:
            return  # positions are being written: what was answered can't be located now
        settled, self._settled = self._settled, []
        current = [each for each in settled if self._attempts.get(each.work.symbol_id) is each]
        prepared = False
        try:
            await self._edges.prepare(current)
            prepared = not self.paused
        finally:
            if not prepared:
                self._settled = [*current, *self._settled]
        for attempt in current if prepared else ():
            await self._conclude_or_go_on(attempt)

    async def _conclude_or_go_on(self, attempt: Attempt) -> None:
        onward, stale = self._edges.locate(attempt, self.supervisor.encoding)
        if onward and not (stale or attempt.outdated):
            # with another server in the meantime they are asked of that one, with the rest
            attempt.expect(len(onward))
            self._asks.extendleft(onward)
        else:
            await self._conclude(attempt, stale=stale)

    async def _conclude(self, attempt: Attempt, *, stale: bool) -> None:
        work, judgement = attempt.work, attempt.judgement
        if judgement is not None and judgement.verdict is Verdict.NOBODY:
            await self._after_death(attempt)
            return
        await self._let_go(attempt)
        edges = self._edges.edges(attempt)
        if stale or edges is None or self._changed(work):
            self._hold(work, attempt.ledger)
            return
        self.trials.concluded(work, asked=attempt.asked)
        if attempt.outdated:
            attempt.ledger.released([work], at_once=True)
            return
        if judgement is None and attempt.unproved and not edges:
            judgement = UNPROVED
        origin = self._origin() if attempt.asked or edges else BY_TEXT
        if judgement is None:
            attempt.ledger.succeeded(work, origin, edges)
        elif judgement.verdict is Verdict.DROP_OPERATION and attempt.ledger is self._recorder:
            for operation in work.operations:
                self.supervisor.drop(operation)
            self._recorder.released([work])
        else:
            attempt.ledger.failed(work, origin, edges, judgement)

    async def _let_go(self, attempt: Attempt) -> None:
        del self._attempts[attempt.work.symbol_id]
        if attempt.ledger is not self._recorder:
            self._check = None
        await self._documents.done(attempt.work.file.path)

    async def _after_death(self, attempt: Attempt) -> None:
        """The server is gone: a suspect if it went by itself with the symbol in flight."""
        work = attempt.work
        await self._let_go(attempt)
        death = attempt.death
        if attempt.ledger is not self._recorder and attempt.judgement is not None:
            attempt.ledger.failed(work, self._origin(), [], attempt.judgement)
        elif death is None:
            self.trials.leave(work)
            attempt.ledger.released([work])
        else:
            self.trials.died(work, death, self._origin())

    def _changed(self, work: Work) -> bool:
        return stat_of(f"{self.workspace.root}/{work.file.path}") != work.file.stat

    def _origin(self) -> Origin:
        return self.supervisor.identity or Origin(self.supervisor.profile.name, "")
