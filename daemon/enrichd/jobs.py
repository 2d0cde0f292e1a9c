"""Jobs that people ask for: queued where a restart finds them, one at a time in a workspace.

The life of one: its files are made ready (a Git URL is cloned), indexed, embedded where that is
configured, and enriched where that is asked for. Only indexing keeps others out of the workspace:
files that change meanwhile are taken up by jobs of their own.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from os.path import isdir
from pathlib import Path
from typing import NamedTuple

import structlog
from msgspec import Struct

from enrichd.clock import Clock, within
from enrichd.errors import AnswerIsNo
from enrichd.index.job import PLAN, JobRecord, end_badly
from enrichd.index.scope import Scope
from enrichd.indexing import Indexing
from enrichd.metrics import Metrics
from enrichd.news import News
from enrichd.runs import Runs
from enrichd.sources.clone import Fetched, fetch
from enrichd.sources.url import GitUrl
from enrichd.waiting import Waiting
from enrichd_tracker.errors import EnrichdError, StoreDamaged, StoreUnavailable
from enrichd_tracker.jobs import JobKind, JobRequest, JobResult, Level
from enrichd_tracker.model import JobStatus, Stage, Workspace
from enrichd_tracker.store.port import Store
from enrichd_tracker.store.port_runs import QueuedJob

BY_A_PERSON = "cancelled by a person"
_AT_ONCE = 2
_AGAIN_S = 1.0
_LOOK_EVERY_S = 0.5

_log = structlog.get_logger()


class Asked(Struct, frozen=True):
    """What became of a request."""

    job_id: str
    joined: bool
    """The same was asked for before, and has not begun yet: both get this job."""
    waits_for: str | None
    """The job in the same workspace that is to end first."""


class Jobs:
    """What is asked for, and what becomes of it."""

    def __init__(
        self,
        *,
        store: Store,
        indexing: Indexing,
        runs: Runs,
        waiting: Waiting,
        clock: Clock,
        metrics: Metrics,
        max_clone_bytes: Callable[[], int],
    ) -> None:
        self._store = store
        self._indexing = indexing
        self._runs = runs
        self._waiting = waiting
        self._clock = clock
        self._metrics = metrics
        self._max_clone_bytes = max_clone_bytes
        self._news = News()
        self._lives: dict[str, _Life] = {}
        self._asking = asyncio.Lock()

    async def ask(self, workspace: Workspace, request: JobRequest) -> Asked:
        """Have it done when its turn comes; it outlives the daemon."""
        async with self._asking:
            queued = await self._store.read(lambda reader: reader.runs.queued_jobs())
            here = [each for each in queued if each.workspace_id == workspace.id]
            for each in here:
                if each.request == request and not self._is_taken_up(each.job_id):
                    return Asked(each.job_id, joined=True, waits_for=None)
            ahead = [each.job_id for each in here] or self._running_in(workspace.id)
            job_id = uuid.uuid4().hex
            await self._store.queue_job(job_id, workspace.id, request, owner=self._runs.owner)
        self._news.tell()
        return Asked(job_id, joined=False, waits_for=ahead[-1] if ahead else None)

    async def count(self, workspace: Workspace, request: JobRequest) -> int:
        """How many files it would go over; raises AnswerIsNo where there is no such folder."""
        root = Path(workspace.root)
        folder = root / request.directory
        # Path.is_dir() raises for a name that is too long.
        if request.directory and not await asyncio.to_thread(isdir, folder):
            raise AnswerIsNo(f"there is no folder {request.directory} in {workspace.root}")
        return await self._indexing.count(workspace, Scope.of(request))

    async def cancel(self, job_id: str) -> None:
        """Break it off, or don't let it begin. Raises AnswerIsNo where there is nothing to do."""
        if (life := self._lives.get(job_id)) is not None:
            life.task.cancel(BY_A_PERSON)
            await asyncio.gather(life.task, return_exceptions=True)
        elif not self._indexing.cancel(job_id, BY_A_PERSON):
            queued = await self._store.read(lambda reader: reader.runs.queued_jobs())
            if job_id not in {each.job_id for each in queued}:
                raise AnswerIsNo(
                    f"the job {job_id} has ended", hint=f"`enrichd jobs {job_id}` shows how"
                )
            await self._never_begins(job_id, JobStatus.CANCELLED, BY_A_PERSON)

    async def forget(self, workspace_id: int) -> None:
        """Break off all that is asked for in a workspace; returns when nothing of it runs."""
        queued = await self._store.read(lambda reader: reader.runs.queued_jobs())
        ids = {each.job_id for each in queued if each.workspace_id == workspace_id}
        for job_id in ids.union(self._running_in(workspace_id)):
            with suppress(AnswerIsNo):
                await self.cancel(job_id)

    def _is_taken_up(self, job_id: str) -> bool:
        """Whether it has begun: what changed since then may be missing from it."""
        return (life := self._lives.get(job_id)) is not None and life.record.has_begun

    def _running_in(self, workspace_id: int) -> list[str]:
        asked = [key for key, life in self._lives.items() if life.workspace.id == workspace_id]
        running = self._indexing.running_in(workspace_id)
        return asked or ([running] if running is not None else [])

    # Their lives.

    async def run(self) -> None:
        """Serve for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    seen = self._news.count
                    try:
                        await self._start_what_can_be(group)
                    except StoreUnavailable:
                        await self._clock.sleep(_AGAIN_S)
                    else:
                        await self._news.after(seen)
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None

    async def _start_what_can_be(self, group: asyncio.TaskGroup) -> None:
        queued, workspaces = await self._store.read(
            lambda reader: (reader.runs.queued_jobs(), reader.workspaces())
        )
        by_id = {each.id: each for each in workspaces}
        for job in queued:
            busy = {life.workspace.id for life in self._lives.values()}
            if len(busy) >= _AT_ONCE:
                return
            if job.workspace_id in busy:
                continue
            workspace = by_id[job.workspace_id]
            record = self._runs.record(workspace, job_id=job.job_id, plan=_plan(job.request))
            task = group.create_task(self._live(job, workspace, record), name=f"job {job.job_id}")
            self._lives[job.job_id] = _Life(workspace, record, task)
            task.add_done_callback(partial(self._is_over, job.job_id))

    def _is_over(self, job_id: str, _: asyncio.Task[None]) -> None:
        del self._lives[job_id]
        self._news.tell()

    async def _live(self, job: QueuedJob, workspace: Workspace, record: JobRecord) -> None:
        request = job.request
        try:
            self._indexing.adopt(workspace)
            await self._indexing.run_job(
                workspace,
                record,
                lambda: self._begin(workspace, record, request),
            )
            if request.url:
                self._indexing.take_up(workspace)
            if record.has_ended:
                return
            await self._runs.embed_into(workspace, record)
            if request.enrich:
                await self._enrich(workspace, record)
            await record.end()
        except StoreDamaged:
            raise
        except asyncio.CancelledError as error:
            await self._ended_badly(job, record, error)
            raise
        except EnrichdError as error:
            await self._ended_badly(job, record, error)
        except Exception as error:
            _log.exception("a job failed", action="job_failed", job=job.job_id)
            await self._ended_badly(job, record, error)

    async def _ended_badly(self, job: QueuedJob, record: JobRecord, error: BaseException) -> None:
        if record.has_begun:
            await end_badly(record, error)
        elif isinstance(error, EnrichdError):
            await self._never_begins(job.job_id, JobStatus.FAILED, error.message)
        elif BY_A_PERSON in error.args:
            await self._never_begins(job.job_id, JobStatus.CANCELLED, BY_A_PERSON)

    async def _never_begins(self, job_id: str, status: JobStatus, why: str) -> None:
        self._metrics.jobs.labels(status).inc()
        with suppress(StoreUnavailable):  # it is written with what is written next
            await self._store.end_job(job_id, JobResult(status, why))

    async def _begin(self, workspace: Workspace, record: JobRecord, request: JobRequest) -> Scope:
        await record.begin(request.kind)
        if request.url:
            await self._fetch(Path(workspace.root), record, request)
        if request.kind is not JobKind.RETRY:
            return Scope.of(request)
        failed = await self._store.read(lambda reader: reader.runs.error_paths(workspace.id))
        return Scope.of(request, frozenset(failed))

    async def _fetch(self, folder: Path, record: JobRecord, request: JobRequest) -> None:
        url = GitUrl.parse(request.url)
        latest = (0, 0, url.text)

        def tell(done: int, total: int, what: str) -> None:
            nonlocal latest
            latest = (done, total, what)

        await record.stage(Stage.CLONING)
        fetching = asyncio.ensure_future(
            fetch(
                url,
                folder,
                branch=request.branch or None,
                depth=request.depth or None,
                max_bytes=self._max_clone_bytes(),
                clock=self._clock,
                tell=tell,
            )
        )
        try:
            while not fetching.done():
                with suppress(TimeoutError):
                    await within(self._clock, _LOOK_EVERY_S, asyncio.wait({fetching}))
                await record.advance(*latest)
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
        _note(record, url, fetching.result())
        await record.advance(*latest, last=True)

    async def _enrich(self, workspace: Workspace, record: JobRecord) -> None:
        total = await self._waiting.orphans(workspace)
        await record.stage(Stage.ENRICHING, total)

        async def advance(left: int) -> None:
            await record.advance(max(0, total - left), total)

        await self._waiting.until_settled(workspace, advance, retries=False)
        for reason in await self._waiting.reasons(workspace):
            record.note(Level.WARNING, reason)
        await record.advance(total, total, last=True)


class _Life(NamedTuple):
    workspace: Workspace
    record: JobRecord
    task: asyncio.Task[None]


def _plan(request: JobRequest) -> tuple[Stage, ...]:
    first = (Stage.CLONING,) if request.url else ()
    last = (Stage.ENRICHING,) if request.enrich else ()
    return (*first, *PLAN, *last)


def _note(record: JobRecord, url: GitUrl, fetched: Fetched) -> None:
    how = "cloned" if fetched.cloned else "brought up to date" if fetched.changed else "unchanged"
    record.note(Level.INFO, f"{url.text}: {how}, at commit {fetched.commit}")
    for warning in fetched.warnings:
        record.note(Level.WARNING, warning)
