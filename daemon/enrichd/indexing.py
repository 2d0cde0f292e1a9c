"""Keeps workspaces indexed: one run at a time a workspace, when a burst of changes is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import structlog

from enrichd.clock import Clock, within
from enrichd.errors import AnswerIsNo
from enrichd.index.job import JobRecord, RunResult
from enrichd.index.run import IndexOptions
from enrichd.index.scope import Scope
from enrichd.index.survey import walk_through
from enrichd.news import News
from enrichd.query.answers import Unindexed
from enrichd.query.status import Freshness
from enrichd.report import Progress
from enrichd.runs import Runs
from enrichd.search_path import leave_out
from enrichd.services import Services
from enrichd.watch.kept import Kept
from enrichd.watch.watcher import Watcher
from enrichd_tracker.errors import EnrichdError, StoreDamaged, StoreUnavailable
from enrichd_tracker.model import Workspace

_TRY_AGAIN_S = 1.0
_AT_ONCE = 2
"""So many workspaces are indexed side by side: a small change need not wait for a large one."""
_LOCK_EVERY_S = 0.1
_STEP_MS = 80
_STEP_EACH_MS = 20
_MOST_STEP_MS = 400
_SHOWN_PATHS = 3

_log = structlog.get_logger()


class Indexing:
    """What leads to runs: events, requests, and the slow look at everything."""

    def __init__(
        self, runs: Runs, *, clock: Clock, options: Callable[[Workspace], IndexOptions]
    ) -> None:
        self.news = News()
        """Of changes that came, of looks that began and ended, of workspaces that came and went."""
        self.problems: dict[int, str] = {}
        """Why the last run over a workspace failed."""
        self.runs = runs
        self._clock = clock
        self._options = options
        self._kept: dict[int, Kept] = {}
        self._services: Services | None = None

    @property
    def workspaces(self) -> dict[int, Workspace]:
        """Those that are kept indexed, by id."""
        return {key: kept.workspace for key, kept in self._kept.items()}

    @property
    def unseen(self) -> set[int]:
        """Workspaces whose files have not been looked at since they were taken up."""
        return {key for key, kept in self._kept.items() if not kept.seen}

    @property
    def at_work(self) -> bool:
        """Whether a run is under way."""
        return any(kept.lock.locked() for kept in self._kept.values())

    @property
    def requested(self) -> bool:
        """Whether a run is to come that was asked for or that a change leads to."""
        return any(kept.changes.anything for kept in self._kept.values())

    def is_calm(self, workspace_id: int) -> bool:
        """Whether the workspace has been looked at and nothing in it waits to be indexed."""
        kept = self._kept.get(workspace_id)
        if kept is None or not kept.seen or kept.lock.locked():
            return False
        return not (kept.changes.anything or kept.changes.looking or kept.changes.pending())

    # Which workspaces.

    def adopt(self, workspace: Workspace) -> None:
        """Index it when that is asked for, and only then."""
        self._keep(workspace)

    def take_up(self, workspace: Workspace) -> None:
        """Keep the workspace indexed from now on; look at it at once."""
        kept = self._keep(workspace)
        kept.seen = False
        kept.changes.ask(self._clock.monotonic())
        if self._services is not None and kept.watcher is None:
            self._watch(kept, self._services)
        elif kept.watcher is not None:
            kept.watcher.poke()
        self.news.tell()

    def _keep(self, workspace: Workspace) -> Kept:
        kept = self._kept.get(workspace.id)
        if kept is None:
            leave_out(Path(workspace.root))
            kept = Kept(
                workspace,
                self._clock,
                self._options,
                vigil=self.runs.vigil(workspace),
                on_news=self.news.tell,
            )
            self._kept[workspace.id] = kept
        return kept

    async def let_go(self, workspace: Workspace) -> None:
        """Index it no more; returns when no run is under way."""
        kept = self._kept.pop(workspace.id, None)
        self.problems.pop(workspace.id, None)
        self.news.tell()
        if kept is None:
            return
        if self._services is not None and kept.watcher is not None:
            await asyncio.gather(*map(self._services.end, _service_names(workspace)))
        async with kept.lock:
            pass

    def watch(self, services: Services) -> None:
        """Have events tell of changes from now on, in every workspace, and look now and then."""
        self._services = services
        for kept in self._kept.values():
            if kept.watcher is None:
                self._watch(kept, services)

    async def stop_watching(self) -> None:
        """No event tells of anything any more."""
        services, self._services = self._services, None
        if services is not None:
            names = [name for each in self.workspaces.values() for name in _service_names(each)]
            await asyncio.gather(*map(services.end, names))

    def _watch(self, kept: Kept, services: Services) -> None:
        kept.changes.reconciles = True
        kept.watcher = Watcher(
            Path(kept.workspace.root), kept, clock=self._clock, step_ms=self._step_ms
        )
        watch, vigil = _service_names(kept.workspace)
        services.start(watch, kept.watcher.run())
        services.start(vigil, kept.vigil.run())

    def _step_ms(self) -> int:
        """The more folders are watched, the less often each one's events are fetched."""
        return min(_MOST_STEP_MS, max(_STEP_MS, _STEP_EACH_MS * len(self._kept)))

    # How current they are.

    def freshness(self, workspace_id: int) -> Freshness | None:
        """How far the graph may be behind the files; None for a workspace that is not kept."""
        kept = self._kept.get(workspace_id)
        if kept is None:
            return None
        now, changes = self._clock.monotonic(), kept.changes
        looked_at = changes.looked_at
        return Freshness(
            pending_changes=changes.pending(),
            lag_s=round(changes.lag_s(now), 3),
            looked_at_s_ago=None if looked_at is None else round(now - looked_at, 3),
            watching=changes.watching,
        )

    def unindexed(self, workspace_id: int) -> Unindexed:
        """What of the workspace was touched and is not indexed yet, for who answers questions."""
        kept = self._kept.get(workspace_id)
        if kept is None:
            return Unindexed()
        changes = kept.changes
        shown = [path for path, _ in zip(changes.paths(), range(_SHOWN_PATHS), strict=False)]
        lag_s = changes.lag_s(self._clock.monotonic())
        return Unindexed(changes.pending(), shown, lag_s, kept.vigil.suspects())

    def distrust(self, workspace_id: int, path: str) -> None:
        """This file is not what was indexed, whatever its size, time and inode say."""
        if (kept := self._kept.get(workspace_id)) is not None:
            kept.vigil.suspect([path])

    def watch_problems(self) -> list[str]:
        """What keeps changes from being seen at once, with what to do about it."""
        return [
            f"{kept.workspace.name}: {kept.watch_problem}"
            for kept in self._kept.values()
            if kept.watch_problem
        ]

    # Asking for runs.

    def request(self, workspace_id: int) -> None:
        """Something in the workspace has changed: index it soon."""
        if (kept := self._kept.get(workspace_id)) is not None:
            kept.everything()

    async def looked(self, workspace_id: int) -> None:
        """Return when a look at everything that began after this call has come to its end.

        Raises what it failed with, and AnswerIsNo when the workspace is let go meanwhile.
        """
        kept = self._kept.get(workspace_id)
        if kept is None:
            raise AnswerIsNo("the workspace is not indexed any more")
        number = kept.ask()
        while kept.ended < number:
            if self._kept.get(workspace_id) is not kept:
                raise AnswerIsNo(f"the workspace {kept.workspace.name} was removed meanwhile")
            if kept.failed is not None and kept.failed[0] >= number:
                raise kept.failed[1]
            seen = self.news.count
            await self.news.after(seen)

    # Running.

    async def run(self) -> None:
        """Serve for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    seen = self.news.count
                    wait_s = self._start_what_is_due(group)
                    if wait_s is None:
                        await self.news.after(seen)
                    else:
                        with suppress(TimeoutError):
                            await within(self._clock, wait_s, self.news.after(seen))
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None

    def _start_what_is_due(self, group: asyncio.TaskGroup) -> float | None:
        """Begin what there is room for; how long till the next is due, in seconds."""
        now, wall = self._clock.monotonic(), self._clock.time()
        room = _AT_ONCE - sum(kept.changes.looking for kept in self._kept.values())
        waits: list[float] = []
        for kept in sorted(self._kept.values(), key=lambda each: each.workspace.id):
            due_at, wait_s = kept.due(now, wall, _LOCK_EVERY_S)
            if due_at is None or room <= 0:
                continue
            if due_at > now:
                waits.append(wait_s)
                continue
            room -= 1
            kept.begin(now)
            name = f"indexing {kept.workspace.name}"
            group.create_task(self._index_quietly(kept), name=name)
        return min(waits, default=None)

    async def _index_quietly(self, kept: Kept) -> None:
        workspace = kept.workspace
        try:
            record = await self._index(kept, kept.paths_to_look_at)
        except StoreDamaged:
            raise
        except asyncio.CancelledError:
            kept.fail(AnswerIsNo("the run was cancelled"), None)
            raise
        except EnrichdError as error:
            again_s = _TRY_AGAIN_S if isinstance(error, StoreUnavailable) else None
            kept.fail(error, again_s)
            if self._kept.get(workspace.id) is not kept:
                return
            if self.problems.get(workspace.id) != error.message:
                _log.error(
                    "indexing failed",
                    action="index_failed",
                    workspace=workspace.name,
                    error=error.message,
                )
            self.problems[workspace.id] = error.message
        else:
            kept.end(found=record.has_begun)
            self.news.tell()
            await self.runs.finish(workspace, record)
        finally:
            self.news.tell()

    async def index(self, workspace: Workspace, progress: Progress | None = None) -> RunResult:
        """Index what changed, now; a run that is under way is waited for first."""
        record = await self._index(self._kept[workspace.id], None, progress)
        await self.runs.finish(workspace, record)
        return record.result

    async def _index(
        self, kept: Kept, paths: frozenset[str] | None, progress: Progress | None = None
    ) -> JobRecord:
        record = self.runs.record(kept.workspace, progress=progress)
        async with kept.lock:
            await self.runs.run(kept, record, paths, more_to_come=self.runs.embeds)
        self.problems.pop(kept.workspace.id, None)
        return record

    async def run_job(
        self,
        workspace: Workspace,
        record: JobRecord,
        begin: Callable[[], Awaitable[Scope]],
    ) -> None:
        """Index as somebody asked, when it is this one's turn in the workspace.

        ``begin`` begins the job and makes the files ready. What the run did not end is left to be
        ended by the caller. Raises AnswerIsNo where the workspace is not kept any more, and what
        ``begin`` and the run raise.
        """
        kept = self._kept.get(workspace.id)
        if kept is None:
            raise AnswerIsNo(f"the workspace {workspace.name} was removed meanwhile")
        async with kept.lock:
            with kept.turn(record):
                scope = await begin()
                if scope.is_partial and await self.runs.is_new(workspace):
                    await self.runs.run(kept, self.runs.record(workspace), None)
                await self.runs.run(kept, record, None, scope, more_to_come=True)
        self.problems.pop(workspace.id, None)

    async def count(self, workspace: Workspace, scope: Scope) -> int:
        """How many files of the workspace are in the scope."""
        walked = await walk_through(workspace, self._options(workspace).exclude)
        return sum(scope.covers(file.path, file.language) for file in walked.files)

    def cancel(self, job_id: str, why: str) -> bool:
        """Break off the run that this job is, if it is under way."""
        for kept in self._kept.values():
            record, task = kept.record, kept.task
            if task is not None and record is not None and record.is_job(job_id):
                return task.cancel(why)
        return False

    def running_in(self, workspace_id: int) -> str | None:
        """The job that is under way there."""
        kept = self._kept.get(workspace_id)
        record = kept.record if kept is not None else None
        return record.job_id if record is not None and record.has_begun else None


def _service_names(workspace: Workspace) -> tuple[str, str]:
    return f"watch {workspace.name}", f"vigil over {workspace.name}"
