"""Enrichment as a whole: the lanes with their servers, the queue, the monitor, the recorder."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from enrichd.clock import Clock
from enrichd.enrich.drift import DriftCheck
from enrichd.enrich.edges import EdgeFinder
from enrichd.enrich.lane import LaneWorker
from enrichd.enrich.monitor import Monitor
from enrichd.enrich.probe import Probe
from enrichd.enrich.questions import ExternalPolicy
from enrichd.enrich.queue import WorkQueue
from enrichd.enrich.recorder import Recorder
from enrichd.enrich.resolve import Resolver
from enrichd.enrich.sources import Sources
from enrichd.lsp.documents import ChangeKind
from enrichd.lsp.profiles import Profile
from enrichd.lsp.python_environment import surroundings
from enrichd.lsp.readiness import DocumentProbe
from enrichd.lsp.states import ServerState
from enrichd.lsp.status import ServerStatus
from enrichd.lsp.supervisor import Supervisor
from enrichd.metrics import Metrics
from enrichd.news import News
from enrichd.services import Services
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Canary, Lane, Operation, Workspace
from enrichd_tracker.store.port import Reader, Store

_LAST_WRITE_S = 3.0
_TRY_AGAIN_S = 1.0

_log = structlog.get_logger()


class EnrichOptions(Struct, frozen=True):
    """What the configuration says about enrichment."""

    external: ExternalPolicy
    request_timeout_s: float
    interval_s: float
    queue_size: int


class LaneStatus(Struct, frozen=True):
    """A server and whom it serves."""

    lane: Lane
    workspace: str
    server: ServerStatus


class Enrichment:
    """All that turns orphans into outcomes. Lanes come and go while it runs."""

    def __init__(
        self,
        *,
        store: Store,
        tracker: EnrichmentTracker,
        services: Services,
        clock: Clock,
        metrics: Metrics,
        options: EnrichOptions,
        jitter: Callable[[], float],
        on_stale: Callable[[int], None],
    ) -> None:
        self.progress = News()
        """Of every commit and every change of a server."""
        self.tracker = tracker
        self.queue = WorkQueue(options.queue_size)
        self.recorder = Recorder(store, tracker, self.queue, clock, metrics, self._committed)
        self.lanes: dict[Lane, LaneWorker] = {}
        self.monitor = Monitor(
            store=store,
            tracker=tracker,
            queue=self.queue,
            recorder=self.recorder,
            lanes=self.lanes,
            clock=clock,
            metrics=metrics,
            interval_s=options.interval_s,
        )
        self._store = store
        self._services = services
        self._clock = clock
        self._metrics = metrics
        self._options = options
        self._jitter = jitter
        self._on_stale = on_stale
        self._sources = Sources()
        self._changed: set[Lane] = set()
        self._change = asyncio.Event()
        self._required: dict[Lane, tuple[str, str, tuple[Operation, ...]]] = {}
        self._shown: dict[Lane, tuple[ServerState, int]] = {}

    async def start(self) -> None:
        """Take up what is known of failures, and begin."""
        self.tracker.restore(await self._store.read(lambda reader: reader.failures()))
        self._services.start("recorder", self.recorder.run())
        self._services.start("monitor", self.monitor.run())
        self._services.start("servers", self._follow_servers())

    def check_for_drift(
        self,
        random: Callable[[], float],
        is_calm: Callable[[int], bool],
        on_distrust: Callable[[int, str], None],
    ) -> DriftCheck:
        """Ask again, from now on, about what is settled, when a calm workspace leaves time."""
        check = DriftCheck(
            store=self._store,
            lanes=self.lanes,
            recorder=self.recorder,
            clock=self._clock,
            metrics=self._metrics,
            random=random,
            is_calm=is_calm,
            on_stale=self._on_stale,
            on_distrust=on_distrust,
        )
        self._services.start("drift check", check.run())
        return check

    async def stop(self) -> None:
        """Ask nothing more, end the servers, and write what was found out."""
        await self._services.end("drift check")
        await self._services.end("monitor")
        await asyncio.gather(*(self._end(worker) for worker in self.lanes.values()))
        await self.recorder.drain_within(_LAST_WRITE_S)

    async def _end(self, worker: LaneWorker) -> None:
        name = f"{worker.workspace.name} {worker.lane.language}"
        await self._services.end(f"lane {name}")
        await self._services.end(f"server {name}")
        worker.give_back()

    def _committed(self, again: bool) -> None:
        self.progress.tell()
        if again:
            self.monitor.given_back()
        for worker in self.lanes.values():
            if worker.blocked:
                worker.wake()

    async def add_lane(self, lane: Lane, workspace: Workspace, profile: Profile) -> None:
        """Serve a language of a workspace from now on."""
        if lane in self.lanes:
            return
        root = Path(workspace.root)
        supervisor = Supervisor(
            profile,
            root,
            clock=self._clock,
            jitter=self._jitter,
            request_timeout_s=self._options.request_timeout_s,
            canary=lambda: self._canary(lane),
            on_change=lambda _: self._server_changed(lane),
            observe=self._metrics.requests.observer(profile.name),
            documents=lambda: self._documents(lane),
        )
        resolver = Resolver(self._store, workspace.id, root, self._sources)
        worker = LaneWorker(
            lane,
            workspace,
            supervisor,
            store=self._store,
            queue=self.queue,
            recorder=self.recorder,
            probe=Probe(self._store, lane, root),
            edges=EdgeFinder(resolver, workspace.root, self._options.external),
            sources=self._sources,
            clock=self._clock,
            external=self._options.external,
            request_timeout_s=self._options.request_timeout_s,
            on_hungry=self.monitor.hungry,
            on_stale=self._on_stale,
        )
        await self._require(worker)
        await worker.trials.recall(self.tracker.failures_in(lane))
        if lane in self.lanes:
            return
        self.queue.open(lane)
        self.lanes[lane] = worker
        self._services.start(f"lane {workspace.name} {lane.language}", worker.run())
        self._services.start(f"server {workspace.name} {lane.language}", supervisor.run())

    async def remove_lanes(self, workspace_id: int) -> None:
        """The workspace is no longer served; its servers are ended."""
        for lane in [each for each in self.lanes if each.workspace_id == workspace_id]:
            await self._remove_lane(lane)

    async def look_around(self, lane: Lane, profile: Profile, root: Path) -> None:
        """Start the lane's server afresh, and ask it all again, if it would find other things."""
        digest = await asyncio.to_thread(surroundings, profile, root)
        forgotten = await self._store.surround(lane, digest)
        if forgotten is None:
            return
        _log.info("what the server finds has changed", action="surroundings", root=str(root))
        for symbol_id in forgotten:
            self.tracker.clear_failure(symbol_id)
        if lane in self.lanes:
            await self._remove_lane(lane)

    async def _remove_lane(self, lane: Lane) -> None:
        worker = self.lanes.pop(lane)
        await self._end(worker)
        self.recorder.released(self.queue.close(lane))
        self._required.pop(lane, None)
        self._shown.pop(lane, None)
        self._show_states(worker.supervisor.profile.name)

    def use_options(self, *, external: ExternalPolicy, request_timeout_s: float) -> None:
        """What lanes that are added from now on are told."""
        self._options = msgspec.structs.replace(
            self._options, external=external, request_timeout_s=request_timeout_s
        )

    def pause(self, workspace_id: int) -> None:
        """Ask nothing more: the workspace's names are about to change."""
        for worker in self._of(workspace_id):
            worker.paused = True
            worker.wake()  # a check gives way

    def resume(self, workspace_id: int, forgotten: list[int], changed: Collection[str]) -> None:
        """The workspace is indexed: symbols whose failures no longer count, files that changed."""
        for symbol_id in forgotten:
            self.tracker.clear_failure(symbol_id)
        for worker in self._of(workspace_id):
            worker.resume(changed)
            if changed:
                worker.supervisor.poke()
        if changed:
            self.monitor.new_work()

    async def files_changed(self, workspace_id: int, changes: list[tuple[str, ChangeKind]]) -> None:
        """Tell the servers, before they are asked again."""
        for worker in self._of(workspace_id):
            await worker.supervisor.files_changed(changes)

    async def retry(self, symbol_ids: list[int]) -> int:
        """Try these symbols again now; returns how many that are."""
        for symbol_id in await self._store.retry(symbol_ids):
            self.tracker.clear_failure(symbol_id)
        self.monitor.new_work()
        return len(symbol_ids)

    def statuses(self) -> list[LaneStatus]:
        """All servers."""
        return [
            LaneStatus(lane, worker.workspace.name, worker.supervisor.snapshot())
            for lane, worker in self.lanes.items()
        ]

    async def settled(self, workspace_id: int, *, retries: bool = True) -> bool:
        """Whether nothing is left that can be served: no orphan, nobody backing off.

        Without ``retries`` symbols that wait for their next attempt are not waited for. A lane
        whose server is not there, or does not stay up, can't be waited for.
        """
        if self.recorder.waiting or self._is_busy(workspace_id):
            return False
        waiting = await self._store.read(
            lambda reader: reader.orphans_by_language(workspace_id, retries=retries)
        )
        return not self._is_busy(workspace_id) and not any(
            waiting.get(each.lane.language) for each in self._served(workspace_id)
        )

    def _is_busy(self, workspace_id: int) -> bool:
        return not all(worker.idle for worker in self._served(workspace_id))

    def _served(self, workspace_id: int) -> Iterator[LaneWorker]:
        for worker in self._of(workspace_id):
            server = worker.supervisor.snapshot()
            resting = server.state is ServerState.BACKING_OFF and server.breaker_open
            if server.state is not ServerState.UNAVAILABLE and not resting:
                yield worker

    def _of(self, workspace_id: int) -> list[LaneWorker]:
        return [worker for lane, worker in self.lanes.items() if lane.workspace_id == workspace_id]

    async def _canary(self, lane: Lane) -> Canary | DocumentProbe | None:
        def find(reader: Reader) -> Canary | DocumentProbe | None:
            if (canary := reader.canary(lane)) is not None:
                return canary
            path = reader.file_with_symbols(lane)
            return None if path is None else DocumentProbe(path)

        return await self._store.read(find)

    async def _documents(self, lane: Lane) -> list[str]:
        files = await self._store.read(lambda reader: reader.files(lane.workspace_id))
        return [path for path, file in files.items() if file.language == lane.language]

    # Following the servers.

    def _server_changed(self, lane: Lane) -> None:
        self._changed.add(lane)
        self._change.set()

    async def _follow_servers(self) -> None:
        while True:
            await self._change.wait()
            self._change.clear()
            changed, self._changed = self._changed, set()
            for lane in changed & self.lanes.keys():
                worker = self.lanes[lane]
                self._show(lane, worker.supervisor)
                try:
                    if worker.supervisor.servable:
                        await self._require(worker)
                except StoreUnavailable as error:
                    _log.warning("can't write", action="require_failed", error=error.message)
                    await self._clock.sleep(_TRY_AGAIN_S)
                    self._server_changed(lane)
                worker.wake()
            self.monitor.new_work()
            self.progress.tell()

    def _show(self, lane: Lane, supervisor: Supervisor) -> None:
        name, restarts = supervisor.profile.name, supervisor.snapshot().restarts
        _, before = self._shown.get(lane, (supervisor.state, 0))
        self._shown[lane] = (supervisor.state, restarts)
        if restarts > before:
            self._metrics.server_restarts.labels(name).inc(restarts - before)
        self._show_states(name)

    def _show_states(self, name: str) -> None:
        states = [
            worker.supervisor.state
            for worker in self.lanes.values()
            if worker.supervisor.profile.name == name
        ]
        for state in ServerState:
            self._metrics.server_state.labels(name, state).set(states.count(state))

    async def _require(self, worker: LaneWorker) -> None:
        """Tell the store what this server is asked for, where that has changed."""
        supervisor = worker.supervisor
        operations = tuple(each for each in Operation if supervisor.offers(each))
        version = supervisor.identity.version if supervisor.identity else ""
        settings = settings_digest(supervisor.profile)
        wanted = (version, settings, operations)
        if self._required.get(worker.lane) == wanted:
            return
        forgotten = await self._store.require(
            worker.lane,
            supervisor.profile.name,
            operations,
            version=version,
            settings=settings,
            by_bodies=supervisor.profile.infers_returns,
        )
        for symbol_id in forgotten:
            self.tracker.clear_failure(symbol_id)
        if forgotten:
            worker.trials.acquit()
        self._required[worker.lane] = wanted


def settings_digest(profile: Profile) -> str:
    """Equal as long as the server would be started and configured the same way."""
    relevant = msgspec.structs.replace(
        profile, install_hint="", version_command=[], window=1, max_rss_bytes=None
    )
    return hashlib.blake2b(
        msgspec.json.encode(relevant, order="deterministic"), digest_size=8
    ).hexdigest()
