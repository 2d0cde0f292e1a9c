"""Keeps workspaces indexed: one run at a time a workspace, asked for by whoever finds a change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from enrichd.clock import Clock
from enrichd.enrich.service import Enrichment
from enrichd.index.run import IndexOptions, IndexRun, RunResult
from enrichd.lsp.documents import ChangeKind
from enrichd.metrics import Metrics
from enrichd.report import NoProgress, Progress
from enrichd_tracker.errors import EnrichdError, StoreDamaged, StoreUnavailable
from enrichd_tracker.model import JobStatus, Workspace
from enrichd_tracker.store.port import Store

RECONCILE_S = 60.0
LOOKING_SHARE = 0.001
_TRY_AGAIN_S = 3.0
_CALM_S = 1.0  # between a request and its run, so that a burst of changes is one run

_log = structlog.get_logger()


class Indexing:
    """Runs, requests for runs, and the slow look at everything that finds what nobody told of."""

    def __init__(
        self,
        *,
        store: Store,
        enrichment: Enrichment,
        clock: Clock,
        metrics: Metrics,
        owner: str,
        options: Callable[[Workspace], IndexOptions],
        on_languages: Callable[[Workspace, set[str]], Awaitable[None]],
    ) -> None:
        self.workspaces: dict[int, Workspace] = {}
        self.problems: dict[int, str] = {}
        """Why the last run over a workspace failed."""
        self._store = store
        self._enrichment = enrichment
        self._clock = clock
        self._metrics = metrics
        self.owner = owner
        """Who holds the leases of the jobs."""
        self._options = options
        self._on_languages = on_languages
        self.runs = 0
        """How many runs found something to do."""
        self._locks: dict[int, asyncio.Lock] = {}
        self._requested: set[int] = set()
        self.unseen: set[int] = set()
        """Workspaces whose files have not been looked at since they were taken up."""
        self._new: set[int] = set()
        """Workspaces that were taken up and not looked at since."""
        self._looking_s = 0.0
        """What the last looks that found nothing took together."""
        self._request = asyncio.Event()

    def take_up(self, workspace: Workspace) -> None:
        """Keep the workspace indexed from now on; look at it at once."""
        self.workspaces[workspace.id] = workspace
        self._new.add(workspace.id)
        self.unseen.add(workspace.id)
        self.request(workspace.id)

    async def let_go(self, workspace: Workspace) -> None:
        """Index it no more; returns when no run is under way."""
        self.workspaces.pop(workspace.id, None)
        self.unseen.discard(workspace.id)
        self.problems.pop(workspace.id, None)
        async with self._locks.setdefault(workspace.id, asyncio.Lock()):
            pass

    def request(self, workspace_id: int) -> None:
        """Something in the workspace has changed: index it soon."""
        self._requested.add(workspace_id)
        self._request.set()

    async def run(self) -> None:
        """Serve requests for ever."""
        while True:
            await self._request.wait()
            if not self._new:
                await self._clock.sleep(_CALM_S)
            self._new.clear()
            self._request.clear()
            requested, self._requested = self._requested, set()
            for workspace_id in sorted(requested):
                if (workspace := self.workspaces.get(workspace_id)) is not None:
                    await self._index_quietly(workspace)

    async def reconcile(self) -> None:
        """Look at every file again and again, slowly: events may be lost, looks are not.

        Looking takes no more than its small share of the time, however large the workspaces.
        """
        while True:
            await self._clock.sleep(max(RECONCILE_S, self._looking_s / LOOKING_SHARE))
            self._looking_s = 0.0
            for workspace_id in self.workspaces:
                self.request(workspace_id)

    async def _index_quietly(self, workspace: Workspace) -> None:
        try:
            await self.index(workspace)
        except StoreDamaged:
            raise
        except EnrichdError as error:
            if isinstance(error, StoreUnavailable):
                await self._clock.sleep(_TRY_AGAIN_S)
                self.request(workspace.id)
            if self.problems.get(workspace.id) != error.message:
                _log.error(
                    "indexing failed",
                    action="index_failed",
                    workspace=workspace.name,
                    error=error.message,
                )
            self.problems[workspace.id] = error.message

    async def index(self, workspace: Workspace, progress: Progress | None = None) -> RunResult:
        """Index what changed, now; a run that is under way is waited for first."""
        lock = self._locks.setdefault(workspace.id, asyncio.Lock())
        async with lock:
            run = IndexRun(
                self._store,
                workspace,
                self._options(workspace),
                clock=self._clock,
                owner=self.owner,
                progress=progress or NoProgress(),
                before_change=lambda: self._enrichment.pause(workspace.id),
            )
            try:
                result = await run.run()
            except asyncio.CancelledError:
                self._enrichment.resume(workspace.id, run.result.forgotten, changed=True)
                raise
            except BaseException:
                await self._after(workspace, run.result)
                raise
            await self._after(workspace, result)
        self.problems.pop(workspace.id, None)
        self.unseen.discard(workspace.id)
        if result.job_id is None:
            self._looking_s += result.seconds
        return result

    async def _after(self, workspace: Workspace, result: RunResult) -> None:
        if result.job_id is not None:
            self.runs += 1
            self._count(result)
            await self._enrichment.files_changed(
                workspace.id,
                [
                    *((path, ChangeKind.CREATED) for path in result.created),
                    *((path, ChangeKind.CHANGED) for path in result.changed),
                    *((path, ChangeKind.DELETED) for path in result.removed),
                ],
            )
            _log.info(
                "indexed",
                action="indexed",
                workspace=workspace.name,
                changed=len(result.created) + len(result.changed),
                removed=len(result.removed),
                failed=result.failed,
                seconds=round(result.seconds, 3),
                error=result.error,
            )
        try:
            await self._on_languages(workspace, set(result.languages))
        finally:
            changed = result.job_id is not None
            self._enrichment.resume(workspace.id, result.forgotten, changed=changed)

    def _count(self, result: RunResult) -> None:
        self._metrics.jobs.labels(result.status).inc()
        if result.status is JobStatus.COMPLETED and not (result.created or result.changed):
            self._metrics.jobs_zero_files.inc()
        for kind, n in result.errors.items():
            self._metrics.indexing_errors.labels(kind).inc(n)
